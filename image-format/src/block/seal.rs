//! Chunks become a block.

use std::cell::RefCell;
use std::io;

use thiserror::Error;
use zstd::bulk::Compressor;
use zstd::zstd_safe::{self, CCtx};

use super::header::{CODEC_RAW, CODEC_ZSTD};
use super::open::{expand, words};
use super::{Filter, Header, HeaderError, MAX_BASE_BYTES, MAX_BASES, MAX_RAW};
use crate::ids::{BlockId, ChunkRef};
use crate::profile::Profile;

/// Below one part in 32 saved, reading raw bytes is worth more than the room.
const LEAST_GAIN: usize = 32;
/// Places looked at to tell whether a block was compressed before, and bytes of each.
const PROBES: usize = 16;
const PROBE: usize = 8 << 10;
/// Blocks below this are compressed without a look: it costs nothing.
const LEAST_PROBED: usize = 256 << 10;
/// Bytes that were compressed before are spread this evenly: the entropy of
/// one byte, in bits. Machine code has 5.5 to 6.5, random bytes 7.998 in so
/// large a sample.
const DENSE: f64 = 7.9;

/// How to make a block.
#[derive(Debug, Clone, Copy)]
pub struct SealOptions<'a> {
    /// How many chunks the raw bytes are.
    pub chunks: u32,
    /// How hard to compress.
    pub profile: Profile,
    /// What to do to the bytes before.
    pub filter: FilterChoice,
    /// Chunks the reader will have at hand, at most 16 and 8 MiB together; the
    /// last stands next to the block and is matched best.
    pub bases: &'a [(ChunkRef, &'a [u8])],
    /// Expand again and compare before anything is kept.
    pub verify: bool,
}

/// Which branch filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum FilterChoice {
    /// None: this is no code.
    #[default]
    None,
    /// For code of x86, 32 or 64 bits.
    X86,
    /// For code of ARM64.
    Arm64,
}

impl FilterChoice {
    fn on(self, raw: &[u8]) -> Filter {
        match self {
            Self::None => Filter::None,
            Self::X86 => Filter::X86,
            Self::Arm64 => Filter::arm64(raw),
        }
    }
}

/// A block as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBlock {
    /// The hash of `bytes`.
    pub id: BlockId,
    /// Header, list of bases and payload.
    pub bytes: Vec<u8>,
    /// Length of the raw bytes.
    pub raw: u32,
    /// The chunks a reader must have to open it.
    pub bases: Vec<ChunkRef>,
}

/// Compresses `raw` and frames it.
///
/// # Errors
/// More than [`MAX_RAW`] bytes, too many bases, or zstd failed.
pub fn seal(raw: &[u8], options: &SealOptions<'_>) -> Result<SealedBlock, SealError> {
    let raw_length = u32::try_from(raw.len())
        .ok()
        .filter(|length| (1..=MAX_RAW).contains(length))
        .ok_or(SealError::Length { found: raw.len() })?;
    let pressed = if options.bases.is_empty() && is_dense(raw) {
        None
    } else {
        press(raw, options)?
    };
    let plain = (CODEC_RAW, Filter::None, &[][..], raw);
    let (codec, filter, bases, payload) = match &pressed {
        Some((filter, packed)) => (CODEC_ZSTD, *filter, options.bases, packed.as_slice()),
        None => plain,
    };
    let header = Header {
        codec,
        filter,
        raw: raw_length,
        payload: u32::try_from(payload.len()).map_err(|_| SealError::Length {
            found: payload.len(),
        })?,
        chunks: options.chunks,
        bases: bases.iter().map(|(base, _)| *base).collect(),
    };
    header.check()?;
    let mut bytes = header.encode();
    bytes.extend_from_slice(payload);
    Ok(SealedBlock {
        id: BlockId::of(&bytes),
        bytes,
        raw: raw_length,
        bases: header.bases,
    })
}

