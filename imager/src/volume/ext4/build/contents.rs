//! Which bytes of a file are stored, and which blocks that takes.

use image_format::entry::{Content, Piece};

use crate::volume::Run;

use super::super::codec::extent::Extent;

/// Stretches of bytes that come from chunks, ascending and apart: (from, until).
pub(super) fn chunk_bytes(content: &Content) -> Vec<(u64, u64)> {
    let Content::Pieces(pieces) = content else {
        return Vec::new();
    };
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    let mut at = 0;
    for piece in pieces {
        let end = at + piece.length();
        match (piece, stretches.last_mut()) {
            (Piece::Hole { .. }, _) => {}
            (Piece::Chunk { .. }, Some((_, until))) if *until == at => *until = end,
            (Piece::Chunk { .. }, _) => stretches.push((at, end)),
        }
        at = end;
    }
    stretches.retain(|(from, until)| from < until);
    stretches
}

/// Blocks of the file that must exist, ascending and apart: (first, count).
pub(super) fn blocks(content: &Content, block: u64) -> Vec<(u64, u64)> {
    let stretches = match content {
        Content::Empty => Vec::new(),
        Content::Inline(bytes) if bytes.is_empty() => Vec::new(),
        Content::Inline(bytes) => vec![(0, bytes.len() as u64)],
        Content::Pieces(_) => chunk_bytes(content),
    };
    let mut blocks: Vec<(u64, u64)> = Vec::new();
    for (from, until) in stretches {
        let (first, end) = (from / block, until.div_ceil(block));
        match blocks.last_mut() {
            Some((last, count)) if first <= *last + *count => *count = end - *last,
            _ => blocks.push((first, end - first)),
        }
    }
    blocks
}

/// Stretches of bytes in `blocks` that no chunk covers: they must be zeroed.
pub(super) fn gaps(blocks: &[(u64, u64)], chunks: &[(u64, u64)], block: u64) -> Vec<(u64, u64)> {
    let mut gaps = Vec::new();
    let mut chunks = chunks.iter().peekable();
    for &(first, count) in blocks {
        let (mut at, end) = (first * block, (first + count) * block);
        while let Some(&&(from, until)) = chunks.peek() {
            if from >= end {
                break;
            }
            if from > at {
                gaps.push((at, from));
            }
            at = until;
            chunks.next();
        }
        if at < end {
            gaps.push((at, end));
        }
    }
    gaps
}

/// Where the bytes `from..until` of a file lie; all of them must be in `extents`.
pub(super) fn runs(extents: &[Extent], block: u64, from: u64, until: u64) -> Vec<Run> {
    let end_of = |extent: &Extent| (u64::from(extent.logical) + u64::from(extent.blocks)) * block;
    let first = extents.partition_point(|extent| end_of(extent) <= from);
    let mut runs: Vec<Run> = Vec::new();
    for extent in &extents[first..] {
        let start = u64::from(extent.logical) * block;
        if start >= until {
            break;
        }
        let logical = start.max(from);
        let length = end_of(extent).min(until) - logical;
        let physical = extent.physical * block + (logical - start);
        match runs.last_mut() {
            Some(last) if last.physical + last.length == physical => last.length += length,
            _ => runs.push(Run {
                logical,
                physical,
                length,
            }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use image_format::ids::ChunkId;

    use super::*;

    fn content(lengths: &[i64]) -> Content {
        let piece = |length: &i64| match u64::try_from(*length) {
            Ok(length) => Piece::Chunk {
                id: ChunkId::of(b""),
                length: length.try_into().unwrap(),
            },
            Err(_) => Piece::Hole {
                length: length.unsigned_abs(),
            },
        };
        Content::Pieces(lengths.iter().map(piece).collect())
    }

    #[test]
    fn holes_take_blocks_only_where_a_chunk_touches_them() {
        let content = content(&[100, 100, -3996, 1, -20_000, 5]);
        assert_eq!(
            chunk_bytes(&content),
            [(0, 200), (4196, 4197), (24_197, 24_202)]
        );
        let blocks = blocks(&content, 4096);
        assert_eq!(blocks, [(0, 2), (5, 1)]);
        let gaps = gaps(&blocks, &chunk_bytes(&content), 4096);
        assert_eq!(
            gaps,
            [
                (200, 4196),
                (4197, 8192),
                (20_480, 24_197),
                (24_202, 24_576)
            ]
        );
    }

    #[test]
    fn runs_follow_the_extents_and_join_where_they_touch() {
        let extent = |logical, physical, blocks| Extent {
            logical,
            physical,
            blocks,
            written: true,
        };
        let extents = [extent(0, 10, 2), extent(2, 12, 1), extent(3, 50, 4)];
        let found = runs(&extents, 1024, 500, 5000);
        let expected = [(500, 10 * 1024 + 500, 2572), (3072, 50 * 1024, 1928)];
        let shape: Vec<_> = found
            .iter()
            .map(|r| (r.logical, r.physical, r.length))
            .collect();
        assert_eq!(shape, expected);
    }
}
