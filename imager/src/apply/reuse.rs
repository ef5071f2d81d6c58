//! What lies at its planned place already is kept, once its hash says so:
//! after a power cut, and when the same image comes to the same disk again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use image_format::ids::ChunkId;

use super::pen::Pen;
use super::{ApplyError, Phase, Progress};
use crate::plan::{Plan, Stretch};

/// Bytes read at a time.
const BUFFER: usize = 1 << 20;

/// Chunks looked at before the whole disk is read for a stranger's bytes.
const SAMPLE: usize = 64;

/// Finds the chunks that lie at all their places; a chunk that lies at one of
/// several is copied to the others. On a disk without an interrupted apply a
/// sample decides whether looking is worth the time.
pub(super) fn reuse(
    pen: &Pen<'_>,
    plan: &Plan,
    resumed: bool,
    progress: &Progress<'_>,
) -> Result<BTreeSet<ChunkId>, ApplyError> {
    let mut chunks: Vec<_> = plan.places.iter().collect();
    chunks.sort_unstable_by_key(|(_, stretches)| stretches.first().map(|s| s.offset));
    let total = chunks.iter().map(|(_, stretches)| length(stretches)).sum();
    progress.start(Phase::Reuse, total);
    if !resumed && !sample_finds_any(pen, &chunks)? {
        progress.add(total);
        return Ok(BTreeSet::new());
    }
    let (next, kept) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    let failure = Mutex::new(None);
    let stop = AtomicBool::new(false);
    let bytes = AtomicU64::new(0);
    let work = || -> Result<(), ApplyError> {
        let mut buffer = vec![0; BUFFER];
        while !stop.load(Ordering::Relaxed) {
            let Some((id, stretches)) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            if keep(pen, id, stretches, &mut buffer)? {
                bytes.fetch_add(length(stretches), Ordering::Relaxed);
                kept.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(**id);
            }
            progress.add(length(stretches));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for _ in 0..super::cores() {
            scope.spawn(|| {
                if let Err(error) = work() {
                    stop.store(true, Ordering::Relaxed);
                    super::first(&failure, error);
                }
            });
        }
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    progress.kept(bytes.into_inner());
    Ok(kept.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn length(stretches: &[Stretch]) -> u64 {
    stretches
        .iter()
        .map(|stretch| u64::from(stretch.length))
        .sum()
}

fn sample_finds_any(pen: &Pen<'_>, chunks: &[(&ChunkId, &[Stretch])]) -> Result<bool, ApplyError> {
    let mut buffer = vec![0; BUFFER];
    let step = (chunks.len() / SAMPLE).max(1);
    for (id, stretches) in chunks.iter().step_by(step) {
        if lies_at(pen, id, crate::plan::first_place(stretches), &mut buffer)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the chunk lies at all its places, if need be after copying it from
/// one to the others.
fn keep(
    pen: &Pen<'_>,
    id: &ChunkId,
    stretches: &[Stretch],
    buffer: &mut [u8],
) -> Result<bool, ApplyError> {
    let (mut good, mut bad) = (None, Vec::new());
    for place in places(stretches) {
        if lies_at(pen, id, place, buffer)? {
            good = Some(place);
        } else {
            bad.push(place);
        }
    }
    let Some(good) = good else { return Ok(false) };
    for place in bad {
        copy(pen, good, place, buffer)?;
    }
    Ok(true)
}

/// Each place of a chunk: the groups that begin at its first byte.
pub(super) fn places(stretches: &[Stretch]) -> impl Iterator<Item = &[Stretch]> {
    stretches.chunk_by(|_, next| next.from != 0)
}

fn lies_at(
    pen: &Pen<'_>,
    id: &ChunkId,
    place: &[Stretch],
    buffer: &mut [u8],
) -> Result<bool, ApplyError> {
    let mut hasher = blake3::Hasher::new();
    for stretch in place {
        pieces(stretch, buffer.len(), |_, offset, length| {
            let part = &mut buffer[..length];
            pen.read(offset, part)?;
            hasher.update(part);
            Ok(())
        })?;
    }
    Ok(ChunkId::from(hasher.finalize()) == *id)
}

fn copy(
    pen: &Pen<'_>,
    from: &[Stretch],
    to: &[Stretch],
    buffer: &mut [u8],
) -> Result<(), ApplyError> {
    for stretch in to {
        pieces(stretch, buffer.len(), |at, offset, length| {
            let part = &mut buffer[..length];
            read_chunk(pen, from, at, part)?;
            pen.write_content(offset, part)
        })?;
    }
    Ok(())
}

/// Reads bytes of a chunk from one of its places.
fn read_chunk(
    pen: &Pen<'_>,
    place: &[Stretch],
    at: u64,
    buffer: &mut [u8],
) -> Result<(), ApplyError> {
    let end = at + buffer.len() as u64;
    for stretch in place {
        let (first, last) = (
            u64::from(stretch.from),
            u64::from(stretch.from + stretch.length),
        );
        let (from, to) = (first.max(at), last.min(end));
        if from < to {
            let index = |position: u64| usize::try_from(position - at).unwrap_or(usize::MAX);
            if let Some(part) = buffer.get_mut(index(from)..index(to)) {
                pen.read(stretch.offset + (from - first), part)?;
            }
        }
    }
    Ok(())
}

/// Cuts a stretch into parts of at most `most` bytes: (in the chunk, on the
/// disk, length).
fn pieces(
    stretch: &Stretch,
    most: usize,
    mut each: impl FnMut(u64, u64, usize) -> Result<(), ApplyError>,
) -> Result<(), ApplyError> {
    let whole = u64::from(stretch.length);
    let mut done = 0_u64;
    while done < whole {
        let length = usize::try_from(whole - done).unwrap_or(most).min(most);
        each(
            u64::from(stretch.from) + done,
            stretch.offset + done,
            length,
        )?;
        done += length as u64;
    }
    Ok(())
}
