//! Which chunks need not be stored: they are there, or on their way.

use super::asked::{Standing, Waiting};
use super::{Ingest, IngestError};
use crate::entry::{Content, Piece};
use crate::fetch::MissingChunk;
use crate::ids::{ChunkId, ChunkRef};
use crate::lane::LaneKey;

/// A store is asked for so many chunks at once.
const MOST_ASKED: usize = 1 << 14;

impl Ingest<'_> {
    /// Says which chunks will be needed, so that a store that answers questions
    /// is asked for all of them at once. Without effect on what is stored.
    ///
    /// # Errors
    /// The store failed.
    pub fn expect(&mut self, ids: impl IntoIterator<Item = ChunkId>) -> Result<(), IngestError> {
        if self.asked.is_none() {
            return Ok(());
        }
        let mut unknown: Vec<ChunkId> = ids.into_iter().collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown.retain(|id| self.standing(id) == Standing::Unknown);
        unknown.chunks(MOST_ASKED).try_for_each(|ids| self.ask(ids))
    }

    /// Whether all of a file is stored or on its way, as long as it says.
    ///
    /// # Errors
    /// The store failed.
    pub fn has(&mut self, content: &Content) -> Result<bool, IngestError> {
        let Content::Pieces(pieces) = content else {
            return Ok(true);
        };
        for piece in pieces {
            if let Piece::Chunk { id, length } = piece
                && self.length_of(id)? != Some(*length)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The length of a chunk that is stored or on its way.
    fn length_of(&mut self, id: &ChunkId) -> Result<Option<u32>, IngestError> {
        if self.standing(id) == Standing::Unknown {
            self.ask(&[*id])?;
        }
        Ok(match self.standing(id) {
            Standing::Known(length) => Some(length),
            Standing::New | Standing::Unknown => None,
        })
    }

    /// Takes a chunk, and its bytes if they are wanted.
    pub(super) fn take(
        &mut self,
        key: &LaneKey,
        id: ChunkId,
        length: u32,
        bytes: impl FnOnce() -> Vec<u8>,
    ) -> Result<(), IngestError> {
        // Also a capture that finds everything stored is alive.
        self.guard.beat()?;
        self.progress.read += u64::from(length);
        self.progress.chunks += 1;
        match (self.used(&id), &mut self.asked) {
            (Standing::Known(_), _) => Ok(()),
            (Standing::Unknown, Some(asked)) => {
                let key = key.clone();
                let bytes = bytes();
                match asked.wait(Waiting { key, id, bytes }, length) {
                    true => self.latched(Self::settle),
                    false => Ok(()),
                }
            }
            _ => self.begin(key, id, length, bytes()),
        }
    }

    /// Asks for all chunks that wait; those that are not there are stored.
    pub(super) fn settle(&mut self) -> Result<(), IngestError> {
        let Some(asked) = &mut self.asked else {
            return Ok(());
        };
        let waiting = asked.take_waiting();
        self.expect(waiting.iter().map(|chunk| chunk.id))?;
        for Waiting { key, id, bytes } in waiting {
            // Also where no answer came: what is stored twice is not lost.
            if !matches!(self.used(&id), Standing::Known(_)) {
                let length = super::chunk_length(&bytes)?;
                self.begin(&key, id, length, bytes)?;
            }
        }
        Ok(())
    }

    /// A chunk that nobody has is on its way.
    fn begin(
        &mut self,
        key: &LaneKey,
        id: ChunkId,
        length: u32,
        bytes: Vec<u8>,
    ) -> Result<(), IngestError> {
        self.progress.new += u64::from(length);
        self.progress.new_chunks += 1;
        self.pending.insert(id, length);
        if let Some(asked) = &mut self.asked {
            asked.came(&id);
        }
        self.gather(key, id, bytes)
    }

    /// A chunk that an entry names was written here or is in the store, as long as it says.
    pub(super) fn check_chunk(&mut self, chunk: &ChunkRef) -> Result<(), IngestError> {
        self.guard.beat()?;
        let mut standing = self.used(&chunk.id);
        if standing == Standing::Unknown {
            self.ask(&[chunk.id])?;
            standing = self.used(&chunk.id);
        }
        match standing {
            Standing::Known(length) if length == chunk.length => Ok(()),
            Standing::Known(length) => Err(IngestError::ChunkLength {
                id: chunk.id,
                expected: length,
                found: chunk.length,
            }),
            Standing::New | Standing::Unknown => Err(MissingChunk { id: chunk.id }.into()),
        }
    }

    /// What is known of a chunk; the image does not count on it yet.
    fn standing(&self, id: &ChunkId) -> Standing {
        if let Some(length) = self.pending.get(id) {
            return Standing::Known(*length);
        }
        if let Some((_, chunk)) = self.index.find(id) {
            return Standing::Known(chunk.length);
        }
        match &self.asked {
            Some(asked) => asked.standing(id),
            None => Standing::New,
        }
    }

    /// As [`Self::standing`], and the image counts on it from now on.
    fn used(&mut self, id: &ChunkId) -> Standing {
        if let Some(length) = self.pending.get(id) {
            return Standing::Known(*length);
        }
        if let Some(length) = self.guard.find(&self.index, id) {
            return Standing::Known(length);
        }
        match &self.asked {
            Some(asked) => asked.standing(id),
            None => Standing::New,
        }
    }

    /// One question. The lease was taken before, so what is there stays, or is
    /// moved back: the image counts on every pack that was named.
    fn ask(&mut self, ids: &[ChunkId]) -> Result<(), IngestError> {
        let Some(asked) = &mut self.asked else {
            return Ok(());
        };
        self.guard.beat()?;
        let Some(answer) = self.store.locate(ids)? else {
            return Ok(());
        };
        answer.packs().for_each(|pack| self.guard.uses(pack));
        asked.told(ids, &answer);
        Ok(())
    }
}
