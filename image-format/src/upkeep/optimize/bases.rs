//! Which chunks of the newer version stand where an older chunk stood.
//!
//! Chunks that both versions have are fixed points: between two of them an old
//! place is moved by as much as the point before it was. Around the place so
//! found, pieces of the newer file are taken, the nearest first, as far as a
//! block's bounds allow.

use std::collections::HashMap;

use crate::block::{MAX_BASE_BYTES, MAX_BASES};
use crate::ids::{ChunkId, ChunkRef};

/// How far around the place bytes are taken in, at most. With less than the
/// bound of a block, neighbours can share one.
const REACH: u64 = 2 << 20;

/// A chunk at its place in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) chunk: ChunkRef,
    pub(super) at: u64,
}

/// A file's chunks in order; holes lie between them.
#[derive(Debug, Clone, Default)]
pub(super) struct Version {
    pub(super) pieces: Vec<Placed>,
    pub(super) length: u64,
}

impl Version {
    pub(super) fn push(&mut self, chunk: ChunkRef) {
        let at = self.length;
        self.pieces.push(Placed { chunk, at });
        self.length = at.saturating_add(u64::from(chunk.length));
    }
}

/// The `fresh` chunks of `old`, each with its bases in `newer`; none where nothing is near.
pub(super) fn choose(
    old: &Version,
    newer: &Version,
    fresh: &dyn Fn(&ChunkRef) -> bool,
) -> Vec<(ChunkRef, Vec<ChunkRef>)> {
    let places: HashMap<ChunkId, u64> = newer
        .pieces
        .iter()
        .map(|piece| (piece.chunk.id, piece.at))
        .collect();
    let mut chosen = Vec::new();
    // The last fixed point: there and here.
    let mut point = (0, 0);
    for piece in &old.pieces {
        if let Some(at) = places.get(&piece.chunk.id) {
            point = (piece.at, *at);
        }
        if fresh(&piece.chunk) {
            let place = point.1.saturating_add(piece.at - point.0);
            // A file that became much shorter has nothing there any more.
            let place = place.min(newer.length);
            chosen.push((piece.chunk, around(newer, place, piece.chunk.length)));
        }
    }
    chosen
}

/// Pieces within reach of the place, the nearest first until a bound is met, in file order.
fn around(newer: &Version, place: u64, length: u32) -> Vec<ChunkRef> {
    let (from, to) = (place, place.saturating_add(u64::from(length)));
    let first = newer.pieces.partition_point(|piece| {
        let end = piece.at.saturating_add(u64::from(piece.chunk.length));
        end.saturating_add(REACH) <= from
    });
    let mut near: Vec<(u64, Placed)> = newer
        .pieces
        .iter()
        .skip(first)
        .take_while(|piece| piece.at < to.saturating_add(REACH))
        .map(|piece| {
            let middle = piece.at.saturating_add(u64::from(piece.chunk.length) / 2);
            (middle.abs_diff(from.midpoint(to)), *piece)
        })
        .collect();
    near.sort_by_key(|(distance, piece)| (*distance, piece.at));
    let (mut taken, mut bytes) = (Vec::new(), 0_u32);
    for (_, piece) in near {
        let all = bytes.saturating_add(piece.chunk.length);
        if all <= MAX_BASE_BYTES && taken.len() < MAX_BASES as usize {
            bytes = all;
            taken.push(piece);
        }
    }
    taken.sort_by_key(|piece| piece.at);
    let mut chunks: Vec<ChunkRef> = taken.iter().map(|piece| piece.chunk).collect();
    chunks.dedup();
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: u32, length: u32) -> ChunkRef {
        ChunkRef {
            id: ChunkId::of(&name.to_le_bytes()),
            length,
        }
    }

    fn version(chunks: &[(u32, u32)]) -> Version {
        let mut version = Version::default();
        chunks
            .iter()
            .for_each(|(name, length)| version.push(chunk(*name, *length)));
        version
    }

    #[test]
    fn small_file_is_told_by_its_newer_version() {
        let (old, newer) = (version(&[(1, 1000)]), version(&[(2, 2000)]));
        let chosen = choose(&old, &newer, &|_| true);
        assert_eq!(chosen, [(chunk(1, 1000), vec![chunk(2, 2000)])]);
        assert!(choose(&old, &newer, &|_| false).is_empty());
        assert!(choose(&old, &Version::default(), &|_| true)[0].1.is_empty());
    }

    #[test]
    fn chunk_behind_a_shared_one_is_looked_for_where_that_went() {
        let mib = 1 << 20;
        // Fifty pieces were put in front of the shared piece 7.
        let old = version(&[(1, mib), (7, mib), (2, mib)]);
        let mut pieces: Vec<(u32, u32)> = (100..150).map(|name| (name, mib)).collect();
        pieces.extend([(7, mib), (3, mib), (4, mib)]);
        let newer = version(&pieces);
        let chosen = choose(&old, &newer, &|at| at.id == chunk(2, mib).id);
        assert_eq!(chosen.len(), 1);
        assert!(chosen[0].1.contains(&chunk(3, mib)));
        assert!(chosen[0].1.contains(&chunk(7, mib)));
        assert!(!chosen[0].1.contains(&chunk(100, mib)));
    }

    #[test]
    fn bases_keep_to_a_blocks_bounds() {
        let many: Vec<(u32, u32)> = (0..1000).map(|name| (name, 65_536)).collect();
        let large: Vec<(u32, u32)> = (0..20).map(|name| (name, 4 << 20)).collect();
        for pieces in [many, large] {
            let newer = version(&pieces);
            let old = version(&[(5000, 4 << 20), (5001, 4 << 20), (5002, 1)]);
            for (_, bases) in choose(&old, &newer, &|_| true) {
                let bytes: u32 = bases.iter().map(|base| base.length).sum();
                assert!(!bases.is_empty() && bases.len() <= 16 && bytes <= MAX_BASE_BYTES);
            }
        }
    }
}
