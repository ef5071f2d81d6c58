//! Damage is taken out of use, and the next capture heals every image.

mod kit;

use std::ops::ControlFlow;

use image_format::ids::PackId;
use image_format::share::Share;
use image_format::store::{Fault, MemoryStore, Store};
use image_format::upkeep::check::{CheckOptions, CheckReport, check, check_with};
use image_format::upkeep::gc::{GcOptions, gc};
use image_format::upkeep::optimize::{OptimizeOptions, optimize};
use image_format::upkeep::reindex::reindex;
use image_format::upkeep::repair::{RepairOptions, repair};

const REAL: RepairOptions = RepairOptions { dry_run: false };

/// Two versions of an image; nothing is damaged yet.
fn share() -> MemoryStore {
    let store = MemoryStore::new();
    recapture(&store);
    store
}

/// Small files only, in blocks of several lanes: everything here is done often.
fn files(version: u64) -> Vec<kit::File> {
    let mut files = kit::files(version);
    files.retain(|(name, _)| name != "large.bin");
    files
}

/// Damages the middle of a block in the middle of every pack.
fn damage_all(store: &MemoryStore) -> Vec<PackId> {
    let share = Share::open(store).unwrap();
    let jobs: Vec<_> = share
        .index()
        .segments()
        .iter()
        .flat_map(|s| s.jobs())
        .collect();
    let packs = store.list_packs().unwrap();
    for pack in &packs {
        let own: Vec<_> = jobs.iter().filter(|job| job.place.pack == *pack).collect();
        let place = own[own.len() / 2].place;
        assert!(store.flip_bit(pack, place.offset + u64::from(place.stored) / 2, 2));
    }
    packs
}

fn recapture(store: &MemoryStore) {
    kit::ingest(store, "pc", &files(1)).unwrap();
    kit::ingest(store, "pc", &files(2)).unwrap();
}

/// Every image reads as it was captured.
fn assert_whole(store: &MemoryStore) {
    assert_eq!(check(store).unwrap().findings, []);
    let share = Share::open(store).unwrap();
    for record in share.records() {
        for chunk in share.image_chunks(record).unwrap() {
            share.chunk(&chunk).unwrap();
        }
    }
}

#[test]
fn capture_after_a_repair_stores_again_what_was_damaged_and_heals_old_images() {
    let store = share();
    let damaged = damage_all(&store);
    recapture(&store);
    assert!(
        !check(&store).unwrap().findings.is_empty(),
        "captures count on it"
    );
    let (report, left) = repair(&store, &REAL).unwrap();
    assert_eq!(report.damaged.len(), damaged.len());
    assert_eq!(report.lost, damaged.len() as u64);
    assert!(report.kept > 0 && report.written > 0);
    let named = left
        .findings
        .iter()
        .any(|finding| !finding.images.is_empty());
    assert!(named, "{:?}", left.findings);
    recapture(&store);
    assert_whole(&store);
    assert_eq!(Share::open(&store).unwrap().history("pc").len(), 6);
}

#[test]
fn damage_stays_out_of_use_when_others_tidy_up_before_the_next_capture() {
    let store = share();
    damage_all(&store);
    repair(&store, &REAL).unwrap();
    let none = std::time::Duration::ZERO;
    let at_once = GcOptions {
        grace: none,
        ..GcOptions::default()
    };
    // An image whose manifest lost a leaf stops a collection, which is right.
    let _ = gc(&store, &at_once);
    reindex(&store).unwrap();
    let _ = gc(&store, &at_once);
    recapture(&store);
    assert_whole(&store);
    gc(&store, &at_once).unwrap();
    assert!(
        store.list_trash().unwrap().is_empty(),
        "nobody needs it any more"
    );
    assert_whole(&store);
}

/// What a check without `--read-data` says.
fn without_data(store: &MemoryStore) -> CheckReport {
    check_with(store, &CheckOptions::default()).unwrap()
}

