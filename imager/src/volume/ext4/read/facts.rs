//! What names and shapes an open volume.

use image_format::layout::{Ext4Facts, Volume};

use crate::volume::{Found, Reader, VolumeError};

use super::super::codec::superblock::Superblock;
use super::blocks::Ext4;

impl Reader for Ext4<'_> {
    fn volume(&self) -> Volume {
        Volume::Ext4(facts(&self.superblock))
    }

    fn entries(&self) -> Result<Vec<Found>, VolumeError> {
        self.walk()
    }
}

fn facts(superblock: &Superblock) -> Ext4Facts {
    let block_size = 1024_u32 << superblock.log_block_size;
    let in_bytes = |blocks: u64| blocks.saturating_mul(block_size.into());
    let used = superblock.blocks.saturating_sub(superblock.free_blocks);
    Ext4Facts {
        uuid: superblock.uuid,
        label: superblock.label,
        hash_seed: superblock.hash_seed,
        block_size,
        inode_size: superblock.inode_size.into(),
        size: in_bytes(superblock.blocks),
        used: in_bytes(used),
        features: superblock.features,
        defaults: [
            superblock.mount_options,
            superblock.hash_version.into(),
            superblock.errors.into(),
        ],
        reserved_percent: percent(superblock.reserved_blocks, superblock.blocks),
    }
}

/// Rounded, because `tune2fs -m` rounds the blocks down.
fn percent(part: u64, whole: u64) -> u32 {
    let hundredfold = u128::from(part) * 100 + u128::from(whole) / 2;
    let percent = hundredfold.checked_div(whole.into()).unwrap_or(0);
    u32::try_from(percent).unwrap_or(100).min(100)
}
