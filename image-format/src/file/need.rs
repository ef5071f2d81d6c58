//! What an image needs to be whole.

use crate::ids::ChunkId;
use crate::image::ImageRecord;
use crate::share::{Share, ShareError};
use crate::store::Store;

/// Every chunk of an image with its length; some twice.
pub(super) fn chunks<S: Store>(
    share: &Share<S>,
    record: &ImageRecord,
) -> Result<Vec<(ChunkId, u32)>, ShareError> {
    Ok(share.manifest(&record.image)?.chunks().collect())
}
