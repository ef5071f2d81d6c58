//! A simulated file system that knows what was durable.
//!
//! Whoever uses it sees every change at once. Only what was synced is sure to
//! survive a power cut (see `cut`): of a file the bytes that were there when it
//! was synced, of a directory the names. A file's sync says nothing of its name,
//! nor a directory's sync of what lies in its files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use image_format::store::dir::{FileFacts, FileSystem, Reading, Writing};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    Folder,
    File(usize),
}

/// What one call does to names: all of it happens, or nothing.
pub(crate) type Change = Vec<(PathBuf, Option<Node>)>;

#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) seen: Arc<[u8]>,
    pub(crate) durable: Arc<[u8]>,
    pub(crate) written: SystemTime,
}

pub(crate) type Names = BTreeMap<PathBuf, Node>;

#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) seen: Names,
    pub(crate) durable: Names,
    /// What makes `seen` of `durable`, in order.
    pub(crate) pending: Vec<Change>,
    pub(crate) files: Vec<File>,
    pub(crate) now: SystemTime,
    has_links: bool,
    operations: u64,
    stop_at: u64,
}

/// A handle on the file system; a clone is another one on the same.
#[derive(Debug, Clone)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// An empty file system, with hard links or without.
    pub(crate) fn new(has_links: bool) -> Self {
        let root = Names::from([(PathBuf::from("/"), Node::Folder)]);
        Self::of(State {
            seen: root.clone(),
            durable: root,
            pending: Vec::new(),
            files: Vec::new(),
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_305_600),
            has_links,
            operations: 0,
            stop_at: u64::MAX,
        })
    }

    /// In this state, with the power on.
    pub(crate) fn of(state: State) -> Self {
        Self(Arc::new(Mutex::new(State {
            operations: 0,
            stop_at: u64::MAX,
            ..state
        })))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The power fails at this change or sync, counted from 0 from now on: it and
    /// everything after it fails, reads too. The change may still have been made.
    pub(crate) fn stop_at(&self, number: u64) {
        let mut state = self.state();
        (state.operations, state.stop_at) = (0, number);
    }

    /// Whether the power failed.
    pub(crate) fn is_off(&self) -> bool {
        self.state().is_on().is_err()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.state().now += Duration::from_secs(seconds);
    }

    fn look<T>(&self, act: impl FnOnce(&State) -> io::Result<T>) -> io::Result<T> {
        let state = self.state();
        state.is_on()?;
        act(&state)
    }

    /// Makes a change. The one that is cut off is made, as one that is not durable.
    fn change<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        state.is_on()?;
        state.operations += 1;
        let done = act(&mut state);
        state.is_on()?;
        done
    }

    /// Makes something durable. The sync that is cut off does nothing.
    fn sync(&self, act: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        let mut state = self.state();
        state.operations += 1;
        state.is_on()?;
        act(&mut state)
    }
}

