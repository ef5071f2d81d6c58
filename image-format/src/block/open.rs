//! A stored block becomes raw bytes again.

use std::cell::RefCell;
use std::io;

use thiserror::Error;
use zstd::zstd_safe::{self, DCtx, DParameter};

use super::header::CODEC_RAW;
use super::{Filter, Header, HeaderError, MAX_RAW, WINDOW_LOG_MAX};
use crate::ids::{BlockId, ChunkId, ChunkRef};
use crate::job::ChunkInBlock;
use crate::store::BlockPlace;

/// A block that was checked against its id and expanded.
#[derive(Debug, Clone)]
pub struct OpenBlock {
    place: BlockPlace,
    filter: Filter,
    raw: Vec<u8>,
}

/// Checks `stored` against the block id, the header and every limit, and
/// expands it. Refuses a block with bases and names the first.
///
/// # Errors
/// What differs, with pack, block and offset.
pub fn open(place: &BlockPlace, stored: &[u8]) -> Result<OpenBlock, BlockError> {
    open_with(place, stored, &mut |_| None)
}

/// As [`open`], also for blocks with bases: `base` hands out the bytes of a
/// chunk, which are checked here, or nothing.
///
/// # Errors
/// What differs, with pack, block and offset.
pub fn open_with(
    place: &BlockPlace,
    stored: &[u8],
    base: &mut dyn FnMut(&ChunkRef) -> Option<Vec<u8>>,
) -> Result<OpenBlock, BlockError> {
    if stored.len() != place.stored as usize {
        return Err(BlockError::Length {
            place: *place,
            found: stored.len(),
        });
    }
    let found = BlockId::of(stored);
    if found != place.block {
        return Err(BlockError::Hash {
            place: *place,
            found,
        });
    }
    let header = Header::decode(stored).map_err(|source| BlockError::Header {
        place: *place,
        source: Box::new(source),
    })?;
    let payload = stored.get(header.length() as usize..).unwrap_or_default();
    if payload.len() != header.payload as usize || header.raw != place.raw {
        return Err(BlockError::Disagrees {
            place: *place,
            raw: header.raw,
            payload: header.payload,
        });
    }
    let prefix = fetch_bases(place, &header, base)?;
    let mut raw = if header.codec == CODEC_RAW {
        payload.to_vec()
    } else {
        expand(payload, &prefix, header.raw as usize).map_err(|source| BlockError::Expand {
            place: *place,
            source,
        })?
    };
    if raw.len() != header.raw as usize {
        return Err(BlockError::Short {
            place: *place,
            found: raw.len(),
        });
    }
    header.filter.undo(&mut raw);
    Ok(OpenBlock {
        place: *place,
        filter: header.filter,
        raw,
    })
}

/// The chunks a stored block needs to be opened; none for most blocks. Reads
/// the header only: the first [`super::HEADER_LENGTH`] bytes and 36 for each base.
///
/// # Errors
/// The header is not understood.
pub fn bases(stored: &[u8]) -> Result<Vec<ChunkRef>, HeaderError> {
    Header::decode(stored).map(|header| header.bases)
}

/// The bytes of all bases, one after another. Their sum was bounded by the header's check.
fn fetch_bases(
    place: &BlockPlace,
    header: &Header,
    base: &mut dyn FnMut(&ChunkRef) -> Option<Vec<u8>>,
) -> Result<Vec<u8>, BlockError> {
    let mut prefix = Vec::new();
    for wanted in &header.bases {
        let bytes = base(wanted).ok_or(BlockError::Base {
            place: *place,
            base: *wanted,
        })?;
        if bytes.len() != wanted.length as usize || ChunkId::of(&bytes) != wanted.id {
            return Err(BlockError::BaseHash {
                place: *place,
                base: *wanted,
            });
        }
        prefix.extend_from_slice(&bytes);
    }
    Ok(prefix)
}

thread_local! {
    /// Used again for every block without bases.
    static PLAIN: RefCell<DCtx<'static>> = RefCell::new(DCtx::default());
}

