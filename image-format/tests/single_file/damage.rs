//! Files that were cut, damaged, swapped, or that lie.

use std::fs;

use crate::mim::{payloads, piped, rebuilt, refused, sections, take};
use crate::{around_sections, holds, two_versions};
use image_format::file::{Kind, MimFile, scan};
use image_format::store::MemoryStore;

#[test]
fn stream_cut_near_any_section_commits_nothing_and_the_next_try_goes_on() {
    let (store, records) = two_versions();
    let bytes = piped(&store, &records);
    for length in around_sections(&bytes, 0) {
        let error = refused(&bytes[..length]);
        assert!(
            error.contains("cut off") || error.contains("ends after"),
            "{length}: {error}"
        );
    }
    let into = MemoryStore::new();
    take(&bytes[..bytes.len() - 1], &into).unwrap_err();
    let report = take(&bytes, &into).unwrap();
    assert!(report.blocks == 0 && report.passed_over > 0);
    holds(&into, "pc", 2, 2);

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    for length in around_sections(&bytes, 0) {
        fs::write(&path, &bytes[..length]).unwrap();
        MimFile::open(&path).unwrap_err();
    }
}

#[test]
fn every_damaged_section_is_named_and_nothing_of_the_file_is_committed() {
    let (store, records) = two_versions();
    let bytes = piped(&store, &records[..1]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pc.mim");
    for (at, section) in sections(&bytes) {
        for offset in [0, 15, 40, 95, 96, section.total() - 1] {
            let place = at + usize::try_from(offset).unwrap();
            let mut damaged = bytes.clone();
            damaged[place] ^= 4;
            refused(&damaged);
            fs::write(&path, &damaged).unwrap();
            let report = scan(&path).unwrap();
            let found = &report.damage[0];
            assert_eq!(found.at, at as u64, "{offset} of {section:?}: {found:?}");
            assert_eq!(found.length, section.total(), "{found:?}");
        }
    }
}

#[test]
fn swapped_missing_and_repeated_sections_are_noticed() {
    let (store, records) = two_versions();
    let bytes = piped(&store, &records);
    let mut ranges: Vec<_> = sections(&bytes)
        .into_iter()
        .map(|(at, section)| at..at + usize::try_from(section.total()).unwrap())
        .collect();
    let join = |ranges: &[std::ops::Range<usize>]| -> Vec<u8> {
        ranges
            .iter()
            .flat_map(|range| bytes[range.clone()].to_vec())
            .collect()
    };
    for at in 1..ranges.len() {
        ranges.swap(at - 1, at);
        refused(&join(&ranges));
        ranges.swap(at - 1, at);
        let mut fewer = ranges.clone();
        fewer.remove(at);
        refused(&join(&fewer));
        fewer.insert(at, ranges[at].clone());
        fewer.insert(at, ranges[at].clone());
        refused(&join(&fewer));
    }
}

#[test]
fn file_that_lies_with_right_hashes_is_refused() {
    let (store, records) = two_versions();
    let bytes = piped(&store, &records[..1]);
    let all = payloads(&bytes);
    assert!(rebuilt(&all) == bytes);
    let first = all
        .iter()
        .position(|(kind, _)| *kind == Kind::Chunks)
        .unwrap();

    let mut lost = all.clone();
    lost.drain(first..first + 2);
    assert!(refused(&rebuilt(&lost)).contains("block table"));

    let mut renamed = all.clone();
    renamed[first].1[50] ^= 1;
    assert!(refused(&rebuilt(&renamed)).contains("has other bytes than its id says"));

    let mut other = all.clone();
    let block = other
        .iter()
        .rposition(|(kind, _)| *kind == Kind::Block)
        .unwrap();
    other[first + 1] = all[block].clone();
    assert!(refused(&rebuilt(&other)).contains("another block than the chunk list"));

    let mut elsewhere = all.clone();
    let images = elsewhere
        .iter()
        .position(|(kind, _)| *kind == Kind::Images)
        .unwrap();
    elsewhere[images].1[40] ^= 1;
    refused(&rebuilt(&elsewhere));

    let later = (Kind::Unknown(900), b"of a later version".to_vec());
    let mut optional = all.clone();
    optional.push(later.clone());
    take(&rebuilt(&optional), &MemoryStore::new()).unwrap();
    let mut optional = all;
    optional.insert(first, later);
    // The table tells of other places now, which is noticed.
    assert!(refused(&rebuilt(&optional)).contains("block table"));
}

#[test]
fn file_without_a_block_its_image_needs_is_refused() {
    let (store, records) = two_versions();
    let all = payloads(&piped(&store, &records[..1]));
    let without: Vec<_> = all
        .into_iter()
        .filter(|(kind, _)| !matches!(kind, Kind::Chunks | Kind::Block | Kind::Table))
        .collect();
    let error = refused(&rebuilt(&without));
    assert!(error.contains("is in no block"), "{error}");
}
