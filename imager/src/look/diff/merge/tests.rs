//! The walk against the plain comparison of two maps.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use image_format::entry::Kind;
use image_format::ids::ChunkId;
use proptest::prelude::*;

use super::*;

/// Trees as path and mode.
type Files = BTreeMap<Vec<u8>, u32>;

/// Leaves that are cut where a hash says so, as images have them.
fn leaves(files: &Files, stored: &mut HashMap<ChunkId, Vec<Entry>>) -> Vec<LeafRef> {
    let mut all = Vec::new();
    let mut open: Vec<Entry> = Vec::new();
    let mut close = |open: &mut Vec<Entry>| {
        let entries = std::mem::take(open);
        let Some(first) = entries.first().map(|entry| entry.path.clone()) else {
            return;
        };
        let words = format!("{entries:?}");
        let rows = u32::try_from(entries.len()).unwrap();
        let chunk = image_format::ids::ChunkRef::to(words.as_bytes()).unwrap();
        stored.insert(chunk.id, entries);
        all.push(LeafRef { first, rows, chunk });
    };
    for (path, mode) in files {
        let mut entry = Entry::new(path.clone(), Kind::File);
        entry.mode = *mode;
        open.push(entry);
        if blake3::hash(path).as_bytes()[0] & 3 == 0 {
            close(&mut open);
        }
    }
    close(&mut open);
    all
}

fn words(step: &Step) -> (Vec<u8>, Option<u32>, Option<u32>) {
    match step {
        Step::Old(old) => (old.path.clone(), Some(old.mode), None),
        Step::New(new) => (new.path.clone(), None, Some(new.mode)),
        Step::Both(old, new) => (old.path.clone(), Some(old.mode), Some(new.mode)),
    }
}

/// All steps, and how many leaves were read.
fn walk(old: &Files, new: &Files, under: &[u8]) -> (Vec<Step>, usize) {
    let mut stored = HashMap::new();
    let (before, after) = (leaves(old, &mut stored), leaves(new, &mut stored));
    let read = RefCell::new(0);
    let load = |leaf: &LeafRef| {
        *read.borrow_mut() += 1;
        Ok(stored[&leaf.chunk.id].clone())
    };
    let mut steps = Vec::new();
    merge(
        &mut Cursor::new(&before, under, &load),
        &mut Cursor::new(&after, under, &load),
        &mut |step| {
            steps.push(step);
            Ok(())
        },
    )
    .unwrap();
    (steps, read.into_inner())
}

fn files() -> impl Strategy<Value = Files> {
    let path = proptest::collection::vec(
        prop_oneof![Just("a"), Just("b"), Just("a-b"), Just("c")],
        1..4,
    )
    .prop_map(|parts| parts.join("/").into_bytes());
    proptest::collection::btree_map(path, 0..2_u32, 0..40)
}

proptest! {
    #[test]
    fn the_walk_finds_what_a_plain_comparison_finds(
        old in files(),
        new in files(),
        under in prop_oneof![Just(""), Just("a"), Just("a/b"), Just("z")],
    ) {
        let under = under.as_bytes();
        let (steps, _) = walk(&old, &new, under);
        let paths: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        let expected: Vec<_> = paths
            .into_iter()
            .filter(|path| lies_under(under, path) && old.get(*path) != new.get(*path))
            .map(|path| (path.clone(), old.get(path).copied(), new.get(path).copied()))
            .collect();
        let found: Vec<_> = steps.iter().map(words).collect();
        prop_assert_eq!(&found, &expected);
        let (back, _) = walk(&new, &old, under);
        let back: Vec<_> = back.iter().map(words).map(|(path, old, new)| (path, new, old)).collect();
        prop_assert_eq!(back, expected);
    }
}

#[test]
fn equal_leaves_are_not_read() {
    let old: Files = (0..5000)
        .map(|at| (format!("f{at:04}").into_bytes(), 1))
        .collect();
    assert_eq!(walk(&old, &old, b""), (Vec::new(), 0));
    let mut new = old.clone();
    new.insert(b"f2500".to_vec(), 2);
    new.insert(b"f4000x".to_vec(), 1);
    new.remove(b"f0100".as_slice());
    let (steps, read) = walk(&old, &new, b"");
    assert_eq!(steps.len(), 3);
    assert!(read <= 12, "{read} leaves were read");
}
