//! The file is read where it lies, goes through pipes, and grows.

use std::fs;

use crate::mim::{payloads, piped, sections, send, take};
use crate::{around_sections, holds, two_versions};
use image_format::file::{Kind, MimFile, Target, import_file, scan};
use image_format::share::Share;
use image_format::store::{MemoryStore, RefName, Store, StoreError};

#[test]
fn file_is_read_where_it_lies_as_a_share_is() {
    let (store, records) = two_versions();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    let report = send(&store, &records, Target::File(&path));
    assert_eq!(report.images.len(), 2);
    assert_eq!(report.length, fs::metadata(&path).unwrap().len());

    let opened = MimFile::open(&path).unwrap();
    assert_eq!(opened.warning(), None);
    holds(&opened, "pc", 1, 1);
    holds(&opened, "pc", 2, 2);
    let at = RefName {
        name: "pc".to_owned(),
        sequence: 2,
    };
    assert_eq!(opened.read_ref(&at).unwrap(), store.read_ref(&at).unwrap());
    let refused = opened.put_ref(&at, b"").unwrap_err();
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
    assert!(scan(&path).unwrap().damage.is_empty());
}

#[test]
fn pipe_carries_the_same_bytes_and_its_reader_ends_with_the_same_images() {
    let (store, records) = two_versions();
    let bytes = piped(&store, &records);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    send(&store, &records, Target::File(&path));
    assert!(fs::read(&path).unwrap() == bytes);

    let other = MemoryStore::new();
    let report = take(&bytes, &other).unwrap();
    assert!(report.images.iter().all(|image| !image.already));
    assert_eq!(report.passed_over, 0);
    holds(&other, "pc", 1, 1);
    holds(&other, "pc", 2, 2);

    let again = take(&bytes, &other).unwrap();
    assert!(again.images.iter().all(|image| image.already));
    assert_eq!((again.blocks, again.passed_over), (0, report.blocks));
    assert_eq!(other.list_refs().unwrap().len(), 2);

    let third = MemoryStore::new();
    import_file(&path, &third, &mut |_| ()).unwrap();
    holds(&third, "pc", 2, 2);
}

#[test]
fn blocks_travel_untouched_and_those_that_tell_of_others_come_first() {
    let (store, records) = two_versions();
    let bytes = piped(&store, &records[1..]);
    let share = Share::open(&store).unwrap();
    let places: Vec<_> = share
        .index()
        .segments()
        .iter()
        .flat_map(|segment| segment.jobs())
        .collect();
    let blocks = payloads(&bytes)
        .into_iter()
        .filter(|(kind, _)| *kind == Kind::Block);
    let mut seen = 0;
    for (_, stored) in blocks {
        let id = image_format::BlockId::of(&stored);
        assert!(
            places.iter().any(|job| job.place.block == id),
            "compressed anew"
        );
        seen += 1;
    }
    assert!(seen > 1);
    let root = share.root(&records[1].image).unwrap();
    let (place, _) = share
        .index()
        .find(&root.volumes[0].directory[0].id)
        .unwrap();
    let first = sections(&bytes)
        .into_iter()
        .find(|(_, section)| section.kind == Kind::Block);
    let tells = |hash| image_format::BlockId::new(hash) == place.block;
    let first_hash = first.unwrap().1.hash;
    let leaf_first = share
        .leaves(&records[1].image, &root.volumes[0])
        .unwrap()
        .iter()
        .any(|leaf| {
            let (place, _) = share.index().find(&leaf.chunk.id).unwrap();
            place.block == image_format::BlockId::new(first_hash)
        });
    assert!(tells(first_hash) || leaf_first);
}

#[test]
fn append_brings_only_what_is_new_and_the_same_again_changes_nothing() {
    let (store, records) = two_versions();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    send(&store, &records[..1], Target::File(&path));
    let one = fs::read(&path).unwrap();
    let report = send(&store, &records, Target::Append(&path));
    assert_eq!((report.images.len(), report.already.len()), (1, 1));
    let two = fs::read(&path).unwrap();
    assert!(two.starts_with(&one));
    assert!(
        two.len() - one.len() < one.len() / 4,
        "{} {}",
        one.len(),
        two.len()
    );

    let opened = MimFile::open(&path).unwrap();
    holds(&opened, "pc", 1, 1);
    holds(&opened, "pc", 2, 2);
    let other = MemoryStore::new();
    assert_eq!(take(&two, &other).unwrap().images.len(), 2);
    holds(&other, "pc", 2, 2);

    let report = send(&store, &records, Target::Append(&path));
    assert_eq!((report.images.len(), report.already.len()), (0, 2));
    assert!(fs::read(&path).unwrap() == two);
}

#[test]
fn append_that_stopped_anywhere_leaves_the_images_before_it_and_can_be_done_again() {
    let (store, records) = two_versions();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    send(&store, &records[..1], Target::File(&path));
    let one = fs::read(&path).unwrap();
    send(&store, &records, Target::Append(&path));
    let two = fs::read(&path).unwrap();
    for length in around_sections(&two, one.len() + 1) {
        fs::write(&path, &two[..length]).unwrap();
        let opened = MimFile::open(&path).unwrap();
        assert_eq!(opened.images().len(), 1, "cut at {length}");
        assert!(opened.warning().unwrap().contains("did not end"));
        let mut into = MemoryStore::new();
        let report = import_file(&path, &into, &mut |_| ()).unwrap();
        assert!(report.warning.is_some());
        holds(&into, "pc", 1, 1);
        into = MemoryStore::new();
        assert!(
            take(&two[..length], &into).is_err(),
            "a pipe that is cut says so"
        );
        assert_eq!(into.list_refs().unwrap(), []);
    }
    let report = send(&store, &records, Target::Append(&path));
    assert!(report.warning.is_some());
    assert!(fs::read(&path).unwrap() == two);
}
