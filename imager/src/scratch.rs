//! A marker on the target that says which apply is under way there.
//!
//! It lies in the last 2 MiB before the backup GPT, which the plan leaves free
//! wherever it can. It is trusted for one question only: was an apply
//! interrupted here, so that looking for what lies in place already is worth
//! the time? Every byte that is kept is hashed first.
//!
//! | offset | length | meaning                           |
//! |--------|--------|-----------------------------------|
//! | 0      | 8      | magic `MIMEOSCR`                  |
//! | 8      | 4      | version, little-endian: 1         |
//! | 12     | 1      | phase                             |
//! | 13     | 1      | length of the run's text          |
//! | 16     | 32     | plan                              |
//! | 48     | 64     | the run's text, zero padded       |
//! | 112    | 32     | BLAKE3 of bytes 0 to 112          |

use std::io;

use thiserror::Error;

use crate::disk::Disk;
use crate::table::gpt;

/// Bytes before the backup GPT that no partition may touch.
pub const RESERVED: u64 = 2 << 20;

const ALIGNMENT: u64 = 1 << 20;
const MAGIC: &[u8; 8] = b"MIMEOSCR";
const VERSION: u32 = 1;
const PHASE: usize = 12;
const RUN_LENGTH: usize = 13;
const PLAN: usize = 16;
const RUN: usize = 48;
const CHECKSUM: usize = RUN + RUN_LIMIT;
/// The longest text that names a run.
pub const RUN_LIMIT: usize = 64;
/// Whole physical sectors of every disk, so that the marker is never torn by a neighbour.
const BLOCK: usize = 4096;

/// Which apply is under way, and how far it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Hash of the plan.
    pub plan: [u8; 32],
    /// Which run it belongs to: up to [`RUN_LIMIT`] bytes.
    pub run: String,
    /// How far it came, in the numbers of the apply.
    pub phase: u8,
}

/// Why the marker cannot be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScratchError {
    /// No room for it on this disk.
    #[error("{disk} is too small to hold a marker before its end")]
    NoRoom {
        /// Which disk.
        disk: String,
    },
    /// The run's text is too long.
    #[error("the run's name has {found} bytes; expected up to {RUN_LIMIT}")]
    LongRun {
        /// Its length.
        found: usize,
    },
    /// The medium failed.
    #[error("the marker at byte {offset} of {disk} cannot be {action}")]
    Medium {
        /// `read` or `written`.
        action: &'static str,
        /// Where on the disk.
        offset: u64,
        /// Which disk.
        disk: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Marker {
    fn encode(&self) -> Result<Vec<u8>, ScratchError> {
        let long = || ScratchError::LongRun {
            found: self.run.len(),
        };
        let length = u8::try_from(self.run.len()).map_err(|_| long())?;
        if self.run.len() > RUN_LIMIT {
            return Err(long());
        }
        let mut bytes = vec![0; BLOCK];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..PHASE].copy_from_slice(&VERSION.to_le_bytes());
        bytes[PHASE] = self.phase;
        bytes[RUN_LENGTH] = length;
        bytes[PLAN..RUN].copy_from_slice(&self.plan);
        bytes[RUN..RUN + self.run.len()].copy_from_slice(self.run.as_bytes());
        let checksum = blake3::hash(&bytes[..CHECKSUM]);
        bytes[CHECKSUM..CHECKSUM + 32].copy_from_slice(checksum.as_bytes());
        Ok(bytes)
    }

    /// `None` for whatever is not a whole marker of this version.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let checked = bytes.get(..CHECKSUM)?;
        let stored = bytes.get(CHECKSUM..CHECKSUM + 32)?;
        let version = bytes.get(8..PHASE)? == VERSION.to_le_bytes();
        if checked.get(..8)? != MAGIC || !version || blake3::hash(checked).as_bytes() != stored {
            return None;
        }
        let length = usize::from(*checked.get(RUN_LENGTH)?);
        let run = checked.get(RUN..RUN.checked_add(length)?)?;
        Some(Self {
            plan: checked.get(PLAN..RUN)?.try_into().ok()?,
            run: String::from_utf8(run.to_vec()).ok()?,
            phase: *checked.get(PHASE)?,
        })
    }
}

