//! Every change is named, and only what changed.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use image_format::entry::Kind;
use imager::tree::plan::Wishes;

use crate::kit::{Image, entry, file, folder, image, noise};

fn sample() -> Image {
    let link = (
        entry("d/link", Kind::Symlink(b"there".to_vec()), 0o777),
        Vec::new(),
    );
    let mut one = file("d/one", b"linked");
    one.0.link = Some(1);
    let mut two = (entry("d/two", Kind::File, 0o644), Vec::new());
    two.0.link = Some(1);
    image(vec![
        folder(""),
        folder("d"),
        file("d/inline", b"inline"),
        file("d/large", &noise(1, 3_000_000)),
        file("d/very-large", &noise(2, 50_000_000)),
        link,
        one,
        two,
    ])
}

fn flip(path: &Path, at: usize) {
    let times = std::fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(times).unwrap();
}

type Change = fn(&Path);

#[test]
fn each_change_is_named_with_its_path() {
    let changes: [(Change, &[&str]); 9] = [
        (
            |d| flip(&d.join("inline"), 3),
            &["/d/inline: contents differ in 6 bytes at 0"],
        ),
        (
            |d| flip(&d.join("large"), 2_999_999),
            &["/d/large: contents differ in"],
        ),
        (
            |d| flip(&d.join("very-large"), 49_999_999),
            &["/d/very-large: contents differ in"],
        ),
        (
            |d| {
                std::fs::set_permissions(d.join("inline"), PermissionsExt::from_mode(0o600))
                    .unwrap()
            },
            &["/d/inline: mode: expected 0644, found 0600"],
        ),
        (
            |d| std::fs::remove_file(d.join("large")).unwrap(),
            &["/d: time modified", "/d/large: missing"],
        ),
        (
            |d| std::fs::write(d.join("extra"), "").unwrap(),
            &["/d: time modified", "/d/extra: must not be there"],
        ),
        (
            |d| {
                std::fs::remove_file(d.join("link")).unwrap();
                symlink("elsewhere", d.join("link")).unwrap();
            },
            &[
                "/d: time modified",
                "/d/link: kind: expected a link to there, found a link to elsewhere",
            ],
        ),
        (
            |d| {
                let bytes = std::fs::read(d.join("inline")).unwrap();
                std::fs::write(d.join("inline"), [bytes, b"more".to_vec()].concat()).unwrap();
            },
            &[
                "/d/inline: time modified",
                "/d/inline: length: expected 6, found 10",
            ],
        ),
        (
            |d| {
                std::fs::remove_file(d.join("two")).unwrap();
                std::fs::copy(d.join("one"), d.join("two")).unwrap();
            },
            &[
                "/d: time modified",
                "/d/one: number of names",
                "/d/two: time modified",
                "/d/two: number of names",
            ],
        ),
    ];
    let image = sample();
    for (change, expected) in changes {
        let dir = tempfile::tempdir().unwrap();
        image.apply(dir.path(), &Wishes::default()).unwrap();
        assert_eq!(image.differences(dir.path()), [""; 0]);
        change(&dir.path().join("d"));
        let found = image.differences(dir.path());
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for expected in expected {
            let named = found.iter().any(|line| line.starts_with(expected));
            assert!(named, "{expected}: {found:?}");
        }
    }
}

#[test]
fn two_applies_prove_the_same_and_another_image_does_not() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let image = sample();
    let first = image
        .apply(one.path(), &Wishes::default())
        .unwrap()
        .proven
        .unwrap();
    let second = image
        .apply(other.path(), &Wishes::default())
        .unwrap()
        .proven
        .unwrap();
    assert_eq!(first, second);
    assert_eq!((first.volume.entries, first.volume.bytes), (8, 53_000_012));
    let differences = crate::kit::image(vec![folder("")]).differences(one.path());
    assert_eq!(differences, ["/d: must not be there"]);
}
