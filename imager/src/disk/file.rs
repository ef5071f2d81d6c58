//! An image file that is read and written like a disk.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Disk;
use super::memory::past_end;

/// A regular file as a disk; its holes are known.
#[derive(Debug)]
pub struct FileDisk {
    file: File,
    path: PathBuf,
    size: u64,
    sector_size: u32,
}

impl FileDisk {
    /// Opens an image file for reading.
    pub fn open(path: &Path, sector_size: u32) -> io::Result<Self> {
        Self::from_file(File::open(path)?, path, sector_size)
    }

    /// Opens an image file for reading and writing; refused when another
    /// program that locks (another writer of ours) has it open.
    pub fn open_writable(path: &Path, sector_size: u32) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        lock(&file, path)?;
        Self::from_file(file, path, sector_size)
    }

    /// Makes a new sparse image file of `size` bytes; refused when it exists.
    pub fn create(path: &Path, size: u64, sector_size: u32) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)?;
        lock(&file, path)?;
        file.set_len(size)?;
        Self::from_file(file, path, sector_size)
    }

    fn from_file(file: File, path: &Path, sector_size: u32) -> io::Result<Self> {
        let facts = file.metadata()?;
        if !facts.is_file() {
            let text = format!("{} is not a regular file", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            size: facts.len(),
            sector_size,
        })
    }

    /// The next offset at or after `from` that `whence` (data or hole) asks for.
    #[allow(unsafe_code)]
    fn seek(&self, from: u64, whence: libc::c_int) -> io::Result<Option<u64>> {
        let offset = libc::off_t::try_from(from).map_err(io::Error::other)?;
        // SAFETY: lseek takes no pointer, and the descriptor is open as long as
        // `self.file`. The file position it moves is used by nobody: all reads
        // and writes name their offset.
        let found = unsafe { libc::lseek(self.file.as_raw_fd(), offset, whence) };
        match u64::try_from(found) {
            Ok(place) => Ok(Some(place)),
            Err(_) => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Makes a hole; the file keeps its length.
    #[allow(unsafe_code)]
    fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        let length = libc::off_t::try_from(length).map_err(io::Error::other)?;
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: fallocate takes no pointer, and the descriptor is open.
        let answer = unsafe { libc::fallocate(self.file.as_raw_fd(), mode, offset, length) };
        match answer {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Asks the kernel to forget what it has cached of the file.
    #[allow(unsafe_code)]
    fn forget_cached(&self) {
        // SAFETY: posix_fadvise takes no pointer, and the descriptor is open.
        // It is advice: a kernel that does not follow it reads from its cache.
        unsafe { libc::posix_fadvise(self.file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    }
}

fn lock(file: &File, path: &Path) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!("{} is being written by another program", path.display()),
        )),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Disk for FileDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn sector_size(&self) -> u32 {
        self.sector_size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        // A file would grow without a word; a disk does not.
        match offset.checked_add(bytes.len() as u64) {
            Some(end) if end <= self.size => self.file.write_all_at(bytes, offset),
            _ => Err(past_end(self, offset, bytes.len())),
        }
    }

    fn zero(&self, offset: u64, length: u64) -> io::Result<()> {
        match offset.checked_add(length) {
            Some(end) if end <= self.size => {}
            _ => return Err(past_end(self, offset, 0)),
        }
        match self.punch(offset, length) {
            Ok(()) => Ok(()),
            // Not every file system has holes.
            Err(_) => super::write_zeros(self, offset, length),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn data_ranges(&self) -> io::Result<Vec<(u64, u64)>> {
        let mut ranges = Vec::new();
        let mut at = 0;
        while at < self.size {
            let Some(start) = self.seek(at, libc::SEEK_DATA)? else {
                break;
            };
            let end = self
                .seek(start, libc::SEEK_HOLE)?
                .unwrap_or(self.size)
                .min(self.size);
            if end <= start {
                break;
            }
            ranges.push((start, end - start));
            at = end;
        }
        Ok(ranges)
    }

    fn bypass_cache(&self) -> io::Result<()> {
        self.sync()?;
        self.forget_cached();
        Ok(())
    }

    fn describe(&self) -> String {
        self.path.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparse_file_names_its_data_and_does_not_grow() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.img");
        let disk = FileDisk::create(&path, 16 << 20, 512).unwrap();
        disk.write_at(8 << 20, &[1; 4096]).unwrap();
        disk.bypass_cache().unwrap();
        let ranges = disk.data_ranges().unwrap();
        let inside = |at: u64| {
            ranges
                .iter()
                .any(|&(from, length)| from <= at && at < from + length)
        };
        assert!(inside(8 << 20));
        assert!(ranges.iter().map(|range| range.1).sum::<u64>() < 16 << 20);
        assert!(disk.write_at((16 << 20) - 1, &[1; 2]).is_err());
        assert!(disk.read_at((16 << 20) - 1, &mut [0; 2]).is_err());
    }

    #[test]
    fn zeroed_bytes_read_as_zeros_and_their_neighbours_stay() {
        let folder = tempfile::tempdir().unwrap();
        let disk = FileDisk::create(&folder.path().join("disk.img"), 16 << 20, 512).unwrap();
        disk.write_at(0, &vec![7; 16 << 20]).unwrap();
        disk.zero(5000, 9 << 20).unwrap();
        let mut around = vec![1; (9 << 20) + 2];
        disk.read_at(4999, &mut around).unwrap();
        assert_eq!((around[0], around[around.len() - 1]), (7, 7));
        assert!(around[1..around.len() - 1].iter().all(|&byte| byte == 0));
        assert!(disk.zero((16 << 20) - 1, 2).is_err());
        assert_eq!(disk.size(), disk.file.metadata().unwrap().len());
    }

    #[test]
    fn a_second_writer_of_the_same_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.img");
        let _first = FileDisk::create(&path, 4096, 512).unwrap();
        assert!(FileDisk::open_writable(&path, 512).is_err());
        assert!(FileDisk::open(&path, 512).is_ok());
        assert!(FileDisk::open(folder.path(), 512).is_err());
    }
}
