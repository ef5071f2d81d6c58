//! A pack: many blocks in one immutable file that is named by its hash.
//!
//! ```text
//! header 64 | blocks, one after another | blocks table | chunks table | trailer 64
//! ```
//! The tables tell everything the index knows of the pack, so that an index
//! can be made again from packs alone.

use thiserror::Error;

use crate::block::{HEADER_LENGTH, Header, HeaderError, MAX_RAW, MAX_STORED, SealedBlock};
use crate::bytes::{CutOff, Fields, length};
use crate::ids::{BlockId, ChunkId, PackId};
use crate::job::BlockJob;
use crate::job::ChunkInBlock;
use crate::store::BlockPlace;

/// No pack is longer: a server takes one in memory, and a FAT32 stick holds it.
pub const MAX_PACK: u64 = 512 << 20;

const MAGIC: [u8; 8] = *b"mimeopck";
const END_MAGIC: [u8; 8] = *b"mimeoend";
const VERSION: u32 = 0;
/// magic 8, version 4, reserved 52.
const HEADER: usize = 64;
/// magic 8, version 4, blocks 4, chunks 4, reserved 4, tables at 8, hash of the tables 32.
const TRAILER: usize = 64;
/// offset 8, stored 4, raw 4, chunks 4, id 32.
const BLOCK_ROW: usize = 52;
/// id 32, length 4; offsets follow from the lengths.
const CHUNK_ROW: usize = 36;

/// A pack ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// The hash of `bytes`.
    pub id: PackId,
    /// The whole file.
    pub bytes: Vec<u8>,
    /// What it holds.
    pub jobs: Vec<BlockJob>,
}

/// A pack being filled, in memory.
#[derive(Debug)]
pub struct PackBuilder {
    bytes: Vec<u8>,
    blocks: Vec<u8>,
    chunks: Vec<u8>,
    counts: (u32, u32),
}

impl Default for PackBuilder {
    fn default() -> Self {
        let mut bytes = Vec::new();
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.resize(HEADER, 0);
        Self {
            bytes,
            blocks: Vec::new(),
            chunks: Vec::new(),
            counts: (0, 0),
        }
    }
}

impl PackBuilder {
    /// An empty pack.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it holds no block yet.
    pub fn is_empty(&self) -> bool {
        self.counts.0 == 0
    }

    /// How long the file would be.
    pub fn len(&self) -> u64 {
        length(&self.bytes) + length(&self.blocks) + length(&self.chunks) + TRAILER as u64
    }

    /// Appends a block with its chunks in order (id and length).
    ///
    /// # Errors
    /// The pack would be too long.
    pub fn push(
        &mut self,
        block: &SealedBlock,
        chunks: &[(ChunkId, u32)],
    ) -> Result<(), PackError> {
        let rows = (chunks.len() * CHUNK_ROW + BLOCK_ROW) as u64;
        let wanted = self.len() + length(&block.bytes) + rows;
        let count = u32::try_from(chunks.len())
            .ok()
            .filter(|_| wanted <= MAX_PACK);
        let count = count.ok_or(PackError::TooLong { found: wanted })?;
        let stored =
            u32::try_from(block.bytes.len()).map_err(|_| PackError::TooLong { found: wanted })?;
        self.blocks.extend(length(&self.bytes).to_le_bytes());
        self.blocks.extend(stored.to_le_bytes());
        self.blocks.extend(block.raw.to_le_bytes());
        self.blocks.extend(count.to_le_bytes());
        self.blocks.extend(block.id.as_bytes());
        for (id, length) in chunks {
            self.chunks.extend(id.as_bytes());
            self.chunks.extend(length.to_le_bytes());
        }
        self.bytes.extend_from_slice(&block.bytes);
        self.counts = (self.counts.0 + 1, self.counts.1.saturating_add(count));
        Ok(())
    }

    /// Closes the pack and decodes it again: nothing is stored that does not read back.
    ///
    /// # Errors
    /// What was written does not read back.
    pub fn finish(mut self) -> Result<Pack, PackError> {
        let tables = [self.blocks, self.chunks].concat();
        let at = length(&self.bytes);
        self.bytes.extend_from_slice(&tables);
        self.bytes.extend(END_MAGIC);
        self.bytes.extend(VERSION.to_le_bytes());
        self.bytes.extend(self.counts.0.to_le_bytes());
        self.bytes.extend(self.counts.1.to_le_bytes());
        self.bytes.extend(0_u32.to_le_bytes());
        self.bytes.extend(at.to_le_bytes());
        self.bytes.extend(blake3::hash(&tables).as_bytes());
        let id = PackId::of(&self.bytes);
        let jobs = decode(&id, &self.bytes)?;
        Ok(Pack {
            id,
            bytes: self.bytes,
            jobs,
        })
    }
}

