//! What a target can hold: tried, not guessed from its name.

use std::os::fd::{AsFd, OwnedFd};

use image_format::entry::Timestamp;
use rustix::fs::{
    AtFlags, FileType, IFlags, Mode, OFlags, StatxFlags, Timespec, Timestamps, XattrFlags,
};
use rustix::io::Result;
use rustix::process::{getegid, geteuid, getgroups};

use crate::tree::place::beneath;

/// Inode flags that speak of the file and not of its place, as capture keeps
/// them; no other flag is written or compared.
pub(crate) use crate::volume::ext4::FLAGS_KEPT as FLAGS;
/// Immutable and append-only: set last, for after them nothing can be changed.
pub(crate) const STILL: u32 = 0x30;
/// Changing it flushes the whole journal: not tried, taken as possible where
/// other flags are.
const JOURNAL_DATA: u32 = 0x4000;

/// Who may own files there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owners {
    /// Anybody.
    Any,
    /// Only who runs this, with one of their groups.
    Own {
        /// The user.
        uid: u32,
        /// The groups; the first is that of new files.
        groups: Vec<u32>,
    },
    /// The target keeps no owners.
    None,
}

/// What a target directory can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abilities {
    /// Bytes of the longest name.
    pub name_most: u64,
    /// Bytes of the longest file.
    pub file_most: u64,
    /// Upper and lower case are told apart.
    pub case: bool,
    /// Names may be any bytes.
    pub any_bytes: bool,
    /// Permission bits are kept.
    pub modes: bool,
    /// Who may own files.
    pub owners: Owners,
    /// Symbolic links.
    pub symlinks: bool,
    /// Several names for one file.
    pub hard_links: bool,
    /// Device nodes.
    pub devices: bool,
    /// Named pipes.
    pub fifos: bool,
    /// Prefixes of the extended attributes it takes.
    pub xattrs: Vec<&'static str>,
    /// Attribute flags that can be set.
    pub flags: u32,
    /// The first and the last second a time can have.
    pub times: (i64, i64),
    /// Nanoseconds between two times it can tell apart.
    pub step: u64,
    /// Owner and group of a file just made.
    pub new: (u32, u32),
}

impl Abilities {
    /// What holds everything: for comparing with the image as it is.
    pub(crate) fn all() -> Self {
        Self {
            name_most: u64::MAX,
            file_most: u64::MAX,
            case: true,
            any_bytes: true,
            modes: true,
            owners: Owners::Any,
            symlinks: true,
            hard_links: true,
            devices: true,
            fifos: true,
            xattrs: vec![""],
            flags: FLAGS,
            times: (i64::MIN, i64::MAX),
            step: 1,
            new: (0, 0),
        }
    }

    /// Whether it takes this extended attribute.
    pub(crate) fn xattr(&self, name: &[u8]) -> bool {
        self.xattrs
            .iter()
            .any(|prefix| name.starts_with(prefix.as_bytes()))
    }

    /// The time that is found after `time` was set: the kernel cuts off what
    /// does not fit.
    pub(crate) fn time(&self, time: Timestamp) -> Timestamp {
        let (first, last) = self.times;
        if time.seconds < first || time.seconds > last {
            let seconds = time.seconds.clamp(first, last);
            return Timestamp {
                seconds,
                nanoseconds: 0,
            };
        }
        let whole = i64::try_from(self.step / 1_000_000_000).unwrap_or(1).max(1);
        let part = u32::try_from(self.step.min(1_000_000_000))
            .unwrap_or(1)
            .max(1);
        Timestamp {
            seconds: time.seconds - time.seconds.rem_euclid(whole),
            nanoseconds: time.nanoseconds - time.nanoseconds % part,
        }
    }
}

