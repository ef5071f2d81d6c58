//! Contents of a volume against the image's, read in the order in which they
//! lie and hashed on all cores.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use image_format::entry::{Content, Entry, Kind, Piece};
use image_format::ids::ChunkId;

use super::compare::Pair;
use super::difference::{Report, What};
use crate::disk::Disk;
use crate::near::Near;
use crate::volume::{Data, Found, Run};

/// Bytes read at a time.
const BUFFER: usize = 256 << 10;

/// Checks a thread takes at once: enough neighbours for reading ahead.
const BATCH: usize = 64;

/// What a range of a file must hold.
enum Must<'e> {
    Chunk(ChunkId),
    Bytes(&'e [u8]),
    Zeros,
}

/// One range to check.
struct Check<'e> {
    path: &'e [u8],
    data: &'e Data,
    offset: u64,
    length: u64,
    must: Must<'e>,
}

/// Bytes of a content that are on the medium.
pub(super) fn stored(content: &Content) -> u64 {
    match content {
        Content::Empty => 0,
        Content::Inline(bytes) => bytes.len() as u64,
        Content::Pieces(pieces) => {
            let chunks = pieces
                .iter()
                .filter(|piece| matches!(piece, Piece::Chunk { .. }));
            chunks.map(Piece::length).fold(0, u64::saturating_add)
        }
    }
}

/// Compares the contents of all pairs.
pub(super) fn compare(
    disk: &dyn Disk,
    expected: &[Entry],
    found: &[Found],
    pairs: &[Pair],
    report: &mut Report,
    done: &(dyn Fn(u64) + Sync),
) {
    let mut checks = Vec::new();
    for pair in pairs {
        plan_checks(
            &expected[pair.expected],
            &found[pair.found].data,
            &mut checks,
            report,
        );
    }
    checks.sort_by_key(|check| physical(check.data, check.offset));
    let batches: Vec<_> = checks.chunks(BATCH).collect();
    let (next, report) = (AtomicUsize::new(0), Mutex::new(report));
    let work = || {
        let mut near = Near::new(disk);
        let mut buffer = vec![0; BUFFER];
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            for check in *batch {
                if let Some(what) = check.run(&mut near, &mut buffer) {
                    let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                    report.tell(check.path, what);
                }
                if !matches!(check.must, Must::Zeros) {
                    done(check.length);
                }
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores.min(16).min(batches.len()) {
            scope.spawn(work);
        }
    });
}

/// Whether a whole volume reads as zeros; tells where it does not.
pub(super) fn all_zeros(disk: &dyn Disk, report: &mut Report) {
    let data = match disk.data_ranges() {
        Ok(ranges) => Data::Runs {
            size: disk.size(),
            runs: ranges
                .into_iter()
                .map(|(from, length)| Run {
                    logical: from,
                    physical: from,
                    length,
                })
                .collect(),
        },
        Err(error) => return report.tell(&[], What::Volume(error.to_string())),
    };
    let mut checks = Vec::new();
    zeros(&[], &data, 0, disk.size(), &mut checks);
    let (mut near, mut buffer) = (Near::new(disk), vec![0; BUFFER]);
    for check in checks {
        if let Some(what) = check.run(&mut near, &mut buffer) {
            report.tell(&[], what);
        }
    }
}

fn plan_checks<'e>(
    expected: &'e Entry,
    data: &'e Data,
    checks: &mut Vec<Check<'e>>,
    report: &mut Report,
) {
    let path = &expected.path;
    let (size, found) = (expected.content.size(), size(data));
    // A raw volume may lie in a larger partition, with zeros behind it.
    let longer = expected.kind == Kind::RawVolume && found > size;
    if found != size && !longer {
        report.property(path, "size", (&size, &found), u64::to_string);
        return;
    }
    match &expected.content {
        Content::Empty => {}
        Content::Inline(bytes) => {
            let (length, must) = (bytes.len() as u64, Must::Bytes(bytes));
            checks.push(Check {
                path,
                data,
                offset: 0,
                length,
                must,
            });
        }
        Content::Pieces(pieces) => {
            let mut offset = 0_u64;
            for piece in pieces {
                let length = piece.length();
                match piece {
                    Piece::Hole { .. } => zeros(path, data, offset, length, checks),
                    Piece::Chunk { id, .. } => {
                        checks.push(Check {
                            path,
                            data,
                            offset,
                            length,
                            must: Must::Chunk(*id),
                        });
                    }
                }
                offset = offset.saturating_add(length);
            }
        }
    }
    if longer {
        zeros(path, data, size, found - size, checks);
    }
}

