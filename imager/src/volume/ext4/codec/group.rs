//! Group descriptors of 32 or 64 bytes (kernel documentation, "Block Group Descriptors").

use super::checksum::crc;
use super::fields::{get16, get32, high16, high32, join, low16, low32, put16, put32};

/// Inode table and bitmap of the group were never written.
pub(crate) const FLAG_INODE_UNINIT: u16 = 0x1;
/// Length of a descriptor before `64bit`.
pub(crate) const SHORT: usize = 32;
/// Length of the descriptors that are written.
pub(crate) const LONG: usize = 64;

mod field {
    pub(super) const BLOCK_BITMAP: usize = 0x0;
    pub(super) const INODE_BITMAP: usize = 0x4;
    pub(super) const INODE_TABLE: usize = 0x8;
    pub(super) const FREE_BLOCKS: usize = 0xc;
    pub(super) const FREE_INODES: usize = 0xe;
    pub(super) const DIRECTORIES: usize = 0x10;
    pub(super) const FLAGS: usize = 0x12;
    pub(super) const BLOCK_BITMAP_SUM: usize = 0x18;
    pub(super) const INODE_BITMAP_SUM: usize = 0x1a;
    pub(super) const UNUSED_INODES: usize = 0x1c;
    pub(super) const CHECKSUM: usize = 0x1e;
    /// The upper halves lie this far behind the 32-bit and the 16-bit words.
    pub(super) const WIDE_UPPER: usize = 0x20;
    pub(super) const FREE_BLOCKS_UPPER: usize = 0x2c;
    pub(super) const FREE_INODES_UPPER: usize = 0x2e;
    pub(super) const DIRECTORIES_UPPER: usize = 0x30;
    pub(super) const UNUSED_UPPER: usize = 0x32;
    pub(super) const BLOCK_BITMAP_SUM_UPPER: usize = 0x38;
    pub(super) const INODE_BITMAP_SUM_UPPER: usize = 0x3a;
}

/// What a group says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Descriptor {
    pub(crate) block_bitmap: u64,
    pub(crate) inode_bitmap: u64,
    pub(crate) inode_table: u64,
    pub(crate) free_blocks: u32,
    pub(crate) free_inodes: u32,
    pub(crate) directories: u32,
    pub(crate) flags: u16,
    pub(crate) block_bitmap_sum: u32,
    pub(crate) inode_bitmap_sum: u32,
    /// Inodes at the table's end that were never used.
    pub(crate) unused_inodes: u32,
}

impl Descriptor {
    /// Decodes 32 bytes, or the first 64 of more.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= SHORT).then_some(())?;
        let long = bytes.len() >= LONG;
        let wide = |at: usize| {
            let upper = if long {
                get32(bytes, at + field::WIDE_UPPER)?
            } else {
                0
            };
            Some(join(get32(bytes, at)?, upper))
        };
        let narrow = |at: usize, upper_at: usize| {
            let upper = if long { get16(bytes, upper_at)? } else { 0 };
            Some(u32::from(get16(bytes, at)?) | u32::from(upper) << 16)
        };
        Some(Self {
            block_bitmap: wide(field::BLOCK_BITMAP)?,
            inode_bitmap: wide(field::INODE_BITMAP)?,
            inode_table: wide(field::INODE_TABLE)?,
            free_blocks: narrow(field::FREE_BLOCKS, field::FREE_BLOCKS_UPPER)?,
            free_inodes: narrow(field::FREE_INODES, field::FREE_INODES_UPPER)?,
            directories: narrow(field::DIRECTORIES, field::DIRECTORIES_UPPER)?,
            flags: get16(bytes, field::FLAGS)?,
            block_bitmap_sum: narrow(field::BLOCK_BITMAP_SUM, field::BLOCK_BITMAP_SUM_UPPER)?,
            inode_bitmap_sum: narrow(field::INODE_BITMAP_SUM, field::INODE_BITMAP_SUM_UPPER)?,
            unused_inodes: narrow(field::UNUSED_INODES, field::UNUSED_UPPER)?,
        })
    }

    /// The 64 bytes of the descriptor of group `number`, sum included.
    pub(crate) fn encode(&self, seed: u32, number: u32) -> [u8; LONG] {
        let mut bytes = [0; LONG];
        let mut wide = |at: usize, value: u64| {
            put32(&mut bytes, at, low32(value));
            put32(&mut bytes, at + field::WIDE_UPPER, high32(value));
        };
        wide(field::BLOCK_BITMAP, self.block_bitmap);
        wide(field::INODE_BITMAP, self.inode_bitmap);
        wide(field::INODE_TABLE, self.inode_table);
        let mut narrow = |at: usize, upper_at: usize, value: u32| {
            put16(&mut bytes, at, low16(value));
            put16(&mut bytes, upper_at, high16(value));
        };
        narrow(
            field::FREE_BLOCKS,
            field::FREE_BLOCKS_UPPER,
            self.free_blocks,
        );
        narrow(
            field::FREE_INODES,
            field::FREE_INODES_UPPER,
            self.free_inodes,
        );
        narrow(
            field::DIRECTORIES,
            field::DIRECTORIES_UPPER,
            self.directories,
        );
        narrow(
            field::UNUSED_INODES,
            field::UNUSED_UPPER,
            self.unused_inodes,
        );
        narrow(
            field::BLOCK_BITMAP_SUM,
            field::BLOCK_BITMAP_SUM_UPPER,
            self.block_bitmap_sum,
        );
        narrow(
            field::INODE_BITMAP_SUM,
            field::INODE_BITMAP_SUM_UPPER,
            self.inode_bitmap_sum,
        );
        put16(&mut bytes, field::FLAGS, self.flags);
        let sum = counted(seed, number, &bytes);
        put16(&mut bytes, field::CHECKSUM, sum);
        bytes
    }
}

/// The stored sum of a descriptor and the sum of its bytes.
pub(crate) fn sums(seed: u32, number: u32, bytes: &[u8]) -> Option<(u16, u16)> {
    (bytes.len() >= SHORT).then_some(())?;
    Some((get16(bytes, field::CHECKSUM)?, counted(seed, number, bytes)))
}

fn counted(seed: u32, number: u32, bytes: &[u8]) -> u16 {
    let mut sum = crc(seed, &number.to_le_bytes());
    sum = crc(sum, &bytes[..field::CHECKSUM]);
    sum = crc(sum, &[0; 2]);
    sum = crc(sum, &bytes[field::CHECKSUM + 2..]);
    low16(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptor_survives_its_bytes() {
        let descriptor = Descriptor {
            block_bitmap: 0x1_2345_6789_abcd,
            inode_bitmap: 2,
            inode_table: 3 << 33,
            free_blocks: 70_000,
            free_inodes: 5,
            directories: 66_000,
            flags: FLAG_INODE_UNINIT,
            block_bitmap_sum: 0xdead_beef,
            inode_bitmap_sum: 0x1234_5678,
            unused_inodes: 9,
        };
        let bytes = descriptor.encode(7, 3);
        assert_eq!(Descriptor::decode(&bytes), Some(descriptor));
        let (stored, counted) = sums(7, 3, &bytes).unwrap();
        assert_eq!(stored, counted);
        assert!((0..SHORT).all(|short| Descriptor::decode(&bytes[..short]).is_none()));
    }
}
