//! CRC-32C as ext4 counts it: started with all ones, never inverted at the end.

/// Continues `seed` over `bytes`.
pub(crate) fn crc(seed: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!seed, bytes)
}

/// Where every sum of a file system starts: its UUID.
pub(crate) fn volume_seed(uuid: &[u8; 16]) -> u32 {
    crc(!0, uuid)
}

/// Where the sums of an inode and of its blocks start.
pub(crate) fn inode_seed(volume_seed: u32, number: u32, generation: u32) -> u32 {
    let with_number = crc(volume_seed, &number.to_le_bytes());
    crc(with_number, &generation.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_of_the_check_string_is_the_published_one_without_inversion() {
        assert_eq!(crc(!0, b"123456789"), !0xe306_9283);
        assert_eq!(crc(crc(!0, b"1234"), b"56789"), !0xe306_9283);
    }
}
