//! One index segment: a block table and chunk rows sorted by id.
//!
//! ```text
//! header 96 | packs 32 each | blocks 56 each | bases 36 each | fan-out 256 x 4 | chunks 44 each
//! ```
//! The same bytes tell a machine which blocks an image needs: a list of
//! [`BlockJob`]s and a segment are one thing.

mod check;
mod encode;

use thiserror::Error;

use super::rows::SegmentBytes;
use super::sieve::{Sieve, Sifting};
use crate::bytes::{CutOff, Fields};
use crate::features::{self, UnknownFeatures};
use crate::ids::{BlockId, ChunkId, ChunkRef, PackId};
use crate::job::{BlockJob, BlockPlace, ChunkInBlock};

const MAGIC: [u8; 8] = *b"mimeoidx";
const VERSION: u32 = 1;
/// magic 8, version 4, features 12, generation 8, hash of the rest 32, then
/// packs 4, blocks 4, bases 4, chunks 4, salt 8, reserved 8.
const HEADER: usize = 96;
/// The hash covers everything from here on.
const HASHED: usize = 64;
const RESERVED: [u8; 8] = [0; 8];
const PACK_ROW: usize = 32;
/// pack row 4, stored 4, offset 8, raw 4, end of its bases 4, id 32.
const BLOCK_ROW: usize = 56;
/// Where the end of its bases stands in a block row.
const BASES_END: usize = 20;
const FAN_OUT: usize = 256 * 4;
const BASE_ROW: usize = 36;
/// id 32, row of its block 4, offset 4, length 4.
const CHUNK_ROW: usize = 44;

/// Immutable rows, checked once when they are decoded.
#[derive(Clone)]
pub struct Segment {
    bytes: SegmentBytes,
    generation: u64,
    packs: u32,
    blocks: u32,
    bases: u32,
    chunks: u32,
    sieve: Sieve,
}

impl PartialEq for Segment {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Segment {}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Segment({} chunks in {} blocks of {} packs)",
            self.chunks, self.blocks, self.packs
        )
    }
}

