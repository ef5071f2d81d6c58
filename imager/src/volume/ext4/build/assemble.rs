//! All bytes of a volume, from what was decided before.

use std::sync::Arc;

use image_format::entry::{Content, Entry, Kind};

use crate::volume::{Layout, Run, VolumeError, Write};

use super::super::codec::extent::Extent;
use super::super::codec::{journal, xattr};
use super::contents;
use super::extents;
use super::geometry::Geometry;
use super::inodes::{self, Tables};
use super::items::{Item, Payload, Press, Writes};
use super::names::DirectoryBlock;
use super::place::{FAST_TARGET, Place, Places};
use super::shape::Shape;
use super::space::Usage;
use super::superblocks::{self, JOURNAL};
use super::tree::{Node, Tree};

/// The first piece of every volume, written last.
const HEAD: usize = 4096;

struct Assembly<'a> {
    shape: &'a Shape,
    items: Vec<Item>,
    tables: Tables,
}

/// The layout of a tree whose blocks are placed.
pub(super) fn assemble(
    shape: &Shape,
    geometry: &Geometry,
    mut tree: Tree,
    places: &Places,
    entries: &[Entry],
) -> Result<Layout, VolumeError> {
    let tables = Tables::new(shape, geometry, tree.last);
    let mut assembly = Assembly {
        shape,
        items: Vec::new(),
        tables,
    };
    let journal_map = assembly.add_journal(geometry, &places.journal)?;
    let mut runs = vec![Vec::new(); entries.len()];
    let mut directories = vec![0; geometry.groups.len()];
    for (node, place) in tree.nodes.iter_mut().zip(&places.nodes) {
        let entry = &entries[node.entry];
        runs[node.entry] = assembly.add_node(node, entry, place)?;
        let group = ((node.number - 1) / geometry.inodes_per_group) as usize;
        directories[group] += u32::from(entry.kind == Kind::Directory);
    }
    let Assembly {
        mut items, tables, ..
    } = assembly;
    for (table, place) in tables.groups.into_iter().zip(&geometry.groups) {
        let offset = place.inode_table * shape.block();
        items.push(Item {
            offset,
            payload: Payload::Bytes(table),
        });
    }
    let usage = Arc::new(Usage::new(geometry, places.frontier));
    let groups = superblocks::groups(shape, geometry, &usage, tree.last, &directories, &mut items);
    let superblock = superblocks::superblock(shape, geometry, &groups, &journal_map);
    let descriptors = Arc::new(groups.descriptors);
    for group in geometry.backups() {
        let offset = (geometry.start_of(group) + 1) * shape.block();
        let payload = Payload::Shared(Arc::clone(&descriptors));
        items.push(Item { offset, payload });
    }
    let press = Press {
        block_size: shape.block_size,
        usage,
    };
    let mut withheld = vec![take_head(&press, &mut items)];
    for group in geometry.backups() {
        let mut copy = superblock.clone();
        copy.group = u16::try_from(group).unwrap_or(u16::MAX);
        let mut bytes = copy.encode();
        let offset = superblocks::superblock_offset(shape, geometry, group);
        if group == 0 {
            put_in_head(&mut withheld[0].bytes, offset, &bytes);
        } else {
            bytes.resize(shape.block_size, 0);
            withheld.push(Write { offset, bytes });
        }
    }
    Ok(Layout {
        places: runs,
        zeros: Vec::new(),
        metadata: Box::new(Writes::new(press, items)),
        withheld,
    })
}

fn put_in_head(head: &mut [u8], offset: u64, bytes: &[u8]) {
    let at = usize::try_from(offset).unwrap_or(HEAD);
    for (place, byte) in head.iter_mut().skip(at).zip(bytes) {
        *place = *byte;
    }
}

/// Takes everything in the first 4096 bytes out of `items`: with blocks
/// shorter than that, descriptors and bitmaps lie there too.
fn take_head(press: &Press, items: &mut Vec<Item>) -> Write {
    let mut bytes = vec![0; HEAD];
    let all = std::mem::take(items);
    for item in all {
        let Some(room) = usize::try_from(item.offset)
            .ok()
            .and_then(|at| HEAD.checked_sub(at))
        else {
            items.push(item);
            continue;
        };
        if room == 0 {
            items.push(item);
            continue;
        }
        let (made, rest) = press.print(item.payload, room);
        put_in_head(&mut bytes, item.offset, &made);
        let offset = HEAD as u64;
        items.extend(rest.map(|payload| Item { offset, payload }));
    }
    Write { offset: 0, bytes }
}

