//! What is asked of a share after the power was cut.

use std::collections::BTreeSet;
use std::path::Path;

use image_format::entry::{Content, Piece};
use image_format::ids::{ImageId, PackId};
use image_format::image::ImageRecord;
use image_format::share::Share;
use image_format::store::{DirStore, Store};
use image_format::upkeep::check::check;
use image_format::upkeep::leases::STALE;
use image_format::{ChunkRef, fetch_list, with_bases};

use crate::disk::{Disk, Node};
use crate::history::{At, Promises, SHARE, capture, collect, files, open};
use crate::kit;

const DAY: u64 = 24 * 3600;
const FRESH: (At, u64) = (("fresh", 1), 9);

/// The share opens, what was promised is there bit by bit and nothing else is;
/// a capture works, and collections leave nothing that nobody needs.
pub(crate) fn assert_sound(disk: &Disk, promises: &Promises) {
    let store = open(disk).unwrap();
    let mut promises = promises.clone();
    settle(&store, &mut promises);
    assert_whole(&store, &promises);
    capture(&store, FRESH.0, FRESH.1).unwrap();
    promises.images.insert(FRESH.0, FRESH.1);
    // A file in the making may be somebody's for a day.
    disk.advance(DAY + 1);
    let store = open(disk).unwrap();
    // The first run finds out who is dead, the second goes on from there.
    for _ in 0..3 {
        disk.advance(STALE);
        collect(&store, 0).unwrap();
    }
    assert_clean(disk, &store);
    assert_whole(&store, &promises);
}

/// What a step that was cut off left is there from now on, or is not.
fn settle(store: &DirStore, promises: &mut Promises) {
    let share = Share::open(store).unwrap();
    for (at, version) in std::mem::take(&mut promises.perhaps) {
        if record(&share, at).is_some() {
            promises.images.insert(at, version);
        }
    }
}

fn record<S: Store>(share: &Share<S>, at: At) -> Option<&ImageRecord> {
    let mut history = share.history(at.0).iter();
    history.find(|record| record.sequence == at.1)
}

fn assert_whole(store: &DirStore, promises: &Promises) {
    let share = Share::open(store).unwrap();
    let listed: BTreeSet<(&str, u64)> = share
        .records()
        .map(|record| (record.name.as_str(), record.sequence))
        .collect();
    let promised: BTreeSet<(&str, u64)> = promises.images.keys().copied().collect();
    assert_eq!(listed, promised, "images that are there and that should be");
    for (at, version) in &promises.images {
        let record = record(&share, *at).unwrap();
        let found = contents(&share, record);
        let expected = files(*version);
        assert_eq!(found.len(), expected.len(), "{at:?}");
        for ((path, bytes), file) in found.iter().zip(&expected) {
            assert!(*path == file.0, "{at:?}: {path}");
            assert!(*bytes == kit::logical(file), "{at:?}: {path} differs");
        }
    }
    assert_eq!(check(store).unwrap().findings, []);
}

fn contents<S: Store>(share: &Share<S>, record: &ImageRecord) -> Vec<(String, Vec<u8>)> {
    let manifest = share.manifest(&record.image).unwrap();
    let piece = |piece: &Piece| match *piece {
        Piece::Hole { length } => vec![0; usize::try_from(length).unwrap()],
        Piece::Chunk { id, length } => share.chunk(&ChunkRef { id, length }).unwrap(),
    };
    let entries = manifest.volumes[0].entries.iter().skip(1);
    entries
        .map(|entry| {
            let bytes = match &entry.content {
                Content::Empty => Vec::new(),
                Content::Inline(bytes) => bytes.clone(),
                Content::Pieces(pieces) => pieces.iter().flat_map(piece).collect(),
            };
            (String::from_utf8(entry.path.clone()).unwrap(), bytes)
        })
        .collect()
}

/// Every file of the share has a reason to be there.
fn assert_clean(disk: &Disk, store: &DirStore) {
    let files = |folder: &str| -> Vec<_> {
        let folder = Path::new(SHARE).join(folder);
        let seen = disk.state().seen.clone();
        seen.into_iter()
            .filter(|(path, node)| path.starts_with(&folder) && *node != Node::Folder)
            .map(|(path, _)| path)
            .collect()
    };
    let report = collect(store, 0).unwrap();
    let left = [
        report.dead,
        report.rewritten,
        report.manifests,
        report.waiting,
        report.spared,
        report.damaged,
    ];
    assert!(left.iter().all(|amount| amount.count == 0), "{report:?}");
    for folder in ["incoming", "trash", "leases"] {
        assert_eq!(files(folder), [] as [&Path; 0]);
    }
    let share = Share::open(store).unwrap();
    let images: BTreeSet<ImageId> = share.records().map(|record| record.image).collect();
    assert_eq!(files("manifests").len(), images.len());
    let mut chunks = Vec::new();
    for record in share.records() {
        chunks.extend(share.image_chunks(record).unwrap());
    }
    let jobs = fetch_list(share.index(), chunks.into_iter().map(|chunk| chunk.id)).unwrap();
    let jobs = with_bases(share.index(), jobs).unwrap();
    let needed: BTreeSet<PackId> = jobs.iter().map(|job| job.place.pack).collect();
    assert_eq!(store.list_packs().unwrap(), Vec::from_iter(needed));
    assert_eq!(files("packs").len(), store.list_packs().unwrap().len());
    assert_eq!(files("index").len(), store.list_indexes().unwrap().len());
}