/// A segment is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// The bytes end too early.
    #[error(transparent)]
    CutOff(#[from] CutOff),
    /// It was written by a newer program.
    #[error(transparent)]
    Features(#[from] UnknownFeatures),
    /// A field of the header is wrong.
    #[error("{field}: expected {expected}, found {found}")]
    Header {
        /// Which.
        field: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The bytes after the header are not those it was written for.
    #[error("its rows are damaged")]
    Damaged,
    /// A row contradicts the others.
    #[error("{table} row {row}: {reason}")]
    Row {
        /// Which table.
        table: &'static str,
        /// Which row, from 0.
        row: u32,
        /// What is wrong.
        reason: &'static str,
    },
    /// More rows than their number can be written.
    #[error("too many {table} for one segment: {found}")]
    TooMany {
        /// Which table.
        table: &'static str,
        /// How many.
        found: usize,
    },
}

impl Segment {
    /// Checks every row once, so that looking one up needs no trust. The bytes
    /// may be a mapped file; nothing of them is copied.
    ///
    /// # Errors
    /// What is wrong and in which row.
    pub fn decode(bytes: impl Into<SegmentBytes>) -> Result<Self, SegmentError> {
        let bytes = bytes.into();
        let mut fields = Fields::new(&bytes);
        let magic = fields.array::<8>()?;
        expect("magic", MAGIC.escape_ascii(), magic.escape_ascii())?;
        expect("index version", VERSION, fields.u32()?)?;
        features::decode(&mut fields)??;
        let generation = fields.u64()?;
        let hash = fields.array::<32>()?;
        let (packs, blocks) = (fields.u32()?, fields.u32()?);
        let (bases, chunks) = (fields.u32()?, fields.u32()?);
        let _salt = fields.u64()?;
        let reserved = fields.array::<8>()?;
        expect("reserved", RESERVED.escape_ascii(), reserved.escape_ascii())?;
        let body = bytes.len().saturating_sub(HEADER) as u64;
        let wanted = u64::from(packs) * PACK_ROW as u64
            + u64::from(blocks) * BLOCK_ROW as u64
            + u64::from(bases) * BASE_ROW as u64
            + FAN_OUT as u64
            + u64::from(chunks) * CHUNK_ROW as u64;
        expect("length of the rows", wanted, body)?;
        if blake3::hash(bytes.get(HASHED..).unwrap_or_default()) != hash {
            return Err(SegmentError::Damaged);
        }
        let mut segment = Self {
            bytes: bytes.clone(),
            generation,
            packs,
            blocks,
            bases,
            chunks,
            sieve: Sifting::new(0).finish(),
        };
        segment.check_blocks()?;
        segment.sieve = segment.check_chunks()?;
        Ok(segment)
    }

    /// The encoded bytes, as [`Segment::encode`] made them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many chunk rows it has.
    pub fn chunks(&self) -> u32 {
        self.chunks
    }

    /// Which of two segments that hold a chunk counts: the one with the higher
    /// generation. A capture writes generation 0, who rewrites blocks a higher one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Where a chunk is.
    pub fn find(&self, id: &ChunkId) -> Option<(BlockPlace, ChunkInBlock)> {
        let (chunk, block) = self.chunk(self.rows_of(id).next()?)?;
        Some((self.place(block)?, chunk))
    }

    /// The rows of a chunk: several when several blocks hold it.
    pub fn rows_of(&self, id: &ChunkId) -> impl Iterator<Item = u32> {
        let (low, end) = self.first_row_of(id).unwrap_or_default();
        let is_its = |row: &u32| self.chunk(*row).is_some_and(|(chunk, _)| chunk.id == *id);
        (low..end).take_while(is_its)
    }

    /// The first row that is not before `id`, and the end of its bucket.
    fn first_row_of(&self, id: &ChunkId) -> Option<(u32, u32)> {
        if !self.sieve.may_hold(id) {
            return None;
        }
        let prefix = id.as_bytes().first().copied().map(u32::from)?;
        let mut low = match prefix {
            0 => 0,
            _ => self.fan_end(prefix - 1)?,
        };
        let end = self.fan_end(prefix)?;
        let mut high = end;
        while low < high {
            let middle = low + (high - low) / 2;
            if self.chunk(middle)?.0.id < *id {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some((low, end))
    }

    /// The bases of a block; `None` when the segment does not know it.
    pub fn bases(&self, place: &BlockPlace) -> Option<Vec<ChunkRef>> {
        let (mut low, mut high) = (0, self.blocks);
        while low < high {
            let middle = low + (high - low) / 2;
            let there = self.place(middle)?;
            if (there.pack, there.offset) < (place.pack, place.offset) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (self.place(low)? == *place).then(|| self.bases_of(low))
    }

    /// The packs of its blocks, ascending.
    pub fn packs(&self) -> impl ExactSizeIterator<Item = PackId> {
        (0..self.packs).map(|row| {
            let bytes = self.row(HEADER as u64, PACK_ROW, row);
            PackId::new(
                bytes
                    .and_then(|mut row| row.array().ok())
                    .unwrap_or_default(),
            )
        })
    }

    /// How many blocks it has.
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// The block rows of a pack, which lie together.
    pub fn blocks_of(&self, pack: &PackId) -> impl Iterator<Item = BlockPlace> {
        let (mut low, mut high) = (0, self.blocks);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.place(middle).is_some_and(|place| place.pack < *pack) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let pack = *pack;
        (low..self.blocks)
            .filter_map(|row| self.place(row))
            .take_while(move |place| place.pack == pack)
    }

    /// A chunk row and the row of its block.
    pub fn chunk_row(&self, row: u32) -> Option<(ChunkInBlock, u32)> {
        self.chunk(row)
    }

    /// A block row and the row of its pack.
    pub fn block_row(&self, row: u32) -> Option<(BlockPlace, u32)> {
        let place = self.place(row)?;
        let pack = self.row(self.blocks_start(), BLOCK_ROW, row)?.u32().ok()?;
        Some((place, pack))
    }

    /// All blocks in pack order with their chunks in block order.
    pub fn jobs(&self) -> Vec<BlockJob> {
        let mut jobs: Vec<BlockJob> = (0..self.blocks)
            .filter_map(|block| {
                let mut job = BlockJob::new(self.place(block)?);
                job.bases = self.bases_of(block);
                Some(job)
            })
            .collect();
        for (chunk, block) in (0..self.chunks).filter_map(|row| self.chunk(row)) {
            if let Some(job) = jobs.get_mut(block as usize) {
                job.chunks.push(chunk);
            }
        }
        jobs.iter_mut()
            .for_each(|job| job.chunks.sort_by_key(|chunk| chunk.offset));
        jobs
    }

    fn row(&self, start: u64, width: usize, row: u32) -> Option<Fields<'_>> {
        let start = usize::try_from(start + u64::from(row) * width as u64).ok()?;
        self.bytes
            .get(start..start.checked_add(width)?)
            .map(Fields::new)
    }

    fn blocks_start(&self) -> u64 {
        HEADER as u64 + u64::from(self.packs) * PACK_ROW as u64
    }

    fn bases_start(&self) -> u64 {
        self.blocks_start() + u64::from(self.blocks) * BLOCK_ROW as u64
    }

    fn fan_start(&self) -> u64 {
        self.bases_start() + u64::from(self.bases) * BASE_ROW as u64
    }

    /// The row after a block's last base.
    fn bases_end(&self, block: u32) -> Option<u32> {
        let mut fields = self.row(self.blocks_start(), BLOCK_ROW, block)?;
        fields.take(BASES_END).ok()?;
        fields.u32().ok()
    }

    /// The bases of a block row.
    pub(crate) fn bases_of(&self, block: u32) -> Vec<ChunkRef> {
        let start = block
            .checked_sub(1)
            .map_or(Some(0), |before| self.bases_end(before));
        let rows = start.unwrap_or(0)..self.bases_end(block).unwrap_or(0);
        rows.filter_map(|row| self.base(row)).collect()
    }

    fn base(&self, row: u32) -> Option<ChunkRef> {
        let mut fields =
            (row < self.bases).then(|| self.row(self.bases_start(), BASE_ROW, row))??;
        Some(ChunkRef {
            id: ChunkId::new(fields.array().ok()?),
            length: fields.u32().ok()?,
        })
    }

    fn fan_end(&self, prefix: u32) -> Option<u32> {
        self.row(self.fan_start(), 4, prefix)?.u32().ok()
    }

    fn place(&self, block: u32) -> Option<BlockPlace> {
        let mut fields =
            (block < self.blocks).then(|| self.row(self.blocks_start(), BLOCK_ROW, block))??;
        let pack = fields.u32().ok().filter(|pack| *pack < self.packs)?;
        let (stored, offset, raw) = (fields.u32().ok()?, fields.u64().ok()?, fields.u32().ok()?);
        fields.u32().ok()?;
        let block = BlockId::new(fields.array().ok()?);
        let pack = PackId::new(self.row(HEADER as u64, PACK_ROW, pack)?.array().ok()?);
        Some(BlockPlace {
            pack,
            block,
            offset,
            stored,
            raw,
        })
    }

    fn chunk(&self, row: u32) -> Option<(ChunkInBlock, u32)> {
        let start = self.fan_start() + FAN_OUT as u64;
        let mut fields = (row < self.chunks).then(|| self.row(start, CHUNK_ROW, row))??;
        let id = ChunkId::new(fields.array().ok()?);
        let block = fields.u32().ok()?;
        Some((
            ChunkInBlock {
                id,
                offset: fields.u32().ok()?,
                length: fields.u32().ok()?,
            },
            block,
        ))
    }
}

fn expect<T: ToString>(field: &'static str, expected: T, found: T) -> Result<(), SegmentError> {
    let (expected, found) = (expected.to_string(), found.to_string());
    if expected == found {
        Ok(())
    } else {
        Err(SegmentError::Header {
            field,
            expected,
            found,
        })
    }
}

#[cfg(test)]
mod tests;
