//! Work done by several threads and handed over in the order it was given in.
//!
//! What waits is bounded in bytes, yet nobody can wait for ever: whoever works
//! on the piece the taker wants next may always hand over.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The hand-over.
pub(super) struct Line<T> {
    state: Mutex<State<T>>,
    /// Something can be taken.
    ready: Condvar,
    /// Something was taken.
    room: Condvar,
    limit: usize,
}

struct State<T> {
    slots: VecDeque<Slot<T>>,
    /// Number of the first slot.
    first: u64,
    waiting: usize,
    ended: bool,
    stopped: bool,
}

struct Slot<T> {
    items: VecDeque<(T, usize)>,
    waiting: usize,
    done: bool,
}

impl<T> Line<T> {
    /// A line in which at most twice `limit` bytes wait, or one item.
    pub(super) fn new(limit: usize) -> Self {
        let state = State {
            slots: VecDeque::new(),
            first: 0,
            waiting: 0,
            ended: false,
            stopped: false,
        };
        Self {
            state: Mutex::new(state),
            ready: Condvar::new(),
            room: Condvar::new(),
            limit,
        }
    }

    /// The next place in the order; `None` when nobody takes any more.
    pub(super) fn place(&self) -> Option<Place<'_, T>> {
        let mut state = self.lock();
        if state.stopped {
            return None;
        }
        let number = state.first + state.slots.len() as u64;
        state.slots.push_back(Slot {
            items: VecDeque::new(),
            waiting: 0,
            done: false,
        });
        Some(Place { line: self, number })
    }

    /// No further places come.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.ready.notify_all();
    }

    /// Nobody takes any more: everyone who hands over is told so.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        state.slots.clear();
        self.ready.notify_all();
        self.room.notify_all();
    }

    /// The next item in the order; `None` at the end.
    pub(super) fn take(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            let ended = state.ended;
            let State { slots, waiting, .. } = &mut *state;
            match slots.front_mut() {
                Some(slot) => {
                    if let Some((item, bytes)) = slot.items.pop_front() {
                        slot.waiting -= bytes;
                        *waiting = waiting.saturating_sub(bytes);
                        self.room.notify_all();
                        return Some(item);
                    }
                    if slot.done {
                        state.slots.pop_front();
                        state.first += 1;
                        self.room.notify_all();
                        continue;
                    }
                }
                None if ended => return None,
                None => {}
            }
            state = self
                .ready
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a line when its maker goes, however it goes.
pub(super) struct Ending<'l, T>(pub(super) &'l Line<T>);

impl<T> Drop for Ending<'_, T> {
    fn drop(&mut self) {
        match std::thread::panicking() {
            true => self.0.stop(),
            false => self.0.end(),
        }
    }
}

/// Stops a line when its taker goes.
pub(super) struct Stopping<'l, T>(pub(super) &'l Line<T>);

impl<T> Drop for Stopping<'_, T> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// A place in the order; what it hands over follows the places before it.
pub(super) struct Place<'l, T> {
    line: &'l Line<T>,
    number: u64,
}

impl<T> Place<'_, T> {
    /// Hands over an item that keeps `bytes` in memory; waits for room.
    /// `false`: nobody takes any more.
    pub(super) fn give(&self, item: T, bytes: usize) -> bool {
        let mut state = self.line.lock();
        let slot = loop {
            let (all, limit) = (state.waiting, self.line.limit);
            let in_front = state.first == self.number;
            let Some(slot) = slot_of(&mut state, self.number) else {
                return false;
            };
            // The one in front waits only for the taker, the others for those before them.
            let before = if in_front { slot.waiting } else { all };
            if before == 0 || before + bytes <= limit {
                break slot;
            }
            state = self
                .line
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        };
        slot.items.push_back((item, bytes));
        slot.waiting += bytes;
        state.waiting += bytes;
        if state.first == self.number {
            self.line.ready.notify_one();
        }
        true
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        // What a panic cut short must not be taken for whole.
        if std::thread::panicking() {
            self.line.stop();
            return;
        }
        let mut state = self.line.lock();
        if let Some(slot) = slot_of(&mut state, self.number) {
            slot.done = true;
        }
        self.line.ready.notify_one();
    }
}

fn slot_of<T>(state: &mut State<T>, number: u64) -> Option<&mut Slot<T>> {
    let at = usize::try_from(number.checked_sub(state.first)?).ok()?;
    state.slots.get_mut(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn order_holds_whoever_is_faster_and_large_items_pass_a_small_line() {
        let line = Line::new(10);
        let (send, receive) = sync_channel(4);
        let receive = Mutex::new(receive);
        let mut taken = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _ending = Ending(&line);
                for number in 0..200_usize {
                    let place = line.place().unwrap();
                    send.send((place, number)).unwrap();
                }
                drop(send);
            });
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let next = receive.lock().unwrap().recv();
                        let Ok((place, number)) = next else { return };
                        for part in 0..number % 5 {
                            assert!(place.give((number, part), number % 17));
                        }
                    }
                });
            }
            while let Some(item) = line.take() {
                taken.push(item);
            }
        });
        let expected: Vec<_> = (0..200_usize)
            .flat_map(|number| (0..number % 5).map(move |part| (number, part)))
            .collect();
        assert_eq!(taken, expected);
    }

    #[test]
    fn a_taker_that_goes_frees_all_who_wait() {
        let line = Line::new(1);
        let first = line.place().unwrap();
        let second = line.place().unwrap();
        assert!(second.give(1, 1));
        std::thread::scope(|scope| {
            scope.spawn(move || assert!(!second.give(2, 1)));
            drop(Stopping(&line));
        });
        assert!(!first.give(3, 1));
        assert!(line.place().is_none());
    }
}
