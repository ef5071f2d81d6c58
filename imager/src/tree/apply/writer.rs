//! Files made, filled and finished as their chunks come.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::laid::Laid;
use super::run::{Run, at};
use super::settle;
use crate::tree::error::TreeError;
use crate::tree::place::writeback::Early;
use crate::tree::place::{Deposit, FileRow, FolderId, Folders, Rows, Temper, beneath, text};

/// So many files of several chunks are kept open.
const MOST_FILES: usize = 128;

/// The folder a thread wrote to last.
pub(super) type Last = Option<(FolderId, Arc<OwnedFd>)>;

/// Writes the chunks of expanded blocks; all threads share one.
pub(super) struct Writer<'w, 'a> {
    run: &'w Run<'a>,
    folders: &'w Folders,
    rows: &'w Rows,
    /// Files that wait for more chunks.
    open: Mutex<HashMap<u32, Open>>,
    early: Early,
}

struct Open {
    /// Closed while too many others are open.
    file: Option<Arc<OwnedFd>>,
    /// Chunks to come.
    left: u32,
    /// The mode it was made with.
    mode: u32,
    /// Which file it must be when it is opened again.
    inode: (u64, u64),
}

impl<'w, 'a> Writer<'w, 'a> {
    pub(super) fn new(run: &'w Run<'a>, laid: &'w Laid, early: Early) -> Self {
        Self {
            run,
            folders: &laid.folders,
            rows: &laid.rows,
            open: Mutex::default(),
            early,
        }
    }

    /// Writes a chunk to one of its places; the last of a file finishes it.
    pub(super) fn deposit(
        &self,
        one: &Deposit,
        bytes: &[u8],
        last: &mut Last,
    ) -> Result<(), TreeError> {
        let Some(row) = self.rows.files.get(one.file as usize) else {
            return Ok(());
        };
        let path = || {
            self.folders
                .path_of(row.folder, self.folders.names.get(row.name))
        };
        let whole = row.parts == 1 && !row.holes && !row.exists;
        let done = match whole {
            true => self.whole(row, bytes, last),
            false => self.part(one, row, bytes, last),
        };
        done.map_err(|error| at("writing", &path())(error))?;
        let length = bytes.len() as u64;
        self.run.written.fetch_add(length, Ordering::Relaxed);
        self.run.told(length);
        self.early.wrote(length);
        Ok(())
    }

    /// A file of one chunk, from nothing to closed.
    fn whole(&self, row: &FileRow, bytes: &[u8], last: &mut Last) -> rustix::io::Result<()> {
        let (file, mode) = self.make(row, last)?;
        settle::write_all(&file, bytes, 0)?;
        self.settle(&file, row, mode)
    }

    fn part(
        &self,
        one: &Deposit,
        row: &FileRow,
        bytes: &[u8],
        last: &mut Last,
    ) -> rustix::io::Result<()> {
        let file = self.opened(one.file, row, last)?;
        settle::write_all(&file, bytes, one.at)?;
        let mut open = self.lock();
        let Some(state) = open.get_mut(&one.file) else {
            return Err(Errno::BADF);
        };
        state.left = state.left.saturating_sub(1);
        let (left, mode) = (state.left, state.mode);
        if left == 0 {
            open.remove(&one.file);
            drop(open);
            self.settle(&file, row, mode)?;
        }
        Ok(())
    }

    /// The file, made if this is its first chunk.
    fn opened(&self, id: u32, row: &FileRow, last: &mut Last) -> rustix::io::Result<Arc<OwnedFd>> {
        let mut open = self.lock();
        if let Some(Open {
            file: Some(file), ..
        }) = open.get(&id)
        {
            return Ok(Arc::clone(file));
        }
        // Held while the file is made: nobody else may make it.
        let known = open.get(&id).map(|state| state.inode);
        let (file, mode) = match (known, row.exists) {
            (None, false) => self.make(row, last)?,
            _ => (self.again(row, known, last)?, 0),
        };
        let file = Arc::new(file);
        if let Some(state) = open.get_mut(&id) {
            state.file = Some(Arc::clone(&file));
            return Ok(file);
        }
        if row.holes && !row.exists {
            rustix::fs::ftruncate(&file, row.size)?;
        }
        close_some(&mut open);
        let found = rustix::fs::fstat(&file)?;
        let state = Open {
            file: Some(Arc::clone(&file)),
            left: row.parts,
            mode,
            inode: (found.st_dev, found.st_ino),
        };
        open.insert(id, state);
        Ok(file)
    }

    fn make(&self, row: &FileRow, last: &mut Last) -> rustix::io::Result<(OwnedFd, u32)> {
        let mode = match row.parts {
            1 => settle::first_mode(self.run, self.temper(row)?),
            // It may have to be opened again.
            _ => 0o600 & !self.run.umask,
        };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let folder = self.folder(row.folder, last)?;
        let name = self.folders.names.get(row.name);
        let file = beneath(&*folder, name, flags, Mode::from_raw_mode(mode))?;
        Ok((file, mode))
    }

    /// Opens a file that is there; it must be the one that was written before,
    /// and no other name may lead to it.
    fn again(
        &self,
        row: &FileRow,
        known: Option<(u64, u64)>,
        last: &mut Last,
    ) -> rustix::io::Result<OwnedFd> {
        let folder = self.folder(row.folder, last)?;
        let name = self.folders.names.get(row.name);
        let flags = OFlags::WRONLY | OFlags::NONBLOCK;
        let file = beneath(&*folder, name, flags, Mode::empty())?;
        let found = rustix::fs::fstat(&file)?;
        let same = known.is_none_or(|inode| inode == (found.st_dev, found.st_ino));
        if same && found.st_nlink == 1 {
            Ok(file)
        } else {
            Err(Errno::STALE)
        }
    }

    fn settle(&self, file: &OwnedFd, row: &FileRow, mode: u32) -> rustix::io::Result<()> {
        let temper = self.temper(row)?;
        match row.exists {
            true => settle::exact(self.run, file, temper)?,
            false => settle::fresh(self.run, file, temper, mode)?,
        }
        rustix::fs::futimens(file, &settle::times(row.modified, row.accessed))
    }

    fn temper(&self, row: &FileRow) -> rustix::io::Result<&Temper> {
        self.rows
            .tempers
            .get(row.temper as usize)
            .ok_or(Errno::INVAL)
    }

    fn folder(&self, id: FolderId, last: &mut Last) -> rustix::io::Result<Arc<OwnedFd>> {
        if let Some((known, fd)) = last
            && *known == id
        {
            return Ok(Arc::clone(fd));
        }
        let fd = self.run.descriptors.folder(self.folders, id)?;
        *last = Some((id, Arc::clone(&fd)));
        Ok(fd)
    }

    /// Refuses to call it done while a file waits for more.
    pub(super) fn all_finished(&self) -> Result<(), TreeError> {
        let open = self.lock();
        let Some(row) = open
            .keys()
            .next()
            .and_then(|id| self.rows.files.get(*id as usize))
        else {
            return Ok(());
        };
        let path = self
            .folders
            .path_of(row.folder, self.folders.names.get(row.name));
        Err(TreeError::Unfinished {
            count: open.len(),
            path: text(&path),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes files nobody writes to at this moment, when too many are open.
fn close_some(open: &mut HashMap<u32, Open>) {
    if open.values().filter(|state| state.file.is_some()).count() < MOST_FILES {
        return;
    }
    for state in open.values_mut() {
        if state
            .file
            .as_ref()
            .is_some_and(|file| Arc::strong_count(file) == 1)
        {
            state.file = None;
        }
    }
}
