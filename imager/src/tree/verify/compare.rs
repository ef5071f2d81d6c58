//! One entry compared with what has its name.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};

use image_format::entry::{Content, Entry, Kind, Timestamp, Xattr, printable};
use image_format::proof::grouped_digest;
use rustix::fs::{Advice, FileType, Mode, OFlags};
use rustix::io::{Errno, Result};

use super::content::{self, Wrong};
use super::difference::{Report, TreeWhat, lacking, tell};
use crate::tree::held::{Abilities, Owners, STILL};
use crate::tree::metadata::{self, Stat};
use crate::tree::place::beneath;

/// How to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct How {
    /// What the target can hold; the rest is no difference.
    pub can: Abilities,
    /// Things that are not of the image are differences.
    pub extras: bool,
    /// The kernel shall forget what it remembers of each file first.
    pub past_cache: bool,
    /// An apply is under way: the target's own time is not right yet.
    pub under_way: bool,
}

/// What all threads know.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    pub(super) how: &'a How,
    pub(super) report: &'a Mutex<Report>,
    pub(super) watch: &'a (dyn Fn(u64) + Sync),
}

/// An entry and the open folder it lies in.
pub(super) struct Item {
    pub(super) folder: Arc<OwnedFd>,
    pub(super) entry: Entry,
    /// How many names its inode must have.
    pub(super) names: u32,
    /// The first of them, where there are several.
    pub(super) first: Option<Arc<[u8]>>,
}

/// What was found of an entry, as far as its proof needs it.
pub(super) struct Compared {
    pub(super) path: Vec<u8>,
    /// Digest of what was found; `None` where it differs.
    pub(super) digest: Option<[u8; 32]>,
    /// Bytes of contents.
    pub(super) bytes: u64,
    /// The hard link group with the inode found.
    pub(super) link: Option<(u32, u64)>,
}

/// Compares one entry; tells what differs.
pub(super) fn item(shared: &Shared<'_>, item: Item, buffer: &mut Vec<u8>) -> Compared {
    let Item {
        folder,
        entry,
        names,
        first,
    } = item;
    let bytes = entry.content.size();
    let one = One {
        shared,
        folder: &folder,
        entry: &entry,
    };
    let digest = match one.compare(names, first.as_deref(), buffer) {
        Ok((digest, inode)) => Ok((digest, inode)),
        Err(error) => {
            lacking(shared.report, &entry.path, error);
            Err(())
        }
    };
    (shared.watch)(bytes);
    let (digest, inode) = digest.unwrap_or((None, 0));
    let link = entry
        .link
        .filter(|_| digest.is_some())
        .map(|link| (link, inode));
    Compared {
        path: entry.path,
        digest,
        bytes,
        link,
    }
}

struct One<'o> {
    shared: &'o Shared<'o>,
    folder: &'o OwnedFd,
    entry: &'o Entry,
}

