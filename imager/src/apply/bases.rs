//! Chunks that other blocks are compressed against: fetched when such a block
//! comes, whether or not the disk holds them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use image_format::block::{self, OpenBlock};
use image_format::ids::{BlockId, ChunkId, ChunkRef};
use image_format::store::Source;
use image_format::{BlockJob, ChunkInBlock};

use super::gate::Gate;

/// Open blocks that are kept: blocks of one package share their bases.
const KEPT: usize = 8;

/// Hands out base chunks. A base lies in a block that has none itself.
pub(super) struct Bases<'j> {
    by_chunk: HashMap<ChunkId, (&'j BlockJob, &'j ChunkInBlock)>,
    kept: Mutex<Vec<(BlockId, Arc<OpenBlock>)>>,
}

impl<'j> Bases<'j> {
    /// The bases the blocks of these jobs need, as far as jobs have them.
    pub(super) fn of(jobs: &'j [BlockJob]) -> Self {
        let needed: std::collections::HashSet<ChunkId> = jobs
            .iter()
            .flat_map(|job| &job.bases)
            .map(|base| base.id)
            .collect();
        let plain = jobs.iter().filter(|job| job.bases.is_empty());
        let chunks = plain.flat_map(|job| job.chunks.iter().map(move |chunk| (job, chunk)));
        Self {
            by_chunk: chunks
                .filter(|(_, chunk)| needed.contains(&chunk.id))
                .map(|(job, chunk)| (chunk.id, (job, chunk)))
                .collect(),
            kept: Mutex::default(),
        }
    }

    /// The bytes of a base; `None` when no job has it or it does not come
    /// whole: whoever opens the block with it says so by name.
    pub(super) fn get(&self, base: &ChunkRef, source: &dyn Source, gate: &Gate) -> Option<Vec<u8>> {
        let (job, chunk) = *self.by_chunk.get(&base.id)?;
        let block = match self.kept(&job.place.block) {
            Some(block) => block,
            None => {
                let stored = gate.pass(|| source.block(&job.place)).ok()?;
                let block = Arc::new(block::open(&job.place, &stored).ok()?);
                self.keep(&block);
                block
            }
        };
        block.chunk(chunk).ok().map(<[u8]>::to_vec)
    }

    fn kept(&self, block: &BlockId) -> Option<Arc<OpenBlock>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .find(|(id, _)| id == block)
            .map(|(_, open)| Arc::clone(open))
    }

    fn keep(&self, block: &Arc<OpenBlock>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((block.place().block, Arc::clone(block)));
    }
}
