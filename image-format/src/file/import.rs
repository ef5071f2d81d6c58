//! A single file into a share: each block is checked as it comes, what the
//! share has is passed over, and refs come last and only if all is whole.

mod commit;
mod packs;

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;

use thiserror::Error;

use self::packs::Packs;
use super::features::Features;
use super::images::{self, ImageRow};
use super::input::{Input, PiecesInput, PipeInput};
use super::kind::Kind;
use super::open::MimFile;
use super::payload::PayloadError;
use super::section::{FileId, Section};
use super::stream::SectionStream;
use super::{BlockHead, FileError, Place, lean};
use crate::block::{BlockError, SealError};
use crate::ids::{ChunkId, ImageId};
use crate::image::ImageRecord;
use crate::index::SegmentError;
use crate::ingest::IngestError;
use crate::pack::PackError;
use crate::refs::RefError;
use crate::share::ShareError;
use crate::store::{BlockPlace, RefName, Store, StoreError};

/// How far an import is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportProgress {
    /// Of the file, read or passed over.
    pub done: u64,
    /// Length of the file; unknown for a pipe.
    pub total: Option<u64>,
    /// Stored bytes of blocks that were new to the share.
    pub new: u64,
}

/// An image that is in the share now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// As the share has it.
    pub record: ImageRecord,
    /// Name and sequence in the file; another sequence where the share's was taken.
    pub from: RefName,
    /// The share had it before.
    pub already: bool,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// Which file it was.
    pub file: FileId,
    /// All images of the file, by name and sequence.
    pub images: Vec<Imported>,
    /// Blocks that were new.
    pub blocks: u64,
    /// Their stored bytes.
    pub stored: u64,
    /// Blocks the share had all chunks of.
    pub passed_over: u64,
    /// What a person should know although all went well.
    pub warning: Option<String>,
}

/// Reads a file, or all parts of a split one, into `store`.
///
/// # Errors
/// The file is damaged, and where; or the share failed. No image of the file
/// is committed then; blocks that came before are used again by the next try.
pub fn import_file(
    path: &Path,
    store: &dyn Store,
    progress: &mut dyn FnMut(ImportProgress),
) -> Result<ImportReport, ImportError> {
    let opened = MimFile::open(path)?;
    let input = PiecesInput {
        pieces: &opened.pieces,
        at: 0,
        end: opened.length(),
    };
    let mut report = import(input, store, Some(opened.length()), progress)?;
    report.warning = opened.warning();
    Ok(report)
}

/// Reads a file from a pipe, or the parts of a split one in order.
///
/// # Errors
/// As [`import_file`]; also when the pipe ends before the file does.
pub fn import_stream(
    reader: &mut dyn Read,
    store: &dyn Store,
    progress: &mut dyn FnMut(ImportProgress),
) -> Result<ImportReport, ImportError> {
    import(PipeInput(reader), store, None, progress)
}

fn import<I: Input>(
    input: I,
    store: &dyn Store,
    total: Option<u64>,
    progress: &mut dyn FnMut(ImportProgress),
) -> Result<ImportReport, ImportError> {
    let mut stream = SectionStream::new(input);
    let mut import = Import::new(store)?;
    if let Err(error) = read_all(&mut stream, &mut import, total, progress) {
        // What came is good, and the next try passes over it. That this fails
        // where the share failed is no news.
        drop(import.packs.flush());
        return Err(error);
    }
    let file = stream.file();
    import.commit(file)
}

fn read_all<I: Input>(
    stream: &mut SectionStream<I>,
    import: &mut Import<'_>,
    total: Option<u64>,
    progress: &mut dyn FnMut(ImportProgress),
) -> Result<(), ImportError> {
    while let Some((section, place)) = stream.next()? {
        import.section(stream, &section, place)?;
        progress(ImportProgress {
            done: stream.at(),
            total,
            new: import.stored,
        });
    }
    Ok(())
}

/// What has come so far.
struct Import<'s> {
    store: &'s dyn Store,
    packs: Packs<'s>,
    /// Roots of the generation being read, by where they stand.
    manifests: HashMap<u64, Vec<u8>>,
    /// Of all generations, each with its root.
    images: Vec<(ImageRow, Vec<u8>)>,
    names: HashSet<RefName>,
    /// The block that comes next.
    announced: Option<BlockHead>,
    blocks: u64,
    stored: u64,
    passed_over: u64,
}

impl<'s> Import<'s> {
    fn new(store: &'s dyn Store) -> Result<Self, ImportError> {
        Ok(Self {
            store,
            packs: Packs::new(store)?,
            manifests: HashMap::new(),
            images: Vec::new(),
            names: HashSet::new(),
            announced: None,
            blocks: 0,
            stored: 0,
            passed_over: 0,
        })
    }

