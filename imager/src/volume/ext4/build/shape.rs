//! What a volume keeps of the one it was captured from.

use image_format::entry::{Entry, Timestamp};
use image_format::layout::Ext4Facts;

use crate::volume::VolumeError;

use super::super::codec::checksum::{inode_seed, volume_seed};
use super::super::codec::fields::low32;
use super::super::codec::inode::{EXTRA, SHORT};
use super::super::codec::time;
use super::super::fault::unsupported;

const USUAL_INODE_SIZE: usize = 256;
const MOST_RESERVED_PERCENT: u32 = 50;

/// Sizes and names that do not depend on the volume's size.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) block_size: usize,
    pub(super) inode_size: usize,
    pub(super) uuid: [u8; 16],
    pub(super) label: [u8; 16],
    pub(super) hash_seed: [u8; 16],
    pub(super) mount_options: u32,
    pub(super) errors: u16,
    pub(super) reserved_percent: u32,
    /// Seed of all checksums.
    pub(super) seed: u32,
    /// When the root was made: the volume's own time. A layout knows no clock.
    pub(super) made: u32,
}

impl Shape {
    pub(super) fn new(facts: &Ext4Facts, entries: &[Entry]) -> Result<Self, VolumeError> {
        let block_size = match facts.block_size {
            1024 => 1024,
            2048 => 2048,
            4096 => 4096,
            other => {
                return Err(unsupported(
                    format!("ext4 with blocks of {other} bytes"),
                    "volumes are made with blocks of 1024, 2048 or 4096 bytes",
                    "make the source volume anew with 4096 and capture again",
                ));
            }
        };
        let wished = usize::try_from(facts.inode_size).unwrap_or(0);
        if !wished.is_power_of_two() || !(SHORT..=block_size).contains(&wished) {
            return Err(unsupported(
                format!("ext4 with inodes of {wished} bytes"),
                "an inode takes a power of two from 128 up to a block",
                "capture again",
            ));
        }
        let made = entries.first().map_or(0, |root| root.times.created.seconds);
        Ok(Self {
            block_size,
            inode_size: if entries.iter().all(fits_short) {
                wished
            } else {
                wished.max(USUAL_INODE_SIZE)
            },
            uuid: facts.uuid,
            label: facts.label,
            hash_seed: facts.hash_seed,
            mount_options: facts.defaults[0],
            errors: (facts.defaults[2] & 0xffff) as u16,
            reserved_percent: facts.reserved_percent.min(MOST_RESERVED_PERCENT),
            seed: volume_seed(&facts.uuid),
            made: low32(made.clamp(0, i64::from(u32::MAX)).cast_unsigned()),
        })
    }

    /// The block size for sums in bytes.
    pub(super) fn block(&self) -> u64 {
        self.block_size as u64
    }

    /// Bytes for extended attributes behind an inode's fields.
    pub(super) fn attribute_room(&self) -> usize {
        self.inode_size.saturating_sub(SHORT + EXTRA)
    }

    /// Seed of the sums of inode `number` and its blocks; generations are 0.
    pub(super) fn inode_seed(&self, number: u32) -> u32 {
        inode_seed(self.seed, number, 0)
    }
}

/// Whether 128-byte inodes can say an entry's times.
fn fits_short(entry: &Entry) -> bool {
    let times = &entry.times;
    let said = [times.modified, times.accessed, times.changed];
    said.into_iter().all(time::fits_short) && times.created == Timestamp::default()
}
