//! A capture into memory, and what is looked at in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use image_format::entry::{Content, Entry, Piece};
use image_format::ids::ChunkRef;
use image_format::ingest::IngestOptions;
use image_format::{MemoryStore, Share};
use imager::tree::capture::{Reason, Root, TreeError, TreeOptions, TreeOutcome, capture};
use imager::tree::exclude::Excludes;

/// Later than every change made here, so that witnesses are trusted.
pub(crate) const LATER: u64 = 60;

pub(crate) fn options() -> TreeOptions {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    TreeOptions {
        name: "tree".to_owned(),
        captured: now.as_secs() + LATER,
        parent: None,
        excludes: Excludes::new([]).unwrap(),
        omit: Vec::new(),
        all_times: false,
        paranoid: false,
        strict: false,
        skip_unreadable: false,
        named: 100,
        threads: 3,
        ingest: IngestOptions {
            threads: 2,
            ..IngestOptions::default()
        },
    }
}

pub(crate) fn run(
    dir: &Path,
    store: &MemoryStore,
    options: &TreeOptions,
) -> Result<TreeOutcome, TreeError> {
    let share = Share::open(store).unwrap();
    let mut watch = |_| std::ops::ControlFlow::Continue(());
    capture(&Root::open(dir)?, &share, options, &mut watch)
}

pub(crate) fn entries(store: &MemoryStore, outcome: &TreeOutcome) -> Vec<Entry> {
    let share = Share::open(store).unwrap();
    share
        .entries(&outcome.record.image, 0)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

pub(crate) fn by_path(store: &MemoryStore, outcome: &TreeOutcome) -> BTreeMap<Vec<u8>, Entry> {
    let entries = entries(store, outcome).into_iter();
    entries.map(|entry| (entry.path.clone(), entry)).collect()
}

pub(crate) fn bytes_of(store: &MemoryStore, entry: &Entry) -> Vec<u8> {
    let share = Share::open(store).unwrap();
    match &entry.content {
        Content::Empty => Vec::new(),
        Content::Inline(bytes) => bytes.clone(),
        Content::Pieces(pieces) => pieces
            .iter()
            .flat_map(|piece| match *piece {
                Piece::Hole { length } => vec![0; usize::try_from(length).unwrap()],
                Piece::Chunk { id, length } => share.chunk(&ChunkRef { id, length }).unwrap(),
            })
            .collect(),
    }
}

pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

pub(crate) fn count(outcome: &TreeOutcome, reason: Reason) -> u64 {
    let found = outcome.notes.iter().find(|(found, _)| *found == reason);
    found.map_or(0, |(_, noted)| noted.count)
}
