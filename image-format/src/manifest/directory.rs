//! The directory of a volume: which leaf holds which paths.
//!
//! ```text
//! magic 8, version 4, leaves 4, then for each leaf:
//! rows 4, chunk length 4, chunk id 32, path length 4, first path
//! ```
//! Whoever looks for one path reads the directory and one leaf.

use super::ManifestError;
use crate::bytes::{CutOff, Fields};
use crate::chunker::MAX_CHUNK;
use crate::ids::{ChunkId, ChunkRef};

const MAGIC: [u8; 8] = *b"mimeodir";
const VERSION: u32 = 1;
const HEADER: usize = 16;
const ROW: usize = 44;
/// A part is closed after a leaf whose id says so, so that versions of an
/// image share parts: one in 256.
const CUT_MASK: u8 = 0xff;
/// And at so many bytes at the latest.
const PART_MAX: usize = 1 << 20;

/// One leaf as the directory lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafRef {
    /// The path of its first entry.
    pub first: Vec<u8>,
    /// How many entries it has.
    pub rows: u32,
    /// Its chunk.
    pub chunk: ChunkRef,
}

/// Leaves in path order become parts.
#[derive(Debug, Default)]
pub(super) struct PartWriter {
    leaves: Vec<LeafRef>,
    bytes: usize,
}

impl PartWriter {
    /// Takes the next leaf and gives back a part that is full now.
    pub(super) fn push(&mut self, leaf: LeafRef) -> Option<Vec<u8>> {
        let [.., last] = *leaf.chunk.id.as_bytes();
        self.bytes += ROW + leaf.first.len();
        self.leaves.push(leaf);
        (last & CUT_MASK == 0 || self.bytes >= PART_MAX)
            .then(|| self.close())
            .flatten()
    }

    /// What is left, if anything.
    pub(super) fn close(&mut self) -> Option<Vec<u8>> {
        self.bytes = 0;
        let leaves = std::mem::take(&mut self.leaves);
        (!leaves.is_empty()).then(|| encode(&leaves))
    }
}

fn encode(leaves: &[LeafRef]) -> Vec<u8> {
    // Both counts are far below 2^32: a part has about a MiB.
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = Vec::with_capacity(HEADER + leaves.len() * (ROW + 64));
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend(number(leaves.len()));
    for leaf in leaves {
        out.extend(leaf.rows.to_le_bytes());
        out.extend(leaf.chunk.length.to_le_bytes());
        out.extend(leaf.chunk.id.as_bytes());
        out.extend(number(leaf.first.len()));
        out.extend(&leaf.first);
    }
    out
}

/// The leaves a part lists.
///
/// # Errors
/// It is no part of a directory, or its leaves are not in order.
pub fn decode(bytes: &[u8]) -> Result<Vec<LeafRef>, ManifestError> {
    let mut fields = Fields::new(bytes);
    let (magic, version) = (
        fields.array::<8>().map_err(cut)?,
        fields.u32().map_err(cut)?,
    );
    if magic != MAGIC || version != VERSION {
        return Err(wrong("neither its magic nor its version is known"));
    }
    let count = fields.u32().map_err(cut)?;
    let mut leaves: Vec<LeafRef> = Vec::new();
    for _ in 0..count {
        let leaf = leaf(&mut fields)?;
        if leaves
            .last()
            .is_some_and(|before| before.first >= leaf.first)
        {
            return Err(wrong("its leaves are not in path order"));
        }
        leaves.push(leaf);
    }
    if fields.left() > 0 {
        return Err(wrong("bytes after its last leaf"));
    }
    Ok(leaves)
}

fn leaf(fields: &mut Fields<'_>) -> Result<LeafRef, ManifestError> {
    let (rows, length) = (fields.u32().map_err(cut)?, fields.u32().map_err(cut)?);
    let id = ChunkId::new(fields.array().map_err(cut)?);
    let path = fields.u32().map_err(cut)?;
    let first = fields
        .take(usize::try_from(path).unwrap_or(usize::MAX))
        .map_err(cut)?
        .to_vec();
    if rows == 0 || length == 0 || length as usize > MAX_CHUNK {
        return Err(wrong(
            "a leaf without entries, or with an impossible length",
        ));
    }
    Ok(LeafRef {
        first,
        rows,
        chunk: ChunkRef { id, length },
    })
}

fn cut(source: CutOff) -> ManifestError {
    ManifestError::CutOff {
        part: "directory",
        source,
    }
}

fn wrong(reason: &'static str) -> ManifestError {
    ManifestError::Row {
        table: "directory",
        reason,
    }
}
