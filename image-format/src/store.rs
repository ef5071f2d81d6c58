//! Where an image is kept: packs, index segments, manifests and refs.
//!
//! A store is dumb on purpose. It keeps whole files under names that are the
//! hash of their bytes; what is in them is the business of those who read them.

pub mod dir;
pub mod memory;

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::ids::{BlockId, ImageId, PackId, SegmentId};
use crate::index::SegmentBytes;

pub use dir::DirStore;
pub use memory::{Fault, MemoryStore};

/// Where a block lies and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockPlace {
    /// The pack that holds it.
    pub pack: PackId,
    /// The block.
    pub block: BlockId,
    /// First byte of its header in the pack.
    pub offset: u64,
    /// Stored bytes, header included.
    pub stored: u32,
    /// Bytes after expanding.
    pub raw: u32,
}

impl fmt::Display for BlockPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "block {} at byte {} of pack {}",
            self.block.short(),
            self.offset,
            self.pack.short()
        )
    }
}

/// Whatever can hand out stored blocks: a share, a file, a server.
pub trait Source: Send + Sync {
    /// The stored bytes of a block, unverified: [`crate::block::open`] checks them.
    ///
    /// # Errors
    /// The bytes cannot be had.
    fn block(&self, place: &BlockPlace) -> Result<Vec<u8>, StoreError>;
}

/// One stored ref: the name of an image and how often it was captured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName {
    /// The image's name.
    pub name: String,
    /// Which capture under this name, from 1.
    pub sequence: u64,
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.sequence)
    }
}

/// A place to keep images.
///
/// Every `put` is durable when it returns, appears whole or not at all, and
/// MUST refuse bytes that do not hash to the name given. Putting what is
/// already there succeeds and changes nothing, except for refs.
pub trait Store: Source {
    /// Keeps a pack.
    ///
    /// # Errors
    /// As for all of these: the medium failed, or the bytes do not match their name.
    fn put_pack(&self, id: &PackId, bytes: &[u8]) -> Result<(), StoreError>;
    /// All packs there are, also those nobody refers to.
    ///
    /// # Errors
    /// The medium failed.
    fn list_packs(&self) -> Result<Vec<PackId>, StoreError>;
    /// A whole pack, unverified.
    ///
    /// # Errors
    /// It is not there, or the medium failed.
    fn read_pack(&self, id: &PackId) -> Result<Vec<u8>, StoreError>;

    /// Keeps an index segment.
    ///
    /// # Errors
    /// As [`Store::put_pack`].
    fn put_index(&self, id: &SegmentId, bytes: &[u8]) -> Result<(), StoreError>;
    /// All index segments.
    ///
    /// # Errors
    /// The medium failed.
    fn list_indexes(&self) -> Result<Vec<SegmentId>, StoreError>;
    /// A whole index segment, unverified.
    ///
    /// # Errors
    /// It is not there, or the medium failed.
    fn read_index(&self, id: &SegmentId) -> Result<Vec<u8>, StoreError>;

    /// As [`Store::read_index`], mapped into memory where that can be done.
    ///
    /// # Errors
    /// As [`Store::read_index`].
    fn map_index(&self, id: &SegmentId) -> Result<SegmentBytes, StoreError> {
        self.read_index(id).map(SegmentBytes::from)
    }

    /// Keeps a manifest; its name is the hash of its root (see [`crate::manifest`]).
    ///
    /// # Errors
    /// As [`Store::put_pack`].
    fn put_manifest(&self, id: &ImageId, bytes: &[u8]) -> Result<(), StoreError>;
    /// All manifests, also those without a ref.
    ///
    /// # Errors
    /// The medium failed.
    fn list_manifests(&self) -> Result<Vec<ImageId>, StoreError>;
    /// A whole manifest, unverified.
    ///
    /// # Errors
    /// It is not there, or the medium failed.
    fn read_manifest(&self, id: &ImageId) -> Result<Vec<u8>, StoreError>;

