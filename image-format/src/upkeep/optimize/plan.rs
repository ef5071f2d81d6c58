//! Which chunks stay plain, and which are told by their difference to a newer version.
//!
//! Images are walked from the newest to the oldest. The first file met under a
//! path is its newest version: its chunks are plain, because the newest image is
//! the one that is deployed, and must open without a second fetch. What older
//! versions have beside it is compressed against it. So a base is never based.
//!
//! A path that no newer image has is looked for once more with its numbers left
//! out: `lib/modules/6.12.9/ext4.ko` continues `lib/modules/6.12.8/ext4.ko`.

use std::collections::{HashMap, HashSet};

use super::bases::{self, Version};
use super::{OptimizeError, Step};
use crate::entry::{Content, Entry, Piece};
use crate::ids::{ChunkId, ChunkRef};
use crate::image::ImageRecord;
use crate::lane::LaneKey;
use crate::share::Share;
use crate::store::Store;

/// So many files that differ only in numbers are remembered as ancestors.
const LOOSE_MAX: usize = 16;

/// A chunk of an older version, with what it may be compressed against.
#[derive(Debug, Clone)]
pub(super) struct Delta {
    pub(super) chunk: ChunkRef,
    /// At most 16 and 8 MiB together, in the order of the newer file.
    pub(super) bases: Vec<ChunkRef>,
}

/// Everything to be rewritten, if it was not yet.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Chunks that stay plain, with their lane.
    pub(super) plain: HashMap<ChunkId, LaneKey>,
    /// Chunks of older versions: in order of lane, then path, then place in the file.
    pub(super) deltas: Vec<Delta>,
}

/// The hash of a path, of which eight bytes are enough to be alone.
type PathKey = u64;

/// The newest version of a path.
struct Newest {
    image: usize,
    version: Version,
}

#[derive(Default)]
struct Walk {
    plan: Plan,
    files: Vec<Newest>,
    exact: HashMap<PathKey, usize>,
    loose: HashMap<PathKey, Vec<usize>>,
    /// Older files: path (for order), newest version and own pieces.
    older: Vec<(Vec<u8>, usize, Version)>,
}

/// Walks every image of a share.
pub(super) fn plan<S: Store>(share: &Share<S>, step: &mut Step<'_>) -> Result<Plan, OptimizeError> {
    let mut walk = Walk::default();
    let mut seen = HashSet::new();
    for (number, record) in newest_first(share).iter().enumerate() {
        step.asked_to_stop()?;
        if seen.insert(record.image) {
            walk.image(share, number, record)?;
        }
    }
    Ok(walk.finish())
}

fn newest_first<S: Store>(share: &Share<S>) -> Vec<ImageRecord> {
    let mut records: Vec<ImageRecord> = share.records().cloned().collect();
    records.sort_by(|one, other| {
        let key = |record: &ImageRecord| (record.captured, record.sequence, record.image);
        key(other).cmp(&key(one))
    });
    records
}

impl Walk {
    fn image<S: Store>(
        &mut self,
        share: &Share<S>,
        number: usize,
        record: &ImageRecord,
    ) -> Result<(), OptimizeError> {
        let volumes = share.root(&record.image)?.volumes.len();
        let mut contents = HashSet::new();
        for volume in 0..volumes {
            for entry in share.entries(&record.image, volume)? {
                let entry = entry?;
                let Content::Pieces(pieces) = &entry.content else {
                    continue;
                };
                let version = Version::of(pieces);
                contents.extend(version.pieces.iter().map(|piece| piece.chunk.id));
                self.file(number, volume, &entry, version);
            }
        }
        // The manifest's own parts are never based: they are read first.
        for chunk in share.image_chunks(record)? {
            if !contents.contains(&chunk.id) {
                self.plan.plain.insert(chunk.id, LaneKey::manifest());
            }
        }
        Ok(())
    }

    fn file(&mut self, image: usize, volume: usize, entry: &Entry, version: Version) {
        let exact = key(volume, &entry.path);
        let loose = key(volume, &without_numbers(&entry.path));
        let newer = self
            .exact
            .get(&exact)
            .copied()
            .or_else(|| self.ancestor(image, loose, &version));
        match newer {
            Some(file) => {
                self.exact.insert(exact, file);
                self.older.push((entry.path.clone(), file, version));
            }
            None => {
                let lane = LaneKey::of(&entry.path);
                for piece in &version.pieces {
                    let kept = self.plan.plain.entry(piece.chunk.id);
                    kept.or_insert_with(|| lane.clone());
                }
                let file = self.files.len();
                self.files.push(Newest { image, version });
                self.exact.insert(exact, file);
                let alike = self.loose.entry(loose).or_default();
                if alike.len() < LOOSE_MAX {
                    alike.push(file);
                }
            }
        }
    }

    /// The file of a newer image that differs in numbers only, the nearest in length.
    fn ancestor(&self, image: usize, loose: PathKey, version: &Version) -> Option<usize> {
        let alike = self.loose.get(&loose)?.iter().copied();
        let newer = alike.filter(|file| self.files.get(*file).is_some_and(|of| of.image < image));
        newer.min_by_key(|file| {
            let newer = self.files.get(*file).map_or(0, |of| of.version.length);
            newer.abs_diff(version.length)
        })
    }

    fn finish(mut self) -> Plan {
        // As in lanes: what lies together in blocks is told together.
        let order = |path: &[u8]| (LaneKey::of(path), path.to_vec());
        self.older.sort_by_cached_key(|older| order(&older.0));
        let mut told = HashSet::new();
        for (path, file, version) in &self.older {
            let Some(newest) = self.files.get(*file) else {
                continue;
            };
            let fresh = |chunk: &ChunkRef| !self.plan.plain.contains_key(&chunk.id);
            for (chunk, bases) in bases::choose(version, &newest.version, &fresh) {
                if !told.insert(chunk.id) {
                    continue;
                }
                if bases.is_empty() {
                    let lane = LaneKey::of(path);
                    self.plan.plain.insert(chunk.id, lane);
                } else {
                    self.plan.deltas.push(Delta { chunk, bases });
                }
            }
        }
        self.plan
    }
}

fn key(volume: usize, path: &[u8]) -> PathKey {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(volume as u64).to_le_bytes());
    hasher.update(path);
    let mut key = [0; 8];
    hasher.finalize_xof().fill(&mut key);
    u64::from_le_bytes(key)
}

/// A path with each run of digits as one `#`.
fn without_numbers(path: &[u8]) -> Vec<u8> {
    let mut left = Vec::with_capacity(path.len());
    for byte in path {
        if !byte.is_ascii_digit() {
            left.push(*byte);
        } else if left.last() != Some(&b'#') {
            left.push(b'#');
        }
    }
    left
}

impl Version {
    pub(super) fn of(pieces: &[Piece]) -> Self {
        let mut version = Self::default();
        for piece in pieces {
            match *piece {
                Piece::Chunk { id, length } => version.push(ChunkRef { id, length }),
                Piece::Hole { length } => version.length = version.length.saturating_add(length),
            }
        }
        version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_differ_in_numbers_are_alike() {
        assert_eq!(
            without_numbers(b"lib/modules/6.12.9-amd64/ext4.ko"),
            without_numbers(b"lib/modules/6.12.10-amd64/ext4.ko")
        );
        assert_ne!(without_numbers(b"a1b"), without_numbers(b"ab"));
    }
}
