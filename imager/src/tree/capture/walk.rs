//! All names below a directory, in the order of an image.
//!
//! That order is bytewise over whole paths, and `/` sorts behind `-` and `.`:
//! `a`, `a-b`, `a/x`. So a directory stands twice among the names around it,
//! once as a name and once, with a slash behind, for all that is in it.

use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;

use super::notes::{Notes, Reason};
use super::{Inode, TreeError};
use crate::tree::exclude::Excludes;
use crate::tree::metadata::{self, Stat};

/// Bytes of names asked for at a time.
const LISTED_AT_ONCE: usize = 32 << 10;
/// Descriptors of directories held open on the way down; deeper ones are
/// opened again on the way back. Processes may have 1024.
const HELD: usize = 200;
/// A manifest holds no longer path.
const LONGEST_PATH: usize = 64 << 10;

/// A name found.
#[derive(Debug, Clone)]
pub(super) struct Named {
    /// The directory it lies in; of the root, the root itself.
    pub(super) dir: Arc<OwnedFd>,
    /// The whole path.
    pub(super) path: Vec<u8>,
    /// Where in the path its name begins.
    name_at: usize,
}

impl Named {
    /// The last component; empty for the root.
    pub(super) fn name(&self) -> &[u8] {
        self.path.get(self.name_at..).unwrap_or_default()
    }
}

/// What a walk is told.
pub(super) struct Rules<'r> {
    pub(super) excludes: &'r Excludes,
    /// What is left out whole: the share.
    pub(super) omit: &'r HashSet<Inode>,
    pub(super) notes: &'r Notes,
    pub(super) skip_unreadable: bool,
}

struct Level {
    /// `None`: closed for the time being.
    dir: Option<Arc<OwnedFd>>,
    at: Stat,
    path: Vec<u8>,
    /// Names and, with a slash behind, directories to enter; in falling order.
    names: Vec<Vec<u8>>,
}

/// A walk below a root.
pub(super) struct Walk<'r> {
    rules: &'r Rules<'r>,
    root: Arc<OwnedFd>,
    device: (u32, u32),
    stack: Vec<Level>,
}

impl<'r> Walk<'r> {
    pub(super) fn new(root: &Arc<OwnedFd>, rules: &'r Rules<'r>) -> Result<Self, TreeError> {
        let at = metadata::stat(root.as_fd(), b"")
            .map_err(|errno| TreeError::read(b"", "looking at", errno))?;
        let mut walk = Self {
            rules,
            root: Arc::clone(root),
            device: at.device,
            stack: Vec::new(),
        };
        walk.enter(Arc::clone(root), at, Vec::new())?;
        Ok(walk)
    }

