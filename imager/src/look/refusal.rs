//! Why something in an image cannot be shown.

use std::io;
use std::path::PathBuf;

use image_format::entry::Kind;
use image_format::share::ShareError;
use thiserror::Error;

/// Looking did not work; nothing in the share was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LookError {
    /// The share cannot answer.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// No partition of this number holds files.
    #[error("partition {wanted} holds no files: those that do are {there}")]
    Partition {
        /// What was asked for.
        wanted: u32,
        /// Numbers of those that have a tree, for people.
        there: String,
    },
    /// The image has no files at all.
    #[error("the image holds no files")]
    NoFiles,
    /// Nothing has this name.
    #[error("the image has no {path}")]
    NotThere {
        /// The path as it was looked for, escaped.
        path: String,
    },
    /// Something with names below it was wanted.
    #[error("{path} is a {kind}, not a folder")]
    NotAFolder {
        /// The path, escaped.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// Something with contents was wanted.
    #[error("{path} is a {kind} and has no contents to print")]
    NotAFile {
        /// The path, escaped.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// Symbolic links that lead to each other.
    #[error("{path}: more than {limit} symbolic links on the way")]
    TooManyLinks {
        /// The path, escaped.
        path: String,
        /// How many are followed.
        limit: u32,
    },
    /// A name of a hard link whose contents no other name carries.
    #[error(
        "{path} is a hard link, and no name before it carries its contents: run `mimeo share check`"
    )]
    NoContents {
        /// The path, escaped.
        path: String,
    },
    /// What was to be written is there already.
    #[error("{} is there already: choose another folder or replace it with --force", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// A file or folder outside the share could not be written.
    #[error("{doing} {}", path.display())]
    Target {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Whoever takes the bytes does not take more.
    #[error("handing on contents")]
    Output(#[source] io::Error),
}

/// The kind in the words people use.
pub(super) fn kind_word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Directory => "folder",
        Kind::File => "file",
        Kind::Symlink(_) => "symbolic link",
        Kind::CharDevice { .. } => "character device",
        Kind::BlockDevice { .. } => "block device",
        Kind::Fifo => "named pipe",
        Kind::Socket => "socket",
        Kind::RawVolume => "volume of sectors",
    }
}