/// Tries everything in a folder of its own inside `folder`, and removes it. The
/// times of `folder` are put back.
pub(crate) fn probe(folder: impl AsFd) -> Result<Abilities> {
    let folder = folder.as_fd();
    let before = rustix::fs::fstat(folder)?;
    let name = format!(".mimeo-probe-{}", rustix::process::getpid().as_raw_pid());
    let name = name.as_bytes();
    rustix::fs::mkdirat(folder, name, Mode::RWXU)?;
    let found = beneath(
        folder,
        name,
        OFlags::RDONLY | OFlags::DIRECTORY,
        Mode::empty(),
    )
    .and_then(|inside| try_all(&inside));
    rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?;
    let times = Timestamps {
        last_access: time_of(before.st_atime, before.st_atime_nsec),
        last_modification: time_of(before.st_mtime, before.st_mtime_nsec),
    };
    // Only a courtesy: a folder of somebody else keeps the new time.
    let _ = rustix::fs::futimens(folder, &times);
    found
}

fn time_of(seconds: impl TryInto<i64>, nanoseconds: impl TryInto<i64>) -> Timespec {
    Timespec {
        tv_sec: seconds.try_into().unwrap_or(0),
        tv_nsec: nanoseconds.try_into().unwrap_or(0),
    }
}

fn try_all(inside: &OwnedFd) -> Result<Abilities> {
    // A group that a folder hands on is taken off the target too.
    let _ = rustix::fs::fchmod(inside, Mode::RWXU);
    let file = make(inside, b"file")?;
    let found = try_with(inside, &file);
    rustix::fs::unlinkat(inside, c"file", AtFlags::empty())?;
    found
}

fn try_with(inside: &OwnedFd, file: &OwnedFd) -> Result<Abilities> {
    let found = rustix::fs::fstat(file)?;
    let name_most = rustix::fs::fstatvfs(inside)?.f_namemax;
    let takes = |result: Result<()>, name: &[u8]| {
        let _ = rustix::fs::unlinkat(inside, name, AtFlags::empty());
        result.is_ok()
    };
    let owner = Mode::RUSR | Mode::WUSR;
    let symlinks = takes(rustix::fs::symlinkat(c"target", inside, c"link"), b"link");
    let hard = rustix::fs::linkat(inside, c"file", inside, c"second", AtFlags::empty());
    let fifo = rustix::fs::mknodat(inside, c"fifo", FileType::Fifo, owner, 0);
    let null = rustix::fs::makedev(1, 3);
    let device = rustix::fs::mknodat(inside, c"null", FileType::CharacterDevice, owner, null);
    let bytes = make(inside, b"\xff\xfe").map(drop);
    Ok(Abilities {
        name_most,
        case: rustix::fs::statat(inside, c"FILE", AtFlags::SYMLINK_NOFOLLOW).is_err(),
        any_bytes: takes(bytes, b"\xff\xfe"),
        modes: keeps_modes(file)?,
        owners: owners(file, (found.st_uid, found.st_gid))?,
        symlinks,
        hard_links: takes(hard, b"second"),
        devices: takes(device, b"null"),
        fifos: takes(fifo, b"fifo"),
        xattrs: xattrs(file),
        flags: flags(file) | flags(inside),
        times: times(file)?,
        step: step(file)?,
        file_most: longest(file),
        new: (found.st_uid, found.st_gid),
    })
}

fn make(inside: &OwnedFd, name: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
    beneath(inside, name, flags, Mode::RUSR | Mode::WUSR)
}

fn keeps_modes(file: &OwnedFd) -> Result<bool> {
    let kept = |mode: u32| {
        // FAT refuses what it cannot keep, or takes it and forgets.
        let set = rustix::fs::fchmod(file, Mode::from_raw_mode(mode));
        Ok::<_, rustix::io::Errno>(set.is_ok() && rustix::fs::fstat(file)?.st_mode & 0o7777 == mode)
    };
    Ok(kept(0o751)? && kept(0o604)?)
}

fn owners(file: &OwnedFd, new: (u32, u32)) -> Result<Owners> {
    use rustix::fs::{Gid, Uid};
    let other = (Some(Uid::from_raw(12_345)), Some(Gid::from_raw(12_346)));
    if rustix::fs::fchown(file, other.0, other.1).is_ok() {
        let found = rustix::fs::fstat(file)?;
        rustix::fs::fchown(file, Some(Uid::from_raw(new.0)), Some(Gid::from_raw(new.1)))?;
        let kept = (found.st_uid, found.st_gid) == (12_345, 12_346);
        return Ok(if kept { Owners::Any } else { Owners::None });
    }
    if geteuid().is_root() {
        return Ok(Owners::None);
    }
    let mut groups = vec![new.1, getegid().as_raw()];
    groups.extend(getgroups()?.into_iter().map(Gid::as_raw));
    Ok(Owners::Own { uid: new.0, groups })
}

