//! Things that are never opened: links, devices, pipes, sockets. Opening one
//! would do something, or lead elsewhere.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use image_format::entry::Xattr;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, XattrFlags};
use rustix::io::Result;

/// One such thing, held by its name alone: what is set through it is set on
/// this very thing, whatever takes its name meanwhile.
pub(crate) struct Unopened {
    thing: OwnedFd,
    through: String,
}

impl Unopened {
    /// Holds `name` in `folder`; a symbolic link is the link itself.
    pub(crate) fn hold(folder: impl AsFd, name: &[u8]) -> Result<Self> {
        // openat2 that refuses links would refuse this one too.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let thing = rustix::fs::openat(folder, name, flags, Mode::empty())?;
        let through = format!("/proc/self/fd/{}", thing.as_raw_fd());
        Ok(Self { thing, through })
    }

    /// Sets its owner; `None` leaves it as it is.
    pub(crate) fn own(&self, uid: Option<Uid>, gid: Option<Gid>) -> Result<()> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(&self.thing, c"", uid, gid, flags)
    }

    /// Sets an extended attribute.
    pub(crate) fn attribute(&self, xattr: &Xattr) -> Result<()> {
        let (name, value) = (xattr.name.as_slice(), xattr.value.as_slice());
        rustix::fs::setxattr(self.through.as_str(), name, value, XattrFlags::empty())
    }

    /// Sets its mode, if it has another; a symbolic link has none to set.
    pub(crate) fn change_mode(&self, mode: u32) -> Result<()> {
        let found = rustix::fs::fstat(&self.thing)?.st_mode & 0o7777;
        match found == mode {
            true => Ok(()),
            false => rustix::fs::chmod(self.through.as_str(), Mode::from_raw_mode(mode)),
        }
    }
}
