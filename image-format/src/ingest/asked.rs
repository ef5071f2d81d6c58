//! What a store says it has, where nobody reads its whole index.
//!
//! New chunks wait here until there are enough of them for a question. What
//! becomes of a chunk does not hang on the answer's being there, only whether
//! its bytes are stored does, so an image is the same as with an index.

use std::collections::{HashMap, HashSet};

use crate::ids::ChunkId;
use crate::index::Segment;
use crate::lane::LaneKey;

/// So many chunks are asked for at once...
const MOST_WAITING: usize = 1024;
/// ...or as many as have so many bytes, which wait in memory.
const MOST_BYTES: usize = 24 << 20;

/// A chunk nobody knows whether the store has.
pub(super) struct Waiting {
    pub(super) key: LaneKey,
    pub(super) id: ChunkId,
    pub(super) bytes: Vec<u8>,
}

/// The answers, and what waits for one.
#[derive(Default)]
pub(super) struct Asked {
    /// The lengths of chunks that are there.
    there: HashMap<ChunkId, u32>,
    /// Chunks that are not, and did not come yet.
    absent: HashSet<ChunkId>,
    waiting: Vec<Waiting>,
    lengths: HashMap<ChunkId, u32>,
    bytes: usize,
}

/// What is known of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is in the store, or waits to be asked for: this long.
    Known(u32),
    /// It is not in the store.
    New,
    /// The store was not asked.
    Unknown,
}

impl Asked {
    pub(super) fn standing(&self, id: &ChunkId) -> Standing {
        match self.there.get(id).or_else(|| self.lengths.get(id)) {
            Some(length) => Standing::Known(*length),
            None if self.absent.contains(id) => Standing::New,
            None => Standing::Unknown,
        }
    }

    /// Takes a chunk; whether there are enough of them for a question.
    pub(super) fn wait(&mut self, chunk: Waiting, length: u32) -> bool {
        self.bytes += chunk.bytes.len();
        self.lengths.insert(chunk.id, length);
        self.waiting.push(chunk);
        self.waiting.len() >= MOST_WAITING || self.bytes >= MOST_BYTES
    }

    /// Hands out all that waits, in the order in which it came.
    pub(super) fn take_waiting(&mut self) -> Vec<Waiting> {
        self.bytes = 0;
        self.lengths.clear();
        std::mem::take(&mut self.waiting)
    }

    /// Keeps an answer to a question for `ids`.
    pub(super) fn told(&mut self, ids: &[ChunkId], answer: &Segment) {
        for row in 0..answer.chunks() {
            if let Some((chunk, _)) = answer.chunk_row(row) {
                self.there.insert(chunk.id, chunk.length);
            }
        }
        let absent = ids.iter().filter(|id| !self.there.contains_key(id));
        self.absent.extend(absent);
    }

    /// A chunk the store does not have is on its way.
    pub(super) fn came(&mut self, id: &ChunkId) {
        self.absent.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(number: u32, length: usize) -> Waiting {
        Waiting {
            key: LaneKey::manifest(),
            id: ChunkId::of(&number.to_le_bytes()),
            bytes: vec![0; length],
        }
    }

    #[test]
    fn enough_wait_when_they_are_many_or_long() {
        let mut asked = Asked::default();
        let full = (0..5000).find(|number| asked.wait(waiting(*number, 10), 10));
        assert_eq!(full, Some(1023));
        assert_eq!(asked.take_waiting().len(), 1024);
        let full = (0..5000).find(|number| asked.wait(waiting(*number, 1 << 20), 1 << 20));
        assert_eq!(full, Some(23));
    }

    #[test]
    fn a_chunk_is_unknown_until_it_waits_or_was_asked_for() {
        let mut asked = Asked::default();
        let (one, two) = (waiting(1, 5), waiting(2, 5).id);
        let id = one.id;
        assert_eq!(asked.standing(&id), Standing::Unknown);
        asked.wait(one, 5);
        assert_eq!(asked.standing(&id), Standing::Known(5));
        asked.take_waiting();
        let nothing = Segment::decode(Segment::encode(&[]).unwrap()).unwrap();
        asked.told(&[id, two], &nothing);
        assert_eq!(asked.standing(&id), Standing::New);
        asked.came(&id);
        assert_eq!(asked.standing(&id), Standing::Unknown);
        assert_eq!(asked.standing(&two), Standing::New);
    }
}