/// An access control list that no permission bits can stand for.
const ACL: [u8; 44] = *b"\x02\0\0\0\
    \x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\x01\0\0\0\x04\0\x04\0\xff\xff\xff\xff\
    \x10\0\x04\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff";

fn xattrs(file: &OwnedFd) -> Vec<&'static str> {
    let tries: [(&'static str, &str, &[u8]); 4] = [
        ("user.", "user.mimeo", b"1"),
        ("trusted.", "trusted.mimeo", b"1"),
        ("security.", "security.mimeo", b"1"),
        ("system.posix_acl_", "system.posix_acl_access", &ACL),
    ];
    let takes = |(_, name, value): &(_, &str, &[u8])| {
        rustix::fs::fsetxattr(file, *name, value, XattrFlags::empty()).is_ok()
    };
    tries
        .iter()
        .filter(|one| takes(one))
        .map(|one| one.0)
        .collect()
}

fn flags(file: &OwnedFd) -> u32 {
    let Ok(before) = rustix::fs::ioctl_getflags(file) else {
        return 0;
    };
    let takes = |bit: u32| {
        let set = before | IFlags::from_bits_retain(bit);
        rustix::fs::ioctl_setflags(file, set).is_ok()
            && rustix::fs::ioctl_getflags(file).is_ok_and(|found| found.bits() & bit != 0)
            && rustix::fs::ioctl_setflags(file, before).is_ok()
    };
    let bits = (0..32).map(|bit| 1_u32 << bit);
    let tried = bits.filter(|bit| FLAGS & !JOURNAL_DATA & bit != 0 && takes(*bit));
    let found = tried.fold(0, |all, bit| all | bit);
    if found == 0 { 0 } else { found | JOURNAL_DATA }
}

fn set_time(file: &OwnedFd, seconds: i64, nanoseconds: u32) -> Result<Option<(i64, u32)>> {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.into(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    if rustix::fs::futimens(file, &times).is_err() {
        return Ok(None);
    }
    let found = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MTIME)?.stx_mtime;
    Ok(Some((found.tv_sec, found.tv_nsec)))
}

/// The kernel cuts a time to what the file system takes: so ask for the extremes.
fn times(file: &OwnedFd) -> Result<(i64, i64)> {
    let far = 1_i64 << 40;
    let first = set_time(file, -far, 0)?.map_or(0, |found| found.0);
    let last = set_time(file, far, 0)?.map_or(i64::from(i32::MAX), |found| found.0);
    let unbounded = |bound: i64, at: i64| {
        if bound == at {
            at.saturating_mul(1 << 22)
        } else {
            bound
        }
    };
    Ok((unbounded(first, -far), unbounded(last, far)))
}

fn step(file: &OwnedFd) -> Result<u64> {
    // A second that is odd, after 1980, and before 2038.
    let Some((seconds, nanoseconds)) = set_time(file, 1_000_000_001, 123_456_789)? else {
        return Ok(1);
    };
    Ok(match (seconds % 2, nanoseconds) {
        (0, _) => 2_000_000_000,
        (_, 123_456_789) => 1,
        (_, 123_456_700) => 100,
        (_, 123_456_000) => 1000,
        _ => 1_000_000_000,
    })
}

/// The longest file it takes, between two powers of two.
fn longest(file: &OwnedFd) -> u64 {
    let takes = |size: u64| rustix::fs::ftruncate(file, size).is_ok();
    let (mut fits, mut fails) = (0_u64, 1_u64 << 63);
    while fails - fits > 1 {
        let middle = fits + (fails - fits) / 2;
        if takes(middle) {
            fits = middle;
        } else {
            fails = middle;
        }
    }
    let _ = rustix::fs::ftruncate(file, 0);
    fits
}
