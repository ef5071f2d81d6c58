//! Garbage collection: what goes, what stays, and a crash at every moment of it.

#[allow(dead_code)]
mod kit;

use std::time::Duration;

use image_format::share::Share;
use image_format::store::{DirStore, Fault, MemoryStore, Source, Store};
use image_format::upkeep::check::check;
use image_format::upkeep::gc::{GcOptions, GcReport, gc};
use image_format::upkeep::leases::{Lease, STALE};
use image_format::upkeep::names;

const HOUR: u64 = 3600;

fn at_once() -> GcOptions {
    GcOptions {
        grace: Duration::ZERO,
        ..GcOptions::default()
    }
}

fn collect(store: &dyn Store) -> GcReport {
    gc(store, &at_once()).unwrap()
}

fn delete(store: &dyn Store, asked: &str) {
    let share = Share::open(store).unwrap();
    names::delete(store, &names::chosen(&share, asked, true).unwrap()).unwrap();
}

fn stored(store: &dyn Store) -> u64 {
    let packs = store.list_packs().unwrap();
    let length = |id| store.pack_facts(id).unwrap().length;
    packs.iter().map(length).sum()
}

fn every_store(test: impl Fn(&dyn Store)) {
    test(&MemoryStore::new());
    let dir = tempfile::tempdir().unwrap();
    test(&DirStore::init(dir.path()).unwrap());
}

#[test]
fn share_without_garbage_is_left_as_it_is() {
    every_store(|store| {
        kit::ingest(store, "pc", &kit::files(1)).unwrap();
        let (packs, segments) = (store.list_packs().unwrap(), store.list_indexes().unwrap());
        let report = collect(store);
        assert_eq!((report.images, report.freed()), (1, 0), "{report:?}");
        assert_eq!(store.list_packs().unwrap(), packs);
        assert_eq!(store.list_indexes().unwrap(), segments);
    });
}

#[test]
fn what_a_deleted_image_alone_needed_goes_and_the_dry_run_said_so() {
    every_store(|store| {
        kit::ingest(store, "a", &kit::files(1)).unwrap();
        let before = stored(store);
        kit::ingest(store, "b", &kit::files(2)).unwrap();
        let both = stored(store);
        delete(store, "b");
        let dry = GcOptions {
            dry_run: true,
            ..at_once()
        };
        let told = gc(store, &dry).unwrap();
        assert_eq!((stored(store), told.dead.bytes), (both, both - before));
        assert_eq!(told.manifests.count, 1);
        let done = collect(store);
        assert_eq!(done.destroyed.bytes, told.dead.bytes + told.manifests.bytes);
        assert_eq!(stored(store), before);
        assert_eq!(check(store).unwrap().findings, []);
        assert_eq!(store.list_manifests().unwrap().len(), 1);
    });
}

#[test]
fn last_image_goes_with_everything() {
    every_store(|store| {
        kit::ingest(store, "a", &kit::files(1)).unwrap();
        delete(store, "a");
        collect(store);
        assert_eq!(stored(store), 0);
        collect(store);
        assert!(store.list_indexes().unwrap().is_empty());
        assert!(store.list_manifests().unwrap().is_empty());
        kit::ingest(store, "a", &kit::files(1)).unwrap();
        assert_eq!(check(store).unwrap().findings, []);
    });
}

#[test]
fn thrown_away_packs_are_read_until_the_grace_is_over() {
    let store = MemoryStore::new();
    kit::ingest(&store, "a", &kit::files(1)).unwrap();
    kit::ingest(&store, "b", &kit::files(2)).unwrap();
    let share = Share::open(&store).unwrap();
    let record = share.find("b").unwrap();
    let mut places = Vec::new();
    for chunk in share.image_chunks(&record).unwrap() {
        places.push(share.index().find(&chunk.id).unwrap().0);
    }
    delete(&store, "b");
    let options = GcOptions::default();
    let report = gc(&store, &options).unwrap();
    assert!(report.dead.count > 0 && report.destroyed.count == 0);
    store.advance(24 * HOUR - 1);
    assert_eq!(gc(&store, &options).unwrap().destroyed.count, 0);
    // Who began before goes on reading.
    for place in &places {
        store.block(place).unwrap();
    }
    store.advance(1);
    assert!(gc(&store, &options).unwrap().destroyed.count > 0);
    assert!(places.iter().any(|place| store.block(place).is_err()));
    assert!(store.list_trash().unwrap().is_empty());
}

#[test]
fn lease_keeps_what_was_thrown_away_until_it_ends_or_its_holder_is_known_to_be_dead() {
    for dies in [false, true] {
        let store = MemoryStore::new();
        kit::ingest(&store, "a", &kit::files(1)).unwrap();
        let mut lease = Lease::take(&store, "apply").unwrap();
        delete(&store, "a");
        assert_eq!(collect(&store).destroyed.count, 0);
        store.advance(STALE);
        if dies {
            std::mem::forget(lease);
        } else {
            lease.renew().unwrap();
            assert_eq!(collect(&store).destroyed.count, 0);
            drop(lease);
        }
        assert!(collect(&store).destroyed.count > 0);
        assert!(store.list_leases().unwrap().is_empty());
    }
}

