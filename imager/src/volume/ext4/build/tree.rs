//! Which inodes there are, what they are called and what they need.

use std::collections::HashMap;

use image_format::entry::{Entry, Kind};

use crate::volume::VolumeError;

use super::super::codec::directory::kind;
use super::super::codec::xattr::{self, Attribute};
use super::super::fault::unsupported;
use super::checks::check;
use super::names::{self, DirectoryBlock};
use super::shape::Shape;

const ROOT: u32 = 2;
/// The last inode number that is not for files.
const LAST_RESERVED: u32 = 10;
/// `e2fsck` keeps what it finds without a name here.
const LOST_AND_FOUND: &[u8] = b"lost+found";
/// `mke2fs` gives it this many bytes, so that a repair need not allocate.
const LOST_AND_FOUND_SIZE: usize = 16 << 10;
/// `EXT4_LINK_MAX`.
const MOST_LINKS: u32 = 65_000;

/// A name in a directory.
pub(super) struct Child {
    /// Index of the entry whose name it is.
    pub(super) entry: usize,
    pub(super) number: u32,
    pub(super) kind: u8,
}

/// One inode.
pub(super) struct Node {
    /// Index of the entry that describes it, the first of its names.
    pub(super) entry: usize,
    pub(super) number: u32,
    /// Names; of a directory with `.` and the `..` of its children.
    pub(super) links: u32,
    /// The directory it was first found in.
    pub(super) parent: u32,
    pub(super) children: Vec<Child>,
    /// Attributes that fit behind the inode's fields.
    pub(super) inside: Vec<Attribute>,
    /// Attributes that need a block.
    pub(super) outside: Vec<Attribute>,
    /// A directory's blocks in order; made once the children are known.
    pub(super) blocks: Vec<DirectoryBlock>,
}

impl Node {
    /// `i_links_count`: a directory with too many says 1 (`dir_nlink`).
    pub(super) fn shown_links(&self) -> u16 {
        let links = if self.links > MOST_LINKS {
            1
        } else {
            self.links
        };
        u16::try_from(links).unwrap_or(1)
    }
}

/// All inodes in the order of their numbers; the root first.
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    /// The highest inode number in use; all below are in use too.
    pub(super) last: u32,
}

struct Growing<'a> {
    shape: &'a Shape,
    entries: &'a [Entry],
    nodes: Vec<Node>,
    directories: HashMap<&'a [u8], usize>,
    links: HashMap<u32, usize>,
    next: u32,
    errors: Vec<VolumeError>,
}

impl Tree {
    /// The inodes of `entries`, or everything that stands against them.
    pub(super) fn new(shape: &Shape, entries: &[Entry]) -> Result<Self, Vec<VolumeError>> {
        let has_lost_and_found = entries
            .iter()
            .any(|entry| entry.path == LOST_AND_FOUND && entry.kind == Kind::Directory);
        let mut growing = Growing {
            shape,
            entries,
            nodes: Vec::with_capacity(entries.len()),
            directories: HashMap::new(),
            links: HashMap::new(),
            next: LAST_RESERVED + 1 + u32::from(has_lost_and_found),
            errors: Vec::new(),
        };
        (0..entries.len()).for_each(|index| growing.add(index));
        growing.check_links();
        growing.make_directories();
        if entries.is_empty() {
            growing.refuse("the tree", "it has no root");
        }
        match growing.errors.is_empty() {
            true => Ok(Self {
                nodes: growing.nodes,
                last: growing.next - 1,
            }),
            false => Err(growing.errors),
        }
    }
}

impl<'a> Growing<'a> {
    fn refuse(&mut self, what: impl std::fmt::Display, why: &str) {
        self.errors.push(unsupported(what, why, "capture again"));
    }

