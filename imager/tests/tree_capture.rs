//! Directories captured as they are: everything POSIX knows, in order, again
//! and again, while they change. Needs root, as a capture of a system does.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use image_format::entry::{Content, Entry, INLINE_LIMIT, Kind, Piece};
use image_format::ids::ChunkRef;
use image_format::ingest::IngestOptions;
use image_format::{MemoryStore, Share};
use imager::tree::capture::{Reason, Root, TreeError, TreeOptions, TreeOutcome, capture};
use imager::tree::exclude::Excludes;
use rustix::fs::{AtFlags, CWD, FileType, IFlags, Mode, Timespec, Timestamps, XattrFlags};

/// Later than every change made here, so that witnesses are trusted.
const LATER: u64 = 60;

fn options() -> TreeOptions {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    TreeOptions {
        name: "tree".to_owned(),
        captured: now.as_secs() + LATER,
        parent: None,
        excludes: Excludes::new([]).unwrap(),
        omit: Vec::new(),
        all_times: false,
        paranoid: false,
        strict: false,
        skip_unreadable: false,
        named: 100,
        threads: 3,
        ingest: IngestOptions {
            threads: 2,
            ..IngestOptions::default()
        },
    }
}

fn run(dir: &Path, store: &MemoryStore, options: &TreeOptions) -> Result<TreeOutcome, TreeError> {
    let share = Share::open(store).unwrap();
    capture(&Root::open(dir)?, &share, options, &mut |_| {})
}

fn entries(store: &MemoryStore, outcome: &TreeOutcome) -> Vec<Entry> {
    let share = Share::open(store).unwrap();
    share
        .entries(&outcome.record.image, 0)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

fn by_path(store: &MemoryStore, outcome: &TreeOutcome) -> BTreeMap<Vec<u8>, Entry> {
    let entries = entries(store, outcome).into_iter();
    entries.map(|entry| (entry.path.clone(), entry)).collect()
}

fn bytes_of(store: &MemoryStore, entry: &Entry) -> Vec<u8> {
    let share = Share::open(store).unwrap();
    match &entry.content {
        Content::Empty => Vec::new(),
        Content::Inline(bytes) => bytes.clone(),
        Content::Pieces(pieces) => pieces
            .iter()
            .flat_map(|piece| match *piece {
                Piece::Hole { length } => vec![0; usize::try_from(length).unwrap()],
                Piece::Chunk { id, length } => share.chunk(&ChunkRef { id, length }).unwrap(),
            })
            .collect(),
    }
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

fn count(outcome: &TreeOutcome, reason: Reason) -> u64 {
    let found = outcome.notes.iter().find(|(found, _)| *found == reason);
    found.map_or(0, |(_, noted)| noted.count)
}

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
fn what_is_excluded_or_is_the_share_is_named_and_not_in_the_image() {
    let dir = tempfile::tempdir().unwrap();
    for path in [
        "keep/x",
        "drop/x",
        "share/packs",
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
        omit: vec![dir.path().join("share"), dir.path().join("not there")],
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
    assert_eq!(noted.paths, ["/drop", "/logs/a.log", "/share"]);
}

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
    let last = whole.operations() - 1;
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

/// The root of a running system has flags, mounts and all that stands in an image.
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
