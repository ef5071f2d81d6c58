//! Packs of which little is needed: what is needed moves to new packs.
//!
//! A block of which half is needed is copied as it is stored; of others the
//! needed chunks are gathered into new blocks.

use std::collections::{BTreeMap, BTreeSet};

use super::amounts::{Amount, there};
use super::view::View;
use super::{GcError, GcOptions};
use crate::block::{self, FilterChoice, SealOptions, SealedBlock};
use crate::ids::{BlockId, ChunkId, ChunkRef, PackId, SegmentId};
use crate::index::Segment;
use crate::job::{BlockJob, ChunkInBlock};
use crate::pack::{self, Pack, PackBuilder};
use crate::store::trash::unlike;
use crate::store::{BlockPlace, Store};

/// The needed chunks of a block, by pack and offset.
pub(super) type Needed = BTreeMap<(PackId, u64), Vec<ChunkInBlock>>;

/// Moves what is needed of packs into new ones.
pub(super) struct Rewriter<'v, 's> {
    store: &'s dyn Store,
    view: &'v View<'s>,
    options: &'v GcOptions,
    needed: Needed,
    builder: PackBuilder,
    /// Chunks that wait for a block of their own.
    raw: Vec<u8>,
    chunks: Vec<(ChunkId, u32)>,
    jobs: Vec<BlockJob>,
    generation: u64,
    done: Rewritten,
}

/// What was rewritten.
#[derive(Default)]
pub(super) struct Rewritten {
    /// Packs that nobody needs any more.
    pub(super) packs: Vec<PackId>,
    pub(super) written: Amount,
    pub(super) damaged: Amount,
}

impl<'v, 's> Rewriter<'v, 's> {
    pub(super) fn new(
        store: &'s dyn Store,
        view: &'v View<'s>,
        options: &'v GcOptions,
        packs: &[PackId],
    ) -> Self {
        Self {
            store,
            view,
            options,
            needed: needed(view, packs),
            builder: PackBuilder::new(),
            raw: Vec::new(),
            chunks: Vec::new(),
            jobs: Vec::new(),
            generation: 0,
            done: Rewritten::default(),
        }
    }

    /// Takes what is needed of a pack. One that is damaged is left alone: it is
    /// evidence, and perhaps somebody can mend it.
    pub(super) fn pack(&mut self, id: &PackId) -> Result<(), GcError> {
        let Some(bytes) = there(self.store.read_pack(id))? else {
            return Ok(());
        };
        let whole = PackId::of(&bytes) == *id;
        let Some(jobs) = pack::decode(id, &bytes).ok().filter(|_| whole) else {
            self.done.damaged.add(bytes.len() as u64);
            return Ok(());
        };
        let generation = self.generation_of(id);
        if generation != self.generation {
            // What counts before what stays as it was.
            self.store_segment()?;
            self.generation = generation;
        }
        for job in &jobs {
            let live = self.needed.remove(&(*id, job.place.offset));
            if let Some(live) = live {
                self.block(job, &bytes, &live)?;
            }
        }
        self.done.packs.push(*id);
        Ok(())
    }

    fn generation_of(&self, pack: &PackId) -> u64 {
        let segments = self.view.share.index().segments().iter();
        let tell = segments.filter(|segment| segment.packs().any(|known| known == *pack));
        tell.map(Segment::generation).max().unwrap_or(0)
    }

    fn block(&mut self, job: &BlockJob, pack: &[u8], live: &[ChunkInBlock]) -> Result<(), GcError> {
        if is_copied(live, &job.place) {
            return self.copy(job, pack);
        }
        for chunk in live {
            let at = ChunkRef {
                id: chunk.id,
                length: chunk.length,
            };
            let bytes = self.view.share.chunk(&at)?;
            if self.raw.len() + bytes.len() > self.options.profile.block_limit() {
                self.seal()?;
            }
            self.raw.extend_from_slice(&bytes);
            self.chunks.push((chunk.id, chunk.length));
        }
        Ok(())
    }

