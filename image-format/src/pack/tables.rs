//! The end of a pack: three tables and a trailer that say what it holds.
//!
//! ```text
//! blocks 56 each | chunks 36 each | bases 36 each | trailer 64
//! ```

use super::{MAX_PACK, PackError, expect};
use crate::block::{BASE_ROW, HEADER_LENGTH, MAX_BASES, MAX_RAW, MAX_STORED};
use crate::bytes::{CutOff, Fields};
use crate::ids::{BlockId, ChunkId, ChunkRef, PackId};
use crate::job::{BlockJob, ChunkInBlock};
use crate::store::BlockPlace;

/// Bytes of the trailer, the last of a pack.
pub const TRAILER_LENGTH: usize = 64;

const END_MAGIC: [u8; 8] = *b"mimeoend";
/// offset 8, stored 4, raw 4, chunks 4, bases 4, id 32.
pub(super) const BLOCK_ROW: usize = 56;
/// id 32, length 4; offsets follow from the lengths.
pub(super) const CHUNK_ROW: usize = 36;

/// What the trailer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) blocks: u32,
    pub(super) chunks: u32,
    pub(super) bases: u32,
    /// Where the tables begin.
    pub(super) tables_at: u64,
    /// The hash of the tables.
    pub(super) hash: [u8; 32],
}

impl Trailer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TRAILER_LENGTH);
        bytes.extend(END_MAGIC);
        bytes.extend(super::VERSION.to_le_bytes());
        bytes.extend(self.blocks.to_le_bytes());
        bytes.extend(self.chunks.to_le_bytes());
        bytes.extend(self.bases.to_le_bytes());
        bytes.extend(self.tables_at.to_le_bytes());
        bytes.extend(self.hash);
        bytes
    }

    /// From the last bytes of a pack of `length` bytes.
    pub(super) fn decode(length: u64, tail: &[u8]) -> Result<Self, PackError> {
        if length > MAX_PACK {
            return Err(PackError::TooLong { found: length });
        }
        let at = tail.len().checked_sub(TRAILER_LENGTH).ok_or(CutOff {
            at: 0,
            wanted: TRAILER_LENGTH,
            left: tail.len(),
        })?;
        let mut fields = Fields::new(tail.get(at..).unwrap_or_default());
        let magic = fields.array::<8>()?;
        expect(
            "trailer magic",
            END_MAGIC.escape_ascii(),
            magic.escape_ascii(),
        )?;
        expect("trailer version", super::VERSION, fields.u32()?)?;
        let trailer = Self {
            blocks: fields.u32()?,
            chunks: fields.u32()?,
            bases: fields.u32()?,
            tables_at: fields.u64()?,
            hash: fields.array()?,
        };
        let end = trailer.tables_at.saturating_add(trailer.tables());
        let wanted = length.saturating_sub(TRAILER_LENGTH as u64);
        expect("end of the tables", wanted, end)?;
        Ok(trailer)
    }

    /// Bytes of the tables.
    pub(super) fn tables(&self) -> u64 {
        u64::from(self.blocks) * BLOCK_ROW as u64
            + u64::from(self.chunks) * CHUNK_ROW as u64
            + u64::from(self.bases) * u64::from(BASE_ROW)
    }
}

/// How many bytes at the end of a pack of `length` bytes [`reindex`] needs,
/// told by its last [`TRAILER_LENGTH`] bytes.
///
/// # Errors
/// They are no trailer.
pub fn tail_length(length: u64, trailer: &[u8]) -> Result<u64, PackError> {
    let trailer = Trailer::decode(length, trailer)?;
    Ok(trailer.tables() + TRAILER_LENGTH as u64)
}

