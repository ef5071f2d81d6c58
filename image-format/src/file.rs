//! The single file: one or more images in a file that can be carried,
//! streamed through a pipe, read where it lies, appended to, and split.
//!
//! ```text
//! header | manifest.. | image table | (chunk list, block).. block table | footer
//!                     `---------------- a generation ------------------'
//! ```
//! Every section frames itself, so damage is named by place and the rest is
//! still readable. Blocks are those of a share, byte for byte. An append is one
//! more generation; its footer is the commit. A split file is the same bytes in
//! parts that end between sections, each part with a head of its own.

mod any;
mod chunks;
mod export;
mod features;
mod footer;
mod images;
mod import;
mod input;
mod kind;
mod lean;
mod need;
mod open;
mod order;
mod parts;
mod payload;
mod pieces;
mod scan;
mod section;
mod sink;
mod store;
mod stream;
mod write;

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

pub use any::{is_single_file, open_any};
pub use chunks::BlockHead;
pub use export::{ExportError, ExportProgress, ExportReport, Target, export};
pub use features::Features;
pub use footer::{Chain, FOOTER_LENGTH, Footer};
pub use images::ImageRow;
pub use import::{ImportError, ImportProgress, ImportReport, Imported, import_file, import_stream};
pub use kind::Kind;
pub use open::MimFile;
pub use parts::{PartHead, PartRow};
pub use payload::PayloadError;
pub use scan::{Damage, ScanReport, scan};
pub use section::{FileId, HEADER_LENGTH, Section, SectionError};
pub use sink::{DEFAULT_PART, LEAST_PART, MOST_PART};

/// The payloads that are tables, for whoever reads a file without opening it.
pub mod tables {
    pub use super::images::{decode as images, encode as encode_images};
    pub use super::parts::{decode as parts, encode as encode_parts};
}

/// Where a section stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// First byte of its header in the whole file, heads of parts not counted.
    pub at: u64,
    /// Its number.
    pub number: u64,
    /// What it holds, where its header could be read.
    pub kind: Option<Kind>,
}

impl Place {
    /// Of a section that begins at `at`.
    pub(crate) fn of(section: &Section, at: u64) -> Self {
        Self {
            at,
            number: section.number,
            kind: Some(section.kind),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "section {}", self.number)?;
        if let Some(kind) = self.kind {
            write!(f, " ({kind})")?;
        }
        write!(f, " at byte {}", self.at)
    }
}

/// A single file cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The medium failed.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done, as `writing`.
        doing: &'static str,
        /// To which file; `-` for a pipe.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A section is damaged or stands in the wrong place.
    #[error("{place} cannot be used")]
    Section {
        /// Which.
        place: Place,
        /// What is wrong with it.
        #[source]
        source: SectionError,
    },
    /// What a section says cannot be.
    #[error("{place} cannot be used")]
    Payload {
        /// Which.
        place: Place,
        /// What is wrong with it.
        #[source]
        source: PayloadError,
    },
    /// It ends where more must come.
    #[error(
        "the file ends at byte {at}, in or before section {number}, without a footer: it was cut off, copy it again"
    )]
    CutOff {
        /// How many bytes there are.
        at: u64,
        /// Which section is not whole.
        number: u64,
    },
    /// A footer does not fit what stands before it.
    #[error("{place} does not fit what stands before it: {field} is {found}, not {expected}")]
    Footer {
        /// Which footer.
        place: Place,
        /// What it says.
        field: &'static str,
        /// What stands before it.
        expected: String,
        /// What it says.
        found: String,
    },
    /// Something that is not a single file.
    #[error("{} is not a single file (.mim): {found}", path.display())]
    NotOne {
        /// Which.
        path: PathBuf,
        /// What it is, and what to do.
        found: String,
    },
    /// A part of a split file is missing or not the one it should be.
    #[error("{}: {reason}", path.display())]
    Part {
        /// Which part.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl FileError {
    pub(crate) fn io(doing: &'static str, path: &std::path::Path, source: io::Error) -> Self {
        Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}
