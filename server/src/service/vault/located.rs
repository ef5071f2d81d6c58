//! Which chunks a share has, for captures that do not read its index.

use image_format::store::{Store, StoreError};
use image_format::{BlockJob, ChunkId, Index, Segment, fetch_list, with_bases};

use super::shelf::Shelf;
use crate::error::chain;

/// Chunks asked for at once.
pub(super) const MOST: usize = 1 << 16;

/// An index segment of those of the wanted chunks that are there, and of the
/// blocks their bases are taken from: a capture counts on all of its packs.
///
/// # Errors
/// The index cannot be read.
pub(super) fn segment(
    store: &dyn Store,
    shelf: &Shelf,
    wanted: &[[u8; 32]],
) -> Result<Vec<u8>, StoreError> {
    let failed = |error: &dyn std::error::Error| StoreError::Refused {
        what: "index segment",
        name: "list".to_owned(),
        reason: chain(error),
    };
    let index = match wanted {
        // Who asks for nothing asks whether questions are answered.
        [] => Index::default(),
        _ => shelf.to_write(store).map_err(|error| failed(&error))?,
    };
    let ids = wanted.iter().map(|id| ChunkId::new(*id));
    let known = ids.filter(|id| index.find(id).is_some());
    let mut jobs = fetch_list(&index, known).map_err(|error| failed(&error))?;
    jobs.retain(|job| can_be_opened(&index, job));
    let jobs = with_bases(&index, jobs).map_err(|error| failed(&error))?;
    Segment::encode(&jobs).map_err(|error| failed(&error))
}

fn can_be_opened(index: &Index, job: &BlockJob) -> bool {
    let mut bases = job.bases.iter();
    bases.all(|base| index.find_plain(&base.id).is_some())
}
