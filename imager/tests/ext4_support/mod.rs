//! What the ext4 tests share: a sparse disk in memory, a small capture and
//! apply, and the programs of e2fsprogs.

#![allow(dead_code, unused_imports, reason = "each test file uses its part")]
#![allow(
    clippy::cast_possible_truncation,
    reason = "the numbers of these tests are small"
)]

mod disk;
mod grow;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use image_format::entry::{Content, Entry, INLINE_LIMIT, Kind, Piece, Times, Timestamp};
use image_format::ids::ChunkId;
use image_format::image::VolumeTree;
use image_format::layout::{Ext4Facts, Partition, Volume};
use imager::disk::Disk;
use imager::volume::ext4::{Ext4Builder, open};
use imager::volume::{Builder, Data, Found, Layout, Run};

pub(crate) use disk::SparseDisk;
pub(crate) use grow::Grower;

/// A tree with the bytes of its chunks.
#[derive(Clone)]
pub(crate) struct Captured {
    pub(crate) partition: Partition,
    pub(crate) tree: VolumeTree,
    pub(crate) chunks: HashMap<ChunkId, Vec<u8>>,
}

pub(crate) fn facts(block_size: u32, inode_size: u32) -> Ext4Facts {
    Ext4Facts {
        uuid: *b"\x11\x22\x33\x44uuid-of-ext4",
        label: *b"root\0\0\0\0\0\0\0\0\0\0\0\0",
        hash_seed: *b"\x4a\x72\x21\x35\x63\x7d\x44\x3b\xa1\xdf\xbb\x44\x96\x52\x49\x4b",
        block_size,
        inode_size,
        size: 0,
        used: 0,
        features: [0; 3],
        defaults: [0xc, 1, 1],
        reserved_percent: 5,
    }
}

pub(crate) fn partition(facts: Ext4Facts) -> Partition {
    Partition {
        number: 1,
        start: 1 << 20,
        size: facts.size,
        type_guid: [0; 16],
        guid: [0; 16],
        attributes: 0,
        name: Vec::new(),
        volume: Volume::Ext4(facts),
    }
}

pub(crate) fn when(seconds: i64, nanoseconds: u32) -> Timestamp {
    Timestamp {
        seconds,
        nanoseconds,
    }
}

pub(crate) fn entry(path: impl Into<Vec<u8>>, kind: Kind) -> Entry {
    Entry {
        mode: 0o755,
        times: Times {
            modified: when(1_700_000_000, 1),
            accessed: when(1_700_000_001, 2),
            changed: when(1_700_000_002, 3),
            created: when(1_700_000_003, 4),
        },
        ..Entry::new(path, kind)
    }
}

/// Reads everything of the volume on `disk`.
pub(crate) fn capture(disk: &dyn Disk) -> Captured {
    let reader = open(disk).unwrap();
    let Volume::Ext4(facts) = reader.volume() else {
        panic!("not ext4")
    };
    let mut chunks = HashMap::new();
    let entries = reader
        .entries()
        .unwrap()
        .into_iter()
        .map(
            |Found {
                 mut entry, data, ..
             }| {
                entry.content = match data {
                    Data::None => Content::Empty,
                    Data::Bytes(bytes) => whole(bytes, &mut chunks),
                    Data::Runs { size, runs } => read_runs(disk, size, &runs, &mut chunks),
                };
                entry
            },
        )
        .collect();
    Captured {
        partition: partition(facts),
        tree: VolumeTree {
            partition: 0,
            entries,
        },
        chunks,
    }
}

fn whole(bytes: Vec<u8>, chunks: &mut HashMap<ChunkId, Vec<u8>>) -> Content {
    match bytes.len() {
        0 => Content::Empty,
        1..=INLINE_LIMIT => Content::Inline(bytes),
        _ => {
            let id = ChunkId::of(&bytes);
            let length = u32::try_from(bytes.len()).unwrap();
            chunks.insert(id, bytes);
            Content::Pieces(vec![Piece::Chunk { id, length }])
        }
    }
}

fn read_runs(
    disk: &dyn Disk,
    size: u64,
    runs: &[Run],
    chunks: &mut HashMap<ChunkId, Vec<u8>>,
) -> Content {
    const CHUNK: u64 = 300_000;
    let mut pieces = Vec::new();
    let mut at = 0;
    for run in runs {
        if run.logical > at {
            pieces.push(Piece::Hole {
                length: run.logical - at,
            });
        }
        let end = (run.logical + run.length).min(size);
        at = run.logical;
        while at < end {
            let length = CHUNK.min(end - at);
            let mut bytes = vec![0; length as usize];
            disk.read_at(run.physical + at - run.logical, &mut bytes)
                .unwrap();
            if size <= INLINE_LIMIT as u64 && length == size {
                return Content::Inline(bytes);
            }
            let id = ChunkId::of(&bytes);
            pieces.push(Piece::Chunk {
                id,
                length: length as u32,
            });
            chunks.insert(id, bytes);
            at += length;
        }
    }
    if size > at {
        pieces.push(Piece::Hole { length: size - at });
    }
    match size {
        0 => Content::Empty,
        _ => Content::Pieces(pieces),
    }
}