/// The filter and the frame, or nothing when the frame saves too little.
fn press(raw: &[u8], options: &SealOptions<'_>) -> Result<Option<(Filter, Vec<u8>)>, SealError> {
    let filter = options.filter.on(raw);
    let mut turned = Vec::new();
    let source = if filter == Filter::None {
        raw
    } else {
        turned.extend_from_slice(raw);
        filter.apply(&mut turned);
        &turned
    };
    let prefix = joined(options.bases)?;
    let mut packed = compress(source, &prefix, options.profile)?;
    drop(turned);
    let rows = options.bases.len() * super::BASE_ROW as usize;
    if packed.len() + rows >= raw.len() - raw.len() / LEAST_GAIN {
        return Ok(None);
    }
    if options.verify {
        // Room for a block that does not shrink; most do, to a quarter.
        packed.shrink_to_fit();
        let mut back = expand(&packed, &prefix, raw.len())?;
        filter.undo(&mut back);
        if back != raw {
            return Err(SealError::Mismatch);
        }
    }
    Ok(Some((filter, packed)))
}

/// The bytes of all bases, one after another.
fn joined(bases: &[(ChunkRef, &[u8])]) -> Result<Vec<u8>, SealError> {
    let all: usize = bases.iter().map(|(_, bytes)| bytes.len()).sum();
    let lengths_agree = bases
        .iter()
        .all(|(base, bytes)| base.length as usize == bytes.len());
    if bases.len() > MAX_BASES as usize || all > MAX_BASE_BYTES as usize || !lengths_agree {
        return Err(SealError::Bases {
            bases: bases.len(),
            bytes: all,
        });
    }
    Ok(bases
        .iter()
        .flat_map(|(_, bytes)| *bytes)
        .copied()
        .collect())
}

thread_local! {
    /// A compressor's tables are tens of megabytes: one a thread, used again for every block.
    static PLAIN: RefCell<Option<(Profile, Compressor<'static>)>> = const { RefCell::new(None) };
}

fn compress(source: &[u8], prefix: &[u8], profile: Profile) -> io::Result<Vec<u8>> {
    let mut packed = Vec::with_capacity(zstd_safe::compress_bound(source.len()));
    if prefix.is_empty() {
        PLAIN.with_borrow_mut(|kept| {
            if kept.as_ref().is_none_or(|(known, _)| *known != profile) {
                *kept = Some((profile, Compressor::default()));
            }
            let Some((_, compressor)) = kept else {
                return Err(io::Error::other("no compressor"));
            };
            let context = compressor.context_mut();
            profile.tune(context, source.len(), 0).map_err(words)?;
            context.compress2(&mut packed, source).map_err(words)
        })?;
    } else {
        let mut context = CCtx::default();
        profile
            .tune(&mut context, source.len(), prefix.len())
            .map_err(words)?;
        context.ref_prefix(prefix).map_err(words)?;
        context.compress2(&mut packed, source).map_err(words)?;
    }
    Ok(packed)
}

/// Whether the bytes look as evenly spread as only compressed ones do. What
/// says so is stored raw without an attempt, so it must hold in every place
/// looked at together, and one run of plain bytes among them is enough to fail.
fn is_dense(raw: &[u8]) -> bool {
    if raw.len() < LEAST_PROBED {
        return false;
    }
    let mut counts = [0_u32; 256];
    let mut all = 0_u32;
    let step = raw.len() / PROBES;
    for sample in raw.chunks(step).filter_map(|part| part.get(..PROBE)) {
        for byte in sample {
            if let Some(count) = counts.get_mut(usize::from(*byte)) {
                *count += 1;
            }
        }
        all += u32::try_from(sample.len()).unwrap_or_default();
    }
    let entropy: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / f64::from(all))
        .map(|share| -share * share.log2())
        .sum();
    entropy > DENSE
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
    /// More bases than a block may have, or one of another length than it says.
    #[error(
        "a block has at most {MAX_BASES} bases of {MAX_BASE_BYTES} bytes together, each as long as it says, not {bases} of {bytes}"
    )]
    Bases {
        /// How many there were.
        bases: usize,
        /// Their bytes.
        bytes: usize,
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
