//! A block: chunks of like kind, compressed together, framed and hashed.
//!
//! Sixty-four header bytes, then the payload: one zstd frame, or the raw bytes
//! where compression gains nothing. The [`BlockId`] is the hash of both.

use std::io;

use thiserror::Error;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::DParameter;

use crate::bytes::{CutOff, Fields};
use crate::ids::{BlockId, ChunkId};
use crate::job::ChunkInBlock;
use crate::store::BlockPlace;

/// Bytes before the payload.
pub const HEADER_LENGTH: u32 = 64;
/// No block holds more raw bytes: what a receiver must be able to keep in memory.
pub const MAX_RAW: u32 = 16 << 20;
/// No stored block is longer: a payload that does not shrink is kept raw.
pub const MAX_STORED: u32 = HEADER_LENGTH + MAX_RAW;

const MAGIC: [u8; 8] = *b"mimeoblk";
const VERSION: u8 = 0;
const CODEC_RAW: u8 = 0;
const CODEC_ZSTD: u8 = 1;
/// Zero until filters, ciphers and bases are defined; a reader refuses others.
const RESERVED: [u8; 36] = [0; 36];
/// A frame may ask for as large a window as a block is long, no larger.
const WINDOW_LOG_MAX: u32 = 24;
/// Below one part in 32 saved, reading raw bytes is worth more than the room.
const LEAST_GAIN: usize = 32;

/// The first 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) codec: u8,
    pub(crate) raw: u32,
    pub(crate) payload: u32,
    pub(crate) chunks: u32,
}

/// A header that is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// There are not even 64 bytes.
    #[error(transparent)]
    CutOff(#[from] CutOff),
    /// A field has a value this version does not know.
    #[error("{field}: expected {expected}, found {found}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What it may be.
        expected: String,
        /// What stands there.
        found: String,
    },
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LENGTH as usize);
        bytes.extend(MAGIC);
        bytes.extend([VERSION, self.codec, 0, 0]);
        bytes.extend(self.raw.to_le_bytes());
        bytes.extend(self.payload.to_le_bytes());
        bytes.extend(self.chunks.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(RESERVED);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let mut fields = Fields::new(bytes);
        expect(
            "magic",
            MAGIC.escape_ascii(),
            fields.array::<8>()?.escape_ascii(),
        )?;
        expect("block version", VERSION, fields.u8()?)?;
        let codec = fields.u8()?;
        expect("filter", 0, fields.u8()?)?;
        expect("cipher", 0, fields.u8()?)?;
        let header = Self {
            codec,
            raw: fields.u32()?,
            payload: fields.u32()?,
            chunks: fields.u32()?,
        };
        expect("base count", 0, fields.u32()?)?;
        expect(
            "reserved bytes",
            RESERVED.escape_ascii(),
            fields.array::<36>()?.escape_ascii(),
        )?;
        header.check()
    }

    fn check(self) -> Result<Self, HeaderError> {
        let refuse = |field, expected: &str, found: u32| {
            Err(HeaderError::Field {
                field,
                expected: expected.to_owned(),
                found: found.to_string(),
            })
        };
        if !matches!(self.codec, CODEC_RAW | CODEC_ZSTD) {
            return refuse("codec", "0 (raw) or 1 (zstd)", u32::from(self.codec));
        }
        if self.raw == 0 || self.raw > MAX_RAW {
            return refuse("raw length", "1 to 16777216", self.raw);
        }
        let fits = if self.codec == CODEC_RAW {
            self.payload == self.raw
        } else {
            self.payload < self.raw
        };
        if !fits {
            return refuse(
                "stored length",
                "the raw length, or less when compressed",
                self.payload,
            );
        }
        // Every chunk has at least one byte.
        if self.chunks == 0 || self.chunks > self.raw {
            return refuse("chunk count", "1 to the raw length", self.chunks);
        }
        Ok(self)
    }
}

fn expect<T: ToString>(field: &'static str, expected: T, found: T) -> Result<(), HeaderError> {
    let (expected, found) = (expected.to_string(), found.to_string());
    if expected == found {
        Ok(())
    } else {
        Err(HeaderError::Field {
            field,
            expected,
            found,
        })
    }
}

/// A block as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBlock {
    /// The hash of `bytes`.
    pub id: BlockId,
    /// Header and payload.
    pub bytes: Vec<u8>,
    /// Length of the raw bytes.
    pub raw: u32,
}

/// Compresses `raw`, which holds `chunks` chunks, and frames it; then opens it
/// again, so that nothing is stored that does not read back.
///
/// # Errors
/// More than [`MAX_RAW`] bytes, or zstd failed.
pub fn seal(raw: &[u8], chunks: u32, level: i32) -> Result<SealedBlock, SealError> {
    let raw_length = u32::try_from(raw.len())
        .ok()
        .filter(|length| (1..=MAX_RAW).contains(length))
        .ok_or(SealError::Length { found: raw.len() })?;
    let packed = Compressor::new(level)?.compress(raw)?;
    let (codec, payload) = if packed.len() < raw.len() - raw.len() / LEAST_GAIN {
        if Decompressor::new()?.decompress(&packed, raw.len())? != raw {
            return Err(SealError::Mismatch);
        }
        (CODEC_ZSTD, packed.as_slice())
    } else {
        (CODEC_RAW, raw)
    };
    let payload_length = u32::try_from(payload.len()).map_err(|_| SealError::Length {
        found: payload.len(),
    })?;
    let header = Header {
        codec,
        raw: raw_length,
        payload: payload_length,
        chunks,
    };
    header.check()?;
    let mut bytes = header.encode();
    bytes.extend_from_slice(payload);
    Ok(SealedBlock {
        id: BlockId::of(&bytes),
        bytes,
        raw: raw_length,
    })
}

/// A block could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SealError {
    /// Empty, or more than a block may hold.
    #[error("a block holds 1 to {MAX_RAW} raw bytes, not {found}")]
    Length {
        /// How many there were.
        found: usize,
    },
    /// The header would not be readable.
    #[error("a block's header would not be readable")]
    Header(#[from] HeaderError),
    /// What was compressed did not expand to what it was: memory or processor is broken.
    #[error("a compressed block did not expand to its own bytes: test this machine's memory")]
    Mismatch,
    /// zstd failed.
    #[error("compressing a block failed")]
    Zstd(#[from] io::Error),
}

/// A block that was checked against its id and expanded.
#[derive(Debug, Clone)]
pub struct OpenBlock {
    place: BlockPlace,
    raw: Vec<u8>,
}

/// Checks `stored` against the block id, the header and every limit, and expands it.
///
/// # Errors
/// What differs, with pack, block and offset.
pub fn open(place: &BlockPlace, stored: &[u8]) -> Result<OpenBlock, BlockError> {
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
    let payload = stored.get(HEADER_LENGTH as usize..).unwrap_or_default();
    if payload.len() != header.payload as usize || header.raw != place.raw {
        return Err(BlockError::Disagrees {
            place: *place,
            raw: header.raw,
            payload: header.payload,
        });
    }
    let raw = if header.codec == CODEC_RAW {
        payload.to_vec()
    } else {
        expand(payload, header.raw as usize).map_err(|source| BlockError::Expand {
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
    Ok(OpenBlock { place: *place, raw })
}

fn expand(payload: &[u8], raw: usize) -> io::Result<Vec<u8>> {
    let mut decoder = Decompressor::new()?;
    decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
    decoder.decompress(payload, raw)
}

impl OpenBlock {
    /// Where it was read.
    pub fn place(&self) -> &BlockPlace {
        &self.place
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

#[cfg(test)]
mod tests;
