//! Which blocks an export copies, and in which order.

use std::collections::{HashMap, HashSet};

use super::ExportError;
use crate::fetch::MissingChunk;
use crate::file::images::ImageRow;
use crate::file::need;
use crate::ids::{BlockId, ChunkId, ChunkRef, PackId};
use crate::index::Index;
use crate::job::BlockJob;
use crate::share::Share;
use crate::store::Store;

/// Whole blocks, each once.
pub(super) struct Plan {
    /// In the order they are written.
    pub(super) jobs: Vec<BlockJob>,
    /// Of these, the ones whose bases do not come along: they are compressed
    /// anew to stand alone.
    pub(super) alone: HashSet<BlockId>,
}

impl Plan {
    /// What `rows` need and `known` does not hold. A block that is needed in
    /// part is copied whole.
    pub(super) fn new<S: Store>(
        share: &Share<S>,
        rows: &[ImageRow],
        known: &Index,
    ) -> Result<Self, ExportError> {
        let mut wanted: HashMap<(PackId, u64), bool> = HashMap::new();
        for row in rows {
            let need = need::of(share, &row.record)?;
            for ChunkRef { id, .. } in &need.all {
                if known.find(id).is_some() {
                    continue;
                }
                let (place, _) = share.index().find(id).ok_or(MissingChunk { id: *id })?;
                let tells = wanted.entry((place.pack, place.offset)).or_default();
                *tells |= need.manifest.contains(id);
            }
        }
        let (jobs, alone) = leaning_last(whole_blocks(share.index(), wanted), known);
        Ok(Self { jobs, alone })
    }

    /// Stored bytes of all blocks.
    pub(super) fn stored(&self) -> u64 {
        let stored = self.jobs.iter().map(|job| u64::from(job.place.stored));
        stored.fold(0, u64::saturating_add)
    }
}

/// The blocks at these places with all their chunks: those that tell of others
/// first, then in pack order, so that what was captured together stays together.
fn whole_blocks(index: &Index, mut wanted: HashMap<(PackId, u64), bool>) -> Vec<BlockJob> {
    let mut jobs = Vec::new();
    for segment in index.segments() {
        for job in segment.jobs() {
            if let Some(tells) = wanted.remove(&(job.place.pack, job.place.offset)) {
                jobs.push((!tells, job));
            }
        }
    }
    jobs.sort_by_key(|(last, job)| (*last, job.place.pack, job.place.offset));
    jobs.into_iter().map(|(_, job)| job).collect()
}

/// Blocks that lean on others go behind all that stand alone. Only those whose
/// bases the file has in blocks that stand alone may go on leaning: to bring
/// the bases for their sake would cost more than it saves.
fn leaning_last(jobs: Vec<BlockJob>, known: &Index) -> (Vec<BlockJob>, HashSet<BlockId>) {
    let (mut jobs, leaning): (Vec<_>, Vec<_>) =
        jobs.into_iter().partition(|job| job.bases.is_empty());
    if leaning.is_empty() {
        return (jobs, HashSet::new());
    }
    let standing: HashSet<ChunkId> = jobs
        .iter()
        .flat_map(|job| job.chunks.iter().map(|chunk| chunk.id))
        .collect();
    let here =
        |base: &ChunkRef| standing.contains(&base.id) || known.find_plain(&base.id).is_some();
    let left_alone = leaning.iter().filter(|job| !job.bases.iter().all(here));
    let alone = left_alone.map(|job| job.place.block).collect();
    jobs.extend(leaning);
    (jobs, alone)
}