#[test]
fn pack_of_which_little_is_needed_is_rewritten_and_shrinks() {
    every_store(|store| {
        let mut files = kit::files(1);
        kit::ingest(store, "a", &files).unwrap();
        files.truncate(4);
        kit::ingest(store, "b", &files).unwrap();
        delete(store, "a");
        let report = collect(store);
        assert!(report.rewritten.count >= 1, "{report:?}");
        assert!(stored(store) < 60_000, "{}", stored(store));
        assert_eq!(check(store).unwrap().findings, []);
        let again = collect(store);
        assert_eq!(
            (again.dead.count, again.rewritten.count),
            (0, 0),
            "{again:?}"
        );
        // What was left out is stored again when somebody needs it.
        kit::ingest(store, "a", &kit::files(1)).unwrap();
        assert_eq!(check(store).unwrap().findings, []);
    });
}

#[test]
fn many_segments_become_one_and_every_chunk_is_still_found() {
    every_store(|store| {
        for version in 1..=5 {
            kit::ingest(store, "pc", &kit::files(version)).unwrap();
        }
        assert_eq!(store.list_indexes().unwrap().len(), 5);
        let options = GcOptions {
            merge_at: 4,
            ..at_once()
        };
        assert_eq!(gc(store, &options).unwrap().merged, 5);
        assert_eq!(store.list_indexes().unwrap().len(), 1);
        assert_eq!(check(store).unwrap().findings, []);
        assert_eq!(gc(store, &options).unwrap().merged, 0);
    });
}

#[test]
fn collection_refuses_when_it_cannot_tell_what_images_need() {
    let store = MemoryStore::new();
    kit::ingest(&store, "a", &kit::files(1)).unwrap();
    let before = store.list_packs().unwrap();
    let without_index = store.restarted();
    for id in store.list_indexes().unwrap() {
        without_index.remove_index(&id).unwrap();
    }
    gc(&without_index, &at_once()).unwrap_err();
    assert_eq!(without_index.list_packs().unwrap(), before);
    let damaged = store.restarted();
    let id = damaged.list_manifests().unwrap()[0];
    damaged.damage_manifest(&id, |bytes| {
        bytes[40] ^= 1;
        true
    });
    gc(&damaged, &at_once()).unwrap_err();
    assert_eq!(damaged.list_packs().unwrap(), before);
}

#[test]
fn damaged_pack_is_not_rewritten() {
    let store = MemoryStore::new();
    let mut files = kit::files(1);
    kit::ingest(&store, "a", &files).unwrap();
    files.truncate(4);
    kit::ingest(&store, "b", &files).unwrap();
    delete(&store, "a");
    let before = store.list_packs().unwrap();
    for pack in &before {
        store.flip_bit(pack, 1, 0);
    }
    let report = collect(&store);
    assert!(
        report.damaged.count > 0 && report.rewritten.count == 0,
        "{report:?}"
    );
}

/// A share on which a collection has all kinds of work.
fn untidy() -> MemoryStore {
    let store = MemoryStore::new();
    let mut files = kit::files(1);
    kit::ingest(&store, "a", &files).unwrap();
    files.truncate(4);
    kit::ingest(&store, "b", &files).unwrap();
    kit::ingest(&store, "c", &kit::files(2)[..6]).unwrap();
    delete(&store, "a");
    delete(&store, "c");
    store.set_fault(Some(Fault::After(9)));
    let _ = kit::ingest(&store, "d", &kit::files(3)[..6]);
    let store = store.restarted();
    // Something from an earlier run that is due.
    kit::ingest(&store, "e", &kit::files(4)[..6]).unwrap();
    delete(&store, "e");
    gc(&store, &GcOptions::default()).unwrap();
    kit::ingest(&store, "f", &kit::files(5)[..6]).unwrap();
    delete(&store, "f");
    store.settle().unwrap();
    store
}

fn assert_whole_and_clean(store: &MemoryStore, what: &str) {
    let share = Share::open(store).unwrap();
    assert_eq!(share.history("b").len(), 1, "{what}");
    assert_eq!(check(store).unwrap().findings, [], "{what}");
    // Twice: the first finds out who is dead, the second goes on from there.
    for _ in 0..3 {
        store.advance(STALE);
        collect(store);
    }
    assert_eq!(check(store).unwrap().findings, [], "{what}");
    let report = collect(store);
    let left = [
        report.dead,
        report.rewritten,
        report.manifests,
        report.waiting,
    ];
    assert!(
        left.iter().all(|amount| amount.count == 0),
        "{what}: {report:?}"
    );
    assert!(store.list_seals().unwrap().is_empty(), "{what}");
    assert!(store.list_leases().unwrap().is_empty(), "{what}");
}

#[test]
fn collection_stopped_at_any_operation_loses_nothing_and_the_next_one_leaves_no_orphan() {
    let start = untidy();
    let options = GcOptions {
        grace: Duration::from_secs(HOUR),
        merge_at: 2,
        ..GcOptions::default()
    };
    start.advance(HOUR);
    let whole = start.restarted();
    gc(&whole, &options).unwrap();
    let operations = whole.operations();
    assert!(operations > 40, "{operations}");
    for at in 0..operations {
        for fault in [Fault::Before(at), Fault::After(at)] {
            let store = start.restarted();
            store.set_fault(Some(fault));
            let _ = gc(&store, &options);
            // What was not settled may have reached the disk or not, each for itself.
            let unsettled = store.unsettled();
            assert_whole_and_clean(&store.restarted(), &format!("{fault:?}"));
            if unsettled > 0 {
                let none = store.crashed(|_| false);
                assert_whole_and_clean(&none, &format!("{fault:?}, none"));
            }
            for one in 0..unsettled {
                let only = store.crashed(|number| number == one);
                assert_whole_and_clean(&only, &format!("{fault:?}, only {one}"));
                let but = store.crashed(|number| number != one);
                assert_whole_and_clean(&but, &format!("{fault:?}, all but {one}"));
            }
        }
    }
}
