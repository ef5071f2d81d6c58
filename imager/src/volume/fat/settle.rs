//! What a tree becomes on FAT: times it can hold, short names, attributes.

use std::collections::{BTreeMap, BTreeSet};

use image_format::entry::{Entry, Kind, Times, Timestamp, Xattr};
use image_format::image::VolumeTree;

use super::super::VolumeError;
use super::name;
use super::read::{DIRECTORY_MODE, FILE_MODE};
use super::slot::{ARCHIVE, DIRECTORY, HIDDEN, READ_ONLY, SYSTEM};
use super::time::DosTime;

/// FAT counts a file's bytes in 32 bits.
const LARGEST_FILE: u64 = u32::MAX as u64;

/// The tree as a FAT volume will give it back: times cut to what FAT keeps,
/// modes and owners dropped, a short name for every entry. A tree captured from
/// FAT comes out as it was.
///
/// # Errors
/// Every entry that FAT cannot hold, with the reason.
pub fn settle(tree: &VolumeTree) -> Result<VolumeTree, Vec<VolumeError>> {
    let mut refusals = Vec::new();
    let mut folders: BTreeMap<Vec<u8>, Folder> = BTreeMap::new();
    for entry in &tree.entries {
        let known = entry.parent().and_then(|parent| folders.get_mut(parent));
        if let Some(why) = objection(entry, known) {
            refusals.push(refusal(entry, why));
        }
        if entry.kind == Kind::Directory {
            folders.insert(entry.path.clone(), Folder::default());
        }
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let mut settled = tree.clone();
    for entry in &mut settled.entries {
        adjust(entry);
        if let Some(folder) = entry.parent().and_then(|parent| folders.get(parent)) {
            entry.short_name = entry
                .short_name
                .filter(|short| folder.kept.get(short) == Some(&entry.path));
        }
    }
    for entry in settled
        .entries
        .iter_mut()
        .filter(|entry| entry.short_name.is_none())
    {
        let folder = entry.parent().and_then(|parent| folders.get_mut(parent));
        entry.short_name = folder.map(|folder| folder.short_for(entry.name()));
    }
    Ok(settled)
}

/// The names of one directory.
#[derive(Default)]
struct Folder {
    folds: BTreeSet<Vec<u8>>,
    /// Short names that came with the tree, and the path that has each.
    kept: BTreeMap<[u8; 11], Vec<u8>>,
    made: BTreeSet<[u8; 11]>,
    next: BTreeMap<[u8; 11], u32>,
}

impl Folder {
    fn is_free(&self, short: &[u8; 11]) -> bool {
        !self.kept.contains_key(short) && !self.made.contains(short)
    }

    fn short_for(&mut self, name: &[u8]) -> [u8; 11] {
        let (basis, is_whole) = name::basis(name);
        let mut short = basis;
        if !is_whole || !self.is_free(&short) {
            let mut number = self.next.get(&basis).copied().unwrap_or(1);
            short = name::numbered(&basis, number);
            // A directory has less than 65536 names, so a free number comes soon.
            while !self.is_free(&short) {
                number += 1;
                short = name::numbered(&basis, number);
            }
            self.next.insert(basis, number + 1);
        }
        self.made.insert(short);
        short
    }
}

/// Why FAT cannot hold an entry; notes its names in its directory.
fn objection(entry: &Entry, parent: Option<&mut Folder>) -> Option<String> {
    if entry.path.is_empty() {
        return (entry.kind != Kind::Directory)
            .then(|| String::from("the root is not a directory"));
    }
    let Some(parent) = parent else {
        return Some(String::from(
            "the directory it lies in is not in the tree before it",
        ));
    };
    if let Some(short) = entry.short_name.filter(name::is_short) {
        parent
            .kept
            .entry(short)
            .or_insert_with(|| entry.path.clone());
    }
    if !parent.folds.insert(name::fold(entry.name())) {
        return Some(String::from(
            "another name in its directory differs only in case",
        ));
    }
    match entry.kind {
        Kind::Directory | Kind::File => {}
        _ => return Some(String::from("FAT has files and directories only")),
    }
    if entry.link.is_some() {
        return Some(String::from("FAT has no hard links"));
    }
    if let Some(Xattr { name, .. }) = entry.xattrs.first() {
        return Some(format!(
            "FAT has no place for its attribute {}",
            name.escape_ascii()
        ));
    }
    let size = entry.content.size();
    if size > LARGEST_FILE {
        return Some(format!(
            "it has {size} bytes, and FAT ends at {LARGEST_FILE}"
        ));
    }
    name::objection(entry.name())
}

fn refusal(entry: &Entry, why: String) -> VolumeError {
    let next = String::from("leave it out or put it on another volume");
    VolumeError::Unsupported {
        what: entry.display_path(),
        why,
        next,
    }
}

fn adjust(entry: &mut Entry) {
    let keep = u32::from(READ_ONLY | HIDDEN | SYSTEM | ARCHIVE);
    entry.flags &= keep;
    entry.mode = FILE_MODE;
    if entry.kind == Kind::Directory {
        entry.flags |= u32::from(DIRECTORY);
        entry.mode = DIRECTORY_MODE;
    }
    (entry.uid, entry.gid) = (0, 0);
    entry.times = if entry.path.is_empty() {
        Times::default()
    } else {
        held(&entry.times)
    };
    if entry.path.is_empty() {
        entry.flags = u32::from(DIRECTORY);
        entry.short_name = None;
    }
}

/// Times as FAT keeps them: to 2 seconds, to the day, to 10 milliseconds.
fn held(times: &Times) -> Times {
    let cut =
        |moment: Timestamp, cut: fn(DosTime) -> DosTime| cut(DosTime::encode(moment)).decode();
    Times {
        modified: cut(times.modified, |fields| DosTime {
            hundredths: 0,
            ..fields
        }),
        accessed: cut(times.accessed, |fields| DosTime {
            time: 0,
            hundredths: 0,
            ..fields
        }),
        created: cut(times.created, |fields| fields),
        changed: Timestamp::default(),
    }
}
