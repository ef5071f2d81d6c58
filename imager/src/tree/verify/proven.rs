//! What a comparison proved.

use std::collections::HashMap;
use std::sync::Mutex;

use image_format::ids::ImageId;
use image_format::proof::{RootHasher, VolumeProof};
use serde::Serialize;

use super::compare::Compared;
use super::difference::{Report, TreeWhat, tell};

/// The root over everything that was read, put together in path order.
pub(super) struct Running<'r> {
    hasher: RootHasher,
    inodes: HashMap<u32, u64>,
    report: &'r Mutex<Report>,
}

impl<'r> Running<'r> {
    pub(super) fn new(partition: u32, report: &'r Mutex<Report>) -> Self {
        Self {
            hasher: RootHasher::new(partition),
            inodes: HashMap::new(),
            report,
        }
    }

    /// Takes the next entry. Names of one group must be names of one inode.
    pub(super) fn add(&mut self, one: &Compared) {
        if let Some((link, inode)) = one.link {
            let first = *self.inodes.entry(link).or_insert(inode);
            if first != inode {
                let what = TreeWhat::Property {
                    name: "hard link",
                    expected: format!("a name of inode {first}"),
                    found: format!("inode {inode}"),
                };
                tell(self.report, &one.path, what);
            }
        }
        if let Some(digest) = &one.digest {
            self.hasher.add(digest, one.bytes);
        }
    }

    pub(super) fn finish(self) -> VolumeProof {
        self.hasher.finish()
    }
}

/// A directory that holds a volume of an image, entry for entry and byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proven {
    /// The image.
    pub image: ImageId,
    /// Over the entries as a directory holds them: without sockets, times of
    /// creation and 8.3 names, and without what was left out by name.
    pub volume: VolumeProof,
}

/// What was proven, to be kept. Nobody signed it: it says what this machine found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Always `mimeo directory receipt`.
    pub receipt: &'static str,
    /// Of this form: 0.
    pub version: u32,
    /// Seconds since 1970 when it was made.
    pub time: u64,
    /// The directory.
    pub target: String,
    /// What it holds.
    #[serde(flatten)]
    pub proven: Proven,
    /// What was left out: kind, how often, the first of them.
    pub left_out: Vec<(String, u64, Vec<String>)>,
    /// None: a local receipt is as good as the machine it was made on.
    pub signature: Option<String>,
}
