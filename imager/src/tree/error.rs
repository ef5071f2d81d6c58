//! Why an apply to a directory, or a comparison with one, ended early.

use std::io;

use image_format::ShareError;
use image_format::block::BlockError;
use image_format::fetch::MissingChunk;
use image_format::ids::ChunkId;
use image_format::store::{BlockPlace, StoreError};
use thiserror::Error;

use crate::tree::place::PlaceError;
use crate::tree::verify::difference::{TreeDifference, TreeDifferences};

/// The first failure. The note of the apply stays in the target.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TreeError {
    /// Plan and image do not belong together.
    #[error("the plan was made for another image: plan again")]
    OtherImage,
    /// Something in the target could not be done.
    #[error("{doing} {path}")]
    Path {
        /// What was being done.
        doing: &'static str,
        /// To what: a path in the volume, with a slash in front.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A folder with other things in it lies where the image has something else.
    #[error(
        "{path} is a folder with things that are not of the image, and the image has \
         something else there: move it away, or give --clean"
    )]
    FolderInTheWay {
        /// The path.
        path: String,
    },
    /// The target cannot be synced: what was written may not be on the medium.
    #[error("the target does not confirm its writes")]
    Sync {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The image says what cannot be placed.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The image cannot be read.
    #[error("reading the image")]
    Image(#[from] ShareError),
    /// A chunk is in no block.
    #[error(transparent)]
    Missing(#[from] MissingChunk),
    /// A chunk is not as long as the image says.
    #[error("chunk {chunk} has {found} bytes, {path} expects {expected}; check the share")]
    ChunkLength {
        /// The chunk.
        chunk: ChunkId,
        /// The file.
        path: String,
        /// What the image says.
        expected: u32,
        /// What the index says.
        found: u32,
    },
    /// A block did not come.
    #[error("{place} cannot be fetched")]
    Fetch {
        /// Which.
        place: BlockPlace,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// A block came damaged twice.
    #[error("a block of the share is damaged; check the share")]
    Corrupt {
        /// Which.
        place: BlockPlace,
        /// What is wrong.
        #[source]
        source: Box<BlockError>,
    },
    /// What was read back is not what the image says.
    #[error(
        "the target does not hold what was written: {}",
        TreeDifferences(differences)
    )]
    Differs {
        /// Each difference by name; bounded.
        differences: Vec<TreeDifference>,
    },
    /// Files were left unfinished: a fault of this program.
    #[error("{count} files are not finished, {path} among them; please report this")]
    Unfinished {
        /// How many.
        count: usize,
        /// One of them.
        path: String,
    },
}