impl State {
    fn is_on(&self) -> io::Result<()> {
        match self.operations > self.stop_at {
            true => Err(io::Error::other("the simulated power is gone")),
            false => Ok(()),
        }
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.seen.get(path) {
            Some(Node::File(number)) => Ok(*number),
            Some(Node::Folder) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn folder(&self, path: &Path) -> io::Result<()> {
        match self.seen.get(path) {
            Some(Node::Folder) => Ok(()),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    /// Whether something new can have this name.
    fn is_free(&self, path: &Path) -> io::Result<()> {
        self.folder(path.parent().unwrap_or(Path::new("/")))?;
        match self.seen.contains_key(path) {
            true => Err(ErrorKind::AlreadyExists.into()),
            false => Ok(()),
        }
    }

    fn make(&mut self, change: Change) {
        apply(&mut self.seen, &change);
        self.pending.push(change);
    }

    /// Makes the changes of names in a directory durable, and what was done
    /// before to the same names: no file system turns that order round.
    fn sync_names(&mut self, dir: &Path) {
        let mut names: BTreeSet<PathBuf> = BTreeSet::new();
        let mut left = Vec::new();
        let mut durable = Vec::new();
        for change in self.pending.drain(..).rev() {
            let touched = |(path, _): &(PathBuf, _)| path.parent() == Some(dir);
            if change
                .iter()
                .any(|one| touched(one) || names.contains(&one.0))
            {
                names.extend(change.iter().map(|(path, _)| path.clone()));
                durable.push(change);
            } else {
                left.push(change);
            }
        }
        for change in durable.iter().rev() {
            apply(&mut self.durable, change);
        }
        self.pending = left.into_iter().rev().collect();
    }
}

pub(crate) fn apply(names: &mut Names, change: &Change) {
    for (path, node) in change {
        match node {
            Some(node) => names.insert(path.clone(), *node),
            None => names.remove(path),
        };
    }
}

/// A file that is being written.
struct Open {
    disk: Disk,
    file: usize,
    at: usize,
}

impl Write for Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.change(|state| {
            let now = state.now;
            let file = &mut state.files[self.file];
            let mut all = file.seen.to_vec();
            all.resize(all.len().max(self.at + bytes.len()), 0);
            all[self.at..self.at + bytes.len()].copy_from_slice(bytes);
            (file.seen, file.written) = (all.into(), now);
            Ok(())
        })?;
        self.at += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Writing for Open {
    fn sync(&self) -> io::Result<()> {
        self.disk.sync(|state| {
            let file = &mut state.files[self.file];
            file.durable = Arc::clone(&file.seen);
            Ok(())
        })
    }
}

impl FileSystem for Disk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Reading>> {
        self.look(|state| {
            let file = &state.files[state.file(path)?];
            Ok(Box::new(Cursor::new(Arc::clone(&file.seen))) as Box<dyn Reading>)
        })
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Writing>> {
        let file = self.change(|state| {
            state.is_free(path)?;
            let (file, empty) = (state.files.len(), Arc::<[u8]>::from([]));
            state.files.push(File {
                seen: Arc::clone(&empty),
                durable: empty,
                written: state.now,
            });
            state.make(vec![(path.to_owned(), Some(Node::File(file)))]);
            Ok(file)
        })?;
        let disk = self.clone();
        Ok(Box::new(Open { disk, file, at: 0 }))
    }

    fn overwrite(&self, path: &Path) -> io::Result<Box<dyn Writing>> {
        let file = self.look(|state| state.file(path))?;
        let disk = self.clone();
        Ok(Box::new(Open { disk, file, at: 0 }))
    }

    fn facts(&self, path: &Path) -> io::Result<FileFacts> {
        self.look(|state| {
            let file = &state.files[state.file(path)?];
            Ok(FileFacts {
                length: file.seen.len() as u64,
                written: Some(file.written),
            })
        })
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.look(|state| Ok(state.seen.contains_key(path)))
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.look(|state| {
            state.folder(dir)?;
            let inside = state.seen.keys().filter(|path| path.parent() == Some(dir));
            let name = |path: &PathBuf| path.file_name()?.to_str().map(str::to_owned);
            Ok(inside.filter_map(name).collect())
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| {
            if !state.has_links {
                return Err(ErrorKind::Unsupported.into());
            }
            let file = state.file(from)?;
            state.is_free(to)?;
            state.make(vec![(to.to_owned(), Some(Node::File(file)))]);
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| {
            let file = state.file(from)?;
            // What had the name loses it, as everywhere.
            state.folder(to.parent().unwrap_or(Path::new("/")))?;
            let named = (to.to_owned(), Some(Node::File(file)));
            state.make(vec![(from.to_owned(), None), named]);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(|state| {
            state.file(path)?;
            state.make(vec![(path.to_owned(), None)]);
            Ok(())
        })
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.change(|state| {
            state.is_free(path)?;
            state.make(vec![(path.to_owned(), Some(Node::Folder))]);
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.sync(|state| {
            state.folder(dir)?;
            state.sync_names(dir);
            Ok(())
        })
    }

    fn now(&self) -> SystemTime {
        self.state().now
    }
}
