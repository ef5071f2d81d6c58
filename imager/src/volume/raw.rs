//! A volume nobody reads as files: every piece that is not zero, at its place.

use image_format::entry::{Content, Entry, Kind, Piece};
use image_format::image::VolumeTree;
use image_format::layout::{Partition, Volume};

use super::used::{PIECE, Used};
use super::{Builder, Data, Found, Layout, Reader, Run, VolumeError, Write};
use crate::disk::Disk;

/// Bytes looked at in one read.
const WINDOW: u64 = 4 << 20;
/// Zeros are written in windows of this many bytes.
const ZEROS: u64 = 1 << 20;

/// Reads any volume as one entry, [`Kind::RawVolume`], at the empty path.
pub struct RawReader<'disk> {
    disk: &'disk dyn Disk,
    /// Where data may be; everywhere when nobody knows.
    used: Option<Used>,
}

impl<'disk> RawReader<'disk> {
    /// A reader of `disk`; nothing is read yet.
    pub fn new(disk: &'disk dyn Disk) -> Self {
        Self { disk, used: None }
    }

    /// A reader that leaves out the pieces the volume itself calls free.
    pub fn within(disk: &'disk dyn Disk, used: Used) -> Self {
        let used = Some(used);
        Self { disk, used }
    }

    fn may_hold_data(&self, offset: u64, length: u64) -> bool {
        let used = self.used.as_ref();
        used.is_none_or(|used| used.touches(offset, length))
    }

    /// Whether every byte is zero; stops at the first that is not.
    ///
    /// # Errors
    /// When the medium fails.
    pub fn is_empty(&self) -> Result<bool, VolumeError> {
        let mut empty = true;
        self.scan(&mut |_, _| {
            empty = false;
            false
        })?;
        Ok(empty)
    }

    fn runs(&self) -> Result<Vec<Run>, VolumeError> {
        let mut runs: Vec<Run> = Vec::new();
        self.scan(&mut |start, length| {
            match runs.last_mut() {
                Some(last) if last.logical + last.length == start => last.length += length,
                _ => runs.push(Run {
                    logical: start,
                    physical: start,
                    length,
                }),
            }
            true
        })?;
        Ok(runs)
    }

    /// Hands every piece that is not zero to `found`, ascending, until it says no.
    fn scan(&self, found: &mut dyn FnMut(u64, u64) -> bool) -> Result<(), VolumeError> {
        let failed = |offset| {
            move |source| VolumeError::Read {
                what: "raw volume",
                offset,
                source,
            }
        };
        let size = self.disk.size();
        let mut buffer = Vec::new();
        let mut done = 0;
        for (from, length) in self.disk.data_ranges().map_err(failed(0))? {
            let end = from.saturating_add(length).min(size);
            let mut at = (from - from % PIECE).max(done);
            while at < end {
                let take = WINDOW.min(size - at);
                if !self.may_hold_data(at, take) {
                    at += take;
                    continue;
                }
                buffer.resize(usize::try_from(take).unwrap_or(0), 0);
                self.disk.read_at(at, &mut buffer).map_err(failed(at))?;
                let pieces = buffer.chunks(usize::try_from(PIECE).unwrap_or(1));
                for (place, piece) in (0..).map(|number| at + number * PIECE).zip(pieces) {
                    let length = piece.len() as u64;
                    let is_data = piece.iter().any(|&byte| byte != 0);
                    if is_data && self.may_hold_data(place, length) && !found(place, length) {
                        return Ok(());
                    }
                }
                at += take;
            }
            done = done.max(at);
        }
        Ok(())
    }
}

impl Reader for RawReader<'_> {
    fn volume(&self) -> Volume {
        Volume::Raw
    }

    fn entries(&self) -> Result<Vec<Found>, VolumeError> {
        let data = Data::Runs {
            size: self.disk.size(),
            runs: self.runs()?,
        };
        let entry = Entry::new(Vec::new(), Kind::RawVolume);
        Ok(vec![Found::new(entry, data)])
    }
}

/// Puts every piece back where it was and zeros where the holes were.
#[derive(Debug)]
pub struct RawBuilder;

impl Builder for RawBuilder {
    fn lay_out(
        &self,
        partition: &Partition,
        tree: &VolumeTree,
        size: u64,
        _: u32,
    ) -> Result<Layout, Vec<VolumeError>> {
        if partition.volume != Volume::Raw {
            return Err(vec![super::not_for("raw", &partition.volume)]);
        }
        let needed = self.least_size(partition, tree);
        if size < needed {
            return Err(vec![VolumeError::TooSmall { needed, size }]);
        }
        let mut metadata: Vec<Filling> = Vec::new();
        let mut places = Vec::new();
        for entry in &tree.entries {
            if entry.kind != Kind::RawVolume || tree.entries.len() > 1 {
                return Err(vec![VolumeError::Unsupported {
                    what: entry.display_path(),
                    why: String::from("a raw volume has one entry and no files"),
                    next: String::from("lay files over a volume whose file system is understood"),
                }]);
            }
            places.push(place(&entry.content, 0, &mut metadata));
        }
        let hole = |filling: &Filling| match *filling {
            Filling::Zeros { offset, length } => Some((offset, length)),
            Filling::Bytes(_) => None,
        };
        let zeros = metadata.iter().filter_map(hole).collect();
        metadata.retain(|filling| hole(filling).is_none());
        let writes = metadata.into_iter().flat_map(Filling::writes);
        Ok(Layout {
            places,
            zeros,
            metadata: Box::new(writes),
            withheld: Vec::new(),
        })
    }

