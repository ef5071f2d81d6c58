//! Whether the target has room.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use image_format::entry::{Entry, Kind};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use super::PlanError;
use super::target::{Found, for_each_name};
use super::wish::{Others, Wishes};
use crate::tree::place::{beneath, device_of};

/// Room in a target. What a file system needs for itself is not counted, so a
/// target that has room may still become full; it is then told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// Bytes needed, in whole blocks.
    pub needed: u64,
    /// Bytes free, with those of things there that are removed or replaced.
    pub available: u64,
}

/// Room needed, while it is counted.
pub(super) struct Need {
    block: u64,
    bytes: u64,
    inodes: u64,
    place: PathBuf,
    exists: bool,
    names: u64,
}

impl Need {
    pub(super) fn new(found: &Found) -> Self {
        let block = rustix::fs::fstatvfs(&found.folder).map_or(4096, |vfs| vfs.f_frsize);
        Self {
            block: block.max(1),
            bytes: 0,
            inodes: 0,
            place: found.place.clone(),
            exists: found.exists,
            names: found.names,
        }
    }

    pub(super) fn entry(&mut self, entry: &Entry, data: u64) {
        // A later name of a hard link has no contents; it may still count as an
        // inode too many, which is nothing beside those a file system has.
        let blocks = data.div_ceil(self.block);
        let blocks = blocks + u64::from(entry.kind == Kind::Directory);
        self.bytes = self.bytes.saturating_add(blocks.saturating_mul(self.block));
        self.inodes += u64::from(entry.link.is_none() || data > 0);
    }

    pub(super) fn finish(self, folder: &OwnedFd, wishes: &Wishes) -> Result<Room, PlanError> {
        let failed = |source: rustix::io::Errno| PlanError::Look {
            target: self.place.clone(),
            source: source.into(),
        };
        let vfs = rustix::fs::fstatvfs(folder).map_err(failed)?;
        let mut available = vfs.f_bavail.saturating_mul(vfs.f_frsize);
        let mut inodes = vfs.f_favail;
        let replaced = wishes.others != Others::Refuse || wishes.reuse;
        if self.exists && self.names > 0 && replaced {
            let (bytes, count) = taken(folder).map_err(failed)?;
            available = available.saturating_add(bytes);
            inodes = inodes.saturating_add(count);
        }
        let refuse = |what, needed, available| PlanError::Room {
            what,
            target: self.place.clone(),
            needed,
            available,
        };
        if self.bytes > available {
            return Err(refuse("bytes", self.bytes, available));
        }
        // Some file systems make inodes as they need them and say there are none.
        if vfs.f_files > 0 && self.inodes > inodes {
            return Err(refuse("inodes", self.inodes, inodes));
        }
        Ok(Room {
            needed: self.bytes,
            available,
        })
    }
}

/// Bytes and inodes of all that lies in a folder, on its own mount only.
fn taken(folder: &OwnedFd) -> rustix::io::Result<(u64, u64)> {
    let mount = device_of(folder)?;
    let (mut bytes, mut count) = (0_u64, 0_u64);
    let mut waiting = vec![beneath(folder, b".", FOLDER, Mode::empty())?];
    // Depth first with the descriptors of one path open: a tree too deep for
    // them is counted only as far as they go.
    while let Some(folder) = waiting.pop() {
        for_each_name(&folder, |name| {
            let found = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let blocks = u64::try_from(found.st_blocks).unwrap_or(0);
            bytes = bytes.saturating_add(blocks.saturating_mul(512));
            count += 1;
            let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
            if is_folder && waiting.len() < MOST_WAITING {
                waiting.extend(enter(&folder, name, mount));
            }
            Ok(())
        })?;
    }
    Ok((bytes, count))
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);
/// Folders open at a time.
const MOST_WAITING: usize = 400;

fn enter(folder: impl AsFd, name: &[u8], mount: (u32, u32, u64)) -> Option<OwnedFd> {
    let inner = beneath(folder, name, FOLDER, Mode::empty()).ok()?;
    (device_of(&inner).ok()? == mount).then_some(inner)
}
