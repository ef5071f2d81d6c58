//! One damaged ref costs one version of one name, and never in silence.

mod kit;

use std::fs;
use std::path::{Path, PathBuf};

use image_format::share::{Share, ShareError};
use image_format::store::{DirStore, MemoryStore, RefName, Store};
use image_format::upkeep::check::{CheckOptions, check_with};
use image_format::upkeep::gc::{GcError, GcOptions, gc};
use image_format::upkeep::names;
use image_format::upkeep::optimize::{OptimizeOptions, optimize};
use image_format::upkeep::repair::{RepairOptions, repair};
use image_format::upkeep::stats::stats;

const NAMES: [&str; 2] = ["t1", "other"];

fn at(name: &str, sequence: u64) -> RefName {
    RefName {
        name: name.into(),
        sequence,
    }
}

/// A few small files: everything here is captured often.
fn files(version: u64) -> Vec<kit::File> {
    let mut files = kit::files(version);
    files.retain(|(name, _)| ["f01.dll", "f05.dll", "tiny.txt"].contains(&name.as_str()));
    files
}

fn capture(store: &dyn Store, name: &str, version: u64) -> u64 {
    kit::ingest(store, name, &files(version)).unwrap().sequence
}

/// Three whole versions of `t1`, one of `other`, and a fourth of `t1` with `bytes`.
fn harmed(store: &dyn Store, bytes: &[u8]) {
    (1..=3).for_each(|version| assert_eq!(capture(store, "t1", version), version));
    capture(store, "other", 9);
    store.put_ref(&at("t1", 4), bytes).unwrap();
}

/// A share in a folder of which two bytes of the newest ref of `t1` rotted.
fn rotted() -> (tempfile::TempDir, DirStore, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let store = DirStore::init(dir.path()).unwrap();
    (1..=4).for_each(|version| assert_eq!(capture(&store, "t1", version), version));
    capture(&store, "other", 9);
    let file = dir.path().join(at("t1", 4).file());
    let mut bytes = fs::read(&file).unwrap();
    bytes[2..4].copy_from_slice(b"\xff\xfe");
    fs::write(&file, bytes).unwrap();
    (dir, store, file)
}

fn every_store(test: impl Fn(&dyn Store)) {
    let dir = tempfile::tempdir().unwrap();
    let stores: [&dyn Store; 2] = [&MemoryStore::new(), &DirStore::init(dir.path()).unwrap()];
    for store in stores {
        harmed(store, b"{ \"version\": 1, no ref");
        test(store);
    }
}

fn text(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let words: Vec<String> = causes.map(ToString::to_string).collect();
    words.join(": ")
}

fn assert_says(found: &str, words: &[&str]) {
    for word in words {
        assert!(found.contains(word), "{word} is not in: {found}");
    }
}

fn assert_readable(store: &dyn Store, name: &str) {
    let share = Share::open(store).unwrap();
    let record = share.find(name).unwrap();
    for chunk in share.image_chunks(&record).unwrap() {
        share.chunk(&chunk).unwrap();
    }
}

#[test]
fn all_other_images_are_found_read_and_captured() {
    every_store(|store| {
        for name in ["other", "other@1", "t1@1", "t1@3"] {
            assert_readable(store, name);
        }
        let share = Share::open(store).unwrap();
        assert_eq!(share.records().count(), 4);
        let lost: Vec<&RefName> = share.unreadable().iter().map(|lost| &lost.at).collect();
        assert_eq!(lost, [&at("t1", 4)]);
        assert_eq!(stats(&share).unwrap().refs, 4);
        let going_on = &mut |_: &_| std::ops::ControlFlow::Continue(());
        optimize(store, OptimizeOptions::default(), going_on).unwrap();
        assert_eq!(capture(store, "other", 10), 2);
        let tagged = names::tag(&store, "t1@3", "golden", None).unwrap();
        assert_eq!(tagged.sequence, 1);
    });
}

#[test]
fn name_never_means_the_version_before_a_damaged_one() {
    every_store(|store| {
        let share = Share::open(store).unwrap();
        let refused = share.find("t1").unwrap_err();
        assert!(matches!(
            &refused,
            ShareError::Newest {
                before: Some(3),
                ..
            }
        ));
        let file = at("t1", 4).file();
        let words = [
            &*file,
            "not a ref",
            "t1@3",
            "share repair",
            "image delete t1@4",
        ];
        assert_says(&text(&refused), &words);
        let refused = share.find("t1@4").unwrap_err();
        assert_says(&text(&refused), &[&file, "share repair"]);
        assert!(names::tag(&store, "t1", "golden", None).is_err());
        let names: Vec<String> = share.images().into_iter().map(|image| image.name).collect();
        assert_eq!(names, ["other"]);
    });
}

