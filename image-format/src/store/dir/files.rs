//! Files that appear whole or not at all.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::system::{FileSystem, Reading, Writing};
use crate::index::SegmentBytes;
use crate::store::{PackFacts, StoreError};

/// A file somebody still writes is younger than this.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// The files of a share, written through one folder for files in the making.
#[derive(Debug)]
pub(super) struct Files {
    system: Arc<dyn FileSystem>,
    incoming: PathBuf,
    made: AtomicU64,
    /// Directories whose own names are known to be durable.
    named: Mutex<BTreeSet<PathBuf>>,
}

/// Writing.
impl Files {
    pub(super) fn new(system: Arc<dyn FileSystem>, incoming: PathBuf) -> Self {
        Self {
            system,
            incoming,
            made: AtomicU64::new(0),
            named: Mutex::default(),
        }
    }

    /// Writes a file whose name is made of its content: there already is good.
    pub(super) fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        if self.exists(path)? {
            return self.sync_parent(path);
        }
        self.put_new(path, bytes).map(|_| ())
    }

    /// Writes a file unless there is one of its name; says whether it was written.
    pub(super) fn put_new(&self, path: &Path, bytes: &[u8]) -> Result<bool, StoreError> {
        let temporary = self.write_temporary(bytes)?;
        let named = self.give_name(&temporary, path);
        // The link is the file now; a left-over would be forgotten after a day.
        let _ = self.system.remove(&temporary);
        let new = named.map_err(|source| failed("naming", path, source))?;
        self.sync_parent(path)?;
        Ok(new)
    }

    /// Removes files whose writer died long ago.
    pub(super) fn forget_abandoned(&self) {
        for name in self.system.names(&self.incoming).unwrap_or_default() {
            let path = self.incoming.join(name);
            let written = self
                .system
                .facts(&path)
                .ok()
                .and_then(|facts| facts.written);
            let age = written.and_then(|written| self.now().duration_since(written).ok());
            if age.is_some_and(|age| age > ABANDONED) {
                // Only room is lost when this fails.
                let _ = self.system.remove(&path);
            }
        }
    }

    fn write_temporary(&self, bytes: &[u8]) -> Result<PathBuf, StoreError> {
        loop {
            let number = self.made.fetch_add(1, Ordering::Relaxed);
            let path = self
                .incoming
                .join(format!("{}-{number}", std::process::id()));
            match self.system.create(&path) {
                Ok(mut file) => {
                    return match write_all(&mut *file, bytes) {
                        Ok(()) => Ok(path),
                        Err(source) => {
                            // A full disk gets its room back.
                            let _ = self.system.remove(&path);
                            Err(failed("writing", &path, source))
                        }
                    };
                }
                // Another host that shares the folder, or an older process of this number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("creating", &path, error)),
            }
        }
    }

    /// Links the file to its name, which fails where one exists; file systems
    /// without links get a rename, where two writers of one ref could still meet.
    fn give_name(&self, temporary: &Path, path: &Path) -> io::Result<bool> {
        match self.system.link(temporary, path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Unsupported | ErrorKind::PermissionDenied
                ) =>
            {
                if self.system.exists(path)? {
                    return Ok(false);
                }
                self.system.rename(temporary, path).map(|()| true)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a directory and its name durable; it may be there.
    pub(super) fn make_dir(&self, path: &Path) -> Result<(), StoreError> {
        match self.make(path)? {
            true => self.sync_parent(path),
            false => Ok(()),
        }
    }

    /// Makes a directory; says whether it was not there.
    fn make(&self, path: &Path) -> Result<bool, StoreError> {
        match self.system.make_dir(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(failed("making", path, source)),
        }
    }

    /// Makes the directory that a file will lie in. One that is there may be of
    /// a process that was killed before its name was durable: once that is done
    /// again.
    pub(super) fn make_parent(&self, path: &Path) -> Result<(), StoreError> {
        let Some(dir) = path.parent() else {
            return Ok(());
        };
        let is_new = self.make(dir)?;
        let named = || self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if is_new || !named().contains(dir) {
            self.sync_parent(dir)?;
            named().insert(dir.to_owned());
        }
        Ok(())
    }

    pub(super) fn sync_parent(&self, path: &Path) -> Result<(), StoreError> {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        self.sync_dir(parent)
    }

    /// Makes the names in a directory durable.
    pub(super) fn sync_dir(&self, dir: &Path) -> Result<(), StoreError> {
        let synced = self.system.sync_dir(dir);
        synced.map_err(|source| failed("syncing", dir, source))
    }

    /// Removes a file; says whether there was one.
    pub(super) fn remove(&self, path: &Path) -> Result<bool, StoreError> {
        there(self.system.remove(path), "removing", path)
    }

    /// Moves a file to a name nobody else gives; says whether there was one.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<bool, StoreError> {
        there(self.system.rename(from, to), "moving", from)
    }

    /// Gives a file a second name, unless something has it already; says whether
    /// the file was there.
    pub(super) fn link(&self, from: &Path, to: &Path) -> Result<bool, StoreError> {
        there(self.give_name(from, to).map(drop), "restoring", from)
    }

    /// Writes over a file of the same length; says whether there was one.
    pub(super) fn overwrite(&self, path: &Path, bytes: &[u8]) -> Result<bool, StoreError> {
        let file = self.system.overwrite(path);
        let written = file.and_then(|mut file| write_all(&mut *file, bytes));
        there(written, "writing", path)
    }
}

