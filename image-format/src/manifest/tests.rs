use proptest::prelude::*;

use super::*;
use crate::entry::{Content, Entry, Kind, Piece, Timestamp, Xattr};
use crate::ids::ChunkRef;
use crate::image::VolumeTree;
use crate::layout::{DiskLayout, Ext4Facts, FatFacts, Partition, Scheme, Volume};

fn partition(number: u32, volume: Volume) -> Partition {
    Partition {
        number,
        start: u64::from(number) << 20,
        size: 1 << 20,
        type_guid: [1; 16],
        guid: [2; 16],
        attributes: 4,
        name: vec![0x45, 0x53, 0xd800],
        volume,
    }
}

fn layout() -> DiskLayout {
    let fat = FatFacts {
        bits: 32,
        serial: 7,
        label: *b"ESP        ",
        cluster_size: 4096,
        size: 1 << 20,
        used: 5,
        hidden_sectors: 2048,
        oem_name: *b"mkfs.fat",
        boot_code: vec![0xeb, 0x58],
    };
    let ext4 = Ext4Facts {
        uuid: [3; 16],
        label: [0; 16],
        hash_seed: [4; 16],
        block_size: 4096,
        inode_size: 256,
        size: 1 << 20,
        used: 6,
        features: [1, 2, 3],
        defaults: [4, 5, 6],
        reserved_percent: 5,
    };
    let swap = Volume::Swap {
        uuid: [5; 16],
        label: [6; 16],
        page_size: 4096,
    };
    let volumes = [
        Volume::Fat(fat),
        Volume::Ext4(ext4),
        swap,
        Volume::Raw,
        Volume::Empty,
    ];
    DiskLayout {
        sector_size: 512,
        size: 8 << 20,
        scheme: Scheme::Gpt { disk_guid: [9; 16] },
        boot_code: vec![1; 440],
        partitions: volumes
            .into_iter()
            .zip(1..)
            .map(|(volume, number)| partition(number, volume))
            .collect(),
    }
}

fn entries() -> Vec<Entry> {
    let chunk = |text: &str| Piece::Chunk {
        id: ChunkId::of(text.as_bytes()),
        length: 2000,
    };
    let mut entries = vec![
        Entry::new("", Kind::Directory),
        Entry::new("a", Kind::Directory),
        Entry::new("a-b", Kind::File),
        Entry::new("a/b", Kind::File),
        Entry::new("a/link", Kind::File),
        Entry::new(
            "block",
            Kind::BlockDevice {
                major: 8,
                minor: u32::MAX,
            },
        ),
        Entry::new("char", Kind::CharDevice { major: 1, minor: 3 }),
        Entry::new("fifo", Kind::Fifo),
        Entry::new("socket", Kind::Socket),
        Entry::new("symlink", Kind::Symlink(b"../a\xff".to_vec())),
        Entry::new(b"\xff\xfe".to_vec(), Kind::File),
    ];
    entries[2].content = Content::Inline(vec![7; 1024]);
    entries[3].content = Content::Pieces(vec![
        chunk("x"),
        Piece::Hole { length: 1 << 40 },
        chunk("y"),
    ]);
    entries[3].link = Some(u32::MAX);
    entries[4].link = Some(u32::MAX);
    entries[3].short_name = Some(*b"B          ");
    entries[3].mode = 0o7755;
    entries[3].uid = 1000;
    entries[3].gid = u32::MAX;
    entries[3].flags = 0x10;
    entries[3].times.modified = Timestamp {
        seconds: -1,
        nanoseconds: 999_999_999,
    };
    entries[3].times.created = Timestamp {
        seconds: i64::MAX,
        nanoseconds: 1,
    };
    entries[3].xattrs = vec![
        Xattr {
            name: b"security.capability".to_vec(),
            value: vec![0; 20],
        },
        Xattr {
            name: b"user.x".to_vec(),
            value: Vec::new(),
        },
    ];
    entries
}

