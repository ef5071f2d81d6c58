//! Inodes (kernel documentation, "Index Nodes").

use image_format::entry::Times;

use super::checksum::{crc, inode_seed};
use super::fields::{
    get_array, get16, get32, high16, high32, join, length16, low16, low32, put_bytes, put16, put32,
};
use super::time;

/// The inode's fields before extra ones were invented.
pub(crate) const SHORT: usize = 128;
/// `i_extra_isize` as written.
pub(crate) const EXTRA: usize = 32;
/// `i_flags`: a directory with an index.
pub(crate) const FLAG_INDEX: u32 = 0x1000;
/// `i_flags`: contents that the kernel checks against a signed tree of hashes.
pub(crate) const FLAG_VERITY: u32 = 0x10_0000;
/// `i_flags`: encrypted contents and names.
pub(crate) const FLAG_ENCRYPT: u32 = 0x800;
/// `i_flags`: the map is an extent tree.
pub(crate) const FLAG_EXTENTS: u32 = 0x8_0000;
/// `i_flags`: contents in the inode itself.
pub(crate) const FLAG_INLINE: u32 = 0x1000_0000;
/// The flags `FS_IOC_SETFLAGS` changes and that speak of the file and not of
/// its place: secrm unrm compr sync immutable append nodump noatime,
/// journal-data notail dirsync topdir, dax.
pub(crate) const FLAGS_KEPT: u32 = 0xff | 0x3_c000 | 0x200_0000;

/// `i_mode` without permissions.
pub(crate) mod format {
    pub(crate) const MASK: u16 = 0xf000;
    pub(crate) const FIFO: u16 = 0x1000;
    pub(crate) const CHAR_DEVICE: u16 = 0x2000;
    pub(crate) const DIRECTORY: u16 = 0x4000;
    pub(crate) const BLOCK_DEVICE: u16 = 0x6000;
    pub(crate) const FILE: u16 = 0x8000;
    pub(crate) const SYMLINK: u16 = 0xa000;
    pub(crate) const SOCKET: u16 = 0xc000;
}

mod field {
    pub(super) const MODE: usize = 0x0;
    pub(super) const UID: usize = 0x2;
    pub(super) const SIZE: usize = 0x4;
    pub(super) const ACCESSED: usize = 0x8;
    pub(super) const CHANGED: usize = 0xc;
    pub(super) const MODIFIED: usize = 0x10;
    pub(super) const GID: usize = 0x18;
    pub(super) const LINKS: usize = 0x1a;
    pub(super) const SECTORS: usize = 0x1c;
    pub(super) const FLAGS: usize = 0x20;
    pub(super) const MAP: usize = 0x28;
    pub(super) const GENERATION: usize = 0x64;
    pub(super) const XATTR_BLOCK: usize = 0x68;
    pub(super) const SIZE_HIGH: usize = 0x6c;
    pub(super) const SECTORS_HIGH: usize = 0x74;
    pub(super) const XATTR_BLOCK_HIGH: usize = 0x76;
    pub(super) const UID_HIGH: usize = 0x78;
    pub(super) const GID_HIGH: usize = 0x7a;
    pub(super) const CHECKSUM: usize = 0x7c;
    pub(super) const EXTRA_SIZE: usize = 0x80;
    pub(super) const CHECKSUM_HIGH: usize = 0x82;
    pub(super) const CHANGED_EXTRA: usize = 0x84;
    pub(super) const MODIFIED_EXTRA: usize = 0x88;
    pub(super) const ACCESSED_EXTRA: usize = 0x8c;
    pub(super) const CREATED: usize = 0x90;
    pub(super) const CREATED_EXTRA: usize = 0x94;
    pub(super) const PROJECT: usize = 0x9c;
}

