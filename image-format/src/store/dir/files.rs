//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::store::{PackFacts, StoreError};

/// A file somebody still writes is younger than this.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes through one folder for files in the making.
#[derive(Debug)]
pub(super) struct Files {
    incoming: PathBuf,
    made: AtomicU64,
}

impl Files {
    pub(super) fn new(incoming: PathBuf) -> Self {
        Self {
            incoming,
            made: AtomicU64::new(0),
        }
    }

    /// Writes a file whose name is made of its content: there already is good.
    pub(super) fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        if exists(path)? {
            return sync_parent(path);
        }
        self.put_new(path, bytes).map(|_| ())
    }

    /// Writes a file unless there is one of its name; says whether it was written.
    pub(super) fn put_new(&self, path: &Path, bytes: &[u8]) -> Result<bool, StoreError> {
        let temporary = self.write_temporary(bytes)?;
        let named = give_name(&temporary, path);
        // The link is the file now; a left-over would be forgotten after a day.
        let _ = fs::remove_file(&temporary);
        let new = named.map_err(|source| failed("naming", path, source))?;
        sync_parent(path)?;
        Ok(new)
    }

    /// Removes files whose writer died long ago.
    pub(super) fn forget_abandoned(&self) {
        let Ok(listing) = fs::read_dir(&self.incoming) else {
            return;
        };
        for entry in listing.flatten() {
            let written = entry.metadata().and_then(|metadata| metadata.modified());
            let age = written
                .ok()
                .and_then(|written| SystemTime::now().duration_since(written).ok());
            if age.is_some_and(|age| age > ABANDONED) {
                // Only room is lost when this fails.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn write_temporary(&self, bytes: &[u8]) -> Result<PathBuf, StoreError> {
        loop {
            let number = self.made.fetch_add(1, Ordering::Relaxed);
            let path = self
                .incoming
                .join(format!("{}-{number}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return write_all(file, bytes, &path).map(|()| path),
                // Another host that shares the folder, or an older process of this number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("creating", &path, error)),
            }
        }
    }
}

fn write_all(mut file: File, bytes: &[u8], path: &Path) -> Result<(), StoreError> {
    let result = file.write_all(bytes).and_then(|()| file.sync_all());
    result.map_err(|source| {
        // A full disk gets its room back.
        let _ = fs::remove_file(path);
        failed("writing", path, source)
    })
}

/// Links the file to its name, which fails where one exists; file systems
/// without links get a rename, where two writers of one ref could still meet.
fn give_name(temporary: &Path, path: &Path) -> io::Result<bool> {
    match fs::hard_link(temporary, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Unsupported | ErrorKind::PermissionDenied
            ) =>
        {
            if path.try_exists()? {
                return Ok(false);
            }
            fs::rename(temporary, path).map(|()| true)
        }
        Err(error) => Err(error),
    }
}

/// Makes a directory and its name durable.
pub(super) fn make_dir(path: &Path) -> Result<(), StoreError> {
    match fs::create_dir(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(failed("making", path, source)),
    }
}

pub(super) fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    sync_dir(parent)
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| failed("syncing", dir, source))
}

/// The names in a directory, sorted; names that are not UTF-8 are not ours.
pub(super) fn names(dir: &Path) -> Result<Vec<String>, StoreError> {
    let listing = fs::read_dir(dir).map_err(|source| failed("listing", dir, source))?;
    let mut names = Vec::new();
    for entry in listing {
        let entry = entry.map_err(|source| failed("listing", dir, source))?;
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// As [`names`]; none where there is no such directory.
pub(super) fn names_if_any(dir: &Path) -> Result<Vec<String>, StoreError> {
    match names(dir) {
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

/// A whole file of at most `limit` bytes.
pub(super) fn read(what: &'static str, path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    let file = open(what, path)?;
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
    path: &Path,
    offset: u64,
    length: u32,
) -> Result<Option<Vec<u8>>, StoreError> {
    let mut file = open("pack", path)?;
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

/// Length and time of a file.
pub(super) fn facts(what: &'static str, path: &Path) -> Result<PackFacts, StoreError> {
    let file = open(what, path)?;
    let metadata = file
        .metadata()
        .map_err(|source| failed("looking at", path, source))?;
    let written = metadata.modified().ok();
    let since = written.and_then(|written| written.duration_since(SystemTime::UNIX_EPOCH).ok());
    Ok(PackFacts {
        length: metadata.len(),
        written: since.map(|since| since.as_secs()),
    })
}

/// Whether there is a file of this name.
pub(super) fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists()
        .map_err(|source| failed("looking for", path, source))
}

/// Removes a file; says whether there was one.
pub(super) fn remove(path: &Path) -> Result<bool, StoreError> {
    there(fs::remove_file(path), "removing", path)
}

/// Moves a file to a name nobody else gives; says whether there was one.
pub(super) fn rename(from: &Path, to: &Path) -> Result<bool, StoreError> {
    there(fs::rename(from, to), "moving", from)
}

/// Gives a file a second name, unless something has it already; says whether
/// the file was there.
pub(super) fn link(from: &Path, to: &Path) -> Result<bool, StoreError> {
    there(give_name(from, to).map(drop), "restoring", from)
}

/// Writes over a file of the same length; says whether there was one.
pub(super) fn overwrite(path: &Path, bytes: &[u8]) -> Result<bool, StoreError> {
    let written = OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    there(written, "writing", path)
}

fn there(done: io::Result<()>, doing: &'static str, path: &Path) -> Result<bool, StoreError> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(failed(doing, path, source)),
    }
}

/// Host and process, as far as they can be told.
pub(super) fn owner() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .unwrap_or_else(|| "unknown host".to_owned());
    format!("{} process {}", host.trim(), std::process::id())
}

fn open(what: &'static str, path: &Path) -> Result<File, StoreError> {
    File::open(path).map_err(|source| {
        if source.kind() == ErrorKind::NotFound {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            StoreError::Missing { what, name }
        } else {
            failed("opening", path, source)
        }
    })
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
