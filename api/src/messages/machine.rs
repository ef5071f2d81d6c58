//! What a machine and the server say before there is a run.

use inventory::MachineFacts;
use serde::{Deserialize, Serialize};

use crate::messages::run::Assignment;
use crate::trust::{Nonce, PublicKey, Signed};

/// A machine presents itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the agent.
    pub agent: String,
    /// What it found of itself.
    pub facts: MachineFacts,
    /// The key it made for this start; its receipts are signed with it.
    pub key: PublicKey,
    /// Hash of a nonce it reveals once it has the server's
    /// ([`trust::commitment`](crate::trust::commitment)).
    pub commitment: Nonce,
}

/// The server's half of the short code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Secret name of this conversation.
    pub session: String,
    /// The server's nonce.
    pub nonce: Nonce,
}

/// The machine opens its commitment; sent with every question how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reveal {
    /// The nonce behind [`Hello::commitment`].
    pub nonce: Nonce,
}

/// How a machine stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "kebab-case")]
pub enum Standing {
    /// Nobody has approved it yet. It shows the short code and asks again.
    Waiting {
        /// Seconds until it may ask again.
        retry: u32,
    },
    /// Approved, but what is open must be answered at the machine.
    Ask(Questions),
    /// It has a run.
    Assigned {
        /// Bearer token of the run.
        token: String,
        /// What to do, signed by the server.
        assignment: Signed<Assignment>,
    },
    /// There is nothing to do here: start the disk.
    Nothing {
        /// Why, for people.
        reason: String,
    },
}

/// What nobody has decided yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Questions {
    /// Images to choose from.
    pub images: Vec<ImageChoice>,
    /// The name it would get.
    pub suggested_name: String,
}

/// An image as a choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageChoice {
    /// The name to answer with.
    pub name: String,
    /// For people: system, date, size.
    pub description: String,
}

/// The answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Image name.
    pub image: String,
    /// Machine name.
    pub name: String,
}
