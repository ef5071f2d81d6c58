//! The index of a share, kept open between questions.

use std::sync::{Mutex, PoisonError};

use image_format::Index;
use image_format::index::{IndexError, KnownSegments};
use image_format::store::Store;

/// Chunks whose rows are kept. Segments are mapped files, so one costs about
/// two bytes of memory; a share with more answers slowly.
const MOST_CHUNKS: u64 = 64 << 20;

/// Segments that were read once. Which there are, and which packs, is looked
/// at for every question, so whatever changed is seen.
#[derive(Debug)]
pub(crate) struct Shelf {
    known: Mutex<KnownSegments>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            known: Mutex::new(KnownSegments::new(MOST_CHUNKS)),
        }
    }
}

impl Shelf {
    /// The index for reading: what is in the trash counts.
    ///
    /// # Errors
    /// The store failed, or a segment is damaged.
    pub(super) fn to_read(&self, store: &dyn Store) -> Result<Index, IndexError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Index::load_again(store, &mut known)
    }

    /// The index for captures: what is in the trash does not count.
    ///
    /// # Errors
    /// The store failed, or a segment is damaged.
    pub(super) fn to_write(&self, store: &dyn Store) -> Result<Index, IndexError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Index::load_to_write_again(store, &mut known)
    }
}
