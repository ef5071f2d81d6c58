//! Step → who does it. Harm is done below here and nowhere else.

mod boot_entry;
mod disk;
mod glance;
mod identity;
mod image;
pub(crate) mod power;
mod report;

use anyhow::Result;
pub(crate) use disk::disks;
pub(crate) use report::now;
use task_sequences::{Action, EventKind, Step};

use crate::journal::Journal;
use crate::work::Job;

/// Does one step. What it returns decides whether the run goes on.
pub(crate) fn perform(step: &Step, job: &Job, journal: &mut Journal) -> Result<()> {
    let mut scene = Scene {
        step: &step.name,
        job,
        journal,
    };
    match step.action {
        Action::ApplyImage => image::apply(&mut scene),
        Action::BootEntry => boot_entry::set(&mut scene),
        // The restart itself comes when the server knows that the step is done.
        Action::Restart => Ok(()),
        Action::ReportSystem => report::system(&mut scene),
    }
}

/// What a step may touch.
struct Scene<'s> {
    step: &'s str,
    job: &'s Job,
    journal: &'s mut Journal,
}

impl Scene<'_> {
    /// Says something at the machine and to the server.
    fn note(&mut self, text: impl Into<String>) -> Result<()> {
        let text = text.into();
        self.job.screen.say(&text);
        self.report(text)
    }

    /// Says something to the server alone.
    fn report(&mut self, text: String) -> Result<()> {
        let step = self.step.to_owned();
        self.journal.record(EventKind::Note { step, text })
    }
}
