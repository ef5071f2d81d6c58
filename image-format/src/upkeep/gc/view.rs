//! What a share holds and what its images need of it, at one moment.
//!
//! The order matters: trash, seals and leases are read before the refs, so that
//! what a holder of a lease that ended has committed is seen; refs before the
//! index, so that every image seen is wholly indexed.

use std::collections::{BTreeMap, BTreeSet};

use super::GcError;
use super::seal::{self, Seal};
use crate::fetch::MissingChunk;
use crate::ids::{ImageId, PackId};
use crate::image::ImageRecord;
use crate::index::{Index, Located, Presence};
use crate::share::{Share, ShareError};
use crate::store::{LeaseId, Object, RefName, Run, Store, StoreError, Trashed};
use crate::upkeep::leases::{self, Seen};
use crate::upkeep::mark::Marks;

/// Of a block of which less than half is needed, only that is kept.
const HALF: u64 = 2;

/// One moment of a share.
pub(super) struct View<'s> {
    pub(super) trash: Vec<Trashed>,
    pub(super) seals: BTreeMap<Run, Seal>,
    /// But for the collection's own.
    pub(super) leases: BTreeMap<LeaseId, Seen>,
    pub(super) packs: Vec<PackId>,
    pub(super) manifests: Vec<ImageId>,
    pub(super) share: Share<&'s dyn Store>,
    pub(super) marks: Marks,
    pub(super) images: BTreeSet<ImageId>,
    /// Stored bytes that a rewritten pack would keep, for every pack of which
    /// something is needed.
    pub(super) kept: BTreeMap<PackId, u64>,
    /// Packs that are needed and lie nowhere but in the trash.
    pub(super) in_trash: BTreeSet<PackId>,
}

impl<'s> View<'s> {
    pub(super) fn read(store: &'s dyn Store, own: Option<&Run>) -> Result<Self, GcError> {
        let trash = store.list_trash()?;
        let seals = seal::read_all(store)?;
        let mut leases = leases::look(store)?;
        leases.retain(|id, lease| !lease.gone && own.is_none_or(|run| run.number != id.number()));
        let (packs, manifests) = (store.list_packs()?, store.list_manifests()?);
        let share = Share::open(store)?;
        if let Some(lost) = share.unreadable().first() {
            return Err(lost.clone().into());
        }
        let marks = Marks::new(share.index());
        let mut view = Self {
            trash,
            seals,
            leases,
            packs,
            manifests,
            share,
            marks,
            images: BTreeSet::new(),
            kept: BTreeMap::new(),
            in_trash: BTreeSet::new(),
        };
        view.mark()?;
        view.weigh();
        Ok(view)
    }

    /// Whether the collection with this run goes on.
    pub(super) fn is_at_work(&self, run: &Run) -> bool {
        self.leases.keys().any(|id| id.number() == run.number)
    }

    fn mark(&mut self) -> Result<(), GcError> {
        let records: Vec<ImageRecord> = self.share.records().cloned().collect();
        for record in records {
            self.images.insert(record.image);
            match self.mark_image(&record) {
                Ok(()) => {}
                // Deleted since the list was read: another run may already take it away.
                Err(_) if self.was_deleted(&record)? => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn mark_image(&mut self, record: &ImageRecord) -> Result<(), GcError> {
        let missing = |source: MissingChunk| GcError::Missing {
            image: place(record).to_string(),
            source,
        };
        let chunks = match self.share.image_chunks(record) {
            Ok(chunks) => chunks,
            Err(ShareError::Missing(source)) => return Err(missing(source)),
            Err(error) => return Err(error.into()),
        };
        let index = self.share.index();
        for chunk in chunks {
            let in_trash = &mut self.in_trash;
            let found = &mut |at: Located| {
                if at.presence == Presence::Trashed {
                    in_trash.insert(at.place.pack);
                }
            };
            self.marks
                .mark_with_bases(index, &chunk.id, found)
                .map_err(missing)?;
        }
        Ok(())
    }

    fn was_deleted(&self, record: &ImageRecord) -> Result<bool, StoreError> {
        let refs = self.share.store().list_refs()?;
        Ok(refs.binary_search(&place(record)).is_err())
    }

    /// Adds up what would be kept of every pack.
    fn weigh(&mut self) {
        let index = self.share.index();
        for (number, segment) in index.segments().iter().enumerate() {
            for (block, live) in live_of_blocks(index, &self.marks, number) {
                let Some((place, _)) = segment.block_row(block) else {
                    continue;
                };
                let (stored, raw) = (u64::from(place.stored), u64::from(place.raw));
                let kept = match live * HALF >= raw {
                    true => stored,
                    false => stored * live / raw.max(1),
                };
                *self.kept.entry(place.pack).or_default() += kept.max(1);
            }
        }
    }

    /// Whether it may be destroyed: no image needs it, or needs another copy.
    pub(super) fn is_dead(&self, object: &Object) -> bool {
        match object {
            Object::Pack(id) => !self.in_trash.contains(id),
            Object::Manifest(id) => {
                !self.images.contains(id) || self.manifests.binary_search(id).is_ok()
            }
        }
    }
}

fn place(record: &ImageRecord) -> RefName {
    RefName {
        name: record.name.clone(),
        sequence: record.sequence,
    }
}

/// The blocks of a segment of which something is needed, and how many raw bytes.
pub(super) fn live_of_blocks(
    index: &Index,
    marks: &Marks,
    segment: usize,
) -> impl Iterator<Item = (u32, u64)> {
    let rows = index.segments().get(segment);
    let mut live = vec![0_u64; rows.map_or(0, |rows| rows.blocks() as usize)];
    for row in marks.rows(segment) {
        let Some((chunk, block)) = rows.and_then(|rows| rows.chunk_row(row)) else {
            continue;
        };
        if let Some(bytes) = live.get_mut(block as usize) {
            *bytes += u64::from(chunk.length);
        }
    }
    (0..).zip(live).filter(|(_, bytes)| *bytes > 0)
}
