//! Blocks that came become packs of the share, and are indexed as they are stored.

use std::collections::HashSet;

use super::ImportError;
use crate::block::{self, OpenBlock, SealedBlock};
use crate::file::{BlockHead, lean};
use crate::ids::{ChunkId, ChunkRef, PackId, SegmentId};
use crate::index::{Index, Segment};
use crate::ingest::guard::Guard;
use crate::job::BlockJob;
use crate::pack::PackBuilder;
use crate::share::ChunkReader;
use crate::store::Store;

/// As an ingest: a pack is built in memory, on small machines too.
const PACK_TARGET: u64 = 64 << 20;
/// An import that lost its machine passes over what was indexed before: at
/// most 256 MiB come again.
const PACKS_A_SEGMENT: usize = 4;

/// What the share has, and what is on its way into it.
pub(super) struct Packs<'s> {
    store: &'s dyn Store,
    guard: Guard<'s>,
    index: Index,
    /// Opens bases.
    reader: ChunkReader,
    /// Chunks in blocks that no segment knows yet.
    pending: HashSet<ChunkId>,
    pack: PackBuilder,
    /// Packs that are stored and wait for a segment.
    stored: Vec<BlockJob>,
    stored_packs: usize,
}

impl<'s> Packs<'s> {
    pub(super) fn new(store: &'s dyn Store) -> Result<Self, ImportError> {
        let (guard, index) = Guard::begin(store)?;
        Ok(Self {
            store,
            guard,
            index,
            reader: ChunkReader::default(),
            pending: HashSet::new(),
            pack: PackBuilder::new(),
            stored: Vec::new(),
            stored_packs: 0,
        })
    }

    /// Whether nothing of a block is new; if so, the images count on what is here.
    pub(super) fn has_all(&mut self, chunks: &[(ChunkId, u32)]) -> Result<bool, ImportError> {
        self.guard.beat()?;
        let mut used = Vec::new();
        for (id, _) in chunks {
            if self.pending.contains(id) {
                continue;
            }
            match self.index.find(id) {
                Some((place, _)) => used.push(place.pack),
                None => return Ok(false),
            }
        }
        used.into_iter().for_each(|pack| self.guard.uses(pack));
        Ok(true)
    }

    /// The images count on something in this pack.
    pub(super) fn uses(&mut self, pack: PackId) {
        self.guard.uses(pack);
    }

    /// What keeps a collection away, for the end of the import.
    pub(super) fn guard(&mut self) -> &mut Guard<'s> {
        &mut self.guard
    }

    /// Opens a block that came. Bases that wait in an unfinished pack are
    /// stored first, so that they are found as all others.
    pub(super) fn open(&mut self, job: &BlockJob, stored: &[u8]) -> Result<OpenBlock, ImportError> {
        let told = block::bases(stored).ok();
        if told.is_some_and(|told| told != job.bases) {
            let place = job.place;
            return Err(ImportError::Bases { place });
        }
        if job.bases.iter().any(|base| self.pending.contains(&base.id)) {
            self.flush()?;
        }
        let (reader, index) = (&self.reader, &self.index);
        Ok(lean::open(reader, index, self.store, job, stored)?)
    }

    /// Whether all bases of a block stand in blocks that need none: leaning is one deep.
    pub(super) fn can_lean(&mut self, job: &BlockJob) -> bool {
        let place = |base: &ChunkRef| self.index.find_plain(&base.id).map(|(place, _)| place.pack);
        let places: Option<Vec<PackId>> = job.bases.iter().map(place).collect();
        let Some(packs) = places else {
            return false;
        };
        packs.into_iter().for_each(|pack| self.guard.uses(pack));
        true
    }

    /// Keeps a block that was checked.
    pub(super) fn push(&mut self, head: &BlockHead, bytes: Vec<u8>) -> Result<(), ImportError> {
        let sealed = SealedBlock {
            id: head.block,
            bytes,
            raw: head.raw,
            bases: head.bases.clone(),
        };
        self.pack.push(&sealed, &head.chunks)?;
        self.pending.extend(head.chunks.iter().map(|(id, _)| *id));
        if self.pack.len() >= PACK_TARGET {
            self.store_pack()?;
        }
        if self.stored_packs >= PACKS_A_SEGMENT {
            self.store_segment()?;
        }
        Ok(())
    }

    /// Stores and indexes all that came.
    pub(super) fn flush(&mut self) -> Result<(), ImportError> {
        self.store_pack()?;
        self.store_segment()
    }

    fn store_pack(&mut self) -> Result<(), ImportError> {
        let full = std::mem::take(&mut self.pack);
        if full.is_empty() {
            return Ok(());
        }
        let pack = full.finish()?;
        self.guard.beat()?;
        self.store.put_pack(&pack.id, &pack.bytes)?;
        self.guard.uses(pack.id);
        self.stored.extend(pack.jobs);
        self.stored_packs += 1;
        Ok(())
    }

    /// Only now, with their packs durable, may others find these chunks.
    fn store_segment(&mut self) -> Result<(), ImportError> {
        let jobs = std::mem::take(&mut self.stored);
        self.stored_packs = 0;
        if jobs.is_empty() {
            return Ok(());
        }
        let segment = Segment::decode(Segment::encode_salted(&jobs, 0, self.guard.salt())?)?;
        let id = SegmentId::of(segment.bytes());
        self.store.put_index(&id, segment.bytes())?;
        for chunk in jobs.iter().flat_map(|job| &job.chunks) {
            self.pending.remove(&chunk.id);
        }
        self.index.add(segment);
        Ok(())
    }
}