#[test]
fn what_a_repair_declared_lost_is_found_without_reading_data_where_it_lies() {
    let store = share();
    damage_all(&store);
    assert_eq!(without_data(&store).findings, [], "not read, not known");
    let (report, left) = repair(&store, &REAL).unwrap();
    assert!(report.lost > 0);
    let at_once = GcOptions {
        grace: std::time::Duration::ZERO,
        ..GcOptions::default()
    };
    for round in 0..3 {
        let trash = store.list_trash().unwrap();
        for report in [without_data(&store), check(&store).unwrap()] {
            let in_trash = |file: &str| trash.iter().any(|what| file == format!("trash/{what}"));
            let of_packs = report.findings.iter().filter(|finding| {
                !finding.images.is_empty() && !finding.file.starts_with("manifests/")
            });
            let mut count = 0;
            for finding in of_packs {
                assert!(in_trash(&finding.file), "{round}: {finding}");
                assert!(finding.next_step().unwrap().contains("capture"));
                count += 1;
            }
            assert!(count > 0, "{round}: {:?}", report.findings);
            assert_eq!(report.findings.len(), left.findings.len());
        }
        // It gives the pack the name of its own run, or refuses.
        let _ = gc(&store, &at_once);
    }
    recapture(&store);
    assert_eq!(without_data(&store).findings, []);
}

#[test]
fn whole_pack_in_the_trash_is_no_finding() {
    let store = share();
    let run = image_format::store::Run::new(store.now());
    for pack in store.list_packs().unwrap() {
        let object = image_format::store::Object::Pack(pack);
        let what = image_format::store::Trashed { run, object };
        assert!(store.condemn(&what).unwrap());
    }
    assert_eq!(without_data(&store).findings, []);
    gc(&store, &GcOptions::default()).unwrap();
    assert!(store.list_trash().unwrap().is_empty(), "all moved back");
    assert_whole(&store);
}

#[test]
fn telling_only_changes_nothing_and_a_healthy_share_is_left_alone() {
    let store = share();
    let (report, _) = repair(&store, &REAL).unwrap();
    assert_eq!(
        (report.damaged.len(), report.written, report.reindexed),
        (0, 0, false)
    );
    let damaged = damage_all(&store);
    let (report, left) = repair(&store, &RepairOptions { dry_run: true }).unwrap();
    assert_eq!(report.damaged.len(), damaged.len());
    assert!(!left.findings.is_empty());
    assert!(store.list_trash().unwrap().is_empty());
    assert_eq!(store.list_packs().unwrap().len(), damaged.len());
}

#[test]
fn packs_of_which_only_tables_or_header_are_damaged_lose_nothing() {
    for at_end in [false, true] {
        let store = share();
        let packs = store.list_packs().unwrap();
        for pack in &packs {
            let length = store.pack_facts(pack).unwrap().length;
            assert!(store.flip_bit(pack, if at_end { length - 40 } else { 30 }, 1));
        }
        let (report, left) = repair(&store, &REAL).unwrap();
        assert_eq!((report.lost, left.findings.len()), (0, 0), "{left:?}");
        assert_whole(&store);
    }
}

#[test]
fn block_whose_base_is_lost_is_stored_again_too() {
    let store = share();
    let options = OptimizeOptions::default();
    optimize(&store, options, &mut |_| ControlFlow::Continue(())).unwrap();
    let none = std::time::Duration::ZERO;
    gc(
        &store,
        &GcOptions {
            grace: none,
            ..GcOptions::default()
        },
    )
    .unwrap();
    damage_all(&store);
    let (_, left) = repair(&store, &REAL).unwrap();
    assert!(!left.findings.is_empty());
    recapture(&store);
    assert_whole(&store);
}

#[test]
fn rows_of_what_no_pack_holds_are_dropped() {
    let store = share();
    let id = store.list_indexes().unwrap()[0];
    assert!(store.damage_index(&id, |bytes| {
        bytes[200] ^= 1;
        true
    }));
    let (report, left) = repair(&store, &REAL).unwrap();
    assert!(report.reindexed);
    assert_eq!(left.findings, []);
    assert_whole(&store);
}

#[test]
fn repair_stopped_at_any_operation_loses_nothing_more_and_can_be_repeated() {
    let damaged = share();
    damage_all(&damaged);
    let counted = damaged.restarted();
    counted.set_fault(None);
    let (_, all) = repair(&counted, &REAL).unwrap();
    let operations = counted.operations();
    assert!(operations > 6, "{operations}");
    for at in 0..operations {
        for fault in [Fault::Before(at), Fault::After(at)] {
            let store = damaged.restarted();
            store.set_fault(Some(fault));
            let _ = repair(&store, &REAL);
            for durable in [true, false] {
                let store = store.crashed(|_| durable);
                let (_, left) = repair(&store, &REAL).unwrap();
                let images = |findings: &[image_format::upkeep::check::Finding]| findings.len();
                assert_eq!(images(&left.findings), images(&all.findings), "{fault:?}");
                recapture(&store);
                assert_whole(&store);
            }
        }
    }
}