fn sample() -> Manifest {
    let mut raw = Entry::new("", Kind::RawVolume);
    raw.content = Content::Pieces(vec![Piece::Hole { length: 1 << 20 }]);
    let volumes = vec![
        VolumeTree {
            partition: 1,
            entries: entries(),
        },
        VolumeTree {
            partition: 3,
            entries: vec![raw],
        },
    ];
    Manifest {
        disk: layout(),
        volumes,
    }
}

fn with(change: impl FnOnce(&mut Manifest)) -> Result<(ImageId, Vec<u8>), ManifestError> {
    let mut manifest = sample();
    change(&mut manifest);
    manifest.encode()
}

#[test]
fn manifest_survives_its_bytes() {
    let (id, bytes) = sample().encode().unwrap();
    assert_eq!(image_id(&bytes).unwrap(), id);
    assert_eq!(Manifest::decode(&id, &bytes).unwrap(), sample());
    let empty = Manifest {
        volumes: Vec::new(),
        ..sample()
    };
    let (id, bytes) = empty.encode().unwrap();
    assert_eq!(Manifest::decode(&id, &bytes).unwrap(), empty);
}

#[test]
fn image_id_is_that_of_this_version_for_ever() {
    let golden = "7e1a78412fadfedabbb1fae4a3c016ee15adbf19c0e1f0a2f210c27b54a00186";
    assert_eq!(sample().encode().unwrap().0.to_string(), golden);
}

#[test]
fn everything_an_apply_writes_changes_the_image_id() {
    let id = sample().encode().unwrap().0;
    let changes: [fn(&mut Manifest); 8] = [
        |m| m.disk.partitions[0].guid[0] ^= 1,
        |m| m.disk.boot_code[0] ^= 1,
        |m| m.volumes[0].entries[3].mode ^= 1,
        |m| m.volumes[0].entries[3].times.modified.nanoseconds -= 1,
        |m| m.volumes[0].entries[3].short_name = None,
        |m| m.volumes[0].entries[3].xattrs[1].value.push(1),
        |m| m.volumes[0].entries[10].path.push(b'x'),
        |m| m.volumes[0].entries[9].kind = Kind::Symlink(b"a".to_vec()),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_ne!(with(change).unwrap().0, id, "{number}");
    }
}

#[test]
fn manifest_of_another_image_is_refused() {
    let (_, bytes) = sample().encode().unwrap();
    assert!(matches!(
        Manifest::decode(&ImageId::of(b"other"), &bytes),
        Err(ManifestError::Id { .. })
    ));
}

#[test]
fn manifest_cut_or_flipped_anywhere_is_refused() {
    let (id, bytes) = sample().encode().unwrap();
    for at in 0..bytes.len() {
        assert!(Manifest::decode(&id, &bytes[..at]).is_err(), "cut at {at}");
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x40;
        // zstd has a few header bits that change nothing: then the rows are the same.
        if let Ok(manifest) = Manifest::decode(&id, &flipped) {
            assert_eq!(manifest, sample());
        }
    }
    assert!(Manifest::decode(&id, &[bytes, vec![0]].concat()).is_err());
}

/// The chunks of a manifest as a store would keep them.
type Chunks = std::collections::HashMap<ChunkId, Vec<u8>>;

fn build(volumes: &[VolumeTree], witness: Option<Witness>) -> (Root, Option<Vec<u8>>, Chunks) {
    let mut chunks = Chunks::new();
    let mut store = |part: Part<'_>| {
        let chunk = ChunkRef::to(part.bytes()).unwrap();
        chunks.insert(chunk.id, part.bytes().to_vec());
        Ok::<_, ManifestError>(chunk)
    };
    let mut builder = ImageBuilder::new(layout());
    for volume in volumes {
        builder.volume(volume.partition, &mut store).unwrap();
        for entry in &volume.entries {
            builder.entry(entry, witness, &mut store).unwrap();
        }
    }
    let (root, list) = builder.finish(&mut store).unwrap();
    (root, list, chunks)
}

fn many(count: usize, skip: usize) -> VolumeTree {
    let mut entries = vec![Entry::new("", Kind::Directory)];
    let names = (0..count).filter(|number| *number != skip);
    entries.extend(names.map(|number| Entry::new(format!("file {number:07}"), Kind::File)));
    VolumeTree {
        partition: 1,
        entries,
    }
}

