//! A source that cannot be read everywhere: the capture says where, and leaves
//! no image behind.

mod mounted;
mod reference;

use std::error::Error;
use std::fs;
use std::io;

use image_format::{MemoryStore, Share, Store};
use imager::capture::{CaptureOptions, capture};
use imager::disk::{Disk, MemoryDisk};
use imager::tree::capture::{Reason, Root, TreeError, TreeOptions, TreeOutcome};
use imager::tree::exclude::Excludes;
use mounted::mounted;
use reference::{SMALL, captured, noise, run};

/// A disk with a stretch that fails, as a worn one does.
struct Worn<'d> {
    disk: &'d MemoryDisk,
    from: u64,
    to: u64,
}

impl Disk for Worn<'_> {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn sector_size(&self) -> u32 {
        self.disk.sector_size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset + buffer.len() as u64;
        match offset < self.to && self.from < end {
            true => Err(io::Error::from_raw_os_error(5)),
            false => self.disk.read_at(offset, buffer),
        }
    }

    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn data_ranges(&self) -> io::Result<Vec<(u64, u64)>> {
        self.disk.data_ranges()
    }

    fn describe(&self) -> String {
        "worn disk".to_owned()
    }
}

fn whole(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", whole(cause)),
        None => error.to_string(),
    }
}

#[test]
fn a_worn_disk_is_no_image_wherever_it_is_worn_and_the_place_is_named() {
    let disk = reference::disk(SMALL, 1);
    let store = MemoryStore::new();
    let ranges = disk.data_ranges().unwrap();
    let used: u64 = ranges.iter().map(|(_, length)| length).sum();
    let mut failed = 0;
    for step in 0..24 {
        // The same share of what is used, wherever that lies.
        let mut left = used * step / 24;
        let place = ranges.iter().find_map(|(from, length)| {
            let inside = left < *length;
            let place = from + left;
            left = left.saturating_sub(*length);
            inside.then_some(place)
        });
        let from = place.unwrap() / 4096 * 4096;
        let worn = Worn {
            disk: &disk,
            from,
            to: from + 4096,
        };
        let mut watch = |_| std::ops::ControlFlow::Continue(());
        let options = CaptureOptions {
            name: "worn".to_owned(),
            ..CaptureOptions::default()
        };
        match capture(&worn, &store, &options, &mut watch) {
            // Not everything that is used is looked at: a backup table, a journal.
            Ok(_) => {}
            Err(error) => {
                let words = whole(&error);
                let place = words.bytes().any(|byte| byte.is_ascii_digit());
                let why = words.contains("os error 5");
                assert!(place && why, "worn at {from}: {words}");
                failed += 1;
            }
        }
    }
    assert!(failed >= 12, "{failed} of 24 places were looked at");
    let whole = captured(&disk, &store, "whole");
    let share = Share::open(&store).unwrap();
    assert_eq!(share.find("whole").unwrap().image, whole.image);
}

fn tree(dir: &std::path::Path, store: &MemoryStore, skip: bool) -> Result<TreeOutcome, TreeError> {
    let options = TreeOptions {
        name: "tree".to_owned(),
        captured: 1_700_000_000,
        parent: None,
        excludes: Excludes::new([]).unwrap(),
        omit: Vec::new(),
        all_times: false,
        paranoid: false,
        strict: false,
        skip_unreadable: skip,
        named: 100,
        threads: 2,
        ingest: Default::default(),
    };
    let share = Share::open(store).unwrap();
    let mut watch = |_| std::ops::ControlFlow::Continue(());
    imager::tree::capture::capture(&Root::open(dir)?, &share, &options, &mut watch)
}

#[test]
fn a_file_the_medium_lost_is_named_and_left_out_only_when_that_is_wished() {
    let folder = tempfile::tempdir().unwrap();
    let (image, at) = (folder.path().join("volume.img"), folder.path().join("mnt"));
    let source = folder.path().join("source");
    fs::create_dir_all(&source).unwrap();
    fs::create_dir(&at).unwrap();
    fs::write(source.join("near"), noise(3 << 20, 1)).unwrap();
    // Past the middle of the volume, wherever that may begin.
    fs::write(source.join("wide"), noise(80 << 20, 2)).unwrap();
    fs::File::create(&image).unwrap().set_len(96 << 20).unwrap();
    let (from, to) = (source.to_str().unwrap(), image.to_str().unwrap());
    let make = ["-q", "-t", "ext4", "-O", "^has_journal", "-d", from, to];
    run("mke2fs", &make);
    let store = MemoryStore::new();
    let captured = mounted("ro,loop", &image, &at, |at| {
        // The medium ends early from now on.
        let cut = fs::File::options().write(true).open(&image).unwrap();
        cut.set_len(64 << 20).unwrap();
        (tree(at, &store, false), tree(at, &store, true))
    });
    let Some((refused, left_out)) = captured else {
        return;
    };
    let words = whole(&refused.unwrap_err());
    assert!(
        words.contains("wide") && words.contains("os error 5"),
        "{words}"
    );
    let left_out = left_out.unwrap();
    let noted = left_out
        .notes
        .iter()
        .find(|(why, _)| *why == Reason::Unreadable);
    assert_eq!(noted.unwrap().1.paths, ["/wide"]);
    assert_eq!(store.list_refs().unwrap().len(), 1);
}
