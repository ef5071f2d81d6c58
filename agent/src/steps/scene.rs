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

    /// Says something at the machine, and to the server when there is time.
    pub(super) fn remark(&mut self, text: &str) {
        self.job.screen.say(text);
        let step = self.step.to_owned();
        self.journal.mention(EventKind::Note {
            step,
            text: text.to_owned(),
        });
    }

    /// Says something to the server alone.
    pub(super) fn report(&mut self, text: String) -> Result<()> {
        let step = self.step.to_owned();
        self.journal.record(EventKind::Note { step, text })
    }
}
