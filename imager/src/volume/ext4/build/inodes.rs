//! The inodes' own bytes, group by group.

use image_format::entry::{Entry, Kind, Times};

use crate::volume::VolumeError;

use super::super::codec::device;
use super::super::codec::inode::{FLAG_EXTENTS, FLAG_INDEX, Inode, format};
use super::super::codec::time;
use super::super::codec::xattr;
use super::super::fault::unsupported;
use super::geometry::Geometry;
use super::names::DirectoryBlock;
use super::place::{FAST_TARGET, Place};
use super::shape::Shape;
use super::tree::Node;

const SECTOR: u64 = 512;
const OWNER_ONLY: u16 = 0o600;

/// Inode tables as far as they are used, whole blocks.
pub(super) struct Tables {
    per_group: u32,
    inode_size: usize,
    /// Bytes of the tables of all groups that have used inodes.
    pub(super) groups: Vec<Vec<u8>>,
}

impl Tables {
    /// Tables for inodes up to number `last`.
    pub(super) fn new(shape: &Shape, geometry: &Geometry, last: u32) -> Self {
        let per_group = geometry.inodes_per_group;
        let table = |group: u32| {
            let used = per_group.min(last - group * per_group);
            vec![0; (used as usize * shape.inode_size).next_multiple_of(shape.block_size)]
        };
        let groups = (0..last.div_ceil(per_group)).map(table).collect();
        Self {
            per_group,
            inode_size: shape.inode_size,
            groups,
        }
    }

    /// Puts inode `number` in its place.
    pub(super) fn put(&mut self, number: u32, bytes: &[u8]) {
        let index = number.saturating_sub(1);
        let at = (index % self.per_group) as usize * self.inode_size;
        let table = self.groups.get_mut((index / self.per_group) as usize);
        if let Some(place) = table.and_then(|table| table.get_mut(at..at + bytes.len())) {
            place.copy_from_slice(bytes);
        }
    }
}

/// The bytes of the inode of `node`, whose map is `map` when it has blocks.
pub(super) fn encode(
    shape: &Shape,
    node: &Node,
    entry: &Entry,
    place: &Place,
    map: [u8; 60],
) -> Result<Vec<u8>, VolumeError> {
    let (format, map, size, own_flags) = match &entry.kind {
        Kind::Directory => {
            let is_indexed = matches!(node.blocks.first(), Some(DirectoryBlock::Index(_)));
            let index = if is_indexed { FLAG_INDEX } else { 0 };
            let size = node.blocks.len() as u64 * shape.block();
            (format::DIRECTORY, map, size, FLAG_EXTENTS | index)
        }
        Kind::File | Kind::RawVolume => (format::FILE, map, entry.content.size(), FLAG_EXTENTS),
        Kind::Symlink(target) if target.len() < FAST_TARGET => {
            let mut fast = [0; 60];
            fast[..target.len()].copy_from_slice(target);
            (format::SYMLINK, fast, target.len() as u64, 0)
        }
        Kind::Symlink(target) => (format::SYMLINK, map, target.len() as u64, FLAG_EXTENTS),
        Kind::CharDevice { major, minor } => {
            (format::CHAR_DEVICE, device::encode(*major, *minor), 0, 0)
        }
        Kind::BlockDevice { major, minor } => {
            (format::BLOCK_DEVICE, device::encode(*major, *minor), 0, 0)
        }
        Kind::Fifo => (format::FIFO, [0; 60], 0, 0),
        Kind::Socket => (format::SOCKET, [0; 60], 0, 0),
    };
    let inode = Inode {
        mode: format | (entry.mode & 0o7777) as u16,
        uid: entry.uid,
        gid: entry.gid,
        size,
        times: entry.times,
        links: node.shown_links(),
        sectors: place.blocks() * (shape.block() / SECTOR),
        flags: entry.flags | own_flags,
        map,
        generation: 0,
        project: 0,
        xattr_block: place.xattr_block.unwrap_or(0),
        tail: xattr::encode_in_inode(&node.inside, shape.attribute_room()),
    };
    sealed(shape, &inode, node.number, &entry.display_path())
}

/// The bytes of the journal's inode.
pub(super) fn journal(
    shape: &Shape,
    number: u32,
    place: &Place,
    size: u64,
    map: [u8; 60],
) -> Result<Vec<u8>, VolumeError> {
    let made = time::decode(shape.made, None);
    let inode = Inode {
        mode: format::FILE | OWNER_ONLY,
        uid: 0,
        gid: 0,
        size,
        times: Times {
            modified: made,
            accessed: made,
            changed: made,
            created: made,
        },
        links: 1,
        sectors: place.blocks() * (shape.block() / SECTOR),
        flags: FLAG_EXTENTS,
        map,
        generation: 0,
        project: 0,
        xattr_block: 0,
        tail: vec![0; shape.attribute_room()],
    };
    sealed(shape, &inode, number, "the journal")
}

fn sealed(shape: &Shape, inode: &Inode, number: u32, what: &str) -> Result<Vec<u8>, VolumeError> {
    inode
        .encode(shape.inode_size, number, shape.seed)
        .ok_or_else(|| unsupported(what, "a time is outside 1901 to 2446", "correct its times"))
}
