//! From the root down: every name, in path order, hard links numbered.

use std::collections::{HashMap, HashSet};

use image_format::entry::{Entry, Kind};
use image_format::manifest::Witness;

use crate::volume::{Data, Found, VolumeError};

use super::super::codec::checksum::inode_seed;
use super::super::codec::inode::{FLAG_INDEX, FLAG_INLINE, FLAG_VERITY, FLAGS_KEPT, Inode, format};
use super::super::codec::{directory, htree};
use super::super::fault::{damaged, unsupported};
use super::blocks::Ext4;

const ROOT: u32 = 2;
/// The kernel opens paths of up to 4096 bytes; deeper trees can be made step
/// by step, but a path longer than this comes from a damaged volume.
const LONGEST_PATH: usize = 64 << 10;
const PERMISSIONS: u16 = 0o7777;
/// An inline directory begins with its parent's number.
const INLINE_PARENT: usize = 4;
const INLINE_FIRST: usize = 60;

/// A name and the inode it stands for.
struct Name {
    path: Vec<u8>,
    inode: u32,
}

impl Ext4<'_> {
    /// All entries in path order.
    pub(super) fn walk(&self) -> Result<Vec<Found>, VolumeError> {
        let mut names = self.names()?;
        names.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        if let Some(pair) = names.windows(2).find(|pair| pair[0].path == pair[1].path) {
            let found = format!("{} twice", pair[0].path.escape_ascii());
            return Err(damaged("directory", 0, "different names", found));
        }
        let mut uses: HashMap<u32, u32> = HashMap::new();
        names
            .iter()
            .for_each(|name| *uses.entry(name.inode).or_default() += 1);
        let mut links: HashMap<u32, Entry> = HashMap::new();
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            let shared = uses.get(&name.inode).is_some_and(|&uses| uses > 1);
            if let Some(first) = links.get(&name.inode) {
                let entry = Entry {
                    path: name.path,
                    ..first.clone()
                };
                found.push(Found::new(entry, Data::None));
                continue;
            }
            let inode = name.inode;
            let mut one = self.found(name)?;
            if shared {
                one.entry.link = u32::try_from(links.len() + 1).ok();
                links.insert(inode, one.entry.clone());
            }
            found.push(one);
        }
        Ok(found)
    }

    /// Every name below the root. A directory with two names would be walked
    /// for ever and is refused.
    fn names(&self) -> Result<Vec<Name>, VolumeError> {
        let mut names = vec![Name {
            path: Vec::new(),
            inode: ROOT,
        }];
        let mut pending = vec![(Vec::new(), ROOT)];
        let mut seen = HashSet::from([ROOT]);
        // Directory blocks that may still be read: no more than the volume has.
        let mut budget = self.superblock.blocks;
        while let Some((path, number)) = pending.pop() {
            for (name, inode, is_directory) in self.directory(number, &mut budget)? {
                let path = joined(&path, &name)?;
                if is_directory {
                    if !seen.insert(inode) {
                        let found = format!("{} again", path.escape_ascii());
                        return Err(damaged("directory", 0, "one name a directory", found));
                    }
                    pending.push((path.clone(), inode));
                }
                names.push(Name { path, inode });
            }
        }
        Ok(names)
    }

    fn directory(
        &self,
        number: u32,
        budget: &mut u64,
    ) -> Result<Vec<(Vec<u8>, u32, bool)>, VolumeError> {
        let inode = self.inode(number)?;
        if inode.mode & format::MASK != format::DIRECTORY {
            return Err(damaged("directory", 0, "a directory's inode", number));
        }
        let mut names = Vec::new();
        if inode.flags & FLAG_INLINE != 0 {
            let (_, rest) = self.xattrs(&inode)?;
            let bytes = Self::inline_bytes(&inode, rest).unwrap_or_default();
            let (first, second) = bytes.split_at(INLINE_FIRST);
            self.records(
                first.get(INLINE_PARENT..).unwrap_or_default(),
                number,
                &mut names,
            )?;
            self.records(second, number, &mut names)?;
            return Ok(names);
        }
        let seed = inode_seed(self.seed, number, inode.generation);
        for run in self.runs(number, &inode)? {
            let first = run.physical / self.block_size;
            for (number_in_it, block) in
                (run.logical / self.block_size..).zip(first..first + run.length / self.block_size)
            {
                *budget = budget
                    .checked_sub(1)
                    .ok_or_else(|| damaged("directory", 0, "blocks of its own", number))?;
                let bytes = self.block("directory", block)?;
                let indexed = inode.flags & FLAG_INDEX != 0;
                let sealed = match indexed && htree::is_index(&bytes, number_in_it == 0) {
                    true => htree::is_sealed(&bytes, seed),
                    false => directory::is_sealed(&bytes, seed),
                };
                if self.superblock.has_checksums() && sealed == Some(false) {
                    let offset = block * self.block_size;
                    return Err(damaged("directory checksum", offset, "its sum", number));
                }
                self.records(&bytes, number, &mut names)?;
            }
        }
        Ok(names)
    }

    fn records(
        &self,
        bytes: &[u8],
        number: u32,
        names: &mut Vec<(Vec<u8>, u32, bool)>,
    ) -> Result<(), VolumeError> {
        let wrong = |found: String| damaged("directory", 0, "sound records", found);
        let records =
            directory::decode(bytes).ok_or_else(|| wrong(format!("others in inode {number}")))?;
        for record in records {
            if matches!(record.name, b"." | b"..") {
                continue;
            }
            if record.name.is_empty() || record.name.iter().any(|byte| matches!(byte, 0 | b'/')) {
                let name = record.name.escape_ascii();
                return Err(wrong(format!("the name {name} in inode {number}")));
            }
            // The record's own word is only a hint: old volumes do not have it.
            let mode = self.inode(record.inode)?.mode & format::MASK;
            names.push((
                record.name.to_vec(),
                record.inode,
                mode == format::DIRECTORY,
            ));
        }
        Ok(())
    }

    fn found(&self, name: Name) -> Result<Found, VolumeError> {
        let number = name.inode;
        let inode = self.inode(number)?;
        check_kept(&name.path, &inode)?;
        let (xattrs, rest) = self.xattrs(&inode)?;
        let inline = Self::inline_bytes(&inode, rest);
        let kind = self.kind(number, &inode, inline.as_ref())?;
        let data = match kind {
            Kind::File => self.data(number, &inode, inline)?,
            _ => Data::None,
        };
        let witness = match kind {
            Kind::File => self.witness(number, &inode),
            _ => None,
        };
        Ok(Found {
            entry: entry(name.path, kind, &inode, xattrs),
            data,
            witness,
        })
    }

    /// What tells that a file is as it was, in this very volume. The kernel
    /// gives every new inode a generation of its own; where there is none, a
    /// program made the whole volume, and may have made another one with the
    /// same numbers and times over it.
    fn witness(&self, number: u32, inode: &Inode) -> Option<Witness> {
        if inode.generation == 0 {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.superblock.uuid);
        hasher.update(&number.to_le_bytes());
        hasher.update(&inode.generation.to_le_bytes());
        let mut first = [0; 8];
        hasher.finalize_xof().fill(&mut first);
        let (modified, changed) = (inode.times.modified, inode.times.changed);
        let witness = Witness::of(u64::from_le_bytes(first), inode.size, modified, changed);
        Some(witness)
    }
}

