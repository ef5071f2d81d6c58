//! Witnesses: what tells a later capture that a file is as it was.
//!
//! They stand beside an image, not in it: eight bytes an entry, in the order of
//! the entries, one chunk for each leaf, and a list that names these chunks.
//!
//! ```text
//! magic 8, version 4, volumes 4, then for each volume:
//! leaves 4, leaves x (chunk id 32, length 4); length 0: no witness in this leaf
//! ```

use super::ManifestError;
use crate::bytes::{CutOff, Fields};
use crate::chunker::MAX_CHUNK;
use crate::entry::Timestamp;
use crate::ids::{ChunkId, ChunkRef};

const MAGIC: [u8; 8] = *b"mimeowit";
const VERSION: u32 = 1;
/// Bytes of a witness.
pub(crate) const WIDTH: usize = 8;

/// A hash of what a file system says of a file. All zeros: not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Witness(pub [u8; WIDTH]);

impl Witness {
    /// The witness of a file with this inode number, size in bytes and times.
    pub fn of(inode: u64, size: u64, modified: Timestamp, changed: Timestamp) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("mimeo 2026 witness 1");
        hasher.update(&inode.to_le_bytes());
        hasher.update(&size.to_le_bytes());
        for time in [modified, changed] {
            hasher.update(&time.seconds.to_le_bytes());
            hasher.update(&time.nanoseconds.to_le_bytes());
        }
        let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
        Self([a, b, c, d, e, f, g, h])
    }

    /// Whether two say the same and are to be trusted.
    pub fn confirms(&self, other: &Self) -> bool {
        self == other && *self != Self::default()
    }
}

/// The list; `None` when no entry has a witness, or they are too many for one chunk.
pub(super) fn encode(volumes: &[Vec<ChunkRef>]) -> Option<Vec<u8>> {
    if volumes.iter().flatten().all(|leaf| leaf.length == 0) {
        return None;
    }
    let mut out = Vec::new();
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend(u32::try_from(volumes.len()).ok()?.to_le_bytes());
    for leaves in volumes {
        out.extend(u32::try_from(leaves.len()).ok()?.to_le_bytes());
        for leaf in leaves {
            let id = if leaf.length == 0 {
                [0; 32]
            } else {
                *leaf.id.as_bytes()
            };
            out.extend(id);
            out.extend(leaf.length.to_le_bytes());
        }
    }
    (out.len() <= MAX_CHUNK).then_some(out)
}

/// Of every volume the chunks with witnesses, one for each leaf.
///
/// # Errors
/// It is no such list.
pub fn decode(bytes: &[u8]) -> Result<Vec<Vec<ChunkRef>>, ManifestError> {
    let mut fields = Fields::new(bytes);
    let (magic, version) = (
        fields.array::<8>().map_err(cut)?,
        fields.u32().map_err(cut)?,
    );
    if magic != MAGIC || version != VERSION {
        return Err(wrong("neither its magic nor its version is known"));
    }
    let row = |fields: &mut Fields<'_>| -> Result<ChunkRef, ManifestError> {
        let (id, length) = (fields.array().map_err(cut)?, fields.u32().map_err(cut)?);
        if length as usize > MAX_CHUNK || !length.is_multiple_of(8) {
            return Err(wrong("a chunk that cannot hold witnesses"));
        }
        Ok(ChunkRef {
            id: ChunkId::new(id),
            length,
        })
    };
    let volumes = fields.u32().map_err(cut)?;
    let mut all = Vec::new();
    for _ in 0..volumes {
        let leaves = fields.u32().map_err(cut)?;
        all.push(
            (0..leaves)
                .map(|_| row(&mut fields))
                .collect::<Result<_, _>>()?,
        );
    }
    if fields.left() > 0 {
        return Err(wrong("bytes after its last row"));
    }
    Ok(all)
}

fn cut(source: CutOff) -> ManifestError {
    ManifestError::CutOff {
        part: "list of witnesses",
        source,
    }
}

fn wrong(reason: &'static str) -> ManifestError {
    ManifestError::Row {
        table: "list of witnesses",
        reason,
    }
}
