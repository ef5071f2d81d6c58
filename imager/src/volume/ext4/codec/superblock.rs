//! The superblock: 1024 bytes at byte 1024 (kernel documentation, "Super Block").

use super::checksum::crc;
use super::features::{INCOMPAT_CSUM_SEED, RO_METADATA_CSUM};
use super::fields::{get_array, get16, get32, high32, join, low32, put_bytes, put16, put32};

/// Byte offset of the primary superblock.
pub(crate) const PLACE: u64 = 1024;
/// Its length.
pub(crate) const LENGTH: usize = 1024;
/// `s_magic`.
pub(crate) const MAGIC: u16 = 0xef53;
/// `s_state`: unmounted cleanly.
pub(crate) const STATE_CLEAN: u16 = 1;
/// `s_state`: errors were found.
pub(crate) const STATE_ERRORS: u16 = 2;
/// `s_flags`: directory hashes take names as signed characters.
pub(crate) const FLAG_SIGNED_HASH: u32 = 1;

const CHECKSUM_CRC32C: u8 = 1;
const REVISION_DYNAMIC: u32 = 1;
const NEVER: u16 = 0xffff;
/// `i_extra_isize` that `mke2fs` wants and needs.
const EXTRA_SIZE: u16 = 32;
/// `s_jnl_backup_type`: `s_jnl_blocks` holds the journal inode's map.
const JOURNAL_BACKUP_BLOCKS: u8 = 1;
const OLD_INODE_SIZE: u16 = 128;
const OLD_FIRST_INODE: u32 = 11;

mod field {
    pub(super) const INODES: usize = 0x0;
    pub(super) const BLOCKS: usize = 0x4;
    pub(super) const RESERVED: usize = 0x8;
    pub(super) const FREE_BLOCKS: usize = 0xc;
    pub(super) const FREE_INODES: usize = 0x10;
    pub(super) const FIRST_DATA_BLOCK: usize = 0x14;
    pub(super) const LOG_BLOCK_SIZE: usize = 0x18;
    pub(super) const LOG_CLUSTER_SIZE: usize = 0x1c;
    pub(super) const BLOCKS_PER_GROUP: usize = 0x20;
    pub(super) const CLUSTERS_PER_GROUP: usize = 0x24;
    pub(super) const INODES_PER_GROUP: usize = 0x28;
    pub(super) const WRITTEN: usize = 0x30;
    pub(super) const MAX_MOUNTS: usize = 0x36;
    pub(super) const MAGIC: usize = 0x38;
    pub(super) const STATE: usize = 0x3a;
    pub(super) const ERRORS: usize = 0x3c;
    pub(super) const LAST_CHECK: usize = 0x40;
    pub(super) const REVISION: usize = 0x4c;
    pub(super) const FIRST_INODE: usize = 0x54;
    pub(super) const INODE_SIZE: usize = 0x58;
    pub(super) const GROUP: usize = 0x5a;
    pub(super) const COMPAT: usize = 0x5c;
    pub(super) const INCOMPAT: usize = 0x60;
    pub(super) const RO_COMPAT: usize = 0x64;
    pub(super) const UUID: usize = 0x68;
    pub(super) const LABEL: usize = 0x78;
    pub(super) const JOURNAL_INODE: usize = 0xe0;
    pub(super) const LAST_ORPHAN: usize = 0xe8;
    pub(super) const HASH_SEED: usize = 0xec;
    pub(super) const HASH_VERSION: usize = 0xfc;
    pub(super) const JOURNAL_BACKUP_TYPE: usize = 0xfd;
    pub(super) const DESCRIPTOR_SIZE: usize = 0xfe;
    pub(super) const MOUNT_OPTIONS: usize = 0x100;
    pub(super) const FIRST_META_GROUP: usize = 0x104;
    pub(super) const MADE: usize = 0x108;
    pub(super) const JOURNAL_BACKUP: usize = 0x10c;
    pub(super) const BLOCKS_HIGH: usize = 0x150;
    pub(super) const RESERVED_HIGH: usize = 0x154;
    pub(super) const FREE_BLOCKS_HIGH: usize = 0x158;
    pub(super) const MIN_EXTRA: usize = 0x15c;
    pub(super) const WANT_EXTRA: usize = 0x15e;
    pub(super) const FLAGS: usize = 0x160;
    pub(super) const LOG_FLEX: usize = 0x174;
    pub(super) const CHECKSUM_TYPE: usize = 0x175;
    pub(super) const CHECKSUM_SEED: usize = 0x270;
    pub(super) const CHECKSUM: usize = 0x3fc;
}