    fn least_size(&self, _: &Partition, tree: &VolumeTree) -> u64 {
        tree.entries
            .iter()
            .map(|entry| entry.content.size())
            .max()
            .unwrap_or(0)
    }
}

/// Bytes that do not come from chunks.
pub(super) enum Filling {
    Zeros { offset: u64, length: u64 },
    Bytes(Write),
}

impl Filling {
    pub(super) fn writes(self) -> Box<dyn Iterator<Item = Write> + Send> {
        match self {
            Self::Bytes(write) => Box::new(std::iter::once(write)),
            Self::Zeros { offset, length } => Box::new(zeros(offset, length)),
        }
    }
}

/// Runs of a content whose first byte goes to `start`; what comes from no chunk
/// goes to `metadata`, ascending.
pub(super) fn place(content: &Content, start: u64, metadata: &mut Vec<Filling>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut at = 0;
    match content {
        Content::Empty => {}
        Content::Inline(bytes) => metadata.push(Filling::Bytes(Write {
            offset: start,
            bytes: bytes.clone(),
        })),
        Content::Pieces(pieces) => {
            for piece in pieces {
                let length = piece.length();
                match (piece, runs.last_mut()) {
                    (Piece::Hole { .. }, _) => metadata.push(Filling::Zeros {
                        offset: start + at,
                        length,
                    }),
                    (_, Some(last)) if last.logical + last.length == at => last.length += length,
                    _ => runs.push(Run {
                        logical: at,
                        physical: start + at,
                        length,
                    }),
                }
                at += length;
            }
        }
    }
    runs
}

/// Zeros over `length` bytes from `offset`, in windows.
pub(super) fn zeros(offset: u64, length: u64) -> impl Iterator<Item = Write> + Send {
    let mut done = 0;
    std::iter::from_fn(move || {
        let take = ZEROS.min(length - done);
        let write = Write {
            offset: offset + done,
            bytes: vec![0; usize::try_from(take).unwrap_or(0)],
        };
        done += take;
        (take > 0).then_some(write)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;
    use image_format::ids::ChunkId;

    fn partition(volume: Volume) -> Partition {
        let (number, start, size) = (1, 1 << 20, 8 << 20);
        Partition {
            number,
            start,
            size,
            type_guid: [1; 16],
            guid: [0; 16],
            attributes: 0,
            name: Vec::new(),
            volume,
        }
    }

    #[test]
    fn only_pieces_with_data_are_found_and_neighbours_become_one_run() {
        let disk = MemoryDisk::new((8 << 20) + 100, 512);
        disk.write_at(3 * PIECE + 5, &[1]).unwrap();
        disk.write_at(4 * PIECE, &[1]).unwrap();
        disk.write_at((8 << 20) + 99, &[1]).unwrap();
        disk.write_at(9 * PIECE, &[1]).unwrap();
        disk.write_at(9 * PIECE, &[0]).unwrap();
        let found = RawReader::new(&disk).entries().unwrap();
        let run = |at, length| Run {
            logical: at,
            physical: at,
            length,
        };
        let runs = vec![run(3 * PIECE, 2 * PIECE), run(8 << 20, 100)];
        assert_eq!(
            found[0].data,
            Data::Runs {
                size: disk.size(),
                runs
            }
        );
        assert!(!RawReader::new(&disk).is_empty().unwrap());
        assert!(
            RawReader::new(&MemoryDisk::new(1 << 30, 512))
                .is_empty()
                .unwrap()
        );
    }

    #[test]
    fn what_the_volume_calls_free_is_left_out() {
        let disk = MemoryDisk::new(8 << 20, 512);
        disk.write_at(3 * PIECE, &[1; 3 * 65_536]).unwrap();
        let mut used = Used::nothing(8 << 20);
        used.mark(4 * PIECE + 100, 10);
        used.mark(9 * PIECE, PIECE);
        let found = RawReader::within(&disk, used).entries().unwrap();
        let run = Run {
            logical: 4 * PIECE,
            physical: 4 * PIECE,
            length: PIECE,
        };
        let (size, runs) = (8 << 20, vec![run]);
        assert_eq!(found[0].data, Data::Runs { size, runs });
    }

    #[test]
    fn chunks_go_where_they_were_and_holes_become_zeros() {
        let chunk = |length| Piece::Chunk {
            id: ChunkId::of(b"x"),
            length,
        };
        let mut entry = Entry::new(Vec::new(), Kind::RawVolume);
        entry.content = Content::Pieces(vec![
            chunk(65536),
            chunk(65536),
            Piece::Hole { length: 3 << 20 },
            chunk(10),
        ]);
        let tree = VolumeTree {
            partition: 0,
            entries: vec![entry],
        };
        let layout = RawBuilder
            .lay_out(&partition(Volume::Raw), &tree, 4 << 20, 512)
            .unwrap();
        let far = (3 << 20) + 2 * PIECE;
        let run = |at, length| Run {
            logical: at,
            physical: at,
            length,
        };
        assert_eq!(layout.places, vec![vec![run(0, 2 * PIECE), run(far, 10)]]);
        assert_eq!(layout.zeros, [(2 * PIECE, 3 << 20)]);
        assert_eq!(layout.metadata.count(), 0);
        assert!(
            RawBuilder
                .lay_out(&partition(Volume::Raw), &tree, 3 << 20, 512)
                .is_err()
        );
    }
}
