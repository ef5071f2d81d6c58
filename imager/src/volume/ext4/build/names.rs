//! A directory's names as blocks: one block plain, more of them indexed.

use image_format::entry::Entry;

use super::super::codec::directory::{self, Record, kind};
use super::super::codec::hash::half_md4;
use super::super::codec::htree::{self, Branch};
use super::shape::Shape;
use super::tree::Node;

/// Leaves of an index are left a tenth free, so that the first name added
/// does not have to split one.
const FILLED_TENTHS: usize = 9;

/// A block of a directory.
pub(super) enum DirectoryBlock {
    /// An index node, complete.
    Index(Vec<u8>),
    /// Records; [`directory::finish`] makes a block of them.
    Leaf(Vec<u8>),
}

/// The blocks of `node` in order, at least `least` bytes when it needs no
/// index; `None` for more names than two levels of index reach.
pub(super) fn encode(
    shape: &Shape,
    entries: &[Entry],
    node: &Node,
    least: usize,
) -> Option<Vec<DirectoryBlock>> {
    let mut records = Vec::new();
    for (name, inode) in [(&b"."[..], node.number), (b"..", node.parent)] {
        directory::push(
            &mut records,
            &Record {
                inode,
                kind: kind::DIRECTORY,
                name,
            },
        );
    }
    let children = node.children.iter().map(|child| Record {
        inode: child.number,
        kind: child.kind,
        name: entries[child.entry].name(),
    });
    let rooms = children
        .clone()
        .map(|record| directory::room_for(record.name));
    if records.len() + rooms.sum::<usize>() > directory::room_in(shape.block_size) {
        return indexed(shape, node, children.collect());
    }
    children.for_each(|record| directory::push(&mut records, &record));
    let mut blocks = vec![DirectoryBlock::Leaf(records)];
    let wanted = least.div_ceil(shape.block_size).max(1);
    blocks.resize_with(wanted, || DirectoryBlock::Leaf(Vec::new()));
    Some(blocks)
}

fn indexed(shape: &Shape, node: &Node, children: Vec<Record<'_>>) -> Option<Vec<DirectoryBlock>> {
    let mut hashed: Vec<(u32, Record<'_>)> = children
        .into_iter()
        .map(|record| (half_md4(record.name, &shape.hash_seed), record))
        .collect();
    hashed.sort_by_key(|(hash, _)| *hash);
    let leaves = leaves(
        &hashed,
        directory::room_in(shape.block_size) * FILLED_TENTHS / 10,
    );
    let (root_limit, node_limit) = (
        htree::root_limit(shape.block_size),
        htree::node_limit(shape.block_size),
    );
    let inner_count = match leaves.len() <= root_limit {
        true => 0,
        false => leaves.len().div_ceil(node_limit),
    };
    if inner_count > root_limit {
        return None;
    }
    let number_of = |index: usize| u32::try_from(index).ok();
    let branches = (inner_count + 1..)
        .zip(&leaves)
        .map(|(block, (hash, _))| {
            Some(Branch {
                hash: *hash,
                block: number_of(block)?,
            })
        })
        .collect::<Option<Vec<_>>>()?;
    let seed = shape.inode_seed(node.number);
    let root = |branches: &[Branch]| {
        let is_inner = inner_count > 0;
        htree::root(
            node.number,
            node.parent,
            branches,
            is_inner,
            shape.block_size,
            seed,
        )
    };
    let mut blocks = Vec::with_capacity(1 + inner_count + leaves.len());
    if inner_count == 0 {
        blocks.push(DirectoryBlock::Index(root(&branches)));
    } else {
        let parts: Vec<&[Branch]> = branches.chunks(node_limit).collect();
        let upper = (1..)
            .zip(&parts)
            .map(|(block, part)| Branch {
                hash: part[0].hash,
                block,
            })
            .collect::<Vec<_>>();
        blocks.push(DirectoryBlock::Index(root(&upper)));
        let inner = parts
            .iter()
            .map(|part| htree::node(part, shape.block_size, seed));
        blocks.extend(inner.map(DirectoryBlock::Index));
    }
    blocks.extend(
        leaves
            .into_iter()
            .map(|(_, records)| DirectoryBlock::Leaf(records)),
    );
    Some(blocks)
}

/// Sorted names in leaves of up to `room` bytes, each with its lowest hash;
/// bit 0 set when names of that hash are also in the leaf before.
fn leaves(hashed: &[(u32, Record<'_>)], room: usize) -> Vec<(u32, Vec<u8>)> {
    let mut leaves: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut before = None;
    for (hash, record) in hashed {
        let fits = |records: &Vec<u8>| records.len() + directory::room_for(record.name) <= room;
        match leaves.last_mut() {
            Some((_, records)) if fits(records) => directory::push(records, record),
            _ => {
                let goes_on = u32::from(before == Some(*hash));
                let mut records = Vec::new();
                directory::push(&mut records, record);
                leaves.push((hash | goes_on, records));
            }
        }
        before = Some(*hash);
    }
    leaves
}
