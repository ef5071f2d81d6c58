//! What a capture is called in a store.

use std::fmt;

/// One stored ref: the name of an image and how often it was captured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName {
    /// The image's name.
    pub name: String,
    /// Which capture under this name, from 1.
    pub sequence: u64,
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.sequence)
    }
}
