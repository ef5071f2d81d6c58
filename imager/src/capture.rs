//! A disk becomes an image: surveyed, read once in the order in which it lies,
//! and handed on file by file. Strictly read only.

mod gap;
mod reading;

use std::sync::mpsc::{self, Receiver};

use image_format::entry::Content;
use image_format::ids::ImageId;
use image_format::image::{ImageRecord, Manifest, VolumeTree};
use image_format::ingest::{Ingest, IngestError, IngestOptions, NewImage};
use image_format::layout::{DiskLayout, Partition, Volume};
use image_format::store::Store;
use thiserror::Error;

use crate::disk::{Disk, Window};
use crate::readers;
use crate::survey::{self, SurveyError};
use crate::volume::{Found, VolumeError};
use reading::{Portion, ReadError};

/// Portions that may wait between the disk and the ingest; each has at most
/// [`reading::PORTION`] bytes, so this bounds memory to 32 MiB.
const WAITING: usize = 32;

/// What an image is called and compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureOptions {
    /// The name to capture under.
    pub name: String,
    /// Seconds since 1970 now: libraries have no clock.
    pub captured: u64,
    /// The image this one follows, if any.
    pub parent: Option<ImageId>,
    /// How to store.
    pub ingest: IngestOptions,
}

/// How far a capture is. Rates are for whoever has a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CaptureProgress {
    /// Bytes of content handed on, holes not counted.
    pub bytes: u64,
    /// Bytes of content there are.
    pub total_bytes: u64,
    /// Files handed on.
    pub files: u64,
    /// Files there are.
    pub total_files: u64,
}

/// A finished capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureOutcome {
    /// The image as committed.
    pub record: ImageRecord,
    /// What people should know: things that could not be kept or looked odd.
    pub warnings: Vec<String>,
}

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
    #[error("partition {partition}: {source}")]
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

/// A partition with what its reader found.
struct Opened<'disk> {
    index: u32,
    partition: Partition,
    window: Window<'disk>,
    found: Vec<Found>,
}

/// Captures `disk` into `store`.
///
/// # Errors
/// The first failure. What was stored until then is orphaned, not an image.
pub fn capture(
    disk: &dyn Disk,
    store: &dyn Store,
    options: &CaptureOptions,
    watch: &mut dyn FnMut(CaptureProgress),
) -> Result<CaptureOutcome, CaptureError> {
    let survey = survey::outline(disk).map_err(|source| CaptureError::Survey {
        disk: disk.describe(),
        source,
    })?;
    let mut warnings = survey.warnings;
    let layout = survey.layout.ok_or_else(|| CaptureError::Blank {
        disk: disk.describe(),
    })?;
    warnings.extend(gap::boot_loader_warning(disk, &layout));
    let mut opened = open_all(disk, &layout)?;
    let system = opened
        .iter()
        .find_map(|opened| match opened.partition.volume {
            Volume::Ext4(_) => survey::system_words(&opened.found, &opened.window),
            _ => None,
        });
    let mut ingest = Ingest::new(store, options.ingest)?;
    let contents = ingest_contents(&opened, &mut ingest, watch)?;
    for (volume, entry, content) in contents {
        opened[volume].found[entry].entry.content = content;
    }
    let tree = |opened: Opened<'_>| VolumeTree {
        partition: opened.index,
        entries: opened.found.into_iter().map(|found| found.entry).collect(),
    };
    let manifest = Manifest {
        disk: layout,
        volumes: opened.into_iter().map(tree).collect(),
    };
    let (name, captured, parent) = (options.name.clone(), options.captured, options.parent);
    let record = ingest.commit(
        manifest,
        NewImage {
            name,
            captured,
            parent,
            system,
            source: None,
        },
    )?;
    Ok(CaptureOutcome { record, warnings })
}

/// Opens every partition that has entries and reads its metadata. A volume its
/// own reader refuses is refused here: taken sector by sector it could neither
/// grow nor be compared, and a file system that was not shut down is no image.
fn open_all<'disk>(
    disk: &'disk dyn Disk,
    layout: &DiskLayout,
) -> Result<Vec<Opened<'disk>>, CaptureError> {
    let mut all = Vec::new();
    for (index, partition) in (0_u32..).zip(&layout.partitions) {
        if matches!(partition.volume, Volume::Empty | Volume::Swap { .. }) {
            continue;
        }
        let number = partition.number;
        let window = Window::new(disk, partition.start, partition.size).ok_or_else(|| {
            let end = partition.start.saturating_add(partition.size);
            CaptureError::PastEnd {
                partition: number,
                end,
                size: disk.size(),
            }
        })?;
        let found = readers::open(&window)
            .and_then(|reader| reader.entries())
            .map_err(|source| CaptureError::Volume {
                partition: number,
                source,
            })?;
        all.push(Opened {
            index,
            partition: partition.clone(),
            window,
            found,
        });
    }
    Ok(all)
}

/// Reads on one thread, hands on in another; answers with the content of each
/// (volume, entry).
fn ingest_contents(
    opened: &[Opened<'_>],
    ingest: &mut Ingest<'_>,
    watch: &mut dyn FnMut(CaptureProgress),
) -> Result<Vec<(usize, usize, Content)>, CaptureError> {
    let volumes: Vec<_> = opened
        .iter()
        .map(|opened| reading::Volume {
            disk: &opened.window,
            found: &opened.found,
        })
        .collect();
    let order = reading::order(&volumes);
    let mut progress = CaptureProgress {
        total_bytes: order
            .iter()
            .map(|file| file.bytes)
            .fold(0, u64::saturating_add),
        total_files: order.len() as u64,
        ..CaptureProgress::default()
    };
    let (send, receive) = mpsc::sync_channel(WAITING);
    std::thread::scope(|scope| {
        let (volumes, order) = (&volumes, &order);
        scope.spawn(move || reading::read_all(volumes, order, &send));
        let mut contents = Vec::new();
        // Owned here: dropping it on an error ends the reading thread.
        let receive = receive;
        for file in order {
            let found = &opened[file.volume].found[file.entry];
            let mut stream = ingest.stream(&found.entry.path, file.size);
            loop {
                match next(&receive, opened)? {
                    Portion::Hole(length) => stream.hole(length)?,
                    Portion::Bytes(bytes) => {
                        stream.write(&bytes)?;
                        progress.bytes = progress.bytes.saturating_add(bytes.len() as u64);
                        watch(progress);
                    }
                    Portion::End => break,
                }
            }
            contents.push((file.volume, file.entry, stream.finish()?));
            progress.files += 1;
            watch(progress);
        }
        Ok(contents)
    })
}

fn next(
    receive: &Receiver<Result<Portion, ReadError>>,
    opened: &[Opened<'_>],
) -> Result<Portion, CaptureError> {
    let portion = receive.recv().map_err(|_| CaptureError::CutShort)?;
    portion.map_err(
        |ReadError {
             volume,
             entry,
             offset,
             source,
         }| CaptureError::Read {
            partition: opened[volume].partition.number,
            path: opened[volume].found[entry].entry.display_path(),
            offset,
            source,
        },
    )
}
