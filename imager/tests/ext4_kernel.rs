//! The kernel's ext4 and the crate `ext4-view` see in a built volume what was
//! asked for. The kernel's part needs root and says so when it cannot run.

#![allow(
    clippy::cast_possible_truncation,
    reason = "the numbers of these tests are small"
)]

mod ext4_support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use ext4_support::*;
use ext4_view::Ext4;
use image_format::entry::{Content, Entry, Kind, Piece, Timestamp, Xattr};
use imager::disk::Disk;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const MIB: u64 = 1 << 20;

#[derive(Debug, Clone)]
struct Part {
    name: Vec<u8>,
    parent: prop::sample::Index,
    shape: u8,
    lengths: Vec<i32>,
    numbers: [u32; 3],
    nanoseconds: u32,
    xattr: usize,
}

fn part() -> impl Strategy<Value = Part> {
    let name = prop::collection::vec(
        any::<u8>().prop_filter("name", |b| !matches!(b, 0 | b'/')),
        1..60,
    );
    let lengths = prop::collection::vec(-50_000..60_000_i32, 0..12);
    (
        name,
        any::<prop::sample::Index>(),
        any::<u8>(),
        lengths,
        any::<[u32; 3]>(),
        0..1_000_000_000_u32,
        0..900_usize,
    )
        .prop_map(
            |(name, parent, shape, lengths, numbers, nanoseconds, xattr)| Part {
                name,
                parent,
                shape,
                lengths,
                numbers,
                nanoseconds,
                xattr,
            },
        )
}

fn pieces(grower: &mut Grower, lengths: &[i32], seed: u32) -> Vec<Piece> {
    let of_length = |&length: &i32| match usize::try_from(length) {
        Ok(0) | Err(_) => Piece::Hole {
            length: u64::from(length.unsigned_abs()) + 1,
        },
        Ok(length) => {
            let byte = |place: usize| (place as u32).wrapping_mul(seed | 1).to_le_bytes()[3] | 1;
            grower.chunk((0..length).map(byte).collect())
        }
    };
    lengths.iter().map(of_length).collect()
}

fn grow(parts: Vec<Part>, block_size: u32) -> Captured {
    let mut grower = Grower::new();
    let mut directories = vec![Vec::new()];
    let mut files: Vec<(Vec<u8>, u32)> = Vec::new();
    for part in parts {
        let parent = part.parent.get(&directories).clone();
        let path = if parent.is_empty() {
            part.name.clone()
        } else {
            [&parent[..], b"/", &part.name].concat()
        };
        let taken = grower.entries.iter().any(|entry| entry.path == path);
        if taken || matches!(&part.name[..], b"." | b"..") {
            continue;
        }
        let [one, two, three] = part.numbers;
        match part.shape % 8 {
            0 | 1 => {
                grower.add(path.clone(), Kind::Directory);
                directories.push(path);
            }
            2 => {
                let target = b"some/where/".repeat(80)[..1 + one as usize % 800].to_vec();
                grower.add(path, Kind::Symlink(target));
            }
            3 => {
                let (major, minor) = (one % 4096, two % (1 << 20));
                grower.add(path, Kind::CharDevice { major, minor });
            }
            4 => {
                grower.add(path, Kind::File);
            }
            _ => {
                let pieces = pieces(&mut grower, &part.lengths, three);
                files.push((path.clone(), one));
                grower.file(path, pieces);
            }
        }
        let entry = grower.entries.last_mut().unwrap();
        (entry.uid, entry.gid, entry.mode) = (one >> 1, two >> 1, three % 0o10000);
        // `ext4-view` refuses the upper half of every epoch.
        let seconds = i64::from(one >> 1) + (i64::from(two % 4) << 32);
        entry.times.modified = when(seconds, part.nanoseconds);
        if part.xattr % 3 == 0 && !matches!(entry.kind, Kind::Symlink(_) | Kind::CharDevice { .. })
        {
            let value = vec![1; part.xattr];
            entry.xattrs = vec![Xattr {
                name: b"user.x".to_vec(),
                value,
            }];
        }
    }
    link_some(&mut grower, &files);
    grower.finish(facts(block_size, 256))
}