/// What an inode says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inode {
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    pub(crate) times: Times,
    pub(crate) links: u16,
    /// Room taken, in units of 512 bytes.
    pub(crate) sectors: u64,
    pub(crate) flags: u32,
    /// `i_block`: extent tree root, block map, link target or device number.
    pub(crate) map: [u8; 60],
    pub(crate) generation: u32,
    /// Block of extended attributes, 0 for none.
    pub(crate) xattr_block: u64,
    /// Whose quota it counts for, 0 for nobody's.
    pub(crate) project: u32,
    /// The bytes behind the extra fields: extended attributes.
    pub(crate) tail: Vec<u8>,
}

impl Inode {
    /// Decodes an inode of 128 bytes or more; `None` when it is shorter or its
    /// extra fields reach past its end.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let extra = match bytes.len() {
            ..=SHORT => 0,
            _ => usize::from(get16(bytes, field::EXTRA_SIZE)?),
        };
        let fields = bytes.get(..SHORT + extra)?;
        let when = |at, extra_at| Some(time::decode(get32(fields, at)?, get32(fields, extra_at)));
        let ids = |low, high| {
            Some(u32::from(get16(fields, low)?) | u32::from(get16(fields, high)?) << 16)
        };
        let upper = |at| Some(u32::from(get16(fields, at)?));
        Some(Self {
            mode: get16(fields, field::MODE)?,
            uid: ids(field::UID, field::UID_HIGH)?,
            gid: ids(field::GID, field::GID_HIGH)?,
            size: join(
                get32(fields, field::SIZE)?,
                get32(fields, field::SIZE_HIGH)?,
            ),
            times: Times {
                modified: when(field::MODIFIED, field::MODIFIED_EXTRA)?,
                accessed: when(field::ACCESSED, field::ACCESSED_EXTRA)?,
                changed: when(field::CHANGED, field::CHANGED_EXTRA)?,
                created: when(field::CREATED, field::CREATED_EXTRA).unwrap_or_default(),
            },
            links: get16(fields, field::LINKS)?,
            sectors: join(get32(fields, field::SECTORS)?, upper(field::SECTORS_HIGH)?),
            flags: get32(fields, field::FLAGS)?,
            map: get_array(fields, field::MAP)?,
            generation: get32(fields, field::GENERATION)?,
            xattr_block: join(
                get32(fields, field::XATTR_BLOCK)?,
                upper(field::XATTR_BLOCK_HIGH)?,
            ),
            project: get32(fields, field::PROJECT).unwrap_or(0),
            tail: bytes.get(SHORT + extra..)?.to_vec(),
        })
    }

    /// The `length` bytes of inode `number`, sum included; `None` for times
    /// that ext4 cannot say.
    pub(crate) fn encode(&self, length: usize, number: u32, volume_seed: u32) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.put_fields(&mut bytes);
        self.put_times(&mut bytes)?;
        if length > SHORT {
            put16(&mut bytes, field::EXTRA_SIZE, length16(EXTRA));
            put_bytes(&mut bytes, SHORT + EXTRA, &self.tail);
        }
        let sum = crc(inode_seed(volume_seed, number, self.generation), &bytes);
        put16(&mut bytes, field::CHECKSUM, low16(sum));
        if length > SHORT {
            put16(&mut bytes, field::CHECKSUM_HIGH, high16(sum));
        }
        Some(bytes)
    }

    fn put_fields(&self, bytes: &mut [u8]) {
        put16(bytes, field::MODE, self.mode);
        put16(bytes, field::UID, low16(self.uid));
        put16(bytes, field::UID_HIGH, high16(self.uid));
        put16(bytes, field::GID, low16(self.gid));
        put16(bytes, field::GID_HIGH, high16(self.gid));
        put32(bytes, field::SIZE, low32(self.size));
        put32(bytes, field::SIZE_HIGH, high32(self.size));
        put16(bytes, field::LINKS, self.links);
        put32(bytes, field::SECTORS, low32(self.sectors));
        put16(bytes, field::SECTORS_HIGH, low16(high32(self.sectors)));
        put32(bytes, field::FLAGS, self.flags);
        put_bytes(bytes, field::MAP, &self.map);
        put32(bytes, field::GENERATION, self.generation);
        put32(bytes, field::XATTR_BLOCK, low32(self.xattr_block));
        put16(
            bytes,
            field::XATTR_BLOCK_HIGH,
            low16(high32(self.xattr_block)),
        );
    }

    fn put_times(&self, bytes: &mut [u8]) -> Option<()> {
        let places = [
            (self.times.modified, field::MODIFIED, field::MODIFIED_EXTRA),
            (self.times.accessed, field::ACCESSED, field::ACCESSED_EXTRA),
            (self.times.changed, field::CHANGED, field::CHANGED_EXTRA),
            (self.times.created, field::CREATED, field::CREATED_EXTRA),
        ];
        for (when, at, extra_at) in places {
            let (seconds, extra) = time::encode(when)?;
            for (at, word) in [(at, seconds), (extra_at, extra)] {
                // A short inode has no room for the extra words.
                if at + 4 <= bytes.len() {
                    put32(bytes, at, word);
                }
            }
        }
        Some(())
    }
}