/// Checks for zeros where a hole was: only what the volume has stored there
/// needs to be read.
fn zeros<'e>(
    path: &'e [u8],
    data: &'e Data,
    offset: u64,
    length: u64,
    checks: &mut Vec<Check<'e>>,
) {
    let end = offset.saturating_add(length);
    let mut push = |from: u64, to: u64| {
        if from < to {
            checks.push(Check {
                path,
                data,
                offset: from,
                length: to - from,
                must: Must::Zeros,
            });
        }
    };
    match data {
        Data::None => {}
        Data::Bytes(_) => push(offset, end),
        Data::Runs { runs, .. } => {
            for run in &runs[first_run(runs, offset)..] {
                if run.logical >= end {
                    break;
                }
                push(
                    run.logical.max(offset),
                    run.logical.saturating_add(run.length).min(end),
                );
            }
        }
    }
}

fn size(data: &Data) -> u64 {
    match data {
        Data::None => 0,
        Data::Bytes(bytes) => bytes.len() as u64,
        Data::Runs { size, .. } => *size,
    }
}

fn first_run(runs: &[Run], offset: u64) -> usize {
    runs.partition_point(|run| run.logical.saturating_add(run.length) <= offset)
}

/// Where a byte of a file lies; 0 for what needs no reading.
fn physical(data: &Data, offset: u64) -> u64 {
    let Data::Runs { runs, .. } = data else {
        return 0;
    };
    let run = runs.get(first_run(runs, offset));
    run.map_or(0, |run| {
        run.physical
            .saturating_add(offset.saturating_sub(run.logical))
    })
}

impl Check<'_> {
    /// Reads the range; `None` when it holds what it must.
    fn run(&self, near: &mut Near<'_>, buffer: &mut [u8]) -> Option<What> {
        let mut hasher = blake3::Hasher::new();
        let mut good = true;
        let mut at = 0_u64;
        while at < self.length {
            let length = usize::try_from(self.length - at)
                .unwrap_or(BUFFER)
                .min(buffer.len());
            let part = &mut buffer[..length];
            if let Err(error) = read(self.data, self.offset + at, part, near) {
                let (offset, why) = (self.offset + at, error.to_string());
                return Some(What::Unreadable { offset, why });
            }
            match self.must {
                Must::Chunk(_) => {
                    hasher.update(part);
                }
                Must::Zeros => good &= part.iter().all(|&byte| byte == 0),
                Must::Bytes(bytes) => {
                    let from = usize::try_from(at).ok();
                    good &= from.and_then(|from| bytes.get(from..from + length)) == Some(part);
                }
            }
            at += length as u64;
        }
        if let Must::Chunk(id) = self.must {
            good = ChunkId::from(hasher.finalize()) == id;
        }
        (!good).then_some(What::Content {
            offset: self.offset,
            length: self.length,
        })
    }
}

/// Reads a file's bytes; what no run covers is zeros.
fn read(data: &Data, offset: u64, into: &mut [u8], near: &mut Near<'_>) -> io::Result<()> {
    let short = || io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends before");
    match data {
        Data::None => Err(short()),
        Data::Bytes(bytes) => {
            let from = usize::try_from(offset).map_err(|_| short())?;
            let there = bytes.get(from..).and_then(|rest| rest.get(..into.len()));
            into.copy_from_slice(there.ok_or_else(short)?);
            Ok(())
        }
        Data::Runs { runs, .. } => {
            into.fill(0);
            let end = offset.saturating_add(into.len() as u64);
            for run in &runs[first_run(runs, offset)..] {
                let from = run.logical.max(offset);
                let to = run.logical.saturating_add(run.length).min(end);
                if from >= to {
                    break;
                }
                let index = |at: u64| usize::try_from(at - offset).unwrap_or(usize::MAX);
                let part = into.get_mut(index(from)..index(to)).ok_or_else(short)?;
                near.read(run.physical.saturating_add(from - run.logical), part)?;
            }
            Ok(())
        }
    }
}
