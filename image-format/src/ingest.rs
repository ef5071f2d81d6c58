//! Streams become a stored image.
//!
//! New chunks gather in lanes, blocks are compressed on all cores, packs are
//! stored as they fill. The order is the law: packs, then index, then manifest,
//! then ref, each durable before the next; the ref is the commit. Whatever
//! stops it earlier leaves files nobody refers to, never an image that lies.

mod asked;
mod cut;
mod error;
pub(crate) mod guard;
mod image;
mod known;
mod options;
mod press;
mod stow;
mod stream;

use std::collections::HashMap;
use std::thread::Scope;

pub use cut::{Cut, Cutter, HashedChunk};
pub use error::IngestError;
pub use image::ImageWriter;
pub use options::{IngestOptions, IngestProgress, NewImage};
pub use stream::{Pieces, StreamWriter};

use crate::block::SealError;
use crate::entry::Piece;
use crate::ids::{ChunkId, ImageId, SegmentId};
use crate::image::{ImageRecord, Manifest};
use crate::index::{Index, Segment};
use crate::job::BlockJob;
use crate::lane::{Gathered, LaneKey, Lanes};
use crate::manifest::Root;
use crate::pack::PackBuilder;
use crate::refs;
use crate::store::{RefName, Store};
use asked::Asked;
use guard::Guard;
use press::{Press, Pressed};
use stow::{Stow, Stowed};

/// An interrupted capture can use again what was indexed before it stopped.
const PACKS_A_SEGMENT: usize = 16;
/// Over a network more is lost with a pack.
const PACKS_A_SEGMENT_FAR: usize = 4;

/// Takes streams and stores them.
pub struct Ingest<'s> {
    store: &'s dyn Store,
    guard: Guard<'s>,
    options: IngestOptions,
    /// The store's, or only what was written here where the store is asked.
    index: Index,
    asked: Option<Asked>,
    /// Chunks on their way: not in the index yet. Their length.
    pending: HashMap<ChunkId, u32>,
    lanes: Lanes,
    press: Press,
    pack: PackBuilder,
    stow: Stow<'s>,
    /// Packs that are stored and wait for a segment.
    stored: Vec<BlockJob>,
    stored_packs: usize,
    progress: IngestProgress,
    /// After the first failure nothing more is written.
    broken: bool,
}

impl<'s> Ingest<'s> {
    /// An ingest into `store`, which knows all that is there already, or asks
    /// where the store answers questions (see [`Store::locate`]).
    ///
    /// # Errors
    /// The store's index cannot be read.
    pub fn new(store: &'s dyn Store, options: IngestOptions) -> Result<Self, IngestError> {
        Self::with(store, options, Stow::Here(store))
    }

    /// As [`Ingest::new`], with a thread of `scope` that writes packs, so that
    /// nothing else waits for the medium.
    ///
    /// # Errors
    /// The store's index cannot be read.
    pub fn in_scope(
        scope: &'s Scope<'s, '_>,
        store: &'s dyn Store,
        options: IngestOptions,
    ) -> Result<Self, IngestError> {
        Self::with(store, options, Stow::in_thread(scope, store))
    }

    fn with(
        store: &'s dyn Store,
        options: IngestOptions,
        stow: Stow<'s>,
    ) -> Result<Self, IngestError> {
        let options = IngestOptions {
            pack_target: options.pack_target.min(crate::pack::MAX_PACK / 2),
            ..options
        };
        let guard = Guard::take(store)?;
        let (index, asked) = match store.locate(&[])? {
            Some(_) => (Index::default(), Some(Asked::default())),
            None => (Index::load_to_write(store)?, None),
        };
        Ok(Self {
            store,
            guard,
            index,
            asked,
            pending: HashMap::new(),
            lanes: Lanes::new(options.profile),
            press: Press::new(
                options.profile,
                options.threads,
                options.paranoid || options.profile.verifies(),
            ),
            pack: PackBuilder::new(),
            stow,
            stored: Vec::new(),
            stored_packs: 0,
            progress: IngestProgress::default(),
            broken: false,
            options,
        })
    }

    /// Begins a stream of exactly `size` bytes, holes included. `hint` is the
    /// file's path or name: it decides which chunks share a block, and how the
    /// stream is cut, but nothing of it is kept.
    pub fn stream(&mut self, hint: &[u8], size: u64) -> StreamWriter<'_, 's> {
        StreamWriter::new(self, hint, size)
    }

    /// Takes the next piece of a stream that another thread cut and hashed.
    ///
    /// # Errors
    /// The store failed, or it failed before.
    pub fn put(&mut self, pieces: &mut Pieces, cut: Cut) -> Result<(), IngestError> {
        match cut {
            Cut::Hole(length) => pieces.push(Piece::Hole { length }),
            Cut::Chunk(chunk) => {
                let (id, length) = (chunk.id(), chunk_length(chunk.bytes())?);
                let key = pieces.key_for(chunk.bytes());
                self.take(key, id, length, || chunk.into_bytes())?;
                pieces.push(Piece::Chunk { id, length });
            }
        }
        Ok(())
    }

    /// How far it is.
    pub fn progress(&self) -> IngestProgress {
        self.progress
    }

    /// Stores a whole manifest and all that is on its way, then the ref.
    ///
    /// # Errors
    /// The store failed, or the manifest names chunks that were never written.
    pub fn commit(
        mut self,
        manifest: Manifest,
        record: NewImage,
    ) -> Result<ImageRecord, IngestError> {
        let mut image = ImageWriter::new(manifest.disk);
        for volume in manifest.volumes {
            image.volume(&mut self, volume.partition)?;
            for entry in volume.entries {
                image.entry(&mut self, entry, None)?;
            }
        }
        self.finish(image, record)
    }

