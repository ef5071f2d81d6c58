//! What no image needs goes: mark, throw away, wait, destroy.
//!
//! No lock is held, so captures, applies and other collections go on. What is
//! thrown away lies in the trash and is still read there. A *seal* ends a run:
//! it names the leases of all who may count on what the run threw away. When
//! they have ended, the grace is over, and images that were committed meanwhile
//! need it neither, it is destroyed; else it is moved back.

mod amounts;
mod merge;
mod rewrite;
mod seal;
mod sweep;
mod view;

use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

use super::leases::Lease;
use crate::block::SealError;
use crate::fetch::MissingChunk;
use crate::ids::ImageId;
use crate::index::{IndexError, SegmentError};
use crate::pack::PackError;
use crate::profile::Profile;
use crate::share::{ShareError, UnreadableRef};
use crate::store::{Run, Store, StoreError};
use sweep::Sweep;

pub use amounts::Amount;

/// What was thrown away can be read for a day.
pub const GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// How to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GcOptions {
    /// Only tell what would be done.
    pub dry_run: bool,
    /// How long what was thrown away can still be read, at least.
    pub grace: Duration,
    /// How hard to compress what is made anew.
    pub profile: Profile,
    /// Bytes at which a rewritten pack is closed.
    pub pack_target: u64,
    /// So many small index segments are merged into one.
    pub merge_at: usize,
}

impl Default for GcOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            grace: GRACE,
            profile: Profile::default(),
            pack_target: 64 << 20,
            merge_at: 16,
        }
    }
}

/// What was done, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct GcReport {
    /// Different images that are kept.
    pub images: u64,
    /// Packs before.
    pub packs: Amount,
    /// Packs no image needs that were thrown away.
    pub dead: Amount,
    /// Packs of which little was needed that were rewritten and thrown away.
    pub rewritten: Amount,
    /// What was written for them.
    pub written: Amount,
    /// Manifests of images that have no ref, thrown away.
    pub manifests: Amount,
    /// Which images these are: until they are destroyed they can be named again.
    pub nameless: Vec<ImageId>,
    /// Destroyed: thrown away by this run or an earlier one, and the grace is over.
    pub destroyed: Amount,
    /// Moved back from the trash: an image needs it.
    pub restored: Amount,
    /// Still in the trash.
    pub waiting: Amount,
    /// Packs no image needs that were left alone: a capture may be writing them.
    pub spared: Amount,
    /// Packs that should be rewritten but are damaged: `mimeo share check` says more.
    pub damaged: Amount,
    /// Index segments that were merged.
    pub merged: u64,
    /// Who is at work in the share.
    pub leases: Vec<String>,
}

impl GcReport {
    /// Bytes that the share loses when the grace of all is over.
    pub fn freed(&self) -> u64 {
        let away = self.dead.bytes + self.rewritten.bytes + self.manifests.bytes;
        away.saturating_sub(self.written.bytes)
    }
}

/// Collecting failed; every image is whole, and the next run ends what this began.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GcError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An image cannot be read, so nobody knows what it needs.
    #[error("nothing was collected: what an image needs cannot be told; see `mimeo share check`")]
    Unknown(#[from] ShareError),
    /// A ref cannot be used, so nobody knows which image it names.
    #[error("nothing was collected: what a version needs cannot be told")]
    Ref(#[from] UnreadableRef),
    /// The index cannot be read.
    #[error("nothing was collected: the index cannot be read; see `mimeo share reindex`")]
    Index(#[from] IndexError),
    /// An image needs what the index does not know.
    #[error(
        "nothing was collected: image {image} needs what is not there; see `mimeo share check`"
    )]
    Missing {
        /// Which image, as name and sequence.
        image: String,
        /// The chunk.
        #[source]
        source: MissingChunk,
    },
    /// Another collection was at work on the same things.
    #[error("another collection works on this share: run this one again when it has ended")]
    Changed,
    /// A pack could not be made.
    #[error("rewriting a pack")]
    Pack(#[from] PackError),
    /// A block could not be made.
    #[error("rewriting a block")]
    Block(#[from] SealError),
    /// A segment could not be made.
    #[error("making an index segment")]
    Segment(#[from] SegmentError),
}

/// Collects once. May run beside everything else, itself included.
///
/// # Errors
/// The store failed, or what images need cannot be told.
pub fn gc(store: &dyn Store, options: &GcOptions) -> Result<GcReport, GcError> {
    let mut report = GcReport::default();
    if options.dry_run {
        Sweep::new(store, None, options)?.tell(&mut report)?;
        return Ok(report);
    }
    let mut lease = Lease::take(store, "gc")?;
    // What is deleted must stay so before anything is taken away for it.
    store.tidy_refs()?;
    let run = Run::of(store.now(), lease.id());
    let mut sweep = Sweep::new(store, Some(run), options)?;
    sweep.run(&mut lease, &mut report)?;
    if options.grace.is_zero() {
        // What was thrown away just now may go, if nobody else is at work.
        lease.renew()?;
        Sweep::new(store, Some(run), options)?.destroy(&mut report)?;
    }
    seal::tidy(store, &lease.id())?;
    store.settle()?;
    let waiting = store.list_trash()?;
    report.waiting = amounts::of_trash(store, waiting.iter())?;
    Ok(report)
}
