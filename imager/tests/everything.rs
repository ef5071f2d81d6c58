//! One of everything, made by the kernel in its own ext4, captured, applied to
//! larger and smaller disks, and looked at by the kernel again. Needs root,
//! and says so.

mod mounted;
mod reference;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use image_format::store::MemoryStore;
use imager::apply::apply;
use imager::disk::FileDisk;
use imager::plan::Wishes;
use imager::verify::verify_image;
use mounted::mounted;
use reference::{MIB, captured, image, noise, planned, run};
use rustix::fs::{AtFlags, StatxFlags, Timespec, Timestamps, XattrFlags};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn set(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

fn times(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let both = Timestamps {
        last_access: time,
        last_modification: time,
    };
    let here = rustix::fs::CWD;
    rustix::fs::utimensat(here, path, &both, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// An access list for one more user, as the kernel takes it.
fn access_list() -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    let nobody = u32::MAX;
    for (tag, permissions, id) in [
        (1_u16, 7_u16, nobody),
        (2, 6, 1000),
        (4, 5, nobody),
        (16, 7, nobody),
        (32, 1, nobody),
    ] {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn fill(at: &Path) {
    let path = |name: &str| at.join(name);
    fs::create_dir_all(path("deep/er/still")).unwrap();
    fs::write(path("file"), noise(100_000, 1)).unwrap();
    fs::write(path("empty"), b"").unwrap();
    fs::write(path("deep/er/still/large"), noise(5_000_000, 2)).unwrap();
    fs::write(at.join(OsStr::from_bytes(b"no text \xff\xfe\n")), b"odd").unwrap();
    fs::write(path(&"n".repeat(255)), b"long").unwrap();
    fs::hard_link(path("file"), path("deep/file-too")).unwrap();
    symlink("file", path("fast")).unwrap();
    symlink("t/".repeat(400), path("slow")).unwrap();
    fs::hard_link(path("fast"), path("deep/linked-link")).unwrap();
    fs::hard_link(path("slow"), path("deep/linked-slow")).unwrap();
    run("mknod", &[text(&path("char")), "c", "4095", "1048575"]);
    run("mknod", &[text(&path("block")), "b", "8", "1"]);
    run("mkfifo", &[text(&path("fifo"))]);
    drop(UnixListener::bind(path("socket")).unwrap());
    let sparse = fs::File::create(path("sparse")).unwrap();
    for piece in 0..300_u64 {
        sparse
            .write_all_at(&noise(5000, piece), piece * 70_000)
            .unwrap();
    }
    sparse.set_len(300 << 20).unwrap();
    fs::create_dir(path("many")).unwrap();
    for number in 0..20_000 {
        fs::write(path(&format!("many/a-name-of-some-length-{number}")), []).unwrap();
    }
    run("chown", &["100000:4000000000", text(&path("file"))]);
    run("chmod", &["6751", text(&path("file"))]);
    run("chmod", &["1777", text(&path("deep"))]);
    set(&path("file"), "user.note", b"in the inode");
    set(&path("file"), "trusted.large", &noise(600, 3));
    set(&path("file"), "user.empty", b"");
    set(&path("file"), "system.posix_acl_access", &access_list());
    set(&path("deep"), "system.posix_acl_default", &access_list());
    set(
        &path("deep"),
        "security.selinux",
        b"system_u:object_r:etc_t:s0\0",
    );
    set(&path("fast"), "trusted.of_a_link", b"yes");
    // Version 2 of `struct vfs_cap_data`: cap_net_raw, effective.
    let mut capability = 0x0200_0001_u32.to_le_bytes().to_vec();
    for word in [1_u32 << 13, 0, 0, 0] {
        capability.extend(word.to_le_bytes());
    }
    set(
        &path("deep/er/still/large"),
        "security.capability",
        &capability,
    );
    for (name, flags) in [
        ("immutable", "+i"),
        ("append", "+a"),
        ("nodump", "+dA"),
        ("sync", "+S"),
    ] {
        fs::write(path(name), name).unwrap();
        times(&path(name), 1_700_000_000, 123_456_789);
        run("chattr", &[flags, text(&path(name))]);
    }
    run("chattr", &["+DT", text(&path("deep/er"))]);
    for (name, seconds, nanoseconds) in [
        ("file", -5, 999_999_999),
        ("empty", 8_000_000_000, 1),
        ("fast", 5_000_000_000, 2),
        ("deep", -2_000_000_000, 3),
        ("char", 1 << 33, 4),
    ] {
        times(&path(name), seconds, nanoseconds);
    }
}

/// Everything the kernel says of a name, but for numbers of inodes and the
/// times that looking changes.
fn seen(at: &Path) -> BTreeMap<Vec<u8>, String> {
    let (mut all, mut first) = (BTreeMap::new(), BTreeMap::new());
    let mut pending = vec![at.to_owned()];
    while let Some(path) = pending.pop() {
        let name = path
            .strip_prefix(at)
            .unwrap()
            .as_os_str()
            .as_bytes()
            .to_vec();
        let facts = fs::symlink_metadata(&path).unwrap();
        if facts.is_dir() {
            let names = fs::read_dir(&path)
                .unwrap()
                .map(|name| name.unwrap().path());
            pending.extend(names);
        }
        all.insert(name, path);
    }
    let mut told = BTreeMap::new();
    for (name, path) in all {
        let facts = fs::symlink_metadata(&path).unwrap();
        let mask = StatxFlags::BTIME | StatxFlags::BASIC_STATS;
        let here = rustix::fs::CWD;
        let statx = rustix::fs::statx(here, &path, AtFlags::SYMLINK_NOFOLLOW, mask).unwrap();
        let links = first.entry(facts.ino()).or_insert_with(|| name.clone());
        let target = fs::read_link(&path).ok();
        let contents = facts.is_file().then(|| contents(&path));
        // A directory's length is its own affair.
        let length = if facts.is_dir() { 0 } else { facts.len() };
        let words = format!(
            "{:o} {}:{} {length} {}.{} {}.{} {:?} {} {} {links:?} {target:?} {contents:?} {:?}",
            facts.mode(),
            facts.uid(),
            facts.gid(),
            facts.mtime(),
            facts.mtime_nsec(),
            statx.stx_btime.tv_sec,
            statx.stx_btime.tv_nsec,
            statx.stx_attributes
                & (rustix::fs::StatxAttributes::IMMUTABLE
                    | rustix::fs::StatxAttributes::APPEND
                    | rustix::fs::StatxAttributes::NODUMP),
            facts.rdev(),
            facts.nlink(),
            xattrs(&path),
        );
        told.insert(name, words);
    }
    told
}

fn contents(path: &Path) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs::File::open(path).unwrap()).unwrap();
    hasher.finalize().to_hex().to_string()
}

fn xattrs(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let names = names[..length]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty());
    let mut all: Vec<_> = names
        .map(|name| {
            let mut value = vec![0; 64 << 10];
            let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
            value.truncate(length);
            (String::from_utf8_lossy(name).into_owned(), value)
        })
        .collect();
    all.sort();
    all
}

fn flags(image: &Path, at: &Path) -> Option<String> {
    mounted("loop,ro,noload", image, at, |at| {
        let names = ["immutable", "append", "nodump", "sync", "deep/er", "file"];
        let paths = names.map(|name| at.join(name));
        let listed = paths.iter().map(|path| run("lsattr", &["-d", text(path)]));
        listed
            .map(|line| line.split(' ').next().unwrap().replace(['e', 'I'], "-"))
            .collect()
    })
}

#[test]
fn everything_the_kernel_makes_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let (source, at) = (folder.path().join("source.img"), folder.path().join("mnt"));
    fs::create_dir(&at).unwrap();
    fs::File::create(&source)
        .unwrap()
        .set_len(200 * MIB)
        .unwrap();
    run(
        "mke2fs",
        &["-q", "-t", "ext4", "-b", "4096", "-L", "all", text(&source)],
    );
    let Some(before) = mounted("loop", &source, &at, |at| {
        fill(at);
        seen(at)
    }) else {
        return;
    };
    let listed = flags(&source, &at).unwrap();
    let store = MemoryStore::new();
    let record = captured(&FileDisk::open(&source, 512).unwrap(), &store, "all");
    let (manifest, jobs) = image(&store, &record);
    for (size, sector_size) in [(200, 512), (90, 512), (900, 4096)] {
        let path = folder.path().join(format!("target-{size}.img"));
        let target = FileDisk::create(&path, size * MIB, sector_size).unwrap();
        let plan = planned(&record, &manifest, &target, &Wishes::default());
        apply(&plan, &target, &jobs, &store, "run", &mut |_| ()).unwrap();
        if let Err(differences) = verify_image(&target, &manifest, &|_| ()) {
            panic!("{differences:#?}");
        }
        drop(target);
        run("e2fsck", &["-fn", text(&path)]);
        let after = mounted("loop,ro", &path, &at, seen).unwrap();
        assert_eq!(after.len(), before.len());
        for (name, words) in &before {
            let shown = name.escape_ascii();
            assert_eq!(after.get(name), Some(words), "{shown} in {size} MiB");
        }
        assert_eq!(flags(&path, &at).unwrap(), listed);
        let again = MemoryStore::new();
        let second = captured(&FileDisk::open(&path, sector_size).unwrap(), &again, "all");
        let (found, _) = image(&again, &second);
        assert_eq!(found.volumes, manifest.volumes);
    }
    // Immutable files would stay in the way of the folder's removal elsewhere.
    drop(folder);
}
