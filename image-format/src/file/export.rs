//! Images of a share into a single file. Blocks are copied as they are stored.

mod plan;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use thiserror::Error;

use self::plan::Plan;
use super::features::Features;
use super::images::{self, ImageRow, RowError};
use super::open::MimFile;
use super::payload::PayloadError;
use super::section::{FileId, Kind};
use super::sink::{FileSink, PipeSink, Sink, SplitSink};
use super::write::{Before, SectionWriter};
use super::{BlockHead, FileError, lean, pieces};
use crate::block::{BlockError, SealError};
use crate::fetch::MissingChunk;
use crate::ids::{BlockId, ImageId};
use crate::image::ImageRecord;
use crate::index::{Index, IndexError};
use crate::job::BlockJob;
use crate::refs::RefError;
use crate::share::{Share, ShareError};
use crate::store::{BlockPlace, RefName, Store, StoreError};

/// Where the file goes.
pub enum Target<'a> {
    /// Into a pipe, which is never gone back in.
    Pipe(&'a mut dyn Write),
    /// A new file.
    File(&'a Path),
    /// The end of a file that is there.
    Append(&'a Path),
    /// New parts of a file, cut between sections.
    Split {
        /// The name without number.
        base: &'a Path,
        /// Longest part; more than [`super::MOST_PART`] counts as that.
        size: u64,
    },
}

/// How far an export is, in stored bytes of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExportProgress {
    /// Written.
    pub done: u64,
    /// To be written in all.
    pub total: u64,
}

/// What an export did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportReport {
    /// Which file.
    pub file: FileId,
    /// Images that were written.
    pub images: Vec<RefName>,
    /// Images the file held before.
    pub already: Vec<RefName>,
    /// Blocks written.
    pub blocks: u64,
    /// Length of the file now, heads of parts not counted.
    pub length: u64,
    /// Files it lies in.
    pub parts: usize,
    /// What a person should know although all went well.
    pub warning: Option<String>,
}

/// Writes `images` of a share.
///
/// # Errors
/// The share is damaged, or the file cannot be written; a new file is then
/// removed, an old one is as it was.
pub fn export<S: Store>(
    share: &Share<S>,
    images: &[ImageRecord],
    target: Target<'_>,
    id: FileId,
    progress: &mut dyn FnMut(ExportProgress),
) -> Result<ExportReport, ExportError> {
    let rows = rows(share, images)?;
    if rows.is_empty() {
        return Err(ExportError::Nothing);
    }
    let new = |sink: &mut dyn Sink| {
        let generation = Generation {
            id,
            before: Before::default(),
            known: &Index::default(),
        };
        generation.write(share, rows.clone(), sink, progress)
    };
    match target {
        Target::Pipe(writer) => {
            let mut sink = PipeSink(writer);
            guarded(&mut sink, new)
        }
        Target::File(path) => guarded(&mut FileSink::create(path)?, new),
        Target::Split { base, size } => {
            if let Some(part) = pieces::listed(base)?.first() {
                let path = pieces::part_path(base, *part);
                let reason = "it is there already: choose another name".to_owned();
                return Err(FileError::Part { path, reason }.into());
            }
            guarded(&mut SplitSink::new(base, size), new)
        }
        Target::Append(path) => append(share, rows, path, progress),
    }
}

/// Runs `write`; when it fails, what it wrote is taken back.
fn guarded<K: Sink>(
    sink: &mut K,
    write: impl FnOnce(&mut dyn Sink) -> Result<ExportReport, ExportError>,
) -> Result<ExportReport, ExportError> {
    let result = write(sink);
    if result.is_err() {
        sink.abandon();
    }
    result
}