    fn section<I: Input>(
        &mut self,
        stream: &mut SectionStream<I>,
        section: &Section,
        place: Place,
    ) -> Result<(), ImportError> {
        let refuse = |source| FileError::Payload { place, source };
        match section.kind {
            Kind::Header => {
                Features::decode(&stream.payload(section, place)?).map_err(refuse)?;
            }
            Kind::Manifest => {
                let root = stream.payload(section, place)?;
                self.manifests.insert(place.at, root);
            }
            Kind::Images => self.images(&stream.payload(section, place)?, place)?,
            Kind::Chunks => {
                let list = stream.payload(section, place)?;
                self.announced = Some(BlockHead::decode(&list).map_err(refuse)?);
            }
            Kind::Block => self.block(stream, section, place)?,
            Kind::Table => stream.table(section, place)?,
            Kind::Footer => {
                stream.footer(section, place)?;
            }
            Kind::Part | Kind::Parts | Kind::Unknown(_) => stream.skip(section, place)?,
        }
        Ok(())
    }

    fn images(&mut self, bytes: &[u8], place: Place) -> Result<(), ImportError> {
        let refuse = |source| FileError::Payload { place, source };
        for row in images::decode(bytes).map_err(refuse)? {
            let missing = PayloadError::Reason("an image's manifest does not stand before it");
            let root = self.manifests.get(&row.manifest_at);
            let root = root.filter(|root| ImageId::of(root) == row.record.image);
            let root = root.ok_or(refuse(missing))?;
            if !self.names.insert(row.at()) {
                return Err(ImportError::Twice { at: row.at() });
            }
            self.images.push((row, root.clone()));
        }
        self.manifests.clear();
        Ok(())
    }

    fn block<I: Input>(
        &mut self,
        stream: &mut SectionStream<I>,
        section: &Section,
        place: Place,
    ) -> Result<(), ImportError> {
        let source = PayloadError::Reason("no chunk list stands before it");
        let head = self.announced.take();
        let head = head.ok_or(FileError::Payload { place, source })?;
        let job = stream.saw_block(&head, section, place)?;
        if self.packs.has_all(&head.chunks)? {
            self.passed_over += 1;
            return Ok(stream.skip(section, place)?);
        }
        let stored = stream.payload(section, place)?;
        self.blocks += 1;
        self.stored = self.stored.saturating_add(section.length);
        let open = self.packs.open(&job, &stored)?;
        // Nothing enters the share under a name that is not its hash.
        for chunk in &job.chunks {
            open.chunk(chunk)?;
        }
        if self.packs.can_lean(&job) {
            return self.packs.push(&head, stored);
        }
        let (head, stored) = lean::stand_alone(&head, &open)?;
        self.packs.push(&head, stored)
    }
}

/// No image of the file was imported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file is damaged or cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The share failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The share cannot answer.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The share's index cannot be read, or a collection took what was here.
    #[error(transparent)]
    Guard(#[from] IngestError),
    /// Its name and sequence are signed, and the share has newer ones.
    #[error(
        "{at} is signed under this sequence, and the share has a newer one ({newest}): \
         an older image is not put above it"
    )]
    Signed {
        /// Which.
        at: RefName,
        /// The newest sequence of the share.
        newest: u64,
    },
    /// A block is not what it says.
    #[error("the file holds a block that is not what it says")]
    Block(#[from] BlockError),
    /// A block could not be compressed anew.
    #[error("a block that leans on others could not be made to stand alone")]
    Seal(#[from] SealError),
    /// The chunk list before a block names other bases than the block.
    #[error("{place} leans on other chunks than the list before it says")]
    Bases {
        /// Which.
        place: BlockPlace,
    },
    /// A pack could not be made.
    #[error("making a pack")]
    Pack(#[from] PackError),
    /// An index segment could not be made.
    #[error("making an index segment")]
    Segment(#[from] SegmentError),
    /// An image stands in two generations.
    #[error("{at} stands in the file twice")]
    Twice {
        /// Which.
        at: RefName,
    },
    /// The file does not hold all its images need.
    #[error("{at} is incomplete: the file does not hold chunk {chunk} as the image needs it")]
    Incomplete {
        /// Which image.
        at: RefName,
        /// The first chunk that is missing or of another length.
        chunk: ChunkId,
    },
    /// A ref cannot be written.
    #[error("ref {at} cannot be used")]
    Ref {
        /// Which.
        at: RefName,
        /// Why.
        #[source]
        source: RefError,
    },
}