#[test]
fn next_capture_takes_the_next_sequence_and_is_the_newest() {
    every_store(|store| {
        assert_eq!(capture(store, "t1", 5), 5);
        assert_readable(store, "t1");
        let share = Share::open(store).unwrap();
        assert_eq!(share.find("t1").unwrap().sequence, 5);
        assert_eq!(share.unreadable().len(), 1, "it is still told");
        assert_eq!(share.images().len(), 2);
    });
}

#[test]
fn nothing_is_collected_as_long_as_a_ref_cannot_be_used() {
    let (_dir, store, _) = rotted();
    let (packs, manifests) = (store.list_packs().unwrap(), store.list_manifests().unwrap());
    let at_once = GcOptions {
        grace: std::time::Duration::ZERO,
        ..GcOptions::default()
    };
    for _ in 0..2 {
        let refused = gc(&store, &at_once).unwrap_err();
        assert!(matches!(&refused, GcError::Ref(_)));
        let file = at("t1", 4).file();
        assert_says(
            &text(&refused),
            &[&file, "share repair", "image delete t1@4"],
        );
    }
    assert_eq!(store.list_packs().unwrap(), packs);
    assert_eq!(store.list_manifests().unwrap(), manifests);
    assert!(store.list_leases().unwrap().is_empty());
    // Taken back, it needs nothing any more.
    let share = Share::open(&store).unwrap();
    names::delete(&store, &names::chosen(&share, "t1@4", false).unwrap()).unwrap();
    assert_eq!(gc(&store, &at_once).unwrap().nameless.len(), 1);
    for name in NAMES {
        assert_readable(&store, name);
    }
}

#[test]
fn damaged_version_is_deleted_alone_or_with_all_of_its_name() {
    for (asked, all, left) in [("t1@4", false, 3), ("t1", true, 0)] {
        every_store(|store| {
            let share = Share::open(store).unwrap();
            assert!(names::chosen(&share, "t1", false).is_err());
            names::delete(store, &names::chosen(&share, asked, all).unwrap()).unwrap();
            let share = Share::open(store).unwrap();
            assert!(share.unreadable().is_empty());
            assert_eq!(share.history("t1").len(), left);
            assert_eq!(capture(store, "t1", 5), 5, "no sequence is given twice");
        });
    }
}

#[test]
fn check_names_the_file_and_repair_sets_it_aside_with_all_its_bytes() {
    let (dir, store, file) = rotted();
    let bytes = fs::read(&file).unwrap();
    let findings = check_with(&store, &CheckOptions::default())
        .unwrap()
        .findings;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].file, at("t1", 4).file());
    assert_says(
        &findings[0].to_string(),
        &["needed by t1 (4)", "share repair"],
    );

    let (report, _) = repair(&store, &RepairOptions { dry_run: true }).unwrap();
    assert_eq!(report.refs, [at("t1", 4)]);
    assert_eq!(fs::read(&file).unwrap(), bytes, "only told");

    let (report, left) = repair(&store, &RepairOptions::default()).unwrap();
    assert_eq!((report.refs, left.findings), (vec![at("t1", 4)], vec![]));
    assert_eq!(left.nameless.len(), 1, "its image can be named again");
    let aside = dir.path().join(at("t1", 4).file_aside());
    assert_eq!((fs::read(aside).unwrap(), file.exists()), (bytes, false));

    assert_eq!(Share::open(&store).unwrap().find("t1").unwrap().sequence, 3);
    let again = left.nameless[0].short();
    assert_eq!(names::tag(&store, &again, "t1", None).unwrap().sequence, 5);
    gc(&store, &GcOptions::default()).unwrap();
    assert_readable(&store, "t1");
}

#[test]
fn ref_of_a_newer_program_is_left_out_and_not_set_aside() {
    let store = MemoryStore::new();
    harmed(&store, b"{ \"version\": 2 }");
    let refused = Share::open(&store).unwrap().find("t1").unwrap_err();
    assert_says(&text(&refused), &["found 2", "newer program"]);
    let (report, left) = repair(&store, &RepairOptions::default()).unwrap();
    assert_eq!((report.refs.len(), left.findings.len()), (0, 1));
    assert_eq!(store.list_refs().unwrap().len(), 5);
}

#[test]
fn ref_that_is_damaged_while_the_share_is_open_is_no_step_back() {
    let (dir, store, file) = rotted();
    let whole = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let mut share = Share::open(&store).unwrap();
    fs::write(&file, whole).unwrap();
    share.refresh().unwrap();
    assert!(share.find("t1").is_err());
    assert!(share.find("t1@3").is_ok());
    let trash = fs::read_dir(dir.path().join("trash")).unwrap();
    assert_eq!(trash.count(), 0);
    assert!(Path::new(&file).exists());
}
