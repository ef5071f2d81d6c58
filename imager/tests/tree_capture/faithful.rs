//! What is there is in the image, as it is.

use std::ffi::OsStr;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use image_format::MemoryStore;
use image_format::entry::{Content, INLINE_LIMIT, Kind, Piece};
use imager::tree::capture::Reason;
use rustix::fs::{AtFlags, CWD, FileType, IFlags, Mode, Timespec, Timestamps, XattrFlags};

use crate::kit::{by_path, bytes_of, count, entries, noise, options, run};

#[test]
fn order_is_bytewise_over_whole_paths_and_names_need_not_be_text() {
    let dir = tempfile::tempdir().unwrap();
    let long = "n".repeat(255);
    let names: [&[u8]; 4] = [b"a", b"a-b", b"a.c", long.as_bytes()];
    for name in names {
        let inside = dir.path().join(OsStr::from_bytes(name));
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join(OsStr::from_bytes(b"x\xff\n")), b"1").unwrap();
    }
    fs::write(dir.path().join("a!"), b"2").unwrap();
    fs::write(dir.path().join("a0"), b"3").unwrap();
    let store = MemoryStore::new();
    let outcome = run(dir.path(), &store, &options()).unwrap();
    let paths: Vec<_> = entries(&store, &outcome)
        .into_iter()
        .map(|entry| entry.path)
        .collect();
    let mut sorted = paths.clone();
    sorted.sort();
    assert_eq!(paths, sorted);
    assert_eq!(paths.len(), 1 + 4 + 4 + 2);
    assert!(paths.contains(&b"a/x\xff\n".to_vec()));
}

#[test]
fn deeper_trees_than_a_process_has_descriptors_are_walked() {
    let dir = tempfile::tempdir().unwrap();
    let mut at =
        rustix::fs::open(dir.path(), rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    let depth = 1500;
    for _ in 0..depth {
        rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
        // Sorts behind what is in `d`: the way back matters.
        rustix::fs::mkdirat(&at, "e", Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, "d", rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    drop(at);
    let store = MemoryStore::new();
    let outcome = run(dir.path(), &store, &options()).unwrap();
    assert_eq!(outcome.record.entries, 1 + 2 * depth);
}

#[test]
fn everything_posix_knows_of_an_entry_is_in_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("file"), b"small").unwrap();
    // In this order: a change of owner takes the set-id bit away.
    std::os::unix::fs::lchown(path("file"), Some(70_000), Some(5)).unwrap();
    fs::set_permissions(path("file"), fs::Permissions::from_mode(0o4751)).unwrap();
    symlink("nowhere", path("symlink")).unwrap();
    let node = |name: &str, kind, major, minor| {
        let device = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(CWD, path(name), kind, Mode::RUSR, device).unwrap();
    };
    node("null", FileType::CharacterDevice, 1, 3);
    node("disk", FileType::BlockDevice, 4095, 1_000_000);
    node("pipe", FileType::Fifo, 0, 0);
    for name in ["symlink", "null", "pipe", "file"] {
        fs::hard_link(path(name), path(&format!("{name}-2"))).unwrap();
    }
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 7,
            tv_nsec: 0,
        },
        last_modification: Timespec {
            tv_sec: -5,
            tv_nsec: 123_456_789,
        },
    };
    rustix::fs::utimensat(CWD, path("symlink"), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    let xattr = |name: &str, key: &str, value: &[u8]| {
        rustix::fs::lsetxattr(path(name), key, value, XattrFlags::empty()).unwrap();
    };
    xattr("file", "user.b", &[9; 3000]);
    xattr("file", "user.a", b"");
    xattr("symlink", "trusted.link", b"on a link");
    xattr("null", "trusted.node", b"on a node");
    // cap_net_raw+ep, as the kernel keeps it (VFS_CAP_REVISION_2).
    let capability = [
        1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    xattr("file", "security.capability", &capability);
    let acl = posix_acl();
    rustix::fs::setxattr(
        dir.path(),
        "system.posix_acl_default",
        &acl,
        XattrFlags::empty(),
    )
    .unwrap();
    let open = fs::File::open(path("file")).unwrap();
    let flagged = rustix::fs::ioctl_setflags(&open, IFlags::NODUMP).is_ok();
    let _listener = UnixListener::bind(path("socket")).unwrap();

    let store = MemoryStore::new();
    let outcome = run(dir.path(), &store, &options()).unwrap();
    let found = by_path(&store, &outcome);
    let entry = |name: &str| &found[name.as_bytes()];
    assert!(!found.contains_key(b"socket".as_slice()));
    assert_eq!(count(&outcome, Reason::Socket), 1);
    assert_eq!(
        (entry("file").mode, entry("file").uid, entry("file").gid),
        (0o4751, 70_000, 5)
    );
    if flagged {
        assert_eq!(
            entry("file").flags & IFlags::NODUMP.bits(),
            IFlags::NODUMP.bits()
        );
    }
    let attributes = |name: &str| -> Vec<(String, Vec<u8>)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let xattrs = entry(name).xattrs.iter();
        xattrs
            .map(|xattr| (text(&xattr.name), xattr.value.clone()))
            .collect()
    };
    let expected = [
        ("security.capability".to_owned(), capability.to_vec()),
        ("user.a".to_owned(), Vec::new()),
        ("user.b".to_owned(), vec![9; 3000]),
    ];
    assert_eq!(attributes("file"), expected);
    assert_eq!(attributes("symlink")[0].1, b"on a link");
    assert_eq!(attributes("null")[0].1, b"on a node");
    assert_eq!(
        attributes("")[0],
        ("system.posix_acl_default".to_owned(), acl)
    );
    let modified = entry("symlink").times.modified;
    assert_eq!((modified.seconds, modified.nanoseconds), (-5, 123_456_789));
    assert_eq!(
        entry("symlink").times.accessed,
        modified,
        "as long as nobody asks for more"
    );
    assert_eq!(
        entry("disk").kind,
        Kind::BlockDevice {
            major: 4095,
            minor: 1_000_000
        }
    );
    for name in ["symlink", "null", "pipe", "file"] {
        let (one, two) = (entry(name), entry(&format!("{name}-2")));
        assert!(one.link.is_some(), "{name}");
        assert_eq!((one.link, &one.kind), (two.link, &two.kind));
        assert_eq!(
            (&one.xattrs, one.times, one.mode),
            (&two.xattrs, two.times, two.mode)
        );
        assert_eq!(two.content, Content::Empty);
    }
    assert_eq!(entry("disk").link, None);
    assert_eq!(bytes_of(&store, entry("file")), b"small");
}

