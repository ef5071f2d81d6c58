//! Captures, readers, deletions and collections at once, each with a store of
//! its own on one folder, as so many programs would.

#[allow(dead_code)]
mod kit;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use image_format::share::Share;
use image_format::store::{DirStore, Store};
use image_format::upkeep::check::check;
use image_format::upkeep::gc::{GcError, GcOptions, gc};
use image_format::upkeep::leases::Lease;
use image_format::upkeep::names;
use kit::{File, noise};

const CAPTURES: u64 = 12;

/// Files of which neighbours in number share most.
fn files(version: u64) -> Vec<File> {
    let file = |seed| (format!("f{seed:03}.dll"), vec![Some(noise(seed, 20_000))]);
    (version..version + 8).map(file).collect()
}

fn capture(dir: &Path, name: &str, offset: u64) {
    for version in 0..CAPTURES {
        let store = DirStore::open(dir).unwrap();
        kit::ingest(&store, name, &files(offset + version % 5)).unwrap();
        if version % 3 == 2 {
            let share = Share::open(&store).unwrap();
            let all = names::chosen(&share, name, true).unwrap();
            names::delete(&store, &all[..all.len() - 1]).unwrap();
        }
    }
}

/// Reads whatever image is there, whole, under a lease.
fn read(dir: &Path) -> usize {
    let store = DirStore::open(dir).unwrap();
    let _lease = Lease::take(&store, "apply").unwrap();
    let share = Share::open(&store).unwrap();
    let images = share.images();
    for record in &images {
        match share.image_chunks(record) {
            Ok(chunks) => chunks.iter().for_each(|chunk| {
                share.chunk(chunk).unwrap();
            }),
            Err(error) => panic!("{}: {error}", record.name),
        }
    }
    images.len()
}

#[test]
fn captures_applies_and_collections_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    DirStore::init(dir).unwrap();
    let over = AtomicBool::new(false);
    let (runs, destroyed, reads) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let collect = || {
        let store = DirStore::open(dir).unwrap();
        let options = GcOptions {
            grace: Duration::ZERO,
            merge_at: 4,
            ..GcOptions::default()
        };
        while !over.load(Ordering::Relaxed) {
            match gc(&store, &options) {
                Ok(report) => {
                    runs.fetch_add(1, Ordering::Relaxed);
                    let count = usize::try_from(report.destroyed.count).unwrap();
                    destroyed.fetch_add(count, Ordering::Relaxed);
                }
                Err(GcError::Changed) => {}
                Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
            }
            thread::sleep(Duration::from_millis(5));
        }
    };
    thread::scope(|scope| {
        scope.spawn(collect);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                reads.fetch_add(read(dir), Ordering::Relaxed);
            }
        });
        let captures = [("a", 0), ("b", 3), ("c", 100)]
            .map(|(name, offset)| scope.spawn(move || capture(dir, name, offset)));
        let failed = captures.into_iter().any(|capture| capture.join().is_err());
        over.store(true, Ordering::Relaxed);
        assert!(!failed, "a capture failed");
    });
    assert!(runs.into_inner() > 2 && reads.into_inner() > 2);
    let store = DirStore::open(dir).unwrap();
    assert_eq!(check(&store).unwrap().findings, []);
    let options = GcOptions {
        grace: Duration::ZERO,
        ..GcOptions::default()
    };
    for _ in 0..3 {
        gc(&store, &options).unwrap();
    }
    assert_eq!(check(&store).unwrap().findings, []);
    assert!(store.list_trash().unwrap().is_empty() && store.list_leases().unwrap().is_empty());
    for name in ["a", "b", "c"] {
        let share = Share::open(&store).unwrap();
        assert_eq!(share.find(name).unwrap().sequence, CAPTURES);
    }
}
