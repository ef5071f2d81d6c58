//! Whether there is an ext4 that can be read: superblock and group descriptors.

use crate::disk::Disk;
use crate::volume::{Reader, VolumeError};

use super::super::codec::features::{self, INCOMPAT_64BIT, INCOMPAT_META_BG, INCOMPAT_RECOVER};
use super::super::codec::group::{self, Descriptor};
use super::super::codec::superblock::{self, STATE_CLEAN, STATE_ERRORS, Superblock};
use super::super::fault::{damaged, unsupported};
use super::blocks::{Ext4, read};

/// Blocks larger than 64 KiB do not exist.
const LOG_BLOCK_SIZE_LIMIT: u32 = 6;
/// `mke2fs` makes no smaller groups; bounds the table of groups.
const LEAST_GROUP: u32 = 256;
const OLD_DESCRIPTOR: u16 = 32;

/// Opens the ext2, ext3 or ext4 file system that fills `disk`.
///
/// # Errors
/// When there is none, when it is damaged, was not shut down cleanly or has a
/// feature without which it cannot be read rightly.
pub fn open(disk: &dyn Disk) -> Result<Box<dyn Reader + '_>, VolumeError> {
    let bytes = read(
        disk,
        "superblock",
        superblock::PLACE,
        superblock::LENGTH as u64,
    )?;
    let superblock = checked_superblock(&bytes)?;
    check_features(&superblock)?;
    check_shut_down(&superblock)?;
    check_shape(&superblock, disk.size())?;
    let groups = read_groups(disk, &superblock)?;
    Ok(Box::new(Ext4::new(disk, superblock, groups)))
}

fn checked_superblock(bytes: &[u8]) -> Result<Superblock, VolumeError> {
    let short = || damaged("superblock", superblock::PLACE, "1024 bytes", bytes.len());
    let (magic, stored, counted) = superblock::marks(bytes).ok_or_else(short)?;
    if magic != superblock::MAGIC {
        let (expected, found) = (format!("{:#x}", superblock::MAGIC), format!("{magic:#x}"));
        return Err(damaged(
            "superblock magic",
            superblock::PLACE,
            expected,
            found,
        ));
    }
    let superblock = Superblock::decode(bytes).ok_or_else(short)?;
    if superblock.has_checksums() && stored != counted {
        let (expected, found) = (format!("{counted:#x}"), format!("{stored:#x}"));
        return Err(damaged(
            "superblock checksum",
            superblock::PLACE,
            expected,
            found,
        ));
    }
    Ok(superblock)
}

fn check_features(superblock: &Superblock) -> Result<(), VolumeError> {
    let names = features::refused(superblock.features[1], superblock.features[2]);
    if names.is_empty() {
        return Ok(());
    }
    Err(unsupported(
        format!("the ext4 features {}", names.join(", ")),
        "files cannot be read without understanding them",
        "capture this partition as a raw volume",
    ))
}

fn check_shut_down(superblock: &Superblock) -> Result<(), VolumeError> {
    let [_, incompat, ro_compat] = superblock.features;
    let why = if incompat & INCOMPAT_RECOVER != 0 {
        "its journal holds changes that are not in place"
    } else if superblock.state & STATE_ERRORS != 0 {
        "the kernel found errors in it"
    } else if superblock.state & STATE_CLEAN == 0 {
        "it is mounted or was not unmounted"
    } else if superblock.last_orphan != 0 || ro_compat & features::RO_ORPHAN_PRESENT != 0 {
        "deleted files were still open"
    } else {
        return Ok(());
    };
    Err(unsupported(
        "the ext4 volume was not cleanly shut down",
        why,
        "start the system and shut it down, or run e2fsck",
    ))
}

