//! The kernel's questions and their answers.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use fuser::{
    Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenAccMode, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use image_format::entry::{Kind, Xattr};
use imager::look::LookError;
use imager::look::contents::Contents;

use super::attributes::kind;
use super::view::{Item, View};

/// An image never changes: the kernel may remember all it was told.
const FOREVER: Duration = Duration::from_secs(1 << 30);
const GENERATION: Generation = Generation(0);
/// `.` and `..` stand before all others.
const OWN_NAMES: usize = 2;
const SEEK_DATA: i32 = 3;
const SEEK_HOLE: i32 = 4;
/// More is never asked for at once (`FUSE_MAX_MAX_PAGES`, 256 pages of 4 KiB, and room).
const READ_MOST: u32 = 4 << 20;

/// The file system.
pub(super) struct Files {
    view: View,
    opened: Mutex<HashMap<u64, Arc<Contents>>>,
    next: AtomicU64,
}

impl Files {
    pub(super) fn new(view: View) -> Self {
        Self {
            view,
            opened: Mutex::default(),
            next: AtomicU64::new(1),
        }
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<u64, Arc<Contents>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn item(&self, number: INodeNo) -> Result<Item, Errno> {
        known(self.view.item(number.0))
    }

    fn contents(&self, handle: FileHandle) -> Result<Arc<Contents>, Errno> {
        self.opened().get(&handle.0).cloned().ok_or(Errno::EBADF)
    }

    fn open_file(&self, number: INodeNo, flags: OpenFlags) -> Result<FileHandle, Errno> {
        if flags.acc_mode() != OpenAccMode::O_RDONLY {
            return Err(Errno::EROFS);
        }
        let item = self.item(number)?;
        let contents = answer(self.view.contents(&item))?;
        let handle = self.next.fetch_add(1, Ordering::Relaxed);
        self.opened().insert(handle, Arc::new(contents));
        Ok(FileHandle(handle))
    }

    fn xattrs(&self, number: INodeNo) -> Result<Vec<Xattr>, Errno> {
        Ok(self.item(number)?.entry.xattrs)
    }

    fn seek(&self, handle: FileHandle, offset: i64, whence: i32) -> Result<i64, Errno> {
        let offset = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
        let contents = self.contents(handle)?;
        let found = match whence {
            SEEK_DATA => contents.next_data(offset),
            SEEK_HOLE => contents.next_hole(offset),
            _ => return Err(Errno::EINVAL),
        };
        let found = found.and_then(|at| i64::try_from(at).ok());
        found.ok_or(Errno::ENXIO)
    }
}

/// What cannot be read is said where somebody may see it; the kernel takes
/// only a number.
fn answer<T>(result: Result<T, LookError>) -> Result<T, Errno> {
    result.map_err(|error| {
        let error = Err::<(), _>(error).context("reading the image");
        if let Err(error) = error {
            eprintln!("mimeo: {error:#}");
        }
        Errno::EIO
    })
}

fn known<T>(result: Result<Option<T>, LookError>) -> Result<T, Errno> {
    answer(result)?.ok_or(Errno::ENOENT)
}

impl Filesystem for Files {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = [
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_PARALLEL_DIROPS,
        ];
        for flag in wanted {
            // Older kernels do without.
            let _ = config.add_capabilities(flag);
        }
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = known(self.view.child(parent.0, name.as_bytes()));
        let found = found.and_then(|item| {
            let attributes = answer(self.view.attributes(&item))?;
            Ok((item, attributes))
        });
        match found {
            Ok((item, attributes)) => {
                self.view.tell(&item);
                reply.entry(&FOREVER, &attributes, GENERATION);
            }
            Err(error) => reply.error(error),
        }
    }