    /// The pack's hash was right, so its blocks are.
    fn copy(&mut self, job: &BlockJob, pack: &[u8]) -> Result<(), GcError> {
        let start = usize::try_from(job.place.offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(job.place.stored as usize);
        let bytes = pack.get(start..end).unwrap_or_default().to_vec();
        let sealed = SealedBlock {
            id: BlockId::of(&bytes),
            bytes,
            raw: job.place.raw,
            bases: job.bases.clone(),
        };
        let chunks: Vec<_> = job
            .chunks
            .iter()
            .map(|chunk| (chunk.id, chunk.length))
            .collect();
        self.push(&sealed, &chunks)
    }

    fn seal(&mut self) -> Result<(), GcError> {
        if self.raw.is_empty() {
            return Ok(());
        }
        let (raw, chunks) = (
            std::mem::take(&mut self.raw),
            std::mem::take(&mut self.chunks),
        );
        let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        let options = SealOptions {
            chunks: count,
            profile: self.options.profile,
            filter: FilterChoice::None,
            bases: &[],
            // The old block goes: the new one is opened once before.
            verify: true,
        };
        let sealed = block::seal(&raw, &options)?;
        self.push(&sealed, &chunks)
    }

    fn push(&mut self, sealed: &SealedBlock, chunks: &[(ChunkId, u32)]) -> Result<(), GcError> {
        self.builder.push(sealed, chunks)?;
        match self.builder.len() >= self.options.pack_target.min(pack::MAX_PACK / 2) {
            true => self.store_pack(),
            false => Ok(()),
        }
    }

    fn store_pack(&mut self) -> Result<(), GcError> {
        let full = std::mem::take(&mut self.builder);
        if full.is_empty() {
            return Ok(());
        }
        let Pack { id, bytes, jobs } = full.finish()?;
        self.store.put_pack(&id, &bytes)?;
        self.done.written.add(bytes.len() as u64);
        self.jobs.extend(jobs);
        Ok(())
    }

    /// Stores the rest, and the index over all of it: only then may the old
    /// packs be thrown away.
    pub(super) fn finish(mut self) -> Result<Rewritten, GcError> {
        self.store_segment()?;
        Ok(self.done)
    }

    fn store_segment(&mut self) -> Result<(), GcError> {
        self.seal()?;
        self.store_pack()?;
        let jobs = std::mem::take(&mut self.jobs);
        if !jobs.is_empty() {
            let bytes = Segment::encode_salted(&jobs, self.generation, unlike())?;
            self.store.put_index(&SegmentId::of(&bytes), &bytes)?;
        }
        Ok(())
    }
}

/// Whether so much of a block is needed that it is copied as it is.
pub(super) fn is_copied(live: &[ChunkInBlock], place: &BlockPlace) -> bool {
    let needed: u64 = live.iter().map(|chunk| u64::from(chunk.length)).sum();
    needed * 2 >= u64::from(place.raw)
}

/// What is needed of these packs.
pub(super) fn needed(view: &View<'_>, packs: &[PackId]) -> Needed {
    let packs: BTreeSet<&PackId> = packs.iter().collect();
    let index = view.share.index();
    let mut needed = Needed::new();
    for (number, segment) in index.segments().iter().enumerate() {
        for row in view.marks.rows(number) {
            let at = segment
                .chunk_row(row)
                .and_then(|(chunk, block)| Some((chunk, segment.block_row(block)?.0)));
            if let Some((chunk, place)) = at
                && packs.contains(&place.pack)
            {
                needed
                    .entry((place.pack, place.offset))
                    .or_default()
                    .push(chunk);
            }
        }
    }
    needed
        .values_mut()
        .for_each(|chunks| chunks.sort_by_key(|chunk| chunk.offset));
    needed
}
