//! Segments that were read before. They never change, so they need not be read
//! and checked again.

use std::collections::HashMap;

use super::{IndexError, Segment, read_segment};
use crate::ids::SegmentId;
use crate::store::Store;

/// Segments by their ids, up to a number of chunks in all of them.
#[derive(Debug, Clone)]
pub struct KnownSegments {
    segments: HashMap<SegmentId, Segment>,
    /// In all that are kept.
    chunks: u64,
    most: u64,
}

impl KnownSegments {
    /// None yet; at most those of `most` chunks are kept. A chunk costs 44
    /// bytes where segments cannot be mapped, and two where they can.
    pub fn new(most: u64) -> Self {
        Self {
            segments: HashMap::new(),
            chunks: 0,
            most,
        }
    }

    /// For who reads the index once.
    pub(super) fn none() -> Self {
        Self::new(0)
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Forgets what is not in this list any more.
    pub(super) fn forget_all_but(&mut self, ids: &[SegmentId]) {
        self.segments.retain(|id, _| ids.binary_search(id).is_ok());
        let chunks = |segment: &Segment| u64::from(segment.chunks());
        self.chunks = self.segments.values().map(chunks).sum();
    }

    /// One segment, read if it is not known.
    pub(super) fn segment<S: Store + ?Sized>(
        &mut self,
        store: &S,
        id: SegmentId,
    ) -> Result<Segment, IndexError> {
        if let Some(known) = self.segments.get(&id) {
            return Ok(known.clone());
        }
        let segment = read_segment(store, id)?;
        let chunks = self.chunks.saturating_add(u64::from(segment.chunks()));
        if chunks <= self.most {
            self.chunks = chunks;
            self.segments.insert(id, segment.clone());
        }
        Ok(segment)
    }
}
