//! What a share asks of a file system, and the file systems of this machine.
//!
//! It is a seam for tests: a simulated file system knows what was synced, and
//! shows what a power cut between any two of these calls would have left.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::SystemTime;

use super::map::map_immutable;
use crate::index::SegmentBytes;

/// The few calls a share makes. Each is what the system call of its name is,
/// with its errors; nothing is durable before it is synced.
pub trait FileSystem: fmt::Debug + Send + Sync {
    /// Opens a file to read it.
    ///
    /// # Errors
    /// As for all of these: there is none, or the medium failed.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Reading>>;
    /// Makes an empty file; there must be none of its name.
    ///
    /// # Errors
    /// As [`FileSystem::open`].
    fn create(&self, path: &Path) -> io::Result<Box<dyn Writing>>;
    /// Opens a file to write over it from its beginning; what is longer stays.
    ///
    /// # Errors
    /// As [`FileSystem::open`].
    fn overwrite(&self, path: &Path) -> io::Result<Box<dyn Writing>>;
    /// A file that never changes, mapped into memory where that can be done and
    /// it is no longer than `limit`.
    fn map(&self, path: &Path, limit: u64) -> Option<SegmentBytes> {
        let _ = (path, limit);
        None
    }
    /// Length and age.
    ///
    /// # Errors
    /// As [`FileSystem::open`].
    fn facts(&self, path: &Path) -> io::Result<FileFacts>;
    /// Whether there is something of this name.
    ///
    /// # Errors
    /// As [`FileSystem::open`].
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// The names in a directory, in any order; names that are not UTF-8 are not ours.
    ///
    /// # Errors
    /// As [`FileSystem::open`].
    fn names(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Gives a file a second name; nothing may have it.
    ///
    /// # Errors
    /// As [`FileSystem::open`].
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file another name.
    ///
    /// # Errors
    /// As [`FileSystem::open`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Takes a name from a file.
    ///
    /// # Errors
    /// As [`FileSystem::open`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes an empty directory; nothing may have its name.
    ///
    /// # Errors
    /// As [`FileSystem::open`].
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// As [`FileSystem::open`].
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// The time that files are given.
    fn now(&self) -> SystemTime;
}

/// A file that is read.
pub trait Reading: Read + Seek {}

impl<T: Read + Seek> Reading for T {}

/// A file that is written.
pub trait Writing: Write {
    /// Makes what was written durable, though not the file's name.
    ///
    /// # Errors
    /// The medium failed.
    fn sync(&self) -> io::Result<()>;
}

impl Writing for File {
    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }
}

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// Length in bytes.
    pub length: u64,
    /// When it was written last, where the file system says so.
    pub written: Option<SystemTime>,
}

/// Whatever this machine has mounted.
#[derive(Debug, Clone, Copy)]
pub struct Mounted;

impl FileSystem for Mounted {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Reading>> {
        Ok(Box::new(File::open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Writing>> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Box::new(file))
    }

    fn overwrite(&self, path: &Path) -> io::Result<Box<dyn Writing>> {
        Ok(Box::new(OpenOptions::new().write(true).open(path)?))
    }

    fn map(&self, path: &Path, limit: u64) -> Option<SegmentBytes> {
        map_immutable(path, limit)
    }

    fn facts(&self, path: &Path) -> io::Result<FileFacts> {
        let metadata = fs::metadata(path)?;
        Ok(FileFacts {
            length: metadata.len(),
            written: metadata.modified().ok(),
        })
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
