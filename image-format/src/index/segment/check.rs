//! Every row of a segment, looked at once.

use super::{Segment, SegmentError};
use crate::block::{HEADER_LENGTH, MAX_BASES, MAX_RAW, MAX_STORED};
use crate::ids::ChunkId;
use crate::index::sieve::{Sieve, Sifting};
use crate::store::BlockPlace;

impl Segment {
    pub(super) fn check_blocks(&self) -> Result<(), SegmentError> {
        let mut before: Option<BlockPlace> = None;
        let mut bases = 0;
        for row in 0..self.blocks {
            let wrong = |reason| SegmentError::Row {
                table: "block",
                row,
                reason,
            };
            let place = self
                .place(row)
                .ok_or(wrong("names a pack that is not in the table"))?;
            let sane = (HEADER_LENGTH + 1..=MAX_STORED).contains(&place.stored)
                && (1..=MAX_RAW).contains(&place.raw);
            if !sane || place.offset.checked_add(u64::from(place.stored)).is_none() {
                return Err(wrong("impossible length or offset"));
            }
            let after = |old: BlockPlace| {
                old.pack < place.pack
                    || (old.pack == place.pack
                        && old.offset + u64::from(old.stored) <= place.offset)
            };
            if !before.is_none_or(after) {
                return Err(wrong("overlaps or precedes the one before"));
            }
            before = Some(place);
            let end = self.bases_end(row).unwrap_or(u32::MAX);
            let count = end.checked_sub(bases);
            if end > self.bases || count.is_none_or(|count| count > MAX_BASES) {
                return Err(wrong("has more bases than there are, or than it may"));
            }
            bases = end;
        }
        if bases == self.bases {
            Ok(())
        } else {
            Err(SegmentError::Row {
                table: "base",
                row: bases,
                reason: "belongs to no block",
            })
        }
    }

    pub(super) fn check_chunks(&self) -> Result<Sieve, SegmentError> {
        let mut sifting = Sifting::new(self.chunks);
        let mut before: Option<(ChunkId, u32, u32)> = None;
        let mut fan = [0_u32; 256];
        for row in 0..self.chunks {
            let wrong = |reason| SegmentError::Row {
                table: "chunk",
                row,
                reason,
            };
            let (chunk, block) = self.chunk(row).ok_or(wrong("is not there"))?;
            let place = self
                .place(block)
                .ok_or(wrong("names a block that is not in the table"))?;
            let end = u64::from(chunk.offset) + u64::from(chunk.length);
            if chunk.length == 0 || end > u64::from(place.raw) {
                return Err(wrong("lies outside of its block"));
            }
            let key = (chunk.id, block, chunk.offset);
            if before.is_some_and(|before| before >= key) {
                return Err(wrong("rows are not sorted"));
            }
            before = Some(key);
            sifting.add(&chunk.id);
            let bucket = chunk.id.as_bytes().first().copied().unwrap_or_default();
            if let Some(count) = fan.get_mut(usize::from(bucket)) {
                *count += 1;
            }
        }
        let mut end = 0;
        for (count, row) in fan.into_iter().zip(0_u32..) {
            end += count;
            if self.fan_end(row) != Some(end) {
                return Err(SegmentError::Row {
                    table: "fan-out",
                    row,
                    reason: "does not agree with the chunks",
                });
            }
        }
        Ok(sifting.finish())
    }
}
