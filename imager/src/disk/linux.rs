//! A block device of a Linux machine.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use thiserror::Error;

use super::Disk;
use super::busy::Kernel;
use super::direct;
use super::memory::past_end;

// Request numbers: linux/fs.h.
const BLKRRPART: u64 = 0x125f;
const BLKFLSBUF: u64 = 0x1261;
const BLKSSZGET: u64 = 0x1268;
const BLKZEROOUT: u64 = 0x127f;
const BLKGETSIZE64: u64 = 0x8008_1272;

/// Zeroed in whole by the kernel: a sector of any disk, a page of its cache.
const PAGE: u64 = 4096;

/// Why a block device cannot be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No such device, or no right to open it.
    #[error("{path} cannot be opened")]
    Open {
        /// Which device.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file or something else.
    #[error("{path} is not a block device")]
    NotADevice {
        /// What was given.
        path: PathBuf,
    },
    /// Somebody uses it.
    #[error("{path} is in use: {}; stop using it first", users.join("; "))]
    Busy {
        /// Which device.
        path: PathBuf,
        /// Who uses it, in sentences.
        users: Vec<String>,
    },
    /// The kernel does not tell its size.
    #[error("{path} does not tell its size and sector size")]
    Geometry {
        /// Which device.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A disk or partition as the kernel shows it.
#[derive(Debug)]
pub struct BlockDevice {
    file: File,
    /// Set by [`bypass_cache`](Disk::bypass_cache): reads go here from then on.
    direct: OnceLock<File>,
    path: PathBuf,
    size: u64,
    sector_size: u32,
}

impl BlockDevice {
    /// Opens a device for reading, whoever else uses it.
    ///
    /// # Errors
    /// When it is no block device or cannot be opened.
    pub fn open(path: &Path) -> Result<Self, DeviceError> {
        Self::with(OpenOptions::new().read(true), path)
    }

    /// Opens a device for writing and for nobody else: while it is open nothing
    /// on it can be mounted.
    ///
    /// # Errors
    /// When it is in use, with everybody who uses it; else as [`open`](Self::open).
    pub fn open_writable(path: &Path) -> Result<Self, DeviceError> {
        let users = users(path);
        if !users.is_empty() {
            return Err(DeviceError::Busy {
                path: path.to_owned(),
                users,
            });
        }
        Self::with(
            OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_EXCL),
            path,
        )
    }

    fn with(options: &OpenOptions, path: &Path) -> Result<Self, DeviceError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::ResourceBusy => {
                let users = vec![String::from("another program has it open for itself")];
                DeviceError::Busy {
                    path: path.to_owned(),
                    users,
                }
            }
            _ => DeviceError::Open {
                path: path.to_owned(),
                source,
            },
        };
        let facts = std::fs::metadata(path).map_err(failed)?;
        if !facts.file_type().is_block_device() {
            return Err(DeviceError::NotADevice {
                path: path.to_owned(),
            });
        }
        let file = options.open(path).map_err(failed)?;
        let geometry = size_of(&file).and_then(|size| Ok((size, sector_size_of(&file)?)));
        let (size, sector_size) = geometry.map_err(|source| DeviceError::Geometry {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            file,
            direct: OnceLock::new(),
            path: path.to_owned(),
            size,
            sector_size,
        })
    }

    /// Asks the kernel to read the partition table again.
    ///
    /// # Errors
    /// When a partition is in use, or the device has no partitions by nature.
    pub fn reread_table(&self) -> io::Result<()> {
        ask(&self.file, BLKRRPART)
    }
}

/// Everybody who uses a device or a part of it, in sentences: `sda1 is mounted
/// at /boot`. Empty when nobody does or it is no block device.
pub fn users(path: &Path) -> Vec<String> {
    let kernel = Kernel::default();
    let Ok(facts) = std::fs::metadata(path) else {
        return Vec::new();
    };
    let (major, minor) = (libc::major(facts.rdev()), libc::minor(facts.rdev()));
    let folder = kernel.path(&format!("sys/dev/block/{major}:{minor}"));
    let name = std::fs::canonicalize(folder)
        .ok()
        .and_then(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()));
    name.map(|name| kernel.users(&name)).unwrap_or_default()
}

#[allow(unsafe_code)]
fn size_of(file: &File) -> io::Result<u64> {
    let mut size = 0_u64;
    // SAFETY: BLKGETSIZE64 writes one u64 to the pointer, which is valid for it,
    // and the descriptor is open.
    let answer = unsafe { libc::ioctl(file.as_raw_fd(), BLKGETSIZE64 as _, &raw mut size) };
    if answer == 0 {
        Ok(size)
    } else {
        Err(io::Error::last_os_error())
    }
}

