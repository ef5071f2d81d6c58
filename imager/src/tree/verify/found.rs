//! What the kernel tells of a name.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use image_format::entry::{Kind, Timestamp, Xattr};
use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags};
use rustix::io::{Errno, Result};

/// No list of names and no value is longer (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const LONGEST: usize = 128 << 10;

/// What `statx` says of `name`, itself and not what it points to; an empty name
/// is `folder`.
pub(super) fn stat(folder: impl AsFd, name: &[u8]) -> Result<Statx> {
    let flags = match name.is_empty() {
        true => AtFlags::EMPTY_PATH,
        false => AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT,
    };
    rustix::fs::statx(folder, name, flags, StatxFlags::BASIC_STATS)
}

/// The kind in the words of images; `None` for what images do not have.
pub(super) fn kind(folder: &OwnedFd, name: &[u8], found: &Statx) -> Result<Option<Kind>> {
    let (major, minor) = (found.stx_rdev_major, found.stx_rdev_minor);
    Ok(Some(match FileType::from_raw_mode(found.stx_mode.into()) {
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File,
        FileType::Symlink => Kind::Symlink(link_target(folder, name)?),
        FileType::CharacterDevice => Kind::CharDevice { major, minor },
        FileType::BlockDevice => Kind::BlockDevice { major, minor },
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        _ => return Ok(None),
    }))
}

/// When it was last changed.
pub(super) fn modified(found: &Statx) -> Timestamp {
    Timestamp {
        seconds: found.stx_mtime.tv_sec,
        nanoseconds: found.stx_mtime.tv_nsec,
    }
}

/// Where a symbolic link points.
pub(crate) fn link_target(folder: &OwnedFd, name: &[u8]) -> Result<Vec<u8>> {
    Ok(rustix::fs::readlinkat(folder, name, Vec::new())?.into_bytes())
}

/// The extended attributes of an open file, by name.
pub(crate) fn attributes(file: impl AsFd) -> Result<Vec<Xattr>> {
    let file = file.as_fd();
    collect(
        |list| rustix::fs::flistxattr(file, spare_capacity(list)),
        |name, value| rustix::fs::fgetxattr(file, name, spare_capacity(value)),
    )
}

/// The same of a name that is not to be opened: a link, a device, a pipe.
pub(super) fn attributes_of_name(folder: &OwnedFd, name: &[u8]) -> Result<Vec<Xattr>> {
    let mut path = format!("/proc/self/fd/{}/", folder.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    let path = path.as_slice();
    collect(
        |list| rustix::fs::llistxattr(path, spare_capacity(list)),
        |name, value| rustix::fs::lgetxattr(path, name, spare_capacity(value)),
    )
}

fn collect(
    mut list: impl FnMut(&mut Vec<u8>) -> Result<usize>,
    mut get: impl FnMut(&[u8], &mut Vec<u8>) -> Result<usize>,
) -> Result<Vec<Xattr>> {
    let names = match grown(&mut list) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    let names = names.split(|&byte| byte == 0);
    for name in names.filter(|name| !name.is_empty()) {
        match grown(&mut |value| get(name, value)) {
            Ok(value) => found.push(Xattr {
                name: name.to_vec(),
                value,
            }),
            // Gone between the two calls.
            Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(other) => return Err(other),
        }
    }
    found.sort();
    Ok(found)
}

fn grown(ask: &mut impl FnMut(&mut Vec<u8>) -> Result<usize>) -> Result<Vec<u8>> {
    let mut room = 512;
    loop {
        let mut bytes = Vec::with_capacity(room);
        match ask(&mut bytes) {
            Err(Errno::RANGE) if room < LONGEST => room *= 4,
            Ok(_) => return Ok(bytes),
            Err(other) => return Err(other),
        }
    }
}
