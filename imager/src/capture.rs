//! A disk becomes an image: surveyed, read once in the order in which it lies,
//! and handed on file by file. What did not change since the image before it
//! is not read at all. Strictly read only.

mod before;
mod error;
mod gap;
mod reading;

use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver};

use image_format::chunker::VOLUME_HINT;
use image_format::entry::{Content, Entry, Kind};
use image_format::ids::ImageId;
use image_format::image::ImageRecord;
use image_format::ingest::{ImageWriter, Ingest, IngestError, IngestOptions, NewImage};
use image_format::layout::{DiskLayout, Partition, Volume};
use image_format::share::ShareError;
use image_format::store::Store;

pub use error::CaptureError;

use crate::disk::{Disk, Window};
use crate::readers;
use crate::survey;
use crate::volume::Found;
use before::{Before, Kept};
use reading::{Portion, ReadError};

/// Portions that may wait between the disk and the ingest; each has at most
/// [`reading::PORTION`] bytes, so this bounds memory to 32 MiB.
const WAITING: usize = 32;

/// Entries whose chunks are looked for at once.
const TOGETHER: usize = 512;

/// What an image is called and compared with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaptureOptions {
    /// The name to capture under.
    pub name: String,
    /// Seconds since 1970 now: libraries have no clock.
    pub captured: u64,
    /// The image this one follows, if any: files it vouches for are not read.
    pub parent: Option<ImageId>,
    /// Keep the times of access and of change too. Otherwise they are those of
    /// modification, or no two captures of a running system would be equal.
    pub all_times: bool,
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
    /// Bytes of content that the image before it vouched for, holes included.
    pub kept_bytes: u64,
    /// Files that were not read for that.
    pub kept_files: u64,
}

/// A finished capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureOutcome {
    /// The image as committed.
    pub record: ImageRecord,
    /// What people should know: things that could not be kept or looked odd.
    pub warnings: Vec<String>,
}

/// A partition with what its reader found.
struct Opened<'disk> {
    index: u32,
    partition: Partition,
    window: Window<'disk>,
    found: Vec<Found>,
}

/// Captures `disk` into `store`. `watch` hears how far it is, and may end it.
///
/// # Errors
/// The first failure, or the wish to end. What was stored until then is orphaned, not an image.
pub fn capture(
    disk: &dyn Disk,
    store: &dyn Store,
    options: &CaptureOptions,
    watch: &mut dyn FnMut(CaptureProgress) -> ControlFlow<()>,
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
    let mut progress = CaptureProgress::default();
    if let Some(parent) = &options.parent {
        let kept = take_over(store, parent, &layout, &mut opened);
        match kept {
            Ok(kept) => (progress.kept_files, progress.kept_bytes) = (kept.files, kept.bytes),
            Err(error) => warnings.push(format!(
                "the image to compare with cannot be used, everything was read: {error}"
            )),
        }
    }
    let mut ingest = Ingest::new(store, options.ingest)?;
    let contents = ingest_contents(&opened, &mut ingest, progress, watch)?;
    for (volume, entry, content) in contents {
        opened[volume].found[entry].entry.content = content;
    }
    let mut image = ImageWriter::new(layout);
    for volume in opened {
        write_entries(volume, options.all_times, &mut ingest, &mut image)?;
    }
    let record = ingest.finish(
        image,
        NewImage {
            name: options.name.clone(),
            captured: options.captured,
            parent: options.parent,
            system,
            source: None,
        },
    )?;
    Ok(CaptureOutcome { record, warnings })
}

/// Takes from the parent what it vouches for, volume by volume.
fn take_over(
    store: &dyn Store,
    parent: &ImageId,
    layout: &DiskLayout,
    opened: &mut [Opened<'_>],
) -> Result<Kept, ShareError> {
    let before = Before::open(store, parent)?;
    let mut all = Kept::default();
    for volume in opened {
        let number = volume.partition.number;
        let kept = before.take_over(&layout.scheme, number, &mut volume.found)?;
        all.files += kept.files;
        all.bytes = all.bytes.saturating_add(kept.bytes);
    }
    Ok(all)
}

/// Hands a volume's entries on, and forgets them.
fn write_entries(
    volume: Opened<'_>,
    all_times: bool,
    ingest: &mut Ingest<'_>,
    image: &mut ImageWriter,
) -> Result<(), IngestError> {
    image.volume(ingest, volume.index)?;
    let mut found = volume.found.into_iter();
    loop {
        let together: Vec<Found> = found.by_ref().take(TOGETHER).collect();
        if together.is_empty() {
            return Ok(());
        }
        let chunks = together
            .iter()
            .flat_map(|found| found.entry.content.chunks());
        ingest.expect(chunks.map(|chunk| chunk.id))?;
        for found in together {
            let (mut entry, witness) = (found.entry, found.witness);
            if !all_times {
                quieten(&mut entry);
            }
            image.entry(ingest, entry, witness)?;
        }
    }
}

/// Reading and linking a file move these times; they say nothing of it.
fn quieten(entry: &mut Entry) {
    let modified = entry.times.modified;
    entry.times.accessed = modified;
    entry.times.changed = modified;
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
    begun: CaptureProgress,
    watch: &mut dyn FnMut(CaptureProgress) -> ControlFlow<()>,
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
        ..begun
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
            let hint = match found.entry.kind {
                Kind::RawVolume => VOLUME_HINT,
                _ => found.entry.path.as_slice(),
            };
            let mut stream = ingest.stream(hint, file.size);
            loop {
                match next(&receive, opened)? {
                    Portion::Hole(length) => stream.hole(length)?,
                    Portion::Bytes(bytes) => {
                        stream.write(&bytes)?;
                        progress.bytes = progress.bytes.saturating_add(bytes.len() as u64);
                        go_on(watch(progress))?;
                    }
                    Portion::End => break,
                }
            }
            contents.push((file.volume, file.entry, stream.finish()?));
            progress.files += 1;
            go_on(watch(progress))?;
        }
        Ok(contents)
    })
}

fn go_on(wish: ControlFlow<()>) -> Result<(), CaptureError> {
    match wish {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(CaptureError::Interrupted),
    }
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
