//! Why a plan was refused. Nothing was changed.

use std::io;
use std::path::PathBuf;

use image_format::ShareError;
use image_format::ids::ImageId;
use thiserror::Error;

use crate::tree::held::Losses;

/// The reason there is no plan.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The target is there and no directory.
    #[error("{} is no directory", target.display())]
    NoDirectory {
        /// The target.
        target: PathBuf,
    },
    /// The target cannot be looked at.
    #[error("{} cannot be read", target.display())]
    Look {
        /// The target, or the nearest folder above that is there.
        target: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The target holds something.
    #[error(
        "{} is not empty ({names} names, {first} among them): give --clean to make it exactly \
         the image, or --keep to leave what is not of the image", target.display()
    )]
    Occupied {
        /// The target.
        target: PathBuf,
        /// How many names it holds.
        names: u64,
        /// One of them.
        first: String,
    },
    /// The target is the root of the running system.
    #[error(
        "{} is the root of the running system, which would break under this program: boot from \
         another medium and apply from there", target.display()
    )]
    RunningSystem {
        /// The target.
        target: PathBuf,
    },
    /// Things are mounted below a target that shall be emptied.
    #[error(
        "{count} file systems are mounted below {} ({first} among them): unmount them, nothing \
         is removed on another mount", target.display()
    )]
    Mounted {
        /// The target.
        target: PathBuf,
        /// How many.
        count: usize,
        /// Where one of them is.
        first: String,
    },
    /// What is mounted cannot be told.
    #[error("reading what is mounted below {}", target.display())]
    Mounts {
        /// The target.
        target: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another image was being applied there.
    #[error(
        "an apply of image {} to {} was interrupted: finish it with that image, or give \
         --clean to begin anew", image.short(), target.display()
    )]
    OtherImage {
        /// The target.
        target: PathBuf,
        /// The image it was.
        image: ImageId,
    },
    /// The note of an interrupted apply cannot be understood.
    #[error("{} is no note of an interrupted apply: look at it, and remove it or give --clean", path.display())]
    Marker {
        /// The note.
        path: PathBuf,
    },
    /// What the target can hold cannot be tried.
    #[error("trying what {} can hold", folder.display())]
    Probe {
        /// Where it was tried.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The target cannot hold all of the image.
    #[error("the target cannot hold {losses}. Give --allow-loss to leave this out")]
    Losses {
        /// What, by name.
        losses: Losses,
    },
    /// There is not enough room.
    #[error("{} needs {needed} {what}, there are {available}", target.display())]
    Room {
        /// Bytes or inodes.
        what: &'static str,
        /// Where.
        target: PathBuf,
        /// At least.
        needed: u64,
        /// At most, with what will be removed or replaced.
        available: u64,
    },
    /// The volume is no tree of files.
    #[error("this volume was captured sector by sector and holds no files: apply it to a disk")]
    Raw,
    /// The image uses the name of the note.
    #[error("{path} has the name this program keeps for itself while it applies an image")]
    Reserved {
        /// The path.
        path: String,
    },
    /// The image cannot be read.
    #[error("reading the image")]
    Image(#[from] ShareError),
}
