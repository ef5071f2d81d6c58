//! What an image needs to be whole.

use std::collections::HashSet;

use crate::ids::{ChunkId, ChunkRef};
use crate::image::ImageRecord;
use crate::manifest::bundle;
use crate::share::{Share, ShareError};
use crate::store::Store;

/// Every chunk of an image, and which of them tell of the others.
pub(super) struct Need {
    /// Contents, directories, leaves, lists, witnesses; each once.
    pub(super) all: Vec<ChunkRef>,
    /// Directories, leaves and lists: who reads a stream wants these first.
    pub(super) manifest: HashSet<ChunkId>,
}

/// Reads an image's manifest through and names every chunk.
pub(super) fn of<S: Store>(share: &Share<S>, record: &ImageRecord) -> Result<Need, ShareError> {
    let damaged = |source| ShareError::Manifest {
        id: record.image,
        source,
    };
    let mut manifest = HashSet::new();
    bundle::walk(&share.root(&record.image)?, &mut |chunk| {
        manifest.insert(chunk.id);
        share.manifest_chunk(chunk)
    })
    .map_err(damaged)?;
    Ok(Need {
        all: share.image_chunks(record)?,
        manifest,
    })
}
