//! Captures of one tree, one after the other.

use std::fs;
use std::os::unix::fs::symlink;

use image_format::ingest::IngestOptions;
use image_format::{MemoryStore, Share};
use imager::tree::capture::{TreeError, TreeOptions};
use imager::tree::exclude::Excludes;

use crate::kit::{LATER, by_path, bytes_of, noise, options, run};

#[test]
fn the_same_tree_is_the_same_image_and_is_not_read_again() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..700_u32 {
        let folder = dir.path().join(format!("d{}", number % 13));
        fs::create_dir_all(&folder).unwrap();
        let length = (number as usize * 37) % 5000;
        fs::write(
            folder.join(format!("f{number}")),
            noise(number.into(), length),
        )
        .unwrap();
    }
    fs::hard_link(dir.path().join("d1/f1"), dir.path().join("d2/link")).unwrap();
    symlink("d1/f1", dir.path().join("symlink")).unwrap();
    let store = MemoryStore::new();
    let first = run(dir.path(), &store, &options()).unwrap();
    assert_eq!(first.progress.unchanged, 0);
    let packs = image_format::Store::list_packs(&store).unwrap().into_iter();
    let length = |pack| {
        image_format::Store::pack_facts(&store, &pack)
            .unwrap()
            .length
    };
    let in_packs: u64 = packs.map(length).sum();
    let stored = first.progress.stored;
    assert!(
        stored > in_packs * 9 / 10 && stored <= in_packs,
        "{stored} of {in_packs}"
    );
    let second = run(dir.path(), &store, &options()).unwrap();
    assert_eq!(second.record.image, first.record.image);
    assert_eq!(second.record.parent, Some(first.record.image));
    assert_eq!(second.progress.unchanged, second.progress.entries);
    assert_eq!((second.progress.read, second.progress.new), (0, 0));
    let paranoid = TreeOptions {
        paranoid: true,
        ..options()
    };
    let third = run(dir.path(), &store, &paranoid).unwrap();
    assert_eq!(third.record.image, first.record.image);
    assert_eq!((third.progress.unchanged, third.progress.new), (0, 0));

    // One file changes, one goes, one comes; a link goes and frees its inode.
    fs::write(dir.path().join("d3/f3"), noise(99, 4000)).unwrap();
    fs::remove_file(dir.path().join("d4/f4")).unwrap();
    fs::write(dir.path().join("d5/new"), noise(98, 2000)).unwrap();
    fs::remove_file(dir.path().join("d1/f1")).unwrap();
    let fourth = run(dir.path(), &store, &options()).unwrap();
    assert_eq!(fourth.progress.read, 4000 + 2000 + 37);
    assert_eq!(fourth.record.entries, first.record.entries - 1);
    let found = by_path(&store, &fourth);
    assert_eq!(
        bytes_of(&store, &found[b"d2/link".as_slice()]),
        noise(1, 37)
    );
    assert_eq!(found[b"d2/link".as_slice()].link, None);
}

#[test]
fn a_first_name_that_is_excluded_now_leaves_its_contents_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), noise(1, 3000)).unwrap();
    fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
    let store = MemoryStore::new();
    run(dir.path(), &store, &options()).unwrap();
    let excludes = Excludes::new(["/a"]).unwrap();
    let outcome = run(
        dir.path(),
        &store,
        &TreeOptions {
            excludes,
            ..options()
        },
    )
    .unwrap();
    let found = by_path(&store, &outcome);
    assert_eq!(bytes_of(&store, &found[b"b".as_slice()]), noise(1, 3000));
}

#[test]
fn what_changed_just_before_the_capture_is_not_trusted_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), b"one").unwrap();
    let now = options().captured - LATER;
    let store = MemoryStore::new();
    let racy = TreeOptions {
        captured: now,
        ..options()
    };
    run(dir.path(), &store, &racy).unwrap();
    let outcome = run(dir.path(), &store, &options()).unwrap();
    assert_eq!(outcome.progress.unchanged, 0);
}

#[test]
fn threads_do_not_change_an_image() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..400_u32 {
        let length = (number as usize * 7919) % 90_000;
        fs::write(
            dir.path().join(format!("{number}.x")),
            noise(number.into(), length),
        )
        .unwrap();
    }
    let packs = |threads| {
        let store = MemoryStore::new();
        let outcome = run(
            dir.path(),
            &store,
            &TreeOptions {
                threads,
                ..options()
            },
        )
        .unwrap();
        (
            outcome.record.image,
            image_format::Store::list_packs(&store).unwrap(),
        )
    };
    assert_eq!(packs(1), packs(8));
}

#[test]
fn a_capture_that_was_interrupted_finds_again_what_it_had_stored() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..30 {
        fs::write(dir.path().join(format!("{number}")), noise(number, 1 << 20)).unwrap();
    }
    let small_packs = TreeOptions {
        ingest: IngestOptions {
            pack_target: 1 << 20,
            ..options().ingest
        },
        ..options()
    };
    let whole = MemoryStore::new();
    whole.set_fault(None);
    run(dir.path(), &whole, &small_packs).unwrap();
    // The last two commit the image and end the lease.
    let last = whole.operations() - 2;
    let store = MemoryStore::new();
    store.set_fault(Some(image_format::store::Fault::Before(last)));
    let stopped = run(dir.path(), &store, &small_packs);
    assert!(
        matches!(stopped, Err(TreeError::Ingest { .. })),
        "{stopped:?}"
    );
    let store = store.restarted();
    let packs = image_format::Store::list_packs(&store).unwrap();
    assert!(Share::open(&store).unwrap().images().is_empty());
    let again = run(dir.path(), &store, &small_packs).unwrap();
    assert_eq!((again.progress.read, again.progress.new), (30 << 20, 0));
    assert_eq!(image_format::Store::list_packs(&store).unwrap(), packs);
    let findings = image_format::upkeep::check::check(&store).unwrap().findings;
    assert!(findings.is_empty(), "{findings:?}");
}
