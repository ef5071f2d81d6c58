//! The manifest's codec: a small root, directories, and leaves of entries.
//!
//! ```text
//! root (a file, at most 64 KiB) -> parts of a volume's directory -> leaves of about 1024 entries
//!                                  (chunks in blocks, like the contents of files)
//! ```
//! Leaves are cut where the hash of a path says so: two captures of one system
//! share all leaves in which nothing changed. The [`ImageId`] is the hash of
//! the root, so it names exactly what an apply writes.

pub mod bundle;
mod check;
pub mod directory;
mod disk;
mod kinds;
mod list;
mod read;
mod root;
mod table;
mod tree;
pub mod witness;
mod write;

use thiserror::Error;

use crate::bytes::CutOff;
use crate::entry::Entry;
use crate::ids::{ChunkId, ChunkRef, ImageId};
use crate::image::Manifest;

pub use check::TreeCheck;
pub use root::{MAX_ROOT, Root, VolumeRoot};
pub use tree::{ImageBuilder, Part};
pub use witness::Witness;

/// The id of the image whose manifest these bytes begin.
///
/// # Errors
/// They are not the beginning of a manifest.
pub fn image_id(bytes: &[u8]) -> Result<ImageId, ManifestError> {
    Ok(ImageId::of(root::root_of(bytes)?))
}

/// The id of the image whose root these bytes are, and nothing else.
///
/// # Errors
/// They are no root, or something follows it.
pub fn root_id(bytes: &[u8]) -> Result<ImageId, ManifestError> {
    let root = root::root_of(bytes)?;
    if root.len() == bytes.len() {
        return Ok(ImageId::of(root));
    }
    Err(ManifestError::Root {
        field: "length",
        expected: root.len().to_string(),
        found: bytes.len().to_string(),
    })
}

/// The entries of a leaf, in path order; `fetch` gives lists of pieces where a
/// very long file has them. Nothing is checked but shapes: see [`TreeCheck`].
///
/// # Errors
/// It is no leaf, is damaged, or `fetch` failed.
pub fn leaf(
    bytes: &[u8],
    fetch: &mut dyn FnMut(&ChunkRef) -> Result<Vec<u8>, ManifestError>,
) -> Result<Vec<Entry>, ManifestError> {
    read::leaf(bytes, fetch)
}

/// Whether a leaf holds the entries its directory says.
///
/// # Errors
/// It holds others.
pub fn check_leaf(leaf: &directory::LeafRef, entries: &[Entry]) -> Result<(), ManifestError> {
    check::leaf(leaf, entries)
}

/// The lists of pieces that a leaf names, for whoever wants to know which chunks an image has.
///
/// # Errors
/// It is no leaf, or damaged.
pub fn lists_of(bytes: &[u8]) -> Result<Vec<ChunkRef>, ManifestError> {
    read::lists_of(bytes)
}

impl Manifest {
    /// Every chunk of every content, in the order of the entries; repeats included.
    pub fn chunks(&self) -> impl Iterator<Item = (ChunkId, u32)> + '_ {
        let entries = self.volumes.iter().flat_map(|volume| &volume.entries);
        let chunks = entries.flat_map(|entry| entry.content.chunks());
        chunks.map(|chunk| (chunk.id, chunk.length))
    }

    /// How many entries all volumes have.
    pub fn entry_count(&self) -> u64 {
        self.volumes
            .iter()
            .map(|volume| volume.entries.len() as u64)
            .sum()
    }

    /// Logical bytes of all contents, holes included.
    pub fn logical_size(&self) -> u64 {
        let entries = self.volumes.iter().flat_map(|volume| &volume.entries);
        entries
            .map(|entry| entry.content.size())
            .fold(0, u64::saturating_add)
    }
}

/// A manifest is not what it must be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The bytes end too early.
    #[error("{part}")]
    CutOff {
        /// In which part.
        part: &'static str,
        /// Where.
        #[source]
        source: CutOff,
    },
    /// A field of the root is wrong.
    #[error("manifest root, {field}: expected {expected}, found {found}")]
    Root {
        /// Which.
        field: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// It is another image's manifest, or its root is damaged.
    #[error("expected the manifest of image {}, found that of {}", expected.short(), found.short())]
    Id {
        /// What was wanted.
        expected: ImageId,
        /// What it is.
        found: ImageId,
    },
    /// Bytes are not those of the chunk that was asked for.
    #[error("manifest chunk {} is damaged or is another one", id.short())]
    Chunk {
        /// Which.
        id: ChunkId,
    },
    /// A chunk of the manifest cannot be had.
    #[error("manifest chunk {} cannot be read: {reason}", id.short())]
    Unread {
        /// Which.
        id: ChunkId,
        /// Why, with all causes.
        reason: String,
    },
    /// zstd failed on a chunk of a bundle.
    #[error("manifest chunk {}: zstd failed", id.short())]
    Zstd {
        /// Which.
        id: ChunkId,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// More than a reader takes into memory.
    #[error("manifest {part}: {found} bytes are more than the limit of {limit}")]
    TooLong {
        /// Which part.
        part: &'static str,
        /// How many bytes.
        found: u64,
        /// How many may be.
        limit: u64,
    },
    /// A row contradicts others.
    #[error("manifest, {table}: {reason}")]
    Row {
        /// Which column or part.
        table: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// The disk layout is impossible.
    #[error("disk layout: {reason}")]
    Layout {
        /// What is wrong.
        reason: String,
    },
    /// An entry is impossible.
    #[error("partition {partition}, {path}: {reason}")]
    Entry {
        /// Index of the partition.
        partition: u32,
        /// Its path, escaped.
        path: String,
        /// What is wrong.
        reason: &'static str,
    },
}

#[cfg(test)]
mod tests;
