//! Bytes and metadata through an open descriptor.

use std::os::fd::{AsFd, OwnedFd};

use image_format::entry::{Entry, Kind, Timestamp};
use rustix::fs::{AtFlags, Gid, IFlags, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::{Errno, Result};

use super::run::Run;
use crate::tree::held::{FLAGS, Owners, STILL};
use crate::tree::metadata;
use crate::tree::place::{Temper, Unopened};

/// The name of access control lists; a mode and its list are one thing to the kernel.
const ACL: &[u8] = b"system.posix_acl_";

/// Writes all of `bytes` at `at`.
pub(crate) fn write_all(file: impl AsFd, mut bytes: &[u8], mut at: u64) -> Result<()> {
    while !bytes.is_empty() {
        let written = match rustix::io::pwrite(&file, bytes, at) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(written) => written,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error),
        };
        bytes = bytes.get(written..).unwrap_or_default();
        at = at.saturating_add(written as u64);
    }
    Ok(())
}

/// Times to set.
pub(crate) fn times(modified: Timestamp, accessed: Timestamp) -> Timestamps {
    let spec = |time: Timestamp| Timespec {
        tv_sec: time.seconds,
        tv_nsec: time.nanoseconds.into(),
    };
    Timestamps {
        last_access: spec(accessed),
        last_modification: spec(modified),
    }
}

/// The mode to make a file with, so that most need no other: the final one where
/// it gives nobody more than they shall have in the end.
pub(super) fn first_mode(run: &Run<'_>, temper: &Temper) -> u32 {
    let ours = (temper.uid, temper.gid) == run.plan.can.new;
    if ours && temper.mode & 0o7000 == 0 {
        // Its maker writes to it, whatever its mode; the kernel allows that.
        temper.mode & !run.umask
    } else {
        0o600 & !run.umask
    }
}

/// Sets everything but times and the flags that come last on a file that was
/// just made with `mode`.
pub(super) fn fresh(run: &Run<'_>, file: impl AsFd, temper: &Temper, mode: u32) -> Result<()> {
    let file = file.as_fd();
    let can = &run.plan.can;
    if can.owners != Owners::None && (temper.uid, temper.gid) != can.new {
        rustix::fs::fchown(
            file,
            Some(Uid::from_raw(temper.uid)),
            Some(Gid::from_raw(temper.gid)),
        )?;
    }
    let mut mode_again = false;
    for xattr in &temper.xattrs {
        let name = xattr.name.as_slice();
        rustix::fs::fsetxattr(file, name, &xattr.value, XattrFlags::empty())?;
        mode_again |= name.starts_with(ACL);
    }
    if can.modes && (mode_again || temper.mode != mode) {
        rustix::fs::fchmod(file, Mode::from_raw_mode(temper.mode))?;
    }
    if temper.flags & !STILL != 0 {
        flags(file, temper.flags & !STILL)?;
    }
    Ok(())
}

/// Makes a file that lay there exactly so: what it has besides is removed.
pub(super) fn exact(run: &Run<'_>, file: impl AsFd, temper: &Temper) -> Result<()> {
    let file = file.as_fd();
    let found = metadata::xattrs(file)?;
    let takes = |name: &[u8]| run.plan.can.xattr(name);
    for name in found.iter().map(|xattr| xattr.name.as_slice()) {
        if takes(name) && !temper.xattrs.iter().any(|xattr| xattr.name == name) {
            rustix::fs::fremovexattr(file, name)?;
        }
    }
    let now = rustix::fs::ioctl_getflags(file).map_or(0, |flags| flags.bits());
    let can = &run.plan.can;
    if can.owners != Owners::None {
        let (uid, gid) = (Uid::from_raw(temper.uid), Gid::from_raw(temper.gid));
        rustix::fs::fchown(file, Some(uid), Some(gid))?;
    }
    for xattr in &temper.xattrs {
        // A change of owner takes capabilities away.
        if !found.contains(xattr) || xattr.name == b"security.capability" {
            let name = xattr.name.as_slice();
            rustix::fs::fsetxattr(file, name, &xattr.value, XattrFlags::empty())?;
        }
    }
    if can.modes {
        rustix::fs::fchmod(file, Mode::from_raw_mode(temper.mode))?;
    }
    if now & FLAGS & !STILL != temper.flags & !STILL {
        flags(file, temper.flags & !STILL)?;
    }
    Ok(())
}

/// Sets the flags users can set to exactly these; the others stay.
pub(super) fn flags(file: impl AsFd, flags: u32) -> Result<()> {
    let file = file.as_fd();
    let found = rustix::fs::ioctl_getflags(file)?.bits();
    let wanted = (found & !FLAGS) | (flags & FLAGS);
    if wanted == found {
        return Ok(());
    }
    rustix::fs::ioctl_setflags(file, IFlags::from_bits_retain(wanted))
}

/// Sets metadata on a thing that is not to be opened; `fresh` if it was just made.
pub(super) fn named(run: &Run<'_>, folder: &OwnedFd, entry: &Entry, fresh: bool) -> Result<()> {
    let name = entry.name();
    let can = &run.plan.can;
    let times = times(entry.times.modified, entry.times.accessed);
    let is_link = matches!(entry.kind, Kind::Symlink(_));
    let ours = (entry.uid, entry.gid) == can.new;
    if is_link && fresh && ours && entry.xattrs.is_empty() {
        return rustix::fs::utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW);
    }
    let thing = Unopened::hold(folder, name)?;
    if can.owners != Owners::None {
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        thing.own(Some(uid), Some(gid))?;
    }
    for xattr in &entry.xattrs {
        thing.attribute(xattr)?;
    }
    if can.modes && !is_link {
        thing.change_mode(entry.mode)?;
    }
    debug_assert_eq!(entry.flags & !STILL, 0, "only files and folders have flags");
    rustix::fs::utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}