    /// Commits an image: keeps `bytes` as this very sequence of this name.
    /// The sequence must be one more than the newest that is there.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another capture was faster.
    fn put_ref(&self, at: &RefName, bytes: &[u8]) -> Result<(), StoreError>;
    /// All refs of all sequences, sorted.
    ///
    /// # Errors
    /// The medium failed.
    fn list_refs(&self) -> Result<Vec<RefName>, StoreError>;
    /// A ref's bytes, unverified.
    ///
    /// # Errors
    /// It is not there, or the medium failed.
    fn read_ref(&self, at: &RefName) -> Result<Vec<u8>, StoreError>;
}

/// What went wrong at a store.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It is not there.
    #[error("{what} {name} is not in the store")]
    Missing {
        /// Pack, index segment, manifest or ref.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// The file is shorter than the index says.
    #[error("{place} reaches past the end of the pack")]
    Range {
        /// What was asked for.
        place: BlockPlace,
    },
    /// The bytes do not belong to the name they were given.
    #[error("{what} {name} was refused: {reason}")]
    Refused {
        /// Pack, index segment, manifest or ref.
        what: &'static str,
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
    /// Another capture took this sequence.
    #[error("ref {at} exists already or does not follow the newest one (sequence {newest})")]
    Conflict {
        /// What should have been written.
        at: RefName,
        /// The newest sequence there is, 0 for none.
        newest: u64,
    },
    /// The medium failed.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done, as `writing`.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not a share, or one of another version.
    #[error("{} is not a share this program can use: expected {expected}, found {found}", path.display())]
    Format {
        /// Where.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// What stands there, and what to do.
        found: String,
    },
    /// A fault that a simulation asked for.
    #[error("stopped by the simulation at operation {operation}")]
    Stopped {
        /// The operation's number, from 0.
        operation: u64,
    },
    /// A store that lies elsewhere failed.
    #[error("{doing} failed")]
    Remote {
        /// What was being done.
        doing: String,
        /// Whether trying again later may help.
        retry: bool,
        /// Why.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

macro_rules! delegate {
    ($($pointer:ty),*) => {$(
        impl<S: Source + ?Sized> Source for $pointer {
            fn block(&self, place: &BlockPlace) -> Result<Vec<u8>, StoreError> {
                (**self).block(place)
            }
        }

        impl<S: Store + ?Sized> Store for $pointer {
            fn put_pack(&self, id: &PackId, bytes: &[u8]) -> Result<(), StoreError> {
                (**self).put_pack(id, bytes)
            }
            fn list_packs(&self) -> Result<Vec<PackId>, StoreError> {
                (**self).list_packs()
            }
            fn read_pack(&self, id: &PackId) -> Result<Vec<u8>, StoreError> {
                (**self).read_pack(id)
            }
            fn put_index(&self, id: &SegmentId, bytes: &[u8]) -> Result<(), StoreError> {
                (**self).put_index(id, bytes)
            }
            fn list_indexes(&self) -> Result<Vec<SegmentId>, StoreError> {
                (**self).list_indexes()
            }
            fn read_index(&self, id: &SegmentId) -> Result<Vec<u8>, StoreError> {
                (**self).read_index(id)
            }
            fn map_index(&self, id: &SegmentId) -> Result<SegmentBytes, StoreError> {
                (**self).map_index(id)
            }
            fn put_manifest(&self, id: &ImageId, bytes: &[u8]) -> Result<(), StoreError> {
                (**self).put_manifest(id, bytes)
            }
            fn list_manifests(&self) -> Result<Vec<ImageId>, StoreError> {
                (**self).list_manifests()
            }
            fn read_manifest(&self, id: &ImageId) -> Result<Vec<u8>, StoreError> {
                (**self).read_manifest(id)
            }
            fn put_ref(&self, at: &RefName, bytes: &[u8]) -> Result<(), StoreError> {
                (**self).put_ref(at, bytes)
            }
            fn list_refs(&self) -> Result<Vec<RefName>, StoreError> {
                (**self).list_refs()
            }
            fn read_ref(&self, at: &RefName) -> Result<Vec<u8>, StoreError> {
                (**self).read_ref(at)
            }
        }
    )*};
}

delegate!(&S, Box<S>, Arc<S>);
