//! A share opened for reading: its images and where their bytes lie.

mod asking;
mod chunks;
mod entries;

use std::collections::BTreeMap;

use thiserror::Error;

use crate::block::BlockError;
use crate::fetch::{MissingChunk, fetch_list};
use crate::ids::{self, ChunkRef, ImageId};
use crate::image::{ImageRecord, Manifest};
use crate::index::{Index, IndexError};
use crate::job::BlockJob;
use crate::manifest::{ManifestError, bundle};
use crate::refs::signature::Trust;
use crate::refs::{self, Ref, RefError};
use crate::store::{RefName, Store, StoreError};
use asking::Asking;

pub(crate) use chunks::chain;
pub use chunks::{ChunkReader, Expander};
pub use entries::{Entries, Witnesses};

/// A store with its index and refs read. Any pointer to a [`Store`] will do,
/// as `Share<Box<dyn Store>>`.
#[derive(Debug)]
pub struct Share<S: Store> {
    store: S,
    index: Index,
    /// Where the store is asked instead, and the index is empty.
    asking: Option<Asking>,
    /// Of every name all sequences, ascending.
    records: BTreeMap<String, Vec<ImageRecord>>,
    chunks: ChunkReader,
    /// Whose refs are taken; everybody's without.
    trust: Option<Trust>,
}

impl<S: Store> Share<S> {
    /// Reads refs, then the index: so every image seen is wholly indexed.
    ///
    /// # Errors
    /// The store failed, or a ref or an index segment is damaged.
    pub fn open(store: S) -> Result<Self, ShareError> {
        Self::open_trusting(store, None)
    }

    /// As [`Share::open`]; with `trust`, a ref that is not signed with one of its
    /// keys is refused.
    ///
    /// # Errors
    /// As [`Share::open`], or a ref is not to be trusted.
    pub fn open_trusting(store: S, trust: Option<Trust>) -> Result<Self, ShareError> {
        let records = read_refs(&store, &BTreeMap::new(), trust.as_ref())?;
        let index = Index::load(&store)?;
        Ok(Self {
            store,
            index,
            asking: None,
            records,
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
        let mut by_name: BTreeMap<String, Vec<ImageRecord>> = BTreeMap::new();
        for record in records {
            by_name.entry(record.name.clone()).or_default().push(record);
        }
        Self {
            store,
            index,
            asking: None,
            records: by_name,
            trust: None,
            chunks: ChunkReader::default(),
        }
    }

    /// Reads refs and index again and keeps the old view when that fails.
    ///
    /// # Errors
    /// As [`Share::open`], and when a name went back to a lower sequence.
    pub fn refresh(&mut self) -> Result<(), ShareError> {
        let records = read_refs(&self.store, &self.records, self.trust.as_ref())?;
        match &mut self.asking {
            None => self.index = Index::load(&self.store)?,
            Some(asking) => *asking = Asking::default(),
        }
        self.records = records;
        Ok(())
    }

    /// The newest image of every name, by name.
    pub fn images(&self) -> Vec<ImageRecord> {
        self.records
            .values()
            .filter_map(|versions| versions.last().cloned())
            .collect()
    }

    /// Every capture that was not deleted, by name and sequence.
    pub fn records(&self) -> impl Iterator<Item = &ImageRecord> {
        self.records.values().flatten()
    }

    /// All captures under a name, oldest first.
    pub fn history(&self, name: &str) -> &[ImageRecord] {
        self.records.get(name).map_or(&[], Vec::as_slice)
    }

    /// An image by its name (the newest), its name and version as `name@3`, its
    /// id, or at least eight first digits of it.
    ///
    /// # Errors
    /// There is none, or several begin with these digits.
    pub fn find(&self, name_or_id: &str) -> Result<ImageRecord, ShareError> {
        if let Some(record) = self.history(name_or_id).last() {
            return Ok(record.clone());
        }
        if let Some(record) = self.version(name_or_id) {
            return Ok(record.clone());
        }
        let asked = name_or_id.to_ascii_lowercase();
        let is_id = ids::could_begin(&asked);
        let begins = |record: &&ImageRecord| is_id && record.image.to_string().starts_with(&asked);
        let mut found: Vec<&ImageRecord> = self.records.values().flatten().filter(begins).collect();
        found.sort_by_key(|record| record.image);
        found.dedup_by_key(|record| record.image);
        match found.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(ShareError::Unknown {
                asked: name_or_id.to_owned(),
            }),
            _ => Err(ShareError::Ambiguous {
                asked,
                found: found.len(),
            }),
        }
    }

    /// The image called `name@version`.
    fn version(&self, name: &str) -> Option<&ImageRecord> {
        let (name, version) = name.rsplit_once('@')?;
        let sequence: u64 = version.parse().ok()?;
        let mut versions = self.history(name).iter();
        versions.find(|record| record.sequence == sequence)
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

fn read_refs<S: Store>(
    store: &S,
    known: &BTreeMap<String, Vec<ImageRecord>>,
    trust: Option<&Trust>,
) -> Result<BTreeMap<String, Vec<ImageRecord>>, ShareError> {
    let mut names = store.list_refs()?;
    names.sort();
    let mut records: BTreeMap<String, Vec<ImageRecord>> = BTreeMap::new();
    for at in names {
        match read_ref(store, &at, trust) {
            Ok(read) => records.entry(at.name).or_default().push(read.record),
            // Deleted since the list was read.
            Err(ShareError::Store(StoreError::Missing { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    // After the refs: what was deleted meanwhile is found here.
    let mut used: BTreeMap<String, u64> = BTreeMap::new();
    for at in store.list_deleted_refs()? {
        let newest = used.entry(at.name).or_default();
        *newest = at.sequence.max(*newest);
    }
    for (name, before) in known {
        let newest = |versions: &[ImageRecord]| versions.last().map_or(0, |record| record.sequence);
        let (found, known) = (
            records
                .get(name)
                .map_or(0, |now| newest(now))
                .max(used.get(name).copied().unwrap_or(0)),
            newest(before),
        );
        if found < known {
            let source = RefError::Older {
                name: name.clone(),
                known,
                found,
            };
            return Err(ShareError::Ref {
                at: RefName {
                    name: name.clone(),
                    sequence: found,
                },
                source,
            });
        }
    }
    Ok(records)
}

/// One ref, which must say what its place says.
pub(crate) fn read_ref<S: Store + ?Sized>(
    store: &S,
    at: &RefName,
    trust: Option<&Trust>,
) -> Result<Ref, ShareError> {
    let bytes = store.read_ref(at)?;
    let read = refs::decode(&bytes, at.sequence, trust).map_err(|source| ShareError::Ref {
        at: at.clone(),
        source,
    })?;
    if read.record.name == at.name && read.record.sequence == at.sequence {
        Ok(read)
    } else {
        let found = RefName {
            name: read.record.name,
            sequence: read.record.sequence,
        };
        Err(ShareError::Misplaced {
            at: at.clone(),
            found,
        })
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
