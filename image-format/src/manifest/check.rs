//! Whether a manifest says only what can be done. The same rules for writers
//! and readers: what cannot be read again is never stored.

use std::collections::HashMap;

use super::ManifestError;
use super::directory::LeafRef;
use crate::chunker::MAX_CHUNK;
use crate::entry::{Content, Entry, INLINE_LIMIT, Kind, Piece, Timestamp};
use crate::layout::DiskLayout;

/// Linux `PATH_MAX` is 4096, but deeper trees exist: this is far above both.
const MAX_PATH: usize = 64 << 10;
/// 255 bytes on ext4; 255 UTF-16 units on FAT and NTFS, three bytes each at most.
const MAX_COMPONENT: usize = 765;
/// Linux takes names of 255 and values of 64 KiB; ext4 with large attributes a little more.
const MAX_XATTR_VALUE: usize = 1 << 20;
/// All of an entry's together: a leaf of the manifest is one chunk.
const MAX_XATTRS: usize = 2 << 20;
/// The first sector's code before an MBR.
const BOOT_CODE: usize = 440;
/// GPT has room for 128 by default; more than this would not fit into the root.
const MAX_PARTITIONS: usize = 256;

/// Whether the layout can be.
pub(super) fn disk(disk: &DiskLayout) -> Result<(), ManifestError> {
    check_disk(disk).map_err(|reason| ManifestError::Layout { reason })
}

/// Whether volumes name partitions that are there, in order.
pub(super) fn partitions(
    disk: &DiskLayout,
    volumes: impl Iterator<Item = u32>,
) -> Result<(), ManifestError> {
    let mut before = None;
    for partition in volumes {
        let known = usize::try_from(partition).is_ok_and(|at| at < disk.partitions.len());
        if !known || before.is_some_and(|before| before >= partition) {
            let reason =
                format!("a volume names partition {partition}, which is not there or not in order");
            return Err(ManifestError::Layout { reason });
        }
        before = Some(partition);
    }
    Ok(())
}

fn check_disk(disk: &DiskLayout) -> Result<(), String> {
    if !matches!(disk.sector_size, 512 | 4096) {
        return Err(format!(
            "sector size: expected 512 or 4096, found {}",
            disk.sector_size
        ));
    }
    if disk.boot_code.len() > BOOT_CODE {
        return Err(format!(
            "boot code: at most {BOOT_CODE} bytes, found {}",
            disk.boot_code.len()
        ));
    }
    if disk.partitions.len() > MAX_PARTITIONS {
        return Err(format!(
            "at most {MAX_PARTITIONS} partitions, found {}",
            disk.partitions.len()
        ));
    }
    let mut free_from = 0;
    for partition in &disk.partitions {
        let end = partition
            .start
            .checked_add(partition.size)
            .filter(|end| *end <= disk.size);
        let number = partition.number;
        let end =
            end.ok_or_else(|| format!("partition {number} reaches past the end of the disk"))?;
        if partition.start < free_from {
            return Err(format!(
                "partition {number} overlaps or precedes the one before"
            ));
        }
        free_from = end;
    }
    Ok(())
}

/// The entries of one volume, checked as they come. What it remembers is the
/// directories that may still get entries, and one row a hard link group.
#[derive(Debug)]
pub struct TreeCheck {
    partition: u32,
    before: Option<Vec<u8>>,
    /// The root is a raw volume: nothing may follow.
    alone: bool,
    open: Vec<Vec<u8>>,
    links: HashMap<u32, Kind>,
}

impl TreeCheck {
    /// Before the first entry of the volume in this partition (index into the layout).
    pub fn new(partition: u32) -> Self {
        Self {
            partition,
            before: None,
            alone: false,
            open: Vec::new(),
            links: HashMap::new(),
        }
    }

    /// Whether this entry may follow those before it.
    ///
    /// # Errors
    /// It says what no apply could do: see the format's list.
    pub fn entry(&mut self, entry: &Entry) -> Result<(), ManifestError> {
        self.place(entry)
            .and_then(|()| check_entry(entry))
            .and_then(|()| self.link(entry))
            .map_err(|reason| ManifestError::Entry {
                partition: self.partition,
                path: clip(entry.display_path()),
                reason,
            })
    }

