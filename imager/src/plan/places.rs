//! Which bytes of the disk each chunk fills, decided before the first arrives.

use std::collections::BTreeMap;

use image_format::entry::{Content, Piece};
use image_format::ids::ChunkId;
use image_format::image::VolumeTree;

use crate::volume::Run;

/// A part of a chunk that lies in one piece on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// First byte in the chunk; 0 begins another place of the chunk.
    pub from: u32,
    /// First byte on the disk.
    pub offset: u64,
    /// Length in bytes, never 0.
    pub length: u32,
}

/// Every place of every chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    by_chunk: BTreeMap<ChunkId, Vec<Stretch>>,
}

impl Places {
    /// The places of a chunk, one after the other: each is a group of
    /// stretches that begins with `from` 0.
    pub fn of(&self, chunk: &ChunkId) -> Option<&[Stretch]> {
        self.by_chunk.get(chunk).map(Vec::as_slice)
    }

    /// All chunks with their places, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&ChunkId, &[Stretch])> {
        self.by_chunk
            .iter()
            .map(|(id, stretches)| (id, stretches.as_slice()))
    }

    /// How many different chunks there are.
    pub fn len(&self) -> usize {
        self.by_chunk.len()
    }

    /// Whether there is nothing to place.
    pub fn is_empty(&self) -> bool {
        self.by_chunk.is_empty()
    }

    /// What all places together say, in one hash.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for (id, stretches) in &self.by_chunk {
            hasher.update(id.as_bytes());
            hasher.update(&(stretches.len() as u64).to_le_bytes());
            for stretch in stretches {
                hasher.update(&stretch.from.to_le_bytes());
                hasher.update(&stretch.offset.to_le_bytes());
                hasher.update(&stretch.length.to_le_bytes());
            }
        }
        *hasher.finalize().as_bytes()
    }

    /// Adds a volume that begins at `start` of the disk with `size` bytes.
    ///
    /// # Errors
    /// What in the layout contradicts the tree or leaves the volume.
    pub(super) fn add(
        &mut self,
        tree: &VolumeTree,
        runs: &[Vec<Run>],
        start: u64,
        size: u64,
    ) -> Result<(), String> {
        if runs.len() != tree.entries.len() {
            return Err(format!(
                "{} places for {} entries",
                runs.len(),
                tree.entries.len()
            ));
        }
        for (entry, runs) in tree.entries.iter().zip(runs) {
            let Content::Pieces(pieces) = &entry.content else {
                continue;
            };
            let mut logical = 0_u64;
            for piece in pieces {
                if let Piece::Chunk { id, length } = *piece {
                    let stretches = self.by_chunk.entry(id).or_default();
                    cut(runs, logical, length, size, |stretch| {
                        stretches.push(Stretch {
                            offset: start + stretch.offset,
                            ..stretch
                        });
                    })
                    .ok_or_else(|| {
                        format!("{}: no place for byte {logical}", entry.display_path())
                    })?;
                }
                logical = logical
                    .checked_add(piece.length())
                    .ok_or_else(|| format!("{}: too long", entry.display_path()))?;
            }
        }
        Ok(())
    }

    /// Whether any two stretches, or a stretch and one of `taken`, overlap;
    /// answers with the disk offset where.
    pub(super) fn collision(&self, taken: impl Iterator<Item = (u64, u64)>) -> Option<u64> {
        let stretches = self.by_chunk.values().flatten();
        let ours = stretches.map(|stretch| (stretch.offset, u64::from(stretch.length)));
        let mut all: Vec<_> = ours
            .chain(taken)
            .filter(|&(_, length)| length > 0)
            .collect();
        all.sort_unstable();
        let meets = |pair: &&[(u64, u64)]| pair[0].0 + pair[0].1 > pair[1].0;
        all.windows(2).find(meets).map(|pair| pair[1].0)
    }
}

/// The stretches of `length` bytes at `logical`; `None` when the runs do not
/// cover them all within a volume of `size` bytes.
fn cut(
    runs: &[Run],
    logical: u64,
    length: u32,
    size: u64,
    mut take: impl FnMut(Stretch),
) -> Option<()> {
    let mut at = runs.partition_point(|run| run.logical.saturating_add(run.length) <= logical);
    let mut from = 0_u32;
    while from < length {
        let position = logical.checked_add(u64::from(from))?;
        let run = runs.get(at)?;
        let skip = position.checked_sub(run.logical)?;
        let there = run.length.checked_sub(skip).filter(|&there| there > 0)?;
        let part = u32::try_from(there).unwrap_or(u32::MAX).min(length - from);
        let offset = run.physical.checked_add(skip)?;
        if offset.checked_add(u64::from(part))? > size {
            return None;
        }
        take(Stretch {
            from,
            offset,
            length: part,
        });
        from += part;
        at += 1;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use image_format::entry::{Entry, Kind};

    use super::*;

    fn run(logical: u64, physical: u64, length: u64) -> Run {
        Run {
            logical,
            physical,
            length,
        }
    }

    fn one_file(pieces: Vec<Piece>) -> VolumeTree {
        let mut entry = Entry::new("file", Kind::File);
        entry.content = Content::Pieces(pieces);
        VolumeTree {
            partition: 0,
            entries: vec![entry],
        }
    }

    #[test]
    fn chunk_across_two_runs_has_two_stretches() {
        let id = ChunkId::of(b"a");
        let tree = one_file(vec![
            Piece::Hole { length: 100 },
            Piece::Chunk { id, length: 50 },
        ]);
        let mut places = Places::default();
        let runs = [vec![run(100, 1000, 30), run(130, 5000, 20)]];
        places.add(&tree, &runs, 10_000, 6000).unwrap();
        let expected = [
            Stretch {
                from: 0,
                offset: 11_000,
                length: 30,
            },
            Stretch {
                from: 30,
                offset: 15_000,
                length: 20,
            },
        ];
        assert_eq!(places.of(&id), Some(expected.as_slice()));
        assert_eq!(places.collision([(11_029, 1)].into_iter()), Some(11_029));
        assert_eq!(places.collision([(11_030, 1)].into_iter()), None);
    }

    #[test]
    fn chunk_without_a_place_or_outside_the_volume_is_told() {
        let id = ChunkId::of(b"a");
        let tree = one_file(vec![Piece::Chunk { id, length: 50 }]);
        for runs in [
            vec![],
            vec![run(0, 0, 49)],
            vec![run(1, 0, 50)],
            vec![run(0, 90, 50)],
        ] {
            assert!(Places::default().add(&tree, &[runs], 0, 100).is_err());
        }
    }
}
