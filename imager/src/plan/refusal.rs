//! Why a plan is not made. All reasons are gathered before anyone is told.

use thiserror::Error;

use crate::table::TableError;
use crate::volume::VolumeError;

/// One reason why this image is not put on this disk.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The partitions do not fit, however the growing one shrinks.
    #[error("{disk} has {present} bytes, the image needs at least {needed}; use a larger disk")]
    TooSmall {
        /// The target.
        disk: String,
        /// Bytes the image needs at the least.
        needed: u64,
        /// Bytes there are.
        present: u64,
    },
    /// We are running from it.
    #[error("{disk} is the medium this environment was started from; choose another disk")]
    BootMedium {
        /// The target.
        disk: String,
    },
    /// Somebody uses it.
    #[error("{disk} is in use: {by}; unmount or stop it first")]
    Busy {
        /// The target.
        disk: String,
        /// Mount points and holders.
        by: String,
    },
    /// It cannot be written.
    #[error("{disk} is read-only; remove its write protection or choose another disk")]
    ReadOnly {
        /// The target.
        disk: String,
    },
    /// There is an operating system on it and nobody agreed to lose it.
    #[error("{disk} holds {systems}; confirm that it may be destroyed")]
    HoldsSystem {
        /// The target.
        disk: String,
        /// The systems found.
        systems: String,
    },
    /// Neither 512 nor 4096.
    #[error("{disk} has sectors of {found} bytes; expected 512 or 4096")]
    SectorSize {
        /// The target.
        disk: String,
        /// Bytes a sector as told by the disk.
        found: u32,
    },
    /// A partition that keeps its place does not begin or end on a sector there.
    #[error(
        "partition {partition} lies at byte {start} with {size} bytes, \
         which sectors of {sector_size} bytes cannot express; use a disk with smaller sectors"
    )]
    Misaligned {
        /// Its number.
        partition: u32,
        /// Where it begins.
        start: u64,
        /// Its length.
        size: u64,
        /// Bytes a sector of the target.
        sector_size: u32,
    },
    /// The image's own partitions overlap or are out of order.
    #[error("the image's partition {partition} begins at byte {start} before byte {free}")]
    Overlap {
        /// Its number.
        partition: u32,
        /// Where it begins.
        start: u64,
        /// Where it might begin at the earliest.
        free: u64,
    },
    /// The partition that shall grow is not in the image.
    #[error("the image has no partition {partition} to grow; it has {present}")]
    NoSuchPartition {
        /// The number wished for.
        partition: u32,
        /// The numbers there are.
        present: String,
    },
    /// The partition table cannot say it.
    #[error("the target's partition table cannot be made: {source}")]
    Table {
        /// Why.
        source: TableError,
    },
    /// What the image has of a partition cannot be applied alone.
    #[error("the image has no partition {partition}; it has {present}")]
    NoSuchVolume {
        /// The number wished for.
        partition: u32,
        /// The numbers there are.
        present: String,
    },
    /// A volume cannot be laid out.
    #[error("partition {partition}: {source}")]
    Volume {
        /// Its number.
        partition: u32,
        /// Why not.
        source: VolumeError,
    },
    /// A layout contradicts itself: a fault of a builder, caught before harm.
    #[error("partition {partition}: the layout is not sound: {what}; please report this")]
    Layout {
        /// Its number.
        partition: u32,
        /// What contradicts.
        what: String,
    },
    /// Files shall be laid over an image that has no volume for them.
    #[error("{files} files are to be laid over the image, but no ext4 volume in it has /etc")]
    NoSystemVolume {
        /// How many.
        files: usize,
    },
    /// A file to lay over the image cannot be laid there.
    #[error("{path}: {why}")]
    Overlay {
        /// Where it shall go.
        path: String,
        /// Why it cannot.
        why: &'static str,
    },
    /// The manifest contradicts itself.
    #[error("the image's disk layout is not sound: {what}")]
    Image {
        /// What contradicts.
        what: String,
    },
}
