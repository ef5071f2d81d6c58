//! What is different, by name.

use std::fmt;

use image_format::entry::{Entry, Kind};

/// No more than this many are told: a wrong disk differs everywhere.
const MOST: usize = 1000;

/// One difference between a disk and what it must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Number of the partition.
    pub partition: u32,
    /// Path in the volume; empty for its root or the volume itself.
    pub path: Vec<u8>,
    /// What differs.
    pub what: What,
}

/// What differs about a path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// It is not there.
    Missing,
    /// It is there and must not be.
    Extra,
    /// A property: which, expected, found.
    Property {
        /// Which.
        name: &'static str,
        /// What the image says.
        expected: String,
        /// What the disk says.
        found: String,
    },
    /// The contents differ somewhere in this range.
    Content {
        /// First byte in the file.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// The contents cannot be read.
    Unreadable {
        /// First byte in the file.
        offset: u64,
        /// Why.
        why: String,
    },
    /// The volume itself is not what it must be.
    Volume(String),
    /// So many more differences of this volume, without their names.
    More {
        /// How many.
        count: u64,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = Entry::new(self.path.clone(), Kind::File).display_path();
        match (self.partition, &self.what) {
            (0, _) => f.write_str("disk: ")?,
            (number, What::Volume(_) | What::More { .. }) => write!(f, "partition {number}: ")?,
            (number, _) => write!(f, "partition {number} {path}: ")?,
        }
        match &self.what {
            What::Missing => f.write_str("missing"),
            What::Extra => f.write_str("must not be there"),
            What::Property {
                name,
                expected,
                found,
            } => {
                write!(f, "{name}: expected {expected}, found {found}")
            }
            What::Content { offset, length } => {
                write!(f, "contents differ in {length} bytes at {offset}")
            }
            What::Unreadable { offset, why } => {
                write!(f, "contents at {offset} cannot be read: {why}")
            }
            What::Volume(why) => f.write_str(why),
            What::More { count } => write!(f, "{count} more differences, not named"),
        }
    }
}

impl Difference {
    /// How many differences it stands for.
    pub fn count(&self) -> u64 {
        match self.what {
            What::More { count } => count,
            _ => 1,
        }
    }
}

/// The first of many differences, for a message of one line.
pub(crate) struct Differences<'d>(pub(crate) &'d [Difference]);

impl fmt::Display for Differences<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("no difference named"),
            [only] => write!(f, "{only}"),
            [first, rest @ ..] => {
                let more: u64 = rest.iter().map(Difference::count).sum();
                write!(f, "{first} (and {more} more)")
            }
        }
    }
}

/// Gathers the differences of one volume.
pub(super) struct Report {
    partition: u32,
    pub(super) differences: Vec<Difference>,
    /// Those that came after so many.
    untold: u64,
}

impl Report {
    pub(super) fn new(partition: u32) -> Self {
        Self {
            partition,
            differences: Vec::new(),
            untold: 0,
        }
    }

    /// All of them, the last of which says how many have no name here.
    pub(super) fn told(mut self) -> Vec<Difference> {
        if self.untold > 0 {
            self.differences.push(Difference {
                partition: self.partition,
                path: Vec::new(),
                what: What::More { count: self.untold },
            });
        }
        self.differences
    }

    pub(super) fn tell(&mut self, path: &[u8], what: What) {
        if self.differences.len() < MOST {
            let (partition, path) = (self.partition, path.to_vec());
            self.differences.push(Difference {
                partition,
                path,
                what,
            });
        } else {
            self.untold += 1;
        }
    }

    /// Tells of a property unless both sides agree.
    pub(super) fn property<T: PartialEq>(
        &mut self,
        path: &[u8],
        name: &'static str,
        (expected, found): (&T, &T),
        show: impl Fn(&T) -> String,
    ) {
        if expected != found {
            let (expected, found) = (show(expected), show(found));
            self.tell(
                path,
                What::Property {
                    name,
                    expected,
                    found,
                },
            );
        }
    }
}