fn append<S: Store>(
    share: &Share<S>,
    mut rows: Vec<ImageRow>,
    path: &Path,
    progress: &mut dyn FnMut(ExportProgress),
) -> Result<ExportReport, ExportError> {
    let file = lock(path)?;
    let opened = MimFile::open(path)?;
    if opened.is_split() {
        let path = path.to_owned();
        return Err(ExportError::Split { path });
    }
    opened
        .features
        .check_append()
        .map_err(|source| ExportError::Features {
            path: path.to_owned(),
            source,
        })?;
    let already = take_known(&mut rows, &opened, path)?;
    if rows.is_empty() {
        return Ok(ExportReport {
            file: opened.id(),
            images: Vec::new(),
            already,
            blocks: 0,
            length: opened.length(),
            parts: 1,
            warning: opened.warning(),
        });
    }
    let generation = Generation {
        id: opened.id(),
        before: opened.before(),
        known: &Index::load(&opened)?,
    };
    let mut sink = FileSink::append(path, file, opened.length())?;
    let write = |sink: &mut dyn Sink| generation.write(share, rows, sink, progress);
    let report = guarded(&mut sink, write)?;
    Ok(ExportReport {
        already,
        warning: opened.warning(),
        ..report
    })
}

/// Two appends at once would write over each other.
fn lock(path: &Path) -> Result<File, ExportError> {
    let failed = |source| FileError::io("opening", path, source);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(ExportError::Locked {
            path: path.to_owned(),
        }),
        Err(std::fs::TryLockError::Error(source)) => {
            Err(FileError::io("locking", path, source).into())
        }
    }
}

/// Takes the rows out of `rows` that the file holds, and refuses others of their name.
fn take_known(
    rows: &mut Vec<ImageRow>,
    opened: &MimFile,
    path: &Path,
) -> Result<Vec<RefName>, ExportError> {
    let mut already = Vec::new();
    let mut left = Vec::new();
    for row in rows.drain(..) {
        match opened.images().iter().find(|known| known.at() == row.at()) {
            None => left.push(row),
            Some(known) if known.reference == row.reference => already.push(row.at()),
            Some(_) => {
                let (at, path) = (row.at(), path.to_owned());
                return Err(ExportError::Taken { at, path });
            }
        }
    }
    *rows = left;
    Ok(already)
}

/// The refs of the images, once each and in order.
fn rows<S: Store>(share: &Share<S>, images: &[ImageRecord]) -> Result<Vec<ImageRow>, ExportError> {
    let mut rows = BTreeMap::new();
    for record in images {
        let at = RefName {
            name: record.name.clone(),
            sequence: record.sequence,
        };
        let bytes = share.store().read_ref(&at)?;
        let row = ImageRow::new(0, &at, bytes).map_err(|error| match error {
            RowError::Ref(source) => ExportError::Ref {
                at: at.clone(),
                source,
            },
            RowError::Reason(_) => ExportError::Changed { at: at.clone() },
        })?;
        if row.record.image != record.image {
            return Err(ExportError::Changed { at });
        }
        rows.insert(at, row);
    }
    Ok(rows.into_values().collect())
}

/// What a new generation continues.
struct Generation<'a> {
    id: FileId,
    before: Before,
    /// Chunks the file holds already.
    known: &'a Index,
}

impl Generation<'_> {
    fn write<S: Store>(
        &self,
        share: &Share<S>,
        mut rows: Vec<ImageRow>,
        sink: &mut dyn Sink,
        progress: &mut dyn FnMut(ExportProgress),
    ) -> Result<ExportReport, ExportError> {
        let plan = Plan::new(share, &rows, self.known)?;
        let mut out = SectionWriter::new(&mut *sink, self.id, self.before);
        if self.before.generation == 0 {
            let features = Features::default().encode().map_err(ExportError::Row)?;
            out.put(Kind::Header, &features)?;
        }
        put_images(share, &mut rows, &mut out)?;
        let blocks = copy_blocks(share, plan, &mut out, progress)?;
        let footer = out.finish()?;
        Ok(ExportReport {
            file: self.id,
            images: rows.iter().map(ImageRow::at).collect(),
            already: Vec::new(),
            blocks,
            length: footer.total,
            parts: sink.closed_parts().map_or(1, |closed| closed.len() + 1),
            warning: None,
        })
    }
}