/// Expands a frame to at most `raw` bytes.
pub(super) fn expand(payload: &[u8], prefix: &[u8], raw: usize) -> io::Result<Vec<u8>> {
    // The header's check and the caller's bound raw by MAX_RAW.
    let mut bytes = Vec::with_capacity(raw.min(MAX_RAW as usize));
    if prefix.is_empty() {
        PLAIN.with_borrow_mut(|context| context.decompress(&mut bytes, payload).map_err(words))?;
    } else {
        let mut context = DCtx::default();
        let window = DParameter::WindowLogMax(WINDOW_LOG_MAX);
        context.set_parameter(window).map_err(words)?;
        context.ref_prefix(prefix).map_err(words)?;
        context.decompress(&mut bytes, payload).map_err(words)?;
    }
    Ok(bytes)
}

/// zstd's error as words.
pub(super) fn words(code: usize) -> io::Error {
    io::Error::other(zstd_safe::get_error_name(code))
}

impl OpenBlock {
    /// Where it was read.
    pub fn place(&self) -> &BlockPlace {
        &self.place
    }

    /// The filter that was undone: it tells what kind of code the block holds.
    pub fn filter(&self) -> Filter {
        self.filter
    }

    /// All raw bytes.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The bytes of one chunk, checked against its id.
    ///
    /// # Errors
    /// The chunk does not lie in the block, or its bytes are others.
    pub fn chunk(&self, at: &ChunkInBlock) -> Result<&[u8], BlockError> {
        let end = u64::from(at.offset) + u64::from(at.length);
        let range = usize::try_from(end)
            .ok()
            .and_then(|end| self.raw.get(at.offset as usize..end));
        let bytes = range.ok_or(BlockError::ChunkRange {
            place: self.place,
            chunk: *at,
        })?;
        if ChunkId::of(bytes) == at.id {
            Ok(bytes)
        } else {
            Err(BlockError::ChunkHash {
                place: self.place,
                chunk: *at,
            })
        }
    }
}

/// A stored block is not what it should be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Too few or too many bytes.
    #[error("{place}: expected {} bytes, found {found}", place.stored)]
    Length {
        /// Which block.
        place: BlockPlace,
        /// How many bytes there are.
        found: usize,
    },
    /// The bytes hash to something else: damaged on the medium or on the way.
    #[error("{place} is damaged: its bytes hash to {}", found.short())]
    Hash {
        /// Which block.
        place: BlockPlace,
        /// The hash of what was found.
        found: BlockId,
    },
    /// The header is wrong or of a later version.
    #[error("{place}: header not understood")]
    Header {
        /// Which block.
        place: BlockPlace,
        /// Which field.
        #[source]
        source: Box<HeaderError>,
    },
    /// Header and index tell different lengths.
    #[error("{place}: expected {} raw and {} stored bytes, the header says {raw} and {payload} after itself", place.raw, place.stored)]
    Disagrees {
        /// Which block.
        place: BlockPlace,
        /// Raw length in the header.
        raw: u32,
        /// Payload length in the header.
        payload: u32,
    },
    /// The block needs older chunks that were not handed in.
    #[error("{place} is compressed against chunk {} ({} bytes), which is not at hand", base.id.short(), base.length)]
    Base {
        /// Which block.
        place: BlockPlace,
        /// The first base that is missing.
        base: ChunkRef,
    },
    /// What was handed in for a base has other bytes than its id says.
    #[error("{place}: what was brought for base {} is not that chunk", base.id.short())]
    BaseHash {
        /// Which block.
        place: BlockPlace,
        /// Which base.
        base: ChunkRef,
    },
    /// zstd refused the payload.
    #[error("{place} does not expand")]
    Expand {
        /// Which block.
        place: BlockPlace,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It expanded to too few bytes.
    #[error("{place}: expected {} raw bytes, found {found}", place.raw)]
    Short {
        /// Which block.
        place: BlockPlace,
        /// How many there are.
        found: usize,
    },
    /// The index says a chunk lies where the block has no bytes.
    #[error("{place}: chunk {} at {}+{} lies outside of its {} raw bytes", chunk.id.short(), chunk.offset, chunk.length, place.raw)]
    ChunkRange {
        /// Which block.
        place: BlockPlace,
        /// Which chunk.
        chunk: ChunkInBlock,
    },
    /// A chunk's bytes are not those of its id.
    #[error("{place}: chunk {} at {}+{} has other bytes than its id says", chunk.id.short(), chunk.offset, chunk.length)]
    ChunkHash {
        /// Which block.
        place: BlockPlace,
        /// Which chunk.
        chunk: ChunkInBlock,
    },
}
