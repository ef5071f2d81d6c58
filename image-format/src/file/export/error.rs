//! Why nothing was exported.

use std::path::PathBuf;

use thiserror::Error;

use crate::block::SealError;
use crate::fetch::MissingChunk;
use crate::file::{FileError, PayloadError};
use crate::ids::BlockId;
use crate::index::IndexError;
use crate::refs::RefError;
use crate::share::ShareError;
use crate::store::{BlockPlace, RefName, StoreError};

/// Nothing was exported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The share cannot answer.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The share failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be written, or read before an append.
    #[error(transparent)]
    File(#[from] FileError),
    /// The tables of the file that is appended to cannot be read.
    #[error(transparent)]
    Known(#[from] IndexError),
    /// A chunk is in no block.
    #[error(transparent)]
    Missing(#[from] MissingChunk),
    /// A block of the share is damaged.
    #[error("{place} is damaged: its bytes hash to {}; see `mimeo share check`", found.short())]
    Damaged {
        /// Which.
        place: BlockPlace,
        /// The hash of what was found.
        found: BlockId,
    },
    /// The index knows only some chunks of a block.
    #[error("the index does not tell all of {place}")]
    Index {
        /// Which.
        place: BlockPlace,
        /// What is missing.
        #[source]
        source: PayloadError,
    },
    /// A block could not be compressed anew.
    #[error("a block that leans on others could not be made to stand alone")]
    Seal(#[from] SealError),
    /// A table cannot be written.
    #[error("the images do not fit one file")]
    Row(#[source] PayloadError),
    /// A ref is damaged.
    #[error("ref {at} cannot be used")]
    Ref {
        /// Which.
        at: RefName,
        /// Why.
        #[source]
        source: RefError,
    },
    /// A ref is not what it was when the share was opened.
    #[error("ref {at} says something else than when the share was opened")]
    Changed {
        /// Which.
        at: RefName,
    },
    /// The file holds another image of this name and sequence.
    #[error("{} holds another image as {at}: export into another file", path.display())]
    Taken {
        /// Which.
        at: RefName,
        /// Which file.
        path: PathBuf,
    },
    /// Nothing is appended to parts.
    #[error("{} is split: nothing can be appended; export into a new file", path.display())]
    Split {
        /// Which file.
        path: PathBuf,
    },
    /// The file was written by a later version.
    #[error("nothing can be appended to {}", path.display())]
    Features {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: PayloadError,
    },
    /// Somebody else appends.
    #[error("another export appends to {}: wait for it", path.display())]
    Locked {
        /// Which file.
        path: PathBuf,
    },
    /// No image was named.
    #[error("no image was named")]
    Nothing,
}