    fn forget(&self, _: &Request, number: INodeNo, times: u64) {
        self.view.nodes.forgot(number.0, times);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let item = self.item(number);
        match item.and_then(|item| answer(self.view.attributes(&item))) {
            Ok(attributes) => reply.attr(&FOREVER, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        match self.item(number).map(|item| item.entry.kind) {
            Ok(Kind::Symlink(target)) => reply.data(&target),
            Ok(_) => reply.error(Errno::EINVAL),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.open_file(number, flags) {
            Ok(handle) => reply.opened(handle, FopenFlags::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let size = usize::try_from(size.min(READ_MOST)).unwrap_or(0);
        let contents = self.contents(handle);
        match contents.and_then(|contents| answer(self.view.read(&contents, offset, size))) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Nothing is ever written. The kernel asks once and not again.
        reply.error(Errno::ENOSYS);
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.opened().remove(&handle.0);
        reply.ok();
    }

    fn lseek(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        match self.seek(handle, offset, whence) {
            Ok(offset) => reply.offset(offset),
            Err(error) => reply.error(error),
        }
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let flags = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR;
        reply.opened(FileHandle(0), flags);
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let items = match answer(self.view.list(number.0)) {
            Ok(items) => items,
            Err(error) => return reply.error(error),
        };
        let mut at = usize::try_from(offset).unwrap_or(usize::MAX);
        loop {
            let next = at.saturating_add(1);
            let full = match (at, at.checked_sub(OWN_NAMES).map(|at| items.get(at))) {
                (0, _) => reply.add(number, 1, kind(&Kind::Directory), "."),
                (1, _) => {
                    let above = INodeNo(self.view.above(number.0));
                    reply.add(above, 2, kind(&Kind::Directory), "..")
                }
                (_, Some(Some(item))) => {
                    let number = INodeNo(self.view.number(item));
                    let name = OsStr::from_bytes(&item.name);
                    reply.add(number, next as u64, kind(&item.entry.kind), name)
                }
                _ => true,
            };
            if full {
                return reply.ok();
            }
            at = next;
        }
    }

    fn readdirplus(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let found = answer(self.view.list(number.0));
        let found = found.and_then(|items| {
            let own = self.item(number)?;
            Ok((items, answer(self.view.attributes(&own))?))
        });
        let (items, own) = match found {
            Ok(found) => found,
            Err(error) => return reply.error(error),
        };
        let mut at = usize::try_from(offset).unwrap_or(usize::MAX);
        loop {
            let next = at.saturating_add(1);
            // Only the number and the kind of these two are looked at.
            let full = match (at, at.checked_sub(OWN_NAMES).map(|at| items.get(at))) {
                (0, _) => reply.add(number, 1, ".", &FOREVER, &own, GENERATION),
                (1, _) => {
                    let above = INodeNo(self.view.above(number.0));
                    reply.add(above, 2, "..", &FOREVER, &own, GENERATION)
                }
                (_, Some(Some(item))) => {
                    let attributes = match answer(self.view.attributes(item)) {
                        Ok(attributes) => attributes,
                        Err(error) => return reply.error(error),
                    };
                    let name = OsStr::from_bytes(&item.name);
                    let (number, next) = (attributes.ino, next as u64);
                    // Told before it is sent: a forget may come at once.
                    self.view.tell(item);
                    let full = reply.add(number, next, name, &FOREVER, &attributes, GENERATION);
                    if full {
                        self.view.nodes.forgot(number.0, 1);
                    }
                    full
                }
                _ => true,
            };
            if full {
                return reply.ok();
            }
            at = next;
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(0, 0, 0, self.view.entries(), 0, 4096, 765, 4096);
    }

    fn getxattr(&self, _: &Request, number: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let found = self.xattrs(number).and_then(|xattrs| {
            let wanted = |xattr: &Xattr| xattr.name == name.as_bytes();
            let found = xattrs.into_iter().find(wanted);
            found.map(|xattr| xattr.value).ok_or(Errno::ENODATA)
        });
        reply_xattr(found, size, reply);
    }

    fn listxattr(&self, _: &Request, number: INodeNo, size: u32, reply: ReplyXattr) {
        let names = self.xattrs(number).map(|xattrs| {
            let name = |xattr: Xattr| [xattr.name, vec![0]].concat();
            xattrs.into_iter().flat_map(name).collect()
        });
        reply_xattr(names, size, reply);
    }
}

/// Size 0 asks how much there is.
fn reply_xattr(found: Result<Vec<u8>, Errno>, size: u32, reply: ReplyXattr) {
    match found.map(|bytes| (u32::try_from(bytes.len()), bytes)) {
        Ok((Ok(length), _)) if size == 0 => reply.size(length),
        Ok((Ok(length), bytes)) if length <= size => reply.data(&bytes),
        Ok(_) => reply.error(Errno::ERANGE),
        Err(error) => reply.error(error),
    }
}