/// Every fourth file gets a second name.
fn link_some(grower: &mut Grower, files: &[(Vec<u8>, u32)]) {
    for (number, (path, _)) in (0..).zip(files).filter(|(_, (_, random))| random % 4 == 0) {
        let one = grower
            .entries
            .iter_mut()
            .find(|entry| entry.path == *path)
            .unwrap();
        one.link = Some(number);
        let second = Entry {
            path: [&path[..], b" 2"].concat(),
            content: Content::Empty,
            ..one.clone()
        };
        if grower.entries.iter().all(|entry| entry.path != second.path) {
            grower.entries.push(second);
        } else if let Some(one) = grower.entries.iter_mut().find(|entry| entry.path == *path) {
            one.link = None;
        }
    }
}

fn full(mountpoint: &Path, entry: &Entry) -> PathBuf {
    mountpoint.join(OsStr::from_bytes(&entry.path))
}

fn content_of<'a>(captured: &'a Captured, entry: &'a Entry) -> &'a Content {
    let same = |other: &&Entry| other.link.is_some() && other.link == entry.link;
    &captured
        .tree
        .entries
        .iter()
        .find(same)
        .unwrap_or(entry)
        .content
}

/// Everything `lstat`, `readlink`, `lgetxattr` and reading say.
fn assert_kernel_sees(captured: &Captured, mountpoint: &Path) {
    for entry in &captured.tree.entries {
        let path = full(mountpoint, entry);
        let real = fs::symlink_metadata(&path).unwrap_or_else(|why| panic!("{path:?}: {why}"));
        assert_eq!(real.mode() & 0o7777, entry.mode, "{path:?}");
        assert_eq!((real.uid(), real.gid()), (entry.uid, entry.gid), "{path:?}");
        let modified = Timestamp {
            seconds: real.mtime(),
            nanoseconds: real.mtime_nsec() as u32,
        };
        assert_eq!(modified, entry.times.modified, "{path:?}");
        let created = &entry.times.created;
        let expected = UNIX_EPOCH + Duration::new(created.seconds as u64, created.nanoseconds);
        assert_eq!(real.created().unwrap(), expected, "{path:?}");
        let kind = real.file_type();
        match &entry.kind {
            Kind::Directory => assert!(kind.is_dir()),
            Kind::Symlink(target) => {
                assert_eq!(fs::read_link(&path).unwrap().as_os_str().as_bytes(), target);
            }
            Kind::CharDevice { major, minor } => {
                assert!(kind.is_char_device());
                let (low, high) = (real.rdev() & 0xff, real.rdev() >> 12 & 0xf_ff00);
                assert_eq!(real.rdev() >> 8 & 0xfff, u64::from(*major));
                assert_eq!(low | high, u64::from(*minor));
            }
            Kind::File => {
                let content = content_of(captured, entry);
                assert_eq!(real.len(), content.size());
                let same = fs::read(&path).unwrap() == bytes_of(content, &captured.chunks);
                assert!(same, "contents of {path:?}");
            }
            other => panic!("not in these trees: {other:?}"),
        }
        for xattr in &entry.xattrs {
            let name = std::str::from_utf8(&xattr.name).unwrap();
            let mut value = vec![0; 65_536];
            let length = rustix::fs::lgetxattr(&path, name, &mut value[..]).unwrap();
            assert_eq!(value[..length], xattr.value, "{path:?}");
        }
    }
}

/// Unmounts when the test ends, however it does.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        run("umount", &[self.0.to_str().unwrap()]);
    }
}

