//! Makes damaged inputs valid again where a checksum alone would stop a
//! decoder: what lies behind a checksum is only reached past it.

/// Overwrites `bytes` at `at`; nothing happens where they do not fit.
pub fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    let end = at.saturating_add(value.len());
    if let Some(place) = bytes.get_mut(at..end) {
        place.copy_from_slice(value);
    }
}

/// The little-endian number at `at`, 0 where there is none.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
    field.map_or(0, |field| u32::from_le_bytes(*field))
}

/// The little-endian number at `at`, 0 where there is none.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
    field.map_or(0, |field| u64::from_le_bytes(*field))
}

/// The checksum of GPT headers and entries (UEFI 4.2.1: CCITT32).
pub fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let step = |crc: u32, _| (crc >> 1) ^ (POLYNOMIAL & (crc & 1).wrapping_neg());
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), step);
    !bytes.iter().fold(u32::MAX, byte)
}

/// Gives every tar header in `archive` the checksum it must have: the sum of
/// its bytes with the checksum itself as spaces.
pub fn tar(archive: &mut [u8]) {
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    for header in archive.chunks_exact_mut(512) {
        if header.get(257..262) != Some(b"ustar".as_slice()) {
            continue;
        }
        put(header, CHECKSUM.start, &[b' '; 8]);
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        put(header, CHECKSUM.start, format!("{sum:06o}\0 ").as_bytes());
    }
}
