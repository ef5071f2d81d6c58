//! Blocks arrive, are verified, and go straight to all their places. Memory is
//! the blocks in flight, one for each thread.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use image_format::BlockJob;
use image_format::ChunkInBlock;
use image_format::block::{self, OpenBlock};
use image_format::ids::{ChunkId, ChunkRef};
use image_format::store::Source;

use super::bases::Bases;
use super::gate::Gate;
use super::pen::Pen;
use super::{ApplyError, Phase, Progress};
use crate::plan::{Plan, Stretch};

/// How many blocks are asked for at the same time: enough to fill a wire,
/// few enough not to crowd a server with a room full of machines.
const FETCHES: usize = 4;

/// Where blocks come from.
struct Wire<'w> {
    source: &'w dyn Source,
    gate: &'w Gate,
    bases: &'w Bases<'w>,
}

/// A job without the chunks that need not be written.
struct Wanted<'j> {
    job: &'j BlockJob,
    chunks: Vec<(&'j ChunkInBlock, &'j [Stretch])>,
}

/// Writes the overlay's own chunks.
pub(super) fn write_local(
    pen: &Pen<'_>,
    plan: &Plan,
    kept: &BTreeSet<ChunkId>,
) -> Result<(), ApplyError> {
    for (id, bytes) in plan.local.iter().filter(|(id, _)| !kept.contains(id)) {
        write_chunk(pen, id, bytes, plan.places.of(id).unwrap_or_default())?;
    }
    Ok(())
}

/// Fetches every block that has a chunk still wanted and writes it.
pub(super) fn write_blocks(
    pen: &Pen<'_>,
    plan: &Plan,
    jobs: &[BlockJob],
    source: &dyn Source,
    kept: &BTreeSet<ChunkId>,
    progress: &Progress<'_>,
) -> Result<(), ApplyError> {
    let wanted = wanted(plan, jobs, kept)?;
    progress.start(
        Phase::Blocks,
        wanted
            .iter()
            .map(|job| u64::from(job.job.place.stored))
            .sum(),
    );
    let (next, stop, failure) = (
        AtomicUsize::new(0),
        AtomicBool::new(false),
        Mutex::new(None),
    );
    let (gate, bases) = (Gate::new(FETCHES), Bases::of(jobs));
    let wire = Wire {
        source,
        gate: &gate,
        bases: &bases,
    };
    let work = || {
        while !stop.load(Ordering::Acquire) && !pen.is_broken() {
            let Some(job) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            if let Err(error) = carry_out(pen, job, &wire, progress) {
                stop.store(true, Ordering::Release);
                super::first(&failure, error);
            }
            progress.add(u64::from(job.job.place.stored));
        }
    };
    let threads = (super::cores() + FETCHES - 1).min(wanted.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    failure
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .map_or(Ok(()), Err)
}

/// The jobs that are left, each chunk in one of them only.
fn wanted<'j>(
    plan: &'j Plan,
    jobs: &'j [BlockJob],
    kept: &BTreeSet<ChunkId>,
) -> Result<Vec<Wanted<'j>>, ApplyError> {
    let remote = plan.chunks_to_fetch().map(|(id, _)| *id);
    let mut lacking: BTreeSet<ChunkId> = remote.filter(|id| !kept.contains(id)).collect();
    let mut wanted = Vec::new();
    for job in jobs {
        let mut chunks = Vec::new();
        for chunk in &job.chunks {
            if lacking.remove(&chunk.id) {
                chunks.push((chunk, plan.places.of(&chunk.id).unwrap_or_default()));
            }
        }
        if !chunks.is_empty() {
            wanted.push(Wanted { job, chunks });
        }
    }
    match lacking.first() {
        Some(&first) => Err(ApplyError::Missing {
            count: lacking.len(),
            first,
        }),
        None => Ok(wanted),
    }
}

fn carry_out(
    pen: &Pen<'_>,
    wanted: &Wanted<'_>,
    wire: &Wire<'_>,
    progress: &Progress<'_>,
) -> Result<(), ApplyError> {
    // A bit may flip on the wire once; the same damage twice lies in the store.
    let block = match fetch(wanted, wire) {
        Err(ApplyError::Corrupt { .. }) => {
            progress.refetched(&wanted.job.place);
            fetch(wanted, wire)?
        }
        other => other?,
    };
    for (chunk, stretches) in &wanted.chunks {
        write_chunk(pen, &chunk.id, verified(&block, chunk), stretches)?;
    }
    Ok(())
}

/// A block with every wanted chunk in it verified.
fn fetch(wanted: &Wanted<'_>, wire: &Wire<'_>) -> Result<OpenBlock, ApplyError> {
    let place = &wanted.job.place;
    let stored = wire
        .gate
        .pass(|| wire.source.block(place))
        .map_err(|source| ApplyError::Fetch {
            pack: place.pack,
            block: place.block,
            source: Box::new(source),
        })?;
    let base = &mut |base: &ChunkRef| wire.bases.get(base, wire.source, wire.gate);
    let block = block::open_with(place, &stored, base).map_err(|source| corrupt(wanted, source))?;
    for (chunk, _) in &wanted.chunks {
        block
            .chunk(chunk)
            .map_err(|source| corrupt(wanted, source))?;
    }
    Ok(block)
}

/// The bytes of a chunk whose hash [`fetch`] has checked.
fn verified<'b>(block: &'b OpenBlock, chunk: &ChunkInBlock) -> &'b [u8] {
    let (offset, length) = (u64::from(chunk.offset), u64::from(chunk.length));
    let range = usize::try_from(offset)
        .ok()
        .zip(usize::try_from(offset + length).ok());
    range
        .and_then(|(from, to)| block.raw().get(from..to))
        .unwrap_or_default()
}

fn corrupt(wanted: &Wanted<'_>, source: block::BlockError) -> ApplyError {
    let place = &wanted.job.place;
    let source = Box::new(source);
    ApplyError::Corrupt {
        pack: place.pack,
        block: place.block,
        offset: place.offset,
        source,
    }
}

/// Writes verified bytes of a chunk to each of its places.
fn write_chunk(
    pen: &Pen<'_>,
    id: &ChunkId,
    bytes: &[u8],
    stretches: &[Stretch],
) -> Result<(), ApplyError> {
    for stretch in stretches {
        let part = usize::try_from(stretch.from).ok().and_then(|from| {
            let length = usize::try_from(stretch.length).ok()?;
            bytes.get(from..from.checked_add(length)?)
        });
        let Some(part) = part else {
            return Err(ApplyError::ChunkLength {
                chunk: *id,
                found: bytes.len() as u64,
            });
        };
        pen.write_content(stretch.offset, part)?;
    }
    Ok(())
}
