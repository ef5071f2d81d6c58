//! Step → who does it. Harm is done below here and nowhere else.

mod boot_entry;
mod bootable;
mod capture;
mod disk;
mod identity;
mod image;
pub(crate) mod power;
mod report;
mod room;
mod scene;
mod teller;

use anyhow::Result;
pub(crate) use disk::disks;
pub(crate) use report::now;
use task_sequences::{Action, Step};

use crate::job::Job;
use crate::journal::Journal;
use scene::Scene;

/// Does one step. What it returns decides whether the run goes on.
pub(crate) fn perform(step: &Step, job: &Job, journal: &mut Journal) -> Result<()> {
    let mut scene = Scene {
        step: &step.name,
        job,
        journal,
    };
    match step.action {
        Action::ApplyImage => image::apply(&mut scene),
        Action::CaptureImage => capture::capture(&mut scene),
        Action::BootEntry => boot_entry::set(&mut scene),
        // The restart itself comes when the server knows that the step is done.
        Action::Restart => Ok(()),
        Action::ReportSystem => report::system(&mut scene),
    }
}
