//! What images need, as one bit a row of the index.

use crate::fetch::MissingChunk;
use crate::ids::ChunkId;
use crate::index::{Index, Located};

/// Chunk rows that are needed: a bit each, so that an index of millions of rows
/// is marked in megabytes. Only the one row counts that a reader would take.
#[derive(Debug, Clone)]
pub(crate) struct Marks {
    live: Vec<Vec<u64>>,
}

impl Marks {
    /// Nothing is marked.
    pub(crate) fn new(index: &Index) -> Self {
        let words = |rows: u32| vec![0; (rows as usize).div_ceil(64)];
        Self {
            live: index
                .segments()
                .iter()
                .map(|segment| words(segment.chunks()))
                .collect(),
        }
    }

    /// Marks a chunk; says where it is when it was not marked before.
    ///
    /// # Errors
    /// It is in no block.
    pub(crate) fn mark(
        &mut self,
        index: &Index,
        id: &ChunkId,
    ) -> Result<Option<Located>, MissingChunk> {
        let at = index.locate(id).ok_or(MissingChunk { id: *id })?;
        Ok(self.set(at.segment, at.row).then_some(at))
    }

    /// Marks a chunk, and where its block has bases, those; says what was not
    /// marked before. A base is taken from a block without bases, so there is
    /// nothing behind it.
    ///
    /// # Errors
    /// The chunk or a base is in no block.
    pub(crate) fn mark_with_bases(
        &mut self,
        index: &Index,
        id: &ChunkId,
        found: &mut dyn FnMut(Located),
    ) -> Result<(), MissingChunk> {
        let Some(at) = self.mark(index, id)? else {
            return Ok(());
        };
        found(at);
        let segment = index.segments().get(at.segment);
        let bases = segment.map(|segment| segment.bases_of(at.block));
        for base in bases.unwrap_or_default() {
            let missing = MissingChunk { id: base.id };
            let plain = index.locate_plain(&base.id).ok_or(missing)?;
            if self.set(plain.segment, plain.row) {
                found(plain);
            }
        }
        Ok(())
    }

    /// Sets a row's bit; says whether it was clear.
    pub(crate) fn set(&mut self, segment: usize, row: u32) -> bool {
        let word = self
            .live
            .get_mut(segment)
            .and_then(|rows| rows.get_mut((row / 64) as usize));
        let Some(word) = word else { return false };
        let bit = 1 << (row % 64);
        let clear = *word & bit == 0;
        *word |= bit;
        clear
    }

    /// Whether a row is marked.
    pub(crate) fn has(&self, segment: usize, row: u32) -> bool {
        self.live
            .get(segment)
            .and_then(|rows| rows.get((row / 64) as usize))
            .is_some_and(|word| word & (1 << (row % 64)) != 0)
    }

    /// The marked rows of a segment, ascending.
    pub(crate) fn rows(&self, segment: usize) -> impl Iterator<Item = u32> {
        let words = self.live.get(segment).map_or(&[][..], Vec::as_slice);
        words.iter().zip(0_u32..).flat_map(|(word, number)| {
            let word = *word;
            (0..64)
                .filter(move |bit| word & (1 << bit) != 0)
                .map(move |bit| number * 64 + bit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_marked_once_and_come_back_in_order() {
        let mut marks = Marks {
            live: vec![vec![0; 3], vec![0; 1]],
        };
        for row in [130, 0, 64, 63] {
            assert!(marks.set(0, row));
            assert!(!marks.set(0, row));
        }
        assert!(!marks.set(1, 64) && !marks.set(2, 0));
        assert_eq!(marks.rows(0).collect::<Vec<_>>(), [0, 63, 64, 130]);
        assert_eq!(marks.rows(1).count() + marks.rows(7).count(), 0);
    }
}
