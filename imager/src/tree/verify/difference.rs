//! What is different, by name.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use serde::Serialize;

use crate::tree::place::text;

/// No more than this many are told: a wrong directory differs everywhere.
const MOST: usize = 1000;

/// One difference between a directory and an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TreeDifference {
    /// Path in the volume as people read it, with a slash in front.
    pub path: String,
    /// What differs.
    pub what: TreeWhat,
}

/// What differs about a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TreeWhat {
    /// It is not there.
    Missing,
    /// It is there and must not be, with all that may be in it.
    Extra,
    /// A property.
    Property {
        /// Which.
        name: &'static str,
        /// What the image says.
        expected: String,
        /// What the directory says.
        found: String,
    },
    /// The contents differ somewhere in this range.
    Content {
        /// First byte in the file.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// It cannot be read.
    Unreadable {
        /// Why.
        why: String,
    },
    /// More differences than are told.
    More {
        /// How many.
        count: u64,
    },
}

impl TreeDifference {
    /// How many it stands for.
    pub fn count(&self) -> u64 {
        match self.what {
            TreeWhat::More { count } => count,
            _ => 1,
        }
    }
}

impl fmt::Display for TreeDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.what {
            TreeWhat::Missing => write!(f, "{path}: missing"),
            TreeWhat::Extra => write!(f, "{path}: must not be there"),
            TreeWhat::Property {
                name,
                expected,
                found,
            } => {
                write!(f, "{path}: {name}: expected {expected}, found {found}")
            }
            TreeWhat::Content { offset, length } => {
                write!(f, "{path}: contents differ in {length} bytes at {offset}")
            }
            TreeWhat::Unreadable { why } => write!(f, "{path}: cannot be read: {why}"),
            TreeWhat::More { count } => write!(f, "{count} more differences"),
        }
    }
}

/// The first of many differences, for a message of one line.
pub(crate) struct TreeDifferences<'d>(pub(crate) &'d [TreeDifference]);

impl fmt::Display for TreeDifferences<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("no difference named"),
            [only] => write!(f, "{only}"),
            [first, rest @ ..] => {
                let more: u64 = rest.iter().map(TreeDifference::count).sum();
                write!(f, "{first} (and {more} more)")
            }
        }
    }
}

/// Gathers differences from all threads.
#[derive(Debug, Default)]
pub(super) struct Report {
    told: Vec<TreeDifference>,
    more: u64,
}

impl Report {
    pub(super) fn tell(&mut self, path: &[u8], what: TreeWhat) {
        if self.told.len() < MOST {
            let path = text(path);
            self.told.push(TreeDifference { path, what });
        } else {
            self.more += 1;
        }
    }

    /// In the order of paths.
    pub(super) fn finish(mut self) -> Vec<TreeDifference> {
        self.told.sort();
        if self.more > 0 {
            let what = TreeWhat::More { count: self.more };
            self.told.push(TreeDifference {
                path: "/".to_owned(),
                what,
            });
        }
        self.told
    }
}

/// Tells one difference.
pub(super) fn tell(report: &Mutex<Report>, path: &[u8], what: TreeWhat) {
    report
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .tell(path, what);
}

/// Tells that something cannot be looked at: mostly because it is not there.
pub(super) fn lacking(report: &Mutex<Report>, path: &[u8], error: Errno) {
    let what = match error {
        Errno::NOENT | Errno::NOTDIR => TreeWhat::Missing,
        error => TreeWhat::Unreadable {
            why: std::io::Error::from(error).to_string(),
        },
    };
    tell(report, path, what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_beyond_those_that_are_told_are_counted() {
        let mut report = Report::default();
        for number in 0..MOST + 5 {
            report.tell(format!("{number}").as_bytes(), TreeWhat::Missing);
        }
        let told = report.finish();
        let all: u64 = told.iter().map(TreeDifference::count).sum();
        assert_eq!((told.len(), all), (MOST + 1, MOST as u64 + 5));
    }
}
