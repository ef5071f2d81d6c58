//! One suite for every store.

mod kit;

use image_format::block;
use image_format::entry::{Content, Piece};
use image_format::ids::{ChunkId, PackId};
use image_format::image::Manifest;
use image_format::ingest::{Ingest, IngestError, NewImage};
use image_format::refs;
use image_format::share::{Share, ShareError};
use image_format::store::{DirStore, MemoryStore, RefName, Source, Store, StoreError};
use image_format::upkeep::check::check;
use image_format::upkeep::names;
use std::collections::BTreeMap;
use std::fs;

fn every_store(test: impl Fn(&dyn Store)) {
    test(&MemoryStore::new());
    let dir = tempfile::tempdir().unwrap();
    test(&DirStore::init(dir.path()).unwrap());
}

/// Reads an image as an apply does: blocks in the order they lie, each once.
fn contents(share: &Share<&dyn Store>, manifest: &Manifest) -> BTreeMap<String, Vec<u8>> {
    let mut chunks: BTreeMap<ChunkId, Vec<u8>> = BTreeMap::new();
    for job in share.jobs(manifest).unwrap() {
        let open = block::open(&job.place, &share.store().block(&job.place).unwrap()).unwrap();
        for chunk in &job.chunks {
            chunks.insert(chunk.id, open.chunk(chunk).unwrap().to_vec());
        }
    }
    let piece = |piece: &Piece| match piece {
        Piece::Hole { length } => vec![0; usize::try_from(*length).unwrap()],
        Piece::Chunk { id, .. } => chunks[id].clone(),
    };
    let entries = manifest
        .volumes
        .iter()
        .flat_map(|volume| &volume.entries)
        .skip(1);
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

#[test]
fn what_went_in_comes_out_byte_for_byte() {
    every_store(|store| {
        for version in 1..=3 {
            let record = kit::ingest(store, "pc", &kit::files(version)).unwrap();
            assert_eq!(record.sequence, version);
            let share = Share::open(store).unwrap();
            let manifest = share.manifest(&record.image).unwrap();
            let expected = kit::files(version)
                .iter()
                .map(|file| (file.0.clone(), kit::logical(file)))
                .collect();
            assert_eq!(contents(&share, &manifest), expected);
        }
        let report = check(store).unwrap();
        assert_eq!(
            (report.refs, report.images, report.findings.len()),
            (3, 3, 0)
        );
        assert!(report.unreached_packs.is_empty());
    });
}

#[test]
fn second_version_stores_only_what_changed() {
    every_store(|store| {
        let size = || {
            let packs = store.list_packs().unwrap();
            packs
                .iter()
                .map(|pack| store.read_pack(pack).unwrap().len())
                .sum::<usize>()
        };
        kit::ingest(store, "pc", &kit::files(1)).unwrap();
        let first = size();
        kit::ingest(store, "pc", &kit::files(1)).unwrap();
        assert_eq!(size(), first);
        kit::ingest(store, "pc", &kit::files(2)).unwrap();
        assert!(size() - first < 80_000, "{}", size() - first);
    });
}

#[test]
fn same_files_make_the_same_packs_whatever_the_threads_do() {
    let packs = || {
        let store = MemoryStore::new();
        let record = kit::ingest(&store, "pc", &kit::files(1)).unwrap();
        (record.image, store.list_packs().unwrap())
    };
    assert_eq!(packs(), packs());
}

#[test]
fn images_are_found_by_name_and_id_and_history_is_kept() {
    every_store(|store| {
        let first = kit::ingest(store, "a pc", &kit::files(1)).unwrap();
        let second = kit::ingest(store, "a pc", &kit::files(2)).unwrap();
        let other = kit::ingest(store, "b", &kit::files(3)).unwrap();
        let share = Share::open(store).unwrap();
        assert_eq!(share.images(), [second.clone(), other]);
        assert_eq!(share.history("a pc"), [first.clone(), second.clone()]);
        assert_eq!(share.find("a pc").unwrap(), second);
        assert_eq!(share.find(&first.image.to_string()).unwrap(), first);
        assert_eq!(share.find(&first.image.short()).unwrap(), first);
        assert!(matches!(share.find("c"), Err(ShareError::Unknown { .. })));
    });
}

#[test]
fn ref_that_does_not_follow_the_newest_is_refused() {
    every_store(|store| {
        let record = kit::ingest(store, "pc", &kit::files(1)).unwrap();
        for sequence in [0, 1] {
            let at = RefName {
                name: "pc".into(),
                sequence,
            };
            assert!(matches!(
                store.put_ref(&at, b"x"),
                Err(StoreError::Conflict { newest: 1, .. })
            ));
        }
        let next = RefName {
            name: "pc".into(),
            sequence: 2,
        };
        store
            .put_ref(&next, &refs::encode(&record, None).unwrap())
            .unwrap();
        // It says sequence 1 where 2 stands: somebody put an older one back.
        let share = Share::open(store).unwrap();
        assert_eq!(share.unreadable().len(), 1);
        assert!(matches!(share.find("pc"), Err(ShareError::Newest { .. })));
    });
}

#[test]
fn bytes_that_do_not_match_their_name_are_refused() {
    every_store(|store| {
        assert!(store.put_pack(&PackId::of(b"a"), b"b").is_err());
        assert!(
            store
                .put_index(&image_format::SegmentId::of(b"a"), b"b")
                .is_err()
        );
        assert!(
            store
                .put_manifest(&image_format::ImageId::of(b"a"), b"b")
                .is_err()
        );
        assert!(store.list_packs().unwrap().is_empty());
        assert!(matches!(
            store.read_pack(&PackId::of(b"a")),
            Err(StoreError::Missing { .. })
        ));
    });
}

#[test]
fn stream_that_is_not_as_long_as_announced_is_refused() {
    let store = MemoryStore::new();
    let mut ingest = Ingest::new(&store, kit::options()).unwrap();
    let mut stream = ingest.stream(b"a", 10);
    stream.write(&[0; 9]).unwrap();
    assert!(matches!(
        stream.finish(),
        Err(IngestError::Size {
            expected: 10,
            found: 9
        })
    ));
    assert!(ingest.stream(b"a", 10).write(&[0; 11]).is_err());
    assert!(ingest.stream(b"a", 10).hole(u64::MAX).is_err());
}

#[test]
fn contents_are_inline_up_to_1024_bytes_and_holes_are_kept() {
    let store = MemoryStore::new();
    let mut ingest = Ingest::new(&store, kit::options()).unwrap();
    let mut content = |size: u64, holes: &[u64]| {
        let mut stream = ingest.stream(b"a.bin", size);
        let mut left = size;
        for hole in holes {
            stream.write(&[1]).unwrap();
            stream.hole(*hole).unwrap();
            left -= hole + 1;
        }
        stream
            .write(&vec![2; usize::try_from(left).unwrap()])
            .unwrap();
        stream.finish().unwrap()
    };
    assert_eq!(content(0, &[]), Content::Empty);
    assert_eq!(content(1024, &[]), Content::Inline(vec![2; 1024]));
    assert!(matches!(content(1025, &[]), Content::Pieces(pieces) if pieces.len() == 1));
    let Content::Pieces(pieces) = content(100, &[10, 20]) else {
        panic!("holes are not inline")
    };
    let lengths: Vec<u64> = pieces.iter().map(Piece::length).collect();
    assert_eq!(lengths, [1, 10, 1, 20, 68]);
    assert_eq!(ingest.progress().read, 1025 + 70);
}

#[test]
fn manifest_with_a_chunk_that_was_never_written_is_not_committed() {
    let store = MemoryStore::new();
    let record = kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    let manifest = Share::open(&store)
        .unwrap()
        .manifest(&record.image)
        .unwrap();
    let elsewhere = MemoryStore::new();
    let image = NewImage {
        name: "pc".into(),
        captured: 0,
        parent: None,
        system: None,
        source: None,
    };
    let result = Ingest::new(&elsewhere, kit::options())
        .unwrap()
        .commit(manifest, image);
    assert!(matches!(result, Err(IngestError::Missing(_))));
    assert!(
        elsewhere.list_refs().unwrap().is_empty() && elsewhere.list_manifests().unwrap().is_empty()
    );
}

#[test]
fn only_an_empty_directory_becomes_a_share_and_other_versions_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        DirStore::open(dir.path()),
        Err(StoreError::Format { .. })
    ));
    DirStore::init(dir.path()).unwrap();
    assert!(DirStore::init(dir.path()).is_err());
    DirStore::open(dir.path()).unwrap();
    let path = dir.path().join("format.json");
    let text = fs::read_to_string(&path).unwrap();
    for (version, word) in [(0, "capture again"), (2, "newer program")] {
        let other = format!("\"version\": {version}");
        fs::write(&path, text.replace("\"version\": 1", &other)).unwrap();
        let error = DirStore::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn unknown_features_are_passed_over_forbid_writing_or_forbid_everything() {
    let dir = tempfile::tempdir().unwrap();
    let record = kit::ingest(&DirStore::init(dir.path()).unwrap(), "pc", &kit::files(1)).unwrap();
    let path = dir.path().join("format.json");
    let text = fs::read_to_string(&path).unwrap();
    let feature = |list: &str| {
        let (from, to) = (
            format!("\"{list}\": []"),
            format!("\"{list}\": [\"delta\"]"),
        );
        fs::write(&path, text.replace(&from, &to)).unwrap();
        DirStore::open(dir.path())
    };
    let store = feature("compatible").unwrap();
    kit::ingest(&store, "pc", &kit::files(2)).unwrap();
    let store = feature("read_only_compatible").unwrap();
    let share = Share::open(&store as &dyn Store).unwrap();
    share.manifest(&record.image).unwrap();
    let error = kit::ingest(&store, "pc", &kit::files(3)).unwrap_err();
    assert!(error.to_string().contains("delta"), "{error}");
    let at = RefName {
        name: "pc".into(),
        sequence: 1,
    };
    assert!(matches!(
        store.delete_ref(&at),
        Err(StoreError::ReadOnly { .. })
    ));
    let error = feature("incompatible").unwrap_err().to_string();
    assert!(error.contains("delta"), "{error}");
}

#[test]
fn deleted_sequence_is_never_given_again_and_readers_do_not_mind() {
    every_store(|store| {
        for version in 1..=3 {
            kit::ingest(store, "pc", &kit::files(version)).unwrap();
        }
        let mut share = Share::open(store).unwrap();
        let newest = names::chosen(&share, "pc@3", false).unwrap();
        names::delete(store, &newest).unwrap();
        share.refresh().unwrap();
        let left: Vec<u64> = share
            .history("pc")
            .iter()
            .map(|record| record.sequence)
            .collect();
        assert_eq!(left, [1, 2]);
        assert_eq!(
            kit::ingest(store, "pc", &kit::files(4)).unwrap().sequence,
            4
        );
        share.refresh().unwrap();
        assert!(names::chosen(&share, "pc", false).is_err());
        assert!(names::chosen(&share, "pc@3", false).is_err());
        names::delete(store, &names::chosen(&share, "pc", true).unwrap()).unwrap();
        share.refresh().unwrap();
        assert!(share.images().is_empty());
        assert_eq!(
            kit::ingest(store, "pc", &kit::files(1)).unwrap().sequence,
            5
        );
        assert_eq!(store.list_deleted_refs().unwrap().len(), 1);
        store.tidy_refs().unwrap();
        assert!(store.list_deleted_refs().unwrap().is_empty());
        Share::open(store).unwrap();
    });
}

#[test]
fn newest_ref_that_vanished_without_a_mark_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let store = DirStore::init(dir.path()).unwrap();
    kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    kit::ingest(&store, "pc", &kit::files(2)).unwrap();
    let mut share = Share::open(&store).unwrap();
    fs::remove_file(dir.path().join(format!("refs/pc/{:020}.json", 2))).unwrap();
    assert!(matches!(share.refresh(), Err(ShareError::Ref { .. })));
}

