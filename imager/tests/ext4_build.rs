//! Volumes are built, checked by `e2fsck` and read back.

#![allow(
    clippy::cast_possible_truncation,
    reason = "the numbers of these tests are small"
)]

mod ext4_support;

use ext4_support::*;
use image_format::entry::{Content, Kind, Piece, Xattr};
use imager::volume::ext4::Ext4Builder;
use imager::volume::{Builder, VolumeError};

const MIB: u64 = 1 << 20;

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

fn acl() -> Vec<u8> {
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in [
        (1u16, 7u16, u32::MAX),
        (2, 6, 1000),
        (4, 5, u32::MAX),
        (16, 7, u32::MAX),
        (32, 5, u32::MAX),
    ] {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn xattr(name: &str, value: &[u8]) -> Xattr {
    Xattr {
        name: name.into(),
        value: value.to_vec(),
    }
}

/// A little of everything.
fn varied() -> Grower {
    let mut grower = Grower::new();
    grower.add("dev", Kind::Directory);
    grower.add("dev/console", Kind::CharDevice { major: 5, minor: 1 });
    grower.add(
        "dev/nvme",
        Kind::BlockDevice {
            major: 259,
            minor: 70_000,
        },
    );
    grower.add("dev/whiteout", Kind::CharDevice { major: 0, minor: 0 });
    grower.add("fifo", Kind::Fifo);
    grower.add("socket", Kind::Socket);
    grower.add("fast", Kind::Symlink(vec![b'f'; 59]));
    grower.add("slow", Kind::Symlink(vec![b's'; 60]));
    grower.add("slower", Kind::Symlink(vec![b's'; 1000]));
    grower.add(&b"not \xff utf-8 \xfe"[..], Kind::File);
    grower.add(vec![b'n'; 255], Kind::File).content = Content::Inline(b"long name".to_vec());
    grower.add("inline", Kind::File).content = Content::Inline(noise(1024, 3));
    let piece = grower.chunk(noise(1500, 1));
    let set_id = grower.file("set-id", vec![piece]);
    (set_id.mode, set_id.uid, set_id.gid) = (0o6755, 100_000, 4_000_000_000);
    set_id.times.modified = when(-1_000_000, 999_999_999);
    set_id.times.accessed = when(9_000_000_000, 5);
    set_id.flags = 0x10 | 0x80;
    set_id.xattrs = vec![xattr(
        "security.capability",
        b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    )];
    let many = grower.add("many-attributes", Kind::File);
    many.xattrs = vec![
        xattr("security.selinux", b"system_u:object_r:etc_t:s0\0"),
        xattr("system.posix_acl_access", &acl()),
        xattr("trusted.overlay.opaque", b"y"),
        xattr("user.big", &noise(600, 9)),
        xattr("user.empty", b""),
    ];
    let directory = grower.add("acl", Kind::Directory);
    directory.xattrs = vec![
        xattr("system.posix_acl_access", &acl()),
        xattr("system.posix_acl_default", &acl()),
    ];
    let shared = grower.chunk(noise(5000, 4));
    for (path, content) in [
        ("a-link", Content::Pieces(vec![shared])),
        ("acl/link", Content::Empty),
        ("z-link", Content::Empty),
    ] {
        let entry = grower.add(path, Kind::File);
        (entry.link, entry.content) = (Some(9), content);
    }
    let (head, tail) = (grower.chunk(noise(777, 5)), grower.chunk(noise(70_001, 6)));
    let holes = vec![
        Piece::Hole { length: 10_000 },
        head,
        Piece::Hole { length: 3 },
        head,
        Piece::Hole { length: 1_000_000 },
        tail,
        Piece::Hole { length: 12_345 },
    ];
    grower.file("sparse", holes);
    grower.file(
        "all-hole",
        vec![Piece::Hole {
            length: 5_000_000_000,
        }],
    );
    grower
}

#[test]
fn varied_trees_are_clean_and_read_back_the_same_with_every_block_size() {
    let folder = tempfile::tempdir().unwrap();
    for (block_size, inode_size) in [(4096, 256), (1024, 256), (2048, 512), (4096, 1024)] {
        let captured = varied().finish(facts(block_size, inode_size));
        let path = folder.path().join(format!("{block_size}-{inode_size}"));
        assert_builds(&captured, 40 * MIB + 12_345, 0xa5, &path);
    }
}

#[test]
fn short_inodes_are_kept_until_a_time_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let mut captured = Grower::new().finish(facts(4096, 128));
    for entry in &mut captured.tree.entries {
        let times = &mut entry.times;
        for time in [&mut times.modified, &mut times.accessed, &mut times.changed] {
            time.nanoseconds = 0;
        }
        times.created = when(0, 0);
    }
    let path = folder.path().join("short");
    assert_builds(&captured, 16 * MIB, 0xff, &path);
    assert!(
        run("dumpe2fs", &["-h", path.to_str().unwrap()])
            .1
            .contains("Inode size:\t          128")
    );
    captured.tree.entries[0].times.modified.nanoseconds = 1;
    assert_builds(&captured, 16 * MIB, 0xff, &path);
    assert!(
        run("dumpe2fs", &["-h", path.to_str().unwrap()])
            .1
            .contains("Inode size:\t          256")
    );
}

#[test]
fn names_and_shape_of_the_source_are_kept() {
    let captured = varied().finish(facts(4096, 256));
    let disk = apply(&captured, 64 * MIB, 0);
    let found = capture(&disk);
    let (image_format::layout::Volume::Ext4(one), image_format::layout::Volume::Ext4(other)) =
        (&captured.partition.volume, &found.partition.volume)
    else {
        panic!("not ext4")
    };
    assert_eq!(
        (
            one.uuid,
            one.label,
            one.hash_seed,
            one.defaults,
            one.reserved_percent
        ),
        (
            other.uuid,
            other.label,
            other.hash_seed,
            other.defaults,
            other.reserved_percent
        )
    );
    assert_eq!(other.size, 64 * MIB);
}

#[test]
fn large_directories_are_indexed_and_every_name_is_found_by_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("names");
    for (count, block_size, size) in [(300, 4096, 64), (20_000, 1024, 64), (100_000, 4096, 600)] {
        let mut grower = Grower::new();
        grower.add("d", Kind::Directory);
        for number in 0..count {
            grower.add(format!("d/a-name-of-some-length-{number}"), Kind::Fifo);
        }
        let captured = grower.finish(facts(block_size, 256));
        assert_builds(&captured, size * MIB, 0x5a, &path);
        let stat = run("debugfs", &["-R", "stat d", path.to_str().unwrap()]).1;
        assert!(stat.contains("Flags: 0x81000"), "{stat}");
    }
}

