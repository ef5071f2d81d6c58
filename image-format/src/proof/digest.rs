//! The digest of one entry: all that an apply writes of it.

use std::collections::{BTreeSet, HashMap};

use crate::bytes::length;
use crate::entry::{Content, Entry, Kind, Piece, Timestamp};

const DOMAIN: &[u8] = b"mimeo entry 0\0";

/// The digest of one entry seen alone: path, kind, mode, owner, times modified
/// and created, flags, extended attributes, link target, short name, content.
/// Other names of the same inode do not show in it: see [`super::volume_root`].
pub fn entry_digest(entry: &Entry) -> [u8; 32] {
    digest(entry, &entry.content, None)
}

/// The digest of an entry within its volume: `first` is the first name of its
/// hard link group, where that has more than one name. For those who see one
/// entry after another; a later name of a group has no content.
pub fn grouped_digest(entry: &Entry, first: Option<&[u8]>) -> [u8; 32] {
    digest(entry, &entry.content, first)
}

/// Which names belong together.
pub(super) struct Groups<'a> {
    by_link: HashMap<u32, Group<'a>>,
}

struct Group<'a> {
    first: &'a [u8],
    names: usize,
    content: &'a Content,
}

pub(super) fn groups<'a>(entries: &'a [Entry], skip: &BTreeSet<Vec<u8>>) -> Groups<'a> {
    let mut by_link = HashMap::new();
    for entry in entries {
        let Some(link) = entry.link else { continue };
        let group = by_link.entry(link).or_insert(Group {
            first: &[],
            names: 0,
            content: &Content::Empty,
        });
        if entry.content != Content::Empty {
            group.content = &entry.content;
        }
        if !skip.contains(&entry.path) {
            if group.names == 0 {
                group.first = &entry.path;
            }
            group.names += 1;
        }
    }
    Groups { by_link }
}

impl Groups<'_> {
    /// An entry's digest within its volume, and the content bytes it stands for.
    pub(super) fn digest(&self, entry: &Entry) -> ([u8; 32], u64) {
        let Some(group) = entry.link.and_then(|link| self.by_link.get(&link)) else {
            return (entry_digest(entry), entry.content.size());
        };
        let is_first = group.first == entry.path.as_slice();
        let content = if is_first {
            group.content
        } else {
            &Content::Empty
        };
        let first = (group.names > 1).then_some(group.first);
        (digest(entry, content, first), content.size())
    }
}

fn digest(entry: &Entry, content: &Content, group: Option<&[u8]>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(DOMAIN);
    put_bytes(&mut hasher, &entry.path);
    put_kind(&mut hasher, &entry.kind);
    for number in [entry.mode, entry.uid, entry.gid, entry.flags] {
        hasher.update(&number.to_le_bytes());
    }
    put_time(&mut hasher, entry.times.modified);
    put_time(&mut hasher, entry.times.created);
    hasher.update(&(entry.xattrs.len() as u64).to_le_bytes());
    for xattr in &entry.xattrs {
        put_bytes(&mut hasher, &xattr.name);
        put_bytes(&mut hasher, &xattr.value);
    }
    put_option(&mut hasher, group);
    put_option(
        &mut hasher,
        entry.short_name.as_ref().map(<[u8; 11]>::as_slice),
    );
    put_content(&mut hasher, content);
    *hasher.finalize().as_bytes()
}

fn put_bytes(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&length(bytes).to_le_bytes());
    hasher.update(bytes);
}

fn put_option(hasher: &mut blake3::Hasher, bytes: Option<&[u8]>) {
    hasher.update(&[u8::from(bytes.is_some())]);
    put_bytes(hasher, bytes.unwrap_or_default());
}

fn put_time(hasher: &mut blake3::Hasher, time: Timestamp) {
    hasher.update(&time.seconds.to_le_bytes());
    hasher.update(&time.nanoseconds.to_le_bytes());
}

fn put_kind(hasher: &mut blake3::Hasher, kind: &Kind) {
    let (number, target, device) = match kind {
        Kind::Directory => (0, &[][..], (0, 0)),
        Kind::File => (1, &[][..], (0, 0)),
        Kind::Symlink(target) => (2, target.as_slice(), (0, 0)),
        Kind::CharDevice { major, minor } => (3, &[][..], (*major, *minor)),
        Kind::BlockDevice { major, minor } => (4, &[][..], (*major, *minor)),
        Kind::Fifo => (5, &[][..], (0, 0)),
        Kind::Socket => (6, &[][..], (0, 0)),
        Kind::RawVolume => (7, &[][..], (0, 0)),
    };
    hasher.update(&[number]);
    put_bytes(hasher, target);
    hasher.update(&device.0.to_le_bytes());
    hasher.update(&device.1.to_le_bytes());
}

fn put_content(hasher: &mut blake3::Hasher, content: &Content) {
    match content {
        Content::Empty => {
            hasher.update(&[0]);
        }
        Content::Inline(bytes) => {
            hasher.update(&[1]);
            put_bytes(hasher, bytes);
        }
        Content::Pieces(pieces) => {
            hasher.update(&[2]);
            hasher.update(&(pieces.len() as u64).to_le_bytes());
            for piece in pieces {
                put_piece(hasher, piece);
            }
        }
    }
}

fn put_piece(hasher: &mut blake3::Hasher, piece: &Piece) {
    hasher.update(&piece.length().to_le_bytes());
    match piece {
        Piece::Hole { .. } => hasher.update(&[0]),
        Piece::Chunk { id, .. } => hasher.update(&[1]).update(id.as_bytes()),
    };
}
