//! What `stat` says of an entry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo};
use image_format::entry::{Entry, Kind, Timestamp};
use imager::look::contents::Contents;

/// A folder's size means nothing; this is what most file systems say.
const FOLDER_SIZE: u64 = 4096;
/// What programs should read at once.
const BLOCK: u32 = 4096;
/// Permission bits.
const MODE: u32 = 0o7777;

/// What one entry alone does not say.
pub(super) struct Facts<'f> {
    /// Its number.
    pub(super) number: u64,
    /// How many names it has.
    pub(super) names: u32,
    /// Its contents, wherever they are kept; `None` if it is no file.
    pub(super) contents: Option<&'f Contents>,
}

/// The attributes of an entry.
pub(super) fn attributes(entry: &Entry, facts: &Facts<'_>) -> FileAttr {
    let size = match (&entry.kind, facts.contents) {
        (Kind::Symlink(target), _) => target.len() as u64,
        (Kind::Directory, _) => FOLDER_SIZE,
        (_, contents) => contents.map_or(0, Contents::size),
    };
    FileAttr {
        ino: INodeNo(facts.number),
        size,
        blocks: facts.contents.map_or(0, Contents::stored).div_ceil(512),
        atime: time(entry.times.accessed),
        mtime: time(entry.times.modified),
        ctime: time(entry.times.changed),
        crtime: time(entry.times.created),
        kind: kind(&entry.kind),
        perm: u16::try_from(entry.mode & MODE).unwrap_or(0),
        // One is what a folder has whose subfolders nobody counted.
        nlink: facts.names,
        uid: entry.uid,
        gid: entry.gid,
        rdev: device(&entry.kind),
        blksize: BLOCK,
        flags: 0,
    }
}

/// The kind in the words of the kernel; sectors are shown as a file.
pub(super) fn kind(kind: &Kind) -> FileType {
    match kind {
        Kind::Directory => FileType::Directory,
        Kind::File | Kind::RawVolume => FileType::RegularFile,
        Kind::Symlink(_) => FileType::Symlink,
        Kind::CharDevice { .. } => FileType::CharDevice,
        Kind::BlockDevice { .. } => FileType::BlockDevice,
        Kind::Fifo => FileType::NamedPipe,
        Kind::Socket => FileType::Socket,
    }
}

/// Major and minor number in 32 bits (`new_encode_dev` in the kernel's `kdev_t.h`).
fn device(kind: &Kind) -> u32 {
    match *kind {
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            let (major, minor) = (major & 0xfff, minor & 0xf_ffff);
            (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
        }
        _ => 0,
    }
}

fn time(time: Timestamp) -> SystemTime {
    let part = Duration::from_nanos(time.nanoseconds.into());
    let whole = Duration::from_secs(time.seconds.unsigned_abs());
    let second = match time.seconds < 0 {
        true => UNIX_EPOCH.checked_sub(whole),
        false => UNIX_EPOCH.checked_add(whole),
    };
    let time = second.and_then(|second| second.checked_add(part));
    time.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_and_wide_devices_survive() {
        let before = time(Timestamp {
            seconds: -2,
            nanoseconds: 800_000_000,
        });
        assert_eq!(
            UNIX_EPOCH.duration_since(before).unwrap(),
            Duration::from_millis(1200)
        );
        let (major, minor) = (259, 0x1_2345);
        let device = device(&Kind::BlockDevice { major, minor });
        assert_eq!(
            (
                (device >> 8) & 0xfff,
                (device & 0xff) | ((device >> 12) & 0xf_ff00)
            ),
            (major, minor)
        );
    }
}
