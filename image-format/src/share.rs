//! A share opened for reading: its images and where their bytes lie.

mod asking;
mod chunks;
mod entries;
mod find;
mod refs;

use thiserror::Error;

use crate::block::BlockError;
use crate::fetch::{MissingChunk, fetch_list};
use crate::ids::{ChunkRef, ImageId};
use crate::image::{ImageRecord, Manifest};
use crate::index::{Index, IndexError};
use crate::job::BlockJob;
use crate::manifest::{ManifestError, bundle};
use crate::refs::RefError;
use crate::refs::signature::Trust;
use crate::store::{RefName, Store, StoreError};
use asking::Asking;
use refs::Refs;

pub(crate) use chunks::chain;
pub use chunks::{ChunkReader, Expander};
pub use entries::{Entries, Witnesses};
pub use refs::UnreadableRef;
pub(crate) use refs::read_ref;

/// A store with its index and refs read. Any pointer to a [`Store`] will do,
/// as `Share<Box<dyn Store>>`.
#[derive(Debug)]
pub struct Share<S: Store> {
    store: S,
    index: Index,
    /// Where the store is asked instead, and the index is empty.
    asking: Option<Asking>,
    refs: Refs,
    chunks: ChunkReader,
    /// Whose refs are taken; everybody's without.
    trust: Option<Trust>,
}

impl<S: Store> Share<S> {
    /// Reads refs, then the index: so every image seen is wholly indexed. A ref
    /// that cannot be used is left out: see [`Share::unreadable`].
    ///
    /// # Errors
    /// The store failed, or an index segment is damaged.
    pub fn open(store: S) -> Result<Self, ShareError> {
        Self::open_trusting(store, None)
    }

    /// As [`Share::open`]; with `trust`, a ref that is not signed with one of its
    /// keys is refused.
    ///
    /// # Errors
    /// As [`Share::open`], or a ref is not to be trusted.
    pub fn open_trusting(store: S, trust: Option<Trust>) -> Result<Self, ShareError> {
        let refs = Refs::read(&store, &Refs::default(), trust.as_ref())?;
        let index = Index::load(&store)?;
        Ok(Self {
            store,
            index,
            asking: None,
            refs,
            chunks: ChunkReader::default(),
            trust,
        })
    }

    /// A share of which only the index was read: it finds chunks, entries and
    /// whole images by their ids, and knows no image by a name.
    pub fn over(store: S, index: Index) -> Self {
        Self::of_parts(store, index, Vec::new())
    }

    /// A share of parts that were read before.
    pub(crate) fn of_parts(store: S, index: Index, records: Vec<ImageRecord>) -> Self {
        Self {
            store,
            index,
            asking: None,
            refs: Refs::of(records),
            trust: None,
            chunks: ChunkReader::default(),
        }
    }

    /// Reads refs and index again and keeps the old view when that fails.
    ///
    /// # Errors
    /// As [`Share::open`], and when a name went back to a lower sequence.
    pub fn refresh(&mut self) -> Result<(), ShareError> {
        let refs = Refs::read(&self.store, &self.refs, self.trust.as_ref())?;
        match &mut self.asking {
            None => self.index = Index::load(&self.store)?,
            Some(asking) => *asking = Asking::default(),
        }
        self.refs = refs;
        Ok(())
    }

    /// The newest image of every name, by name. A name whose newest ref cannot be
    /// used has none here: the version before it is not what people mean by it.
    pub fn images(&self) -> Vec<ImageRecord> {
        let names = self.refs.records.iter();
        names
            .filter(|(name, _)| self.refs.unreadable_newest(name).is_none())
            .filter_map(|(_, versions)| versions.last().cloned())
            .collect()
    }

    /// The refs that lie in the share and cannot be used, by name and sequence.
    /// Whoever opens a share for people tells them.
    pub fn unreadable(&self) -> &[UnreadableRef] {
        &self.refs.unreadable
    }

    /// Every capture that was not deleted and whose ref can be used, by name and sequence.
    pub fn records(&self) -> impl Iterator<Item = &ImageRecord> {
        self.refs.records.values().flatten()
    }

    /// All captures under a name that can be used, oldest first.
    pub fn history(&self, name: &str) -> &[ImageRecord] {
        self.refs.records.get(name).map_or(&[], Vec::as_slice)
    }

