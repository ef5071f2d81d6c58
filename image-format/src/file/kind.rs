//! What a section can hold, and how much of it.

use std::fmt;

use crate::block::MAX_STORED;
use crate::manifest::MAX_ROOT;

/// A footer's payload: with the header of its section 4096 bytes.
pub(super) const FOOTER_PAYLOAD: u64 = 4000;

/// What a section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The first of a file: format and features.
    Header,
    /// The root of a manifest, as a store keeps it; its hash is the image's id.
    Manifest,
    /// The images of a generation with their refs.
    Images,
    /// Which chunks the block that follows holds.
    Chunks,
    /// A block as a pack keeps it.
    Block,
    /// An index segment over blocks before it.
    Table,
    /// The head of a part of a split file.
    Part,
    /// The parts of a split file.
    Parts,
    /// The end of a generation: what stands before it counts.
    Footer,
    /// Written by a later version, and said to be of no importance.
    Unknown(u16),
}

impl Kind {
    pub(super) fn code(self) -> u16 {
        match self {
            Self::Header => 1,
            Self::Manifest => 2,
            Self::Images => 3,
            Self::Chunks => 4,
            Self::Block => 5,
            Self::Table => 6,
            Self::Part => 7,
            Self::Parts => 8,
            Self::Footer => 9,
            Self::Unknown(code) => code,
        }
    }

    pub(super) fn from_code(code: u16) -> Self {
        match code {
            1 => Self::Header,
            2 => Self::Manifest,
            3 => Self::Images,
            4 => Self::Chunks,
            5 => Self::Block,
            6 => Self::Table,
            7 => Self::Part,
            8 => Self::Parts,
            9 => Self::Footer,
            code => Self::Unknown(code),
        }
    }

    /// The longest payload a reader takes: a length never decides alone how
    /// much memory is used. `Unknown` is passed over and never held.
    pub fn limit(self) -> u64 {
        match self {
            Self::Header => 64 << 10,
            Self::Manifest => MAX_ROOT,
            Self::Images | Self::Table => 64 << 20,
            // A block of 16 MiB has at most so many chunks of a useful size.
            Self::Chunks => 8 << 20,
            Self::Block => MAX_STORED as u64,
            Self::Part => super::parts::HEAD_LENGTH,
            Self::Parts => 1 << 20,
            Self::Footer => FOOTER_PAYLOAD,
            Self::Unknown(_) => u64::MAX,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Manifest => "manifest",
            Self::Images => "image table",
            Self::Chunks => "chunk list",
            Self::Block => "block",
            Self::Table => "block table",
            Self::Part => "part head",
            Self::Parts => "part table",
            Self::Footer => "footer",
            Self::Unknown(code) => return write!(f, "kind {code}"),
        })
    }
}
