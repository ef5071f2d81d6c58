//! A share made smaller in the background.
//!
//! Every chunk an image needs is written again: the newest version of each file
//! in large blocks, older versions by their difference to it (see `plan`). New
//! packs come first, then an index segment of a higher generation, which counts
//! before the old one; the old packs stay until they are collected. So it may
//! stop at any byte: what is indexed is used, and the next run goes on with what
//! is not. Captures and applies run beside it.

mod bases;
mod plan;
mod write;

use std::ops::ControlFlow;
use std::thread;

use thiserror::Error;

use crate::block::{Filter, MAX_BASE_BYTES, MAX_BASES, SealError};
use crate::fetch::{MissingChunk, fetch_list};
use crate::ids::{ChunkId, ChunkRef};
use crate::index::{Index, Located, SegmentError};
use crate::lane::{Class, Lanes};
use crate::pack::PackError;
use crate::profile::Profile;
use crate::share::{Expander, Share, ShareError};
use crate::store::{Store, StoreError};
use crate::upkeep::leases::Lease;
use plan::{Delta, Plan};
use write::{Task, Writer};

/// More threads take more memory than they are worth: about 150 MiB each.
const MAX_THREADS: usize = 8;
/// Raw bytes of a block with bases, which is opened for few of its chunks.
const DELTA_TARGET: usize = 4 << 20;

/// How to optimize.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptimizeOptions {
    /// How hard to compress.
    pub profile: Profile,
    /// Threads that compress; 0 takes one a core.
    pub threads: usize,
    /// Bytes at which a pack is closed.
    pub pack_target: u64,
}

impl Default for OptimizeOptions {
    fn default() -> Self {
        Self {
            profile: Profile::Archive,
            threads: 0,
            pack_target: 64 << 20,
        }
    }
}

/// How far it is. Chunks that an earlier run has done count as neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OptimizeProgress {
    /// Chunks to write again.
    pub chunks: u64,
    /// Of these, chunks that were written or found not worth it.
    pub done: u64,
    /// Raw bytes of these.
    pub read: u64,
    /// Bytes of their new blocks.
    pub stored: u64,
    /// Chunks told by their difference to a newer version.
    pub based: u64,
    /// Packs that were stored.
    pub packs: u64,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptimizeReport {
    /// Whether all was done; otherwise it was asked to stop, and may go on later.
    pub finished: bool,
    /// What was done.
    pub progress: OptimizeProgress,
}

/// Asked after every few blocks; it goes on as long as the answer is to continue.
pub type Tell<'t> = &'t mut dyn FnMut(&OptimizeProgress) -> ControlFlow<()>;

/// Rewrites what every image of the share needs.
///
/// # Errors
/// The store failed or an image cannot be read. The share is whole all the same.
pub fn optimize<'s>(
    store: &'s dyn Store,
    options: OptimizeOptions,
    tell: Tell<'s>,
) -> Result<OptimizeReport, OptimizeError> {
    // Before anything is read: what is read is then not destroyed.
    let lease = Lease::take(store, "optimize")?;
    let share = Share::open(store)?;
    let mut step = Step {
        progress: OptimizeProgress::default(),
        lease,
        tell,
    };
    let plan = match plan::plan(&share, &mut step) {
        Err(OptimizeError::Stopped) => return Ok(step.report(false)),
        other => other?,
    };
    let threads = match options.threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let generation = share.index().generation().saturating_add(1);
    let mut work = Work {
        index: share.index(),
        expander: Expander::new(share.index(), &store),
        writer: Writer::new(store, options, threads.clamp(1, MAX_THREADS), generation),
        step,
    };
    let outcome = work.all(options.profile, plan);
    let stopped = matches!(outcome, Err(OptimizeError::Stopped));
    if !stopped {
        outcome?;
    }
    work.writer.finish(&mut work.step.progress)?;
    Ok(work.step.report(!stopped))
}

/// Counts, and asks whether to go on.
struct Step<'t> {
    progress: OptimizeProgress,
    lease: Lease<&'t dyn Store>,
    tell: Tell<'t>,
}

impl Step<'_> {
    fn asked_to_stop(&mut self) -> Result<(), OptimizeError> {
        self.lease.beat()?;
        match (self.tell)(&self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(OptimizeError::Stopped),
        }
    }

    fn report(&self, finished: bool) -> OptimizeReport {
        OptimizeReport {
            finished,
            progress: self.progress,
        }
    }
}

struct Work<'w, 't> {
    index: &'w Index,
    expander: Expander<'w>,
    writer: Writer<'w>,
    step: Step<'t>,
}

impl Work<'_, '_> {
    fn all(&mut self, profile: Profile, mut plan: Plan) -> Result<(), OptimizeError> {
        let index = self.index;
        plan.plain.retain(|id, _| !is_done(index, id, false));
        plan.deltas
            .retain(|delta| !is_done(index, &delta.chunk.id, true));
        self.step.progress.chunks = (plan.plain.len() + plan.deltas.len()) as u64;
        self.plain(profile, &plan)?;
        for group in groups(plan.deltas) {
            let task = self.delta_task(group)?;
            self.push(task)?;
        }
        self.writer.flush(&mut self.step.progress)
    }

