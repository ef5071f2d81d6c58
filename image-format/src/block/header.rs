//! The bytes before a block's payload: 64 of header, then the list of bases.
//!
//! ```text
//! magic 8 | version 1 | codec 1 | filter 1 | cipher 1 | raw 4 | payload 4 | chunks 4 | bases 4
//! nonce 24 | key number 4 | filter start 1 | reserved 7 || base: chunk id 32, length 4 || ...
//! ```

use thiserror::Error;

use super::filter::Filter;
use super::{BASE_ROW, HEADER_LENGTH, MAX_BASE_BYTES, MAX_BASES, MAX_RAW};
use crate::bytes::{CutOff, Fields};
use crate::ids::{ChunkId, ChunkRef};

const MAGIC: [u8; 8] = *b"mimeoblk";
const VERSION: u8 = 1;
pub(super) const CODEC_RAW: u8 = 0;
pub(super) const CODEC_ZSTD: u8 = 1;
/// 1 is kept for XChaCha20-Poly1305.
const CIPHER_NONE: u8 = 0;
/// Where the cipher's nonce (24 bytes) and the number of its key (4) will stand.
const CIPHER_ROOM: [u8; 28] = [0; 28];
const RESERVED: [u8; 7] = [0; 7];

/// All that stands before the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) codec: u8,
    pub(crate) filter: Filter,
    pub(crate) raw: u32,
    pub(crate) payload: u32,
    pub(crate) chunks: u32,
    pub(crate) bases: Vec<ChunkRef>,
}

/// A header that is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The bytes end before the header does.
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
    /// The payload is encrypted.
    #[error(
        "the block is encrypted (cipher {cipher}): this program has no ciphers, use a newer one"
    )]
    Encrypted {
        /// Which cipher: 1 is XChaCha20-Poly1305.
        cipher: u8,
    },
}

impl Header {
    /// Bytes before the payload.
    pub(crate) fn length(&self) -> u32 {
        let bases = u32::try_from(self.bases.len()).unwrap_or(u32::MAX);
        HEADER_LENGTH.saturating_add(BASE_ROW.saturating_mul(bases))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.length() as usize);
        bytes.extend(MAGIC);
        let (filter, start) = self.filter.encode();
        bytes.extend([VERSION, self.codec, filter, CIPHER_NONE]);
        bytes.extend(self.raw.to_le_bytes());
        bytes.extend(self.payload.to_le_bytes());
        bytes.extend(self.chunks.to_le_bytes());
        bytes.extend(
            u32::try_from(self.bases.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        bytes.extend(CIPHER_ROOM);
        bytes.push(start);
        bytes.extend(RESERVED);
        for base in &self.bases {
            bytes.extend(base.id.as_bytes());
            bytes.extend(base.length.to_le_bytes());
        }
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
        let (codec, filter, cipher) = (fields.u8()?, fields.u8()?, fields.u8()?);
        if cipher != CIPHER_NONE {
            return Err(HeaderError::Encrypted { cipher });
        }
        let (raw, payload, chunks) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let bases = fields.u32()?;
        let cipher_room = fields.array::<28>()?;
        expect(
            "nonce and key",
            CIPHER_ROOM.escape_ascii(),
            cipher_room.escape_ascii(),
        )?;
        let start = fields.u8()?;
        let filter = Filter::decode(filter, start).ok_or_else(|| HeaderError::Field {
            field: "filter",
            expected: "0, 1 (x86) or 2 (ARM64) with a start of 0 to 3".to_owned(),
            found: format!("{filter} with start {start}"),
        })?;
        expect(
            "reserved bytes",
            RESERVED.escape_ascii(),
            fields.array::<7>()?.escape_ascii(),
        )?;
        if bases > MAX_BASES {
            return refuse("base count", "0 to 16", bases);
        }
        let bases = (0..bases)
            .map(|_| {
                Ok(ChunkRef {
                    id: ChunkId::new(fields.array()?),
                    length: fields.u32()?,
                })
            })
            .collect::<Result<_, CutOff>>()?;
        let header = Self {
            codec,
            filter,
            raw,
            payload,
            chunks,
            bases,
        };
        header.check()?;
        Ok(header)
    }

    pub(super) fn check(&self) -> Result<(), HeaderError> {
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
        let plain = self.bases.is_empty() && self.filter == Filter::None;
        if self.codec == CODEC_RAW && !plain {
            return refuse(
                "codec",
                "1 (zstd) with a filter or bases",
                u32::from(self.codec),
            );
        }
        let all: u64 = self.bases.iter().map(|base| u64::from(base.length)).sum();
        let empty = self.bases.iter().any(|base| base.length == 0);
        if empty || all > u64::from(MAX_BASE_BYTES) {
            let found = u32::try_from(all).unwrap_or(u32::MAX);
            return refuse(
                "bytes of the bases",
                "1 or more each, 8388608 together",
                found,
            );
        }
        Ok(())
    }
}

fn refuse<T>(field: &'static str, expected: &str, found: u32) -> Result<T, HeaderError> {
    Err(HeaderError::Field {
        field,
        expected: expected.to_owned(),
        found: found.to_string(),
    })
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
