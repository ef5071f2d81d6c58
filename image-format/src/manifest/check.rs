//! Whether a manifest says only what can be done. The same rules for writers
//! and readers: what cannot be read again is never stored.

use std::collections::{HashMap, HashSet};

use super::ManifestError;
use crate::chunker::MAX_CHUNK;
use crate::entry::{Content, Entry, INLINE_LIMIT, Kind, Piece, Timestamp};
use crate::image::{Manifest, VolumeTree};
use crate::layout::DiskLayout;

/// Linux `PATH_MAX` is 4096, but deeper trees exist: this is far above both.
const MAX_PATH: usize = 64 << 10;
/// 255 bytes on ext4; 255 UTF-16 units on FAT and NTFS, three bytes each at most.
const MAX_COMPONENT: usize = 765;
/// Linux takes names of 255 and values of 64 KiB; ext4 with large attributes a little more.
const MAX_XATTR_VALUE: usize = 1 << 20;
/// The first sector's code before an MBR.
const BOOT_CODE: usize = 440;
/// GPT has room for 128 by default; nobody has met more than a few hundred.
const MAX_PARTITIONS: usize = 1024;

pub(super) fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    check_disk(&manifest.disk).map_err(|reason| ManifestError::Layout { reason })?;
    let mut before = None;
    for volume in &manifest.volumes {
        let known =
            usize::try_from(volume.partition).is_ok_and(|at| at < manifest.disk.partitions.len());
        if !known || before.is_some_and(|before| before >= volume.partition) {
            let reason = format!(
                "a volume names partition {}, which is not there or not in order",
                volume.partition
            );
            return Err(ManifestError::Layout { reason });
        }
        before = Some(volume.partition);
        check_tree(volume)?;
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

fn check_tree(volume: &VolumeTree) -> Result<(), ManifestError> {
    let mut directories: HashSet<&[u8]> = HashSet::new();
    let mut links: HashMap<u32, &Kind> = HashMap::new();
    let mut before: Option<&[u8]> = None;
    for entry in &volume.entries {
        let wrong = |reason| ManifestError::Entry {
            partition: volume.partition,
            path: clip(entry.display_path()),
            reason,
        };
        if before.is_some_and(|before| before >= entry.path.as_slice()) {
            return Err(wrong("its path is not above the one before"));
        }
        before = Some(&entry.path);
        check_path(&entry.path).map_err(wrong)?;
        if entry
            .parent()
            .is_some_and(|parent| !directories.contains(parent))
        {
            return Err(wrong("its directory is not in the image"));
        }
        if entry.kind == Kind::Directory {
            directories.insert(&entry.path);
        } else if entry.path.is_empty()
            && (entry.kind != Kind::RawVolume || volume.entries.len() != 1)
        {
            return Err(wrong(
                "the root is neither a directory nor a raw volume alone",
            ));
        }
        check_entry(entry).map_err(wrong)?;
        if let Some(link) = entry.link
            && let Some(first) = links.insert(link, &entry.kind)
            && (*first != entry.kind || entry.content != Content::Empty)
        {
            return Err(wrong(
                "a later name of a hard link is another kind or has content of its own",
            ));
        }
    }
    Ok(())
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