#[allow(unsafe_code)]
fn sector_size_of(file: &File) -> io::Result<u32> {
    let mut size: libc::c_int = 0;
    // SAFETY: BLKSSZGET writes one int to the pointer, which is valid for it,
    // and the descriptor is open.
    let answer = unsafe { libc::ioctl(file.as_raw_fd(), BLKSSZGET as _, &raw mut size) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    u32::try_from(size).map_err(io::Error::other)
}

/// Has the device make whole sectors read as zeros, in its own way or by
/// writing them.
#[allow(unsafe_code)]
fn zero_out(file: &File, offset: u64, length: u64) -> io::Result<()> {
    let range = [offset, length];
    // SAFETY: BLKZEROOUT reads two u64 from the pointer, which is valid for
    // them, and the descriptor is open.
    let answer = unsafe { libc::ioctl(file.as_raw_fd(), BLKZEROOUT as _, range.as_ptr()) };
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A request without an argument.
#[allow(unsafe_code)]
fn ask(file: &File, request: u64) -> io::Result<()> {
    // SAFETY: the requests this is called with (BLKRRPART, BLKFLSBUF) take no
    // argument, and the descriptor is open.
    let answer = unsafe { libc::ioctl(file.as_raw_fd(), request as _, 0) };
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

impl Disk for BlockDevice {
    fn size(&self) -> u64 {
        self.size
    }

    fn sector_size(&self) -> u32 {
        self.sector_size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match offset.checked_add(buffer.len() as u64) {
            Some(end) if end <= self.size => match self.direct.get() {
                Some(file) => direct::read(file, self.size, self.sector_size, offset, buffer),
                None => self.file.read_exact_at(buffer, offset),
            },
            _ => Err(past_end(self, offset, buffer.len())),
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match offset.checked_add(bytes.len() as u64) {
            Some(end) if end <= self.size => self.file.write_all_at(bytes, offset),
            _ => Err(past_end(self, offset, bytes.len())),
        }
    }

    fn zero(&self, offset: u64, length: u64) -> io::Result<()> {
        let end = offset
            .checked_add(length)
            .filter(|&end| end <= self.size)
            .ok_or_else(|| past_end(self, offset, 0))?;
        // Whole pages: the kernel drops what its cache has of them.
        let (first, last) = (offset.next_multiple_of(PAGE), end / PAGE * PAGE);
        let whole = first < last && zero_out(&self.file, first, last - first).is_ok();
        if !whole {
            return super::write_zeros(self, offset, length);
        }
        super::write_zeros(self, offset, first - offset)?;
        super::write_zeros(self, last, end - last)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn bypass_cache(&self) -> io::Result<()> {
        self.sync()?;
        ask(&self.file, BLKFLSBUF)?;
        if self.direct.get().is_none() {
            let file = OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_DIRECT)
                .open(&self.path)?;
            // Another thread may have been first; either descriptor serves.
            let _first = self.direct.set(file);
        }
        Ok(())
    }

    fn describe(&self) -> String {
        self.path.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// A loop device over a new file; gone with the value.
    struct Loop {
        path: PathBuf,
        _folder: tempfile::TempDir,
    }

    impl Loop {
        /// `None` without the right to make one.
        fn new(sector_size: u32) -> Option<Self> {
            let folder = tempfile::tempdir().unwrap();
            let image = folder.path().join("disk.img");
            File::create(&image).unwrap().set_len(8 << 20).unwrap();
            let output = Command::new("losetup")
                .args(["-f", "--show", "-b", &sector_size.to_string()])
                .arg(&image)
                .output()
                .ok()?;
            let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
            output.status.success().then_some(Self {
                path,
                _folder: folder,
            })
        }
    }

    impl Drop for Loop {
        fn drop(&mut self) {
            let _gone = Command::new("losetup").arg("-d").arg(&self.path).status();
        }
    }

    #[test]
    fn a_device_is_written_read_back_from_the_medium_and_open_to_one_writer() {
        for sector_size in [512, 4096] {
            let Some(device) = Loop::new(sector_size) else {
                println!("not run: loop devices need root");
                return;
            };
            let disk = BlockDevice::open_writable(&device.path).unwrap();
            assert_eq!((disk.size(), disk.sector_size()), (8 << 20, sector_size));
            let bytes: Vec<u8> = (0..3_000_000_u32)
                .map(|n| n.to_le_bytes()[1] ^ n.to_le_bytes()[0])
                .collect();
            disk.write_at(777, &bytes).unwrap();
            disk.bypass_cache().unwrap();
            for (offset, length) in [
                (777, bytes.len()),
                (778, 1),
                (4096, 4096),
                (1_048_576 - 1, 2),
                (5000, 1_048_576),
            ] {
                let mut back = vec![0; length];
                disk.read_at(offset as u64, &mut back).unwrap();
                assert!(back == bytes[offset - 777..offset - 777 + length]);
            }
            disk.zero(1_000_001, 1_000_000).unwrap();
            let mut around = vec![1; 1_000_002];
            disk.read_at(1_000_000, &mut around).unwrap();
            assert_eq!(around[0], bytes[1_000_000 - 777]);
            assert_eq!(around[1_000_001], bytes[2_000_001 - 777]);
            assert!(around[1..1_000_001].iter().all(|&byte| byte == 0));
            assert!(disk.zero((8 << 20) - 1, 2).is_err());
            let mut last = [1; 100];
            disk.read_at((8 << 20) - 100, &mut last).unwrap();
            assert_eq!(last, [0; 100]);
            assert!(disk.read_at((8 << 20) - 99, &mut last).is_err());
            assert!(disk.write_at(8 << 20, &[0]).is_err());
            assert!(matches!(
                BlockDevice::open_writable(&device.path),
                Err(DeviceError::Busy { .. })
            ));
            assert!(BlockDevice::open(&device.path).is_ok());
        }
    }

    #[test]
    fn a_file_is_not_a_device_and_a_missing_one_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(
            BlockDevice::open(file.path()),
            Err(DeviceError::NotADevice { .. })
        ));
        let missing = BlockDevice::open(Path::new("/dev/no-such-disk"));
        assert!(matches!(missing, Err(DeviceError::Open { .. })));
    }
}
