//! A full disk: a clear word, no left-over, nothing lost.

#[allow(dead_code)]
mod kit;

use std::fs;
use std::path::Path;
use std::process::Command;

use image_format::share::Share;
use image_format::store::{DirStore, MemoryStore, Store};
use image_format::upkeep::check::check;
use image_format::upkeep::gc::{GcOptions, gc};

#[test]
fn capture_that_finds_the_disk_full_says_so_and_the_next_one_succeeds() {
    let start = MemoryStore::new();
    kit::ingest(&start, "pc", &kit::files(1)[..8]).unwrap();
    let room = {
        let store = start.restarted();
        store.set_room(Some(u64::MAX));
        kit::ingest(&store, "pc", &kit::files(2)[..12]).unwrap();
        let packs = store.list_packs().unwrap();
        packs
            .iter()
            .map(|id| store.pack_facts(id).unwrap().length)
            .sum::<u64>()
    };
    let mut refused = 0;
    for left in (0..room).step_by(usize::try_from(room / 40).unwrap()) {
        let store = start.restarted();
        store.set_room(Some(left));
        match kit::ingest(&store, "pc", &kit::files(2)[..12]) {
            Ok(_) => {}
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("no room left"), "{error}");
            }
        }
        assert_eq!(check(&store).unwrap().findings, []);
        assert!(store.list_leases().unwrap().is_empty());
        store.set_room(None);
        kit::ingest(&store, "pc", &kit::files(2)[..12]).unwrap();
        gc(&store, &GcOptions::default()).unwrap();
        assert_eq!(check(&store).unwrap().findings, []);
    }
    assert!(refused > 10, "{refused}");
}

/// A file system of so many bytes, where this test may mount one.
struct SmallDisk<'d>(&'d Path);

impl<'d> SmallDisk<'d> {
    fn mount(dir: &'d Path, size: &str) -> Option<Self> {
        let size = format!("size={size}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir)
            .output();
        mount
            .is_ok_and(|done| done.status.success())
            .then_some(Self(dir))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn real_disk_that_is_full_keeps_no_half_file() {
    let dir = tempfile::tempdir().unwrap();
    // Who may not mount has the simulation above.
    let Some(_disk) = SmallDisk::mount(dir.path(), "3m") else {
        return;
    };
    let share = dir.path().join("share");
    let store = DirStore::init(&share).unwrap();
    kit::ingest(&store, "pc", &kit::files(1)[..5]).unwrap();
    let error = kit::ingest(&store, "pc", &kit::files(2)).unwrap_err();
    assert!(error.to_string().contains("no room left"), "{error}");
    assert_eq!(fs::read_dir(share.join("incoming")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(share.join("leases")).unwrap().count(), 0);
    assert_eq!(check(&store).unwrap().findings, []);
    assert_eq!(Share::open(&store).unwrap().history("pc").len(), 1);
    // What the failed capture left is collected, and there is room again.
    let at_once = GcOptions {
        grace: std::time::Duration::ZERO,
        ..GcOptions::default()
    };
    gc(&store, &at_once).unwrap();
    kit::ingest(&store, "pc", &kit::files(3)[..10]).unwrap();
    assert_eq!(check(&store).unwrap().findings, []);
}
