//! A volume read as entries, and entries laid out as a volume.
//!
//! Readers and layouts are pure over a [`Disk`]: the same code serves capture,
//! verification and every simulated power cut.

mod bytes;
pub mod empty;
pub mod exfat;
pub mod ext4;
pub mod fat;
pub mod ntfs;
pub mod raw;
pub mod swap;
pub mod used;

use image_format::entry::Entry;
use image_format::image::VolumeTree;
use image_format::layout::{Partition, Volume};
use image_format::manifest::Witness;
use thiserror::Error;

use crate::disk::Disk;

/// A stretch of a file and where its bytes lie in the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Offset in the file, in bytes.
    pub logical: u64,
    /// Offset in the volume, in bytes.
    pub physical: u64,
    /// Length in bytes; may reach past the file's end (block padding).
    pub length: u64,
}

/// Where a found file's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// Not a file, or a later name of a hard link.
    None,
    /// The reader already has the bytes (inline in metadata).
    Bytes(Vec<u8>),
    /// On the volume; what no run covers below `size` is a hole.
    Runs {
        /// File size in bytes.
        size: u64,
        /// Ascending by `logical`, not overlapping.
        runs: Vec<Run>,
    },
}

/// An entry as a reader found it: `entry.content` is still empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Name and metadata.
    pub entry: Entry,
    /// Its bytes or where to read them.
    pub data: Data,
    /// What tells that its contents are as they were; `None` where the file
    /// system does not say enough for that.
    pub witness: Option<Witness>,
}

impl Found {
    /// An entry nothing vouches for: it is read whenever it is captured.
    pub fn new(entry: Entry, data: Data) -> Self {
        Self {
            entry,
            data,
            witness: None,
        }
    }
}

/// A file system that can be read file by file.
pub trait Reader: Send {
    /// What names and shapes the file system.
    fn volume(&self) -> Volume;

    /// Every entry in path order (bytewise on [`Entry::path`]), the root first;
    /// hard links numbered, the first in path order with the data.
    fn entries(&self) -> Result<Vec<Found>, VolumeError>;
}

/// Bytes a layout computed: metadata, inline contents, zeroed slack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Offset in the volume.
    pub offset: u64,
    /// What to write there.
    pub bytes: Vec<u8>,
}

/// Where everything of a volume goes, decided before the first byte arrives.
pub struct Layout {
    /// For each entry of the tree, in the same order, the runs of its content
    /// ([`Piece::Chunk`](image_format::entry::Piece) bytes only: holes and
    /// inline contents have none).
    pub places: Vec<Vec<Run>>,
    /// Ranges (offset, length) that must read as zeros, however the medium
    /// does that best: what a raw volume has no data for.
    pub zeros: Vec<(u64, u64)>,
    /// Metadata, ascending, without `withheld`; windows of at most a few MiB.
    pub metadata: Box<dyn Iterator<Item = Write> + Send>,
    /// What makes the volume a volume (boot sector, superblocks): destroyed
    /// first, written last. Ascending, whole 4096-byte-aligned pieces where
    /// the file system allows it.
    pub withheld: Vec<Write>,
}

/// Entries and a size in, places out.
pub trait Builder {
    /// Places everything of `tree` in a volume of `size` bytes on a disk with
    /// `sector_size`. A pure function: the same input gives the same places.
    ///
    /// # Errors
    /// Every reason why it cannot be done, not only the first.
    fn lay_out(
        &self,
        partition: &Partition,
        tree: &VolumeTree,
        size: u64,
        sector_size: u32,
    ) -> Result<Layout, Vec<VolumeError>>;

    /// The least number of bytes a volume with this tree needs.
    fn least_size(&self, partition: &Partition, tree: &VolumeTree) -> u64;
}

/// Opens a volume for reading when its magic is known.
pub type Open = for<'disk> fn(&'disk dyn Disk) -> Result<Box<dyn Reader + 'disk>, VolumeError>;

/// What is wrong with a volume, or why it cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VolumeError {
    /// The medium failed.
    #[error("{what} at byte {offset} of the volume cannot be read")]
    Read {
        /// Which structure.
        what: &'static str,
        /// Where in the volume.
        offset: u64,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A structure is not what it must be.
    #[error("{what} at byte {offset} of the volume: expected {expected}, found {found}")]
    Damaged {
        /// Which structure and field.
        what: &'static str,
        /// Where in the volume.
        offset: u64,
        /// What would have been right.
        expected: String,
        /// What stood there.
        found: String,
    },
    /// Sound, but not something this reader or builder does.
    #[error("{what}: {why}; {next}")]
    Unsupported {
        /// Which feature or entry.
        what: String,
        /// Why it is refused.
        why: String,
        /// What to do about it.
        next: String,
    },
    /// It does not fit.
    #[error("the volume needs {needed} bytes and has {size}; use a larger partition or disk")]
    TooSmall {
        /// Bytes needed.
        needed: u64,
        /// Bytes there are.
        size: u64,
    },
}

/// The error of a builder that was given another builder's volume.
fn not_for(builder: &str, volume: &Volume) -> VolumeError {
    VolumeError::Unsupported {
        what: format!("{volume:?}"),
        why: format!("the {builder} builder does not make it"),
        next: String::from("ask for the builder by the volume"),
    }
}