/// Mounts `image` and lets `look` have it; false where that is not allowed.
fn mounted(image: &Path, options: &str, look: impl FnOnce(&Path)) -> bool {
    if run("id", &["-u"]).1.trim() != "0" {
        println!("NOT RUN: mounting needs root; run this test as root");
        return false;
    }
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "-t",
        "ext4",
        "-o",
        options,
        image.to_str().unwrap(),
        folder.path().to_str().unwrap(),
    ];
    let (code, text) = run("mount", &arguments);
    assert_eq!(code, 0, "{text}");
    let mount = Mounted(folder.path());
    look(folder.path());
    drop(mount);
    true
}

fn assert_view_sees(captured: &Captured, disk: &SparseDisk) {
    let mut bytes = vec![0; disk.size() as usize];
    disk.read_at(0, &mut bytes).unwrap();
    let view = Ext4::load(Box::new(bytes)).unwrap();
    for entry in &captured.tree.entries {
        let path = [b"/", &entry.path[..]].concat();
        let path = ext4_view::Path::try_from(path.as_slice()).unwrap();
        let metadata = view.symlink_metadata(path).unwrap();
        assert_eq!(u32::from(metadata.mode()) & 0o7777, entry.mode & 0o7777);
        match &entry.kind {
            Kind::File => {
                let content = bytes_of(content_of(captured, entry), &captured.chunks);
                assert!(
                    view.read(path).unwrap() == content,
                    "{}",
                    entry.display_path()
                );
            }
            Kind::Symlink(target) => {
                assert_eq!(view.read_link(path).unwrap().as_ref(), target.as_slice());
            }
            Kind::Directory => assert!(metadata.is_dir()),
            _ => {}
        }
    }
}

#[test]
fn random_trees_look_the_same_to_e2fsck_the_kernel_and_another_reader() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let mut runner = TestRunner::new(Config {
        cases: 25,
        failure_persistence: None,
        ..Config::default()
    });
    let trees = (
        prop::collection::vec(part(), 0..150),
        prop::sample::select(vec![1024, 2048, 4096]),
    );
    runner
        .run(&trees, |(parts, block_size)| {
            let captured = grow(parts, block_size);
            assert_builds(&captured, 48 * MIB, 0x99, &image);
            assert_view_sees(&captured, &SparseDisk::load(&image));
            mounted(&image, "ro,loop", |path| {
                assert_kernel_sees(&captured, path)
            });
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_mounted_volume_takes_new_files_and_stays_clean() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let mut grower = Grower::new();
    grower.add("d", Kind::Directory);
    grower.add("before-1970", Kind::File).times.modified = when(-5, 999_999_999);
    grower.add("after-2038", Kind::File).times.modified = when((1 << 31) + (2 << 32), 7);
    for number in 0..70_000 {
        grower.add(
            format!("d/name-{number}"),
            Kind::Symlink(b"target".to_vec()),
        );
    }
    let captured = grower.finish(facts(4096, 256));
    assert_builds(&captured, 700 * MIB, 0x66, &image);
    let ran = mounted(&image, "loop", |path| {
        for name in ["before-1970", "after-2038"] {
            let real = fs::symlink_metadata(path.join(name)).unwrap();
            let entry = captured
                .tree
                .entries
                .iter()
                .find(|entry| entry.path == name.as_bytes());
            assert_eq!(real.mtime(), entry.unwrap().times.modified.seconds);
        }
        for number in 0..70_000 {
            assert!(
                path.join(format!("d/name-{number}")).is_symlink(),
                "{number} by its hash"
            );
        }
        for number in 0..5000 {
            fs::write(path.join(format!("d/new-{number}")), [1; 10]).unwrap();
            fs::remove_file(path.join(format!("d/name-{}", number * 7))).unwrap();
        }
        fs::write(path.join("large"), vec![5; 300 << 20]).unwrap();
    });
    if ran {
        assert_clean(&image);
        assert_eq!(
            capture(&SparseDisk::load(&image)).tree.entries.len(),
            70_006
        );
    }
}
