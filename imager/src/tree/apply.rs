//! A plan carried out on a directory.
//!
//! First all names: folders, links, devices and small files, in path order. Then
//! the blocks, in the order they lie in the packs: each is fetched and expanded
//! once, and its chunks go from that buffer to all their places. Owners, times
//! and flags are set through the descriptor a file was written with; those of
//! folders come last. One sync ends it.
//!
//! A note in the target says what is under way; it goes when all is done and
//! compared. Whoever finds it knows that the tree is not whole.

mod blocks;
mod clear;
mod deliver;
mod error;
mod existing;
mod finish;
mod hands;
mod marker;
mod names;
mod settle;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use image_format::entry::Entry;
use image_format::ids::{ChunkId, ChunkRef};
use image_format::job::ChunkInBlock;
use image_format::store::{BlockPlace, Source};

pub(crate) use clear::known;
pub use error::TreeError;
pub(crate) use marker::{MARKER, Marker};
pub(crate) use settle::{times, write_all};

use super::held::Losses;
use super::place::{Descriptors, text};
use super::plan::{Origin, Others, Plan};
use super::verify::{self, Proven};

/// Where the blocks of an image come from.
#[derive(Clone, Copy)]
pub struct Blocks<'a> {
    /// Hands out stored blocks.
    pub source: &'a dyn Source,
    /// Tells which block holds a chunk.
    pub find: &'a (dyn Fn(&ChunkId) -> Option<(BlockPlace, ChunkInBlock)> + Sync),
    /// Hands out chunks that blocks are compressed against.
    pub base: &'a (dyn Fn(&ChunkRef) -> Option<Vec<u8>> + Sync),
}

/// How far an apply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Bytes of contents done in it.
    pub bytes: u64,
    /// Bytes of contents there are.
    pub total: u64,
}

/// The steps of an apply, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Folders, links, devices, small files; comparing what lies there.
    #[default]
    Names,
    /// Blocks are fetched and written.
    Blocks,
    /// Links, folders, sync.
    Finish,
    /// Everything is read back and compared.
    Verify,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Files that were kept because they were right.
    pub kept: u64,
    /// Bytes of contents that were written.
    pub written: u64,
    /// Things removed that were not of the image, each with all in it.
    pub removed: u64,
    /// What was left out.
    pub losses: Losses,
    /// What was proven by reading back, if that was wished.
    pub proven: Option<Proven>,
    /// How long it took up to and with the sync, before anything was read back.
    pub applied: Duration,
}

/// Carries out `plan`. Without `verify` nothing is read back and nothing proven.
///
/// # Errors
/// The first failure. The note stays in the target, and the same apply again
/// goes on from what is right there.
pub fn apply(
    plan: &Plan,
    origin: &Origin<'_>,
    blocks: &Blocks<'_>,
    verify: bool,
    watch: &(dyn Fn(Progress) + Sync),
) -> Result<Outcome, TreeError> {
    if (plan.image, plan.partition) != (origin.image, origin.partition) {
        return Err(TreeError::OtherImage);
    }
    let begun = Instant::now();
    let root = marker::begin(plan)?;
    let run = Run::new(plan, root, blocks, watch);
    let mut removed = 0;
    if plan.wishes.others == Others::Remove && !plan.wishes.reuse {
        removed = clear::empty(&run)?;
    }
    let mut laid = names::lay(&run, origin)?;
    if plan.wishes.others == Others::Remove && plan.wishes.reuse {
        removed = clear::extras(&run, &mut laid)?;
    }
    deliver::deliver(&run, &mut laid)?;
    finish::finish(&run, &laid)?;
    let applied = begun.elapsed();
    let proven = match verify {
        true => Some(read_back(&run, origin)?),
        false => None,
    };
    marker::end(&run, &laid)?;
    Ok(Outcome {
        kept: run.kept.load(Ordering::Relaxed),
        written: run.written.load(Ordering::Relaxed),
        removed,
        losses: plan.losses.clone(),
        proven,
        applied,
    })
}

fn read_back(run: &Run<'_>, origin: &Origin<'_>) -> Result<Proven, TreeError> {
    run.phase(Phase::Verify);
    let how = verify::How {
        can: run.plan.can.clone(),
        extras: run.plan.wishes.others != Others::Keep,
        past_cache: true,
        under_way: true,
    };
    let watch = |bytes| run.told(bytes);
    let result = verify::verify_at(&run.descriptors, origin, &how, &watch)?;
    result.map_err(|differences| TreeError::Differs { differences })
}

/// What all threads of an apply share.
struct Run<'a> {
    plan: &'a Plan,
    blocks: Blocks<'a>,
    descriptors: Descriptors,
    /// Bits that the process takes off the mode of what it makes.
    umask: u32,
    watch: &'a (dyn Fn(Progress) + Sync),
    progress: Mutex<(Progress, Instant)>,
    kept: AtomicU64,
    written: AtomicU64,
    stop: AtomicBool,
    failure: Mutex<Option<TreeError>>,
}

/// How often progress is told.
const TELL: Duration = Duration::from_millis(100);

impl<'a> Run<'a> {
    fn new(
        plan: &'a Plan,
        root: std::os::fd::OwnedFd,
        blocks: &Blocks<'a>,
        watch: &'a (dyn Fn(Progress) + Sync),
    ) -> Self {
        Self {
            plan,
            blocks: *blocks,
            descriptors: Descriptors::new(root),
            umask: umask(),
            watch,
            progress: Mutex::new((Progress::default(), Instant::now())),
            kept: AtomicU64::new(0),
            written: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// Whether things may lie in the way.
    fn is_fresh(&self) -> bool {
        let wishes = &self.plan.wishes;
        !wishes.reuse && wishes.others != Others::Keep
    }

    fn phase(&self, phase: Phase) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let total = self.plan.extent.bytes;
        progress.0 = Progress {
            phase,
            bytes: 0,
            total,
        };
        (self.watch)(progress.0);
    }

    /// Tells of bytes done.
    fn told(&self, bytes: u64) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.0.bytes = progress.0.bytes.saturating_add(bytes);
        if progress.1.elapsed() > TELL {
            progress.1 = Instant::now();
            (self.watch)(progress.0);
        }
    }

    /// Keeps the first failure and lets all threads end.
    fn fail(&self, error: TreeError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
        self.stop.store(true, Ordering::Release);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The failure, if there was one.
    fn result(&self) -> Result<(), TreeError> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take().map_or(Ok(()), Err)
    }
}

/// The process's umask as the kernel tells it; it is not changed, for it belongs
/// to the whole process. Where nobody tells, every mode is set by hand.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok())
        .unwrap_or(0o777)
}

/// How many threads do the work.
fn cores() -> usize {
    const MOST_THREADS: usize = 16;
    std::thread::available_parallelism()
        .map_or(1, std::num::NonZero::get)
        .min(MOST_THREADS)
}

/// An error at a path.
fn at<'p>(
    doing: &'static str,
    path: &'p [u8],
) -> impl FnOnce(rustix::io::Errno) -> TreeError + use<'p> {
    move |source| TreeError::Path {
        doing,
        path: text(path),
        source: source.into(),
    }
}

fn has_own_flags(entry: &Entry) -> bool {
    entry.flags & super::held::STILL != 0
}
