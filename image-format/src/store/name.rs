//! What a capture is called in a store.

use std::fmt;

use crate::refs::name_to_file;

/// How the file of a ref ends.
pub(super) const KEPT: &str = ".json";
/// How it ends when a repair set it aside.
pub(super) const ASIDE: &str = ".damaged";

/// One stored ref: the name of an image and how often it was captured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName {
    /// The image's name.
    pub name: String,
    /// Which capture under this name, from 1.
    pub sequence: u64,
}

impl RefName {
    /// Where it lies in a share's folder.
    pub fn file(&self) -> String {
        format!("refs/{}", self.file_with(KEPT))
    }

    /// Where its bytes lie when a repair set it aside.
    pub fn file_aside(&self) -> String {
        format!("refs/{}", self.file_with(ASIDE))
    }

    /// Its place below the folder of all refs.
    pub(super) fn file_with(&self, suffix: &str) -> String {
        let folder = name_to_file(&self.name);
        format!("{folder}/{:020}{suffix}", self.sequence)
    }

    /// As it is typed: `name@3`.
    pub fn typed(&self) -> String {
        format!("{}@{}", self.name, self.sequence)
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.sequence)
    }
}
