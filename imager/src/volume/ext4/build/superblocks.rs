//! Superblock, descriptors and bitmaps: what counts all the rest.

use super::super::codec::checksum::crc;
use super::super::codec::features;
use super::super::codec::fields::length16;
use super::super::codec::group::{Descriptor, FLAG_INODE_UNINIT, LONG};
use super::super::codec::hash::HALF_MD4;
use super::super::codec::superblock::{FLAG_SIGNED_HASH, PLACE, STATE_CLEAN, Superblock};
use super::geometry::{Geometry, LOG_FLEX};
use super::items::{Item, Payload};
use super::shape::Shape;
use super::space::{Bits, Usage};

/// The journal's inode number.
pub(super) const JOURNAL: u32 = 8;
const FIRST_INODE: u32 = 11;

/// The bytes of all descriptors and the sums over them.
pub(super) struct Groups {
    pub(super) descriptors: Vec<u8>,
    pub(super) free_blocks: u64,
    pub(super) free_inodes: u32,
}

/// Describes all groups and adds the bitmaps they speak of to `items`.
/// Inodes up to `last` are in use; `directories` counts them for each group.
pub(super) fn groups(
    shape: &Shape,
    geometry: &Geometry,
    usage: &Usage,
    last: u32,
    directories: &[u32],
    items: &mut Vec<Item>,
) -> Groups {
    let per_group = geometry.inodes_per_group;
    let mut all = Groups {
        descriptors: Vec::new(),
        free_blocks: 0,
        free_inodes: 0,
    };
    for (number, place) in (0_u32..).zip(&geometry.groups) {
        let bitmap = usage.bitmap(number.into());
        let free_blocks: u32 = bitmap.iter().map(|byte| byte.count_zeros()).sum();
        let used = last
            .saturating_sub(number.saturating_mul(per_group))
            .min(per_group);
        let inode_bitmap = inode_bitmap(shape, per_group, used);
        let summed = &inode_bitmap[..(per_group / 8) as usize];
        let descriptor = Descriptor {
            block_bitmap: place.block_bitmap,
            inode_bitmap: place.inode_bitmap,
            inode_table: place.inode_table,
            free_blocks,
            free_inodes: per_group - used,
            directories: directories.get(number as usize).copied().unwrap_or(0),
            flags: if used == 0 { FLAG_INODE_UNINIT } else { 0 },
            block_bitmap_sum: crc(shape.seed, &bitmap),
            inode_bitmap_sum: if used == 0 {
                0
            } else {
                crc(shape.seed, summed)
            },
            unused_inodes: per_group - used,
        };
        all.descriptors
            .extend_from_slice(&descriptor.encode(shape.seed, number));
        all.free_blocks += u64::from(free_blocks);
        all.free_inodes += per_group - used;
        let at = |block: u64| block * shape.block();
        let payload = Payload::BlockBitmap(number.into());
        items.push(Item {
            offset: at(place.block_bitmap),
            payload,
        });
        if used > 0 {
            let payload = Payload::Bytes(inode_bitmap);
            items.push(Item {
                offset: at(place.inode_bitmap),
                payload,
            });
        }
    }
    debug_assert_eq!(all.descriptors.len(), geometry.groups.len() * LONG);
    all
}

/// `used` inodes from the first; what lies behind the group's last counts as used.
fn inode_bitmap(shape: &Shape, per_group: u32, used: u32) -> Vec<u8> {
    let whole = 8 * shape.block();
    let mut bits = Bits::new(whole);
    bits.set(0, used.into());
    bits.set(per_group.into(), whole);
    bits.into_bytes()
}

/// The superblock of group 0.
pub(super) fn superblock(
    shape: &Shape,
    geometry: &Geometry,
    groups: &Groups,
    journal_map: &[u8; 60],
) -> Superblock {
    let journal_size = geometry.journal_blocks * shape.block();
    let mut journal_backup = [0; 68];
    journal_backup[..60].copy_from_slice(journal_map);
    // High half first (e2fsprogs `lib/ext2fs/mkjournal.c`).
    journal_backup[60..64].copy_from_slice(&journal_size.to_le_bytes()[4..]);
    journal_backup[64..].copy_from_slice(&journal_size.to_le_bytes()[..4]);
    let count = u32::try_from(geometry.groups.len()).unwrap_or(u32::MAX);
    Superblock {
        inodes: geometry.inodes_per_group.saturating_mul(count),
        blocks: geometry.blocks,
        reserved_blocks: geometry.blocks / 100 * u64::from(shape.reserved_percent)
            + geometry.blocks % 100 * u64::from(shape.reserved_percent) / 100,
        free_blocks: groups.free_blocks,
        free_inodes: groups.free_inodes,
        first_data_block: u32::from(geometry.first > 0),
        log_block_size: (shape.block_size / 1024).trailing_zeros(),
        blocks_per_group: u32::try_from(geometry.per_group).unwrap_or(u32::MAX),
        inodes_per_group: geometry.inodes_per_group,
        made: shape.made,
        state: STATE_CLEAN,
        errors: shape.errors,
        first_inode: FIRST_INODE,
        inode_size: u16::try_from(shape.inode_size).unwrap_or(u16::MAX),
        group: 0,
        features: features::BUILT,
        uuid: shape.uuid,
        label: shape.label,
        journal_inode: JOURNAL,
        last_orphan: 0,
        hash_seed: shape.hash_seed,
        hash_version: HALF_MD4,
        descriptor_size: length16(LONG),
        mount_options: shape.mount_options,
        first_meta_group: 0,
        journal_backup,
        flags: FLAG_SIGNED_HASH,
        log_flex: LOG_FLEX,
        checksum_seed: 0,
    }
}

/// Where a group's copy of the superblock lies in the volume, in bytes.
pub(super) fn superblock_offset(shape: &Shape, geometry: &Geometry, group: u64) -> u64 {
    match group {
        0 => PLACE,
        group => geometry.start_of(group) * shape.block(),
    }
}
