//! Which block holds a chunk: a view over immutable, sorted segments.

mod rows;
mod segment;
mod sieve;

use std::fmt;

pub use rows::SegmentBytes;
pub use segment::{Segment, SegmentError};

use crate::ids::{ChunkId, ChunkRef, SegmentId};
use crate::job::ChunkInBlock;
use crate::store::{BlockPlace, Store, StoreError};
use thiserror::Error;

/// A longer segment is not read: four GiB index a hundred million chunks.
pub const MAX_SEGMENT: u64 = 4 << 30;

/// All segments of a store, seen as one.
#[derive(Clone, Default)]
pub struct Index {
    /// By generation, the highest last.
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
    /// An index over these segments. Where two hold a chunk, the one of the
    /// higher generation counts, of equal ones the last.
    pub fn new(mut segments: Vec<Segment>) -> Self {
        segments.sort_by_key(Segment::generation);
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
        let after = |known: &Segment| known.generation() <= segment.generation();
        let at = self.segments.partition_point(after);
        self.segments.insert(at, segment);
    }

    /// Where a chunk is, if anywhere.
    pub fn find(&self, id: &ChunkId) -> Option<(BlockPlace, ChunkInBlock)> {
        self.segments
            .iter()
            .rev()
            .find_map(|segment| segment.find(id))
    }

    /// Where a chunk is in a block without bases: where a base is taken from.
    pub fn find_plain(&self, id: &ChunkId) -> Option<(BlockPlace, ChunkInBlock)> {
        self.segments
            .iter()
            .rev()
            .find_map(|segment| segment.find_plain(id))
    }

    /// The chunks that must be at hand to open a block; none for most.
    pub fn bases(&self, place: &BlockPlace) -> Vec<ChunkRef> {
        let known = self.segments.iter().rev();
        known
            .filter_map(|segment| segment.bases(place))
            .next()
            .unwrap_or_default()
    }

    /// The highest generation of all segments.
    pub fn generation(&self) -> u64 {
        self.segments.last().map_or(0, Segment::generation)
    }

    /// The segments, by generation.
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
    let bytes = store.map_index(&id)?;
    let found = SegmentId::of(&bytes);
    if found != id {
        return Err(IndexError::Hash { id, found });
    }
    Segment::decode(bytes).map_err(|source| IndexError::Segment { id, source })
}
