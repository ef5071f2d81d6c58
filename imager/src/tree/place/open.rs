//! Descriptors of folders, reached one component at a time.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use image_format::entry::printable;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::{Errno, Result};

use super::folders::{FolderId, Folders, ROOT};

/// So many folders are kept open: far below the 1024 descriptors of a process.
const MOST_OPEN: usize = 256;

/// A path for people: what cannot be printed is escaped, a slash in front.
pub(crate) fn text(path: &[u8]) -> String {
    format!("/{}", printable(path))
}

/// Opens the target itself; only here may a symbolic link be followed: it is
/// what the operator named.
pub(crate) fn open_root(target: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, target, flags, Mode::empty())
}

/// Opens `name` in `folder`: no symbolic link, no other mount, nothing above.
pub(crate) fn beneath(
    folder: impl AsFd,
    name: &[u8],
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat2(folder.as_fd(), name, flags, mode, resolve) {
        // A kernel before 5.6; the name is a single component.
        Err(Errno::NOSYS) => rustix::fs::openat(folder, name, flags, mode),
        other => other,
    }
}

/// The device and mount an open file lies on.
pub(crate) fn device_of(file: impl AsFd) -> Result<(u32, u32, u64)> {
    let found = rustix::fs::statx(
        file,
        c"",
        AtFlags::EMPTY_PATH,
        StatxFlags::BASIC_STATS | StatxFlags::MNT_ID,
    )?;
    Ok((found.stx_dev_major, found.stx_dev_minor, found.stx_mnt_id))
}

/// Open folders, those used last.
#[derive(Debug)]
pub(crate) struct Descriptors {
    root: Arc<OwnedFd>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    by_id: HashMap<FolderId, (Arc<OwnedFd>, u64)>,
    clock: u64,
}

impl Open {
    fn get(&mut self, id: FolderId) -> Option<Arc<OwnedFd>> {
        self.clock += 1;
        let (fd, used) = self.by_id.get_mut(&id)?;
        *used = self.clock;
        Some(Arc::clone(fd))
    }

    fn put(&mut self, id: FolderId, fd: &Arc<OwnedFd>) {
        if self.by_id.len() >= MOST_OPEN {
            let mut used: Vec<u64> = self.by_id.values().map(|(_, used)| *used).collect();
            used.sort_unstable();
            let median = used.get(used.len() / 2).copied().unwrap_or(0);
            self.by_id.retain(|_, (_, used)| *used > median);
        }
        self.clock += 1;
        self.by_id.insert(id, (Arc::clone(fd), self.clock));
    }
}

impl Descriptors {
    /// Folders under `root`.
    pub(crate) fn new(root: OwnedFd) -> Self {
        Self {
            root: Arc::new(root),
            open: Mutex::default(),
        }
    }

    /// The target itself.
    pub(crate) fn root(&self) -> &Arc<OwnedFd> {
        &self.root
    }

    /// A folder, opened component by component from the nearest one that is open.
    pub(crate) fn folder(&self, folders: &Folders, id: FolderId) -> Result<Arc<OwnedFd>> {
        let mut way = Vec::new();
        let mut at = id;
        let mut fd = loop {
            if at == ROOT {
                break Arc::clone(&self.root);
            }
            if let Some(fd) = self.lock().get(at) {
                break fd;
            }
            way.push(at);
            at = folders.place(at).ok_or(Errno::NOENT)?.0;
        };
        for &id in way.iter().rev() {
            let (_, name) = folders.place(id).ok_or(Errno::NOENT)?;
            fd = self.enter(&fd, name, id)?;
        }
        Ok(fd)
    }

    /// Opens the folder `name` of `parent` and remembers it as `id`.
    pub(crate) fn enter(
        &self,
        parent: &OwnedFd,
        name: &[u8],
        id: FolderId,
    ) -> Result<Arc<OwnedFd>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = Arc::new(beneath(parent, name, flags, Mode::empty())?);
        self.lock().put(id, &fd);
        Ok(fd)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
