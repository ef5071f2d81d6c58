//! What a share says to a file, and a file to a share.

use std::fs;

use crate::mim::{ID, piped, send, take};
use crate::{holds, kit, two_versions};
use image_format::file::{ExportError, Target, export};
use image_format::share::Share;
use image_format::store::{Fault, MemoryStore, Store};
use image_format::upkeep::check::check;

#[test]
fn sequence_is_kept_where_it_is_free_and_told_where_it_is_not() {
    let (store, records) = two_versions();
    let newest = piped(&store, &records[1..]);
    let other = MemoryStore::new();
    take(&newest, &other).unwrap();
    holds(&other, "pc", 2, 2);
    let next = kit::ingest(&other, "pc", &kit::files(3)).unwrap();
    assert_eq!(next.sequence, 3);

    let report = take(&piped(&store, &records[..1]), &other).unwrap();
    assert_eq!(report.images[0].from.sequence, 1);
    assert_eq!(report.images[0].record.sequence, 4);
    holds(&other, "pc", 4, 1);
}

#[test]
fn image_of_another_share_under_a_name_the_file_holds_is_refused() {
    let (store, records) = two_versions();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    send(&store, &records, Target::File(&path));
    let before = fs::read(&path).unwrap();
    let other = MemoryStore::new();
    let record = kit::ingest(&other, "pc", &kit::files(5)).unwrap();
    let share = Share::open(&other).unwrap();
    let error = export(&share, &[record], Target::Append(&path), ID, &mut |_| ()).unwrap_err();
    assert!(matches!(error, ExportError::Taken { .. }), "{error}");
    assert!(fs::read(&path).unwrap() == before);
    let taken = export(
        &share,
        &share.images(),
        Target::File(&path),
        ID,
        &mut |_| (),
    );
    assert!(taken.is_err(), "a file that is there is not replaced");
    assert!(fs::read(&path).unwrap() == before);
}

#[test]
fn damaged_share_exports_nothing_and_leaves_no_file() {
    let (store, records) = two_versions();
    let pack = store.list_packs().unwrap()[0];
    assert!(store.flip_bit(&pack, 300, 1));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    let share = Share::open(&store).unwrap();
    export(&share, &records, Target::File(&path), ID, &mut |_| ()).unwrap_err();
    assert!(!path.exists());
    let base = Target::Split {
        base: &path,
        size: 1 << 30,
    };
    export(&share, &records, base, ID, &mut |_| ()).unwrap_err();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn import_stopped_at_any_operation_leaves_a_whole_share_and_is_done_by_the_next() {
    let source = MemoryStore::new();
    let mut records = Vec::new();
    for version in 1..=2 {
        let mut files = kit::files(version);
        files.retain(|file| file.0 != "large.bin");
        records.push(kit::ingest(&source, "pc", &files).unwrap());
    }
    let bytes = piped(&source, &records);
    let count = MemoryStore::new();
    take(&bytes, &count).unwrap();
    let mut failed = 0;
    for at in 0..count.operations() {
        for fault in [Fault::Before(at), Fault::After(at)] {
            let store = MemoryStore::new();
            store.set_fault(Some(fault));
            let result = take(&bytes, &store);
            let store = store.restarted();
            let refs = store.list_refs().unwrap().len();
            // Only the lease is given back after the last ref.
            assert!(result.is_err() || refs == 2, "{fault:?}");
            failed += u64::from(result.is_err());
            assert_eq!(check(&store).unwrap().findings, [], "{fault:?}");
            assert_eq!(take(&bytes, &store).unwrap().images.len(), 2);
            assert_eq!(store.list_refs().unwrap().len(), 2);
            assert_eq!(check(&store).unwrap().findings, [], "{fault:?}");
        }
    }
    assert!(failed > count.operations());
}
