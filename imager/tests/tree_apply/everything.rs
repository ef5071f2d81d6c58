//! One of everything, looked at attribute by attribute with the system's own words.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use image_format::entry::{Entry, Kind, Xattr};
use imager::tree::plan::Wishes;

use crate::kit::{Data, Image, at, entry, file, folder, image, is_root, noise};

/// `user::rw- user:1:r-- group::r-- mask::r-- other::---`
const ACL: &[u8] = b"\x02\0\0\0\
    \x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\x01\0\0\0\x04\0\x04\0\xff\xff\xff\xff\
    \x10\0\x04\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff";
/// `cap_net_raw=ep`, revision 2.
const CAPABILITY: &[u8] = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

fn xattr(name: &str, value: &[u8]) -> Xattr {
    Xattr {
        name: name.as_bytes().to_vec(),
        value: value.to_vec(),
    }
}

fn plain(entry: Entry) -> (Entry, Vec<Data>) {
    (entry, Vec::new())
}

fn everything() -> Image {
    let long = "n".repeat(255);
    let mut all = vec![
        folder(""),
        folder("dir"),
        folder("dir/deep"),
        folder("dir-x"),
    ];
    all.push(file("dir/small", b"inline"));
    all.push(file("dir/empty", b""));
    all.push(file("dir/deep/one", &noise(1, 300_000)));
    all.push(file("dir/deep/same", &noise(1, 300_000)));
    all.push(file("dir/large", &noise(2, 9_000_000)));
    all.push(file(&long, b"long name"));
    all.push(plain(entry(b"bytes \xff\xfe\n", Kind::File, 0o600)));
    let mut sparse = file("sparse", b"");
    sparse.1 = vec![
        Data::Hole(1 << 30),
        Data::Bytes(noise(3, 70_000)),
        Data::Hole(123),
    ];
    all.push(sparse);
    let mut hollow = file("hollow", b"");
    hollow.1 = vec![Data::Hole(50 << 30)];
    all.push(hollow);
    let mut owned = file("owned", &noise(4, 5000));
    (owned.0.uid, owned.0.gid, owned.0.mode) = (1234, 5678, 0o6751);
    all.push(owned);
    let mut sticky = folder("sticky");
    (sticky.0.mode, sticky.0.gid) = (0o3777, 42);
    sticky.0.xattrs = vec![xattr("system.posix_acl_default", ACL)];
    all.push(sticky);
    all.push(file("sticky/inside", b"no list of mine"));
    let mut listed = file("listed", &noise(5, 2000));
    (listed.0.mode, listed.0.xattrs) = (0o640, vec![xattr("system.posix_acl_access", ACL)]);
    all.push(listed);
    let mut able = file("able", &noise(6, 2000));
    (able.0.mode, able.0.uid) = (0o755, 7);
    able.0.xattrs = vec![
        xattr("security.capability", CAPABILITY),
        xattr("trusted.t", b""),
        xattr("user.comment", b"\0\xff"),
    ];
    all.push(able);
    let mut still = file("still", b"immutable");
    still.0.flags = 0x10;
    all.push(still);
    let mut still_folder = folder("still-folder");
    still_folder.0.flags = 0x10 | 0x40;
    all.push(still_folder);
    all.push(file("still-folder/inside", b"inside"));
    let mut no_dump = file("no-dump", &noise(7, 2000));
    no_dump.0.flags = 0x40 | 0x80;
    all.push(no_dump);
    for (name, seconds) in [
        ("old", -1),
        ("older", -2_000_000_000),
        ("late", 5_000_000_000),
    ] {
        let mut timed = file(name, b"x");
        timed.0.times.modified = at(seconds, 999_999_999);
        all.push(timed);
    }
    let mut link = entry("link", Kind::Symlink(b"../no\xffwhere".to_vec()), 0o777);
    (link.uid, link.gid) = (5, 6);
    link.xattrs = vec![xattr("trusted.link", b"1")];
    all.push(plain(link));
    let mut node = entry("null", Kind::CharDevice { major: 1, minor: 3 }, 0o666);
    node.xattrs = vec![xattr("trusted.node", b"1")];
    all.push(plain(node));
    all.push(plain(entry(
        "disk",
        Kind::BlockDevice {
            major: 259,
            minor: 70_000,
        },
        0o660,
    )));
    let mut pipe = entry("pipe", Kind::Fifo, 0o4620);
    pipe.uid = 9;
    all.push(plain(pipe));
    all.push(plain(entry("socket", Kind::Socket, 0o755)));
    all.extend(groups());
    image(all)
}

/// Hard links of a small file, a large one, a link, a device, an immutable file.
fn groups() -> Vec<(Entry, Vec<Data>)> {
    let mut all = Vec::new();
    let kinds = [
        ("inline", Kind::File, Some(b"twice".to_vec()), 0),
        ("block", Kind::File, Some(noise(8, 3_000_000)), 0),
        ("symlink", Kind::Symlink(b"t".to_vec()), None, 0),
        ("device", Kind::CharDevice { major: 5, minor: 0 }, None, 0),
        ("frozen", Kind::File, Some(b"frozen".to_vec()), 0x10),
    ];
    for (link, (name, kind, bytes, flags)) in (1_u32..).zip(kinds) {
        for (folder, bytes) in [("dir-x", bytes), ("dir", None), ("sticky", None)] {
            let mode = if matches!(kind, Kind::Symlink(_)) {
                0o777
            } else {
                0o600
            };
            let mut one = entry(format!("{folder}/linked-{name}"), kind.clone(), mode);
            (one.link, one.flags) = (Some(link), flags);
            all.push((one, bytes.map(Data::Bytes).into_iter().collect()));
        }
    }
    all
}