/// Whether the sum of inode `number` is right. An inode of zeros has none.
pub(crate) fn is_sealed(bytes: &[u8], number: u32, volume_seed: u32) -> bool {
    let Some(generation) = get32(bytes, field::GENERATION) else {
        return false;
    };
    let Some(low) = get16(bytes, field::CHECKSUM) else {
        return false;
    };
    let extra = if bytes.len() > SHORT {
        get16(bytes, field::EXTRA_SIZE).unwrap_or(0)
    } else {
        0
    };
    let high = (extra >= 4)
        .then(|| get16(bytes, field::CHECKSUM_HIGH))
        .flatten();
    let mut cleared = bytes.to_vec();
    put16(&mut cleared, field::CHECKSUM, 0);
    if high.is_some() {
        put16(&mut cleared, field::CHECKSUM_HIGH, 0);
    }
    let sum = crc(inode_seed(volume_seed, number, generation), &cleared);
    let is_right = low == low16(sum) && high.is_none_or(|high| high == high16(sum));
    is_right || bytes.iter().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use image_format::entry::Timestamp;

    use super::*;

    fn sample(tail: usize) -> Inode {
        let when = |seconds| Timestamp {
            seconds,
            nanoseconds: 123_456_789,
        };
        Inode {
            mode: format::FILE | 0o4755,
            uid: 100_000,
            gid: 70_000,
            size: 5 << 33,
            times: Times {
                modified: when(-5),
                accessed: when(1 << 32),
                changed: when(3 << 32),
                created: when(1),
            },
            links: 3,
            sectors: 9 << 33,
            flags: FLAG_EXTENTS,
            map: [7; 60],
            generation: 4,
            project: 0,
            xattr_block: 1 << 34,
            tail: vec![3; tail],
        }
    }

    #[test]
    fn inode_survives_its_bytes_and_its_sum_notices_every_flip() {
        let inode = sample(96);
        let mut bytes = inode.encode(256, 12, 5).unwrap();
        assert_eq!(Inode::decode(&bytes), Some(inode));
        assert!(is_sealed(&bytes, 12, 5) && !is_sealed(&bytes, 13, 5));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            // The length of the extra fields says whether half the sum is there.
            assert!(!is_sealed(&bytes, 12, 5) || bit / 16 == field::EXTRA_SIZE / 2);
            drop(Inode::decode(&bytes));
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn short_inodes_hold_what_they_can() {
        let inode = sample(0);
        let bytes = inode.encode(128, 12, 5).unwrap();
        let again = Inode::decode(&bytes).unwrap();
        assert_eq!(
            (again.size, again.uid, again.xattr_block),
            (inode.size, inode.uid, inode.xattr_block)
        );
        assert_eq!(
            again.times.modified,
            Timestamp {
                seconds: -5,
                nanoseconds: 0
            }
        );
        assert!(is_sealed(&bytes, 12, 5));
        assert_eq!(Inode::decode(&bytes[..127]), None);
    }
}
