//! Captures, collections, tags and readers on one share, in every order.
//!
//! A party runs until it is interrupted, another one runs for a while, and so
//! on: orders with three interruptions are tried, and a reader looks at
//! everything in between.

#[allow(dead_code)]
mod kit;
#[path = "kit/turns.rs"]
mod turns;

use std::ops::ControlFlow;
use std::time::Duration;

use image_format::share::Share;
use image_format::store::{Fault, MemoryStore, Store};
use image_format::upkeep::check::check;
use image_format::upkeep::gc::{GcOptions, GcReport, gc};
use image_format::upkeep::names;
use image_format::upkeep::optimize::{OptimizeOptions, OptimizeProgress, optimize};
use image_format::{Profile, Segment};
use kit::{File, ingest, noise};
use turns::{TO_THE_END, play};

fn options() -> GcOptions {
    GcOptions {
        grace: Duration::ZERO,
        merge_at: 2,
        ..GcOptions::default()
    }
}

fn collect(store: &MemoryStore) -> GcReport {
    gc(store, &options()).unwrap()
}

/// Small files, so that thousands of orders are tried in seconds.
fn files(names: &[u64]) -> Vec<File> {
    let file = |seed: &u64| (format!("f{seed}.dll"), vec![Some(noise(*seed, 3000))]);
    names.iter().map(file).collect()
}

fn delete(store: &MemoryStore, name: &str) {
    let share = Share::open(store).unwrap();
    names::delete(store, &names::chosen(&share, name, true).unwrap()).unwrap();
}

/// Every committed image can be read, by somebody without a lease, right now.
fn whole(store: &MemoryStore) {
    let share = Share::open(store).unwrap();
    for record in share.records() {
        for chunk in share.image_chunks(record).unwrap() {
            share.chunk(&chunk).unwrap();
        }
    }
}

/// When all have ended: healthy, and collections soon find nothing more to do.
fn clean(store: &MemoryStore) {
    assert_eq!(check(store).unwrap().findings, []);
    assert!(store.list_leases().unwrap().is_empty());
    // Which of two copies counts may change when segments are merged.
    for _ in 0..3 {
        collect(store);
    }
    let report = collect(store);
    assert_eq!(check(store).unwrap().findings, []);
    let left = [
        report.dead,
        report.rewritten,
        report.manifests,
        report.waiting,
    ];
    assert!(left.iter().all(|amount| amount.count == 0), "{report:?}");
    assert!(store.list_trash().unwrap().is_empty() && store.list_seals().unwrap().is_empty());
    let images = Share::open(store).unwrap();
    let kept: Vec<_> = images.records().map(|record| record.image).collect();
    let manifests = store.list_manifests().unwrap();
    assert!(manifests.iter().all(|id| kept.contains(id)));
}

/// How many operations a party makes when nobody disturbs it.
fn length(start: &MemoryStore, party: &dyn Fn(&MemoryStore)) -> usize {
    let store = start.restarted();
    party(&store);
    usize::try_from(store.operations()).unwrap()
}

/// Tries every order of two parties with two interruptions, and a third one at
/// a place that differs from order to order; of all these, one in `thin`.
fn every_order(
    start: &MemoryStore,
    one: &(dyn Fn(&MemoryStore) + Sync),
    other: &(dyn Fn(&MemoryStore) + Sync),
    thin: usize,
    after: &dyn Fn(&MemoryStore),
) {
    let parties = [one, other];
    let mut number = 0;
    for first in [0, 1] {
        let (a, b) = (parties[first], parties[1 - first]);
        let (most_a, most_b) = (length(start, &a), length(start, &b));
        for runs_a in 0..most_a {
            for runs_b in 1..=most_b {
                number += 1;
                if number % thin != 0 {
                    continue;
                }
                let more_a = 1 + (number * 31) % (most_a - runs_a);
                let store = start.restarted();
                let orders = [
                    (0, runs_a),
                    (2, TO_THE_END),
                    (1, runs_b),
                    (3, TO_THE_END),
                    (0, more_a),
                    (4, TO_THE_END),
                    (1, TO_THE_END),
                ];
                let (run_a, run_b, read) = (|| a(&store), || b(&store), || whole(&store));
                play(&store, &orders, &[&run_a, &run_b, &read, &read, &read]);
                after(&store);
                clean(&store);
            }
        }
    }
    assert!(number > 500, "{number}");
}

fn has(store: &MemoryStore, name: &str) {
    let share = Share::open(store).unwrap();
    assert_eq!(share.history(name).len(), 1, "{name}");
}

