//! A plan carried out: destroyed, written, read back, compared, and only then
//! made bootable.
//!
//! The order is the promise. Whatever boots is destroyed first and written
//! last; in between a power cut leaves a disk that nothing starts from, and
//! the same plan applied again goes on from what verifies.

mod bases;
mod blocks;
mod destroy;
mod error;
mod event;
mod gate;
mod metadata;
mod pen;
mod reuse;
mod seal;

use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};

use image_format::BlockJob;
use image_format::proof::Proof;
use image_format::store::Source;

pub use error::ApplyError;
pub use event::{ApplyEvent, Phase};

use crate::disk::Disk;
use crate::disk::withheld::Withheld;
use crate::plan::Plan;
use crate::readers;
use crate::scratch::{self, Marker};
use crate::verify::{self, Expected, ReadBack};
use event::{Note, Progress, Teller};
use pen::Pen;

/// Threads beyond this many wait for the medium, not for a processor.
const MOST_THREADS: usize = 16;

/// How a plan is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ApplyOptions {
    /// Look for contents at their place on all of the disk, instead of giving
    /// up when a sample finds none.
    pub look_everywhere: bool,
}

/// Carries out `plan` on `disk`. `jobs` name the blocks that `source` has for
/// the image (more than needed is fine); `run` is remembered on the disk.
///
/// # Errors
/// The first failure; after it nothing was written, and the disk boots nothing
/// unless the failure came after everything had been sealed.
pub fn apply(
    plan: &Plan,
    disk: &dyn Disk,
    jobs: &[BlockJob],
    source: &dyn Source,
    run: &str,
    watch: &mut dyn FnMut(ApplyEvent),
) -> Result<Proof, ApplyError> {
    let options = ApplyOptions::default();
    apply_with(plan, disk, jobs, source, run, options, watch)
}

/// As [`apply`], with wishes.
///
/// # Errors
/// As [`apply`].
pub fn apply_with(
    plan: &Plan,
    disk: &dyn Disk,
    jobs: &[BlockJob],
    source: &dyn Source,
    run: &str,
    options: ApplyOptions,
    watch: &mut dyn FnMut(ApplyEvent),
) -> Result<Proof, ApplyError> {
    suits(plan, disk)?;
    let before = interrupted(plan, disk);
    if let Some(Marker { run, .. }) = &before {
        watch(ApplyEvent::Resumed { run: run.clone() });
    }
    let (notes, heard) = mpsc::channel();
    std::thread::scope(|scope| {
        // Owned by the thread: its end is what ends the listening below.
        let work = scope.spawn(move || {
            let progress = Progress::new(&notes);
            let work = Work {
                plan,
                jobs,
                source,
                run,
                look: options.look_everywhere,
            };
            carry_out(&work, disk, before.as_ref(), &progress)
        });
        let mut teller = Teller::default();
        heard
            .iter()
            .filter_map(|note: Note| teller.event(note))
            .for_each(watch);
        work.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn suits(plan: &Plan, disk: &dyn Disk) -> Result<(), ApplyError> {
    let planned = (plan.layout.size, plan.layout.sector_size);
    let found = (disk.size(), disk.sector_size());
    if planned == found {
        Ok(())
    } else {
        Err(ApplyError::OtherDisk { planned, found })
    }
}

/// The apply that was interrupted here. It need not be of this very plan: a
/// machine that comes back has another token in its overlay, and yet nearly
/// every byte lies where it belongs.
fn interrupted(plan: &Plan, disk: &dyn Disk) -> Option<Marker> {
    let marker = plan
        .scratch_free
        .then(|| scratch::read(disk).ok().flatten());
    marker.flatten()
}

/// Whether an apply of this very plan was interrupted on the disk, and nothing
/// was put there since: its marker stands, both tables are as destroyed as that
/// apply left them, and no file system takes the whole disk.
pub fn was_interrupted(plan: &Plan, disk: &dyn Disk) -> bool {
    let is_ours = interrupted(plan, disk).is_some_and(|marker| marker.plan == plan.id);
    is_ours && destroy::is_destroyed(plan, disk) && !readers::is_foreign(disk)
}

/// What is to be done, whatever the disk holds.
struct Work<'w> {
    plan: &'w Plan,
    jobs: &'w [BlockJob],
    source: &'w dyn Source,
    run: &'w str,
    look: bool,
}

fn carry_out(
    work: &Work<'_>,
    disk: &dyn Disk,
    before: Option<&Marker>,
    progress: &Progress<'_>,
) -> Result<Proof, ApplyError> {
    let plan = work.plan;
    let pen = Pen::new(disk, plan);
    progress.start(Phase::Destroy, 0);
    let same_plan = before.is_some_and(|marker| marker.plan == plan.id);
    destroy::destroy(&pen, plan, same_plan)?;
    mark(plan, &pen, work.run)?;
    metadata::write(&pen, plan, progress)?;
    let kept = reuse::reuse(&pen, plan, before.is_some() || work.look, progress)?;
    blocks::write_local(&pen, plan, &kept)?;
    blocks::write_blocks(&pen, plan, work.jobs, work.source, &kept, progress)?;
    pen.sync()?;
    pen.bypass_cache()?;
    let read = read_back(plan, &pen, progress)?;
    let boot_root = seal::seal(&pen, plan, progress)?;
    if plan.scratch_free {
        scratch::clear(disk).map_err(|source| ApplyError::Scratch {
            source: Box::new(source),
        })?;
        pen.sync()?;
    }
    Ok(Proof {
        image: plan.image,
        plan: plan.id,
        volumes: read.volumes,
        overlay: read.overlay,
        boot_root,
    })
}

/// Remembers on the disk which plan is being carried out.
fn mark(plan: &Plan, pen: &Pen<'_>, run: &str) -> Result<(), ApplyError> {
    if !plan.scratch_free {
        return Ok(());
    }
    let marker = Marker {
        plan: plan.id,
        run: run.to_owned(),
        phase: 0,
    };
    scratch::write(pen.disk(), &marker).map_err(|source| {
        pen.put_down();
        ApplyError::Scratch {
            source: Box::new(source),
        }
    })?;
    pen.sync()
}

/// Reads every volume back as if its withheld parts were there already.
fn read_back(plan: &Plan, pen: &Pen<'_>, progress: &Progress<'_>) -> Result<ReadBack, ApplyError> {
    let withheld = plan
        .volumes
        .iter()
        .flat_map(|volume| &volume.withheld)
        .cloned();
    let ranges = withheld
        .chain(pen.held())
        .map(|write| (write.offset, write.bytes))
        .collect();
    let view = Withheld::new(pen.disk(), ranges).ok_or(ApplyError::Withheld)?;
    let expected = Expected::of_plan(plan);
    progress.start(Phase::Verify, expected.iter().map(Expected::bytes).sum());
    verify::verify(&view, &expected, &|bytes| progress.add(bytes))
        .map_err(|differences| ApplyError::Differs { differences })
}

/// How many threads do the work.
fn cores() -> usize {
    std::thread::available_parallelism()
        .map_or(1, std::num::NonZero::get)
        .min(MOST_THREADS)
}

/// Keeps the error that came first: later ones are mostly its consequences.
fn first(failure: &Mutex<Option<ApplyError>>, error: ApplyError) {
    let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
    if failure.is_none() || matches!(*failure, Some(ApplyError::Stopped)) {
        *failure = Some(error);
    }
}
