//! Images made of entries, applied to directories.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use image_format::entry::{Content, Entry, Kind, Timestamp};
use image_format::ids::ImageId;
use image_format::layout::{DiskLayout, Volume};
use image_format::store::{BlockPlace, Source};
use image_format::{ImageWriter, Ingest, IngestOptions, MemoryStore, NewImage, Share, StoreError};
use imager::tree::apply::{Blocks, Outcome, TreeError, apply};
use imager::tree::plan::{EntryStream, Origin, Others, Plan, PlanError, Wishes, plan};
use imager::tree::verify::{Proven, Question, TreeDifference, verify};

pub(crate) enum Data {
    Bytes(Vec<u8>),
    Hole(u64),
}

/// An image of one tree in a share in memory.
pub(crate) struct Image {
    pub(crate) share: Share<MemoryStore>,
    pub(crate) id: ImageId,
}

/// Blocks can be had so often, then no more.
pub(crate) struct Faulty<'a> {
    source: &'a dyn Source,
    left: AtomicI64,
}

impl Source for Faulty<'_> {
    fn block(&self, place: &BlockPlace) -> Result<Vec<u8>, StoreError> {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(StoreError::Stopped { operation: 0 });
        }
        self.source.block(place)
    }
}

pub(crate) fn at(seconds: i64, nanoseconds: u32) -> Timestamp {
    Timestamp {
        seconds,
        nanoseconds,
    }
}

pub(crate) fn entry(path: impl AsRef<[u8]>, kind: Kind, mode: u32) -> Entry {
    let mut entry = Entry::new(path.as_ref(), kind);
    entry.mode = mode;
    entry.times.modified = at(1_700_000_000, 123_456_789);
    entry.times.accessed = at(1_700_000_001, 5);
    entry
}

pub(crate) fn folder(path: &str) -> (Entry, Vec<Data>) {
    (entry(path, Kind::Directory, 0o755), Vec::new())
}

pub(crate) fn file(path: &str, bytes: &[u8]) -> (Entry, Vec<Data>) {
    (
        entry(path, Kind::File, 0o644),
        vec![Data::Bytes(bytes.to_vec())],
    )
}

/// Bytes nobody can compress or share, different for each `seed`.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

/// Makes an image; entries are put in order.
pub(crate) fn image(mut entries: Vec<(Entry, Vec<Data>)>) -> Image {
    entries.sort_by(|one, other| one.0.path.cmp(&other.0.path));
    let store = MemoryStore::new();
    let options = IngestOptions::default();
    let mut ingest = Ingest::new(&store, options).unwrap();
    let mut writer = ImageWriter::new(DiskLayout::tree());
    writer.volume(&mut ingest, 0).unwrap();
    for (mut entry, data) in entries {
        let size = data.iter().map(|data| match data {
            Data::Bytes(bytes) => bytes.len() as u64,
            Data::Hole(length) => *length,
        });
        if !data.is_empty() {
            let mut stream = ingest.stream(&entry.path, size.sum());
            for data in &data {
                match data {
                    Data::Bytes(bytes) => stream.write(bytes).unwrap(),
                    Data::Hole(length) => stream.hole(*length).unwrap(),
                }
            }
            entry.content = stream.finish().unwrap();
        }
        assert!(entry.kind == Kind::File || entry.content == Content::Empty);
        writer.entry(&mut ingest, entry, None).unwrap();
    }
    let record = ingest.finish(
        writer,
        NewImage {
            name: "tree".to_owned(),
            captured: 0,
            parent: None,
            system: None,
            source: None,
        },
    );
    let id = record.unwrap().image;
    Image {
        share: Share::open(store).unwrap(),
        id,
    }
}

impl Image {
    pub(crate) fn with<T>(&self, act: impl FnOnce(&Origin<'_>) -> T) -> T {
        let entries = || {
            let entries = self.share.entries(&self.id, 0)?;
            Ok(Box::new(entries) as EntryStream<'_>)
        };
        act(&Origin {
            image: self.id,
            partition: 0,
            volume: &Volume::Tree,
            entries: &entries,
        })
    }

    pub(crate) fn plan(&self, target: &Path, wishes: &Wishes) -> Result<Plan, PlanError> {
        self.with(|origin| plan(origin, target, wishes))
    }

    /// Plans, applies, and reads back.
    pub(crate) fn apply(&self, target: &Path, wishes: &Wishes) -> Result<Outcome, TreeError> {
        self.apply_with(target, wishes, i64::MAX)
    }

    /// As long as there are blocks.
    pub(crate) fn apply_with(
        &self,
        target: &Path,
        wishes: &Wishes,
        blocks: i64,
    ) -> Result<Outcome, TreeError> {
        let plan = self.plan(target, wishes).unwrap();
        self.carry_out(&plan, blocks)
    }

    pub(crate) fn carry_out(&self, plan: &Plan, blocks: i64) -> Result<Outcome, TreeError> {
        let source = Faulty {
            source: self.share.store(),
            left: AtomicI64::new(blocks),
        };
        let find = |id: &_| self.share.index().find(id);
        let base = |at: &_| self.share.chunk(at).ok();
        let blocks = Blocks {
            source: &source,
            find: &find,
            base: &base,
        };
        self.with(|origin| apply(plan, origin, &blocks, true, &|_| {}))
    }

    pub(crate) fn verify(&self, target: &Path) -> Result<Proven, Vec<TreeDifference>> {
        let question = Question {
            extras: true,
            ..Question::default()
        };
        self.with(|origin| verify(target, origin, &question, &|_| {}))
            .unwrap()
    }

    /// The differences as lines.
    pub(crate) fn differences(&self, target: &Path) -> Vec<String> {
        let found = self.verify(target).err().unwrap_or_default();
        found.iter().map(ToString::to_string).collect()
    }

    pub(crate) fn blocks(&self) -> usize {
        let manifest = self.share.manifest(&self.id).unwrap();
        self.share.jobs(&manifest).unwrap().len()
    }
}

pub(crate) fn clean() -> Wishes {
    Wishes {
        others: Others::Remove,
        ..Wishes::default()
    }
}

pub(crate) fn keep() -> Wishes {
    Wishes {
        others: Others::Keep,
        ..Wishes::default()
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn run(program: &str, args: &[&str]) {
    let done = std::process::Command::new(program)
        .args(args)
        .output()
        .unwrap();
    assert!(done.status.success(), "{program} {args:?}: {done:?}");
}
