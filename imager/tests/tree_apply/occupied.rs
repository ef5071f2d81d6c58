//! Targets that hold something already.

use std::os::unix::fs::MetadataExt;

use imager::tree::apply::TreeError;
use imager::tree::plan::{Others, PlanError, Wishes};

use crate::kit::{Image, clean, file, folder, image, keep, noise, run};

fn small() -> Image {
    image(vec![
        folder(""),
        folder("etc"),
        file("etc/a", b"a"),
        file("etc/b", &noise(1, 5000)),
    ])
}

#[test]
fn a_target_with_things_in_it_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine"), "mine").unwrap();
    let refused = small().plan(dir.path(), &Wishes::default()).unwrap_err();
    let text = refused.to_string();
    assert!(
        matches!(refused, PlanError::Occupied { names: 1, .. }),
        "{text}"
    );
    assert!(text.contains("mine") && text.contains("--clean"), "{text}");
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(names.len(), 1);
}

#[test]
fn a_plan_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let before = std::fs::metadata(dir.path()).unwrap().modified().unwrap();
    small().plan(dir.path(), &Wishes::default()).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let after = std::fs::metadata(dir.path()).unwrap().modified().unwrap();
    assert_eq!(before, after);
    let missing = dir.path().join("not/there");
    assert!(small().plan(&missing, &Wishes::default()).unwrap().make);
    assert!(!missing.exists());
}

#[test]
fn keeping_leaves_others_and_replaces_what_the_image_has() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("etc/mine")).unwrap();
    std::fs::write(dir.path().join("etc/a"), "old and longer").unwrap();
    std::fs::write(dir.path().join("outside"), "untouched").unwrap();
    std::fs::hard_link(dir.path().join("outside"), dir.path().join("etc/b")).unwrap();
    small().apply(dir.path(), &keep()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("etc/a")).unwrap(), b"a");
    assert_eq!(
        std::fs::read(dir.path().join("etc/b")).unwrap(),
        noise(1, 5000)
    );
    assert_eq!(
        std::fs::read(dir.path().join("outside")).unwrap(),
        b"untouched"
    );
    assert!(dir.path().join("etc/mine").is_dir());
    assert_eq!(
        small().differences(dir.path()),
        [
            "/etc/mine: must not be there",
            "/outside: must not be there"
        ]
    );
}

#[test]
fn keeping_does_not_remove_a_folder_that_lies_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("etc/a")).unwrap();
    std::fs::write(dir.path().join("etc/a/mine"), "mine").unwrap();
    let error = small().apply(dir.path(), &keep()).unwrap_err();
    assert!(matches!(error, TreeError::FolderInTheWay { .. }), "{error}");
    assert_eq!(
        std::fs::read(dir.path().join("etc/a/mine")).unwrap(),
        b"mine"
    );
}

#[test]
fn cleaning_makes_it_exactly_the_image() {
    for reuse in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let image = small();
        image.apply(dir.path(), &Wishes::default()).unwrap();
        std::fs::create_dir_all(dir.path().join("deep/er/est")).unwrap();
        std::fs::write(dir.path().join("deep/er/est/x"), "x").unwrap();
        std::fs::write(dir.path().join("etc/extra"), "x").unwrap();
        std::fs::remove_file(dir.path().join("etc/a")).unwrap();
        std::fs::create_dir(dir.path().join("etc/a")).unwrap();
        std::fs::write(dir.path().join("etc/a/in"), "x").unwrap();
        let wishes = Wishes {
            others: Others::Remove,
            reuse,
            ..Wishes::default()
        };
        let outcome = image.apply(dir.path(), &wishes).unwrap();
        assert_eq!(outcome.removed, 2);
        assert!(image.differences(dir.path()).is_empty());
    }
}

#[test]
fn reuse_mends_attributes_without_writing_contents() {
    let dir = tempfile::tempdir().unwrap();
    let image = small();
    image.apply(dir.path(), &Wishes::default()).unwrap();
    let a = dir.path().join("etc/b");
    std::fs::set_permissions(&a, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    rustix::fs::setxattr(&a, c"user.x", b"1", rustix::fs::XattrFlags::empty()).unwrap();
    assert_eq!(image.differences(dir.path()).len(), 2);
    let outcome = image
        .apply(
            dir.path(),
            &Wishes {
                reuse: true,
                ..clean()
            },
        )
        .unwrap();
    assert_eq!((outcome.written, outcome.kept), (0, 2));
}

#[test]
fn reuse_keeps_hard_links_that_are_right_and_parts_from_names_outside() {
    let mut image = vec![folder(""), folder("a"), file("c", &noise(3, 90_000))];
    for path in ["a/one", "b"] {
        let mut both = file(path, &noise(2, 70_000));
        both.0.link = Some(7);
        // The first name carries the contents.
        if path == "b" {
            both.1.clear();
        }
        image.push(both);
    }
    let image = crate::kit::image(image);
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    image.apply(&target, &Wishes::default()).unwrap();
    let inode = |path: &str| std::fs::metadata(target.join(path)).unwrap().ino();
    let reuse = Wishes {
        reuse: true,
        ..clean()
    };
    let before = inode("a/one");
    let outcome = image.apply(&target, &reuse).unwrap();
    assert_eq!((outcome.written, outcome.kept), (0, 2));
    assert_eq!((inode("a/one"), inode("b")), (before, before));

    // A name outside: what it leads to is left as it is, down to its mode.
    std::fs::hard_link(target.join("b"), dir.path().join("outside")).unwrap();
    std::fs::set_permissions(
        dir.path().join("outside"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let outcome = image.apply(&target, &reuse).unwrap();
    assert_eq!((outcome.written, outcome.kept), (70_000, 1));
    let outside = std::fs::metadata(dir.path().join("outside")).unwrap();
    assert_eq!((outside.ino(), outside.nlink()), (before, 1));
    assert_eq!(outside.mode() & 0o777, 0o600);
    assert!(image.differences(&target).is_empty());

    // As many names as in the image, but one of them elsewhere.
    std::fs::remove_file(target.join("b")).unwrap();
    std::fs::hard_link(target.join("a/one"), dir.path().join("other")).unwrap();
    image.apply(&target, &reuse).unwrap();
    let other = std::fs::metadata(dir.path().join("other")).unwrap();
    assert_eq!(other.nlink(), 1);
    assert_ne!(other.ino(), inode("a/one"));
    assert!(image.differences(&target).is_empty());
}

#[test]
fn cleaning_is_refused_before_anything_is_removed_when_something_is_mounted_below() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("a/mount here")).unwrap();
    std::fs::write(dir.path().join("0-mine"), "mine").unwrap();
    let at = dir.path().join("a/mount here");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "tmpfs", at.to_str().unwrap()])
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("SKIPPED: this machine lets nobody mount");
        return;
    }
    let refused = [false, true].map(|reuse| small().plan(dir.path(), &Wishes { reuse, ..clean() }));
    run("umount", &[at.to_str().unwrap()]);
    for refused in refused {
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("a/mount here"), "{text}");
    }
    assert!(dir.path().join("0-mine").exists());
    small().apply(dir.path(), &clean()).unwrap();
    assert!(!dir.path().join("a").exists());
}

#[test]
fn the_running_system_is_no_target() {
    for wishes in [Wishes::default(), clean(), keep()] {
        let refused = small().plan("/".as_ref(), &wishes).unwrap_err();
        assert!(
            matches!(refused, PlanError::RunningSystem { .. }),
            "{refused}"
        );
    }
}
