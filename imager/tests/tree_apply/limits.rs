//! Targets that are full, small, or cannot hold everything.

use image_format::entry::{Kind, Xattr};
use imager::tree::Loss;
use imager::tree::apply::TreeError;
use imager::tree::plan::{PlanError, Wishes};

use crate::kit::{Data, Image, entry, file, folder, image, is_root, noise, run};

/// A mount that goes with the test.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn tmpfs(options: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().to_str().unwrap();
        run("mount", &["-t", "tmpfs", "-o", options, "none", at]);
        Self(dir)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run("umount", &[self.0.path().to_str().unwrap()]);
    }
}

fn megabytes(count: u64) -> Image {
    let mut all = vec![folder("")];
    for number in 0..count {
        let bytes = noise(number, 1_000_000);
        all.push(file(&format!("{number}.bin"), &bytes));
    }
    image(all)
}

#[test]
fn too_little_room_is_told_by_the_plan() {
    if !is_root() {
        eprintln!("not root: not tested");
        return;
    }
    let mount = Mounted::tmpfs("size=4m");
    let refused = megabytes(8).plan(mount.0.path(), &Wishes::default());
    assert!(
        matches!(refused, Err(PlanError::Room { what: "bytes", .. })),
        "{refused:?}"
    );
    let mount = Mounted::tmpfs("size=64m,nr_inodes=6");
    let refused = megabytes(8).plan(mount.0.path(), &Wishes::default());
    assert!(
        matches!(refused, Err(PlanError::Room { what: "inodes", .. })),
        "{refused:?}"
    );
}

#[test]
fn a_disk_that_becomes_full_is_told_with_the_path_and_nothing_is_claimed() {
    if !is_root() {
        eprintln!("not root: not tested");
        return;
    }
    let mount = Mounted::tmpfs("size=12m");
    let image = megabytes(8);
    let target = mount.0.path().join("t");
    let plan = image.plan(&target, &Wishes::default()).unwrap();
    let hog = mount.0.path().join("hog");
    std::fs::write(&hog, vec![1; 6 << 20]).unwrap();
    let error = image.carry_out(&plan, i64::MAX).unwrap_err();
    let TreeError::Path { path, source, .. } = &error else {
        panic!("{error}");
    };
    assert!(path.ends_with(".bin"), "{path}");
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
    assert!(target.join(".mimeo-apply").exists());
    std::fs::remove_file(hog).unwrap();
    image.apply(&target, &Wishes::default()).unwrap();
}

#[test]
fn what_fat_cannot_hold_is_refused_by_name_or_left_out_by_name() {
    if !is_root() {
        eprintln!("not root: not tested");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (disk, at) = (dir.path().join("disk"), dir.path().join("at"));
    std::fs::create_dir(&at).unwrap();
    std::fs::File::create(&disk)
        .unwrap()
        .set_len(40 << 20)
        .unwrap();
    run("mkfs.vfat", &[disk.to_str().unwrap()]);
    let mounted = std::process::Command::new("mount")
        .args(["-o", "loop", disk.to_str().unwrap(), at.to_str().unwrap()])
        .status();
    if !mounted.unwrap().success() {
        eprintln!("no FAT in this kernel: not tested");
        return;
    }
    let mut owned = file("Owned", b"x");
    owned.0.uid = 7;
    owned.0.xattrs = vec![Xattr {
        name: b"user.x".to_vec(),
        value: b"1".to_vec(),
    }];
    let link = (
        entry("link", Kind::Symlink(b"x".to_vec()), 0o777),
        Vec::new(),
    );
    let mut hollow = file("hollow", b"");
    hollow.1 = vec![Data::Hole(5 << 30)];
    let all = vec![
        folder(""),
        owned,
        link,
        hollow,
        file("same", b"1"),
        file("SAME", b"2"),
    ];
    let image = image(all);
    let target = at.join("t");
    let refused = image.plan(&target, &Wishes::default()).unwrap_err();
    let PlanError::Losses { losses } = &refused else {
        panic!("{refused}");
    };
    for (loss, path) in [
        (Loss::Xattr, "/Owned"),
        (Loss::Symlink, "/link"),
        (Loss::Size, "/hollow"),
        (Loss::Case, "/same"),
    ] {
        assert_eq!(losses.by_kind[&loss].first, [path], "{refused}");
    }
    let wishes = Wishes {
        allow_loss: true,
        ..Wishes::default()
    };
    let outcome = image.apply(&target, &wishes).unwrap();
    assert_eq!(outcome.losses, *losses);
    assert_eq!(std::fs::read(target.join("SAME")).unwrap(), b"2");
    run("umount", &[at.to_str().unwrap()]);
}

#[test]
fn a_name_that_is_too_long_is_refused_with_all_that_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let long = "n".repeat(300);
    let inside = format!("{long}/x");
    let image = image(vec![
        folder(""),
        folder(&long),
        file(&inside, b"x"),
        file("y", b"y"),
    ]);
    let refused = image.plan(dir.path(), &Wishes::default()).unwrap_err();
    assert!(
        refused.to_string().contains("1 names that are too long"),
        "{refused}"
    );
    let wishes = Wishes {
        allow_loss: true,
        ..Wishes::default()
    };
    let outcome = image.apply(dir.path(), &wishes).unwrap();
    assert_eq!(outcome.losses.by_kind[&Loss::InLostFolder].count, 1);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
