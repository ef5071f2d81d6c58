//! Little-endian numbers at named places.

/// The 16-bit number at `at`.
pub(crate) fn get16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The 32-bit number at `at`.
pub(crate) fn get32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// `N` bytes from `at`.
pub(crate) fn get_array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Puts a 16-bit number into our own `bytes` at `at`.
pub(crate) fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

/// Puts a 32-bit number into our own `bytes` at `at`.
pub(crate) fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Puts `from` into our own `bytes` at `at`.
pub(crate) fn put_bytes(bytes: &mut [u8], at: usize, from: &[u8]) {
    bytes[at..at + from.len()].copy_from_slice(from);
}

/// Bits 0..16.
pub(crate) const fn low16(value: u32) -> u16 {
    (value & 0xffff) as u16
}

/// Bits 16..32.
pub(crate) const fn high16(value: u32) -> u16 {
    (value >> 16) as u16
}

/// Bits 0..32.
pub(crate) const fn low32(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

/// Bits 32..64.
pub(crate) const fn high32(value: u64) -> u32 {
    (value >> 32) as u32
}

/// A number from its halves.
pub(crate) fn join(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// A length within a block of ours, which is at most 64 KiB less one.
pub(crate) fn length16(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// A length that was checked to be at most 255.
pub(crate) fn length8(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}
