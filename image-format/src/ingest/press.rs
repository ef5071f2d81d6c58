//! Blocks compressed by several threads, given back in the order they came.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::IngestError;
use crate::block::{SealError, SealOptions, SealedBlock, seal};
use crate::ids::ChunkId;
use crate::lane::Gathered;
use crate::profile::Profile;

/// More threads than this gain nothing: hashing and cutting is one thread.
const MAX_THREADS: usize = 16;

/// A sealed block with its chunks in order, and the room its raw bytes took.
pub(super) struct Pressed {
    pub(super) sealed: SealedBlock,
    pub(super) chunks: Vec<(ChunkId, u32)>,
    pub(super) raw: Vec<u8>,
}

type Answer = Result<Pressed, SealError>;

struct Job {
    block: Gathered,
    answer: SyncSender<Answer>,
}

/// Threads that compress. What is on its way is bounded: two blocks a thread,
/// or one where a block takes seconds and nobody waits for the next.
pub(super) struct Press {
    jobs: SyncSender<Job>,
    waiting: VecDeque<Receiver<Answer>>,
    limit: usize,
}

impl Press {
    pub(super) fn new(profile: Profile, threads: usize, verify: bool) -> Self {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let threads = if threads == 0 { cores() } else { threads }.min(MAX_THREADS);
        let limit = match profile {
            Profile::Fast => threads * 2,
            Profile::Balanced | Profile::Archive => threads,
        };
        let (jobs, inbox) = sync_channel(limit);
        let inbox = Arc::new(Mutex::new(inbox));
        for _ in 0..threads {
            let inbox = Arc::clone(&inbox);
            // Ends by itself when the press is dropped and its inbox closes.
            thread::spawn(move || work(profile, verify, &inbox));
        }
        Self {
            jobs,
            waiting: VecDeque::new(),
            limit,
        }
    }

    /// Takes a block and gives back those that must be taken off now.
    pub(super) fn push(&mut self, block: Gathered) -> Result<Vec<Pressed>, IngestError> {
        let (answer, receiver) = sync_channel(1);
        self.jobs
            .send(Job { block, answer })
            .map_err(|_| IngestError::Thread)?;
        self.waiting.push_back(receiver);
        self.take_down_to(self.limit)
    }

    /// Waits for all that is on its way.
    pub(super) fn finish(&mut self) -> Result<Vec<Pressed>, IngestError> {
        self.take_down_to(0)
    }

    fn take_down_to(&mut self, limit: usize) -> Result<Vec<Pressed>, IngestError> {
        let mut done = Vec::new();
        while self.waiting.len() > limit {
            let Some(receiver) = self.waiting.pop_front() else {
                break;
            };
            done.push(receiver.recv().map_err(|_| IngestError::Thread)??);
        }
        Ok(done)
    }
}

fn work(profile: Profile, verify: bool, inbox: &Mutex<Receiver<Job>>) {
    loop {
        let job = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { block, answer }) = job else {
            return;
        };
        let chunks = u32::try_from(block.chunks.len()).unwrap_or(u32::MAX);
        let options = SealOptions {
            chunks,
            profile,
            filter: block.class.filter(),
            bases: &[],
            verify,
        };
        let Gathered { raw, chunks, .. } = block;
        let sealed = seal(&raw, &options).map(|sealed| Pressed {
            sealed,
            chunks,
            raw,
        });
        // Nobody listens any more when the ingest was given up.
        let _ = answer.send(sealed);
    }
}