#[test]
fn more_than_65000_directories_in_one_are_counted_as_one_link() {
    let folder = tempfile::tempdir().unwrap();
    let mut grower = Grower::new();
    grower.add("d", Kind::Directory);
    for number in 0..65_100 {
        grower.add(format!("d/{number}"), Kind::Directory);
    }
    let captured = grower.finish(facts(1024, 256));
    assert_builds(&captured, 400 * MIB, 0, &folder.path().join("links"));
}

#[test]
fn files_in_thousands_of_pieces_get_trees_of_extents() {
    let folder = tempfile::tempdir().unwrap();
    let mut grower = Grower::new();
    let piece = grower.chunk(noise(1024, 1));
    let pieces = (0..20_000).flat_map(|_| [piece, Piece::Hole { length: 3 * 1024 }]);
    grower.file("deep", pieces.collect());
    let captured = grower.finish(facts(1024, 256));
    assert_builds(&captured, 64 * MIB, 0xee, &folder.path().join("deep"));
}

#[test]
fn large_files_cross_groups_and_their_copies() {
    let folder = tempfile::tempdir().unwrap();
    let mut grower = Grower::new();
    let chunks: Vec<Piece> = (0..4)
        .map(|seed| grower.chunk(noise(1 << 20, seed)))
        .collect();
    grower.file("large", (0..700).map(|number| chunks[number % 4]).collect());
    let captured = grower.finish(facts(4096, 256));
    assert_builds(&captured, 1024 * MIB, 0, &folder.path().join("large"));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let captured = varied().finish(facts(4096, 256));
    let image = || {
        let layout = lay_out(&captured, 100 * MIB);
        let writes: Vec<_> = layout.metadata.collect();
        (layout.places, writes, layout.withheld)
    };
    assert!(image() == image());
}