/// owner rwx, user 1000 r, group r, mask r, others nothing.
fn posix_acl() -> Vec<u8> {
    let rows: [(u16, u16, u32); 5] = [
        (1, 7, u32::MAX),
        (2, 4, 1000),
        (4, 4, u32::MAX),
        (16, 4, u32::MAX),
        (32, 0, u32::MAX),
    ];
    let mut acl = 2_u32.to_le_bytes().to_vec();
    for (tag, bits, id) in rows {
        acl.extend(tag.to_le_bytes());
        acl.extend(bits.to_le_bytes());
        acl.extend(id.to_le_bytes());
    }
    acl
}

#[test]
fn contents_of_every_size_with_and_without_holes_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let sizes = [
        0,
        1,
        INLINE_LIMIT,
        INLINE_LIMIT + 1,
        70_000,
        (1 << 20) - 1,
        1 << 20,
        9 << 20,
    ];
    for (seed, size) in (0..).zip(sizes) {
        fs::write(dir.path().join(format!("{size}")), noise(seed, size)).unwrap();
    }
    let mut sparse = fs::File::create(dir.path().join("sparse")).unwrap();
    for at in [0_u64, 3 << 20, 40 << 20] {
        sparse.seek(SeekFrom::Start(at)).unwrap();
        sparse.write_all(&noise(at, 8192)).unwrap();
    }
    sparse.set_len(60 << 20).unwrap();
    drop(sparse);
    let store = MemoryStore::new();
    let outcome = run(dir.path(), &store, &options()).unwrap();
    for (path, entry) in by_path(&store, &outcome) {
        if entry.kind == Kind::File {
            let there = fs::read(dir.path().join(OsStr::from_bytes(&path))).unwrap();
            assert!(bytes_of(&store, &entry) == there, "{path:?}");
        }
    }
    let sparse = &by_path(&store, &outcome)[b"sparse".as_slice()];
    let Content::Pieces(pieces) = &sparse.content else {
        panic!("{:?}", sparse.content);
    };
    let holes: u64 = pieces
        .iter()
        .filter(|piece| matches!(piece, Piece::Hole { .. }))
        .map(Piece::length)
        .sum();
    assert!(holes > 50 << 20, "{holes}");
}

#[test]
fn flags_that_only_root_sets_are_kept_where_the_file_system_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(&path, b"line").unwrap();
    let file = fs::File::open(&path).unwrap();
    let flags = IFlags::APPEND | IFlags::NOATIME;
    if rustix::fs::ioctl_setflags(&file, flags).is_err() {
        return;
    }
    let store = MemoryStore::new();
    let outcome = run(dir.path(), &store, &options());
    rustix::fs::ioctl_setflags(&file, IFlags::empty()).unwrap();
    let entry = &by_path(&store, &outcome.unwrap())[b"log".as_slice()];
    assert_eq!(entry.flags & flags.bits(), flags.bits());
}

#[test]
fn a_system_is_known_by_any_file_that_only_systems_have() {
    for (file, is_system) in [
        ("etc/os-release", true),
        ("usr/lib/os-release", false),
        ("etc/passwd", true),
        ("Windows/System32/x", true),
        ("etc/letter.odt", false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("../nowhere", path).unwrap();
        let root = imager::tree::capture::Root::open(dir.path()).unwrap();
        let found = imager::tree::capture::is_system_root(&root);
        assert_eq!(found, is_system, "{file}");
    }
}
