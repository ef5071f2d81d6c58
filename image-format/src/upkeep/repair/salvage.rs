//! What is whole of one damaged pack.

use std::collections::BTreeSet;

use super::{RepairError, RepairReport};
use crate::block::{self, FilterChoice, SealOptions, SealedBlock};
use crate::ids::{BlockId, ChunkId, PackId, SegmentId};
use crate::index::Segment;
use crate::job::BlockJob;
use crate::pack::{Pack, PackBuilder};
use crate::profile::Profile;
use crate::share::Expander;
use crate::store::trash::unlike;
use crate::store::{Object, Run, Store, StoreError, Trashed};
use crate::upkeep::check::Looked;
use crate::upkeep::tables::{self, TableError};

/// One damaged pack, in use or in the trash already.
pub(super) struct Salvage<'a, 's> {
    pub(super) store: &'a dyn Store,
    pub(super) run: Run,
    pub(super) looked: &'a Looked<'s>,
    pub(super) pack: PackId,
    /// Where the blocks lie that are lost.
    pub(super) lost: &'a BTreeSet<u64>,
    /// Whether it lies among the packs.
    pub(super) is_here: bool,
}

impl Salvage<'_, '_> {
    /// A new pack, then its rows, then the old one goes to the trash: stopped
    /// anywhere, every whole block is found. Says whether anything changed.
    pub(super) fn carry_out(&self, report: &mut RepairReport) -> Result<bool, RepairError> {
        let mut builder = PackBuilder::new();
        let (kept, lost) = self.gather(&mut builder)?;
        if !self.is_here && kept == 0 {
            return Ok(false);
        }
        let new = match builder.is_empty() {
            true => None,
            false => Some(builder.finish()?),
        };
        report.written += u64::from(new.is_some());
        // With all blocks whole it becomes the same pack again, which is not
        // stored as long as the damaged file has its name. Until then its blocks
        // are read in the trash.
        let is_same = new.as_ref().is_some_and(|new| new.id == self.pack);
        if is_same && self.is_here {
            self.condemn()?;
            self.store.settle()?;
        }
        if let Some(new) = new {
            self.put(&new)?;
        }
        if self.is_here {
            if !is_same {
                self.condemn()?;
            }
            report.damaged.push(self.pack);
            report.lost += lost;
        }
        report.kept += kept;
        Ok(true)
    }

    /// Copies what is whole; says how many blocks are, and how many are not.
    fn gather(&self, builder: &mut PackBuilder) -> Result<(u64, u64), RepairError> {
        let jobs = match tables::read(self.store, &self.pack) {
            Ok(tables) => tables.jobs,
            Err(TableError::Store(error @ StoreError::Stopped { .. })) => return Err(error.into()),
            Err(_) => tables::of_index(self.looked.share.index().segments(), &self.pack),
        };
        let wanted = self.wanted();
        let (mut kept, mut lost) = (0, 0);
        for job in &jobs {
            let place = job.place.offset;
            if self.lost.contains(&place) {
                lost += 1;
            } else if self.is_here || wanted.contains(&place) {
                match self.copy(job, builder)? {
                    true => kept += 1,
                    false => lost += 1,
                }
            }
        }
        Ok((kept, lost))
    }

    /// The blocks of this pack that images need and find nowhere else.
    fn wanted(&self) -> BTreeSet<u64> {
        let segments = self.looked.share.index().segments();
        let mut places = BTreeSet::new();
        for (number, segment) in segments.iter().enumerate() {
            let rows = self.looked.marks.rows(number);
            let blocks = rows.filter_map(|row| segment.block_row(segment.chunk_row(row)?.1));
            let own = blocks.filter(|(place, _)| place.pack == self.pack);
            places.extend(own.map(|(place, _)| place.offset));
        }
        places
    }

    /// Appends a block as it is stored; `false` when it cannot be read as such.
    fn copy(&self, job: &BlockJob, builder: &mut PackBuilder) -> Result<bool, RepairError> {
        let place = &job.place;
        let bytes = match self
            .store
            .read_pack_part(&self.pack, place.offset, place.stored)
        {
            Ok(bytes) => bytes,
            Err(error @ StoreError::Stopped { .. }) => return Err(error.into()),
            Err(_) => return Ok(false),
        };
        if BlockId::of(&bytes) != place.block {
            return Ok(false);
        }
        let chunks: Vec<(ChunkId, u32)> = job
            .chunks
            .iter()
            .map(|chunk| (chunk.id, chunk.length))
            .collect();
        let known: u64 = chunks.iter().map(|(_, length)| u64::from(*length)).sum();
        if known != u64::from(place.raw) {
            return self.copy_known(job, &bytes, &chunks, builder);
        }
        let sealed = SealedBlock {
            id: place.block,
            bytes,
            raw: place.raw,
            bases: job.bases.clone(),
        };
        builder.push(&sealed, &chunks)?;
        Ok(true)
    }

    /// The tables are lost, and the index knows some of the block's chunks only:
    /// these make a block of their own.
    fn copy_known(
        &self,
        job: &BlockJob,
        stored: &[u8],
        chunks: &[(ChunkId, u32)],
        builder: &mut PackBuilder,
    ) -> Result<bool, RepairError> {
        let expander = Expander::new(self.looked.share.index(), self.store);
        let Ok(open) = expander.open(&job.place, stored) else {
            return Ok(false);
        };
        let mut raw = Vec::new();
        for chunk in &job.chunks {
            match open.chunk(chunk) {
                Ok(bytes) => raw.extend_from_slice(bytes),
                Err(_) => return Ok(false),
            }
        }
        let options = SealOptions {
            chunks: u32::try_from(chunks.len()).unwrap_or(u32::MAX),
            profile: Profile::default(),
            filter: FilterChoice::None,
            bases: &[],
            verify: true,
        };
        builder.push(&block::seal(&raw, &options)?, chunks)?;
        Ok(true)
    }

    fn put(&self, new: &Pack) -> Result<(), RepairError> {
        self.store.put_pack(&new.id, &new.bytes)?;
        let segment = Segment::encode_salted(&new.jobs, self.generation(), unlike())?;
        self.store.put_index(&SegmentId::of(&segment), &segment)?;
        Ok(())
    }

    /// What counts before what stays as it was: a pack in use counts before one
    /// in the trash whatever their generation.
    fn generation(&self) -> u64 {
        let segments = self.looked.share.index().segments().iter();
        let tell = segments.filter(|segment| segment.packs().any(|known| known == self.pack));
        tell.map(Segment::generation).max().unwrap_or(0)
    }

    fn condemn(&self) -> Result<bool, StoreError> {
        self.store.condemn(&Trashed {
            run: self.run,
            object: Object::Pack(self.pack),
        })
    }
}
