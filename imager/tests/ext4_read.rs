//! Volumes made by `mke2fs` are read as what was put into them.

#![allow(
    clippy::cast_possible_truncation,
    reason = "the numbers of these tests are small"
)]

mod ext4_support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::Path;

use ext4_support::*;
use image_format::entry::{Entry, Kind};
use imager::volume::VolumeError;
use imager::volume::ext4::open;

/// The id of entries that need none.
const NOBODY: u32 = u32::MAX;

fn tool(program: &str, arguments: &[&str]) {
    let (code, text) = run(program, arguments);
    assert_eq!(code, 0, "{program} {arguments:?}: {text}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Makes a volume at `image` with `mke2fs`, filled from `folder` when there is one.
fn make(image: &Path, size: u64, arguments: &[&str], folder: Option<&Path>) {
    fs::File::create(image).unwrap().set_len(size).unwrap();
    let mut all = vec!["-q", "-F"];
    all.extend_from_slice(arguments);
    if let Some(folder) = folder {
        all.extend(["-d", text(folder)]);
    }
    all.push(text(image));
    tool("mke2fs", &all);
}

fn fill(folder: &Path) {
    fs::create_dir_all(folder.join("many")).unwrap();
    fs::create_dir_all(folder.join("deep/er/still")).unwrap();
    for number in 0..3000 {
        fs::write(folder.join(format!("many/some-name-{number}")), []).unwrap();
    }
    fs::write(folder.join("small"), b"small").unwrap();
    fs::write(folder.join("medium"), vec![b'm'; 100]).unwrap();
    fs::write(folder.join("deep/er/still/file"), vec![7; 3_000_000]).unwrap();
    let odd = OsStr::from_bytes(b"not utf-8 \xff\xfe");
    fs::write(folder.join(odd), b"odd").unwrap();
    fs::write(folder.join("n".repeat(255)), b"long").unwrap();
    fs::hard_link(folder.join("small"), folder.join("deep/small-too")).unwrap();
    fs::hard_link(folder.join("small"), folder.join("a-first-name")).unwrap();
    symlink("small", folder.join("fast")).unwrap();
    symlink("t".repeat(300), folder.join("slow")).unwrap();
    let sparse = fs::File::create(folder.join("sparse")).unwrap();
    for piece in 0..800 {
        sparse
            .write_all_at(&[piece as u8 | 1; 4096], piece * 16_384)
            .unwrap();
    }
    sparse.set_len(20_000_001).unwrap();
    tool("mknod", &[text(&folder.join("char")), "c", "4", "300"]);
    tool("mknod", &[text(&folder.join("block")), "b", "8", "1"]);
    tool("mkfifo", &[text(&folder.join("fifo"))]);
    tool("chown", &["100000:70000", text(&folder.join("medium"))]);
    tool("chmod", &["6751", text(&folder.join("medium"))]);
    tool("touch", &["-d", "@-5.5", text(&folder.join("small"))]);
    tool(
        "touch",
        &["-d", "@8000000000.25", text(&folder.join("medium"))],
    );
    set(&folder.join("small"), "user.note", b"a value");
    set(&folder.join("medium"), "trusted.large", &b"ABC".repeat(150));
    set(
        &folder.join("medium"),
        "system.posix_acl_access",
        &access_list(),
    );
    let inherited = [
        (1, 7, NOBODY),
        (2, 5, 7),
        (4, 5, NOBODY),
        (16, 5, NOBODY),
        (32, 5, NOBODY),
    ];
    set(
        &folder.join("many"),
        "system.posix_acl_default",
        &acl(&inherited),
    );
}

fn set(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
}

/// An access control list in the kernel's portable form: tag, permissions, id.
fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn access_list() -> Vec<u8> {
    let owners = [(1, 7, NOBODY), (2, 6, 1000), (4, 5, NOBODY)];
    acl(&[
        &owners[..],
        &[(8, 4, 2000), (16, 6, NOBODY), (32, 1, NOBODY)],
    ]
    .concat())
}

/// Compares what was read with the folder it was made from.
fn assert_is(captured: &Captured, folder: &Path) {
    let mut count = 2;
    let mut pending = vec![folder.to_owned()];
    while let Some(directory) = pending.pop() {
        for name in fs::read_dir(directory).unwrap() {
            let path = name.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                pending.push(path.clone());
            }
            let bytes = path.strip_prefix(folder).unwrap().as_os_str().as_bytes();
            let found = captured
                .tree
                .entries
                .iter()
                .find(|entry| entry.path == bytes);
            assert_entry(captured, found.unwrap(), &path);
            count += 1;
        }
    }
    assert_eq!(
        captured.tree.entries.len(),
        count,
        "root, lost+found and all names"
    );
    assert!(
        captured
            .tree
            .entries
            .is_sorted_by(|one, other| one.path < other.path)
    );
}

fn assert_entry(captured: &Captured, entry: &Entry, path: &Path) {
    let real = fs::symlink_metadata(path).unwrap();
    assert_eq!(entry.mode, real.mode() & 0o7777, "{path:?}");
    assert_eq!((entry.uid, entry.gid), (real.uid(), real.gid()), "{path:?}");
    // `mke2fs -d` stores the low half of the seconds and no more.
    assert_eq!(
        entry.times.modified.seconds as u32,
        real.mtime() as u32,
        "{path:?}"
    );
    match &entry.kind {
        Kind::Directory => assert!(real.is_dir()),
        Kind::Symlink(target) => {
            assert_eq!(target, fs::read_link(path).unwrap().as_os_str().as_bytes());
        }
        Kind::File => {
            assert_eq!(entry.link.is_some(), real.nlink() > 1, "{path:?}");
            let first = captured
                .tree
                .entries
                .iter()
                .find(|other| entry.link.is_some() && other.link == entry.link);
            let content = &first.unwrap_or(entry).content;
            assert!(
                bytes_of(content, &captured.chunks) == fs::read(path).unwrap(),
                "{path:?}"
            );
        }
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            let device = format!("{major:x}:{minor:x}");
            let (_, expected) = run("stat", &["-c", "%t:%T", text(path)]);
            assert_eq!(device, expected.trim());
        }
        Kind::Fifo => assert_eq!(real.mode() & 0o170_000, 0o010_000),
        other => panic!("{other:?}"),
    }
}