#[test]
fn image_gets_one_more_name_and_keeps_those_it_has() {
    every_store(|store| {
        let record = kit::ingest(store, "pc", &kit::files(1)).unwrap();
        let tagged = names::tag(&store, "pc@1", "golden", None).unwrap();
        assert_eq!((tagged.image, tagged.sequence), (record.image, 1));
        let share = Share::open(store).unwrap();
        assert_eq!(share.find("golden").unwrap(), tagged);
        assert_eq!(share.find("pc").unwrap(), record);
        assert!(names::tag(&store, "none", "x", None).is_err());
        assert!(names::tag(&store, "pc", " x", None).is_err());
        assert!(store.list_leases().unwrap().is_empty());
    });
}

#[test]
fn directory_store_leaves_nothing_half_written_in_sight() {
    let dir = tempfile::tempdir().unwrap();
    let store = DirStore::init(dir.path()).unwrap();
    kit::ingest(&store, "pc", &kit::files(1)).unwrap();
    fs::write(dir.path().join("incoming/1-0"), b"half").unwrap();
    fs::write(dir.path().join("packs/stray"), b"not ours").unwrap();
    let store = DirStore::open(dir.path()).unwrap();
    kit::ingest(&store, "pc", &kit::files(2)).unwrap();
    assert!(check(&store).unwrap().findings.is_empty());
    assert_eq!(
        fs::read_dir(dir.path().join("incoming")).unwrap().count(),
        1
    );
}