#[test]
fn capture_of_what_is_being_collected_is_whole() {
    let start = MemoryStore::new();
    ingest(&start, "keep", &files(&[9])).unwrap();
    ingest(&start, "old", &files(&[1, 2])).unwrap();
    delete(&start, "old");
    let capture = |store: &MemoryStore| drop(ingest(store, "new", &files(&[1, 2])).unwrap());
    every_order(
        &start,
        &|store| drop(collect(store)),
        &capture,
        3,
        &|store| has(store, "new"),
    );
}

#[test]
fn capture_that_uses_a_pack_that_is_being_rewritten_is_whole() {
    let start = MemoryStore::new();
    ingest(&start, "old", &files(&[1, 2, 3, 4])).unwrap();
    ingest(&start, "keep", &files(&[1])).unwrap();
    delete(&start, "old");
    let capture = |store: &MemoryStore| drop(ingest(store, "new", &files(&[2, 5])).unwrap());
    every_order(
        &start,
        &|store| drop(collect(store)),
        &capture,
        3,
        &|store| has(store, "new"),
    );
}

#[test]
fn capture_after_a_crash_meets_the_packs_that_one_left() {
    let first = MemoryStore::new();
    ingest(&first, "keep", &files(&[9])).unwrap();
    let capture = |store: &MemoryStore| ingest(store, "new", &files(&[1, 2]));
    let whole_run = {
        let store = first.restarted();
        capture(&store).unwrap();
        store.operations()
    };
    for at in 0..whole_run {
        let start = first.restarted();
        start.set_fault(Some(Fault::After(at)));
        drop(capture(&start));
        let start = start.restarted();
        if Share::open(&start).unwrap().history("new").len() == 1
            || start.list_packs().unwrap().len() < 2
        {
            continue;
        }
        start.advance(image_format::upkeep::leases::STALE);
        for lease in start.list_leases().unwrap() {
            start.remove_lease(&lease).unwrap();
        }
        every_order(
            &start,
            &|store| drop(collect(store)),
            &|store| drop(capture(store).unwrap()),
            61,
            &|store| has(store, "new"),
        );
    }
}

#[test]
fn two_collections_at_once_lose_nothing() {
    let start = MemoryStore::new();
    ingest(&start, "old", &files(&[1, 2, 3, 4])).unwrap();
    ingest(&start, "keep", &files(&[1])).unwrap();
    ingest(&start, "gone", &files(&[7])).unwrap();
    delete(&start, "old");
    delete(&start, "gone");
    let collecting = |store: &MemoryStore| match gc(store, &options()) {
        // Two may meet at one thing; nothing is lost and the next run goes on.
        Ok(_) | Err(image_format::upkeep::gc::GcError::Changed) => {}
        Err(error) => panic!("{error}"),
    };
    every_order(&start, &collecting, &collecting, 13, &|store| {
        has(store, "keep")
    });
}

#[test]
fn image_that_gets_a_name_while_its_old_one_is_collected_is_whole_or_not_found() {
    let start = MemoryStore::new();
    ingest(&start, "keep", &files(&[9])).unwrap();
    ingest(&start, "old", &files(&[1, 2])).unwrap();
    let tag = |store: &MemoryStore| match names::tag(&store, "old", "new", None) {
        Ok(_) | Err(names::NameError::Share(_)) => {}
        Err(error) => panic!("{error}"),
    };
    let collecting = |store: &MemoryStore| {
        delete(store, "old");
        collect(store);
    };
    every_order(&start, &collecting, &tag, 3, &|_| {});
}

#[test]
fn blocks_with_bases_and_what_they_lean_on_survive_collections_beside_optimizing() {
    let start = MemoryStore::new();
    let version = |change: u8| -> Vec<File> {
        let changed = |mut bytes: Vec<u8>| {
            bytes[1000..1009].fill(change);
            vec![Some(bytes)]
        };
        let names = [("a.dll", 1), ("b.dll", 2)];
        let file = |(name, seed): (&str, u64)| (name.to_owned(), changed(noise(seed, 20_000)));
        names.into_iter().map(file).collect()
    };
    for change in 0..3 {
        ingest(&start, "pc", &version(change)).unwrap();
    }
    ingest(&start, "old", &version(9)).unwrap();
    let options = OptimizeOptions {
        profile: Profile::Fast,
        threads: 1,
        ..OptimizeOptions::default()
    };
    let optimizing = |store: &MemoryStore| {
        let go_on = &mut |_: &OptimizeProgress| ControlFlow::Continue(());
        assert!(optimize(store, options, go_on).unwrap().finished);
    };
    let collecting = |store: &MemoryStore| {
        delete(store, "old");
        collect(store);
    };
    every_order(&start, &collecting, &optimizing, 7, &|store| {
        let share = Share::open(store).unwrap();
        assert_eq!(share.history("pc").len(), 3);
        let index = share.index();
        let leaning = |segment: &Segment| segment.jobs().iter().any(|job| !job.bases.is_empty());
        assert!(index.segments().iter().any(leaning), "nothing leans");
    });
}
