//! Owner, mode, attributes, flags and times of what was made. What cannot be
//! kept is counted: a file without its owner is still the file.

use std::os::fd::OwnedFd;

use image_format::entry::{Entry, Kind};
use rustix::fs::{AtFlags, Gid, IFlags, Mode, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::short::{self, Shortfall};
use super::target::Made;
use crate::look::LookError;
use crate::tree::{FLAGS, STILL, Unopened, times};

/// Set-user-id and set-group-id: not for another owner.
const SET_ID: u32 = 0o6000;

/// One open file or folder that is given what its entry says.
pub(super) struct Dress<'d> {
    file: &'d OwnedFd,
    entry: &'d Entry,
    short: &'d mut Shortfall,
}

impl<'d> Dress<'d> {
    pub(super) fn new(file: &'d OwnedFd, entry: &'d Entry, short: &'d mut Shortfall) -> Self {
        Self { file, entry, short }
    }

    /// Everything but the flags after which nothing can be changed. The owner
    /// comes first: setting it takes set-id bits and capabilities away.
    pub(super) fn all(mut self) -> Result<(), LookError> {
        let mut mode = self.entry.mode & 0o7777;
        let (uid, gid) = owner(self.entry);
        if rustix::fs::fchown(self.file, uid, gid).is_err() {
            self.short.add(short::OWNER, self.entry);
            mode &= !SET_ID;
        }
        // Before the mode: a file nobody may write to takes no attributes.
        self.xattrs();
        let changed = rustix::fs::fchmod(self.file, Mode::from_raw_mode(mode));
        changed.map_err(|error| failed(self.entry, "setting the mode of", error))?;
        self.flags();
        let times = times_of(self.entry);
        if rustix::fs::futimens(self.file, &times).is_err() {
            self.short.add(short::TIMES, self.entry);
        }
        Ok(())
    }

    fn xattrs(&mut self) {
        for xattr in &self.entry.xattrs {
            let (name, value) = (xattr.name.as_slice(), xattr.value.as_slice());
            if rustix::fs::fsetxattr(self.file, name, value, XattrFlags::empty()).is_err() {
                self.short.add(short::XATTR, self.entry);
            }
        }
    }

    /// FAT has its attribute byte in the same place; it means other things.
    fn flags(&mut self) {
        let wanted = self.entry.flags & FLAGS & !STILL;
        if self.entry.short_name.is_none() && !set(self.file, wanted) {
            self.short.add(short::FLAGS, self.entry);
        }
    }
}

/// Whether the entry has flags that must come last.
pub(super) fn is_still(entry: &Entry) -> bool {
    entry.flags & STILL != 0 && entry.short_name.is_none()
}

/// Sets the flags that must come last.
pub(super) fn still(file: &OwnedFd, entry: &Entry, short: &mut Shortfall) -> Result<(), LookError> {
    if !set(file, entry.flags & FLAGS) {
        short.add(short::FLAGS, entry);
    }
    Ok(())
}

/// Adds flags to those that are there; nothing is asked where none are wanted.
fn set(file: &OwnedFd, wanted: u32) -> bool {
    if wanted == 0 {
        return true;
    }
    let Ok(before) = rustix::fs::ioctl_getflags(file) else {
        return false;
    };
    let after = before | IFlags::from_bits_retain(wanted);
    after == before || rustix::fs::ioctl_setflags(file, after).is_ok()
}

/// What is not opened: a link, device, pipe or socket. A link has no mode.
pub(super) fn unopened(made: &Made, entry: &Entry, short: &mut Shortfall) -> Result<(), LookError> {
    let thing = Unopened::hold(made.folder(), made.name())
        .map_err(|error| failed(entry, "opening", error))?;
    let mut mode = entry.mode & 0o7777;
    let (uid, gid) = owner(entry);
    if thing.own(uid, gid).is_err() {
        short.add(short::OWNER, entry);
        mode &= !SET_ID;
    }
    for xattr in &entry.xattrs {
        if thing.attribute(xattr).is_err() {
            short.add(short::XATTR, entry);
        }
    }
    if !matches!(entry.kind, Kind::Symlink(_)) {
        let changed = thing.change_mode(mode);
        changed.map_err(|error| failed(entry, "setting the mode of", error))?;
    }
    let (times, flags) = (times_of(entry), AtFlags::SYMLINK_NOFOLLOW);
    if rustix::fs::utimensat(made.folder(), made.name(), &times, flags).is_err() {
        short.add(short::TIMES, entry);
    }
    Ok(())
}

fn owner(entry: &Entry) -> (Option<Uid>, Option<Gid>) {
    // All ones would mean "leave it as it is".
    let uid = (entry.uid != u32::MAX).then(|| Uid::from_raw(entry.uid));
    let gid = (entry.gid != u32::MAX).then(|| Gid::from_raw(entry.gid));
    (uid, gid)
}

fn times_of(entry: &Entry) -> Timestamps {
    times(entry.times.modified, entry.times.accessed)
}

fn failed(entry: &Entry, doing: &'static str, error: Errno) -> LookError {
    LookError::Target {
        doing,
        path: entry.display_path().into(),
        source: error.into(),
    }
}