    /// Stores the rest of an image and all that is on its way, then the ref.
    ///
    /// # Errors
    /// The store failed, or the image's layout is impossible.
    pub fn finish(self, image: ImageWriter, record: NewImage) -> Result<ImageRecord, IngestError> {
        Ok(self.finish_counted(image, record)?.0)
    }

    /// As [`Ingest::finish`], with what all of it came to: much is stored only
    /// at the end.
    ///
    /// # Errors
    /// As [`Ingest::finish`].
    pub fn finish_counted(
        mut self,
        image: ImageWriter,
        record: NewImage,
    ) -> Result<(ImageRecord, IngestProgress), IngestError> {
        refs::check_new_name(&record.name)?;
        let (root, witnesses) = image.finish(&mut self)?;
        let bytes = root.encode()?;
        let id = ImageId::of(&bytes);
        if Root::decode(&id, &bytes)? != root {
            return Err(IngestError::ReadBack { what: "manifest" });
        }
        self.latched(Self::flush)?;
        self.guard.hold(self.store)?;
        self.store.put_manifest(&id, &bytes)?;
        let record = ImageRecord {
            image: id,
            name: record.name,
            sequence: 0,
            captured: record.captured,
            parent: record.parent,
            system: record.system,
            logical_size: root.logical_size(),
            entries: root.entry_count(),
            profile: Some(self.options.profile.word().to_owned()),
            source: record.source,
            witnesses,
        };
        let record = refs::commit(self.store, record, None)?;
        let at = RefName {
            name: record.name.clone(),
            sequence: record.sequence,
        };
        self.guard.held(self.store, &at)?;
        Ok((record, self.progress))
    }

    /// Takes one chunk of a stream.
    fn chunk(&mut self, key: &LaneKey, bytes: &[u8]) -> Result<(ChunkId, u32), IngestError> {
        let (id, length) = (ChunkId::of(bytes), chunk_length(bytes)?);
        self.take(key, id, length, || bytes.to_vec())?;
        Ok((id, length))
    }

    fn gather(&mut self, key: &LaneKey, id: ChunkId, bytes: Vec<u8>) -> Result<(), IngestError> {
        self.lanes.push(key, id, bytes);
        self.latched(Self::press_full)
    }

    /// Runs `act` unless something failed before; remembers when it fails.
    fn latched(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<(), IngestError>,
    ) -> Result<(), IngestError> {
        if self.broken {
            return Err(IngestError::Broken);
        }
        let result = act(self);
        self.broken = result.is_err();
        result
    }

    fn press_full(&mut self) -> Result<(), IngestError> {
        while let Some(block) = self.lanes.take()? {
            self.press(block)?;
        }
        Ok(())
    }

    fn press(&mut self, block: Gathered) -> Result<(), IngestError> {
        self.press
            .push(block)?
            .into_iter()
            .try_for_each(|pressed| self.pack_block(pressed))
    }

    fn pack_block(&mut self, pressed: Pressed) -> Result<(), IngestError> {
        let sealed = &pressed.sealed;
        self.pack.push(sealed, &pressed.chunks)?;
        self.progress.stored += sealed.bytes.len() as u64;
        self.lanes.reuse(pressed.raw);
        if self.pack.len() >= self.options.pack_target {
            self.store_pack()?;
        }
        let enough = match self.asked {
            None => PACKS_A_SEGMENT,
            Some(_) => PACKS_A_SEGMENT_FAR,
        };
        if self.stored_packs >= enough {
            self.store_segment()?;
        }
        Ok(())
    }

    fn store_pack(&mut self) -> Result<(), IngestError> {
        if self.pack.is_empty() {
            return Ok(());
        }
        let full = std::mem::take(&mut self.pack);
        self.guard.beat()?;
        let durable = self.stow.put(full)?;
        self.note_durable(durable);
        Ok(())
    }

    fn note_durable(&mut self, packs: Vec<Stowed>) {
        self.stored_packs += packs.len();
        self.progress.packs += packs.len() as u64;
        for Stowed { jobs, room } in packs {
            if self.pack.is_empty() {
                self.pack = PackBuilder::in_room(room);
            }
            for job in jobs {
                self.guard.uses(job.place.pack);
                self.stored.push(job);
            }
        }
    }

    /// Only now, with their packs durable, may others find these chunks.
    fn store_segment(&mut self) -> Result<(), IngestError> {
        let jobs = std::mem::take(&mut self.stored);
        if jobs.is_empty() {
            return Ok(());
        }
        let bytes = Segment::encode_salted(&jobs, 0, self.guard.salt())?;
        let segment = Segment::decode(bytes)?;
        if segment.jobs().len() != jobs.len() {
            return Err(IngestError::ReadBack {
                what: "index segment",
            });
        }
        self.store
            .put_index(&SegmentId::of(segment.bytes()), segment.bytes())?;
        for chunk in jobs.iter().flat_map(|job| &job.chunks) {
            self.pending.remove(&chunk.id);
        }
        self.index.add(segment);
        self.stored_packs = 0;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), IngestError> {
        self.settle()?;
        self.lanes.drain();
        self.press_full()?;
        for pressed in self.press.finish()? {
            self.pack_block(pressed)?;
        }
        self.store_pack()?;
        let durable = self.stow.finish()?;
        self.note_durable(durable);
        self.store_segment()
    }
}

fn chunk_length(bytes: &[u8]) -> Result<u32, IngestError> {
    u32::try_from(bytes.len()).map_err(|_| SealError::Length { found: bytes.len() }.into())
}
