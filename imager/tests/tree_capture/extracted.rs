//! What was captured and extracted is captured again as the same.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use image_format::entry::{Content, Entry};
use image_format::{MemoryStore, Share};
use imager::look::Tree;
use imager::look::extract::extract;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};

use crate::kit::{entries, options, run};

/// Captures `from`, extracts all of it, and captures that.
fn there_and_back(from: &Path, into: &Path) -> [Vec<Entry>; 2] {
    let store = MemoryStore::new();
    let outcome = run(from, &store, &options()).unwrap();
    let before = entries(&store, &outcome);
    let share = Share::open(store).unwrap();
    let tree = Tree::choose(&share, outcome.record.image, None).unwrap();
    let done = extract(&share, &tree, &[b"/".to_vec()], into, false).unwrap();
    assert!(done.shortfall.is_empty(), "{}", done.shortfall);
    let again = MemoryStore::new();
    let outcome = run(into, &again, &options()).unwrap();
    [before, entries(&again, &outcome)].map(|mut all| {
        for entry in &mut all {
            // When a thing was made nobody can set; other tests compare contents.
            entry.times.created = entry.times.modified;
            entry.content = Content::Empty;
        }
        all
    })
}

fn age(path: &Path, seconds: i64) {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 7,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

#[test]
fn links_pipes_devices_and_the_root_keep_everything_when_extracted() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    std::fs::create_dir(&from).unwrap();
    symlink("nowhere", from.join("link")).unwrap();
    for (name, kind) in [
        ("pipe", FileType::Fifo),
        ("null", FileType::CharacterDevice),
    ] {
        let device = rustix::fs::makedev(1, 3);
        rustix::fs::mknodat(CWD, from.join(name), kind, Mode::RUSR, device).unwrap();
    }
    let owner = rustix::fs::Uid::from_raw(1234);
    for (at, name) in ["link", "pipe", "null", ""].into_iter().enumerate() {
        let path = from.join(name);
        rustix::fs::chownat(CWD, &path, Some(owner), None, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        rustix::fs::lsetxattr(&path, c"trusted.note", b"kept", XattrFlags::empty()).unwrap();
        age(&path, 1_500_000_000 + i64::try_from(at).unwrap());
    }
    std::fs::set_permissions(&from, PermissionsExt::from_mode(0o2751)).unwrap();
    std::fs::set_permissions(from.join("pipe"), PermissionsExt::from_mode(0o4755)).unwrap();
    let [before, after] = there_and_back(&from, &dir.path().join("out"));
    assert!(before.iter().all(|entry| entry.xattrs.len() == 1));
    assert_eq!(before, after);
}

#[test]
fn a_folder_that_held_something_keeps_its_own_mode_when_extracted_into() {
    let dir = tempfile::tempdir().unwrap();
    let (from, out) = (dir.path().join("from"), dir.path().join("out"));
    std::fs::create_dir_all(from.join("a")).unwrap();
    std::fs::create_dir_all(out.join("mine")).unwrap();
    std::fs::set_permissions(&out, PermissionsExt::from_mode(0o700)).unwrap();
    there_and_back(&from, &out);
    assert_eq!(
        std::fs::metadata(&out).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[test]
fn a_tree_deeper_than_any_path_can_be_is_extracted() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    std::fs::create_dir(&from).unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut at: OwnedFd = rustix::fs::open(&from, flags, Mode::empty()).unwrap();
    for depth in 0..40 {
        let name = format!("{depth:0>200}");
        rustix::fs::mkdirat(&at, &*name, Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, &*name, flags, Mode::empty()).unwrap();
        let flags = OFlags::CREATE | OFlags::WRONLY;
        let file = rustix::fs::openat(&at, "file", flags, Mode::RUSR).unwrap();
        rustix::io::write(&file, name.as_bytes()).unwrap();
    }
    let [before, after] = there_and_back(&from, &dir.path().join("out"));
    assert!(before.iter().any(|entry| entry.path.len() > 8000));
    assert_eq!(before, after);
}
