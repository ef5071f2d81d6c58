//! Why a capture ended early.

use image_format::ingest::IngestError;
use thiserror::Error;

use crate::survey::SurveyError;
use crate::volume::VolumeError;

/// Why there is no image. Nothing was committed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The disk cannot be understood.
    #[error("surveying {disk}")]
    Survey {
        /// The disk.
        disk: String,
        /// Why.
        source: SurveyError,
    },
    /// There is nothing to capture.
    #[error("{disk} has neither a partition table nor a volume; is it the right disk?")]
    Blank {
        /// The disk.
        disk: String,
    },
    /// A partition that is not on the disk.
    #[error("partition {partition} ends at byte {end}, the disk has {size}")]
    PastEnd {
        /// Its number.
        partition: u32,
        /// Its end by the table.
        end: u64,
        /// Bytes there are.
        size: u64,
    },
    /// A volume cannot be read as what it is.
    #[error("partition {partition} cannot be captured")]
    Volume {
        /// Its number.
        partition: u32,
        /// Why.
        source: VolumeError,
    },
    /// The disk failed under a file.
    #[error("partition {partition}, {path}: byte {offset} of the volume cannot be read")]
    Read {
        /// Number of the partition.
        partition: u32,
        /// The file.
        path: String,
        /// Where in the volume.
        offset: u64,
        /// Why.
        source: std::io::Error,
    },
    /// Whoever watched it ended it.
    #[error("interrupted: nothing was committed; begin again to go on")]
    Interrupted,
    /// The disk could not be read to the end, and nobody said why.
    #[error("reading the disk ended early; capture again")]
    CutShort,
    /// The store did not take it.
    #[error("storing the image")]
    Ingest {
        /// Why.
        #[from]
        source: IngestError,
    },
}
