//! What a run is told and what it tells.

use image_format::{ImageId, ImageRecord, Profile};
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
    /// To put an image onto its disk, or to make one of it.
    #[serde(flatten)]
    pub work: Work,
    /// The steps.
    pub sequence: Sequence,
    /// Serial number, WWN or by-id name of the disk it is about; `None`: there
    /// must be exactly one that fits.
    pub disk: Option<String>,
}

/// What a run is for. Its fields stand in the assignment's own JSON object:
/// that of an apply is what it was before there were captures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Work {
    /// Puts an image onto the disk.
    Apply {
        /// The image to apply; its id is binding.
        image: ImageId,
        /// Its record, for people.
        record: Box<ImageRecord>,
        /// Whether a disk that holds another system may be overwritten without
        /// asking at the machine.
        replace: bool,
    },
    /// Makes an image of the disk, which is only read.
    Capture {
        /// What to capture, and as what.
        capture: CaptureOrder,
    },
}

impl Work {
    /// The name of the image it is about.
    pub fn image_name(&self) -> &str {
        match self {
            Self::Apply { record, .. } => &record.name,
            Self::Capture { capture } => &capture.wish.name,
        }
    }

    /// The image it applies; `None`: it captures one.
    pub fn image(&self) -> Option<ImageId> {
        match self {
            Self::Apply { image, .. } => Some(*image),
            Self::Capture { .. } => None,
        }
    }

    /// What it captures; `None`: it applies an image.
    pub fn capture(&self) -> Option<&CaptureOrder> {
        match self {
            Self::Apply { .. } => None,
            Self::Capture { capture } => Some(capture),
        }
    }
}

/// An image that somebody wants of a machine's disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureWish {
    /// The name to capture under.
    pub name: String,
    /// How hard to compress.
    #[serde(default)]
    pub profile: Profile,
    /// Whether everything is read, also what the image before says is
    /// unchanged, and every block compared after it was compressed.
    #[serde(default)]
    pub paranoid: bool,
}

/// A capture as the server ordered it. What it says of the share is as of the
/// run's begin, so that a run taken up again does the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureOrder {
    /// What is wanted.
    #[serde(flatten)]
    pub wish: CaptureWish,
    /// The image to compare with, the only one this run may read.
    pub parent: Option<ImageId>,
    /// The newest version there was under this name; 0: none. Only a later one
    /// is this run's.
    pub after: u64,
    /// When the run began: seconds since 1970 by the server's clock.
    pub began: u64,
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn assignment(work: Value) -> Value {
        let mut value = json!({
            "run": "r", "machine": "01".repeat(16), "name": "pc1", "disk": null,
            "sequence": { "name": "s", "version": 1, "nodes": [] },
        });
        let fields = value.as_object_mut().unwrap();
        fields.extend(work.as_object().unwrap().clone());
        value
    }

    /// Databases hold assignments of before there were captures.
    #[test]
    fn an_apply_is_written_as_it_was_before_there_were_captures() {
        let image = "02".repeat(32);
        let written = assignment(json!({
            "image": image, "replace": true,
            "record": {
                "image": image, "name": "office", "sequence": 3, "captured": 5, "parent": null,
                "system": null, "logical_size": 6, "entries": 7, "profile": null, "source": null,
                "witnesses": null,
            },
        }));
        let read: Assignment = serde_json::from_value(written.clone()).unwrap();
        assert!(matches!(read.work, Work::Apply { replace: true, .. }));
        assert_eq!(read.work.image_name(), "office");
        assert_eq!(serde_json::to_value(read).unwrap(), written);
    }

    #[test]
    fn a_capture_survives_being_written_and_no_work_is_refused() {
        let capture = json!({
            "name": "office", "profile": "archive", "paranoid": true, "parent": null,
            "after": u64::MAX, "began": 9,
        });
        let written = assignment(json!({ "capture": capture }));
        let read: Assignment = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(read.work.capture().unwrap().after, u64::MAX);
        assert_eq!(read.work.image(), None);
        assert_eq!(serde_json::to_value(read).unwrap(), written);
        let nothing = assignment(json!({}));
        assert!(serde_json::from_value::<Assignment>(nothing).is_err());
    }
}
