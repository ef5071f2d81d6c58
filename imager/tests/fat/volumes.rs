//! Trees to lay out, disks to lay them on, and what to compare.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use image_format::entry::{Content, Entry, Kind, Piece, Times, Timestamp};
use image_format::ids::ChunkId;
use image_format::image::VolumeTree;
use image_format::layout::{FatFacts, Partition, Volume};
use imager::disk::{Disk, MemoryDisk};
use imager::volume::{Data, Found, Layout};

pub(crate) const MIB: u64 = 1 << 20;

pub(crate) fn facts(bits: u8, cluster_size: u32, size: u64) -> FatFacts {
    FatFacts {
        bits,
        serial: 0x1234_abcd,
        label: *b"EFI SYSTEM ",
        cluster_size,
        size,
        used: 0,
        hidden_sectors: 0,
        oem_name: *b"mkfs.fat",
        boot_code: vec![0xf4; 20],
    }
}

pub(crate) fn partition(facts: FatFacts) -> Partition {
    Partition {
        number: 1,
        start: MIB,
        size: facts.size,
        type_guid: [1; 16],
        guid: [2; 16],
        attributes: 0,
        name: Vec::new(),
        volume: Volume::Fat(facts),
    }
}

/// Bytes that a chunk of this seed and length has.
pub(crate) fn chunk_bytes(seed: u32, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// A tree, and the bytes every chunk stands for.
pub(crate) struct Tree {
    pub(crate) entries: Vec<Entry>,
    chunks: BTreeMap<ChunkId, Vec<u8>>,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let root = Entry::new(Vec::new(), Kind::Directory);
        Self {
            entries: vec![root],
            chunks: BTreeMap::new(),
        }
    }

    pub(crate) fn directory(&mut self, path: &str) {
        let mut entry = Entry::new(path, Kind::Directory);
        entry.times.modified = Timestamp {
            seconds: 1_700_000_001,
            nanoseconds: 5,
        };
        self.entries.push(entry);
    }

    pub(crate) fn file(&mut self, path: impl Into<Vec<u8>>, size: usize) {
        let mut entry = Entry::new(path, Kind::File);
        let moment = |seconds| Timestamp {
            seconds,
            nanoseconds: 123_456_789,
        };
        entry.times = Times {
            modified: moment(1_600_000_000 + i64::try_from(size).unwrap()),
            created: moment(1_500_000_001),
            accessed: moment(1_650_000_000),
            changed: moment(7),
        };
        entry.flags = 0x20;
        entry.content = if size == 0 {
            Content::Empty
        } else if size <= 1024 {
            Content::Inline(chunk_bytes(
                u32::try_from(self.entries.len()).unwrap(),
                size,
            ))
        } else {
            let bytes = chunk_bytes(u32::try_from(self.entries.len()).unwrap(), size);
            let pieces = bytes.chunks(100_000).map(|part| self.chunk(part)).collect();
            Content::Pieces(pieces)
        };
        self.entries.push(entry);
    }

    pub(crate) fn chunk(&mut self, bytes: &[u8]) -> Piece {
        let id = ChunkId::of(bytes);
        self.chunks.insert(id, bytes.to_vec());
        Piece::Chunk {
            id,
            length: u32::try_from(bytes.len()).unwrap(),
        }
    }

    pub(crate) fn finish(mut self) -> (VolumeTree, BTreeMap<ChunkId, Vec<u8>>) {
        self.entries.sort_by(|one, other| one.path.cmp(&other.path));
        (
            VolumeTree {
                partition: 0,
                entries: self.entries,
            },
            self.chunks,
        )
    }
}

pub(crate) fn rich_tree() -> (VolumeTree, BTreeMap<ChunkId, Vec<u8>>) {
    let mut tree = Tree::new();
    for path in [
        "EFI",
        "EFI/BOOT",
        "EFI/debian",
        "many",
        "many/a directory with a long name",
    ] {
        tree.directory(path);
    }
    tree.file("EFI/BOOT/BOOTX64.EFI", 150_001);
    tree.file("EFI/debian/grub.cfg", 120);
    tree.file("EFI/debian/shimx64.efi", 90_112);
    tree.file("empty", 0);
    tree.file("gr\u{fc}\u{df}e \u{1f600}.txt", 1500);
    tree.file(b"lone \xed\xa0\x80 surrogate".to_vec(), 10);
    tree.file("many/a directory with a long name/.hidden", 4096);
    for number in 0..300 {
        tree.file(
            format!("many/file with a rather long name, number {number}.data"),
            number * 7 % 3000,
        );
    }
    let piece = tree.chunk(&chunk_bytes(9, 5000));
    tree.file("sparse.bin", 0);
    let content = Content::Pieces(vec![
        Piece::Hole { length: 70_000 },
        piece,
        Piece::Hole { length: 3 },
    ]);
    tree.entries.last_mut().unwrap().content = content;
    tree.finish()
}