#[test]
fn no_superblock_is_among_the_metadata() {
    let captured = varied().finish(facts(4096, 256));
    let layout = lay_out(&captured, 600 * MIB);
    let disk = SparseDisk::new(600 * MIB, 0);
    for write in layout.metadata {
        imager::disk::Disk::write_at(&disk, write.offset, &write.bytes).unwrap();
    }
    assert!(imager::volume::ext4::open(&disk).is_err());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headless");
    disk.save(&path);
    let (code, text) = run("e2fsck", &["-fn", "-b", "32768", path.to_str().unwrap()]);
    assert_ne!(code, 0, "a copy of the superblock was left: {text}");
    assert_eq!(layout.withheld[0].offset, 0);
    assert_eq!(layout.withheld[0].bytes.len(), 4096);
}

#[test]
fn the_least_size_is_enough_and_a_block_less_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("least");
    let mut bulky = varied();
    let piece = bulky.chunk(noise(1 << 20, 8));
    bulky.file("bulk", vec![piece; 300]);
    let mut crowded = varied();
    for number in 0..30_000 {
        crowded.add(format!("fifo-{number}"), Kind::Fifo);
    }
    for (grower, block_size) in [(varied(), 4096), (bulky, 4096), (crowded, 1024)] {
        let captured = grower.finish(facts(block_size, 256));
        let least = Ext4Builder.least_size(&captured.partition, &captured.tree);
        assert_builds(&captured, least, 0x77, &path);
        let less = least - u64::from(block_size);
        let refused = Ext4Builder.lay_out(&captured.partition, &captured.tree, less, 512);
        match refused.err().as_deref() {
            Some([VolumeError::TooSmall { needed, size }]) => {
                assert_eq!((*needed, *size), (least, less));
            }
            other => panic!("{other:?}"),
        }
        for more in [1, 4095, 5 * MIB, 77 * MIB, 130 * MIB, 4000 * MIB] {
            lay_out(&captured, least + more);
        }
    }
}

#[test]
fn everything_that_cannot_be_stored_is_said_at_once() {
    let mut grower = Grower::new();
    grower.add(vec![b'x'; 256], Kind::Fifo);
    grower.add("missing/child", Kind::Fifo);
    grower.add("odd", Kind::File).xattrs = vec![xattr("odd.name", b"")];
    grower.add("huge", Kind::File).xattrs = vec![xattr("user.x", &[1; 5000])];
    grower.add("late", Kind::File).times.created = when(1 << 40, 0);
    grower.add("raw", Kind::RawVolume);
    let captured = grower.finish(facts(4096, 256));
    let errors = Ext4Builder.lay_out(&captured.partition, &captured.tree, 64 * MIB, 512);
    assert_eq!(errors.err().map(|errors| errors.len()), Some(6));
}

#[test]
fn a_tree_without_lost_and_found_is_built_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bare");
    let mut captured = Grower::new().finish(facts(4096, 256));
    captured.tree.entries.truncate(1);
    let disk = apply(&captured, 16 * MIB, 0);
    assert_same(&captured, &capture(&disk));
    disk.save(&path);
    let (_, text) = run("e2fsck", &["-fn", path.to_str().unwrap()]);
    let complaints: Vec<_> = text.lines().filter(|line| line.ends_with('?')).collect();
    println!("{text}");
    assert!(
        complaints.iter().all(|line| line.contains("lost+found")),
        "{text}"
    );
}
