//! Trees nobody thought of.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use image_format::entry::{Entry, Kind};
use imager::tree::plan::Wishes;
use proptest::prelude::*;

use crate::kit::{Data, at, clean, entry, image, noise};

#[derive(Debug, Clone)]
enum Thing {
    Folder,
    File(Vec<(bool, u32)>),
    Link(String),
    Fifo,
}

fn thing() -> impl Strategy<Value = Thing> {
    prop_oneof![
        2 => Just(Thing::Folder),
        4 => proptest::collection::vec((any::<bool>(), 0_u32..200_000), 0..4).prop_map(Thing::File),
        1 => proptest::collection::vec((any::<bool>(), 1_000_000_u32..7_000_000), 0..2)
            .prop_map(Thing::File),
        1 => "[a-z/.]{1,20}".prop_map(Thing::Link),
        1 => Just(Thing::Fifo),
    ]
}

type Placed = (prop::sample::Index, String, Thing, u32, i64, u32);

fn placed() -> impl Strategy<Value = Placed> {
    let name = "[a-c \\-!./0~\u{e9}]{1,6}";
    let name = name.prop_filter("a name", |name| {
        !name.contains('/') && name != "." && name != ".."
    });
    (
        any::<prop::sample::Index>(),
        name,
        thing(),
        0_u32..0o1000,
        -2_000_000_000..6_000_000_000_i64,
        0..1_000_000_000_u32,
    )
}

fn entries(placed: Vec<Placed>) -> BTreeMap<Vec<u8>, (Entry, Vec<Data>)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![String::new()];
    all.insert(Vec::new(), (entry("", Kind::Directory, 0o750), Vec::new()));
    for (seed, (parent, name, thing, mode, seconds, nanoseconds)) in (0_u64..).zip(placed) {
        let parent = parent.get(&folders);
        let path = if parent.is_empty() {
            name
        } else {
            format!("{parent}/{name}")
        };
        if all.contains_key(path.as_bytes()) {
            continue;
        }
        let (kind, data) = match thing {
            Thing::Folder => {
                folders.push(path.clone());
                (Kind::Directory, Vec::new())
            }
            Thing::File(parts) => {
                let data = parts.into_iter().filter(|part| part.1 > 0);
                let data = data.map(|(hole, length)| match hole {
                    true => Data::Hole(length.into()),
                    false => Data::Bytes(noise(seed % 5, length as usize)),
                });
                (Kind::File, data.collect())
            }
            Thing::Link(to) => (Kind::Symlink(to.into_bytes()), Vec::new()),
            Thing::Fifo => (Kind::Fifo, Vec::new()),
        };
        let mode = if matches!(kind, Kind::Symlink(_)) {
            0o777
        } else {
            mode | 0o700
        };
        let mut entry = entry(&path, kind, mode);
        entry.times.modified = at(seconds, nanoseconds);
        all.insert(path.into_bytes(), (entry, data));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_tree_comes_out_as_it_went_in(
        one in proptest::collection::vec(placed(), 0..40),
        other in proptest::collection::vec(placed(), 0..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let expected = entries(one.clone());
        let first = image(entries(one).into_values().collect());
        first.apply(dir.path(), &Wishes::default()).unwrap();
        let mut count = 0;
        for (path, (entry, data)) in &expected {
            let path = dir.path().join(std::str::from_utf8(path).unwrap());
            let found = std::fs::symlink_metadata(&path).unwrap();
            prop_assert_eq!(found.mode() & 0o7777, entry.mode);
            prop_assert_eq!(found.mtime(), entry.times.modified.seconds);
            prop_assert_eq!(found.mtime_nsec(), i64::from(entry.times.modified.nanoseconds));
            if entry.kind == Kind::File {
                let mut bytes = Vec::new();
                for data in data {
                    match data {
                        Data::Bytes(part) => bytes.extend(part),
                        Data::Hole(length) => bytes.resize(bytes.len() + usize::try_from(*length).unwrap(), 0),
                    }
                }
                prop_assert!(std::fs::read(&path).unwrap() == bytes);
            }
            count += 1;
        }
        prop_assert_eq!(first.differences(dir.path()), Vec::<String>::new());
        // Another tree over it, taking what fits.
        let second = image(entries(other).into_values().collect());
        let outcome = second.apply(dir.path(), &Wishes { reuse: true, ..clean() }).unwrap();
        prop_assert_eq!(second.verify(dir.path()).ok(), outcome.proven);
        prop_assert!(count > 0);
    }
}