/// What no image can say of a file is not passed over in silence.
fn check_kept(path: &[u8], inode: &Inode) -> Result<(), VolumeError> {
    let shown = format!("/{}", path.escape_ascii());
    if inode.flags & FLAG_VERITY != 0 {
        return Err(unsupported(
            format!("{shown} with fs-verity"),
            "its tree of hashes would be lost",
            "capture its directory while it is mounted, or make it anew without",
        ));
    }
    if inode.project != 0 {
        return Err(unsupported(
            format!("{shown} of project {}", inode.project),
            "project ids would be lost, and its quota with them",
            "clear them (chattr -R -p 0), or capture the directory while it is mounted",
        ));
    }
    Ok(())
}

fn entry(
    path: Vec<u8>,
    kind: Kind,
    inode: &Inode,
    xattrs: Vec<image_format::entry::Xattr>,
) -> Entry {
    Entry {
        mode: u32::from(inode.mode & PERMISSIONS),
        uid: inode.uid,
        gid: inode.gid,
        times: inode.times,
        flags: inode.flags & FLAGS_KEPT,
        xattrs,
        ..Entry::new(path, kind)
    }
}

fn joined(parent: &[u8], name: &[u8]) -> Result<Vec<u8>, VolumeError> {
    let mut path = Vec::with_capacity(parent.len() + 1 + name.len());
    path.extend_from_slice(parent);
    if !parent.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    if path.len() > LONGEST_PATH {
        return Err(damaged(
            "directory",
            0,
            format!("paths up to {LONGEST_PATH} bytes"),
            path.len(),
        ));
    }
    Ok(path)
}
