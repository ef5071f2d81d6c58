//! What people ask the server.

use inventory::{Identity, MachineFacts, MachineId};
use serde::{Deserialize, Serialize};
use task_sequences::Event;

use crate::messages::run::CaptureWish;

/// A machine that shall be known before it comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewMachine {
    /// The name it gets; `None`: the one it has, or none yet.
    pub name: Option<String>,
    /// What it will be recognised by; at least one name.
    pub identity: Identity,
    /// Image to apply when it comes; `None`: it is asked at the machine.
    pub image: Option<String>,
    /// What to capture of it instead of applying an image.
    #[serde(default)]
    pub capture: Option<CaptureWish>,
    /// The disk it is about, by serial, WWN or by-id name.
    #[serde(default)]
    pub disk: Option<String>,
    /// Whether a disk that holds another system may be overwritten unasked.
    #[serde(default)]
    pub replace: bool,
    /// Whether it starts without a person's approval.
    #[serde(default)]
    pub unattended: bool,
}

/// Approval of a machine that shows this code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The code as shown, with or without dashes, any case.
    pub code: String,
    /// Name for the machine; `None`: asked at the machine.
    pub name: Option<String>,
    /// Image for the machine; `None`: asked at the machine.
    pub image: Option<String>,
    /// What to capture of it instead of applying an image.
    #[serde(default)]
    pub capture: Option<CaptureWish>,
}

/// A machine as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its id.
    pub id: MachineId,
    /// Its name, once it has one.
    pub name: Option<String>,
    /// What it is recognised by.
    pub identity: Identity,
    /// What it last said of itself.
    pub facts: Option<MachineFacts>,
    /// `expected`, `waiting`, `approved`, `running`, `done`, `failed`.
    pub standing: String,
    /// Short code it shows while it waits.
    pub code: Option<String>,
    /// Its latest run.
    pub run: Option<String>,
}

/// All machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineList {
    /// In the order they became known.
    pub machines: Vec<Machine>,
}

/// A run in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Its id.
    pub run: String,
    /// Its machine.
    pub machine: MachineId,
    /// The machine's name.
    pub name: String,
    /// The image's name.
    pub image: String,
    /// Whether it captures that image instead of applying it.
    #[serde(default)]
    pub captures: bool,
    /// `running`, `succeeded`, `failed: why`.
    pub state: String,
    /// Seconds since 1970 by the server's clock.
    pub started: u64,
    /// Seconds since 1970 of the last event.
    pub last: u64,
    /// Whether a countersigned receipt is stored.
    pub receipt: bool,
    /// Operating system that reported itself.
    pub system: Option<String>,
}

/// All runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunList {
    /// Oldest first.
    pub runs: Vec<RunSummary>,
}

/// One run with what happened; times of arrival by the server's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDetail {
    /// In short.
    pub summary: RunSummary,
    /// Every event with the second it arrived.
    pub events: Vec<ArrivedEvent>,
}

/// An event and when it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivedEvent {
    /// Seconds since 1970, server's clock.
    pub arrived: u64,
    /// The event.
    pub event: Event,
}

/// The server in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// What was heard on the wire that somebody should look at.
    pub findings: Vec<String>,
}
