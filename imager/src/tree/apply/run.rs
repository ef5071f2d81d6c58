//! What all threads of an apply share.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use image_format::ids::{ChunkId, ChunkRef};
use image_format::job::ChunkInBlock;
use image_format::store::{BlockPlace, Source};

use super::groups::Groups;
use crate::tree::error::TreeError;
use crate::tree::place::{Descriptors, text};
use crate::tree::plan::{Others, Plan};

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

/// What all threads of an apply share.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan,
    pub(super) blocks: Blocks<'a>,
    pub(super) descriptors: Descriptors,
    /// Of the image, where what lies there may be kept.
    pub(super) groups: Groups,
    /// Bits that the process takes off the mode of what it makes.
    pub(super) umask: u32,
    watch: &'a (dyn Fn(Progress) + Sync),
    progress: Mutex<(Progress, Instant)>,
    pub(super) kept: AtomicU64,
    pub(super) written: AtomicU64,
    stop: AtomicBool,
    failure: Mutex<Option<TreeError>>,
}

/// How often progress is told.
const TELL: Duration = Duration::from_millis(100);

impl<'a> Run<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        root: OwnedFd,
        groups: Groups,
        blocks: &Blocks<'a>,
        watch: &'a (dyn Fn(Progress) + Sync),
    ) -> Self {
        Self {
            plan,
            blocks: *blocks,
            descriptors: Descriptors::new(root),
            groups,
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
    pub(super) fn is_fresh(&self) -> bool {
        let wishes = &self.plan.wishes;
        !wishes.reuse && wishes.others != Others::Keep
    }

    pub(super) fn phase(&self, phase: Phase) {
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
    pub(super) fn told(&self, bytes: u64) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.0.bytes = progress.0.bytes.saturating_add(bytes);
        if progress.1.elapsed() > TELL {
            progress.1 = Instant::now();
            (self.watch)(progress.0);
        }
    }

    /// Keeps the first failure and lets all threads end.
    pub(super) fn fail(&self, error: TreeError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
        self.stop.store(true, Ordering::Release);
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The failure, if there was one.
    pub(super) fn result(&self) -> Result<(), TreeError> {
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
pub(super) fn cores() -> usize {
    const MOST_THREADS: usize = 16;
    std::thread::available_parallelism()
        .map_or(1, std::num::NonZero::get)
        .min(MOST_THREADS)
}

/// An error at a path.
pub(super) fn at<'p>(
    doing: &'static str,
    path: &'p [u8],
) -> impl FnOnce(rustix::io::Errno) -> TreeError + use<'p> {
    move |source| TreeError::Path {
        doing,
        path: text(path),
        source: source.into(),
    }
}
