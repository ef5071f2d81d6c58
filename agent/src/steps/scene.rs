//! What a step may touch, and how it speaks.

use anyhow::Result;
use task_sequences::EventKind;

use crate::job::Job;
use crate::journal::Journal;

/// What a step may touch.
pub(super) struct Scene<'s> {
    pub(super) step: &'s str,
    pub(super) job: &'s Job,
    pub(super) journal: &'s mut Journal,
}

impl Scene<'_> {
    /// Says something at the machine and to the server.
    pub(super) fn note(&mut self, text: impl Into<String>) -> Result<()> {
        let text = text.into();
        self.job.screen.say(&text);
        self.report(text)
    }

    /// Says something to the server alone.
    pub(super) fn report(&mut self, text: String) -> Result<()> {
        let step = self.step.to_owned();
        self.journal.record(EventKind::Note { step, text })
    }
}
