//! Why storing an image failed.

use thiserror::Error;

use crate::block::SealError;
use crate::fetch::MissingChunk;
use crate::ids::{ChunkId, PackId};
use crate::index::{IndexError, SegmentError};
use crate::manifest::ManifestError;
use crate::pack::PackError;
use crate::refs::{CommitError, RefError};
use crate::store::StoreError;
/// Storing an image failed; the share is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store's index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A segment could not be made.
    #[error("making an index segment")]
    Segment(#[from] SegmentError),
    /// A block could not be made.
    #[error(transparent)]
    Block(#[from] SealError),
    /// A pack could not be made.
    #[error("making a pack")]
    Pack(#[from] PackError),
    /// The manifest says what no reader accepts.
    #[error("the image cannot be stored")]
    Manifest(#[from] ManifestError),
    /// The name cannot be used.
    #[error(transparent)]
    Name(#[from] RefError),
    /// The manifest names a chunk that was never written.
    #[error("the image is incomplete")]
    Missing(#[from] MissingChunk),
    /// The manifest tells another length than the chunk has.
    #[error("chunk {id} has {expected} bytes, the manifest says {found}")]
    ChunkLength {
        /// Which.
        id: ChunkId,
        /// What it has.
        expected: u32,
        /// What the manifest says.
        found: u32,
    },
    /// A stream was shorter or longer than announced: it changed while it was read.
    #[error("a stream of {expected} bytes had {found}: it changed while it was read")]
    Size {
        /// What was announced.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// What was written does not read back.
    #[error("the {what} just made does not read back: test this machine's memory")]
    ReadBack {
        /// What.
        what: &'static str,
    },
    /// A thread that compresses is gone.
    #[error("a compressing thread stopped: out of memory?")]
    Thread,
    /// Something failed before; nothing more is written.
    #[error("storing this image failed before: begin again")]
    Broken,
    /// The ref could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// This machine slept so long that its lease was taken for a dead one's.
    #[error(
        "pack {} was collected while this capture stood still for hours: capture again",
        pack.short()
    )]
    Collected {
        /// What the image would have needed.
        pack: PackId,
    },
}