    /// Block for block as they lie, so that each is opened once.
    fn plain(&mut self, profile: Profile, plan: &Plan) -> Result<(), OptimizeError> {
        let mut lanes = Lanes::new(profile);
        for job in fetch_list(self.index, plan.plain.keys().copied())? {
            let open = self.expander.block(&job.place)?;
            for chunk in &job.chunks {
                let bytes = open.chunk(chunk).map_err(ShareError::from)?;
                let Some(lane) = plan.plain.get(&chunk.id) else {
                    continue;
                };
                let mut lane = lane.clone();
                if lane.class != Class::Manifest {
                    lane.class = class(open.filter(), bytes);
                }
                lanes.push(&lane, chunk.id, bytes);
                self.full(&mut lanes)?;
            }
        }
        lanes.drain();
        self.full(&mut lanes)
    }

    fn full(&mut self, lanes: &mut Lanes) -> Result<(), OptimizeError> {
        while let Some(block) = lanes.take()? {
            self.push(Task::plain(block))?;
        }
        Ok(())
    }

    fn delta_task(&self, group: Group) -> Result<Task, OptimizeError> {
        let mut task = Task::default();
        for chunk in &group.chunks {
            task.raw.extend(self.expander.chunk(chunk)?);
            task.chunks.push((chunk.id, chunk.length));
        }
        for base in group.bases {
            task.bases.push((base, self.expander.base(&base)?));
        }
        let rewritten = |chunk: &ChunkRef| {
            let at = self.index.locate(&chunk.id);
            at.is_some_and(|at| is_rewritten(self.index, &at))
        };
        task.only_with_bases = group.chunks.iter().all(rewritten);
        Ok(task)
    }

    fn push(&mut self, task: Task) -> Result<(), OptimizeError> {
        if self.writer.push(task, &mut self.step.progress)? {
            self.step.asked_to_stop()?;
        }
        Ok(())
    }
}

/// Whether an earlier run wrote this chunk as it should be: with bases or without.
fn is_done(index: &Index, id: &ChunkId, based: bool) -> bool {
    let rewritten = index.locate(id).filter(|at| is_rewritten(index, at));
    rewritten.is_some_and(|at| index.bases(&at.place).is_empty() != based)
}

fn is_rewritten(index: &Index, at: &Located) -> bool {
    let segment = index.segments().get(at.segment);
    segment.is_some_and(|segment| segment.generation() > 0)
}

/// What the block it lay in, and its own first bytes, say of a chunk.
fn class(filter: Filter, bytes: &[u8]) -> Class {
    match filter {
        _ if Class::is_object(bytes) => Class::Data,
        Filter::X86 => Class::X86,
        Filter::Arm64 { .. } => Class::Arm64,
        Filter::None => Class::of(bytes),
    }
}

/// Chunks that will be one block, and all their bases.
#[derive(Default)]
struct Group {
    chunks: Vec<ChunkRef>,
    bases: Vec<ChunkRef>,
}

/// Neighbours share a block as long as its bounds allow.
fn groups(deltas: Vec<Delta>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for delta in deltas {
        match groups.last_mut().filter(|group| group.fits(&delta)) {
            Some(group) => group.add(delta),
            None => {
                let mut group = Group::default();
                group.add(delta);
                groups.push(group);
            }
        }
    }
    groups
}

impl Group {
    fn fits(&self, delta: &Delta) -> bool {
        let more = |base: &&ChunkRef| !self.bases.contains(base);
        let bases = || self.bases.iter().chain(delta.bases.iter().filter(more));
        let sum = |chunks: &mut dyn Iterator<Item = &ChunkRef>| -> u64 {
            chunks.map(|chunk| u64::from(chunk.length)).sum()
        };
        let raw = sum(&mut self.chunks.iter()) + u64::from(delta.chunk.length);
        raw <= DELTA_TARGET as u64
            && bases().count() <= MAX_BASES as usize
            && sum(&mut bases()) <= u64::from(MAX_BASE_BYTES)
    }

    fn add(&mut self, delta: Delta) {
        self.chunks.push(delta.chunk);
        for base in delta.bases {
            if !self.bases.contains(&base) {
                self.bases.push(base);
            }
        }
    }
}

/// Optimizing stopped early. Nothing that was there is lost.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OptimizeError {
    /// An image or a block cannot be read.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An image names a chunk that is in no block.
    #[error(transparent)]
    Missing(#[from] MissingChunk),
    /// A block could not be made.
    #[error(transparent)]
    Block(#[from] SealError),
    /// A pack could not be made.
    #[error("making a pack")]
    Pack(#[from] PackError),
    /// An index segment could not be made.
    #[error("making an index segment")]
    Segment(#[from] SegmentError),
    /// A thread that compresses is gone.
    #[error("a compressing thread stopped: out of memory?")]
    Thread,
    /// It was asked to stop.
    #[error("optimizing was asked to stop")]
    Stopped,
}
