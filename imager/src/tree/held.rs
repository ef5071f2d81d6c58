//! What of an entry a directory can hold, and what is lost there.

mod abilities;
mod loss;

use std::collections::HashSet;

use image_format::entry::{Entry, Kind};
use image_format::layout::Volume;

pub use abilities::{Abilities, Owners};
pub(crate) use abilities::{FLAGS, STILL, probe};
pub use loss::{Loss, Losses, Lost};

/// Turns entries of an image into entries as the target holds them, in path
/// order. Plan, apply and comparison all go through it, so that they agree.
pub(crate) struct Holder<'a> {
    can: &'a Abilities,
    /// Flags are inode flags, and not the attributes of a FAT.
    inode_flags: bool,
    /// Folders that are lost: all in them is lost too.
    lost_folders: HashSet<Vec<u8>>,
    /// Hard link groups: whether their first name is there.
    links: std::collections::HashMap<u32, bool>,
    /// Paths without upper case, where a target does not tell them apart.
    folded: HashSet<[u8; 16]>,
}

impl<'a> Holder<'a> {
    pub(crate) fn new(can: &'a Abilities, volume: &Volume) -> Self {
        Self {
            can,
            inode_flags: !matches!(volume, Volume::Fat(_)),
            lost_folders: HashSet::new(),
            links: std::collections::HashMap::new(),
            folded: HashSet::new(),
        }
    }

    /// The entry as it will be there; `None` if not at all. Tells what is lost.
    pub(crate) fn hold(&mut self, mut entry: Entry, lost: &mut dyn FnMut(Loss)) -> Option<Entry> {
        let whole = self.name_loss(&entry).or_else(|| self.kind_loss(&entry));
        let whole = whole.or_else(|| self.link_loss(&entry));
        if let Some(link) = entry.link {
            self.links.entry(link).or_insert(whole.is_none());
        }
        if let Some(loss) = whole {
            lost(loss);
            if entry.kind == Kind::Directory {
                self.lost_folders.insert(entry.path);
            }
            return None;
        }
        self.hold_owner(&mut entry, lost);
        self.hold_attributes(&mut entry, lost);
        self.hold_times(&mut entry, lost);
        entry.short_name = None;
        Some(entry)
    }

    fn name_loss(&mut self, entry: &Entry) -> Option<Loss> {
        if entry
            .parent()
            .is_some_and(|parent| self.lost_folders.contains(parent))
        {
            return Some(Loss::InLostFolder);
        }
        if entry.name().len() as u64 > self.can.name_most {
            return Some(Loss::LongName);
        }
        if !self.can.any_bytes && std::str::from_utf8(entry.name()).is_err() {
            return Some(Loss::Name);
        }
        if !self.can.case && !entry.path.is_empty() {
            let folded = String::from_utf8_lossy(&entry.path).to_lowercase();
            let hash = blake3::hash(folded.as_bytes());
            let short = hash.as_bytes().first_chunk::<16>().copied()?;
            return (!self.folded.insert(short)).then_some(Loss::Case);
        }
        None
    }

    fn kind_loss(&self, entry: &Entry) -> Option<Loss> {
        let (loss, can) = match entry.kind {
            Kind::Socket => (Loss::Socket, false),
            Kind::CharDevice { .. } | Kind::BlockDevice { .. } => (Loss::Device, self.can.devices),
            Kind::Fifo => (Loss::Fifo, self.can.fifos),
            Kind::Symlink(_) => (Loss::Symlink, self.can.symlinks),
            Kind::File => (Loss::Size, entry.content.size() <= self.can.file_most),
            Kind::Directory | Kind::RawVolume => return None,
        };
        (!can).then_some(loss)
    }

    fn link_loss(&self, entry: &Entry) -> Option<Loss> {
        let first_is_there = *self.links.get(&entry.link?)?;
        (!first_is_there || !self.can.hard_links).then_some(Loss::HardLink)
    }

    fn hold_owner(&self, entry: &mut Entry, lost: &mut dyn FnMut(Loss)) {
        let Owners::Own { uid, groups } = &self.can.owners else {
            return;
        };
        let group = groups.first().copied().unwrap_or(entry.gid);
        let keeps_group = groups.contains(&entry.gid);
        if entry.uid != *uid || !keeps_group {
            lost(Loss::Owner);
            entry.uid = *uid;
            // Whoever gains a program that was root's must not gain its powers over them.
            if entry.kind != Kind::Directory {
                entry.mode &= !0o6000;
            }
            if !keeps_group {
                entry.gid = group;
            }
        }
    }

    fn hold_attributes(&self, entry: &mut Entry, lost: &mut dyn FnMut(Loss)) {
        let before = entry.xattrs.len();
        entry.xattrs.retain(|xattr| self.can.xattr(&xattr.name));
        if entry.xattrs.len() != before {
            lost(Loss::Xattr);
        }
        if !self.inode_flags {
            if entry.flags & !FAT_ARCHIVE != 0 && entry.kind != Kind::Directory {
                lost(Loss::Flags);
            }
            entry.flags = 0;
        }
        let can = if matches!(entry.kind, Kind::File | Kind::Directory) {
            self.can.flags
        } else {
            0
        };
        if entry.flags & !can != 0 {
            lost(Loss::Flags);
            entry.flags &= can;
        }
    }

    fn hold_times(&self, entry: &mut Entry, lost: &mut dyn FnMut(Loss)) {
        let modified = self.can.time(entry.times.modified);
        if modified != entry.times.modified {
            lost(Loss::Time);
        }
        entry.times.modified = modified;
        entry.times.accessed = self.can.time(entry.times.accessed);
        // Nobody can set them; a proof over a directory leaves them out.
        entry.times.created = image_format::entry::Timestamp::default();
        entry.times.changed = image_format::entry::Timestamp::default();
    }
}

/// The attribute every FAT file has that was ever written: it says nothing.
const FAT_ARCHIVE: u32 = 0x20;
