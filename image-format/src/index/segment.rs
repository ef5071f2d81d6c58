//! One index segment: a block table and chunk rows sorted by id.
//!
//! ```text
//! header 64 | packs 32 each | blocks 56 each | fan-out 256 x 4 | chunks 44 each
//! ```
//! The same bytes tell a machine which blocks an image needs: a list of
//! [`BlockJob`]s and a segment are one thing.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::block::{HEADER_LENGTH, MAX_RAW, MAX_STORED};
use crate::bytes::{CutOff, Fields};
use crate::ids::{BlockId, ChunkId, PackId};
use crate::job::BlockJob;
use crate::job::ChunkInBlock;
use crate::store::BlockPlace;

const MAGIC: [u8; 8] = *b"mimeoidx";
const VERSION: u32 = 0;
/// magic 8, version 4, packs 4, blocks 4, chunks 4, reserved 8, hash of the rest 32.
const HEADER: usize = 64;
const PACK_ROW: usize = 32;
const BLOCK_ROW: usize = 56;
const FAN_OUT: usize = 256 * 4;
const CHUNK_ROW: usize = 44;

/// Immutable rows, checked once when they are decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Segment {
    bytes: Vec<u8>,
    packs: u32,
    blocks: u32,
    chunks: u32,
}

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
    /// A segment from blocks and the chunks they hold.
    ///
    /// # Errors
    /// A block or a chunk has impossible lengths, or there are more than 2^32 rows.
    pub fn encode(jobs: &[BlockJob]) -> Result<Vec<u8>, SegmentError> {
        let mut jobs: Vec<&BlockJob> = jobs.iter().collect();
        jobs.sort_by_key(|job| (job.place.pack, job.place.offset));
        let packs: BTreeMap<PackId, ()> = jobs.iter().map(|job| (job.place.pack, ())).collect();
        let numbers: BTreeMap<PackId, u32> = packs.into_keys().zip(0..).collect();
        let mut rows: Vec<(ChunkInBlock, u32)> = Vec::new();
        for (job, block) in jobs.iter().zip(0_u32..) {
            rows.extend(job.chunks.iter().map(|chunk| (*chunk, block)));
        }
        rows.sort_by_key(|(chunk, block)| (chunk.id, *block, chunk.offset));

        let mut body =
            Vec::with_capacity(jobs.len() * BLOCK_ROW + FAN_OUT + rows.len() * CHUNK_ROW);
        numbers.keys().for_each(|pack| body.extend(pack.as_bytes()));
        for job in &jobs {
            let place = &job.place;
            body.extend(
                numbers
                    .get(&place.pack)
                    .copied()
                    .unwrap_or_default()
                    .to_le_bytes(),
            );
            body.extend(place.stored.to_le_bytes());
            body.extend(place.offset.to_le_bytes());
            body.extend(place.raw.to_le_bytes());
            body.extend(0_u32.to_le_bytes());
            body.extend(place.block.as_bytes());
        }
        let chunk_count = count("chunks", rows.len())?;
        for ends in fan_out(&rows) {
            body.extend(ends.to_le_bytes());
        }
        for (chunk, block) in &rows {
            body.extend(chunk.id.as_bytes());
            body.extend(block.to_le_bytes());
            body.extend(chunk.offset.to_le_bytes());
            body.extend(chunk.length.to_le_bytes());
        }
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(count("packs", numbers.len())?.to_le_bytes());
        bytes.extend(count("blocks", jobs.len())?.to_le_bytes());
        bytes.extend(chunk_count.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(blake3::hash(&body).as_bytes());
        bytes.extend(body);
        Self::decode(bytes.clone())?;
        Ok(bytes)
    }

    /// Checks every row once, so that looking one up needs no trust.
    ///
    /// # Errors
    /// What is wrong and in which row.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, SegmentError> {
        let mut fields = Fields::new(&bytes);
        expect(
            "magic",
            MAGIC.escape_ascii(),
            fields.array::<8>()?.escape_ascii(),
        )?;
        expect("index version", VERSION, fields.u32()?)?;
        let (packs, blocks, chunks) = (fields.u32()?, fields.u32()?, fields.u32()?);
        expect("reserved", 0, fields.u64()?)?;
        let hash = fields.array::<32>()?;
        let body = bytes.get(HEADER..).unwrap_or_default();
        let wanted = u64::from(packs) * PACK_ROW as u64
            + u64::from(blocks) * BLOCK_ROW as u64
            + FAN_OUT as u64
            + u64::from(chunks) * CHUNK_ROW as u64;
        expect("length of the rows", wanted, body.len() as u64)?;
        if blake3::hash(body) != hash {
            return Err(SegmentError::Damaged);
        }
        let segment = Self {
            bytes,
            packs,
            blocks,
            chunks,
        };
        segment.check_blocks()?;
        segment.check_chunks()?;
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

    /// Where a chunk is.
    pub fn find(&self, id: &ChunkId) -> Option<(BlockPlace, ChunkInBlock)> {
        let prefix = id.as_bytes().first().copied().map(u32::from)?;
        let mut low = if prefix == 0 {
            0
        } else {
            self.fan_end(prefix - 1)?
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
        let (chunk, block) = self.chunk(low).filter(|_| low < end)?;
        (chunk.id == *id).then_some((self.place(block)?, chunk))
    }

    /// All blocks in pack order with their chunks in block order.
    pub fn jobs(&self) -> Vec<BlockJob> {
        let places = (0..self.blocks).filter_map(|block| self.place(block));
        let mut jobs: Vec<BlockJob> = places
            .map(|place| BlockJob {
                place,
                chunks: Vec::new(),
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

    fn check_blocks(&self) -> Result<(), SegmentError> {
        let mut before: Option<BlockPlace> = None;
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
        }
        Ok(())
    }

    fn check_chunks(&self) -> Result<(), SegmentError> {
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
        Ok(())
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

    fn fan_start(&self) -> u64 {
        self.blocks_start() + u64::from(self.blocks) * BLOCK_ROW as u64
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

/// For each first byte of an id, the number of rows up to and including it.
fn fan_out(rows: &[(ChunkInBlock, u32)]) -> [u32; 256] {
    let mut ends = [0_u32; 256];
    for (chunk, _) in rows {
        let bucket = chunk.id.as_bytes().first().copied().unwrap_or_default();
        if let Some(count) = ends.get_mut(usize::from(bucket)) {
            *count = count.saturating_add(1);
        }
    }
    let mut end = 0_u32;
    for count in &mut ends {
        end = end.saturating_add(*count);
        *count = end;
    }
    ends
}

fn count(table: &'static str, found: usize) -> Result<u32, SegmentError> {
    u32::try_from(found).map_err(|_| SegmentError::TooMany { table, found })
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
