//! The pieces of a very long file, in chunks of their own.
//!
//! ```text
//! magic 8, version 4, rows 4 | lengths 8 x rows | kinds 1 x rows | chunk ids 32 x rows
//! ```
//! A leaf keeps up to [`DIRECT`] pieces of a file; of a longer one it names lists.

use super::{ManifestError, kinds};
use crate::bytes::{CutOff, Fields};
use crate::entry::Piece;
use crate::ids::ChunkId;

/// A leaf itself keeps so many pieces of a file: of most files one.
pub(super) const DIRECT: usize = 2048;

const MAGIC: [u8; 8] = *b"mimeolst";
const VERSION: u32 = 1;
/// A list is closed after a chunk whose id says so (one in 4096), at most at so many rows.
const CUT_MASK: u16 = 0x0fff;
const ROWS_LEAST: usize = 512;
const ROWS_MOST: usize = 32 << 10;

/// Pieces in the groups that become lists; the same pieces, the same groups.
pub(super) fn groups(pieces: &[Piece]) -> impl Iterator<Item = &[Piece]> {
    let mut rest = pieces;
    std::iter::from_fn(move || {
        let closes = |(row, piece): (usize, &Piece)| {
            row + 1 == ROWS_MOST || (row + 1 >= ROWS_LEAST && cuts(piece))
        };
        let end = rest
            .iter()
            .enumerate()
            .position(closes)
            .map_or(rest.len(), |row| row + 1);
        let (group, after) = rest.split_at(end);
        rest = after;
        (!group.is_empty()).then_some(group)
    })
}

fn cuts(piece: &Piece) -> bool {
    match piece {
        Piece::Hole { .. } => false,
        Piece::Chunk { id, .. } => {
            let [a, b, ..] = *id.as_bytes();
            u16::from_le_bytes([a, b]) & CUT_MASK == 0
        }
    }
}

pub(super) fn encode(pieces: &[Piece]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + pieces.len() * 41);
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend(
        u32::try_from(pieces.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    pieces
        .iter()
        .for_each(|piece| out.extend(piece.length().to_le_bytes()));
    pieces.iter().for_each(|piece| out.push(number(piece).0));
    pieces.iter().for_each(|piece| out.extend(number(piece).1));
    out
}

/// The kind and the id of a piece as columns keep them.
pub(super) fn number(piece: &Piece) -> (u8, [u8; 32]) {
    match piece {
        Piece::Hole { .. } => (kinds::HOLE, [0; 32]),
        Piece::Chunk { id, .. } => (kinds::CHUNK, *id.as_bytes()),
    }
}

/// A piece of a kind, a length and an id, if there can be such a one.
pub(super) fn piece(kind: u8, length: u64, id: [u8; 32]) -> Option<Piece> {
    match (kind, u32::try_from(length)) {
        (kinds::HOLE, _) if id == [0; 32] => Some(Piece::Hole { length }),
        (kinds::CHUNK, Ok(length)) => Some(Piece::Chunk {
            id: ChunkId::new(id),
            length,
        }),
        _ => None,
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Piece>, ManifestError> {
    let mut fields = Fields::new(bytes);
    let (magic, version) = (
        fields.array::<8>().map_err(cut)?,
        fields.u32().map_err(cut)?,
    );
    if magic != MAGIC || version != VERSION {
        return Err(wrong("neither its magic nor its version is known"));
    }
    let rows = usize::try_from(fields.u32().map_err(cut)?).unwrap_or(usize::MAX);
    let column = |width: usize| rows.saturating_mul(width);
    let mut lengths = Fields::new(fields.take(column(8)).map_err(cut)?);
    let mut kinds = Fields::new(fields.take(rows).map_err(cut)?);
    let mut ids = Fields::new(fields.take(column(32)).map_err(cut)?);
    if fields.left() > 0 {
        return Err(wrong("bytes after its last row"));
    }
    let mut next = || -> Result<Piece, ManifestError> {
        let (kind, length) = (kinds.u8().map_err(cut)?, lengths.u64().map_err(cut)?);
        piece(kind, length, ids.array().map_err(cut)?)
            .ok_or(wrong("a row that is neither a hole nor a chunk"))
    };
    (0..rows).map(|_| next()).collect()
}

fn cut(source: CutOff) -> ManifestError {
    ManifestError::CutOff {
        part: "list of pieces",
        source,
    }
}

fn wrong(reason: &'static str) -> ManifestError {
    ManifestError::Row {
        table: "list of pieces",
        reason,
    }
}
