//! Applies that end early.

use imager::tree::apply::TreeError;
use imager::tree::plan::{PlanError, Wishes};

use crate::kit::{Image, clean, file, folder, image, noise};

fn large() -> Image {
    let mut all = vec![folder(""), folder("a"), folder("b")];
    for number in 0..70_u32 {
        let bytes = noise(number.into(), 600_000);
        all.push(file(&format!("a/{number}.bin"), &bytes));
    }
    all.push(file("b/long.bin", &noise(100, 40_000_000)));
    all.push(file("b/small", b"small"));
    image(all)
}

#[test]
fn an_interrupted_apply_goes_on_and_ends_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let image = large();
    let blocks = i64::try_from(image.blocks()).unwrap();
    assert!(blocks > 5);
    let whole = dir.path().join("whole");
    let proven = image.apply(&whole, &Wishes::default()).unwrap().proven;
    for stop in [0, 1, blocks / 2, blocks - 1] {
        let target = dir.path().join(format!("stopped at {stop}"));
        let error = image
            .apply_with(&target, &Wishes::default(), stop)
            .unwrap_err();
        assert!(matches!(error, TreeError::Fetch { .. }), "{error}");
        assert!(target.join(".mimeo-apply").exists());
        assert!(!image.differences(&target).is_empty());
        // Bytes that went wrong meanwhile are not trusted.
        let hurt = target.join("a/3.bin");
        if hurt.exists() {
            let mut bytes = std::fs::read(&hurt).unwrap();
            bytes[4321] ^= 1;
            std::fs::write(&hurt, bytes).unwrap();
        }
        let plan = image.plan(&target, &Wishes::default()).unwrap();
        assert!(plan.resume && plan.wishes.reuse);
        let outcome = image.carry_out(&plan, i64::MAX).unwrap();
        assert_eq!(outcome.proven, proven, "stopped at {stop}");
        assert!(outcome.kept > 0);
        if stop == blocks - 1 {
            assert!(outcome.written < 25_000_000, "{}", outcome.written);
        }
        assert!(!target.join(".mimeo-apply").exists());
    }
}

#[test]
fn another_image_does_not_go_on_where_one_was_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("t");
    large()
        .apply_with(&target, &Wishes::default(), 2)
        .unwrap_err();
    let other = image(vec![folder(""), file("only", b"this")]);
    let refused = other.plan(&target, &Wishes::default());
    assert!(matches!(refused, Err(PlanError::OtherImage { .. })));
    other.apply(&target, &clean()).unwrap();
    let names = std::fs::read_dir(&target).unwrap();
    assert_eq!(names.count(), 1);
}

#[test]
fn a_note_of_somebody_else_is_not_taken_for_ours() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(vec![folder(""), file("only", b"this")]);
    std::fs::write(dir.path().join(".mimeo-apply"), "{\"image\":\"x\"}").unwrap();
    let refused = image.plan(dir.path(), &Wishes::default());
    assert!(matches!(refused, Err(PlanError::Marker { .. })));
    std::fs::remove_file(dir.path().join(".mimeo-apply")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", dir.path().join(".mimeo-apply")).unwrap();
    let refused = image.plan(dir.path(), &Wishes::default());
    assert!(matches!(refused, Err(PlanError::Marker { .. })));
}

#[test]
fn a_long_file_is_mended_where_it_is_wrong_and_not_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let image = large();
    image.apply(dir.path(), &Wishes::default()).unwrap();
    let long = dir.path().join("b/long.bin");
    let mut bytes = std::fs::read(&long).unwrap();
    bytes[10_000_000] ^= 1;
    std::fs::write(&long, bytes).unwrap();
    let wishes = Wishes {
        reuse: true,
        ..clean()
    };
    let outcome = image.apply(dir.path(), &wishes).unwrap();
    assert!(
        outcome.written > 0 && outcome.written <= 4 << 20,
        "{}",
        outcome.written
    );
    assert_eq!(outcome.kept, 71);
}