/// The first byte of the reserved room on a disk of this size: partitions must
/// end at or before it. `None` when the disk is too small to have one.
pub fn reserved_from(disk_size: u64, sector_size: u32) -> Option<u64> {
    let end = disk_size
        .checked_sub(RESERVED)?
        .checked_sub(gpt::backup_size(sector_size))?;
    let place = end - end % ALIGNMENT;
    (place > 0).then_some(place)
}

/// Writes the marker and returns when it is durable.
///
/// # Errors
/// When the disk is too small, the run's text too long or the medium fails.
pub fn write(disk: &dyn Disk, marker: &Marker) -> Result<(), ScratchError> {
    let bytes = marker.encode()?;
    put(disk, &bytes)
}

/// Reads the marker; `None` when there is none, or only half of one.
///
/// # Errors
/// When the medium fails.
pub fn read(disk: &dyn Disk) -> Result<Option<Marker>, ScratchError> {
    let Some(offset) = reserved_from(disk.size(), disk.sector_size()) else {
        return Ok(None);
    };
    let mut bytes = vec![0; BLOCK];
    disk.read_at(offset, &mut bytes)
        .map_err(|source| medium(disk, "read", offset, source))?;
    Ok(Marker::decode(&bytes))
}

/// Removes the marker and returns when that is durable.
///
/// # Errors
/// When the disk is too small or the medium fails.
pub fn clear(disk: &dyn Disk) -> Result<(), ScratchError> {
    put(disk, &[0; BLOCK])
}

fn put(disk: &dyn Disk, bytes: &[u8]) -> Result<(), ScratchError> {
    let Some(offset) = reserved_from(disk.size(), disk.sector_size()) else {
        return Err(ScratchError::NoRoom {
            disk: disk.describe(),
        });
    };
    let written = disk.write_at(offset, bytes).and_then(|()| disk.sync());
    written.map_err(|source| medium(disk, "written", offset, source))
}

fn medium(disk: &dyn Disk, action: &'static str, offset: u64, source: io::Error) -> ScratchError {
    ScratchError::Medium {
        action,
        offset,
        disk: disk.describe(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    fn marker() -> Marker {
        Marker {
            plan: [7; 32],
            run: String::from("run-12"),
            phase: 3,
        }
    }

    #[test]
    fn a_marker_is_read_back_until_it_is_cleared() {
        let disk = MemoryDisk::new(64 << 20, 512);
        assert_eq!(read(&disk).unwrap(), None);
        write(&disk, &marker()).unwrap();
        assert_eq!(read(&disk).unwrap(), Some(marker()));
        clear(&disk).unwrap();
        assert_eq!(read(&disk).unwrap(), None);
    }

    #[test]
    fn no_flipped_bit_and_no_cut_leaves_a_valid_marker() {
        let bytes = marker().encode().unwrap();
        for at in 0..CHECKSUM + 32 {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert_eq!(Marker::decode(&wrong), None);
            assert_eq!(Marker::decode(&bytes[..at]), None);
        }
    }

    #[test]
    fn the_reserved_room_ends_before_the_backup_table() {
        assert_eq!(reserved_from(64 << 20, 512), Some(61 << 20));
        assert_eq!(reserved_from(1 << 20, 512), None);
        assert_eq!(reserved_from(0, 4096), None);
        let long = Marker {
            run: "x".repeat(65),
            ..marker()
        };
        let disk = MemoryDisk::new(64 << 20, 512);
        assert!(matches!(
            write(&disk, &long),
            Err(ScratchError::LongRun { found: 65 })
        ));
        let tiny = MemoryDisk::new(1 << 20, 512);
        assert!(matches!(
            write(&tiny, &marker()),
            Err(ScratchError::NoRoom { .. })
        ));
    }
}
