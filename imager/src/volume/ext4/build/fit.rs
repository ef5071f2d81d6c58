//! Which skeleton a tree fits into, and the smallest one.

use image_format::entry::Entry;

use super::super::codec::journal::FEWEST_BLOCKS;
use super::geometry::{Geometry, Thrift};
use super::place::{Places, demand, place};
use super::shape::Shape;
use super::tree::Tree;

/// Where the search for the smallest size ends: ext4 has 2^48 blocks.
const MOST_BLOCKS: u64 = 1 << 48;
/// Every round adds at least a block; more than a few are not seen.
const ROUNDS: u64 = 64;

/// The most generous skeleton of `size` bytes that holds the tree.
pub(super) fn fit(
    shape: &Shape,
    tree: &Tree,
    entries: &[Entry],
    size: u64,
) -> Option<(Geometry, Places)> {
    [Thrift::Usual, Thrift::Frugal, Thrift::WholeGroups]
        .into_iter()
        .find_map(|thrift| {
            let geometry = Geometry::new(shape, size, tree.last, thrift)?;
            let places = place(shape, &geometry, tree, entries).ok()?;
            Some((geometry, places))
        })
}

/// The smallest size in bytes that [`fit`] takes.
pub(super) fn least_size(shape: &Shape, tree: &Tree, entries: &[Entry]) -> u64 {
    let smooth = demand(shape, FEWEST_BLOCKS, tree, entries);
    // Gaps cut files into more extents, and those need blocks of their own.
    let sizes = (smooth..smooth + ROUNDS).map(|needed| smallest(shape, tree.last, needed));
    let mut last = 0;
    for size in sizes {
        last = size;
        if fit(shape, tree, entries, size).is_some() {
            break;
        }
    }
    last
}

/// The smallest size in bytes whose skeleton leaves `needed` blocks free.
fn smallest(shape: &Shape, inodes: u32, needed: u64) -> u64 {
    let is_enough = |blocks: u64| {
        [Thrift::Frugal, Thrift::WholeGroups]
            .into_iter()
            .any(|thrift| {
                Geometry::new(shape, blocks * shape.block(), inodes, thrift)
                    .is_some_and(|geometry| geometry.free() >= needed)
            })
    };
    let (mut low, mut high) = (needed, needed.max(1) * 2);
    while !is_enough(high) && high < MOST_BLOCKS {
        (low, high) = (high, high * 2);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if is_enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    high * shape.block()
}
