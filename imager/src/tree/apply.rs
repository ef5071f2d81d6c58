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
mod existing;
mod finish;
mod groups;
mod hands;
mod laid;
mod marking;
mod names;
mod run;
mod settle;
mod waiting;
mod writer;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub use run::{Blocks, Phase, Progress};
pub(crate) use settle::{times, write_all};

pub use super::error::TreeError;
use super::held::Losses;
use super::plan::{Origin, Others, Plan};
use super::verify::{self, Proven};
use groups::Groups;
use run::Run;

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
    let root = marking::begin(plan)?;
    let groups = Groups::of(plan, origin)?;
    let run = Run::new(plan, root, groups, blocks, watch);
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
    marking::end(&run, &laid)?;
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
