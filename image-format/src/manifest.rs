//! The manifest's codec: a small root that names columns of fixed width.
//!
//! ```text
//! root: magic 8, version 4, tables 4, then for each table
//!       tag 4, bytes a row 4, rows 8, BLAKE3 of the rows 32
//! then for each table: length 8, one zstd frame
//! ```
//! The root hashes what the tables say, not how they are compressed, and the
//! [`ImageId`] is the hash of the root: it names exactly what an apply writes.

mod check;
mod disk;
mod read;
mod table;
mod write;

use std::io;

use thiserror::Error;

use crate::bytes::CutOff;
use crate::entry::{Content, Piece};
use crate::ids::{ChunkId, ImageId};
use crate::image::Manifest;

/// No manifest is longer: ten million entries need far less.
pub const MAX_MANIFEST: u64 = 1 << 30;

/// The id of the image whose manifest these bytes begin.
///
/// # Errors
/// They are not the beginning of a manifest.
pub fn image_id(bytes: &[u8]) -> Result<ImageId, ManifestError> {
    Ok(ImageId::of(table::root_of(bytes)?))
}

impl Manifest {
    /// The image's id and the bytes a store keeps.
    ///
    /// # Errors
    /// The manifest says something no reader would accept (see [`Manifest::decode`]).
    pub fn encode(&self) -> Result<(ImageId, Vec<u8>), ManifestError> {
        check::check(self)?;
        let (root, bytes) = write::tables(self).encode()?;
        Ok((ImageId::of(&root), bytes))
    }

    /// Reads a manifest that must be the one `id` names.
    ///
    /// # Errors
    /// It is another one, damaged, or says what no apply could do: paths that
    /// leave the volume, rows out of order, contents that overflow.
    pub fn decode(id: &ImageId, bytes: &[u8]) -> Result<Self, ManifestError> {
        let found = image_id(bytes)?;
        if found != *id {
            return Err(ManifestError::Id {
                expected: *id,
                found,
            });
        }
        let manifest = read::manifest(&table::Tables::decode(bytes)?)?;
        check::check(&manifest)?;
        Ok(manifest)
    }

    /// Every chunk of every content, in the order of the entries; repeats included.
    pub fn chunks(&self) -> impl Iterator<Item = (ChunkId, u32)> + '_ {
        let entries = self.volumes.iter().flat_map(|volume| &volume.entries);
        let pieces = entries.flat_map(|entry| match &entry.content {
            Content::Pieces(pieces) => pieces.as_slice(),
            Content::Empty | Content::Inline(_) => &[],
        });
        pieces.filter_map(|piece| match piece {
            Piece::Chunk { id, length } => Some((*id, *length)),
            Piece::Hole { .. } => None,
        })
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
    /// A table's rows are not those the root names.
    #[error("manifest table {table} is damaged")]
    Table {
        /// Which.
        table: &'static str,
    },
    /// zstd failed on a table.
    #[error("manifest table {table}: zstd failed")]
    Zstd {
        /// Which.
        table: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// More than a reader takes into memory.
    #[error("manifest table {table}: {found} bytes are more than the limit of {limit}")]
    TooLong {
        /// Which.
        table: &'static str,
        /// How many bytes.
        found: u64,
        /// How many may be.
        limit: u64,
    },
    /// A row contradicts others.
    #[error("manifest table {table}: {reason}")]
    Row {
        /// Which.
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
