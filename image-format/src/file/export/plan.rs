//! Which blocks an export copies, and in which order.

use std::collections::HashSet;

use super::{Chunks, ExportError};
use crate::fetch::MissingChunk;
use crate::file::images::ImageRow;
use crate::file::need;
use crate::ids::PackId;
use crate::index::Index;
use crate::job::BlockJob;
use crate::share::Share;
use crate::store::Store;

/// Whole blocks, each once.
pub(super) struct Plan {
    /// In the order they are written.
    pub(super) jobs: Vec<BlockJob>,
}

impl Plan {
    /// What `rows` need and `known` does not hold. A block that is needed in
    /// part is copied whole.
    pub(super) fn new<S: Store>(
        share: &Share<S>,
        rows: &[ImageRow],
        known: &Index,
    ) -> Result<Self, ExportError> {
        let mut seen = Chunks::new();
        let mut wanted: HashSet<(PackId, u64)> = HashSet::new();
        for row in rows {
            for (id, _) in need::chunks(share, &row.record)? {
                if !seen.insert(id) || known.find(&id).is_some() {
                    continue;
                }
                let (place, _) = share.index().find(&id).ok_or(MissingChunk { id })?;
                wanted.insert((place.pack, place.offset));
            }
        }
        Ok(Self {
            jobs: whole_blocks(share.index(), wanted),
        })
    }

    /// Stored bytes of all blocks.
    pub(super) fn stored(&self) -> u64 {
        let stored = self.jobs.iter().map(|job| u64::from(job.place.stored));
        stored.fold(0, u64::saturating_add)
    }
}

/// The blocks at these places with all their chunks, in pack order: what was
/// captured together stays together.
fn whole_blocks(index: &Index, mut wanted: HashSet<(PackId, u64)>) -> Vec<BlockJob> {
    let mut jobs = Vec::new();
    for segment in index.segments() {
        for job in segment.jobs() {
            if wanted.remove(&(job.place.pack, job.place.offset)) {
                jobs.push(job);
            }
        }
    }
    jobs.sort_by_key(|job| (job.place.pack, job.place.offset));
    jobs
}
