//! A second capture reads only what changed, and gives the same image as one
//! that reads everything. Needs root for the kernel's ext4, and says so.

mod mounted;
mod reference;

use std::fs;
use std::path::Path;

use image_format::image::ImageRecord;
use image_format::store::MemoryStore;
use imager::capture::{CaptureOptions, CaptureProgress, capture};
use imager::disk::FileDisk;
use mounted::mounted;
use reference::{noise, run};

/// Captures a volume; with the progress at the end.
fn take(
    path: &Path,
    store: &MemoryStore,
    parent: Option<&ImageRecord>,
) -> (ImageRecord, CaptureProgress, Vec<String>) {
    let disk = FileDisk::open(path, 512).unwrap();
    let options = CaptureOptions {
        name: String::from("volume"),
        captured: 1_700_000_000,
        parent: parent.map(|parent| parent.image),
        ..CaptureOptions::default()
    };
    let mut last = CaptureProgress::default();
    let mut watch = |progress| {
        last = progress;
        std::ops::ControlFlow::Continue(())
    };
    let outcome = capture(&disk, store, &options, &mut watch).unwrap();
    (outcome.record, last, outcome.warnings)
}

#[test]
fn second_capture_reads_only_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (image, at) = (folder.path().join("volume.img"), folder.path().join("mnt"));
    fs::create_dir(&at).unwrap();
    fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
    run("mke2fs", &["-q", "-t", "ext4", image.to_str().unwrap()]);
    let grown = mounted("loop", &image, &at, |at| {
        for number in 0..50_usize {
            let name = at.join(format!("file-{number}"));
            fs::write(name, noise(20_000 + number * 3000, number as u64)).unwrap();
        }
        fs::hard_link(at.join("file-3"), at.join("a-link")).unwrap();
        fs::write(at.join("empty"), b"").unwrap();
    });
    if grown.is_none() {
        return;
    }
    let store = MemoryStore::new();
    let (first, all, _) = take(&image, &store, None);
    assert_eq!((all.kept_files, all.files), (0, 51));
    let (same, none, _) = take(&image, &store, Some(&first));
    assert_eq!(same.image, first.image);
    assert_eq!(none.kept_files, 50, "an empty file has no contents to save");
    assert!(none.kept_bytes > 1_000_000 && none.bytes == 0);

    mounted("loop", &image, &at, |at| {
        // The same length and the same time of modification: still another file.
        let changed = at.join("file-7");
        let before = fs::metadata(&changed).unwrap().modified().unwrap();
        fs::write(&changed, noise(20_000 + 7 * 3000, 99)).unwrap();
        let file = fs::File::options().write(true).open(&changed).unwrap();
        file.set_modified(before).unwrap();
        fs::remove_file(at.join("file-8")).unwrap();
        fs::rename(at.join("file-9"), at.join("renamed")).unwrap();
        fs::write(at.join("new"), noise(5000, 5)).unwrap();
    })
    .unwrap();
    let (second, some, warnings) = take(&image, &store, Some(&same));
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(some.kept_files, 47);
    let (whole, everything, _) = take(&image, &MemoryStore::new(), None);
    assert_eq!((whole.image, everything.kept_files), (second.image, 0));
    assert_ne!(second.image, first.image);

    let unknown = ImageRecord {
        image: whole.image,
        ..second
    };
    let other = MemoryStore::new();
    let (read, progress, warnings) = take(&image, &other, Some(&unknown));
    assert_eq!((read.image, progress.kept_files), (whole.image, 0));
    assert!(warnings[0].contains("everything was read"), "{warnings:?}");
}

#[test]
fn volume_made_by_a_program_vouches_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (image, tree) = (folder.path().join("volume.img"), folder.path().join("tree"));
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("file"), noise(50_000, 1)).unwrap();
    fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
    let arguments = ["-q", "-t", "ext4", "-d", tree.to_str().unwrap()];
    run(
        "mke2fs",
        &[&arguments[..], &[image.to_str().unwrap()]].concat(),
    );
    let store = MemoryStore::new();
    let (first, _, _) = take(&image, &store, None);
    let (again, progress, _) = take(&image, &store, Some(&first));
    assert_eq!((again.image, progress.kept_files), (first.image, 0));
}
