//! A pack: many blocks in one immutable file that is named by its hash.
//!
//! ```text
//! header 64 | blocks, one after another | tables: blocks, chunks, bases | trailer 64
//! ```
//! The tables tell everything the index knows of the pack, so that an index
//! can be made again from packs alone.

mod tables;

use thiserror::Error;

pub use tables::{TRAILER_LENGTH, reindex, tail_length};

use crate::block::{BASE_ROW, Header, HeaderError, SealedBlock};
use crate::bytes::{CutOff, Fields, length};
use crate::features::{self, UnknownFeatures};
use crate::ids::{ChunkId, ChunkRef, PackId};
use crate::job::BlockJob;
use crate::store::BlockPlace;
use tables::{BLOCK_ROW, CHUNK_ROW, Trailer};

/// No pack is longer: a server takes one in memory, and a FAT32 stick holds it.
pub const MAX_PACK: u64 = 512 << 20;

const MAGIC: [u8; 8] = *b"mimeopck";
const VERSION: u32 = 1;
/// magic 8, version 4, features 12, reserved 40.
const HEADER: usize = 64;
const RESERVED: [u8; 40] = [0; 40];

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
    bases: Vec<u8>,
    counts: [u32; 3],
}

impl Default for PackBuilder {
    fn default() -> Self {
        Self::in_room(Vec::new())
    }
}

impl PackBuilder {
    /// An empty pack.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty pack in the room of one that was stored: fresh memory of that
    /// size costs the kernel as much as the copy into it.
    pub fn in_room(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(features::encode());
        bytes.extend(RESERVED);
        Self {
            bytes,
            blocks: Vec::new(),
            chunks: Vec::new(),
            bases: Vec::new(),
            counts: [0; 3],
        }
    }

    /// Whether it holds no block yet.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// How long the file would be.
    pub fn len(&self) -> u64 {
        let tables = length(&self.blocks) + length(&self.chunks) + length(&self.bases);
        length(&self.bytes) + tables + TRAILER_LENGTH as u64
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
        let rows = chunks.len() * CHUNK_ROW + BLOCK_ROW + block.bases.len() * BASE_ROW as usize;
        let wanted = self.len() + length(&block.bytes) + rows as u64;
        let too_long = PackError::TooLong { found: wanted };
        let counted = |count: usize| u32::try_from(count).ok().filter(|_| wanted <= MAX_PACK);
        let (Some(chunk_count), Some(base_count), Some(stored)) = (
            counted(chunks.len()),
            counted(block.bases.len()),
            counted(block.bytes.len()),
        ) else {
            return Err(too_long);
        };
        self.blocks.extend(length(&self.bytes).to_le_bytes());
        for field in [stored, block.raw, chunk_count, base_count] {
            self.blocks.extend(field.to_le_bytes());
        }
        self.blocks.extend(block.id.as_bytes());
        for (id, length) in chunks {
            self.chunks.extend(id.as_bytes());
            self.chunks.extend(length.to_le_bytes());
        }
        for ChunkRef { id, length } in &block.bases {
            self.bases.extend(id.as_bytes());
            self.bases.extend(length.to_le_bytes());
        }
        self.bytes.extend_from_slice(&block.bytes);
        for (count, more) in self.counts.iter_mut().zip([1, chunk_count, base_count]) {
            *count = count.saturating_add(more);
        }
        Ok(())
    }

    /// Closes the pack and decodes it again: nothing is stored that does not read back.
    ///
    /// # Errors
    /// What was written does not read back.
    pub fn finish(mut self) -> Result<Pack, PackError> {
        let tables = [self.blocks, self.chunks, self.bases].concat();
        let [blocks, chunks, bases] = self.counts;
        let trailer = Trailer {
            blocks,
            chunks,
            bases,
            tables_at: length(&self.bytes),
            hash: *blake3::hash(&tables).as_bytes(),
        };
        self.bytes.extend_from_slice(&tables);
        self.bytes.extend(trailer.encode());
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
/// header must agree.
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
    let magic = header.array::<8>()?;
    expect("magic", MAGIC.escape_ascii(), magic.escape_ascii())?;
    expect("pack version", VERSION, header.u32()?)?;
    features::decode(&mut header)??;
    let reserved = header.array::<40>()?;
    expect(
        "reserved bytes",
        RESERVED.escape_ascii(),
        reserved.escape_ascii(),
    )?;
    let jobs = reindex(id, length(bytes), bytes)?;
    check_blocks(bytes, &jobs)?;
    Ok(jobs)
}

fn check_blocks(bytes: &[u8], jobs: &[BlockJob]) -> Result<(), PackError> {
    for (job, row) in jobs.iter().zip(0..) {
        let place = &job.place;
        let start = usize::try_from(place.offset).unwrap_or(usize::MAX);
        let header = Header::decode(bytes.get(start..).unwrap_or_default()).map_err(|source| {
            PackError::Header {
                place: *place,
                source: Box::new(source),
            }
        })?;
        let agrees = header.raw == place.raw
            && header.length().checked_add(header.payload) == Some(place.stored)
            && header.chunks as usize == job.chunks.len()
            && header.bases == job.bases;
        if !agrees {
            let reason = "its header tells other lengths or bases";
            return Err(PackError::Block { row, reason });
        }
    }
    Ok(())
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
    /// It was written by a newer program.
    #[error(transparent)]
    Features(#[from] UnknownFeatures),
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
