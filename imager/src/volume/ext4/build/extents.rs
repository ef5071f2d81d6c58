//! Extents of a file: cut from what was handed out, and the tree over them.

use super::super::codec::extent::{self, Extent, IN_INODE, LONGEST, Node, Pointer, capacity};

/// Continues `extents` at block `logical` with `pieces`; `None` beyond 2^32 blocks.
pub(super) fn extend(
    extents: &mut Vec<Extent>,
    mut logical: u64,
    pieces: &[(u64, u64)],
) -> Option<()> {
    for &(start, count) in pieces {
        let mut done = 0;
        while done < count {
            let blocks = u64::from(LONGEST).min(count - done);
            extents.push(Extent {
                logical: u32::try_from(logical).ok()?,
                physical: start + done,
                blocks: u32::try_from(blocks).ok()?,
                written: true,
            });
            logical += blocks;
            done += blocks;
        }
    }
    Some(())
}

/// How many blocks the tree over `extents` extents takes outside the inode.
pub(super) fn tree_blocks(extents: usize, block_size: usize) -> u64 {
    let mut total = 0;
    let mut level = extents;
    while level > IN_INODE {
        level = level.div_ceil(capacity(block_size));
        total += level as u64;
    }
    total
}

/// The inode's map and the tree's blocks at the places in `blocks`, which are
/// as many as [`tree_blocks`] says.
pub(super) fn encode(
    extents: &[Extent],
    blocks: &[u64],
    block_size: usize,
    inode_seed: u32,
) -> ([u8; 60], Vec<(u64, Vec<u8>)>) {
    let limit = capacity(block_size);
    let mut places = blocks.iter().copied();
    let mut written = Vec::new();
    let mut store = |node: &Node, logical: u32| {
        let block = places.next().unwrap_or_default();
        let mut bytes = node.encode(block_size, limit);
        extent::seal(&mut bytes, inode_seed);
        written.push((block, bytes));
        Pointer { logical, block }
    };
    let mut top = Node::Leaf(extents.to_vec());
    if extents.len() > IN_INODE {
        let leaves = extents.chunks(limit);
        let mut pointers: Vec<Pointer> = leaves
            .map(|part| store(&Node::Leaf(part.to_vec()), part[0].logical))
            .collect();
        let mut depth = 1;
        while pointers.len() > IN_INODE {
            let level = pointers.chunks(limit).map(|part| {
                store(
                    &Node::Inner {
                        depth,
                        pointers: part.to_vec(),
                    },
                    part[0].logical,
                )
            });
            pointers = level.collect();
            depth += 1;
        }
        top = Node::Inner { depth, pointers };
    }
    let mut map = [0; 60];
    map.copy_from_slice(&top.encode(60, IN_INODE));
    (map, written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_pieces_are_cut_and_trees_take_the_blocks_they_said() {
        let mut extents = Vec::new();
        extend(&mut extents, 5, &[(100, 70_000), (200_000, 1)]).unwrap();
        let shape: Vec<_> = extents
            .iter()
            .map(|e| (e.logical, e.physical, e.blocks))
            .collect();
        let expected = [
            (5, 100, LONGEST),
            (32_773, 32_868, LONGEST),
            (65_541, 65_636, 4464),
            (70_005, 200_000, 1),
        ];
        assert_eq!(shape, expected);
        for count in [0, 4, 5, 84, 85, 84 * 4, 84 * 4 + 1, 84 * 84 * 4 + 1] {
            let many = vec![extents[0]; count];
            let blocks: Vec<u64> = (1..=tree_blocks(count, 1024)).collect();
            let (_, written) = encode(&many, &blocks, 1024, 0);
            assert_eq!(written.len(), blocks.len());
        }
    }
}