fn put_images<S: Store>(
    share: &Share<S>,
    rows: &mut [ImageRow],
    out: &mut SectionWriter<'_>,
) -> Result<(), ExportError> {
    let mut places: BTreeMap<ImageId, u64> = BTreeMap::new();
    for row in rows.iter_mut() {
        let image = row.record.image;
        row.manifest_at = match places.get(&image) {
            Some(at) => *at,
            None => out.put(Kind::Manifest, &share.store().read_manifest(&image)?)?,
        };
        places.insert(image, row.manifest_at);
    }
    out.images(&images::encode(rows).map_err(ExportError::Row)?)?;
    Ok(())
}

fn copy_blocks<S: Store>(
    share: &Share<S>,
    plan: Plan,
    out: &mut SectionWriter<'_>,
    progress: &mut dyn FnMut(ExportProgress),
) -> Result<u64, ExportError> {
    let mut state = ExportProgress {
        done: 0,
        total: plan.stored(),
    };
    let mut blocks = 0;
    for job in &plan.jobs {
        progress(state);
        let mut stored = read_block(share, job)?;
        let mut head = BlockHead::of(job).map_err(|source| ExportError::Index {
            place: job.place,
            source,
        })?;
        if plan.alone.contains(&job.place.block) {
            let open = lean::open(share.index(), share.store(), job, &stored)?;
            (head, stored) = lean::stand_alone(&head, &open)?;
        }
        out.block(&head, &stored)?;
        blocks += 1;
        state.done = state.done.saturating_add(u64::from(job.place.stored));
    }
    progress(state);
    Ok(blocks)
}

fn read_block<S: Store>(share: &Share<S>, job: &BlockJob) -> Result<Vec<u8>, ExportError> {
    let stored = share.store().block(&job.place)?;
    let found = BlockId::of(&stored);
    if found == job.place.block && stored.len() as u64 == u64::from(job.place.stored) {
        return Ok(stored);
    }
    let place = job.place;
    Err(ExportError::Damaged { place, found })
}

/// Nothing was exported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The share cannot answer.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The share failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be written, or read before an append.
    #[error(transparent)]
    File(#[from] FileError),
    /// The tables of the file that is appended to cannot be read.
    #[error(transparent)]
    Known(#[from] IndexError),
    /// A chunk is in no block.
    #[error(transparent)]
    Missing(#[from] MissingChunk),
    /// A block of the share is damaged.
    #[error("{place} is damaged: its bytes hash to {}; see `mimeo share check`", found.short())]
    Damaged {
        /// Which.
        place: BlockPlace,
        /// The hash of what was found.
        found: BlockId,
    },
    /// The index knows only some chunks of a block.
    #[error("the index does not tell all of {place}")]
    Index {
        /// Which.
        place: BlockPlace,
        /// What is missing.
        #[source]
        source: PayloadError,
    },
    /// A block could not be opened.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A block could not be compressed anew.
    #[error("a block that leans on others could not be made to stand alone")]
    Seal(#[from] SealError),
    /// A table cannot be written.
    #[error("the images do not fit one file")]
    Row(#[source] PayloadError),
    /// A ref is damaged.
    #[error("ref {at} cannot be used")]
    Ref {
        /// Which.
        at: RefName,
        /// Why.
        #[source]
        source: RefError,
    },
    /// A ref is not what it was when the share was opened.
    #[error("ref {at} says something else than when the share was opened")]
    Changed {
        /// Which.
        at: RefName,
    },
    /// The file holds another image of this name and sequence.
    #[error("{} holds another image as {at}: export into another file", path.display())]
    Taken {
        /// Which.
        at: RefName,
        /// Which file.
        path: PathBuf,
    },
    /// Nothing is appended to parts.
    #[error("{} is split: nothing can be appended; export into a new file", path.display())]
    Split {
        /// Which file.
        path: PathBuf,
    },
    /// The file was written by a later version.
    #[error("nothing can be appended to {}", path.display())]
    Features {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: PayloadError,
    },
    /// Somebody else appends.
    #[error("another export appends to {}: wait for it", path.display())]
    Locked {
        /// Which file.
        path: PathBuf,
    },
    /// No image was named.
    #[error("no image was named")]
    Nothing,
}
