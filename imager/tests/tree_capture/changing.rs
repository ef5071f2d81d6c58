//! What is left out, what changes, what is no tree.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use image_format::{MemoryStore, Share};
use imager::tree::capture::{Reason, TreeError, TreeOptions};
use imager::tree::exclude::Excludes;

use crate::kit::{by_path, bytes_of, count, entries, noise, options, run};

#[test]
fn what_is_excluded_or_is_the_share_is_named_and_not_in_the_image() {
    let dir = tempfile::tempdir().unwrap();
    for path in [
        "keep/x",
        "drop/x",
        "share/packs",
        "share.file",
        "logs/a.log",
        "logs/b.txt",
    ] {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"x").unwrap();
    }
    let store = MemoryStore::new();
    let options = TreeOptions {
        excludes: Excludes::new(["/drop", "*.log"]).unwrap(),
        omit: ["share", "share.file", "not there"]
            .map(|name| dir.path().join(name))
            .to_vec(),
        ..options()
    };
    let outcome = run(dir.path(), &store, &options).unwrap();
    let found = by_path(&store, &outcome);
    let paths: Vec<_> = found
        .keys()
        .map(|path| String::from_utf8_lossy(path))
        .collect();
    assert_eq!(paths, ["", "keep", "keep/x", "logs", "logs/b.txt", "share"]);
    let (_, noted) = &outcome.notes[0];
    assert_eq!(
        noted.paths,
        ["/drop", "/logs/a.log", "/share", "/share.file"]
    );
}

#[test]
fn a_file_that_never_holds_still_is_captured_and_named_and_strictness_refuses_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("busy.log");
    fs::write(&path, noise(1, 32 << 20)).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let store = MemoryStore::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                file.write_all(b"x").unwrap();
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        let outcome = run(dir.path(), &store, &options()).unwrap();
        assert_eq!(count(&outcome, Reason::Changed), 1);
        let strict = run(
            dir.path(),
            &store,
            &TreeOptions {
                strict: true,
                ..options()
            },
        );
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(
            matches!(strict, Err(TreeError::Strict { .. })),
            "{strict:?}"
        );
        let entry = &by_path(&store, &outcome)[b"busy.log".as_slice()];
        assert!(bytes_of(&store, entry).starts_with(&noise(1, 32 << 20)));
    });
    assert_eq!(Share::open(&store).unwrap().history("tree").len(), 1);
}

#[test]
fn a_tree_that_is_torn_down_meanwhile_leaves_a_sound_image() {
    let dir = tempfile::tempdir().unwrap();
    for folder in 0..300 {
        let folder = dir.path().join(format!("d{folder:03}"));
        fs::create_dir(&folder).unwrap();
        for file in 0..20 {
            fs::write(folder.join(format!("f{file}")), noise(file, 1500)).unwrap();
        }
    }
    let store = MemoryStore::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for folder in (0..300).rev() {
                fs::remove_dir_all(dir.path().join(format!("d{folder:03}"))).unwrap();
            }
        });
        let outcome = run(dir.path(), &store, &options()).unwrap();
        // Every entry's directory stands before it, or the image had been refused.
        assert_eq!(
            entries(&store, &outcome).len() as u64,
            outcome.record.entries
        );
    });
}

#[test]
fn made_up_file_systems_and_files_are_refused_and_mounts_are_left_out() {
    let store = MemoryStore::new();
    let proc = run(Path::new("/proc"), &store, &options());
    assert!(matches!(proc, Err(TreeError::Pseudo { what: "proc", .. })));
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(
        run(file.path(), &store, &options()),
        Err(TreeError::Root { .. })
    ));
    assert!(Share::open(&store).unwrap().images().is_empty());
}

#[test]
fn what_is_mounted_inside_is_left_out_and_its_place_is_there() {
    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("mounted");
    fs::create_dir(&inside).unwrap();
    mount("none", &inside, "tmpfs", MountFlags::empty(), None).unwrap();
    fs::write(inside.join("file"), b"elsewhere").unwrap();
    let store = MemoryStore::new();
    let outcome = run(dir.path(), &store, &options());
    unmount(&inside, UnmountFlags::empty()).unwrap();
    let outcome = outcome.unwrap();
    let paths: Vec<_> = by_path(&store, &outcome).into_keys().collect();
    assert_eq!(paths, [b"".to_vec(), b"mounted".to_vec()]);
    assert_eq!(count(&outcome, Reason::Mount), 1);
}
