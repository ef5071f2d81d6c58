//! Which block holds a chunk: a view over immutable, sorted segments.

mod known;
pub(crate) mod rows;
pub(crate) mod segment;
mod sieve;

use std::fmt;

pub use known::KnownSegments;
pub use rows::SegmentBytes;
pub use segment::{Segment, SegmentError};

use crate::ids::{ChunkId, ChunkRef, PackId, SegmentId};
use crate::job::ChunkInBlock;
use crate::store::{BlockPlace, Object, Store, StoreError, Trashed};
use thiserror::Error;

/// A longer segment is not read: four GiB index a hundred million chunks.
pub const MAX_SEGMENT: u64 = 4 << 30;

/// A segment may be merged away while the list of segments is read; so often.
const LOAD_ATTEMPTS: u32 = 16;

/// Where a pack is: rows of packs that are gone are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Among the packs.
    Here,
    /// In the trash: still read, but the last choice.
    Trashed,
    /// Nowhere.
    Gone,
}

/// A row of the index that holds a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located {
    /// Number of the segment, from 0.
    pub segment: usize,
    /// Its chunk row.
    pub row: u32,
    /// Its block row.
    pub block: u32,
    /// Where the block is.
    pub place: BlockPlace,
    /// Where the chunk is in the block.
    pub chunk: ChunkInBlock,
    /// Where the pack is.
    pub presence: Presence,
}

/// All segments of a store, seen as one.
#[derive(Clone, Default)]
pub struct Index {
    /// By generation, the highest last.
    segments: Vec<Segment>,
    /// Of each segment, where its packs are.
    presence: Vec<Vec<Presence>>,
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
    /// An index over these segments, all of whose packs are there. Where two
    /// hold a chunk, the one of the higher generation counts, of equal ones the
    /// last.
    pub fn new(segments: Vec<Segment>) -> Self {
        Self::over(segments, |_| Presence::Here)
    }

    /// Reads every segment of a store.
    ///
    /// # Errors
    /// The store failed, or a segment is damaged: it can be made again from the packs.
    pub fn load<S: Store + ?Sized>(store: &S) -> Result<Self, IndexError> {
        Self::load_again(store, &mut KnownSegments::none())
    }

    /// As [`Index::load`], for those who load it again and again: only segments
    /// that are not known yet are read, but what is there is always looked at.
    ///
    /// # Errors
    /// As [`Index::load`].
    pub fn load_again<S: Store + ?Sized>(
        store: &S,
        known: &mut KnownSegments,
    ) -> Result<Self, IndexError> {
        let segments = load_segments(store, known)?;
        Ok(Self::beside(store, segments)?)
    }

