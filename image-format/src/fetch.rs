//! Wanted chunks become blocks to fetch: each once, in the order they lie.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::ids::{ChunkId, PackId};
use crate::index::Index;
use crate::job::BlockJob;

/// A chunk that no block holds: the store is incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("chunk {id} is in no block of the index")]
pub struct MissingChunk {
    /// Which.
    pub id: ChunkId,
}

/// The blocks that hold `wanted`, each once, in pack order.
///
/// # Errors
/// The first chunk that is nowhere.
pub fn fetch_list(
    index: &Index,
    wanted: impl Iterator<Item = ChunkId>,
) -> Result<Vec<BlockJob>, MissingChunk> {
    let mut seen = BTreeSet::new();
    let mut jobs: BTreeMap<(PackId, u64), BlockJob> = BTreeMap::new();
    for id in wanted.filter(|id| seen.insert(*id)) {
        let (place, chunk) = index.find(&id).ok_or(MissingChunk { id })?;
        let job = jobs.entry((place.pack, place.offset));
        job.or_insert_with(|| BlockJob {
            bases: index.bases(&place),
            ..BlockJob::new(place)
        })
        .chunks
        .push(chunk);
    }
    let mut jobs: Vec<BlockJob> = jobs.into_values().collect();
    jobs.iter_mut()
        .for_each(|job| job.chunks.sort_by_key(|chunk| chunk.offset));
    Ok(jobs)
}
