//! The directory itself: opened once, and named so that the next capture of
//! the same one is known.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use image_format::image::SystemWords;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::TreeError;
use crate::survey;
use crate::tree::metadata::{self, io_error};

/// File systems whose files are made up when they are read (`statfs(2)`,
/// `linux/magic.h`).
const MADE_UP: [(u32, &str); 10] = [
    (0x9fa0, "proc"),
    (0x6265_6572, "sysfs"),
    (0x1cd1, "devpts"),
    (0x6462_6720, "debugfs"),
    (0x7472_6163, "tracefs"),
    (0x7363_6673, "securityfs"),
    (0x0027_e0eb, "cgroup"),
    (0x6367_7270, "cgroup2"),
    (0xcafe_4a11, "bpf"),
    (0x6265_6570, "configfs"),
];
/// Longer os-release files are not read.
const LONGEST_RELEASE: u64 = 64 << 10;

/// A directory to be captured.
#[derive(Debug)]
pub struct Root {
    pub(super) dir: Arc<OwnedFd>,
    identity: String,
    used: Option<u64>,
}

impl Root {
    /// Opens a directory. Links on the way to it are followed.
    ///
    /// # Errors
    /// It is no directory, cannot be read, or lies in a file system the kernel makes up.
    pub fn open(path: &Path) -> Result<Self, TreeError> {
        let wrong = |errno| TreeError::Root {
            path: path.to_owned(),
            source: io_error(errno),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, Mode::empty()).map_err(wrong)?;
        let stat = metadata::stat(dir.as_fd(), b"").map_err(wrong)?;
        let volume = rustix::fs::fstatfs(&dir).map_err(wrong)?;
        // The type of this field differs between architectures; magics have 32 bits.
        let magic = i128::from(volume.f_type) & i128::from(u32::MAX);
        let made_up = MADE_UP
            .iter()
            .find(|(known, _)| i128::from(*known) == magic);
        if let Some((_, what)) = made_up {
            let path = path.to_owned();
            return Err(TreeError::Pseudo { path, what });
        }
        let whole = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let serial = rustix::fs::fstatvfs(&dir).map_err(wrong)?.f_fsid;
        let identity = format!(
            "directory {} on file system {magic:x}-{serial:x}",
            whole.as_os_str().as_bytes().escape_ascii(),
        );
        let blocks = volume.f_blocks.saturating_sub(volume.f_bfree);
        let used = blocks.checked_mul(u64::try_from(volume.f_bsize).unwrap_or(0));
        Ok(Self {
            used: used.filter(|_| stat.is_mount),
            dir: Arc::new(dir),
            identity,
        })
    }

    /// Words that are the same whenever this directory is captured.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Bytes in use, where the directory is the whole of a file system.
    pub(super) fn used_bytes(&self) -> Option<u64> {
        self.used
    }

    /// The operating system whose root this is, in its own words.
    pub fn system_words(&self) -> Option<SystemWords> {
        survey::system_words_of(|path, limit| read_below(self.dir.as_fd(), path, limit).ok())
    }
}

/// Files of which one is in every root of a Unix system: what names the system,
/// what it mounts, who may log in. Links count, also those that lead nowhere.
const OF_UNIX: [&str; 4] = [
    "etc/os-release",
    "usr/lib/os-release",
    "etc/fstab",
    "etc/passwd",
];

/// Whether an operating system has its root here, running or not: `etc` with a
/// file that only systems have, or `Windows/System32`.
pub fn is_system_root(root: &Root) -> bool {
    let there = |path: &str| {
        CString::new(path).is_ok_and(|path| {
            rustix::fs::statat(&root.dir, path, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok()
        })
    };
    let unix = there("etc") && OF_UNIX.into_iter().any(there);
    unix || there("Windows/System32")
}

/// The first bytes of a file, reached through no link.
fn read_below(root: BorrowedFd<'_>, path: &[u8], limit: u64) -> Result<Vec<u8>, Errno> {
    let limit = usize::try_from(limit.min(LONGEST_RELEASE)).unwrap_or(0);
    let mut dir: Option<OwnedFd> = None;
    let mut parts: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
    let name = parts.pop().unwrap_or_default();
    for part in parts {
        let above = dir.as_ref().map_or(root, AsFd::as_fd);
        dir = Some(metadata::open_directory(above, part)?);
    }
    let file = metadata::open_file(dir.as_ref().map_or(root, AsFd::as_fd), name)?;
    if metadata::stat(file.as_fd(), b"")?.file_type != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let mut bytes = vec![0; limit];
    let read = rustix::io::pread(&file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}
