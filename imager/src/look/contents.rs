//! The bytes of one file, from any place in it.

use std::io::Write;

use image_format::entry::{Content, Piece};
use image_format::ids::ChunkRef;
use image_format::share::{Share, ShareError};
use image_format::store::Store;

use super::LookError;

/// Holes are written out this many bytes at a time.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A file's contents with the place of every piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    size: u64,
    inline: Vec<u8>,
    /// First byte and piece, ascending, without gaps.
    pieces: Vec<(u64, Piece)>,
}

impl Contents {
    /// Prepares to read `content`.
    pub fn new(content: Content) -> Self {
        let size = content.size();
        let (inline, pieces) = match content {
            Content::Empty => (Vec::new(), Vec::new()),
            Content::Inline(bytes) => (bytes, Vec::new()),
            Content::Pieces(pieces) => {
                let mut start: u64 = 0;
                let place = |piece: Piece| {
                    let at = start;
                    start = start.saturating_add(piece.length());
                    (at, piece)
                };
                (Vec::new(), pieces.into_iter().map(place).collect())
            }
        };
        Self {
            size,
            inline,
            pieces,
        }
    }

    /// Length in bytes, holes included.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that are not holes.
    pub fn stored(&self) -> u64 {
        let chunks = self.pieces.iter().map(|(_, piece)| match piece {
            Piece::Chunk { length, .. } => u64::from(*length),
            Piece::Hole { .. } => 0,
        });
        chunks.fold(self.inline.len() as u64, u64::saturating_add)
    }

    /// The bytes kept in the manifest itself; empty when there are pieces.
    pub(super) fn inline(&self) -> &[u8] {
        &self.inline
    }

    /// First byte and piece, ascending, without gaps.
    pub(super) fn pieces(&self) -> &[(u64, Piece)] {
        &self.pieces
    }

    /// Fills `buffer` from `offset` on and says how much there was; `chunk`
    /// gets the bytes of a chunk, from a cache if it likes.
    ///
    /// # Errors
    /// What `chunk` fails with.
    pub fn read_at<B: AsRef<[u8]>>(
        &self,
        offset: u64,
        buffer: &mut [u8],
        chunk: &mut dyn FnMut(&ChunkRef) -> Result<B, ShareError>,
    ) -> Result<usize, ShareError> {
        let room = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = buffer.len().min(room);
        let mut buffer = buffer.get_mut(..length).unwrap_or_default();
        copy(&self.inline, offset, &mut buffer);
        let mut at = offset;
        for (start, piece) in self.from(offset) {
            if buffer.is_empty() {
                break;
            }
            let within = at.saturating_sub(*start);
            let left = piece.length().saturating_sub(within);
            let part = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let (head, tail) = std::mem::take(&mut buffer).split_at_mut(part);
            match *piece {
                Piece::Hole { .. } => head.fill(0),
                Piece::Chunk { id, length } => {
                    let bytes = chunk(&ChunkRef { id, length })?;
                    copy(bytes.as_ref(), within, &mut &mut *head);
                }
            }
            buffer = tail;
            at = at.saturating_add(part as u64);
        }
        Ok(length)
    }

    /// Hands all bytes on in order, holes as zeros.
    ///
    /// # Errors
    /// The share cannot answer, or `out` does not take it.
    pub fn write_to<S: Store>(
        &self,
        share: &Share<S>,
        out: &mut dyn Write,
    ) -> Result<(), LookError> {
        out.write_all(&self.inline).map_err(LookError::Output)?;
        for (_, piece) in &self.pieces {
            match *piece {
                Piece::Hole { length } => zeros(out, length)?,
                Piece::Chunk { id, length } => {
                    let bytes = share.chunk(&ChunkRef { id, length })?;
                    out.write_all(&bytes).map_err(LookError::Output)?;
                }
            }
        }
        out.flush().map_err(LookError::Output)
    }

    /// The first byte from `offset` on that is not in a hole (`SEEK_DATA`);
    /// `None` behind the last.
    pub fn next_data(&self, offset: u64) -> Option<u64> {
        if offset < self.inline.len() as u64 {
            return Some(offset);
        }
        let data = |(_, piece): &&(u64, Piece)| matches!(piece, Piece::Chunk { .. });
        let (start, _) = self.from(offset).find(data)?;
        Some(offset.max(*start))
    }

