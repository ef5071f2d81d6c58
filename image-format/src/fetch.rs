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
    let mut jobs = Jobs::new();
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
    Ok(in_order(jobs))
}

type Jobs = BTreeMap<(PackId, u64), BlockJob>;

fn in_order(jobs: Jobs) -> Vec<BlockJob> {
    let mut jobs: Vec<BlockJob> = jobs.into_values().collect();
    for job in &mut jobs {
        job.chunks
            .sort_by_key(|chunk| (chunk.offset, chunk.length, chunk.id));
        job.chunks.dedup();
    }
    jobs
}

/// `jobs` and the blocks their bases are taken from, so that an index over the
/// answer is enough to open every one of `jobs`. What is wanted of a block for
/// being a base stands among its chunks.
///
/// # Errors
/// The first base that is in no block without bases.
pub fn with_bases(index: &Index, jobs: Vec<BlockJob>) -> Result<Vec<BlockJob>, MissingChunk> {
    let bases: BTreeSet<ChunkId> = jobs
        .iter()
        .flat_map(|job| job.bases.iter().map(|base| base.id))
        .collect();
    let mut all: Jobs = jobs
        .into_iter()
        .map(|job| ((job.place.pack, job.place.offset), job))
        .collect();
    for id in bases {
        let (place, chunk) = index.find_plain(&id).ok_or(MissingChunk { id })?;
        let job = all.entry((place.pack, place.offset));
        job.or_insert_with(|| BlockJob::new(place))
            .chunks
            .push(chunk);
    }
    Ok(in_order(all))
}
