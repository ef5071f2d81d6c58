//! What a run is told and what it tells.

use image_format::{ImageId, ImageRecord};
use inventory::MachineId;
use serde::{Deserialize, Serialize};
use task_sequences::{Event, Sequence};

/// What a machine shall do. Signed by the server; the agent obeys nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The run.
    pub run: String,
    /// Which machine, as the server knows it.
    pub machine: MachineId,
    /// The name the machine gets.
    pub name: String,
    /// The image to apply; its id is binding.
    pub image: ImageId,
    /// Its record, for people.
    pub record: ImageRecord,
    /// The steps.
    pub sequence: Sequence,
    /// Serial number, WWN or by-id name of the target disk; `None`: there must
    /// be exactly one that fits.
    pub disk: Option<String>,
    /// Whether a disk that holds another system may be overwritten without
    /// asking at the machine.
    pub replace: bool,
}

/// More events of a run, in order, numbers without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoreEvents {
    /// The events.
    pub events: Vec<Event>,
}

/// How far the server has stored them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsStored {
    /// The number the next event must have.
    pub next: u64,
}

/// A run's events so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventList {
    /// All of them.
    pub events: Vec<Event>,
}
