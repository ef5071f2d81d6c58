//! What a pack says of itself, read from its end.

use std::cmp::Reverse;

use thiserror::Error;

use crate::ids::PackId;
use crate::index::Segment;
use crate::job::BlockJob;
use crate::pack::{self, PackError, TRAILER_LENGTH};
use crate::store::{Store, StoreError};

/// A pack's end cannot be used.
#[derive(Debug, Error)]
pub(crate) enum TableError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Trailer or tables are wrong.
    #[error(transparent)]
    Pack(#[from] PackError),
}

/// The bytes after the last block, and what they say.
pub(crate) struct Tables {
    /// Length of the file.
    pub(crate) length: u64,
    pub(crate) tail: Vec<u8>,
    pub(crate) jobs: Vec<BlockJob>,
}

/// Reads trailer and tables; no block is touched.
pub(crate) fn read<S: Store + ?Sized>(store: &S, id: &PackId) -> Result<Tables, TableError> {
    let length = store.pack_facts(id)?.length;
    if length > pack::MAX_PACK {
        return Err(PackError::TooLong { found: length }.into());
    }
    let end = length.min(TRAILER_LENGTH as u64);
    let trailer = part(store, id, length, end)?;
    // No longer than the file, or the trailer would have been refused.
    let wanted = pack::tail_length(length, &trailer)?;
    let tail = part(store, id, length, wanted.min(length))?;
    let jobs = pack::reindex(id, length, &tail)?;
    Ok(Tables { length, tail, jobs })
}

/// What the index tells of a pack whose own tables are lost. Of several rows for
/// one place the one with the most chunks counts.
pub(crate) fn of_index(segments: &[Segment], id: &PackId) -> Vec<BlockJob> {
    let jobs = segments.iter().flat_map(Segment::jobs);
    let mut found: Vec<BlockJob> = jobs.filter(|job| job.place.pack == *id).collect();
    found.sort_by_key(|job| (job.place.offset, Reverse(job.chunks.len())));
    found.dedup_by_key(|job| job.place.offset);
    found
}

/// The last bytes of a pack.
fn part<S: Store + ?Sized>(
    store: &S,
    id: &PackId,
    length: u64,
    wanted: u64,
) -> Result<Vec<u8>, StoreError> {
    let bytes = u32::try_from(wanted).unwrap_or(u32::MAX);
    store.read_pack_part(id, length.saturating_sub(wanted), bytes)
}