/// Reading.
impl Files {
    /// The names in a directory, sorted.
    pub(super) fn names(&self, dir: &Path) -> Result<Vec<String>, StoreError> {
        let names = self.system.names(dir);
        let mut names = names.map_err(|source| failed("listing", dir, source))?;
        names.sort();
        Ok(names)
    }

    /// As [`Files::names`]; none where there is no such directory.
    pub(super) fn names_if_any(&self, dir: &Path) -> Result<Vec<String>, StoreError> {
        match self.names(dir) {
            Err(StoreError::Io { source, .. })
                if matches!(
                    source.kind(),
                    ErrorKind::NotFound | ErrorKind::NotADirectory
                ) =>
            {
                Ok(Vec::new())
            }
            other => other,
        }
    }

    /// What the names in a directory say that end like this; none where there
    /// is no such directory.
    pub(super) fn listed<T: std::str::FromStr>(
        &self,
        dir: &Path,
        suffix: &str,
    ) -> Result<Vec<T>, StoreError> {
        let names = self.names_if_any(dir)?;
        Ok(names
            .iter()
            .filter_map(|name| name.strip_suffix(suffix)?.parse().ok())
            .collect())
    }

    /// A whole file of at most `limit` bytes.
    pub(super) fn read(
        &self,
        what: &'static str,
        path: &Path,
        limit: u64,
    ) -> Result<Vec<u8>, StoreError> {
        let file = self.open(what, path)?;
        let mut bytes = Vec::new();
        let length = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        let length = length.map_err(|source| failed("reading", path, source))?;
        if length as u64 > limit {
            let source = io::Error::other(format!("longer than {limit} bytes"));
            return Err(failed("reading", path, source));
        }
        Ok(bytes)
    }

    /// `length` bytes from `offset` of a pack; `None` where it ends before.
    pub(super) fn read_part(
        &self,
        path: &Path,
        offset: u64,
        length: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut file = self.open("pack", path)?;
        let mut bytes = vec![0; length as usize];
        let result = file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(&mut bytes));
        match result {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(source) => Err(failed("reading", path, source)),
        }
    }

    /// As [`FileSystem::map`].
    pub(super) fn map(&self, path: &Path, limit: u64) -> Option<SegmentBytes> {
        self.system.map(path, limit)
    }

    /// Length and time of a file.
    pub(super) fn facts(&self, what: &'static str, path: &Path) -> Result<PackFacts, StoreError> {
        let facts = self.system.facts(path);
        let facts = facts.map_err(|source| missing_or("looking at", what, path, source))?;
        let since = |written: SystemTime| written.duration_since(UNIX_EPOCH).ok();
        Ok(PackFacts {
            length: facts.length,
            written: facts.written.and_then(since).map(|since| since.as_secs()),
        })
    }

    /// Whether there is a file of this name.
    pub(super) fn exists(&self, path: &Path) -> Result<bool, StoreError> {
        let exists = self.system.exists(path);
        exists.map_err(|source| failed("looking for", path, source))
    }

    /// The time that files are given.
    pub(super) fn now(&self) -> SystemTime {
        self.system.now()
    }

    fn open(&self, what: &'static str, path: &Path) -> Result<Box<dyn Reading>, StoreError> {
        let file = self.system.open(path);
        file.map_err(|source| missing_or("opening", what, path, source))
    }
}

fn write_all(file: &mut dyn Writing, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes).and_then(|()| file.sync())
}

fn there(done: io::Result<()>, doing: &'static str, path: &Path) -> Result<bool, StoreError> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(failed(doing, path, source)),
    }
}

fn missing_or(
    doing: &'static str,
    what: &'static str,
    path: &Path,
    source: io::Error,
) -> StoreError {
    if source.kind() != ErrorKind::NotFound {
        return failed(doing, path, source);
    }
    let name = path.file_stem().unwrap_or_default();
    StoreError::Missing {
        what,
        name: name.to_string_lossy().into_owned(),
    }
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> StoreError {
    if matches!(
        source.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    ) {
        return StoreError::Full {
            path: path.to_owned(),
            source,
        };
    }
    StoreError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// Host and process, as far as they can be told.
pub(super) fn owner() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .unwrap_or_else(|| "unknown host".to_owned());
    format!("{} process {}", host.trim(), std::process::id())
}