/// The superblock's words, those that are read or set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) inodes: u32,
    pub(crate) blocks: u64,
    pub(crate) reserved_blocks: u64,
    pub(crate) free_blocks: u64,
    pub(crate) free_inodes: u32,
    pub(crate) first_data_block: u32,
    /// Block size is 1024 shifted left by this.
    pub(crate) log_block_size: u32,
    pub(crate) blocks_per_group: u32,
    pub(crate) inodes_per_group: u32,
    /// Seconds since 1970, for all three of made, written and checked.
    pub(crate) made: u32,
    pub(crate) state: u16,
    pub(crate) errors: u16,
    pub(crate) first_inode: u32,
    pub(crate) inode_size: u16,
    /// The group this copy lies in.
    pub(crate) group: u16,
    /// `compat`, `incompat`, `ro_compat`.
    pub(crate) features: [u32; 3],
    pub(crate) uuid: [u8; 16],
    pub(crate) label: [u8; 16],
    pub(crate) journal_inode: u32,
    pub(crate) last_orphan: u32,
    pub(crate) hash_seed: [u8; 16],
    pub(crate) hash_version: u8,
    pub(crate) descriptor_size: u16,
    pub(crate) mount_options: u32,
    pub(crate) first_meta_group: u32,
    /// The journal inode's map and size, for `e2fsck`.
    pub(crate) journal_backup: [u8; 68],
    pub(crate) flags: u32,
    pub(crate) log_flex: u8,
    pub(crate) checksum_seed: u32,
}