    /// Hands every name to `out` until it answers `false`.
    pub(super) fn run(mut self, mut out: impl FnMut(Named) -> bool) -> Result<(), TreeError> {
        let root = Named {
            dir: Arc::clone(&self.root),
            path: Vec::new(),
            name_at: 0,
        };
        if !out(root) {
            return Ok(());
        }
        while let Some(level) = self.stack.last_mut() {
            let Some(mut name) = level.names.pop() else {
                self.stack.pop();
                continue;
            };
            let dir = match &level.dir {
                Some(dir) => Arc::clone(dir),
                None => match self.reopen() {
                    Ok(dir) => dir,
                    // Whatever else was in it is not where it was.
                    Err(errno) if is_gone(errno) => {
                        self.leave_vanished();
                        continue;
                    }
                    Err(errno) => return Err(self.wrong(errno)),
                },
            };
            let Some(level) = self.stack.last() else {
                break;
            };
            let descends = name.pop_if(|byte| *byte == b'/').is_some();
            let (path, name_at) = joined(&level.path, &name);
            if path.len() > LONGEST_PATH {
                self.unreadable(&path, "looking at", Errno::NAMETOOLONG)?;
            } else if descends {
                self.descend(&dir, path, &name)?;
            } else if !out(Named { dir, path, name_at }) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn descend(&mut self, dir: &OwnedFd, path: Vec<u8>, name: &[u8]) -> Result<(), TreeError> {
        // Looked at before it is opened: opening may mount what is not mounted yet.
        let opened = metadata::stat(dir.as_fd(), name).and_then(|seen| {
            if seen.device != self.device || seen.is_mount {
                return Ok(None);
            }
            let fd = metadata::open_directory(dir.as_fd(), name)?;
            let at = metadata::stat(fd.as_fd(), b"")?;
            Ok((at.device == self.device && !at.is_mount).then_some((at, fd)))
        });
        let (at, fd) = match opened {
            Ok(Some(opened)) => opened,
            Ok(None) => {
                self.rules.notes.note(Reason::Mount, &path);
                return Ok(());
            }
            Err(errno) if is_gone(errno) => {
                self.rules.notes.note(Reason::Vanished, &path);
                return Ok(());
            }
            Err(errno) => return self.unreadable(&path, "opening", errno),
        };
        if self.rules.omit.contains(&(at.device, at.inode)) {
            self.rules.notes.note(Reason::Excluded, &path);
            return Ok(());
        }
        let above = self.stack.len().checked_sub(HELD);
        if let Some(level) = above.and_then(|above| self.stack.get_mut(above)) {
            level.dir = None;
        }
        self.enter(Arc::new(fd), at, path)
    }

    fn enter(&mut self, dir: Arc<OwnedFd>, at: Stat, path: Vec<u8>) -> Result<(), TreeError> {
        match self.list(&dir, &path) {
            Ok(names) => self.stack.push(Level {
                dir: Some(dir),
                at,
                path,
                names,
            }),
            // An empty directory may be removed while it is open; a root that
            // was removed is no image.
            Err(errno) if is_gone(errno) && !path.is_empty() => {
                self.rules.notes.note(Reason::Vanished, &path);
            }
            Err(errno) => self.unreadable(&path, "listing", errno)?,
        }
        Ok(())
    }

    /// What is in a directory and not left out, in falling order.
    fn list(&self, dir: &OwnedFd, path: &[u8]) -> Result<Vec<Vec<u8>>, Errno> {
        let mut names = Vec::new();
        let mut buffer = vec![MaybeUninit::uninit(); LISTED_AT_ONCE];
        let mut reading = RawDir::new(dir.as_fd(), &mut buffer);
        while let Some(entry) = reading.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let is_directory = match entry.file_type() {
                FileType::Unknown => match metadata::stat(dir.as_fd(), name) {
                    Ok(stat) => stat.file_type == FileType::Directory,
                    // Whoever looks at it later says so.
                    Err(_) => false,
                },
                known => known == FileType::Directory,
            };
            let (whole, _) = joined(path, name);
            if self.rules.excludes.matches(&whole, is_directory) {
                self.rules.notes.note(Reason::Excluded, &whole);
                continue;
            }
            names.push(name.to_vec());
            if is_directory {
                let mut inside = Vec::with_capacity(name.len() + 1);
                inside.extend_from_slice(name);
                inside.push(b'/');
                names.push(inside);
            }
        }
        names.sort_unstable_by(|one, other| other.cmp(one));
        // A directory that changes while it is listed may tell a name twice.
        names.dedup();
        Ok(names)
    }

    /// Opens the last level's directory again, from the root down, and makes
    /// sure that it is the same.
    fn reopen(&mut self) -> Result<Arc<OwnedFd>, Errno> {
        let Some(level) = self.stack.last_mut() else {
            return Ok(Arc::clone(&self.root));
        };
        let mut dir = Arc::clone(&self.root);
        for name in level.path.split(|&byte| byte == b'/') {
            dir = Arc::new(metadata::open_directory(dir.as_fd(), name)?);
        }
        let at = metadata::stat(dir.as_fd(), b"")?;
        if (at.device, at.inode) != (level.at.device, level.at.inode) {
            return Err(Errno::STALE);
        }
        level.dir = Some(Arc::clone(&dir));
        Ok(dir)
    }

    fn leave_vanished(&mut self) {
        if let Some(level) = self.stack.pop() {
            self.rules.notes.note(Reason::Vanished, &level.path);
        }
    }

    fn wrong(&self, errno: Errno) -> TreeError {
        let path = self.stack.last().map(|level| level.path.as_slice());
        TreeError::read(path.unwrap_or_default(), "opening", errno)
    }

    fn unreadable(&self, path: &[u8], doing: &'static str, errno: Errno) -> Result<(), TreeError> {
        if !self.rules.skip_unreadable {
            return Err(TreeError::read(path, doing, errno));
        }
        self.rules.notes.note(Reason::Unreadable, path);
        Ok(())
    }
}

/// Removed, moved or replaced since its name was read.
fn is_gone(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE
    )
}

/// A path below a directory, and where in it the name begins.
fn joined(dir: &[u8], name: &[u8]) -> (Vec<u8>, usize) {
    let mut path = Vec::with_capacity(dir.len() + 1 + name.len());
    path.extend_from_slice(dir);
    if !dir.is_empty() {
        path.push(b'/');
    }
    let at = path.len();
    path.extend_from_slice(name);
    (path, at)
}

#[cfg(test)]
mod tests;