fn leaves(root: &Root, chunks: &Chunks) -> Vec<directory::LeafRef> {
    let parts = root.volumes.iter().flat_map(|volume| &volume.directory);
    parts
        .flat_map(|part| directory::decode(&chunks[&part.id]).unwrap())
        .collect()
}

#[test]
fn leaf_that_lies_is_refused_or_read_but_never_panics() {
    let (root, _, chunks) = build(&sample().volumes, None);
    for leaf in leaves(&root, &chunks) {
        let bytes = &chunks[&leaf.chunk.id];
        let nowhere = &mut |chunk: &ChunkRef| Err(ManifestError::Chunk { id: chunk.id });
        for at in 0..bytes.len() {
            assert!(super::leaf(&bytes[..at], nowhere).is_err(), "cut at {at}");
            for flip in [1, 0x80] {
                let mut flipped = bytes.clone();
                flipped[at] ^= flip;
                if let Ok(entries) = super::leaf(&flipped, nowhere) {
                    let volumes = vec![VolumeTree {
                        partition: 1,
                        entries,
                    }];
                    let _ = Manifest {
                        disk: layout(),
                        volumes,
                    }
                    .encode();
                }
            }
        }
    }
}

#[test]
fn directory_and_witnesses_that_lie_never_panic() {
    let witness = Witness::of(1, 2, Timestamp::default(), Timestamp::default());
    let (root, list, chunks) = build(&[many(5000, 0)], Some(witness));
    let part = &chunks[&root.volumes[0].directory[0].id];
    let list = list.unwrap();
    assert_eq!(
        witness::decode(&list).unwrap()[0].len(),
        leaves(&root, &chunks).len()
    );
    for at in 0..part.len() {
        assert!(directory::decode(&part[..at]).is_err());
        let mut flipped = part.clone();
        flipped[at] ^= 1;
        let _ = directory::decode(&flipped);
    }
    for at in 0..list.len() {
        assert!(witness::decode(&list[..at]).is_err());
        let mut flipped = list.clone();
        flipped[at] ^= 1;
        let _ = witness::decode(&flipped);
    }
}

#[test]
fn two_versions_share_all_leaves_but_those_that_changed() {
    let (one, _, mut chunks) = build(&[many(50_000, 0)], None);
    let (other, _, more) = build(&[many(50_000, 31_111)], None);
    chunks.extend(more);
    let (one, other) = (leaves(&one, &chunks), leaves(&other, &chunks));
    assert!(one.len() > 20, "{} leaves", one.len());
    let shared = one.iter().filter(|leaf| other.contains(leaf)).count();
    assert!(
        one.len() - shared <= 2,
        "{shared} of {} leaves are shared",
        one.len()
    );
    assert!(one.iter().all(|leaf| leaf.rows <= 8192));
}

#[test]
fn very_long_file_keeps_its_pieces_in_lists() {
    let pieces: Vec<Piece> = (0..100_000_u32)
        .map(|number| match number % 7 {
            0 => Piece::Hole {
                length: u64::from(number) + 1,
            },
            _ => Piece::Chunk {
                id: ChunkId::of(&number.to_le_bytes()),
                length: 65536,
            },
        })
        .collect();
    let mut tree = many(10, 0);
    tree.entries[3].content = Content::Pieces(pieces);
    let (root, _, chunks) = build(std::slice::from_ref(&tree), None);
    let leaf = &leaves(&root, &chunks)[0];
    assert!(
        leaf.chunk.length < 10_000,
        "the leaf has {} bytes",
        leaf.chunk.length
    );
    assert!(
        chunks
            .values()
            .all(|bytes| bytes.len() <= crate::chunker::MAX_CHUNK)
    );
    let manifest = Manifest {
        disk: layout(),
        volumes: vec![tree],
    };
    let (id, bytes) = manifest.encode().unwrap();
    assert_eq!(Manifest::decode(&id, &bytes).unwrap(), manifest);
    assert_eq!(
        lists_of(&chunks[&leaf.chunk.id]).unwrap().len() + 2,
        chunks.len()
    );
}