    /// An index over these segments of a store, read just before.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) fn beside<S: Store + ?Sized>(
        store: &S,
        segments: Vec<Segment>,
    ) -> Result<Self, StoreError> {
        let packs = Packs::look(store)?;
        Ok(Self::over(segments, |pack| packs.presence(pack)))
    }

    /// As [`Index::load`], for those who write: what is in the trash does not count.
    ///
    /// # Errors
    /// As [`Index::load`].
    pub fn load_to_write<S: Store + ?Sized>(store: &S) -> Result<Self, IndexError> {
        Self::load_to_write_again(store, &mut KnownSegments::none())
    }

    /// As [`Index::load_to_write`], and as [`Index::load_again`].
    ///
    /// # Errors
    /// As [`Index::load`].
    pub fn load_to_write_again<S: Store + ?Sized>(
        store: &S,
        known: &mut KnownSegments,
    ) -> Result<Self, IndexError> {
        let segments = load_segments(store, known)?;
        let packs = Packs::look(store)?;
        Ok(Self::over(segments, |pack| match packs.presence(pack) {
            Presence::Trashed => Presence::Gone,
            other => other,
        }))
    }

    /// An index over these segments whose packs are where `presence` says.
    pub fn over(mut segments: Vec<Segment>, presence: impl Fn(&PackId) -> Presence) -> Self {
        segments.sort_by_key(Segment::generation);
        let of = |segment: &Segment| segment.packs().map(|pack| presence(&pack)).collect();
        Self {
            presence: segments.iter().map(of).collect(),
            segments,
        }
    }

    /// Adds a segment whose packs are there.
    pub fn add(&mut self, segment: Segment) {
        let after = |known: &Segment| known.generation() <= segment.generation();
        let at = self.segments.partition_point(after);
        let here = vec![Presence::Here; segment.packs().len()];
        self.presence.insert(at, here);
        self.segments.insert(at, segment);
    }

    /// Where a chunk is, if anywhere.
    pub fn find(&self, id: &ChunkId) -> Option<(BlockPlace, ChunkInBlock)> {
        self.locate(id).map(|at| (at.place, at.chunk))
    }

    /// The one row that counts for a chunk: of a pack that is there if one is,
    /// else of one in the trash.
    pub fn locate(&self, id: &ChunkId) -> Option<Located> {
        self.locate_in(id, |_, _| true)
    }

    /// As [`Index::locate`], of blocks without bases: where a base is taken from.
    pub fn locate_plain(&self, id: &ChunkId) -> Option<Located> {
        self.locate_in(id, |segment, block| segment.bases_of(block).is_empty())
    }

    fn locate_in(&self, id: &ChunkId, accept: impl Fn(&Segment, u32) -> bool) -> Option<Located> {
        let mut last_choice = None;
        for (number, segment) in self.segments.iter().enumerate().rev() {
            for row in segment.rows_of(id) {
                let at = self.located(number, segment, row)?;
                match at.presence {
                    _ if !accept(segment, at.block) => {}
                    Presence::Here => return Some(at),
                    Presence::Trashed => last_choice = last_choice.or(Some(at)),
                    Presence::Gone => {}
                }
            }
        }
        last_choice
    }

    fn located(&self, number: usize, segment: &Segment, row: u32) -> Option<Located> {
        let (chunk, block) = segment.chunk_row(row)?;
        let (place, pack) = segment.block_row(block)?;
        let presence = *self.presence.get(number)?.get(pack as usize)?;
        Some(Located {
            segment: number,
            row,
            block,
            place,
            chunk,
            presence,
        })
    }

    /// Where a chunk is in a block without bases: where a base is taken from.
    pub fn find_plain(&self, id: &ChunkId) -> Option<(BlockPlace, ChunkInBlock)> {
        self.locate_plain(id).map(|at| (at.place, at.chunk))
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

    /// Where the packs of a segment are, in the order of [`Segment::packs`].
    pub fn presence(&self, segment: usize) -> &[Presence] {
        self.presence.get(segment).map_or(&[], Vec::as_slice)
    }

    /// How many chunks it knows; one that lies in two segments counts twice.
    pub fn chunks(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| u64::from(segment.chunks()))
            .sum()
    }
}

/// Which packs there are.
struct Packs {
    here: Vec<PackId>,
    trashed: Vec<PackId>,
}

impl Packs {
    /// Looks after the segments were read, so every pack they name is found that
    /// is there. What moves to the trash and back meanwhile is found as well:
    /// packs, trash, packs.
    fn look<S: Store + ?Sized>(store: &S) -> Result<Self, StoreError> {
        let before = store.list_packs()?;
        let pack = |trashed: Trashed| match trashed.object {
            Object::Pack(id) => Some(id),
            Object::Manifest(_) => None,
        };
        let mut trashed: Vec<PackId> = store.list_trash()?.into_iter().filter_map(pack).collect();
        let mut here = store.list_packs()?;
        here.sort();
        // It was there: it is either in the trash by now or was listed badly.
        trashed.extend(
            before
                .into_iter()
                .filter(|id| here.binary_search(id).is_err()),
        );
        trashed.sort();
        Ok(Self { here, trashed })
    }

    fn presence(&self, id: &PackId) -> Presence {
        if self.here.binary_search(id).is_ok() {
            Presence::Here
        } else if self.trashed.binary_search(id).is_ok() {
            Presence::Trashed
        } else {
            Presence::Gone
        }
    }
}

fn load_segments<S: Store + ?Sized>(
    store: &S,
    known: &mut KnownSegments,
) -> Result<Vec<Segment>, IndexError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let mut ids = store.list_indexes()?;
        ids.sort();
        known.forget_all_but(&ids);
        let read = ids.into_iter().map(|id| known.segment(store, id));
        match read.collect() {
            // Merged into another one since the list was read.
            Err(IndexError::Store(StoreError::Missing { .. })) if attempt < LOAD_ATTEMPTS => {}
            result => return result,
        }
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
