//! Directory index blocks (kernel documentation, "Hash Tree Directories").
//!
//! Written, and checked when read: readers find every name in the leaves.

use super::checksum::crc;
use super::directory::kind;
use super::fields::{get16, get32, length16, put16, put32};
use super::hash::HALF_MD4;

/// Bytes before the records of the root: `.`, `..` and eight of information.
const ROOT_HEAD: usize = 32;
/// Bytes before the records of an inner node: one empty directory record.
const NODE_HEAD: usize = 8;
const RECORD: usize = 8;
const TAIL: usize = 8;
const DOT_LENGTH: u16 = 12;

/// Where names from a hash on are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Branch {
    /// Lowest hash below; bit 0 says that it began in the block before.
    pub(crate) hash: u32,
    /// Block of the directory.
    pub(crate) block: u32,
}

/// How many branches the root holds.
pub(crate) fn root_limit(block_size: usize) -> usize {
    (block_size - ROOT_HEAD - TAIL) / RECORD
}

/// How many branches an inner node holds.
pub(crate) fn node_limit(block_size: usize) -> usize {
    (block_size - NODE_HEAD - TAIL) / RECORD
}

/// The first block of an indexed directory; `inner` says that its branches
/// are inner nodes and not leaves.
pub(crate) fn root(
    own: u32,
    parent: u32,
    branches: &[Branch],
    inner: bool,
    block_size: usize,
    inode_seed: u32,
) -> Vec<u8> {
    let mut block = vec![0; block_size];
    put32(&mut block, 0, own);
    put16(&mut block, 4, DOT_LENGTH);
    block[6..9].copy_from_slice(&[1, kind::DIRECTORY, b'.']);
    put32(&mut block, 12, parent);
    put16(
        &mut block,
        16,
        length16(block_size - usize::from(DOT_LENGTH)),
    );
    block[18..22].copy_from_slice(&[2, kind::DIRECTORY, b'.', b'.']);
    block[28..31].copy_from_slice(&[HALF_MD4, 8, u8::from(inner)]);
    put_branches(
        &mut block,
        ROOT_HEAD,
        root_limit(block_size),
        branches,
        inode_seed,
    );
    block
}

/// An inner node.
pub(crate) fn node(branches: &[Branch], block_size: usize, inode_seed: u32) -> Vec<u8> {
    let mut block = vec![0; block_size];
    put16(&mut block, 4, length16(block_size));
    put_branches(
        &mut block,
        NODE_HEAD,
        node_limit(block_size),
        branches,
        inode_seed,
    );
    block
}

/// The hash of the first branch is not stored: its place holds limit and count.
fn put_branches(block: &mut [u8], head: usize, limit: usize, branches: &[Branch], seed: u32) {
    for (branch, at) in branches.iter().zip((head..).step_by(RECORD)) {
        put32(block, at, branch.hash);
        put32(block, at + 4, branch.block);
    }
    put16(block, head, length16(limit));
    put16(block, head + 2, length16(branches.len()));
    let summed = crc(seed, &block[..head + branches.len() * RECORD]);
    // The tail itself counts as eight zero bytes.
    let sum = crc(summed, &[0; TAIL]);
    put32(block, head + limit * RECORD + 4, sum);
}

/// Whether a block of an indexed directory belongs to the index and not to its
/// leaves; `first` says that it is the directory's first (kernel
/// `__ext4_read_dirblock`). A root that the kernel made of a leaf still has the
/// leaf's tail behind its records: the shape of the tail says nothing.
pub(crate) fn is_index(block: &[u8], first: bool) -> bool {
    first || get16(block, 4).is_some_and(|length| is_whole(length, block.len()))
}

fn is_whole(length: u16, block_size: usize) -> bool {
    length == length16(block_size) || block_size == 1 << 16 && matches!(length, 0 | 0xffff)
}

/// Whether the sum of an index block is right; `None` when it is not one.
pub(crate) fn is_sealed(block: &[u8], inode_seed: u32) -> Option<bool> {
    let head = head(block)?;
    let limit = usize::from(get16(block, head)?);
    let count = usize::from(get16(block, head + 2)?);
    let tail = head + limit * RECORD;
    let reserved = block.get(tail..tail + TAIL / 2)?;
    let stored = get32(block, tail + TAIL / 2)?;
    let summed = block.get(..head + count * RECORD)?;
    let sum = crc(crc(crc(inode_seed, summed), reserved), &[0; TAIL / 2]);
    Some(count <= limit && sum == stored)
}

/// Where the records of an index block begin (kernel `get_dx_countlimit`).
fn head(block: &[u8]) -> Option<usize> {
    let length = get16(block, 4)?;
    if is_whole(length, block.len()) {
        return Some(NODE_HEAD);
    }
    let rest = length16(block.len().checked_sub(usize::from(DOT_LENGTH))?);
    let is_root = length == DOT_LENGTH
        && get16(block, 16)? == rest
        && get32(block, 24)? == 0
        && *block.get(29)? == 8;
    is_root.then_some(ROOT_HEAD)
}

#[cfg(test)]
mod tests {
    use super::super::directory;
    use super::*;

    #[test]
    fn sums_of_index_blocks_are_found_right_and_every_flip_wrong() {
        let branches = [5, 6, 7].map(|block| Branch {
            hash: block << 20,
            block,
        });
        let whole = root(12, 2, &branches, false, 1024, 77);
        for (block, summed) in [
            (whole, ROOT_HEAD + 3 * RECORD),
            (node(&branches, 1024, 77), NODE_HEAD + 3 * RECORD),
        ] {
            assert_eq!(is_sealed(&block, 77), Some(true));
            assert_eq!(is_sealed(&block, 78), Some(false));
            for at in 0..summed {
                let mut wrong = block.clone();
                wrong[at] ^= 1;
                assert_ne!(is_sealed(&wrong, 77), Some(true), "{at}");
            }
            for length in 0..1024 {
                assert_ne!(is_sealed(&block[..length], 77), Some(true));
            }
        }
    }

    #[test]
    fn a_root_with_the_tail_of_the_leaf_it_was_is_sound() {
        let branches = [Branch { hash: 0, block: 1 }];
        let mut block = root(12, 2, &branches, false, 1024, 77);
        // What the kernel leaves there: the first four bytes of its tail are
        // the last of the leaf's mark.
        block[1012..1020].copy_from_slice(&[0, 0, 0, 0, 12, 0, 0, 0xde]);
        let summed = crc(77, &block[..ROOT_HEAD + RECORD]);
        let sum = crc(crc(summed, &[12, 0, 0, 0xde]), &[0; 4]);
        put32(&mut block, 1020, sum);
        assert_eq!(is_sealed(&block, 77), Some(true));
        assert_eq!(directory::is_sealed(&block, 77), Some(false));
        assert!(is_index(&block, true));
    }
}