pub(crate) fn write_out(
    disk: &dyn Disk,
    layout: Layout,
    tree: &VolumeTree,
    chunks: &BTreeMap<ChunkId, Vec<u8>>,
) {
    let mut free = 0;
    for write in layout.metadata {
        assert!(
            write.offset >= free,
            "metadata is not ascending at {}",
            write.offset
        );
        free = write.offset + write.bytes.len() as u64;
        disk.write_at(write.offset, &write.bytes).unwrap();
    }
    for (entry, runs) in tree.entries.iter().zip(&layout.places) {
        let Content::Pieces(pieces) = &entry.content else {
            assert!(runs.is_empty());
            continue;
        };
        let mut at = 0;
        for piece in pieces {
            if let Piece::Chunk { id, length } = piece {
                let run = runs
                    .iter()
                    .find(|run| run.logical <= at && at < run.logical + run.length)
                    .unwrap();
                assert!(at + u64::from(*length) <= run.logical + run.length);
                disk.write_at(run.physical + at - run.logical, &chunks[id])
                    .unwrap();
            }
            at += piece.length();
        }
    }
    for write in layout.withheld {
        disk.write_at(write.offset, &write.bytes).unwrap();
    }
}

/// A disk full of old bytes, so that whatever is not written shows.
pub(crate) fn dirty_disk(size: u64, sector_size: u32) -> MemoryDisk {
    let disk = MemoryDisk::new(size, sector_size);
    for at in (0..size).step_by(1 << 16) {
        disk.write_at(
            at,
            &vec![0xa5; usize::try_from((size - at).min(1 << 16)).unwrap()],
        )
        .unwrap();
    }
    disk
}

pub(crate) fn contents(disk: &dyn Disk, found: &Found) -> Vec<u8> {
    match &found.data {
        Data::None => Vec::new(),
        Data::Bytes(bytes) => bytes.clone(),
        Data::Runs { size, runs } => {
            let mut bytes = vec![0; usize::try_from(*size).unwrap()];
            for run in runs {
                let start = usize::try_from(run.logical).unwrap();
                let end = bytes
                    .len()
                    .min(start + usize::try_from(run.length).unwrap());
                disk.read_at(run.physical, &mut bytes[start..end]).unwrap();
            }
            bytes
        }
    }
}

pub(crate) fn expected(entry: &Entry, chunks: &BTreeMap<ChunkId, Vec<u8>>) -> Vec<u8> {
    match &entry.content {
        Content::Empty => Vec::new(),
        Content::Inline(bytes) => bytes.clone(),
        Content::Pieces(pieces) => pieces
            .iter()
            .flat_map(|piece| match piece {
                Piece::Hole { length } => vec![0; usize::try_from(*length).unwrap()],
                Piece::Chunk { id, .. } => chunks[id].clone(),
            })
            .collect(),
    }
}

pub(crate) fn save(disk: &MemoryDisk) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fat.img");
    std::fs::write(&path, disk.to_bytes().unwrap()).unwrap();
    (folder, path)
}

pub(crate) fn run(program: &str, arguments: &[&str], path: &Path) -> (bool, String) {
    let path = path.to_str().unwrap();
    let arguments = arguments
        .iter()
        .map(|argument| argument.replace("IMG", path));
    let output = Command::new(program)
        .args(arguments)
        .env("MTOOLS_SKIP_CHECK", "1")
        .env("TZ", "UTC")
        .output();
    let output =
        output.unwrap_or_else(|error| panic!("{program}: {error} (install dosfstools and mtools)"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

pub(crate) fn fsck_is_clean(path: &Path) {
    let (sound, text) = run("fsck.fat", &["-n", "-v", "IMG"], path);
    assert!(sound, "{text}");
    for bad in [
        "differ",
        "Dirty",
        "wrong",
        "Wrong",
        "Unused",
        "Bad",
        "bad short",
        "Extended",
        "orphan",
    ] {
        assert!(!text.contains(bad), "{bad}: {text}");
    }
}
