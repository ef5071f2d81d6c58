//! What the kernel tells of a name: its kind, owner, times, attributes, flags.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use image_format::entry::{Kind, Times, Timestamp, Xattr};
use rustix::buffer::spare_capacity;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Statx, StatxAttributes, StatxFlags, StatxTimestamp,
};
use rustix::io::Errno;

use crate::volume::ext4::FLAGS_KEPT;

/// No list of attribute names is longer (`XATTR_LIST_MAX`), nor any value
/// Linux hands out (`XATTR_SIZE_MAX`); twice that says something is wrong.
const LONGEST_XATTR: usize = 128 << 10;
/// No link points further: `PATH_MAX`.
const LONGEST_TARGET: usize = 4096;

/// What `statx` says of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) device: (u32, u32),
    pub(super) inode: u64,
    pub(super) file_type: FileType,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    /// In units of 512 bytes: less than the size tells of holes.
    pub(super) sectors: u64,
    pub(super) links: u32,
    pub(super) times: Times,
    /// Major and minor number of a device node.
    pub(super) node: (u32, u32),
    pub(super) is_mount: bool,
}

impl Stat {
    /// The same contents as far as the kernel can tell.
    pub(super) fn same_contents(&self, other: &Self) -> bool {
        let words = |stat: &Self| {
            (
                stat.device,
                stat.inode,
                stat.size,
                stat.times.modified,
                stat.times.changed,
            )
        };
        self.file_type == other.file_type && words(self) == words(other)
    }

    fn of(found: &Statx) -> Self {
        Self {
            device: (found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
            file_type: FileType::from_raw_mode(u32::from(found.stx_mode)),
            mode: u32::from(found.stx_mode) & 0o7777,
            uid: found.stx_uid,
            gid: found.stx_gid,
            size: found.stx_size,
            sectors: found.stx_blocks,
            links: found.stx_nlink,
            times: Times {
                modified: timestamp(&found.stx_mtime),
                accessed: timestamp(&found.stx_atime),
                changed: timestamp(&found.stx_ctime),
                created: match found.stx_mask & StatxFlags::BTIME.bits() {
                    0 => Timestamp::default(),
                    _ => timestamp(&found.stx_btime),
                },
            },
            node: (found.stx_rdev_major, found.stx_rdev_minor),
            is_mount: found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        }
    }
}

fn timestamp(time: &StatxTimestamp) -> Timestamp {
    Timestamp {
        seconds: time.tv_sec,
        nanoseconds: time.tv_nsec,
    }
}

fn statx_mask() -> StatxFlags {
    StatxFlags::BASIC_STATS | StatxFlags::BTIME
}

/// What `name` in `dir` is, itself and not what it points to; an empty name is
/// `dir` itself.
pub(super) fn stat(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Stat, Errno> {
    let flags = match name.is_empty() {
        true => AtFlags::EMPTY_PATH,
        false => AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT,
    };
    Ok(Stat::of(&rustix::fs::statx(
        dir,
        name,
        flags,
        statx_mask(),
    )?))
}

/// Opens a file for reading, without a trace in its access time where the
/// kernel allows that. Never waits, and never follows a link.
pub(super) fn open_file(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    open(dir, name, OFlags::NONBLOCK | OFlags::NOCTTY)
}

/// Opens a directory for reading; an empty name is `dir` itself.
pub(super) fn open_directory(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let name = if name.is_empty() { b"." } else { name };
    open(dir, name, OFlags::DIRECTORY)
}

fn open(dir: BorrowedFd<'_>, name: &[u8], more: OFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
    // Only the owner of a file and root may leave its access time alone.
    match rustix::fs::openat(dir, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::openat(dir, name, flags, Mode::empty()),
        other => other,
    }
}

/// The flags a user can set, in the words of `FS_IOC_GETFLAGS`; 0 where the
/// file system has none.
pub(super) fn flags(file: impl AsFd) -> Result<u32, Errno> {
    match rustix::fs::ioctl_getflags(file) {
        Ok(flags) => Ok(flags.bits() & FLAGS_KEPT),
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(0),
        Err(other) => Err(other),
    }
}

/// Extended attributes of an open file, sorted by name.
pub(super) fn xattrs(file: BorrowedFd<'_>) -> Result<Vec<Xattr>, Errno> {
    collect(
        |list| rustix::fs::flistxattr(file, spare_capacity(list)),
        |name, value| rustix::fs::fgetxattr(file, name, spare_capacity(value)),
    )
}

/// Extended attributes of a name that is not opened: a link, a node, a pipe.
pub(super) fn xattrs_of_name(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<Xattr>, Errno> {
    // The kernel has no call that takes a directory and a name before 6.13.
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    let path = path.as_slice();
    collect(
        |list| rustix::fs::llistxattr(path, spare_capacity(list)),
        |name, value| rustix::fs::lgetxattr(path, name, spare_capacity(value)),
    )
}

fn collect(
    mut list: impl FnMut(&mut Vec<u8>) -> Result<usize, Errno>,
    mut get: impl FnMut(&[u8], &mut Vec<u8>) -> Result<usize, Errno>,
) -> Result<Vec<Xattr>, Errno> {
    let names = match grown(256, &mut list) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for name in names
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
    {
        match grown(256, &mut |value| get(name, value)) {
            Ok(value) => found.push(Xattr {
                name: name.to_vec(),
                value,
            }),
            // Gone between the two calls, or listed for show (as NFS does).
            Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(other) => return Err(other),
        }
    }
    found.sort();
    Ok(found)
}

/// Asks with more and more room. An answer of no bytes is not trusted to be
/// one of no length: attributes may be empty.
fn grown(
    first: usize,
    ask: &mut impl FnMut(&mut Vec<u8>) -> Result<usize, Errno>,
) -> Result<Vec<u8>, Errno> {
    let mut room = first;
    loop {
        let mut bytes = Vec::with_capacity(room);
        match ask(&mut bytes) {
            Err(Errno::RANGE) if room < LONGEST_XATTR => room *= 4,
            Ok(_) => return Ok(bytes),
            Err(other) => return Err(other),
        }
    }
}

/// What a name stands for; `None` for a socket, which only its program can make.
pub(super) fn kind(dir: BorrowedFd<'_>, name: &[u8], stat: &Stat) -> Result<Option<Kind>, Errno> {
    let (major, minor) = stat.node;
    Ok(Some(match stat.file_type {
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File,
        FileType::CharacterDevice => Kind::CharDevice { major, minor },
        FileType::BlockDevice => Kind::BlockDevice { major, minor },
        FileType::Fifo => Kind::Fifo,
        FileType::Symlink => Kind::Symlink(target(dir, name)?),
        FileType::Socket | FileType::Unknown => return Ok(None),
    }))
}

fn target(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let target = rustix::fs::readlinkat(dir, name, Vec::with_capacity(LONGEST_TARGET / 16))?;
    Ok(target.into_bytes())
}

/// The words of an operating system's error.
pub(super) fn io_error(errno: Errno) -> io::Error {
    io::Error::from(errno)
}
