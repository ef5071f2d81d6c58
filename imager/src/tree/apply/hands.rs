//! Many hands that make what needs no block: small files, links, devices.

use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use image_format::entry::{Content, Entry, Kind};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Result;

use super::run::{Run, at, cores};
use super::{existing, settle};
use crate::tree::error::TreeError;
use crate::tree::place::{FolderId, Rows, Temper, beneath};

/// Entries handed over at a time.
const BATCH: usize = 64;
/// Folders open for a batch.
const BATCH_FOLDERS: usize = 12;
/// Batches that wait.
const WAITING: usize = 4;

/// An entry to make, and where.
pub(super) struct Small {
    pub(super) fd: Arc<OwnedFd>,
    pub(super) folder: FolderId,
    /// Its name in the folders' names, where later steps need it.
    pub(super) name: u32,
    pub(super) entry: Entry,
}

/// The threads.
pub(super) struct Pool {
    send: SyncSender<Vec<Small>>,
}

impl Pool {
    pub(super) fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        run: &'env Run<'env>,
        rows: &'env Mutex<Rows>,
    ) -> Self {
        let (send, receive) = sync_channel::<Vec<Small>>(WAITING);
        let receive = Arc::new(Mutex::new(receive));
        for _ in 0..cores() {
            let receive = Arc::clone(&receive);
            scope.spawn(move || work(run, rows, &receive));
        }
        Self { send }
    }
}

fn work(run: &Run<'_>, rows: &Mutex<Rows>, receive: &Mutex<Receiver<Vec<Small>>>) {
    loop {
        let batch = receive
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(batch) = batch else { return };
        for small in batch {
            // After a failure batches are still taken, or the walk would wait for ever.
            if !run.stopped()
                && let Err(error) = one(run, rows, small)
            {
                run.fail(error);
            }
        }
    }
}

/// Gathers entries into batches.
pub(super) struct Batches<'p> {
    pool: &'p Pool,
    batch: Vec<Small>,
    folders: usize,
}

impl<'p> Batches<'p> {
    pub(super) fn new(pool: &'p Pool) -> Self {
        Self {
            pool,
            batch: Vec::new(),
            folders: 0,
        }
    }

    pub(super) fn push(&mut self, small: Small) {
        let same = self
            .batch
            .last()
            .is_some_and(|last| last.folder == small.folder);
        self.folders += usize::from(!same);
        self.batch.push(small);
        if self.batch.len() >= BATCH || self.folders >= BATCH_FOLDERS {
            self.send();
        }
    }

    fn send(&mut self) {
        self.folders = 0;
        let batch = std::mem::take(&mut self.batch);
        // The hands live as long as the pool.
        let _ = self.pool.send.send(batch);
    }

    pub(super) fn finish(mut self) {
        self.send();
    }
}

fn one(run: &Run<'_>, rows: &Mutex<Rows>, small: Small) -> std::result::Result<(), TreeError> {
    let Small {
        fd,
        folder,
        name,
        entry,
    } = small;
    let bytes = entry.content.size();
    if !run.is_fresh() && existing::keeps(run, rows, &fd, (folder, name), &entry)? {
        run.told(bytes);
        return Ok(());
    }
    let made = match &entry.kind {
        Kind::File => file(run, &fd, &entry),
        _ => special(run, &fd, &entry),
    };
    made.map_err(at("writing", &entry.path))?;
    run.written.fetch_add(
        crate::tree::plan::written(&entry.content),
        std::sync::atomic::Ordering::Relaxed,
    );
    run.told(bytes);
    Ok(())
}

/// A file whose contents are at hand or that has nothing but holes.
fn file(run: &Run<'_>, folder: &OwnedFd, entry: &Entry) -> Result<()> {
    let temper = Temper::of(entry);
    let mode = settle::first_mode(run, &temper);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let file = beneath(folder, entry.name(), flags, Mode::from_raw_mode(mode))?;
    match &entry.content {
        Content::Empty => {}
        Content::Inline(bytes) => settle::write_all(&file, bytes, 0)?,
        Content::Pieces(_) => rustix::fs::ftruncate(&file, entry.content.size())?,
    }
    settle::fresh(run, &file, &temper, mode)?;
    rustix::fs::futimens(
        &file,
        &settle::times(entry.times.modified, entry.times.accessed),
    )
}

/// Links, devices and pipes: never opened, so all goes by name in the folder.
fn special(run: &Run<'_>, folder: &OwnedFd, entry: &Entry) -> Result<()> {
    let name = entry.name();
    let mode = Mode::from_raw_mode(entry.mode & 0o777);
    match &entry.kind {
        Kind::Symlink(target) => {
            rustix::fs::symlinkat(target.as_slice(), folder, name)?;
        }
        Kind::CharDevice { major, minor } => {
            let number = rustix::fs::makedev(*major, *minor);
            rustix::fs::mknodat(folder, name, FileType::CharacterDevice, mode, number)?;
        }
        Kind::BlockDevice { major, minor } => {
            let number = rustix::fs::makedev(*major, *minor);
            rustix::fs::mknodat(folder, name, FileType::BlockDevice, mode, number)?;
        }
        Kind::Fifo => rustix::fs::mknodat(folder, name, FileType::Fifo, mode, 0)?,
        Kind::Directory | Kind::File | Kind::Socket | Kind::RawVolume => return Ok(()),
    }
    settle::named(run, folder, entry, true)
}