    /// The first byte from `offset` on that is in a hole (`SEEK_HOLE`); the end
    /// of the file counts as one. `None` behind the end.
    pub fn next_hole(&self, offset: u64) -> Option<u64> {
        if offset >= self.size {
            return None;
        }
        let hole = |(_, piece): &&(u64, Piece)| matches!(piece, Piece::Hole { .. });
        let found = self.from(offset).find(hole);
        Some(found.map_or(self.size, |(start, _)| offset.max(*start)))
    }

    /// The pieces from the one that holds `offset` on.
    fn from(&self, offset: u64) -> impl Iterator<Item = &(u64, Piece)> {
        let after = self.pieces.partition_point(|(start, _)| *start <= offset);
        let first = after.saturating_sub(1);
        let here = self.pieces.get(first..).unwrap_or_default().iter();
        here.skip_while(move |(start, piece)| start.saturating_add(piece.length()) <= offset)
    }
}

/// Copies what `bytes` has from `offset` on, and moves `buffer` behind it.
fn copy(bytes: &[u8], offset: u64, buffer: &mut &mut [u8]) {
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    let bytes = bytes.get(from..).unwrap_or_default();
    let part = bytes.len().min(buffer.len());
    let (head, tail) = std::mem::take(buffer).split_at_mut(part);
    head.copy_from_slice(bytes.get(..part).unwrap_or_default());
    *buffer = tail;
}

fn zeros(out: &mut dyn Write, length: u64) -> Result<(), LookError> {
    let mut left = length;
    while left > 0 {
        let part = ZEROS.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let bytes = ZEROS.get(..part).unwrap_or_default();
        out.write_all(bytes).map_err(LookError::Output)?;
        left = left.saturating_sub(part as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use image_format::ids::ChunkId;

    use super::*;

    /// hole 10, "hello", hole 3, "world!", and what each byte reads as.
    fn sparse() -> (Contents, HashMap<ChunkId, Vec<u8>>, Vec<u8>) {
        let mut chunks = HashMap::new();
        let mut chunk = |bytes: &[u8]| {
            let id = ChunkId::of(bytes);
            chunks.insert(id, bytes.to_vec());
            let length = u32::try_from(bytes.len()).unwrap();
            Piece::Chunk { id, length }
        };
        let hole = |length| Piece::Hole { length };
        let pieces = vec![hole(10), chunk(b"hello"), hole(3), chunk(b"world!")];
        let all = [&[0; 10][..], b"hello", &[0; 3], b"world!"].concat();
        (Contents::new(Content::Pieces(pieces)), chunks, all)
    }

    #[test]
    fn every_range_reads_as_the_whole_does() {
        let (contents, chunks, all) = sparse();
        assert_eq!((contents.size(), contents.stored()), (24, 11));
        let get = &mut |at: &ChunkRef| Ok(chunks[&at.id].clone());
        for from in 0..30 {
            for length in 0..30 {
                let mut buffer = vec![0xee; length];
                let offset = u64::try_from(from).unwrap();
                let found = contents.read_at(offset, &mut buffer, get).unwrap();
                let expected = all.get(from..all.len().min(from + length)).unwrap_or(&[]);
                assert_eq!(&buffer[..found], expected, "{length} from {from}");
            }
        }
    }

    #[test]
    fn data_and_holes_are_found_where_they_are() {
        let (contents, _, _) = sparse();
        let data: Vec<_> = [0, 9, 10, 14, 15, 18, 23, 24]
            .map(|at| contents.next_data(at))
            .into();
        let expected = [10, 10, 10, 14, 18, 18, 23].map(Some);
        assert_eq!(data[..7], expected);
        assert_eq!(data[7], None);
        let holes = [0, 9, 10, 15, 17, 18, 23].map(|at| contents.next_hole(at));
        assert_eq!(holes, [0, 9, 15, 15, 17, 24, 24].map(Some));
        assert_eq!(contents.next_hole(24), None);
    }

    #[test]
    fn inline_contents_read_and_end() {
        let contents = Contents::new(Content::Inline(b"small".to_vec()));
        let mut buffer = [0; 8];
        let none = &mut |_: &ChunkRef| -> Result<Vec<u8>, ShareError> { unreachable!() };
        assert_eq!(contents.read_at(2, &mut buffer, none).unwrap(), 3);
        assert_eq!(&buffer[..3], b"all");
        assert_eq!(
            (contents.next_data(4), contents.next_data(5)),
            (Some(4), None)
        );
        assert_eq!(contents.next_hole(0), Some(5));
    }
}
