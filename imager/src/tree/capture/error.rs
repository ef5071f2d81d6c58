//! Why there is no image of a tree.

use std::path::PathBuf;

use image_format::ids::ImageId;
use image_format::ingest::IngestError;
use image_format::share::ShareError;
use rustix::io::Errno;
use thiserror::Error;

use super::notes::{Noted, display};
use crate::tree::metadata::io_error;

/// Why there is no image. Nothing was committed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The directory to capture cannot be opened.
    #[error("opening {}", path.display())]
    Root {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is made by the kernel and not stored anywhere.
    #[error(
        "{} is a file system the kernel makes up ({what}): there is nothing to capture",
        path.display()
    )]
    Pseudo {
        /// Which directory.
        path: PathBuf,
        /// Which kind.
        what: &'static str,
    },
    /// An apply was interrupted in it.
    #[error(
        "an apply of image {} was interrupted here: finish it first (`mimeo apply {} ...`), or \
         remove .mimeo-apply if you know what lies there", image.short(), image.short()
    )]
    HalfApplied {
        /// The image that was applied.
        image: ImageId,
    },
    /// The name of our note is taken.
    #[error(
        "the directory holds .mimeo-apply, a name this program keeps for its note of an apply \
         that is under way, and it is no such note: look at it, and remove or rename it"
    )]
    Reserved,
    /// A name could not be read.
    #[error("{doing} {path}; with --skip-unreadable it is left out and named")]
    Read {
        /// The path below the captured directory.
        path: String,
        /// What was being done, as `reading`.
        doing: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// Strictness was asked for, and the tree did not hold still.
    #[error(
        "{} entries {what}, the first is {}; capture a quiet system or a snapshot, or without --strict",
        noted.count, noted.paths.first().map_or("", String::as_str)
    )]
    Strict {
        /// What happened to them.
        what: &'static str,
        /// Which.
        noted: Noted,
    },
    /// The image to compare with cannot be read.
    #[error("reading the parent image")]
    Parent {
        /// Why.
        #[from]
        source: ShareError,
    },
    /// The store did not take it.
    #[error("storing the image")]
    Ingest {
        /// Why.
        #[from]
        source: IngestError,
    },
    /// Whoever watched it ended it.
    #[error("interrupted: nothing was committed; begin again to go on")]
    Interrupted,
    /// The threads that read ended early.
    #[error("reading the directory ended early; capture again")]
    CutShort,
}

impl TreeError {
    pub(super) fn read(path: &[u8], doing: &'static str, errno: Errno) -> Self {
        Self::Read {
            path: display(path),
            doing,
            source: io_error(errno),
        }
    }
}
