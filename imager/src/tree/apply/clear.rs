//! Removing what is in the way: by descriptors, never through a link, never on
//! another mount.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, IFlags, Mode, OFlags};
use rustix::io::{Errno, Result};

use super::laid::Laid;
use super::run::{Run, at};
use crate::tree::error::TreeError;
use crate::tree::held::{FLAGS, STILL};
use crate::tree::marker::MARKER;
use crate::tree::place::{ROOT, beneath, device_of, known, text};
use crate::tree::plan::{for_each_name, is_lost_and_found};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// Empties the target; answers how many names it had.
pub(super) fn empty(run: &Run<'_>) -> std::result::Result<u64, TreeError> {
    let root = run.descriptors.root();
    calm(root).map_err(at("opening", b""))?;
    let mut removed = 0;
    for name in names(root).map_err(at("reading", b""))? {
        if name != MARKER && !is_lost_and_found(root, &name) {
            tree(root, &name, &name)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Removes every name in the image's folders that is not of the image.
pub(super) fn extras(run: &Run<'_>, laid: &mut Laid) -> std::result::Result<u64, TreeError> {
    let mut removed = 0;
    let ids = u32::try_from(laid.folders.len()).unwrap_or(u32::MAX);
    for id in ROOT..ids {
        let path = || laid.folders.path(id);
        let folder = run.descriptors.folder(&laid.folders, id);
        let folder = folder.map_err(|error| at("opening", &path())(error))?;
        for name in names(&folder).map_err(|error| at("reading", &path())(error))? {
            let ours = id == ROOT && (name == MARKER || is_lost_and_found(&folder, &name));
            if !ours && laid.known.binary_search(&known(id, &name)).is_err() {
                tree(&folder, &name, &laid.folders.path_of(id, &name))?;
                removed += 1;
            }
        }
    }
    laid.known = Vec::new();
    Ok(removed)
}

fn names(folder: &OwnedFd) -> Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for_each_name(folder, |name| {
        names.push(name.to_vec());
        Ok(())
    })?;
    Ok(names)
}

/// Removes a name and, if it is a folder, all in it.
pub(super) fn tree(
    folder: &OwnedFd,
    name: &[u8],
    path: &[u8],
) -> std::result::Result<(), TreeError> {
    let mount = device_of(folder).map_err(at("looking at", path))?;
    match remove(folder, name, mount, 0) {
        Ok(()) => Ok(()),
        Err(Errno::XDEV | Errno::BUSY) => Err(TreeError::Path {
            doing: "removing",
            path: text(path),
            source: std::io::Error::other(
                "something is mounted there or below: unmount it, this program removes nothing on another mount",
            ),
        }),
        Err(error) => Err(at("removing", path)(error)),
    }
}

/// Folders deeper than this are not entered: each takes a descriptor.
const DEEPEST: u32 = 600;

fn remove(folder: &OwnedFd, name: &[u8], mount: (u32, u32, u64), depth: u32) -> Result<()> {
    let found = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return unlink(folder, name);
    }
    if depth >= DEEPEST {
        return Err(Errno::NAMETOOLONG);
    }
    let inner = beneath(folder, name, FOLDER, Mode::empty())?;
    if device_of(&inner)? != mount {
        return Err(Errno::XDEV);
    }
    calm(&inner)?;
    for name in names(&inner)? {
        remove(&inner, &name, mount, depth + 1)?;
    }
    match rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR) {
        Err(Errno::PERM) => {
            thaw(folder)?;
            rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)
        }
        other => other,
    }
}

/// Removes a name that is no folder, also if it is immutable.
pub(super) fn unlink(folder: &OwnedFd, name: &[u8]) -> Result<()> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::PERM) => {
            thaw(folder)?;
            thawed(folder, name);
            rustix::fs::unlinkat(folder, name, AtFlags::empty())
        }
        other => other,
    }
}

/// Takes immutable and append-only off a file; whether that can be done.
pub(super) fn thawed(folder: &OwnedFd, name: &[u8]) -> bool {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    beneath(folder, name, flags, Mode::empty())
        .and_then(thaw)
        .is_ok()
}

/// Takes immutable and append-only off.
fn thaw(file: impl AsFd) -> Result<()> {
    let file = file.as_fd();
    let Ok(flags) = rustix::fs::ioctl_getflags(file) else {
        return Ok(());
    };
    if flags.bits() & STILL == 0 {
        return Ok(());
    }
    let calm = IFlags::from_bits_retain(flags.bits() & !STILL);
    rustix::fs::ioctl_setflags(file, calm)
}

/// Takes off a folder that was there what would pass on to things made in it:
/// flags, the default access list, the set-group bit.
pub(super) fn calm(folder: impl AsFd) -> Result<()> {
    let folder = folder.as_fd();
    if let Ok(flags) = rustix::fs::ioctl_getflags(folder)
        && flags.bits() & FLAGS != 0
    {
        let calm = IFlags::from_bits_retain(flags.bits() & !FLAGS);
        rustix::fs::ioctl_setflags(folder, calm)?;
    }
    match rustix::fs::fremovexattr(folder, c"system.posix_acl_default") {
        Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    let found = rustix::fs::fstat(folder)?;
    if found.st_mode & 0o2000 != 0 {
        let mode = Mode::from_raw_mode(found.st_mode & 0o5777);
        // Only who owns it may; others find the group wrong when comparing.
        let _ = rustix::fs::fchmod(folder, mode);
    }
    Ok(())
}
