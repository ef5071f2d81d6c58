//! Which block holds a chunk: a view over immutable, sorted segments.

mod segment;

use std::fmt;

pub use segment::{Segment, SegmentError};

use crate::ids::{ChunkId, SegmentId};
use crate::job::ChunkInBlock;
use crate::store::{BlockPlace, Store, StoreError};
use thiserror::Error;

/// A longer segment is not read: four GiB index a hundred million chunks.
pub const MAX_SEGMENT: u64 = 4 << 30;

/// All segments of a store, seen as one.
#[derive(Clone, Default)]
pub struct Index {
    segments: Vec<Segment>,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Index({} chunks in {} segments)",
            self.chunks(),
            self.segments.len()
        )
    }
}

impl Index {
    /// An index over these segments; where two hold a chunk, the last one counts.
    pub fn new(segments: Vec<Segment>) -> Self {
        Self { segments }
    }

    /// Reads every segment of a store.
    ///
    /// # Errors
    /// The store failed, or a segment is damaged: it can be made again from the packs.
    pub fn load<S: Store + ?Sized>(store: &S) -> Result<Self, IndexError> {
        let mut ids = store.list_indexes()?;
        ids.sort();
        ids.into_iter()
            .map(|id| read_segment(store, id))
            .collect::<Result<_, _>>()
            .map(Self::new)
    }

    /// Adds a segment.
    pub fn add(&mut self, segment: Segment) {
        self.segments.push(segment);
    }

    /// Where a chunk is, if anywhere.
    pub fn find(&self, id: &ChunkId) -> Option<(BlockPlace, ChunkInBlock)> {
        self.segments
            .iter()
            .rev()
            .find_map(|segment| segment.find(id))
    }

    /// The segments.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// How many chunks it knows; one that lies in two segments counts twice.
    pub fn chunks(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| u64::from(segment.chunks()))
            .sum()
    }
}

/// The index of a store cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bytes hash to something else.
    #[error("index segment {} is damaged: its bytes hash to {}", id.short(), found.short())]
    Hash {
        /// Which.
        id: SegmentId,
        /// The hash of what was found.
        found: SegmentId,
    },
    /// It does not decode.
    #[error("index segment {} cannot be read", id.short())]
    Segment {
        /// Which.
        id: SegmentId,
        /// Why.
        #[source]
        source: SegmentError,
    },
}

/// One segment, its bytes compared with its name.
pub(crate) fn read_segment<S: Store + ?Sized>(
    store: &S,
    id: SegmentId,
) -> Result<Segment, IndexError> {
    let bytes = store.read_index(&id)?;
    let found = SegmentId::of(&bytes);
    if found != id {
        return Err(IndexError::Hash { id, found });
    }
    Segment::decode(bytes).map_err(|source| IndexError::Segment { id, source })
}