/// What a pack holds, told by its tables; blocks are not opened, but each
/// header must agree. This is also how an index is made again.
///
/// # Errors
/// What is wrong and where.
pub fn decode(id: &PackId, bytes: &[u8]) -> Result<Vec<BlockJob>, PackError> {
    if length(bytes) > MAX_PACK {
        return Err(PackError::TooLong {
            found: length(bytes),
        });
    }
    let mut header = Fields::new(bytes);
    expect(
        "magic",
        MAGIC.escape_ascii(),
        header.array::<8>()?.escape_ascii(),
    )?;
    expect("pack version", VERSION, header.u32()?)?;
    let trailer_at = bytes.len().checked_sub(TRAILER).filter(|at| *at >= HEADER);
    let trailer_at = trailer_at.ok_or(CutOff {
        at: HEADER,
        wanted: TRAILER,
        left: bytes.len().saturating_sub(HEADER),
    })?;
    let mut trailer = Fields::new(bytes.get(trailer_at..).unwrap_or_default());
    expect(
        "trailer magic",
        END_MAGIC.escape_ascii(),
        trailer.array::<8>()?.escape_ascii(),
    )?;
    expect("trailer version", VERSION, trailer.u32()?)?;
    let (blocks, chunks) = (trailer.u32()?, trailer.u32()?);
    expect("trailer reserved", 0, trailer.u32()?)?;
    let tables_at = trailer.u64()?;
    let wanted = u64::from(blocks) * BLOCK_ROW as u64 + u64::from(chunks) * CHUNK_ROW as u64;
    expect(
        "end of the tables",
        trailer_at as u64,
        tables_at.saturating_add(wanted),
    )?;
    let start = usize::try_from(tables_at).unwrap_or(usize::MAX);
    let tables = bytes.get(start..trailer_at).unwrap_or_default();
    if blake3::hash(tables) != trailer.array::<32>()? {
        return Err(PackError::Tables);
    }
    let jobs = read_tables(id, tables, blocks)?;
    check_blocks(bytes, tables_at, &jobs)?;
    Ok(jobs)
}

fn read_tables(id: &PackId, tables: &[u8], blocks: u32) -> Result<Vec<BlockJob>, PackError> {
    let mut rows = Fields::new(tables);
    let mut chunk_rows = Fields::new(tables);
    chunk_rows.take(
        usize::try_from(blocks)
            .unwrap_or(usize::MAX)
            .saturating_mul(BLOCK_ROW),
    )?;
    let mut jobs = Vec::new();
    for row in 0..blocks {
        let (offset, stored, raw, count) = (rows.u64()?, rows.u32()?, rows.u32()?, rows.u32()?);
        let place = BlockPlace {
            pack: *id,
            block: BlockId::new(rows.array()?),
            offset,
            stored,
            raw,
        };
        if !(HEADER_LENGTH + 1..=MAX_STORED).contains(&stored) || !(1..=MAX_RAW).contains(&raw) {
            return Err(PackError::Block {
                row,
                reason: "impossible length",
            });
        }
        let mut chunks = Vec::new();
        let mut at = 0_u32;
        for _ in 0..count {
            let (id, length) = (ChunkId::new(chunk_rows.array()?), chunk_rows.u32()?);
            chunks.push(ChunkInBlock {
                id,
                offset: at,
                length,
            });
            let end = at
                .checked_add(length)
                .filter(|end| length > 0 && *end <= raw);
            at = end.ok_or(PackError::Block {
                row,
                reason: "chunks longer than the block",
            })?;
        }
        if at != raw {
            return Err(PackError::Block {
                row,
                reason: "chunks do not fill the block",
            });
        }
        jobs.push(BlockJob { place, chunks });
    }
    expect("bytes after the chunks table", 0, chunk_rows.left())?;
    Ok(jobs)
}

fn check_blocks(bytes: &[u8], tables_at: u64, jobs: &[BlockJob]) -> Result<(), PackError> {
    let mut at = HEADER as u64;
    for (job, row) in jobs.iter().zip(0..) {
        let place = &job.place;
        if place.offset != at {
            return Err(PackError::Block {
                row,
                reason: "does not follow the one before",
            });
        }
        at = at.saturating_add(u64::from(place.stored));
        let start = usize::try_from(place.offset).unwrap_or(usize::MAX);
        let header = Header::decode(bytes.get(start..).unwrap_or_default()).map_err(|source| {
            PackError::Header {
                place: *place,
                source: Box::new(source),
            }
        })?;
        let agrees = header.raw == place.raw
            && HEADER_LENGTH.checked_add(header.payload) == Some(place.stored)
            && header.chunks as usize == job.chunks.len();
        if !agrees {
            return Err(PackError::Block {
                row,
                reason: "its header tells other lengths",
            });
        }
    }
    expect("end of the blocks", tables_at, at)
}

fn expect<T: ToString>(field: &'static str, expected: T, found: T) -> Result<(), PackError> {
    let (expected, found) = (expected.to_string(), found.to_string());
    if expected == found {
        Ok(())
    } else {
        Err(PackError::Field {
            field,
            expected,
            found,
        })
    }
}

/// A pack is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PackError {
    /// The bytes end too early.
    #[error(transparent)]
    CutOff(#[from] CutOff),
    /// More than [`MAX_PACK`] bytes.
    #[error("a pack holds at most {MAX_PACK} bytes, not {found}")]
    TooLong {
        /// How many there are.
        found: u64,
    },
    /// A field of header or trailer is wrong.
    #[error("{field}: expected {expected}, found {found}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The tables do not match the trailer.
    #[error("the tables at the pack's end are damaged")]
    Tables,
    /// A row contradicts the pack.
    #[error("block row {row}: {reason}")]
    Block {
        /// Which, from 0.
        row: u32,
        /// What is wrong.
        reason: &'static str,
    },
    /// A block's header is wrong.
    #[error("{place}: header not understood")]
    Header {
        /// Which block.
        place: BlockPlace,
        /// Which field.
        #[source]
        source: Box<HeaderError>,
    },
}

#[cfg(test)]
mod tests;
