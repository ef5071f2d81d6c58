//! What happened in a run, in order. Events are never changed, only added.

use inventory::OsFacts;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Place in the run, from 0, without gaps; a repeat with the same number
    /// and content is harmless.
    pub number: u64,
    /// Seconds since 1970 by the machine's clock, which may be wrong.
    pub time: u64,
    /// What it was.
    pub kind: EventKind,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// An agent took the run up, for the first time or after a restart.
    Attached {
        /// In the words of the machine: boot environment, firmware, address.
        place: String,
    },
    /// A step began.
    StepStarted {
        /// Its name.
        step: String,
    },
    /// A step has come this far.
    Progress {
        /// Its name.
        step: String,
        /// What it is doing now: `fetch`, `verify`, ...
        stage: String,
        /// Bytes done.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// Something worth keeping, for people.
    Note {
        /// The step it belongs to.
        step: String,
        /// One line.
        text: String,
    },
    /// A step ended well.
    StepFinished {
        /// Its name.
        step: String,
    },
    /// A step failed, and with it the run.
    StepFailed {
        /// Its name.
        step: String,
        /// The whole chain of reasons, one line.
        reason: String,
    },
    /// The server stored the countersigned receipt.
    ReceiptStored,
    /// The disk is an image in the share.
    ImageCaptured {
        /// The image's id, hexadecimal.
        image: String,
        /// The name it was captured under.
        name: String,
        /// Which version under that name.
        sequence: u64,
    },
    /// The installed system reported itself.
    SystemReported {
        /// What runs there.
        system: OsFacts,
        /// The name it goes by.
        hostname: String,
        /// The disk its root lies on, by serial or kernel name.
        disk: String,
    },
    /// A person or a limit ended the run.
    Stopped {
        /// Who and why.
        reason: String,
    },
}

impl EventKind {
    /// The step it speaks of.
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::StepStarted { step }
            | Self::Progress { step, .. }
            | Self::Note { step, .. }
            | Self::StepFinished { step }
            | Self::StepFailed { step, .. } => Some(step),
            _ => None,
        }
    }
}

/// An event that cannot have happened after the ones before it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EventError {
    /// Numbers have a gap or go back.
    #[error("event {found} follows where event {expected} belongs")]
    Number {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// It speaks of a step the sequence does not have.
    #[error(
        "event {number} names the step {step:?}, which the sequence {sequence:?} does not have"
    )]
    UnknownStep {
        /// Event number.
        number: u64,
        /// The step.
        step: String,
        /// The sequence.
        sequence: String,
    },
    /// A step ended that had not begun.
    #[error("event {number} ends the step {step:?}, which has not begun")]
    NotStarted {
        /// Event number.
        number: u64,
        /// The step.
        step: String,
    },
    /// The run was over.
    #[error("event {number} follows the end of the run")]
    AfterEnd {
        /// Event number.
        number: u64,
    },
}