fn entry_of<'a>(captured: &'a Captured, path: &str) -> &'a Entry {
    captured
        .tree
        .entries
        .iter()
        .find(|entry| entry.path == path.as_bytes())
        .unwrap()
}

#[test]
fn trees_made_by_mke2fs_are_read_whole_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir(&source).unwrap();
    fill(&source);
    let image = folder.path().join("image");
    let formats: [&[&str]; 9] = [
        &["-t", "ext4"],
        &["-t", "ext4", "-b", "1024", "-I", "128"],
        &[
            "-t",
            "ext4",
            "-b",
            "2048",
            "-O",
            "^64bit,^metadata_csum,uninit_bg",
        ],
        &["-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode"],
        &["-t", "ext4", "-O", "metadata_csum_seed,orphan_file"],
        &["-t", "ext3", "-b", "4096"],
        &["-t", "ext2", "-b", "1024"],
        &["-t", "ext4", "-O", "^flex_bg,^dir_index,^filetype"],
        &["-t", "ext4", "-O", "inline_data", "-I", "512"],
    ];
    for format in formats {
        println!("{format:?}");
        if format.contains(&"inline_data") {
            // Here `mke2fs -d` of 1.47.0 itself cuts sparse files at their last data.
            fs::remove_file(source.join("sparse")).unwrap();
        }
        make(&image, 100 << 20, format, Some(&source));
        let captured = capture(&SparseDisk::load(&image));
        assert_is(&captured, &source);
        let medium = entry_of(&captured, "medium");
        let names: Vec<_> = medium.xattrs.iter().map(|xattr| &xattr.name[..]).collect();
        assert_eq!(names, [&b"system.posix_acl_access"[..], b"trusted.large"]);
        assert_eq!(
            medium.xattrs[0].value,
            access_list(),
            "as the kernel hands it out"
        );
        assert_eq!(medium.xattrs[1].value, b"ABC".repeat(150));
        assert_eq!(entry_of(&captured, "small").xattrs[0].value, b"a value");
        assert_eq!(
            entry_of(&captured, "many").xattrs[0].name,
            b"system.posix_acl_default"
        );
        let again = folder.path().join("again");
        assert_builds(&captured, 150 << 20, 0xdd, &again);
    }
}

#[test]
fn what_was_not_shut_down_or_is_not_understood_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let refusal = |what: &str| {
        let error = open(&SparseDisk::load(&image))
            .err()
            .map(|error| error.to_string());
        let error = error.unwrap_or_else(|| panic!("{what} was read"));
        assert!(error.contains(what), "{what} is not in {error}");
    };
    for feature in ["encrypt", "casefold", "bigalloc", "ea_inode"] {
        make(&image, 64 << 20, &["-t", "ext4", "-O", feature], None);
        refusal(feature);
    }
    for (commands, what) in [
        ("feature needs_recovery", "not cleanly shut down"),
        ("ssv state 0", "not cleanly shut down"),
        ("ssv state 2", "not cleanly shut down"),
        ("ssv last_orphan 13", "not cleanly shut down"),
    ] {
        make(&image, 16 << 20, &["-t", "ext4"], None);
        tool("debugfs", &["-w", "-R", commands, text(&image)]);
        refusal(what);
        refusal("e2fsck");
    }
    fs::write(&image, vec![0; 1 << 20]).unwrap();
    refusal("magic");
    let empty = SparseDisk::new(0, 0);
    assert!(matches!(open(&empty), Err(VolumeError::Damaged { .. })));
}

#[test]
fn flags_that_users_set_are_read_and_those_of_the_format_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let source = folder.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), b"x").unwrap();
    make(&image, 16 << 20, &["-t", "ext4"], Some(&source));
    tool(
        "debugfs",
        &["-w", "-R", "sif file flags 0x800F0", text(&image)],
    );
    let captured = capture(&SparseDisk::load(&image));
    assert_eq!(entry_of(&captured, "file").flags, 0xf0);
    assert_eq!(entry_of(&captured, "lost+found").flags, 0);
}
