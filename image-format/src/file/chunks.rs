//! The chunk list before a block: so that a reader of a stream knows what
//! comes, and can pass over a block whose chunks it has.

use super::payload::{PayloadError, expect};
use crate::block::{HEADER_LENGTH, MAX_BASES, MAX_RAW, MAX_STORED};
use crate::bytes::Fields;
use crate::ids::{BlockId, ChunkId, ChunkRef, PackId};
use crate::job::{BlockJob, ChunkInBlock};
use crate::store::BlockPlace;

const ROW: usize = 36;

/// A block that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockHead {
    /// The hash of its stored bytes.
    pub block: BlockId,
    /// Stored bytes, header included.
    pub stored: u32,
    /// Bytes after expanding.
    pub raw: u32,
    /// All its chunks in order, with their lengths, which sum up to `raw`.
    pub chunks: Vec<(ChunkId, u32)>,
    /// The chunks that must be at hand to open it; they stand in blocks before it.
    pub bases: Vec<ChunkRef>,
}

impl BlockHead {
    /// The head of a block whose chunks are all known.
    ///
    /// # Errors
    /// They leave gaps: the index it comes from does not know the whole block.
    pub fn of(job: &BlockJob) -> Result<Self, PayloadError> {
        let mut at = 0;
        for (chunk, row) in job.chunks.iter().zip(0..) {
            if chunk.offset != at {
                return Err(PayloadError::Row {
                    row,
                    reason: "does not follow the chunk before",
                });
            }
            at = at.saturating_add(chunk.length);
        }
        let chunks = job.chunks.iter().map(|chunk| (chunk.id, chunk.length));
        Self {
            block: job.place.block,
            stored: job.place.stored,
            raw: job.place.raw,
            chunks: chunks.collect(),
            bases: job.bases.clone(),
        }
        .check()
    }

    /// The same as the index tells it, for a block that lies at `offset`.
    pub fn job(&self, pack: PackId, offset: u64) -> BlockJob {
        let place = BlockPlace {
            pack,
            block: self.block,
            offset,
            stored: self.stored,
            raw: self.raw,
        };
        let mut at = 0_u32;
        let chunk = |(id, length): &(ChunkId, u32)| {
            let (id, offset, length) = (*id, at, *length);
            at = at.saturating_add(length);
            ChunkInBlock { id, offset, length }
        };
        BlockJob {
            place,
            chunks: self.chunks.iter().map(chunk).collect(),
            bases: self.bases.clone(),
        }
    }

    /// block id 32, stored 4, raw 4, chunks 4, bases 4, then id 32 and length 4
    /// of each chunk and each base.
    ///
    /// # Errors
    /// More chunks than can be counted.
    pub fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        let count =
            |rows: usize| u32::try_from(rows).map_err(|_| PayloadError::Reason("too many chunks"));
        let (chunks, bases) = (count(self.chunks.len())?, count(self.bases.len())?);
        let mut bytes = Vec::with_capacity(48 + self.chunks.len().saturating_mul(ROW));
        bytes.extend(self.block.as_bytes());
        bytes.extend(self.stored.to_le_bytes());
        bytes.extend(self.raw.to_le_bytes());
        bytes.extend(chunks.to_le_bytes());
        bytes.extend(bases.to_le_bytes());
        let bases = self.bases.iter().map(|base| (base.id, base.length));
        for (id, length) in self.chunks.iter().copied().chain(bases) {
            bytes.extend(id.as_bytes());
            bytes.extend(length.to_le_bytes());
        }
        Ok(bytes)
    }

    /// Reads it; the chunks fill the block without gaps.
    ///
    /// # Errors
    /// What is wrong and in which row.
    pub fn decode(bytes: &[u8]) -> Result<Self, PayloadError> {
        let mut fields = Fields::new(bytes);
        let block = BlockId::new(fields.array()?);
        let (stored, raw) = (fields.u32()?, fields.u32()?);
        let (chunk_count, base_count) = (fields.u32()?, fields.u32()?);
        let rows = (u64::from(chunk_count) + u64::from(base_count)) * ROW as u64;
        expect("length of the rows", rows, fields.left() as u64)?;
        let mut chunks = Vec::new();
        for _ in 0..chunk_count {
            chunks.push((ChunkId::new(fields.array()?), fields.u32()?));
        }
        let mut bases = Vec::new();
        for _ in 0..base_count {
            let (id, length) = (ChunkId::new(fields.array()?), fields.u32()?);
            bases.push(ChunkRef { id, length });
        }
        Self {
            block,
            stored,
            raw,
            chunks,
            bases,
        }
        .check()
    }

    fn check(self) -> Result<Self, PayloadError> {
        if !(HEADER_LENGTH + 1..=MAX_STORED).contains(&self.stored)
            || !(1..=MAX_RAW).contains(&self.raw)
        {
            return Err(PayloadError::Reason("impossible length of the block"));
        }
        if self.bases.len() > MAX_BASES as usize {
            return Err(PayloadError::Reason("too many bases"));
        }
        let mut at = 0_u32;
        for ((_, length), row) in self.chunks.iter().zip(0..) {
            let end = at.checked_add(*length).filter(|end| *end <= self.raw);
            at = end.filter(|_| *length > 0).ok_or(PayloadError::Row {
                row,
                reason: "chunks longer than the block",
            })?;
        }
        expect("bytes in chunks", self.raw, at)?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> BlockHead {
        BlockHead {
            block: BlockId::of(b"block"),
            stored: 80,
            raw: 30,
            chunks: vec![(ChunkId::of(b"a"), 10), (ChunkId::of(b"b"), 20)],
            bases: vec![ChunkRef {
                id: ChunkId::of(b"c"),
                length: 30,
            }],
        }
    }

    #[test]
    fn list_survives_its_bytes_and_the_index() {
        let head = sample();
        assert_eq!(BlockHead::decode(&head.encode().unwrap()).unwrap(), head);
        let mut job = head.job(PackId::of(b"pack"), 17);
        assert_eq!(BlockHead::of(&job).unwrap(), head);
        job.chunks.remove(0);
        assert!(BlockHead::of(&job).is_err(), "half a block is not exported");
    }

    #[test]
    fn every_cut_list_is_refused_and_no_flipped_bit_panics() {
        let bytes = sample().encode().unwrap();
        for length in 0..bytes.len() {
            assert!(BlockHead::decode(&bytes[..length]).is_err(), "{length}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(head) = BlockHead::decode(&damaged) {
                let sum: u32 = head.chunks.iter().map(|(_, length)| length).sum();
                assert_eq!(sum, head.raw);
            }
        }
    }
}
