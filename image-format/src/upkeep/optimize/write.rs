//! Blocks are compressed together, packs stored, then indexed.

use std::thread;

use super::{OptimizeError, OptimizeOptions, OptimizeProgress};
use crate::block::{FilterChoice, SealError, SealOptions, SealedBlock, seal};
use crate::ids::{ChunkId, ChunkRef, SegmentId};
use crate::index::Segment;
use crate::job::BlockJob;
use crate::lane::Gathered;
use crate::pack::{Pack, PackBuilder};
use crate::store::Store;
use crate::store::trash::unlike;

/// What was stored is indexed after so many packs: a later run need not do it again.
const PACKS_A_SEGMENT: usize = 4;

/// A block to be made.
#[derive(Default)]
pub(super) struct Task {
    pub(super) raw: Vec<u8>,
    pub(super) chunks: Vec<(ChunkId, u32)>,
    pub(super) filter: FilterChoice,
    pub(super) bases: Vec<(ChunkRef, Vec<u8>)>,
    /// Its chunks were written again before: without bases nothing is gained.
    pub(super) only_with_bases: bool,
}

impl Task {
    pub(super) fn plain(block: Gathered) -> Self {
        Self {
            raw: block.raw,
            chunks: block.chunks,
            filter: block.class.filter(),
            bases: Vec::new(),
            only_with_bases: false,
        }
    }

    fn seal(&self, options: &OptimizeOptions) -> Result<SealedBlock, SealError> {
        let bases: Vec<(ChunkRef, &[u8])> = self
            .bases
            .iter()
            .map(|(base, bytes)| (*base, bytes.as_slice()))
            .collect();
        seal(
            &self.raw,
            &SealOptions {
                chunks: u32::try_from(self.chunks.len()).unwrap_or(u32::MAX),
                profile: options.profile,
                filter: self.filter,
                bases: &bases,
                // The old block may be given up for this one.
                verify: true,
            },
        )
    }
}

pub(super) struct Writer<'s> {
    store: &'s dyn Store,
    options: OptimizeOptions,
    threads: usize,
    generation: u64,
    batch: Vec<Task>,
    pack: PackBuilder,
    /// Blocks that are stored and wait for a segment.
    stored: Vec<BlockJob>,
    stored_packs: usize,
}

impl<'s> Writer<'s> {
    pub(super) fn new(
        store: &'s dyn Store,
        options: OptimizeOptions,
        threads: usize,
        generation: u64,
    ) -> Self {
        let pack_target = options.pack_target.min(crate::pack::MAX_PACK / 2);
        Self {
            store,
            options: OptimizeOptions {
                pack_target,
                ..options
            },
            threads,
            generation,
            batch: Vec::new(),
            pack: PackBuilder::new(),
            stored: Vec::new(),
            stored_packs: 0,
        }
    }

    /// Takes a block; says whether it made some now.
    pub(super) fn push(
        &mut self,
        task: Task,
        progress: &mut OptimizeProgress,
    ) -> Result<bool, OptimizeError> {
        self.batch.push(task);
        let full = self.batch.len() >= self.threads;
        if full {
            self.flush(progress)?;
        }
        Ok(full)
    }

    /// Makes every block that waits, one a thread.
    pub(super) fn flush(&mut self, progress: &mut OptimizeProgress) -> Result<(), OptimizeError> {
        let batch = std::mem::take(&mut self.batch);
        let options = &self.options;
        let sealed: Vec<_> = thread::scope(|scope| {
            let running: Vec<_> = batch
                .iter()
                .map(|task| scope.spawn(move || task.seal(options)))
                .collect();
            running
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .collect()
        });
        for (task, sealed) in batch.iter().zip(sealed) {
            let sealed = sealed.map_err(|_| OptimizeError::Thread)??;
            self.pack_block(task, &sealed, progress)?;
        }
        Ok(())
    }

    fn pack_block(
        &mut self,
        task: &Task,
        sealed: &SealedBlock,
        progress: &mut OptimizeProgress,
    ) -> Result<(), OptimizeError> {
        let chunks = task.chunks.len() as u64;
        progress.done += chunks;
        progress.read += task.raw.len() as u64;
        if task.only_with_bases && sealed.bases.is_empty() {
            return Ok(());
        }
        if !sealed.bases.is_empty() {
            progress.based += chunks;
        }
        progress.stored += sealed.bytes.len() as u64;
        self.pack.push(sealed, &task.chunks)?;
        if self.pack.len() >= self.options.pack_target {
            self.store_pack(progress)?;
        }
        if self.stored_packs >= PACKS_A_SEGMENT {
            self.store_segment()?;
        }
        Ok(())
    }

    fn store_pack(&mut self, progress: &mut OptimizeProgress) -> Result<(), OptimizeError> {
        let full = std::mem::take(&mut self.pack);
        if full.is_empty() {
            return Ok(());
        }
        let Pack { id, bytes, jobs } = full.finish()?;
        self.store.put_pack(&id, &bytes)?;
        self.stored.extend(jobs);
        self.stored_packs += 1;
        progress.packs += 1;
        Ok(())
    }

    /// Only now, with their packs durable, do the new blocks count.
    fn store_segment(&mut self) -> Result<(), OptimizeError> {
        let jobs = std::mem::take(&mut self.stored);
        if jobs.is_empty() {
            return Ok(());
        }
        let bytes = Segment::encode_salted(&jobs, self.generation, unlike())?;
        self.store.put_index(&SegmentId::of(&bytes), &bytes)?;
        self.stored_packs = 0;
        Ok(())
    }

    /// Stores what was made; blocks that still wait are given up.
    pub(super) fn finish(&mut self, progress: &mut OptimizeProgress) -> Result<(), OptimizeError> {
        self.store_pack(progress)?;
        self.store_segment()
    }
}