/// Everything of a file's contents, holes as zeros.
pub(crate) fn bytes_of(content: &Content, chunks: &HashMap<ChunkId, Vec<u8>>) -> Vec<u8> {
    match content {
        Content::Empty => Vec::new(),
        Content::Inline(bytes) => bytes.clone(),
        Content::Pieces(pieces) => pieces
            .iter()
            .flat_map(|piece| match piece {
                Piece::Hole { length } => vec![0; *length as usize],
                Piece::Chunk { id, .. } => chunks[id].clone(),
            })
            .collect(),
    }
}

pub(crate) fn lay_out(captured: &Captured, size: u64) -> Layout {
    let layout = Ext4Builder.lay_out(&captured.partition, &captured.tree, size, 512);
    layout.unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Applies to a disk full of `fill`, checking that nothing is written twice.
pub(crate) fn apply(captured: &Captured, size: u64, fill: u8) -> SparseDisk {
    let disk = SparseDisk::new(size, fill);
    let layout = lay_out(captured, size);
    let mut written: Vec<(u64, u64)> = Vec::new();
    let mut last = 0;
    for write in layout.metadata {
        assert!(
            write.offset >= last,
            "metadata goes back to {}",
            write.offset
        );
        assert!(write.bytes.len() <= 4 << 20 && !write.bytes.is_empty());
        last = write.offset + write.bytes.len() as u64;
        written.push((write.offset, last));
        disk.write_at(write.offset, &write.bytes).unwrap();
    }
    for (entry, runs) in captured.tree.entries.iter().zip(&layout.places) {
        let Content::Pieces(pieces) = &entry.content else {
            assert!(runs.is_empty());
            continue;
        };
        written.extend(
            runs.iter()
                .map(|run| (run.physical, run.physical + run.length)),
        );
        let mut at = 0;
        for piece in pieces {
            if let Piece::Chunk { id, .. } = piece {
                write_chunk(&disk, runs, at, &captured.chunks[id]);
            }
            at += piece.length();
        }
    }
    for write in &layout.withheld {
        written.push((write.offset, write.offset + write.bytes.len() as u64));
        disk.write_at(write.offset, &write.bytes).unwrap();
    }
    written.sort_unstable();
    let twice = written.windows(2).find(|pair| pair[0].1 > pair[1].0);
    assert_eq!(twice, None, "bytes written twice");
    disk
}

fn write_chunk(disk: &SparseDisk, runs: &[Run], at: u64, bytes: &[u8]) {
    let mut done = 0;
    while done < bytes.len() as u64 {
        let logical = at + done;
        let run = runs
            .iter()
            .find(|run| run.logical <= logical && logical < run.logical + run.length)
            .expect("every chunk byte has a place");
        let within = logical - run.logical;
        let length = (run.length - within).min(bytes.len() as u64 - done);
        let part = &bytes[done as usize..(done + length) as usize];
        disk.write_at(run.physical + within, part).unwrap();
        done += length;
    }
}

/// Panics with the first entry that differs; contents are compared as bytes.
pub(crate) fn assert_same(expected: &Captured, found: &Captured) {
    let paths = |captured: &Captured| -> Vec<String> {
        captured
            .tree
            .entries
            .iter()
            .map(Entry::display_path)
            .collect()
    };
    assert_eq!(paths(expected), paths(found));
    let mut links: HashMap<u32, u32> = HashMap::new();
    for (one, other) in expected.tree.entries.iter().zip(&found.tree.entries) {
        let bare = |entry: &Entry| Entry {
            content: Content::Empty,
            link: None,
            ..entry.clone()
        };
        assert_eq!(bare(one), bare(other));
        assert_eq!(
            one.link.is_some(),
            other.link.is_some(),
            "{}",
            one.display_path()
        );
        if let (Some(one), Some(other)) = (one.link, other.link) {
            assert_eq!(*links.entry(one).or_insert(other), other);
        }
        let (size, again) = (one.content.size(), other.content.size());
        assert_eq!(size, again, "{}", one.display_path());
        if size < 1 << 26 {
            let same =
                bytes_of(&one.content, &expected.chunks) == bytes_of(&other.content, &found.chunks);
            assert!(same, "contents of {} differ", one.display_path());
        }
    }
}

/// Runs a program and returns its output, whatever it ends with.
pub(crate) fn run(program: &str, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .output();
    let output = output.unwrap_or_else(|why| panic!("{program} is part of the set-up: {why}"));
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// Panics unless `e2fsck -fn` finds nothing.
pub(crate) fn assert_clean(path: &Path) {
    let (code, text) = run("e2fsck", &["-fn", path.to_str().unwrap()]);
    assert_eq!(code, 0, "{text}");
}

/// Builds, checks with `e2fsck`, reads back and compares; the image is left at `path`.
pub(crate) fn assert_builds(captured: &Captured, size: u64, fill: u8, path: &Path) {
    let disk = apply(captured, size, fill);
    disk.save(path);
    assert_clean(path);
    assert_same(captured, &capture(&disk));
}
