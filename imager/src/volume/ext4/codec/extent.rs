//! Extent tree nodes (kernel documentation, "Extent Tree").

use super::checksum::crc;
use super::fields::{get16, get32, high32, join, length16, low16, low32, put16, put32};

const MAGIC: u16 = 0xf30a;
const HEADER: usize = 12;
const RECORD: usize = 12;
const SUM: usize = 4;
/// Blocks one extent can cover; longer lengths mean "allocated, never written".
pub(crate) const LONGEST: u32 = 1 << 15;
/// Records in the inode's own node.
pub(crate) const IN_INODE: usize = 4;
/// The kernel's limit on levels.
pub(crate) const DEEPEST: u16 = 5;

/// A stretch of a file's blocks in one piece on the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// First block in the file.
    pub(crate) logical: u32,
    /// First block on the volume.
    pub(crate) physical: u64,
    /// How many.
    pub(crate) blocks: u32,
    /// Written at least once; what is not reads as zeros.
    pub(crate) written: bool,
}

/// A pointer to a node one level down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// First block in the file that the node speaks of.
    pub(crate) logical: u32,
    /// Where the node lies on the volume.
    pub(crate) block: u64,
}

/// One node of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// Level 0.
    Leaf(Vec<Extent>),
    /// Any other level.
    Inner {
        /// Distance to the leaves.
        depth: u16,
        /// Its children.
        pointers: Vec<Pointer>,
    },
}

/// How many records a node of `length` bytes with a sum at its end holds.
pub(crate) fn capacity(length: usize) -> usize {
    (length - HEADER - SUM) / RECORD
}

impl Node {
    /// The node in `bytes` (an inode's map or a block).
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let count = usize::from(get16(bytes, 2)?);
        let limit = usize::from(get16(bytes, 4)?);
        let depth = get16(bytes, 6)?;
        let fits = HEADER + limit * RECORD <= bytes.len();
        if get16(bytes, 0)? != MAGIC || count > limit || !fits || depth > DEEPEST {
            return None;
        }
        let records = bytes.get(HEADER..)?.chunks_exact(RECORD).take(count);
        if depth > 0 {
            let pointers = records.map(decode_pointer).collect::<Option<_>>()?;
            return Some(Self::Inner { depth, pointers });
        }
        Some(Self::Leaf(
            records.map(decode_extent).collect::<Option<_>>()?,
        ))
    }

    /// The node in `length` bytes with room for `limit` records, without a sum.
    /// The caller has made sure that the records fit.
    pub(crate) fn encode(&self, length: usize, limit: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let (depth, count) = match self {
            Self::Leaf(extents) => (0, extents.len()),
            Self::Inner { depth, pointers } => (*depth, pointers.len()),
        };
        put16(&mut bytes, 0, MAGIC);
        put16(&mut bytes, 2, length16(count));
        put16(&mut bytes, 4, length16(limit));
        put16(&mut bytes, 6, depth);
        let records = bytes[HEADER..].chunks_exact_mut(RECORD);
        match self {
            Self::Leaf(extents) => {
                records
                    .zip(extents)
                    .for_each(|(record, extent)| encode_extent(record, extent));
            }
            Self::Inner { pointers, .. } => {
                records
                    .zip(pointers)
                    .for_each(|(record, pointer)| encode_pointer(record, pointer));
            }
        }
        bytes
    }
}

/// Puts the sum behind the records of a node in a block of its own.
pub(crate) fn seal(block: &mut [u8], inode_seed: u32) {
    let place = HEADER + capacity(block.len()) * RECORD;
    let sum = crc(inode_seed, &block[..place]);
    put32(block, place, sum);
}

/// Whether a block's sum is right.
pub(crate) fn is_sealed(block: &[u8], inode_seed: u32) -> bool {
    let limit = get16(block, 4).map_or(0, usize::from);
    let place = HEADER + limit * RECORD;
    match (block.get(..place), get32(block, place)) {
        (Some(summed), Some(stored)) => crc(inode_seed, summed) == stored,
        _ => false,
    }
}

fn decode_extent(record: &[u8]) -> Option<Extent> {
    let length = u32::from(get16(record, 4)?);
    let written = length <= LONGEST;
    Some(Extent {
        logical: get32(record, 0)?,
        physical: join(get32(record, 8)?, u32::from(get16(record, 6)?)),
        blocks: if written { length } else { length - LONGEST },
        written,
    })
}

fn encode_extent(record: &mut [u8], extent: &Extent) {
    put32(record, 0, extent.logical);
    let length = extent.blocks + if extent.written { 0 } else { LONGEST };
    put16(record, 4, low16(length));
    put16(record, 6, low16(high32(extent.physical)));
    put32(record, 8, low32(extent.physical));
}

fn decode_pointer(record: &[u8]) -> Option<Pointer> {
    let block = join(get32(record, 4)?, u32::from(get16(record, 8)?));
    Some(Pointer {
        logical: get32(record, 0)?,
        block,
    })
}

fn encode_pointer(record: &mut [u8], pointer: &Pointer) {
    put32(record, 0, pointer.logical);
    put32(record, 4, low32(pointer.block));
    put16(record, 8, low16(high32(pointer.block)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_survive_their_bytes_and_their_sum_notices_a_flip() {
        let extent = |logical, blocks, written| Extent {
            logical,
            physical: 1 << 40,
            blocks,
            written,
        };
        let leaf = Node::Leaf(vec![extent(0, LONGEST, true), extent(LONGEST, 7, false)]);
        let pointers = vec![Pointer {
            logical: 9,
            block: 3 << 33,
        }];
        let inner = Node::Inner { depth: 2, pointers };
        for node in [leaf, inner] {
            let mut block = node.encode(1024, capacity(1024));
            assert_eq!(Node::decode(&block).as_ref(), Some(&node));
            seal(&mut block, 5);
            assert!(is_sealed(&block, 5));
            block[13] ^= 1;
            assert!(!is_sealed(&block, 5));
            assert_eq!(Node::decode(&node.encode(60, IN_INODE)), Some(node));
        }
    }

    #[test]
    fn a_node_with_more_records_than_room_is_refused() {
        let mut bytes = Node::Leaf(Vec::new()).encode(60, IN_INODE);
        put16(&mut bytes, 2, 5);
        assert_eq!(Node::decode(&bytes), None);
        put16(&mut bytes, 4, 5);
        assert_eq!(Node::decode(&bytes), None);
    }
}
