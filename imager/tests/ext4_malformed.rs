//! Damaged volumes give an error or entries, never a panic or an endless walk.

#![allow(
    clippy::cast_possible_truncation,
    reason = "the numbers of these tests are small"
)]

mod ext4_support;

use std::fs;
use std::path::Path;

use ext4_support::*;
use image_format::entry::Kind;
use imager::disk::Disk;
use imager::volume::Found;
use imager::volume::ext4::open;

const SIZE: u64 = 2 << 20;

fn image(folder: &Path, features: &str) -> SparseDisk {
    let source = folder.join("source");
    fs::create_dir_all(source.join("a/b")).unwrap();
    for number in 0..200 {
        fs::write(source.join(format!("a/b/name-{number:040}")), [number; 100]).unwrap();
    }
    fs::write(source.join("large"), vec![1; 300_000]).unwrap();
    let _ = std::os::unix::fs::symlink("x".repeat(200), source.join("link"));
    let path = folder.join("image");
    fs::File::create(&path).unwrap().set_len(SIZE).unwrap();
    let (source, target) = (source.to_str().unwrap(), path.to_str().unwrap());
    let arguments = [
        "-q", "-F", "-t", "ext4", "-b", "1024", "-N", "256", "-O", features, "-d", source, target,
    ];
    let (code, text) = run("mke2fs", &arguments);
    assert_eq!(code, 0, "{text}");
    SparseDisk::load(&path)
}

/// Whether everything could be read.
fn read_all(disk: &dyn Disk) -> bool {
    let entries = open(disk).and_then(|reader| reader.entries());
    entries.is_ok_and(|entries| entries.len() < 10_000)
}

/// Offsets of the bytes that are not zero, the superblock's first.
fn places(disk: &SparseDisk) -> Vec<u64> {
    let mut bytes = vec![0; SIZE as usize];
    disk.read_at(0, &mut bytes).unwrap();
    (0..SIZE).filter(|&at| bytes[at as usize] != 0).collect()
}

#[test]
fn flipped_bits_never_panic_nor_hang_with_and_without_checksums() {
    for features in [
        "metadata_csum",
        "^metadata_csum,^has_journal",
        "^extents,^64bit,^metadata_csum",
        "inline_data",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let disk = image(folder.path(), features);
        open(&disk).and_then(|reader| reader.entries()).unwrap();
        let places = places(&disk);
        let mut refused = 0;
        for (turn, &at) in places.iter().enumerate().step_by(1 + places.len() / 6000) {
            let mut byte = [0];
            disk.read_at(at, &mut byte).unwrap();
            for flip in [1 << (turn % 8), 0xff] {
                disk.write_at(at, &[byte[0] ^ flip]).unwrap();
                refused += u32::from(!read_all(&disk));
            }
            disk.write_at(at, &byte).unwrap();
        }
        println!("{features}: {refused} damaged volumes were refused");
        assert!(refused > 0);
    }
}

#[test]
fn every_bit_of_the_superblock_and_descriptors_may_flip() {
    let folder = tempfile::tempdir().unwrap();
    let disk = image(folder.path(), "^metadata_csum");
    for at in 1024..3072 {
        let mut byte = [0];
        disk.read_at(at, &mut byte).unwrap();
        for bit in 0..8 {
            disk.write_at(at, &[byte[0] ^ 1 << bit]).unwrap();
            read_all(&disk);
        }
        disk.write_at(at, &byte).unwrap();
    }
}

/// What carries a checksum: all but the target of a long link.
fn summed(mut entries: Vec<Found>) -> Vec<Found> {
    entries.retain(|found| !matches!(found.entry.kind, Kind::Symlink(_)));
    entries
}

#[test]
fn a_checksum_notices_every_flip_in_an_inode() {
    let folder = tempfile::tempdir().unwrap();
    let disk = image(folder.path(), "metadata_csum");
    let reference = summed(open(&disk).unwrap().entries().unwrap());
    let places = places(&disk);
    for &at in places.iter().step_by(97) {
        let mut byte = [0];
        disk.read_at(at, &mut byte).unwrap();
        disk.write_at(at, &[byte[0] ^ 4]).unwrap();
        if let Ok(entries) = open(&disk).and_then(|reader| reader.entries()) {
            // What was hit is then not used: contents, the journal, bitmaps, an index.
            assert!(
                summed(entries) == reference,
                "a flip at {at} was not noticed"
            );
        }
        disk.write_at(at, &byte).unwrap();
    }
}

#[test]
fn volumes_cut_off_anywhere_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let disk = image(folder.path(), "metadata_csum");
    for size in (0..SIZE).step_by(1009) {
        let cut = imager::disk::Window::new(&disk, 0, size).unwrap();
        assert!(open(&cut).is_err());
    }
}

#[test]
fn an_extent_of_no_blocks_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let disk = image(folder.path(), "^metadata_csum");
    let mut bytes = vec![0; usize::try_from(SIZE).unwrap()];
    disk.read_at(0, &mut bytes).unwrap();
    // A node's magic, at least one record, depth 0; the record's length.
    let leaf = |at: &usize| bytes[*at..*at + 4] == [0x0a, 0xf3, 1, 0] && bytes[*at + 6] == 0;
    let mut refused = 0;
    for at in (0..bytes.len() - 24).step_by(4).filter(leaf) {
        let place = u64::try_from(at + 16).unwrap();
        disk.write_at(place, &[0, 0]).unwrap();
        refused += usize::from(open(&disk).and_then(|reader| reader.entries()).is_err());
        disk.write_at(place, &bytes[at + 16..at + 18]).unwrap();
    }
    assert!(refused > 3, "{refused} extents");
}