impl Superblock {
    /// The words of `bytes`; `None` when they are too short.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let old = get32(bytes, field::REVISION)? < REVISION_DYNAMIC;
        Some(Self {
            inodes: get32(bytes, field::INODES)?,
            blocks: join(
                get32(bytes, field::BLOCKS)?,
                get32(bytes, field::BLOCKS_HIGH)?,
            ),
            reserved_blocks: join(
                get32(bytes, field::RESERVED)?,
                get32(bytes, field::RESERVED_HIGH)?,
            ),
            free_blocks: join(
                get32(bytes, field::FREE_BLOCKS)?,
                get32(bytes, field::FREE_BLOCKS_HIGH)?,
            ),
            free_inodes: get32(bytes, field::FREE_INODES)?,
            first_data_block: get32(bytes, field::FIRST_DATA_BLOCK)?,
            log_block_size: get32(bytes, field::LOG_BLOCK_SIZE)?,
            blocks_per_group: get32(bytes, field::BLOCKS_PER_GROUP)?,
            inodes_per_group: get32(bytes, field::INODES_PER_GROUP)?,
            made: get32(bytes, field::MADE)?,
            state: get16(bytes, field::STATE)?,
            errors: get16(bytes, field::ERRORS)?,
            first_inode: if old {
                OLD_FIRST_INODE
            } else {
                get32(bytes, field::FIRST_INODE)?
            },
            inode_size: if old {
                OLD_INODE_SIZE
            } else {
                get16(bytes, field::INODE_SIZE)?
            },
            group: get16(bytes, field::GROUP)?,
            features: [
                get32(bytes, field::COMPAT)?,
                get32(bytes, field::INCOMPAT)?,
                get32(bytes, field::RO_COMPAT)?,
            ],
            uuid: get_array(bytes, field::UUID)?,
            label: get_array(bytes, field::LABEL)?,
            journal_inode: get32(bytes, field::JOURNAL_INODE)?,
            last_orphan: get32(bytes, field::LAST_ORPHAN)?,
            hash_seed: get_array(bytes, field::HASH_SEED)?,
            hash_version: *bytes.get(field::HASH_VERSION)?,
            descriptor_size: get16(bytes, field::DESCRIPTOR_SIZE)?,
            mount_options: get32(bytes, field::MOUNT_OPTIONS)?,
            first_meta_group: get32(bytes, field::FIRST_META_GROUP)?,
            journal_backup: get_array(bytes, field::JOURNAL_BACKUP)?,
            flags: get32(bytes, field::FLAGS)?,
            log_flex: *bytes.get(field::LOG_FLEX)?,
            checksum_seed: get32(bytes, field::CHECKSUM_SEED)?,
        })
    }

    /// The superblock as `mke2fs` 1.47 would write these words, sum included.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; LENGTH];
        self.put_counts(&mut bytes);
        self.put_names(&mut bytes);
        let sum = crc(!0, &bytes[..field::CHECKSUM]);
        put32(&mut bytes, field::CHECKSUM, sum);
        bytes
    }

    fn put_counts(&self, bytes: &mut [u8]) {
        put32(bytes, field::INODES, self.inodes);
        put32(bytes, field::BLOCKS, low32(self.blocks));
        put32(bytes, field::BLOCKS_HIGH, high32(self.blocks));
        put32(bytes, field::RESERVED, low32(self.reserved_blocks));
        put32(bytes, field::RESERVED_HIGH, high32(self.reserved_blocks));
        put32(bytes, field::FREE_BLOCKS, low32(self.free_blocks));
        put32(bytes, field::FREE_BLOCKS_HIGH, high32(self.free_blocks));
        put32(bytes, field::FREE_INODES, self.free_inodes);
        put32(bytes, field::FIRST_DATA_BLOCK, self.first_data_block);
        put32(bytes, field::LOG_BLOCK_SIZE, self.log_block_size);
        put32(bytes, field::LOG_CLUSTER_SIZE, self.log_block_size);
        put32(bytes, field::BLOCKS_PER_GROUP, self.blocks_per_group);
        put32(bytes, field::CLUSTERS_PER_GROUP, self.blocks_per_group);
        put32(bytes, field::INODES_PER_GROUP, self.inodes_per_group);
        put32(bytes, field::FIRST_INODE, self.first_inode);
        put16(bytes, field::INODE_SIZE, self.inode_size);
        put16(bytes, field::DESCRIPTOR_SIZE, self.descriptor_size);
        put16(bytes, field::MAX_MOUNTS, NEVER);
        bytes[field::LOG_FLEX] = self.log_flex;
        if self.inode_size > OLD_INODE_SIZE {
            put16(bytes, field::MIN_EXTRA, EXTRA_SIZE);
            put16(bytes, field::WANT_EXTRA, EXTRA_SIZE);
        }
    }

    fn put_names(&self, bytes: &mut [u8]) {
        put16(bytes, field::MAGIC, MAGIC);
        put16(bytes, field::STATE, self.state);
        put16(bytes, field::ERRORS, self.errors);
        put32(bytes, field::REVISION, REVISION_DYNAMIC);
        put16(bytes, field::GROUP, self.group);
        put32(bytes, field::COMPAT, self.features[0]);
        put32(bytes, field::INCOMPAT, self.features[1]);
        put32(bytes, field::RO_COMPAT, self.features[2]);
        put_bytes(bytes, field::UUID, &self.uuid);
        put_bytes(bytes, field::LABEL, &self.label);
        put32(bytes, field::JOURNAL_INODE, self.journal_inode);
        put32(bytes, field::LAST_ORPHAN, self.last_orphan);
        put_bytes(bytes, field::HASH_SEED, &self.hash_seed);
        bytes[field::HASH_VERSION] = self.hash_version;
        bytes[field::JOURNAL_BACKUP_TYPE] = JOURNAL_BACKUP_BLOCKS;
        put_bytes(bytes, field::JOURNAL_BACKUP, &self.journal_backup);
        put32(bytes, field::MOUNT_OPTIONS, self.mount_options);
        put32(bytes, field::FIRST_META_GROUP, self.first_meta_group);
        put32(bytes, field::FLAGS, self.flags);
        bytes[field::CHECKSUM_TYPE] = CHECKSUM_CRC32C;
        put32(bytes, field::CHECKSUM_SEED, self.checksum_seed);
        for at in [field::MADE, field::WRITTEN, field::LAST_CHECK] {
            put32(bytes, at, self.made);
        }
    }

    /// Whether everything carries a CRC-32C.
    pub(crate) fn has_checksums(&self) -> bool {
        self.features[2] & RO_METADATA_CSUM != 0
    }

    /// The seed of all sums but the superblock's own.
    pub(crate) fn seed(&self) -> u32 {
        match self.features[1] & INCOMPAT_CSUM_SEED {
            0 => super::checksum::volume_seed(&self.uuid),
            _ => self.checksum_seed,
        }
    }
}

/// The magic, the stored sum and the sum of `bytes`; `None` when too short.
pub(crate) fn marks(bytes: &[u8]) -> Option<(u16, u32, u32)> {
    let stored = get32(bytes, field::CHECKSUM)?;
    let counted = crc(!0, bytes.get(..field::CHECKSUM)?);
    Some((get16(bytes, field::MAGIC)?, stored, counted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superblock_survives_its_bytes() {
        let mut bytes = vec![0; LENGTH];
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from(place % 251).unwrap();
        }
        let superblock = Superblock::decode(&bytes).unwrap();
        let again = superblock.encode();
        assert_eq!(Superblock::decode(&again).unwrap(), superblock);
        let (magic, stored, counted) = marks(&again).unwrap();
        assert_eq!((magic, stored), (MAGIC, counted));
        assert!((0..LENGTH).all(|short| marks(&again[..short]).is_none()));
    }
}