fn path(target: &Path, path: &[u8]) -> PathBuf {
    target.join(OsStr::from_bytes(path))
}

/// Compares one entry by the calls of the standard library and of the system.
fn same(target: &Path, entry: &Entry) {
    let at = path(target, &entry.path);
    let found = std::fs::symlink_metadata(&at).unwrap();
    let shown = entry.display_path();
    assert_eq!(
        (found.uid(), found.gid()),
        (entry.uid, entry.gid),
        "{shown}"
    );
    assert_eq!(found.mode() & 0o7777, entry.mode, "{shown}");
    let modified = entry.times.modified;
    let times = (found.mtime(), found.mtime_nsec());
    assert_eq!(
        times,
        (modified.seconds, modified.nanoseconds.into()),
        "{shown}"
    );
    let kind = found.file_type();
    match &entry.kind {
        Kind::Directory => assert!(kind.is_dir()),
        Kind::File => {
            assert!(kind.is_file());
            if entry.link.is_none() {
                assert_eq!(found.len(), entry.content.size(), "{shown}");
            }
        }
        Kind::Symlink(to) => {
            assert_eq!(std::fs::read_link(&at).unwrap().as_os_str().as_bytes(), to);
        }
        Kind::CharDevice { major, minor } => {
            assert!(kind.is_char_device());
            assert_eq!(found.rdev(), rustix::fs::makedev(*major, *minor));
        }
        Kind::BlockDevice { major, minor } => {
            assert!(kind.is_block_device());
            assert_eq!(found.rdev(), rustix::fs::makedev(*major, *minor));
        }
        Kind::Fifo => assert!(kind.is_fifo()),
        Kind::Socket | Kind::RawVolume => unreachable!(),
    }
    for xattr in &entry.xattrs {
        let mut value = vec![0; 1000];
        let name = xattr.name.as_slice();
        let length = rustix::fs::lgetxattr(&at, name, &mut value[..]).unwrap();
        assert_eq!(
            value[..length],
            xattr.value,
            "{shown} {}",
            name.escape_ascii()
        );
    }
    let mut list = vec![0; 1000];
    let length = rustix::fs::llistxattr(&at, &mut list[..]).unwrap();
    let names = list[..length].iter().filter(|&&byte| byte == 0).count();
    assert_eq!(names, entry.xattrs.len(), "{shown}");
    if matches!(entry.kind, Kind::File | Kind::Directory) {
        let flags = rustix::fs::ioctl_getflags(std::fs::File::open(&at).unwrap()).unwrap();
        assert_eq!(flags.bits() & 0xff, entry.flags, "{shown}");
    }
}

/// Immutable things cannot be removed with the folder of the test.
fn thaw(target: &Path) {
    run_chattr(&["-R", "-i", target.to_str().unwrap()]);
}

fn run_chattr(args: &[&str]) {
    // Links and devices have no flags: it says so and fails.
    let _ = std::process::Command::new("chattr")
        .arg("-f")
        .args(args)
        .output()
        .unwrap();
}

#[test]
fn one_of_everything_arrives_with_every_attribute() {
    if !is_root() {
        eprintln!("not root: not tested");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("new/target");
    let image = everything();
    let outcome = image.apply(&target, &Wishes::default()).unwrap();
    assert_eq!(
        outcome.losses.to_string(),
        "1 sockets (made again by whoever listens): /socket"
    );
    let manifest = image.share.manifest(&image.id).unwrap();
    for entry in &manifest.volumes[0].entries {
        if entry.kind != Kind::Socket {
            same(&target, entry);
        }
    }
    assert!(!target.join("socket").exists());
    assert!(!target.join(".mimeo-apply").exists());
    assert_eq!(
        std::fs::read(target.join("dir/large")).unwrap(),
        noise(2, 9_000_000)
    );
    assert_eq!(
        std::fs::read(target.join("dir/deep/same")).unwrap(),
        noise(1, 300_000)
    );
    assert_eq!(std::fs::read(target.join("owned")).unwrap(), noise(4, 5000));
    let sparse = std::fs::metadata(target.join("sparse")).unwrap();
    assert!(sparse.blocks() * 512 < 200_000, "holes were written");
    assert_eq!(
        std::fs::metadata(target.join("hollow")).unwrap().blocks(),
        0
    );
    for name in ["inline", "block", "symlink", "device", "frozen"] {
        let inode = |folder: &str| {
            let found = target.join(format!("{folder}/linked-{name}"));
            let found = found.symlink_metadata().unwrap();
            assert_eq!(found.nlink(), 3, "{name}");
            found.ino()
        };
        assert_eq!(inode("dir"), inode("dir-x"));
        assert_eq!(inode("dir"), inode("sticky"));
    }
    assert_eq!(
        std::fs::read(target.join("sticky/linked-block")).unwrap(),
        noise(8, 3_000_000)
    );
    let proven = image.verify(&target).unwrap();
    assert_eq!(Some(proven), outcome.proven);

    // Again with all that lies there, immutable things among it.
    let wishes = Wishes {
        reuse: true,
        ..crate::kit::clean()
    };
    let again = image.apply(&target, &wishes).unwrap();
    assert!(again.kept > 15 && again.written == 0, "{again:?}");
    assert_eq!(again.removed, 0);
    assert_eq!(again.proven, outcome.proven);
    // And from nothing over all of it.
    let anew = image.apply(&target, &crate::kit::clean()).unwrap();
    assert_eq!((anew.kept, anew.proven), (0, outcome.proven));
    thaw(&target);
}