impl Assembly<'_> {
    fn add_journal(&mut self, geometry: &Geometry, place: &Place) -> Result<[u8; 60], VolumeError> {
        let blocks = geometry.journal_blocks;
        let size = blocks * self.shape.block();
        let map = self.add_map(JOURNAL, place);
        let count = u32::try_from(blocks).unwrap_or(u32::MAX);
        let block_size = u32::try_from(self.shape.block_size).unwrap_or(u32::MAX);
        let head = journal::superblock(block_size, count, &self.shape.uuid);
        self.add_bytes(&place.extents, head, Payload::Bytes);
        // What an earlier system left there must not look like a transaction.
        self.add_zeros(&place.extents, self.shape.block(), size);
        let inode = inodes::journal(self.shape, JOURNAL, place, size, map)?;
        self.tables.put(JOURNAL, &inode);
        Ok(map)
    }

    /// Adds everything of an inode; the answer is where its chunks go.
    fn add_node(
        &mut self,
        node: &mut Node,
        entry: &Entry,
        place: &Place,
    ) -> Result<Vec<Run>, VolumeError> {
        let map = self.add_map(node.number, place);
        let inode = inodes::encode(self.shape, node, entry, place, map)?;
        self.tables.put(node.number, &inode);
        if let Some(block) = place.xattr_block {
            let (size, seed) = (self.shape.block_size, self.shape.seed);
            let bytes = xattr::encode_block(&node.outside, size, block, seed);
            self.add(block, Payload::Bytes(bytes));
        }
        match &entry.kind {
            Kind::Directory => self.add_directory(node, place),
            Kind::Symlink(target) if target.len() >= FAST_TARGET => {
                self.add_bytes(&place.extents, target.clone(), Payload::Padded);
            }
            Kind::File => return Ok(self.add_contents(&entry.content, place)),
            _ => {}
        }
        Ok(Vec::new())
    }

    fn add(&mut self, block: u64, payload: Payload) {
        self.items.push(Item {
            offset: block * self.shape.block(),
            payload,
        });
    }

    fn add_map(&mut self, number: u32, place: &Place) -> [u8; 60] {
        let seed = self.shape.inode_seed(number);
        let (map, blocks) = extents::encode(
            &place.extents,
            &place.tree_blocks,
            self.shape.block_size,
            seed,
        );
        for (block, bytes) in blocks {
            self.add(block, Payload::Bytes(bytes));
        }
        map
    }

    fn add_directory(&mut self, node: &mut Node, place: &Place) {
        let seed = self.shape.inode_seed(node.number);
        let blocks = place
            .extents
            .iter()
            .flat_map(|extent| extent.physical..extent.physical + u64::from(extent.blocks));
        for (content, block) in std::mem::take(&mut node.blocks).into_iter().zip(blocks) {
            let payload = match content {
                DirectoryBlock::Index(bytes) => Payload::Bytes(bytes),
                DirectoryBlock::Leaf(records) => Payload::Leaf(records, seed),
            };
            self.add(block, payload);
        }
    }

    /// Bytes from the start of a file, cut where its extents are.
    fn add_bytes(&mut self, extents: &[Extent], bytes: Vec<u8>, kind: fn(Vec<u8>) -> Payload) {
        let runs = contents::runs(extents, self.shape.block(), 0, bytes.len() as u64);
        let mut bytes = bytes.as_slice();
        for run in runs {
            let length = usize::try_from(run.length)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let (now, rest) = bytes.split_at(length);
            self.items.push(Item {
                offset: run.physical,
                payload: kind(now.to_vec()),
            });
            bytes = rest;
        }
    }

    fn add_zeros(&mut self, extents: &[Extent], from: u64, until: u64) {
        for run in contents::runs(extents, self.shape.block(), from, until) {
            let payload = Payload::Zeros(run.length);
            self.items.push(Item {
                offset: run.physical,
                payload,
            });
        }
    }

    fn add_contents(&mut self, content: &Content, place: &Place) -> Vec<Run> {
        if let Content::Inline(bytes) = content {
            self.add_bytes(&place.extents, bytes.clone(), Payload::Padded);
            return Vec::new();
        }
        let block = self.shape.block();
        let chunks = contents::chunk_bytes(content);
        for (from, until) in contents::gaps(&contents::blocks(content, block), &chunks, block) {
            self.add_zeros(&place.extents, from, until);
        }
        let runs = |&(from, until): &(u64, u64)| contents::runs(&place.extents, block, from, until);
        chunks.iter().flat_map(runs).collect()
    }
}
