//! Entries go out in batches and come back in any order; their digests are put
//! together in the order of their paths.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use super::compare::{self, Compared, Item, Shared};
use super::proven::Running;

/// Entries of a batch.
const BATCH: usize = 64;
/// Bytes of contents after which a batch is full.
const BATCH_BYTES: u64 = 8 << 20;
/// Folders open for a batch.
const BATCH_FOLDERS: usize = 12;
/// Batches that wait.
const WAITING: usize = 8;

/// Entries that are compared by one thread.
#[derive(Default)]
pub(super) struct Batch {
    items: Vec<Item>,
    bytes: u64,
    folders: usize,
}

impl Batch {
    pub(super) fn push(&mut self, item: Item) {
        let last = self.items.last();
        let same = last.is_some_and(|last| Arc::ptr_eq(&last.folder, &item.folder));
        self.folders += usize::from(!same);
        self.bytes = self.bytes.saturating_add(item.entry.content.size());
        self.items.push(item);
    }

    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= BATCH || self.bytes >= BATCH_BYTES || self.folders >= BATCH_FOLDERS
    }
}

type Sent = (u64, Vec<Item>);
type Done = (u64, Vec<Compared>);

/// Starts the threads; they end when nothing more is sent.
pub(super) fn start<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    shared: Shared<'env>,
    threads: usize,
) -> (SyncSender<Sent>, Receiver<Done>) {
    let (send, receive) = sync_channel::<Sent>(WAITING);
    let (done, heard) = channel::<Done>();
    let receive = Arc::new(Mutex::new(receive));
    for _ in 0..threads {
        let (receive, done) = (Arc::clone(&receive), done.clone());
        scope.spawn(move || work(&shared, &receive, &done));
    }
    (send, heard)
}

fn work(shared: &Shared<'_>, receive: &Mutex<Receiver<Sent>>, done: &Sender<Done>) {
    let mut buffer = Vec::new();
    loop {
        let batch = receive
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok((number, items)) = batch else { return };
        let compared = items
            .into_iter()
            .map(|item| compare::item(shared, item, &mut buffer))
            .collect();
        // Nobody listens any more only when the walk has failed.
        let _ = done.send((number, compared));
    }
}

/// Sends batches and takes what comes back, in order.
pub(super) struct Flow {
    send: SyncSender<Sent>,
    done: Receiver<Done>,
    sent: u64,
    next: u64,
    early: BTreeMap<u64, Vec<Compared>>,
}

impl Flow {
    pub(super) fn new(send: SyncSender<Sent>, done: Receiver<Done>) -> Self {
        Self {
            send,
            done,
            sent: 0,
            next: 0,
            early: BTreeMap::new(),
        }
    }

    pub(super) fn send(&mut self, batch: Batch, proof: &mut Running<'_>) {
        // The threads live as long as the sender.
        let _ = self.send.send((self.sent, batch.items));
        self.sent += 1;
        while let Ok(done) = self.done.try_recv() {
            self.take(done, proof);
        }
    }

    fn take(&mut self, (number, compared): Done, proof: &mut Running<'_>) {
        self.early.insert(number, compared);
        while let Some(compared) = self.early.remove(&self.next) {
            compared.iter().for_each(|one| proof.add(one));
            self.next += 1;
        }
    }

    pub(super) fn finish(mut self, proof: &mut Running<'_>) {
        while self.next < self.sent {
            let Ok(done) = self.done.recv() else { break };
            self.take(done, proof);
        }
    }
}
