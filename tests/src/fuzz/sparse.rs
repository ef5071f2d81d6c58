//! A disk as a short input: its size, and the sectors that are not zero.
//!
//! ```text
//! sectors 4 | then for each: sector number 4, bytes 512
//! ```

use imager::disk::{Disk, MemoryDisk};

/// Bytes that one record stands for.
const SECTOR: usize = 512;
const RECORD: usize = 4 + SECTOR;
/// A larger disk says nothing more: 1 GiB.
const MOST_SECTORS: u32 = 1 << 21;
/// No reader is asked to look at less: 4 KiB.
const LEAST_SECTORS: u32 = 8;

/// The input that stands for a disk of these bytes, cut to whole sectors.
pub fn encode(disk: &[u8]) -> Vec<u8> {
    let sectors = u32::try_from(disk.len() / SECTOR).unwrap_or(u32::MAX);
    let mut input = sectors.to_le_bytes().to_vec();
    for (number, sector) in (0_u32..).zip(disk.chunks_exact(SECTOR)) {
        if sector.iter().any(|byte| *byte != 0) {
            input.extend(number.to_le_bytes());
            input.extend(sector);
        }
    }
    input
}

/// The disk an input stands for; records outside of it are passed over.
pub fn disk(input: &[u8], sector_size: u32) -> MemoryDisk {
    let (head, records) = input.split_at_checked(4).unwrap_or((&[], &[]));
    let head = head.first_chunk().copied().unwrap_or_default();
    let sectors = u32::from_le_bytes(head).clamp(LEAST_SECTORS, MOST_SECTORS);
    let disk = MemoryDisk::new(u64::from(sectors) * SECTOR as u64, sector_size);
    for record in records.chunks(RECORD) {
        let Some((number, bytes)) = record.split_first_chunk::<4>() else {
            continue;
        };
        let number = u64::from(u32::from_le_bytes(*number));
        // Past the end: there is nothing to hold it.
        let _ = disk.write_at(number * SECTOR as u64, bytes);
    }
    disk
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_comes_back_from_its_input() {
        let mut bytes = vec![0; 32 * SECTOR];
        bytes[700] = 7;
        bytes[20 * SECTOR] = 9;
        let input = encode(&bytes);
        assert_eq!(input.len(), 4 + 2 * RECORD);
        assert_eq!(disk(&input, 512).to_bytes().unwrap(), bytes);
    }

    #[test]
    fn any_input_is_a_disk_of_bounded_size() {
        for length in 0..20 {
            let disk = disk(&vec![0xff; length], 512);
            assert!((4096..=1 << 30).contains(&disk.size()));
        }
    }
}
