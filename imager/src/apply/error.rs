//! Why an apply ended early. Nothing was written after any of these.

use std::io;

use image_format::block::BlockError;
use image_format::ids::{BlockId, ChunkId, PackId};
use image_format::store::StoreError;
use thiserror::Error;

use crate::scratch::ScratchError;
use crate::table::TableError;
use crate::verify::{Difference, Differences};
use crate::volume::VolumeError;

/// The first failure of an apply.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The disk is not the one the plan was made for.
    #[error(
        "the plan is for a disk of {} bytes with sectors of {}, this one has {} with {}; \
         plan again for this disk", planned.0, planned.1, found.0, found.1
    )]
    OtherDisk {
        /// Size and sector size the plan counts on.
        planned: (u64, u32),
        /// Size and sector size of the disk.
        found: (u64, u32),
    },
    /// The disk could not be read.
    #[error("{length} bytes at {offset} of the disk cannot be read")]
    Read {
        /// First byte.
        offset: u64,
        /// How many.
        length: u64,
        /// Why.
        source: io::Error,
    },
    /// The disk could not be written.
    #[error("{length} bytes of {what} at {offset} of the disk cannot be written; replace the disk")]
    Write {
        /// What they were.
        what: &'static str,
        /// First byte.
        offset: u64,
        /// How many.
        length: u64,
        /// Why.
        source: io::Error,
    },
    /// The file system that holds a disk image file is full.
    #[error(
        "no room left for {length} bytes of {what} at {offset} of the disk image file; make room \
         where it lies and apply again"
    )]
    Full {
        /// What they were.
        what: &'static str,
        /// First byte.
        offset: u64,
        /// How many.
        length: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The disk did not confirm that what was written is on the medium.
    #[error("the disk does not confirm its writes; replace the disk")]
    Sync {
        /// Why.
        source: io::Error,
    },
    /// Another thread failed first.
    #[error("stopped after an earlier failure")]
    Stopped,
    /// The note of what is being done here cannot be written or cleared.
    #[error("the scratch area of the disk")]
    Scratch {
        /// Why.
        source: Box<ScratchError>,
    },
    /// A volume could not be laid out although its plan was made.
    #[error("partition {partition} cannot be laid out: {}", reasons.first().map_or_else(String::new, ToString::to_string))]
    Layout {
        /// Its number.
        partition: u32,
        /// Every reason.
        reasons: Vec<VolumeError>,
    },
    /// A builder decided differently the second time: a fault of the program.
    #[error("partition {partition} came out differently from its plan; please report this")]
    NotAsPlanned {
        /// Its number.
        partition: u32,
    },
    /// What is withheld overlaps: a fault of the program.
    #[error("withheld parts of the volumes overlap; please report this")]
    Withheld,
    /// The jobs do not hold every chunk the plan needs.
    #[error("{count} chunks of the image are in no block, {first} first; check the share")]
    Missing {
        /// How many.
        count: usize,
        /// The first by id.
        first: ChunkId,
    },
    /// A block did not come.
    #[error("block {block} of pack {pack} cannot be fetched")]
    Fetch {
        /// Its pack.
        pack: PackId,
        /// Its id.
        block: BlockId,
        /// Why.
        source: Box<StoreError>,
    },
    /// A block came damaged twice.
    #[error("block {block} at {offset} of pack {pack} is damaged; check the share")]
    Corrupt {
        /// Its pack.
        pack: PackId,
        /// Its id.
        block: BlockId,
        /// Where in the pack.
        offset: u64,
        /// What is wrong, and with which chunk.
        source: Box<BlockError>,
    },
    /// A chunk is shorter than the manifest says.
    #[error("chunk {chunk} has {found} bytes, fewer than the manifest says; capture again")]
    ChunkLength {
        /// The chunk.
        chunk: ChunkId,
        /// Its length in bytes.
        found: u64,
    },
    /// What was read back is not what the image says.
    #[error(
        "the disk does not hold what was written: {}",
        Differences(differences)
    )]
    Differs {
        /// Each difference by name.
        differences: Vec<Difference>,
    },
    /// The partition table cannot be made.
    #[error("the partition table cannot be made")]
    Table {
        /// Why.
        source: Box<TableError>,
    },
    /// What makes the disk boot reads differently from what was written.
    #[error(
        "{what} at {offset} of the disk reads differently from what was written; it was destroyed again, replace the disk"
    )]
    Seal {
        /// Which part.
        what: &'static str,
        /// Where it begins.
        offset: u64,
    },
}