fn check_shape(superblock: &Superblock, size: u64) -> Result<(), VolumeError> {
    let wrong =
        |what, expected: &str, found: u64| Err(damaged(what, superblock::PLACE, expected, found));
    if superblock.log_block_size > LOG_BLOCK_SIZE_LIMIT {
        return wrong(
            "superblock block size",
            "0 to 6",
            superblock.log_block_size.into(),
        );
    }
    let block_size = 1024_u32 << superblock.log_block_size;
    if superblock.blocks == 0 || superblock.blocks > size / u64::from(block_size) {
        let whole = format!("1 to {}", size / u64::from(block_size));
        return wrong("superblock block count", &whole, superblock.blocks);
    }
    if superblock.first_data_block != u32::from(block_size == 1024) {
        return wrong(
            "superblock first data block",
            "1 for 1 KiB blocks, else 0",
            superblock.first_data_block.into(),
        );
    }
    if !(LEAST_GROUP..=8 * block_size).contains(&superblock.blocks_per_group) {
        let group_size = superblock.blocks_per_group.into();
        return wrong(
            "superblock blocks per group",
            "256 to 8 a byte of a block",
            group_size,
        );
    }
    if !(1..=8 * block_size).contains(&superblock.inodes_per_group) {
        let inodes = superblock.inodes_per_group.into();
        return wrong(
            "superblock inodes per group",
            "1 to 8 a byte of a block",
            inodes,
        );
    }
    let inode_size = u32::from(superblock.inode_size);
    if !inode_size.is_power_of_two() || !(128..=block_size).contains(&inode_size) {
        return wrong(
            "superblock inode size",
            "a power of two from 128",
            inode_size.into(),
        );
    }
    let long = superblock.features[1] & INCOMPAT_64BIT != 0;
    let descriptor = u32::from(superblock.descriptor_size);
    if long && (!descriptor.is_power_of_two() || !(64..=1024).contains(&descriptor)) {
        return wrong(
            "superblock descriptor size",
            "64 to 1024",
            descriptor.into(),
        );
    }
    Ok(())
}

fn read_groups(disk: &dyn Disk, superblock: &Superblock) -> Result<Vec<Descriptor>, VolumeError> {
    let block_size = 1024_u64 << superblock.log_block_size;
    let long = superblock.features[1] & INCOMPAT_64BIT != 0;
    let length = if long {
        superblock.descriptor_size
    } else {
        OLD_DESCRIPTOR
    };
    let data_blocks = superblock.blocks - u64::from(superblock.first_data_block);
    let groups = data_blocks.div_ceil(superblock.blocks_per_group.into());
    let a_block = block_size / u64::from(length);
    let mut found = Vec::new();
    for table_block in 0..groups.div_ceil(a_block) {
        let place = descriptor_block(superblock, table_block, a_block) * block_size;
        let bytes = read(disk, "group descriptors", place, block_size)?;
        for descriptor in bytes.chunks_exact(length.into()) {
            let number = u32::try_from(found.len()).unwrap_or(u32::MAX);
            if u64::from(number) == groups {
                break;
            }
            check_descriptor(superblock, number, descriptor, place)?;
            let decoded = Descriptor::decode(descriptor);
            found.push(decoded.ok_or_else(|| damaged("group descriptor", place, 32, 0))?);
        }
    }
    Ok(found)
}

/// The block with descriptors: behind the superblock, or with `meta_bg` in the
/// first group of those described (kernel `descriptor_loc`).
fn descriptor_block(superblock: &Superblock, table_block: u64, a_block: u64) -> u64 {
    let meta = superblock.features[1] & INCOMPAT_META_BG != 0;
    let first = u64::from(superblock.first_data_block);
    if !meta || table_block < u64::from(superblock.first_meta_group) {
        return first + 1 + table_block;
    }
    let group = table_block * a_block;
    let sparse = superblock.features[2] & features::RO_SPARSE_SUPER != 0;
    let behind_copy = !sparse || super::super::build::has_backup(group);
    first + group * u64::from(superblock.blocks_per_group) + u64::from(behind_copy)
}

fn check_descriptor(
    superblock: &Superblock,
    number: u32,
    bytes: &[u8],
    place: u64,
) -> Result<(), VolumeError> {
    if !superblock.has_checksums() {
        return Ok(());
    }
    match group::sums(superblock.seed(), number, bytes) {
        Some((stored, counted)) if stored == counted => Ok(()),
        sums => Err(damaged(
            "group descriptor checksum",
            place,
            "its sum",
            format!("{sums:x?}"),
        )),
    }
}
