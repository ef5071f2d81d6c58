//! Several parties at one store, one operation at a time, in an order that a
//! test prescribes: so every order can be tried.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use image_format::store::MemoryStore;

thread_local! {
    static PARTY: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Whose turn it is, for how many operations.
pub(crate) type Turn = (usize, usize);
/// Until the party has done all it does.
pub(crate) const TO_THE_END: usize = usize::MAX;

struct Table {
    turns: Mutex<(VecDeque<Turn>, Vec<bool>)>,
    changed: Condvar,
}

impl Table {
    /// Waits for this party's turn; a thread that is no party has always its turn.
    fn wait(&self) {
        let Some(me) = PARTY.get() else { return };
        let mut turns = self.turns.lock().unwrap();
        loop {
            let (queue, done) = &mut *turns;
            while queue
                .front()
                .is_some_and(|turn| turn.1 == 0 || done[turn.0])
            {
                queue.pop_front();
                self.changed.notify_all();
            }
            match queue.front_mut() {
                None => return,
                Some(turn) if turn.0 == me => {
                    turn.1 -= 1;
                    return;
                }
                Some(_) => turns = self.changed.wait(turns).unwrap(),
            }
        }
    }

    fn end(&self, party: usize) {
        self.turns.lock().unwrap().1[party] = true;
        self.changed.notify_all();
    }
}

/// Runs the parties in this order of turns; who is left runs to the end.
pub(crate) fn play(store: &MemoryStore, turns: &[Turn], parties: &[&(dyn Fn() + Sync)]) {
    let table = Arc::new(Table {
        turns: Mutex::new((turns.iter().copied().collect(), vec![false; parties.len()])),
        changed: Condvar::new(),
    });
    let gate = Arc::clone(&table);
    store.set_gate(Some(Arc::new(move || gate.wait())));
    thread::scope(|scope| {
        for (number, party) in parties.iter().enumerate() {
            let table = &table;
            scope.spawn(move || {
                // Ends its turns also when it fails, or the others wait for ever.
                struct End<'t>(&'t Table, usize);
                impl Drop for End<'_> {
                    fn drop(&mut self) {
                        self.0.end(self.1);
                    }
                }
                let _end = End(table, number);
                PARTY.set(Some(number));
                party();
            });
        }
    });
    store.set_gate(None);
}