    fn add(&mut self, index: usize) {
        let entry = &self.entries[index];
        check(self.shape, entry, &mut self.errors);
        let is_sorted = index == 0 || self.entries[index - 1].path < entry.path;
        if !is_sorted || entry.path.is_empty() != (index == 0) {
            return self.refuse(entry.display_path(), "entries are not in path order");
        }
        let known = entry.link.and_then(|link| self.links.get(&link).copied());
        let parent = entry
            .parent()
            .map(|path| self.directories.get(path).copied());
        let number = match (known, parent) {
            (_, Some(None)) => {
                return self.refuse(entry.display_path(), "the directory it lies in is missing");
            }
            (Some(node), _) => self.nodes[node].number,
            (None, None) => ROOT,
            (None, Some(Some(_))) => self.new_number(entry),
        };
        let parent = parent.flatten();
        match known {
            Some(node) => self.add_name(node, entry),
            None => self.add_node(index, number, parent),
        }
        if let Some(parent) = parent {
            let kind = record_kind(&entry.kind);
            let parent = &mut self.nodes[parent];
            parent.links += u32::from(entry.kind == Kind::Directory);
            parent.children.push(Child {
                entry: index,
                number,
                kind,
            });
        }
    }

    fn new_number(&mut self, entry: &Entry) -> u32 {
        if entry.path == LOST_AND_FOUND && entry.kind == Kind::Directory {
            return LAST_RESERVED + 1;
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }

    fn add_name(&mut self, node: usize, entry: &Entry) {
        let first = &self.entries[self.nodes[node].entry];
        if first.kind != entry.kind || entry.kind == Kind::Directory {
            return self.refuse(
                entry.display_path(),
                "it is a link to another kind of entry",
            );
        }
        self.nodes[node].links += 1;
    }

    fn add_node(&mut self, index: usize, number: u32, parent: Option<usize>) {
        let entry = &self.entries[index];
        let node = self.nodes.len();
        let is_directory = entry.kind == Kind::Directory;
        if is_directory {
            self.directories.insert(&entry.path, node);
        } else if index == 0 {
            self.refuse(entry.display_path(), "the root is not a directory");
        }
        if let Some(link) = entry.link {
            self.links.insert(link, node);
        }
        let (inside, outside) = self.attributes(entry);
        self.nodes.push(Node {
            entry: index,
            number,
            links: if is_directory { 2 } else { 1 },
            parent: parent.map_or(ROOT, |parent| self.nodes[parent].number),
            children: Vec::new(),
            inside,
            outside,
            blocks: Vec::new(),
        });
    }

    fn attributes(&mut self, entry: &Entry) -> (Vec<Attribute>, Vec<Attribute>) {
        let mut attributes = Vec::new();
        for xattr in &entry.xattrs {
            match Attribute::from_portable(xattr) {
                Some(attribute) => attributes.push(attribute),
                None => self.refuse(
                    format!(
                        "{} attribute {}",
                        entry.display_path(),
                        xattr.name.escape_ascii()
                    ),
                    "ext4 cannot hold its name or value",
                ),
            }
        }
        attributes.sort();
        let room = self.shape.attribute_room();
        let divided = xattr::divide(attributes, room, self.shape.block_size);
        divided.unwrap_or_else(|| {
            let what = format!("{} attributes", entry.display_path());
            self.refuse(what, "they take more than a block");
            Default::default()
        })
    }

    fn check_links(&mut self) {
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            let entry = &self.entries[node.entry];
            if node.links > MOST_LINKS && entry.kind != Kind::Directory {
                self.refuse(entry.display_path(), "ext4 holds 65000 names of a file");
            }
        }
    }

    fn make_directories(&mut self) {
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            let entry = &self.entries[node.entry];
            if entry.kind != Kind::Directory {
                continue;
            }
            let least = if entry.path == LOST_AND_FOUND {
                LOST_AND_FOUND_SIZE
            } else {
                0
            };
            match names::encode(self.shape, self.entries, node, least) {
                Some(blocks) => self.nodes[index].blocks = blocks,
                None => self.refuse(entry.display_path(), "it has too many names for one index"),
            }
        }
    }
}

fn record_kind(kind: &Kind) -> u8 {
    match kind {
        Kind::Directory => kind::DIRECTORY,
        Kind::File | Kind::RawVolume => kind::FILE,
        Kind::Symlink(_) => kind::SYMLINK,
        Kind::CharDevice { .. } => kind::CHAR_DEVICE,
        Kind::BlockDevice { .. } => kind::BLOCK_DEVICE,
        Kind::Fifo => kind::FIFO,
        Kind::Socket => kind::SOCKET,
    }
}