impl One<'_> {
    fn compare(
        &self,
        names: u32,
        first: Option<&[u8]>,
        buffer: &mut Vec<u8>,
    ) -> Result<(Option<[u8; 32]>, u64)> {
        let (entry, folder) = (self.entry, self.folder);
        let name = entry.name();
        let stat = metadata::stat(folder.as_fd(), name)?;
        let Some(kind) = metadata::kind(folder.as_fd(), name, &stat)? else {
            return Err(Errno::OPNOTSUPP);
        };
        if kind != entry.kind {
            self.property("kind", words(&entry.kind), words(&kind));
            return Ok((None, stat.inode));
        }
        let file = match kind {
            Kind::File | Kind::Directory => Some(open(folder, name, &stat)?),
            _ => None,
        };
        let mut seen = self.seen(&stat, kind, file.as_ref())?;
        let mut same = self.properties(&seen);
        if stat.links != names && entry.kind != Kind::Directory {
            let words = |count: u32| format!("{count}");
            self.property("number of names", words(names), words(stat.links));
            same = false;
        }
        // A later name of a group has the contents of the first, and was read there.
        let later = first.is_some_and(|first| first != entry.path.as_slice());
        if let (Some(file), Kind::File, false) = (&file, &entry.kind, later) {
            same &= self.contents(file, stat.size, buffer)?;
        }
        if same {
            seen.content.clone_from(&entry.content);
        }
        Ok((same.then(|| grouped_digest(&seen, first)), stat.inode))
    }

    /// The entry as it is there, contents left out. What such a target cannot
    /// hold is taken as it must be.
    fn seen(&self, stat: &Stat, kind: Kind, file: Option<&OwnedFd>) -> Result<Entry> {
        let (entry, how) = (self.entry, self.shared.how);
        let (xattrs, flags) = match file {
            Some(file) => (metadata::xattrs(file.as_fd())?, metadata::flags(file)?),
            None => (
                metadata::xattrs_of_name(self.folder.as_fd(), entry.name())?,
                0,
            ),
        };
        let mut seen = Entry::new(entry.path.clone(), kind);
        seen.mode = stat.mode;
        (seen.uid, seen.gid) = (stat.uid, stat.gid);
        seen.times.modified = stat.times.modified;
        seen.flags = flags;
        seen.xattrs = xattrs;
        seen.xattrs.retain(|xattr| how.can.xattr(&xattr.name));
        seen.link = entry.link;
        if !how.can.modes || matches!(entry.kind, Kind::Symlink(_)) {
            seen.mode = entry.mode;
        }
        if how.can.owners == Owners::None {
            (seen.uid, seen.gid) = (entry.uid, entry.gid);
        }
        if how.can.flags == 0 {
            seen.flags = entry.flags;
        }
        if how.under_way && entry.path.is_empty() {
            // Set when the note is gone, and compared then.
            seen.times.modified = entry.times.modified;
            seen.flags = (seen.flags & !STILL) | (entry.flags & STILL);
        }
        Ok(seen)
    }

    fn properties(&self, seen: &Entry) -> bool {
        let entry = self.entry;
        let octal = |mode: u32| format!("{mode:04o}");
        let mut same = true;
        let mut check = |is: bool, name, expected: String, found: String| {
            if !is {
                self.property(name, expected, found);
                same = false;
            }
        };
        check(
            entry.mode == seen.mode,
            "mode",
            octal(entry.mode),
            octal(seen.mode),
        );
        let owner = |entry: &Entry| format!("{}:{}", entry.uid, entry.gid);
        let owners = (entry.uid, entry.gid) == (seen.uid, seen.gid);
        check(owners, "owner", owner(entry), owner(seen));
        let (expected, found) = (entry.times.modified, seen.times.modified);
        check(
            expected == found,
            "time modified",
            moment(expected),
            moment(found),
        );
        let hex = |flags: u32| format!("{flags:#x}");
        check(
            entry.flags == seen.flags,
            "flags",
            hex(entry.flags),
            hex(seen.flags),
        );
        for xattr in &entry.xattrs {
            let found = seen.xattrs.iter().find(|other| other.name == xattr.name);
            let is = found == Some(xattr);
            check(
                is,
                "extended attribute",
                attribute(Some(xattr)),
                attribute(found),
            );
        }
        for xattr in &seen.xattrs {
            let is = entry.xattrs.iter().any(|other| other.name == xattr.name);
            check(
                is,
                "extended attribute",
                attribute(None),
                attribute(Some(xattr)),
            );
        }
        same
    }

    fn contents(&self, file: &OwnedFd, size: u64, buffer: &mut Vec<u8>) -> Result<bool> {
        let entry = self.entry;
        let expected = entry.content.size();
        if size != expected {
            self.property("length", expected.to_string(), size.to_string());
            return Ok(false);
        }
        if self.shared.how.past_cache && expected > 0 {
            rustix::fs::fadvise(file, 0, None, Advice::DontNeed)?;
        }
        let wrong = match &entry.content {
            Content::Empty => Vec::new(),
            Content::Inline(bytes) => {
                let found = content::read(file, 0, bytes.len(), buffer)?;
                let all = Wrong {
                    offset: 0,
                    length: expected,
                };
                if found == bytes.as_slice() {
                    Vec::new()
                } else {
                    vec![all]
                }
            }
            Content::Pieces(pieces) => content::wrong(file, pieces, buffer)?,
        };
        for Wrong { offset, length } in &wrong {
            let (offset, length) = (*offset, *length);
            tell(
                self.shared.report,
                &entry.path,
                TreeWhat::Content { offset, length },
            );
        }
        Ok(wrong.is_empty())
    }

    fn property(&self, name: &'static str, expected: String, found: String) {
        let what = TreeWhat::Property {
            name,
            expected,
            found,
        };
        tell(self.shared.report, &self.entry.path, what);
    }
}

/// Opens what was looked at; it must still be that.
fn open(folder: &OwnedFd, name: &[u8], stat: &Stat) -> Result<OwnedFd> {
    let is_folder = stat.file_type == FileType::Directory;
    let kind = if is_folder {
        OFlags::DIRECTORY
    } else {
        OFlags::NONBLOCK | OFlags::NOCTTY
    };
    let name = if name.is_empty() { b"." } else { name };
    let flags = OFlags::RDONLY | kind;
    // Only the owner of a file and root may leave its access time alone.
    match beneath(folder, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => beneath(folder, name, flags, Mode::empty()),
        other => other,
    }
}

fn moment(time: Timestamp) -> String {
    time.to_string()
}

/// The beginning of an attribute's value is enough to tell it from another.
fn attribute(xattr: Option<&Xattr>) -> String {
    const SHOWN: usize = 40;
    let Some(Xattr { name, value }) = xattr else {
        return "none".to_owned();
    };
    let shown = value.get(..SHOWN).unwrap_or(value);
    let hash = match value.len() > SHOWN {
        true => format!(
            "... ({} bytes, {})",
            value.len(),
            blake3::hash(value).to_hex()
        ),
        false => String::new(),
    };
    format!("{}={}{hash}", printable(name), shown.escape_ascii())
}

fn words(kind: &Kind) -> String {
    match kind {
        Kind::Directory => "a folder".to_owned(),
        Kind::File => "a file".to_owned(),
        Kind::Symlink(target) => format!("a link to {}", printable(target)),
        Kind::CharDevice { major, minor } => format!("character device {major}:{minor}"),
        Kind::BlockDevice { major, minor } => format!("block device {major}:{minor}"),
        Kind::Fifo => "a named pipe".to_owned(),
        Kind::Socket => "a socket".to_owned(),
        Kind::RawVolume => "a raw volume".to_owned(),
    }
}
