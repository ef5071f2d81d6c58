//! Why the server does not do what it was asked. No status codes here: the
//! edge ([`crate::http`]) maps them.

use image_format::store::StoreError;
use task_sequences::EventError;
use thiserror::Error;

use crate::db::DbError;

/// A request that was not carried out.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    /// The conversation is over, was never begun, or another replaced it.
    #[error("this conversation has ended; the machine must say hello again")]
    UnknownSession,
    /// The nonce is not the one the machine committed to.
    #[error("the nonce is not the one the hello committed to; the machine must say hello again")]
    WrongNonce,
    /// More machines say hello than the server remembers at once.
    #[error("too many machines wait at once; approve or switch off some, then it is tried again")]
    TooManySessions,
    /// A hello that no machine says.
    #[error("the hello is not one of a machine: {reason}")]
    Hello {
        /// What is odd.
        reason: &'static str,
    },
    /// No machine shows this code, or no more.
    #[error(
        "no waiting machine shows the code {code:?}: it may have been used, or be older than 30 minutes; read the one on the machine's screen now"
    )]
    UnknownCode {
        /// As typed, in normal form.
        code: String,
    },
    /// The machine was not asked.
    #[error("there is nothing to choose for this machine now; ask again how it stands")]
    NotAsked,
    /// A name that no host can have.
    #[error(
        "{name:?} cannot be a host name: expected 1 to 63 letters, digits and '-', neither first nor last a '-', not digits only"
    )]
    HostName {
        /// The name.
        name: String,
    },
    /// Another machine has the name.
    #[error("another machine is called {name:?} already; choose another name")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The share has no such image.
    #[error("the share has no image {image:?}; `mimeo image list` shows what it has")]
    UnknownImage {
        /// Name or id.
        image: String,
    },
    /// A name that no image can have.
    #[error("that cannot be captured: {reason}")]
    ImageName {
        /// In the share's words.
        reason: String,
    },
    /// There is nothing to recognise it by.
    #[error("a machine needs a UUID, a serial number or an adapter's address to be recognised by")]
    NoIdentity,
    /// It may be one machine or two.
    #[error(
        "these names belong partly to the machine {machine} known already: give the names of one machine only"
    )]
    DoubtfulIdentity {
        /// The other one.
        machine: String,
    },
    /// No such run.
    #[error("there is no run {run:?}")]
    UnknownRun {
        /// As asked.
        run: String,
    },
    /// The run has no receipt.
    #[error("run {run} has no receipt yet")]
    NoReceipt {
        /// Which run.
        run: String,
    },
    /// The run is over.
    #[error("run {run} is over ({state}); its token opens nothing more")]
    RunOver {
        /// Which run.
        run: String,
        /// How it ended.
        state: String,
    },
    /// The event's number is taken by another.
    #[error(
        "event {number} of run {run} is stored with another content; read the run's events and go on from there"
    )]
    EventConflict {
        /// Which run.
        run: String,
        /// Which number.
        number: u64,
    },
    /// It cannot have happened now.
    #[error(transparent)]
    Event(#[from] EventError),
    /// A receipt was said to be stored, and is not.
    #[error("event {number} says that a receipt is stored, but there is none")]
    NoReceiptForEvent {
        /// Which event.
        number: u64,
    },
    /// An image was said to be in the share, and is not this run's.
    #[error("event {number} says that an image was captured, but {reason}")]
    NotCaptured {
        /// Which event.
        number: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// More than a run can reasonably tell.
    #[error("run {run} has told {limit} events, no more are kept")]
    TooManyEvents {
        /// Which run.
        run: String,
        /// How many there may be.
        limit: usize,
    },
    /// The receipt was not made for this run.
    #[error("the receipt is not one of this run: {reason}")]
    ForeignReceipt {
        /// What does not belong.
        reason: String,
    },
    /// What was read back is not what the image says.
    #[error("the receipt does not agree with the image: {reason}; the run has failed")]
    Disagreement {
        /// Which volume or path.
        reason: String,
    },
    /// The bytes are not part of the run's image.
    #[error("that is not a part of the image assigned to run {run}")]
    NotAssigned {
        /// Which run.
        run: String,
    },
    /// Too much is being sent at once.
    #[error("the server is busy sending to other machines; try again")]
    Busy,
    /// No such path, or nothing under that name.
    #[error("there is nothing at this path")]
    NotFound,
    /// Who asks has not said who it is.
    #[error("this needs the token of {whose}")]
    Unauthorised {
        /// `a run` or `an operator`.
        whose: &'static str,
    },
    /// The token does not open this.
    #[error("this token does not allow {what}; ask the operator for one that does")]
    NoRight {
        /// What was asked.
        what: String,
    },
    /// The body is longer than anything asked for here.
    #[error("the request is too large")]
    TooLarge,
    /// The body or a part of the path cannot be read.
    #[error("the request cannot be read: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The memory failed.
    #[error(transparent)]
    Db(DbError),
    /// The share failed.
    #[error("the deployment share: {reason}")]
    Share {
        /// The whole chain.
        reason: String,
    },
    /// A key or the random number generator failed.
    #[error(transparent)]
    Trust(#[from] api::TrustError),
    /// A part of the server ended unexpectedly.
    #[error("a part of the server failed: {reason}; its log says more")]
    Internal {
        /// What failed.
        reason: String,
    },
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Self {
        match error {
            DbError::NameTaken { name } => Self::NameTaken { name },
            other => Self::Db(other),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Share {
            reason: chain(&error),
        }
    }
}

impl From<tokio::task::JoinError> for Refusal {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Internal {
            reason: error.to_string(),
        }
    }
}

/// An error with everything behind it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