    /// An image's whole manifest, in memory.
    ///
    /// # Errors
    /// It is missing or damaged.
    pub fn manifest(&self, id: &ImageId) -> Result<Manifest, ShareError> {
        let root = self.root(id)?;
        let fetch = &mut |chunk: &ChunkRef| self.manifest_chunk(chunk);
        bundle::read_all(&root, fetch).map_err(|source| ShareError::Manifest { id: *id, source })
    }

    /// An image's whole manifest as one piece: see [`bundle`].
    ///
    /// # Errors
    /// It is missing or damaged.
    pub fn bundle(&self, id: &ImageId) -> Result<Vec<u8>, ShareError> {
        let root = self.store.read_manifest(id)?;
        let fetch = &mut |chunk: &ChunkRef| self.manifest_chunk(chunk);
        bundle::pack(id, &root, fetch).map_err(|source| ShareError::Manifest { id: *id, source })
    }

    /// The bytes of a chunk, compared with its id.
    ///
    /// # Errors
    /// It is in no block, or its block is damaged.
    pub fn chunk(&self, at: &ChunkRef) -> Result<Vec<u8>, ShareError> {
        self.look_into(&at.id, |index| self.chunks.chunk(index, &self.store, at))?
    }

    pub(crate) fn manifest_chunk(&self, at: &ChunkRef) -> Result<Vec<u8>, ManifestError> {
        let read = |index: &Index| self.chunks.manifest_chunk(index, &self.store, at);
        self.look_into(&at.id, read)
            .map_err(|error| ManifestError::Unread {
                id: at.id,
                reason: chain(&error),
            })?
    }

    /// Where every chunk lies; nothing in a share of [`Share::open_asking`].
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The store behind it.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The blocks an image needs, each once, in pack order.
    ///
    /// # Errors
    /// A chunk is in no block.
    pub fn jobs(&self, manifest: &Manifest) -> Result<Vec<BlockJob>, MissingChunk> {
        fetch_list(&self.index, manifest.chunks().map(|(id, _)| id))
    }
}

/// A share cannot answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ShareError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A chunk is in no block.
    #[error(transparent)]
    Missing(#[from] MissingChunk),
    /// A manifest is damaged.
    #[error("the manifest of image {} cannot be used", id.short())]
    Manifest {
        /// Which.
        id: ImageId,
        /// Why.
        #[source]
        source: ManifestError,
    },
    /// A ref is damaged or older than what was seen.
    #[error("ref {at} cannot be used")]
    Ref {
        /// Which.
        at: RefName,
        /// Why.
        #[source]
        source: RefError,
    },
    /// A ref lies under another's name.
    #[error("ref {at} says it is {found}")]
    Misplaced {
        /// Where it lies.
        at: RefName,
        /// What it says.
        found: RefName,
    },
    /// The ref of what was asked for cannot be used.
    #[error(transparent)]
    Unreadable(UnreadableRef),
    /// The ref of the newest version of a name cannot be used.
    #[error("the newest version {unreadable}{}", before_words(unreadable, *before))]
    Newest {
        /// The ref.
        unreadable: UnreadableRef,
        /// The newest version that can be used, if any.
        before: Option<u64>,
    },
    /// A block is damaged.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A chunk has another length than was said.
    #[error("chunk {}: expected {} bytes, found {found}", at.id, at.length)]
    Length {
        /// What was asked for.
        at: ChunkRef,
        /// What the index says.
        found: u32,
    },
    /// The image has fewer volumes.
    #[error("image {} has {found} volumes with entries, number {volume} (from 0) was asked for", id.short())]
    NoVolume {
        /// Which image.
        id: ImageId,
        /// Which was asked for.
        volume: usize,
        /// How many there are.
        found: usize,
    },
    /// No image of this name or id.
    #[error(
        "no image is called {asked} or has an id that begins so (at least 8 digits); \
             `mimeo image list` shows those there are"
    )]
    Unknown {
        /// What was asked for.
        asked: String,
    },
    /// More than one image.
    #[error("{found} images have an id that begins with {asked}: give more digits")]
    Ambiguous {
        /// What was asked for.
        asked: String,
        /// How many there are.
        found: usize,
    },
}

fn before_words(unreadable: &UnreadableRef, before: Option<u64>) -> String {
    before.map_or_else(String::new, |before| {
        let name = &unreadable.at.name;
        format!("; the version before it is {name}@{before}")
    })
}
