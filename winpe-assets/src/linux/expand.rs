//! Decompression with a bound: what a package or an initramfs is made of.

use std::io::{self, Read};

use liblzma::stream::Stream;
use thiserror::Error;

/// Memory the xz decoder may take: `xz -9` needs 65 MiB, packages use less.
const XZ_MEMORY: u64 = 128 << 20;
/// Largest zstd window accepted, as a power of two: what the kernel accepts.
const ZSTD_WINDOW_LOG: u32 = 27;
const XZ_MAGIC: &[u8] = b"\xfd7zXZ\0";
const ZSTD_MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";

/// Why bytes could not be expanded.
#[derive(Debug, Error)]
pub enum ExpandError {
    /// More came out than the caller can use.
    #[error("expands to more than the {limit} bytes allowed here")]
    TooLong {
        /// The bound, in bytes.
        limit: usize,
    },
    /// The compressed stream is cut or damaged.
    #[error("compressed data is damaged: {0}")]
    Damaged(#[from] io::Error),
}

/// Expands xz or zstd, told apart by their magic; anything else is returned as it is.
pub fn expand(bytes: &[u8], limit: usize) -> Result<Vec<u8>, ExpandError> {
    let mut reader: Box<dyn Read + '_> = reader(bytes)?;
    let mut plain = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    reader.by_ref().take(bound).read_to_end(&mut plain)?;
    if plain.len() > limit {
        return Err(ExpandError::TooLong { limit });
    }
    Ok(plain)
}

/// The same as a stream, for archives that are read through once; the caller bounds it.
pub(crate) fn reader(bytes: &[u8]) -> io::Result<Box<dyn Read + '_>> {
    if bytes.starts_with(XZ_MAGIC) {
        let stream = Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
        return Ok(Box::new(liblzma::bufread::XzDecoder::new_stream(
            bytes, stream,
        )));
    }
    if bytes.starts_with(ZSTD_MAGIC) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
        return Ok(Box::new(decoder));
    }
    Ok(Box::new(bytes))
}

/// Smallest, for what a boot loader fetches slowly; the decoder needs 8 MiB.
pub(crate) const SMALLEST: i32 = 19;
/// An eighth larger in a tenth of the time, for what Linux fetches.
pub(crate) const SMALL: i32 = 12;

/// Compresses as every kernel with CONFIG_RD_ZSTD expands it: one frame, with
/// checksum.
pub(crate) fn compress(plain: &[u8], level: i32) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(u64::try_from(plain.len()).ok())?;
    io::Write::write_all(&mut encoder, plain)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compressed_expands_to_itself() {
        let plain: Vec<u8> = (0..100_000u32).flat_map(|n| n.to_le_bytes()).collect();
        let small = compress(&plain, SMALL).unwrap();
        assert!(small.len() < plain.len());
        assert_eq!(expand(&small, plain.len()).unwrap(), plain);
    }

    #[test]
    fn more_than_the_limit_is_refused() {
        let small = compress(&[0; 100_000], SMALL).unwrap();
        assert!(matches!(
            expand(&small, 99_999),
            Err(ExpandError::TooLong { .. })
        ));
    }

    #[test]
    fn a_cut_stream_is_an_error_at_every_length() {
        let small = compress(b"the quick brown fox", SMALL).unwrap();
        for length in ZSTD_MAGIC.len()..small.len() {
            assert!(expand(&small[..length], 100).is_err(), "cut at {length}");
        }
    }
}