#[test]
fn root_says_what_its_leaves_must_hold() {
    let (mut root, _, chunks) = build(&[many(100, 0)], None);
    root.volumes[0].entries += 1;
    let mut fetch = |chunk: &ChunkRef| Ok(chunks[&chunk.id].clone());
    assert!(bundle::read_all(&root, &mut fetch).is_err());
}

#[test]
fn paths_that_leave_the_volume_or_repeat_are_refused() {
    for path in [
        "..",
        "a/..",
        "a/../x",
        "/a",
        "a/",
        "a//b",
        ".",
        "nowhere/x",
        "a-b/x",
        "zero\0",
    ] {
        let result = with(|manifest| {
            let entries = &mut manifest.volumes[0].entries;
            entries.push(Entry::new(path, Kind::File));
            entries.sort_by(|a, b| a.path.cmp(&b.path));
        });
        assert!(matches!(result, Err(ManifestError::Entry { .. })), "{path}");
    }
    let twice = with(|manifest| {
        manifest.volumes[0]
            .entries
            .push(Entry::new(b"\xff\xfe".to_vec(), Kind::File))
    });
    assert!(twice.is_err());
    assert!(with(|manifest| manifest.volumes[0].entries.swap(5, 6)).is_err());
}

#[test]
fn entries_that_cannot_be_are_refused() {
    let huge = Piece::Hole { length: u64::MAX };
    let changes: [fn(&mut Entry); 9] = [
        |entry| entry.mode = 0o10000,
        |entry| entry.times.changed.nanoseconds = 1_000_000_000,
        |entry| entry.xattrs.swap(0, 1),
        |entry| entry.content = Content::Inline(vec![0; 1025]),
        |entry| entry.content = Content::Inline(Vec::new()),
        |entry| entry.content = Content::Pieces(Vec::new()),
        |entry| entry.content = Content::Pieces(vec![Piece::Hole { length: 0 }]),
        |entry| {
            entry.content = Content::Pieces(vec![Piece::Chunk {
                id: ChunkId::of(b""),
                length: u32::MAX,
            }])
        },
        |entry| entry.kind = Kind::Fifo,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(
            with(|manifest| change(&mut manifest.volumes[0].entries[3])).is_err(),
            "{number}"
        );
    }
    let overflow = Content::Pieces(vec![huge, huge]);
    assert!(with(|manifest| manifest.volumes[0].entries[3].content = overflow).is_err());
    let second_content = Content::Inline(vec![1]);
    assert!(with(|manifest| manifest.volumes[0].entries[4].content = second_content).is_err());
}

#[test]
fn layouts_that_cannot_be_are_refused() {
    let changes: [fn(&mut Manifest); 6] = [
        |m| m.disk.sector_size = 513,
        |m| m.disk.partitions[1].start -= 1,
        |m| m.disk.partitions[4].size = u64::MAX,
        |m| m.disk.boot_code.push(1),
        |m| m.volumes[1].partition = 5,
        |m| m.volumes.swap(0, 1),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(
            matches!(with(change), Err(ManifestError::Layout { .. })),
            "{number}"
        );
    }
}

proptest! {
    #[test]
    fn random_trees_survive(
        names in prop::collection::btree_set("[a-z.-]{3,9}", 1..40),
        modes in prop::collection::vec(0_u32..0o10000, 40),
        sizes in prop::collection::vec(0_usize..1025, 40),
    ) {
        let mut tree = vec![Entry::new("", Kind::Directory)];
        for (at, name) in names.into_iter().filter(|name| name != "..").enumerate() {
            let mut entry = Entry::new(name, Kind::File);
            entry.mode = modes[at];
            if sizes[at] > 0 {
                entry.content = Content::Inline(vec![u8::try_from(at).unwrap(); sizes[at]]);
            }
            tree.push(entry);
        }
        let manifest = Manifest { disk: layout(), volumes: vec![VolumeTree { partition: 1, entries: tree }] };
        let (id, bytes) = manifest.encode().unwrap();
        prop_assert_eq!(Manifest::decode(&id, &bytes).unwrap(), manifest);
    }
}