    fn place(&mut self, entry: &Entry) -> Result<(), &'static str> {
        check_path(&entry.path)?;
        if self.alone
            || self
                .before
                .as_ref()
                .is_some_and(|before| *before >= entry.path)
        {
            return Err("its path is not above the one before");
        }
        self.open
            .retain(|directory| !is_past(directory, &entry.path));
        match entry.parent() {
            Some(parent) if !self.open.iter().any(|directory| directory == parent) => {
                return Err("its directory is not in the image");
            }
            None if !matches!(entry.kind, Kind::Directory | Kind::RawVolume) => {
                return Err("the root is neither a directory nor a raw volume alone");
            }
            _ => {}
        }
        self.alone = entry.path.is_empty() && entry.kind == Kind::RawVolume;
        if entry.kind == Kind::Directory {
            self.open.push(entry.path.clone());
        }
        self.before = Some(entry.path.clone());
        Ok(())
    }

    fn link(&mut self, entry: &Entry) -> Result<(), &'static str> {
        let Some(link) = entry.link else {
            return Ok(());
        };
        match self.links.get(&link) {
            None => {
                self.links.insert(link, entry.kind.clone());
                Ok(())
            }
            Some(first) if *first == entry.kind && entry.content == Content::Empty => Ok(()),
            Some(_) => Err("a later name of a hard link is another kind or has content of its own"),
        }
    }
}

/// Whether nothing in `directory` can follow `path`: `/` is followed by `0`.
fn is_past(directory: &[u8], path: &[u8]) -> bool {
    match path.get(..directory.len()) {
        _ if directory.is_empty() => false,
        Some(begin) if begin == directory => {
            path.get(directory.len()).is_some_and(|next| *next > b'/')
        }
        _ => true,
    }
}

fn clip(path: String) -> String {
    if path.len() > 300 {
        path.chars().take(300).chain("...".chars()).collect()
    } else {
        path
    }
}

fn check_path(path: &[u8]) -> Result<(), &'static str> {
    if path.is_empty() {
        return Ok(());
    }
    if path.len() > MAX_PATH {
        return Err("its path is too long");
    }
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" => return Err("a component of its path is empty"),
            b"." | b".." => return Err("a component of its path is . or .."),
            _ if component.contains(&0) => return Err("its path holds a zero byte"),
            _ if component.len() > MAX_COMPONENT => {
                return Err("a component of its path is too long");
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_entry(entry: &Entry) -> Result<(), &'static str> {
    if entry.mode > 0o7777 {
        return Err("its mode has bits above 07777");
    }
    let times = &entry.times;
    let broken = |time: &Timestamp| time.nanoseconds > 999_999_999;
    if [times.modified, times.accessed, times.changed, times.created]
        .iter()
        .any(broken)
    {
        return Err("one of its times has a whole second of nanoseconds");
    }
    if entry
        .xattrs
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a.name >= b.name))
    {
        return Err("its extended attributes are not sorted by name");
    }
    if entry
        .xattrs
        .iter()
        .any(|xattr| xattr.name.is_empty() || xattr.name.contains(&0))
    {
        return Err("an extended attribute has no name");
    }
    if entry
        .xattrs
        .iter()
        .any(|xattr| xattr.name.len() > MAX_COMPONENT || xattr.value.len() > MAX_XATTR_VALUE)
    {
        return Err("an extended attribute is too long");
    }
    let all = entry
        .xattrs
        .iter()
        .map(|xattr| xattr.name.len() + xattr.value.len() + 8);
    if all.sum::<usize>() > MAX_XATTRS {
        return Err("its extended attributes are too long together");
    }
    if let Kind::Symlink(target) = &entry.kind
        && (target.is_empty() || target.contains(&0) || target.len() > MAX_PATH)
    {
        return Err("it points to what cannot be a path");
    }
    if entry.content != Content::Empty && !matches!(entry.kind, Kind::File | Kind::RawVolume) {
        return Err("it has content but is no file");
    }
    check_content(&entry.content)
}

fn check_content(content: &Content) -> Result<(), &'static str> {
    match content {
        Content::Empty => Ok(()),
        Content::Inline(bytes) if (1..=INLINE_LIMIT).contains(&bytes.len()) => Ok(()),
        Content::Inline(_) => Err("its inline content is empty or too long"),
        Content::Pieces(pieces) if pieces.is_empty() => Err("its content has no pieces"),
        Content::Pieces(pieces) => {
            let mut size = 0_u64;
            for piece in pieces {
                let fits = match piece {
                    Piece::Hole { length } => *length > 0,
                    Piece::Chunk { length, .. } => *length > 0 && *length as usize <= MAX_CHUNK,
                };
                // Offsets in a file are signed in every system that could hold it.
                let end = size
                    .checked_add(piece.length())
                    .filter(|end| fits && *end <= i64::MAX as u64);
                size = end
                    .ok_or("a piece of its content is empty, too long, or past every file's end")?;
            }
            Ok(())
        }
    }
}

/// Whether a leaf holds what its directory says.
pub(super) fn leaf(leaf: &LeafRef, entries: &[Entry]) -> Result<(), ManifestError> {
    let first = entries.first().map(|entry| &entry.path);
    if first == Some(&leaf.first) && u32::try_from(entries.len()) == Ok(leaf.rows) {
        Ok(())
    } else {
        Err(ManifestError::Row {
            table: "directory",
            reason: "a leaf holds other entries than it says",
        })
    }
}
