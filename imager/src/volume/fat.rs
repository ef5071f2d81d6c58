//! FAT12, FAT16 and FAT32, read and laid down file by file.
//!
//! Layouts: Microsoft "FAT: General Overview of On-Disk Format", version 1.03
//! (fatgen103), and what dosfstools makes of it.

mod boot;
mod build;
mod chain;
mod choose;
mod directory;
mod name;
mod read;
mod settle;
mod slot;
mod time;

pub use boot::{BootSector, looks_like};
pub use build::FatBuilder;
pub use read::FatReader;
pub use settle::settle;

use super::{Reader, VolumeError};
use crate::disk::Disk;

/// Opens a FAT volume: reads its boot sector, allocation table and root.
///
/// # Errors
/// When the medium fails or a structure is damaged.
pub fn open(disk: &dyn Disk) -> Result<Box<dyn Reader + '_>, VolumeError> {
    Ok(Box::new(FatReader::open(disk)?))
}
