//! Files that wait for blocks, and which parts of them.

use image_format::entry::{Content, Entry, Piece};
use image_format::fetch::MissingChunk;

use super::run::Run;
use crate::tree::error::TreeError;
use crate::tree::place::{Deposit, FileRow, FolderId, PlaceError, Rows, Temper, text};

/// What of a file lies there.
pub(super) enum Have {
    /// Nothing: it is made.
    Nothing,
    /// It is there, as long as it must be; these pieces of it are right.
    Right(Vec<bool>),
}

/// Notes a file that waits for blocks, and which parts of them.
pub(super) fn note(
    run: &Run<'_>,
    rows: &mut Rows,
    entry: &Entry,
    (folder, name): (FolderId, u32),
    have: Have,
) -> Result<(), TreeError> {
    let Content::Pieces(pieces) = &entry.content else {
        return Ok(());
    };
    let file = u32::try_from(rows.files.len()).map_err(|_| PlaceError::TooMany)?;
    let temper = rows.temper(Temper::of(entry)).ok_or(PlaceError::TooMany)?;
    let (mut at, mut parts, mut holes) = (0_u64, 0_u32, false);
    for (index, piece) in pieces.iter().enumerate() {
        let is_right = matches!(&have, Have::Right(right) if right.get(index) == Some(&true));
        match *piece {
            Piece::Hole { .. } => holes = true,
            Piece::Chunk { .. } if is_right => {}
            Piece::Chunk { id, length } => {
                let (place, chunk) = (run.blocks.find)(&id).ok_or(MissingChunk { id })?;
                if chunk.length != length {
                    return Err(TreeError::ChunkLength {
                        chunk: id,
                        path: text(&entry.path),
                        expected: length,
                        found: chunk.length,
                    });
                }
                let block = rows.block(&place).ok_or(PlaceError::TooMany)?;
                let from = chunk.offset;
                rows.deposits.push(Deposit {
                    block,
                    from,
                    length,
                    file,
                    at,
                    chunk: id,
                });
                parts = parts.checked_add(1).ok_or(PlaceError::TooMany)?;
            }
        }
        at = at.saturating_add(piece.length());
    }
    rows.files.push(FileRow {
        folder,
        name,
        temper,
        modified: entry.times.modified,
        accessed: entry.times.accessed,
        size: at,
        parts,
        holes,
        exists: matches!(have, Have::Right(_)),
    });
    Ok(())
}
