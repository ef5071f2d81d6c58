//! Directory index blocks (kernel documentation, "Hash Tree Directories").
//!
//! Only written: readers find every name in the leaves.

use super::checksum::crc;
use super::directory::kind;
use super::fields::{length16, put16, put32};
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