/// What a pack of `length` bytes holds, told by its end alone: `tail` is its
/// last bytes, at least [`tail_length`] of them. With this an index is made
/// again without reading blocks.
///
/// # Errors
/// What is wrong and where.
pub fn reindex(id: &PackId, length: u64, tail: &[u8]) -> Result<Vec<BlockJob>, PackError> {
    let trailer = Trailer::decode(length, tail)?;
    let wanted = usize::try_from(trailer.tables()).unwrap_or(usize::MAX);
    let start = tail
        .len()
        .checked_sub(TRAILER_LENGTH.saturating_add(wanted));
    let tables = start.and_then(|start| tail.get(start..start + wanted));
    let tables = tables.ok_or(CutOff {
        at: 0,
        wanted: TRAILER_LENGTH.saturating_add(wanted),
        left: tail.len(),
    })?;
    if blake3::hash(tables) != trailer.hash {
        return Err(PackError::Tables);
    }
    let (blocks, rest) = split(tables, trailer.blocks, BLOCK_ROW)?;
    let (chunks, bases) = split(rest, trailer.chunks, CHUNK_ROW)?;
    let mut rows = Rows {
        blocks: Fields::new(blocks),
        chunks: Fields::new(chunks),
        bases: Fields::new(bases),
    };
    let mut at = super::HEADER as u64;
    let mut jobs = Vec::new();
    for row in 0..trailer.blocks {
        let job = rows.next(id, row)?;
        if job.place.offset != at {
            let reason = "does not follow the one before";
            return Err(PackError::Block { row, reason });
        }
        at = at.saturating_add(u64::from(job.place.stored));
        jobs.push(job);
    }
    expect("end of the blocks", trailer.tables_at, at)?;
    expect("bytes after the chunks table", 0, rows.chunks.left())?;
    expect("bytes after the bases table", 0, rows.bases.left())?;
    Ok(jobs)
}

fn split(bytes: &[u8], rows: u32, width: usize) -> Result<(&[u8], &[u8]), CutOff> {
    let wanted = usize::try_from(rows)
        .unwrap_or(usize::MAX)
        .saturating_mul(width);
    bytes.split_at_checked(wanted).ok_or(CutOff {
        at: 0,
        wanted,
        left: bytes.len(),
    })
}

/// The rows not read yet.
struct Rows<'a> {
    blocks: Fields<'a>,
    chunks: Fields<'a>,
    bases: Fields<'a>,
}

impl Rows<'_> {
    fn next(&mut self, pack: &PackId, row: u32) -> Result<BlockJob, PackError> {
        let refuse = |reason| Err(PackError::Block { row, reason });
        let fields = &mut self.blocks;
        let (offset, stored, raw) = (fields.u64()?, fields.u32()?, fields.u32()?);
        let (chunks, bases) = (fields.u32()?, fields.u32()?);
        let place = BlockPlace {
            pack: *pack,
            block: BlockId::new(fields.array()?),
            offset,
            stored,
            raw,
        };
        if !(HEADER_LENGTH + 1..=MAX_STORED).contains(&stored) || !(1..=MAX_RAW).contains(&raw) {
            return refuse("impossible length");
        }
        if bases > MAX_BASES {
            return refuse("more bases than a block may have");
        }
        let (mut job, mut at) = (BlockJob::new(place), 0_u32);
        for _ in 0..chunks {
            let ChunkRef { id, length } = chunk_ref(&mut self.chunks)?;
            job.chunks.push(ChunkInBlock {
                id,
                offset: at,
                length,
            });
            let end = at.checked_add(length);
            match end.filter(|end| length > 0 && *end <= raw) {
                Some(end) => at = end,
                None => return refuse("chunks longer than the block"),
            }
        }
        if at != raw {
            return refuse("chunks do not fill the block");
        }
        for _ in 0..bases {
            job.bases.push(chunk_ref(&mut self.bases)?);
        }
        Ok(job)
    }
}

fn chunk_ref(fields: &mut Fields<'_>) -> Result<ChunkRef, CutOff> {
    Ok(ChunkRef {
        id: ChunkId::new(fields.array()?),
        length: fields.u32()?,
    })
}
