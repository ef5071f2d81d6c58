//! Where directories, attributes, files and the journal go.

use image_format::entry::{Entry, Kind};

use super::super::codec::extent::Extent;
use super::contents;
use super::extents;
use super::geometry::Geometry;
use super::shape::Shape;
use super::space::Space;
use super::tree::{Node, Tree};

/// Targets shorter than this live in the inode's map.
pub(super) const FAST_TARGET: usize = 60;

/// Blocks of one inode.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pub(super) extents: Vec<Extent>,
    pub(super) tree_blocks: Vec<u64>,
    pub(super) xattr_block: Option<u64>,
}

impl Place {
    /// All blocks it takes.
    pub(super) fn blocks(&self) -> u64 {
        let data: u64 = self
            .extents
            .iter()
            .map(|extent| u64::from(extent.blocks))
            .sum();
        data + self.tree_blocks.len() as u64 + u64::from(self.xattr_block.is_some())
    }
}

/// Places of everything, the inodes' in the order of the tree's nodes.
pub(super) struct Places {
    pub(super) journal: Place,
    pub(super) nodes: Vec<Place>,
    /// Every block below is in use.
    pub(super) frontier: u64,
}

/// Places everything in `geometry`; the error is how many blocks are missing.
pub(super) fn place(
    shape: &Shape,
    geometry: &Geometry,
    tree: &Tree,
    entries: &[Entry],
) -> Result<Places, u64> {
    let mut space = Space::of(geometry);
    let (journal, nodes) = fill(shape, geometry.journal_blocks, tree, entries, &mut space);
    match space.missing {
        0 => Ok(Places {
            journal,
            nodes,
            frontier: space.frontier(),
        }),
        missing => Err(missing),
    }
}

/// Blocks the tree takes with a journal of `journal_blocks` when nothing
/// stands in the way.
pub(super) fn demand(shape: &Shape, journal_blocks: u64, tree: &Tree, entries: &[Entry]) -> u64 {
    let mut space = Space::endless();
    fill(shape, journal_blocks, tree, entries, &mut space);
    space.given
}

/// The journal, then what is read first after a start (directories, links,
/// attributes), then the files in path order.
fn fill(
    shape: &Shape,
    journal_blocks: u64,
    tree: &Tree,
    entries: &[Entry],
    space: &mut Space,
) -> (Place, Vec<Place>) {
    let mut journal = Place::default();
    take(shape, &mut journal, &[(0, journal_blocks)], space);
    let mut places = vec![Place::default(); tree.nodes.len()];
    for (place, node) in places.iter_mut().zip(&tree.nodes) {
        place_metadata(shape, node, &entries[node.entry], place, space);
    }
    for (place, node) in places.iter_mut().zip(&tree.nodes) {
        let blocks = contents::blocks(&entries[node.entry].content, shape.block());
        take(shape, place, &blocks, space);
    }
    (journal, places)
}

fn place_metadata(shape: &Shape, node: &Node, entry: &Entry, place: &mut Place, space: &mut Space) {
    let blocks = match &entry.kind {
        Kind::Directory => node.blocks.len() as u64,
        Kind::Symlink(target) if target.len() >= FAST_TARGET => 1,
        _ => 0,
    };
    take(shape, place, &[(0, blocks)], space);
    if !node.outside.is_empty() {
        place.xattr_block = space.take(1).first().map(|&(block, _)| block);
    }
}

fn take(shape: &Shape, place: &mut Place, blocks: &[(u64, u64)], space: &mut Space) {
    if blocks.iter().all(|&(_, count)| count == 0) {
        return;
    }
    for &(first, count) in blocks {
        let pieces = space.take(count);
        // Entries longer than 2^32 blocks were refused before.
        if extents::extend(&mut place.extents, first, &pieces).is_none() {
            space.missing += count;
        }
    }
    let needed = extents::tree_blocks(place.extents.len(), shape.block_size);
    let pieces = space.take(needed);
    place.tree_blocks = pieces
        .iter()
        .flat_map(|&(start, count)| start..start + count)
        .collect();
}
