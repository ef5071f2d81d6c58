//! A disk, a partition or an image file named by its path: what must be known
//! of it before anything on it is destroyed.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::busy::Kernel;
use super::linux::{BlockDevice, DeviceError};
use super::{Disk, FileDisk, list};

/// Where live systems keep the medium they were started from, besides the root.
const BOOT_MEDIA: [&str; 6] = [
    "/",
    "/boot",
    "/cdrom",
    "/run/live/medium",
    "/run/initramfs/live",
    "/run/archiso/bootmnt",
];

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// A whole disk.
    Disk,
    /// A partition or another device without a table of its own.
    Partition,
    /// A regular file.
    File,
}

/// A target as found, before it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetDisk {
    /// Where it is now: good until the next start.
    pub path: PathBuf,
    /// What it is.
    pub kind: TargetKind,
    /// What stays with it: serial number, world-wide name or name under
    /// `/dev/disk/by-id`, with the number of a partition; a file's own path.
    pub identity: String,
    /// For people: name, model, serial number.
    pub words: String,
    /// Who uses it, in sentences.
    pub users: Vec<String>,
    /// This machine runs from it.
    pub boot_medium: bool,
    /// It cannot be written.
    pub read_only: bool,
}

impl TargetDisk {
    /// What is at `path`; `None` when nothing is.
    ///
    /// # Errors
    /// It cannot be looked at, or is neither a block device nor a regular file.
    pub fn find(path: &Path) -> io::Result<Option<Self>> {
        let facts = match fs::metadata(path) {
            Ok(facts) => facts,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let kernel = Kernel::default();
        if facts.file_type().is_block_device() {
            return Ok(Some(device(&kernel, path, facts.rdev())));
        }
        if !facts.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} is neither a disk nor a file", path.display()),
            ));
        }
        let whole = fs::canonicalize(path)?;
        Ok(Some(Self {
            path: path.to_owned(),
            kind: TargetKind::File,
            identity: whole.display().to_string(),
            words: format!("file {} ({} bytes)", path.display(), facts.len()),
            users: kernel.loops_over(&whole),
            boot_medium: false,
            read_only: facts.permissions().readonly(),
        }))
    }

    /// Opens it for reading only. `sector_size` is for files: devices know.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(&self, sector_size: u32) -> Result<Box<dyn Disk>, DeviceError> {
        Ok(match self.kind {
            TargetKind::File => Box::new(self.file(FileDisk::open(&self.path, sector_size))?),
            _ => Box::new(BlockDevice::open(&self.path)?),
        })
    }

    /// Opens it for writing and for nobody else.
    ///
    /// # Errors
    /// It cannot be opened, or somebody uses it.
    pub fn open_writable(&self, sector_size: u32) -> Result<Box<dyn Disk>, DeviceError> {
        if !self.users.is_empty() {
            return Err(DeviceError::Busy {
                path: self.path.clone(),
                users: self.users.clone(),
            });
        }
        Ok(match self.kind {
            TargetKind::File => {
                Box::new(self.file(FileDisk::open_writable(&self.path, sector_size))?)
            }
            _ => Box::new(BlockDevice::open_writable(&self.path)?),
        })
    }

    fn file(&self, opened: io::Result<FileDisk>) -> Result<FileDisk, DeviceError> {
        opened.map_err(|source| DeviceError::Open {
            path: self.path.clone(),
            source,
        })
    }
}

fn device(kernel: &Kernel, path: &Path, number: u64) -> TargetDisk {
    let number = format!("{}:{}", libc::major(number), libc::minor(number));
    let name = kernel.device(&number);
    let name = name.unwrap_or_else(|| path.display().to_string());
    let folder = kernel.path("sys/class/block").join(&name);
    let part = kernel.line(&folder.join("partition"));
    let whole = match &part {
        Some(_) => kernel.whole(&name).unwrap_or_else(|| name.clone()),
        None => name.clone(),
    };
    let listed = list::look_at(kernel, whole.clone());
    let stable = listed.as_ref().and_then(|disk| disk.identity.stable());
    let stable = stable.or_else(|| {
        kernel.line(
            &kernel
                .path("sys/class/block")
                .join(&whole)
                .join("loop/backing_file"),
        )
    });
    let stable = stable.unwrap_or_else(|| format!("/dev/{whole}"));
    let identity = match &part {
        Some(number) => format!("{stable}-part{number}"),
        None => stable,
    };
    let disk = listed
        .as_ref()
        .map_or_else(|| whole.clone(), super::ListedDisk::describe);
    let words = match &part {
        Some(number) => format!("partition {number} of {disk}"),
        None => disk,
    };
    let media = BOOT_MEDIA
        .iter()
        .filter_map(|place| fs::metadata(place).ok());
    let under: Vec<String> = media
        .map(|facts| format!("{}:{}", libc::major(facts.dev()), libc::minor(facts.dev())))
        .flat_map(|number| kernel.below(&number))
        .collect();
    let own = kernel.parts_of(&name);
    TargetDisk {
        path: path.to_owned(),
        kind: match part {
            Some(_) => TargetKind::Partition,
            None => TargetKind::Disk,
        },
        identity,
        words,
        users: kernel.users(&name),
        boot_medium: under.iter().any(|name| own.contains(name)),
        read_only: kernel.line(&folder.join("ro")).as_deref() == Some("1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_its_whole_path_and_nothing_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.img");
        assert_eq!(TargetDisk::find(&path).unwrap(), None);
        fs::write(&path, b"x").unwrap();
        let found = TargetDisk::find(&path).unwrap().unwrap();
        let whole = fs::canonicalize(&path).unwrap();
        assert_eq!(found.identity, whole.display().to_string());
        assert_eq!((found.kind, found.users.len()), (TargetKind::File, 0));
        assert!(TargetDisk::find(folder.path()).is_err());
    }

    #[test]
    fn a_partition_is_named_by_its_disk_and_number() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("sys/devices/sda/size", "1000");
        put("sys/devices/sda/device/serial", "S1");
        put("sys/devices/sda/sda2/partition", "2");
        put("sys/devices/sda/sda2/dev", "8:2");
        put("sys/devices/sda/sda2/ro", "1");
        for (link, to) in [
            ("sys/block/sda", "../devices/sda"),
            ("sys/class/block/sda", "../../devices/sda"),
            ("sys/class/block/sda2", "../../devices/sda/sda2"),
            ("sys/dev/block/8:2", "../../devices/sda/sda2"),
        ] {
            let link = folder.path().join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(to, link).unwrap();
        }
        let kernel = Kernel::under(folder.path());
        let number = libc::makedev(8, 2);
        let found = device(&kernel, Path::new("/dev/sda2"), number);
        assert_eq!(
            (found.identity.as_str(), found.kind),
            ("S1-part2", TargetKind::Partition)
        );
        assert!(found.read_only && !found.boot_medium);
        assert_eq!(kernel.below("8:2"), ["sda2", "sda"]);
    }
}
