//! FAT volumes against dosfstools, mtools and another implementation.

mod volumes;

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use image_format::entry::{Content, Entry, Kind, Piece};
use image_format::ids::ChunkId;
use image_format::image::VolumeTree;
use image_format::layout::Volume;
use imager::disk::{Disk, MemoryDisk};
use imager::volume::fat::{self, FatBuilder};
use imager::volume::{Builder, Found, VolumeError};
use volumes::*;

#[test]
fn what_is_built_is_clean_and_read_back_as_it_was_settled() {
    let (tree, chunks) = rich_tree();
    let settled = fat::settle(&tree).unwrap();
    let shapes = [
        (32, 512, 40 * MIB, 512),
        (32, 4096, 300 * MIB, 512),
        (32, 512, 100 * MIB, 4096),
        (32, 4096, 300 * MIB + 512 * 7, 512),
        (16, 2048, 64 * MIB, 512),
        (16, 2048, 20 * MIB, 4096),
        (12, 4096, 8 * MIB, 512),
        (12, 512, 1856 << 10, 512),
        (12, 4096, 8 * MIB, 4096),
    ];
    for (bits, cluster, size, sector) in shapes {
        let context = format!("FAT{bits}, {cluster}, {size} bytes in sectors of {sector}");
        let disk = dirty_disk(size, sector);
        let partition = partition(facts(bits, cluster, size));
        let layout = FatBuilder
            .lay_out(&partition, &tree, size, sector)
            .unwrap_or_else(|why| panic!("{context}: {why:?}"));
        write_out(&disk, layout, &tree, &chunks);
        let (_folder, path) = save(&disk);
        fsck_is_clean(&path);
        let reader = fat::open(&disk).unwrap();
        let Volume::Fat(found) = reader.volume() else {
            panic!("{context}")
        };
        assert_eq!(
            (found.bits, found.serial, found.label, found.oem_name),
            (bits, 0x1234_abcd, *b"EFI SYSTEM ", *b"mkfs.fat")
        );
        assert_eq!(u64::from(found.hidden_sectors), MIB / u64::from(sector));
        assert_eq!(found.boot_code[..20], [0xf4; 20]);
        assert_eq!(found.cluster_size, cluster.max(sector), "{context}");
        let entries = reader.entries().unwrap();
        assert_eq!(entries.len(), settled.entries.len());
        for (found, settled) in entries.iter().zip(&settled.entries) {
            let mut entry = settled.clone();
            entry.content = Content::Empty;
            assert_eq!(found.entry, entry, "{context}");
            assert_eq!(
                contents(&disk, found),
                expected(settled, &chunks),
                "{context}: {}",
                entry.display_path()
            );
        }
        let again = VolumeTree {
            partition: 0,
            entries: entries.into_iter().map(|found| found.entry).collect(),
        };
        assert_eq!(fat::settle(&again).unwrap(), again);
    }
}

#[test]
fn another_implementation_and_mtools_read_what_is_built() {
    let (tree, chunks) = rich_tree();
    let size = 64 * MIB;
    for bits in [16, 32] {
        let disk = dirty_disk(size, 512);
        let layout = FatBuilder
            .lay_out(&partition(facts(bits, 512, size)), &tree, size, 512)
            .unwrap();
        write_out(&disk, layout, &tree, &chunks);
        let bytes = disk.to_bytes().unwrap();
        let other = fatfs::FileSystem::new(Cursor::new(bytes), fatfs::FsOptions::new()).unwrap();
        assert_eq!(other.volume_label(), "EFI SYSTEM");
        assert_eq!(
            other.read_volume_label_from_root_dir().unwrap().unwrap(),
            "EFI SYSTEM"
        );
        for entry in tree.entries.iter().filter(|entry| entry.kind == Kind::File) {
            let Ok(path) = std::str::from_utf8(&entry.path) else {
                continue;
            };
            let mut read = Vec::new();
            other
                .root_dir()
                .open_file(path)
                .unwrap()
                .read_to_end(&mut read)
                .unwrap();
            assert_eq!(read, expected(entry, &chunks), "{path}");
        }
        let free = other.stats().unwrap().free_clusters();
        drop(other);
        let (_folder, path) = save(&disk);
        let (sound, text) = run("mtype", &["-i", "IMG", "::EFI/debian/grub.cfg"], &path);
        assert!(sound, "{text}");
        let (sound, text) = run("mdir", &["-i", "IMG", "-/", "::"], &path);
        assert!(sound && text.contains("BOOTX64  EFI    150001"), "{text}");
        let (_, text) = run("fsck.fat", &["-n", "IMG"], &path);
        let used: u32 = text
            .rsplit_once(' ')
            .map(|_| {
                text.split("files, ")
                    .nth(1)
                    .unwrap()
                    .split('/')
                    .next()
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .unwrap();
        let total: u32 = text
            .split("files, ")
            .nth(1)
            .unwrap()
            .split(['/', ' '])
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(total - used, free);
    }
}

#[test]
fn volumes_made_by_mkfs_and_mtools_are_read_and_built_again() {
    for (bits, size, sector) in [
        (12, 4 * MIB, 512),
        (16, 32 * MIB, 512),
        (32, 64 * MIB, 512),
        (32, 300 * MIB, 4096),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made.img");
        std::fs::File::create(&path).unwrap().set_len(size).unwrap();
        let made = [
            "-F",
            &bits.to_string(),
            "-S",
            &sector.to_string(),
            "-n",
            "REFERENCE",
            "-i",
            "cafebabe",
            "IMG",
        ];
        assert!(run("mkfs.fat", &made, &path).0);
        let long = folder
            .path()
            .join("a name longer than eight and three.configuration");
        let upper = folder.path().join("UPPER.TXT");
        std::fs::write(&long, chunk_bytes(1, 123_456)).unwrap();
        std::fs::write(&upper, b"upper").unwrap();
        assert!(run("mmd", &["-i", "IMG", "::EFI", "::EFI/lower"], &path).0);
        assert!(
            run(
                "mcopy",
                &["-i", "IMG", long.to_str().unwrap(), "::EFI/lower/"],
                &path
            )
            .0
        );
        assert!(
            run(
                "mcopy",
                &["-i", "IMG", upper.to_str().unwrap(), "::"],
                &path
            )
            .0
        );
        assert!(run("mattrib", &["-i", "IMG", "+r", "+h", "::UPPER.TXT"], &path).0);

        let source = MemoryDisk::from_bytes(&std::fs::read(&path).unwrap(), sector);
        let reader = fat::open(&source).unwrap();
        let Volume::Fat(facts) = reader.volume() else {
            panic!("not FAT")
        };
        assert_eq!(
            (facts.bits, facts.serial, &facts.label),
            (bits, 0xcafe_babe, b"REFERENCE  ")
        );
        let found = reader.entries().unwrap();
        let paths: Vec<String> = found
            .iter()
            .map(|found| found.entry.display_path())
            .collect();
        let name = "/EFI/lower/a name longer than eight and three.configuration";
        assert_eq!(paths, ["/", "/EFI", "/EFI/lower", name, "/UPPER.TXT"]);
        assert_eq!(contents(&source, &found[3]), chunk_bytes(1, 123_456));
        assert_eq!(found[4].entry.flags & 0x3, 0x3);

        let mut chunks = BTreeMap::new();
        let whole = |found: &Found| {
            let (mut entry, bytes) = (found.entry.clone(), contents(&source, found));
            let piece = Piece::Chunk {
                id: ChunkId::of(&bytes),
                length: u32::try_from(bytes.len()).unwrap(),
            };
            if !bytes.is_empty() {
                entry.content = Content::Pieces(vec![piece]);
                chunks.insert(ChunkId::of(&bytes), bytes);
            }
            entry
        };
        let tree = VolumeTree {
            partition: 0,
            entries: found.iter().map(whole).collect(),
        };
        assert_eq!(
            fat::settle(&tree).unwrap(),
            tree,
            "a tree from FAT is settled already"
        );
        let other_sector = if sector == 512 { 4096 } else { 512 };
        for (size, sector) in [(size, sector), (size * 2, sector), (size * 2, other_sector)] {
            let disk = dirty_disk(size, sector);
            let layout = FatBuilder
                .lay_out(&partition(facts.clone()), &tree, size, sector)
                .unwrap();
            write_out(&disk, layout, &tree, &chunks);
            fsck_is_clean(&save(&disk).1);
            let again = fat::open(&disk).unwrap().entries().unwrap();
            assert!(
                again
                    .iter()
                    .zip(&found)
                    .all(|(one, other)| one.entry == other.entry)
            );
            assert_eq!(contents(&disk, &again[3]), chunk_bytes(1, 123_456));
        }
    }
}

#[test]
fn the_least_size_is_enough_and_a_little_less_is_refused() {
    let (tree, chunks) = rich_tree();
    for (bits, cluster) in [(12, 512), (16, 2048), (32, 512), (32, 4096)] {
        let partition = partition(facts(bits, cluster, 64 * MIB));
        let least = FatBuilder.least_size(&partition, &tree);
        assert!(least < 3 * MIB, "{least}");
        let layout = FatBuilder.lay_out(&partition, &tree, least, 512).unwrap();
        let disk = dirty_disk(least, 512);
        write_out(&disk, layout, &tree, &chunks);
        fsck_is_clean(&save(&disk).1);
        match FatBuilder
            .lay_out(&partition, &tree, least - 8192, 512)
            .map(|_| ())
        {
            Err(why) => assert!(matches!(why[..], [VolumeError::TooSmall { .. }]), "{why:?}"),
            Ok(()) => panic!("FAT{bits} fits {} too", least - 8192),
        }
    }
}

#[test]
fn everything_fat_cannot_hold_is_refused_at_once() {
    let mut tree = Tree::new();
    tree.file("Same", 1);
    tree.file("same", 1);
    tree.file("a:b", 1);
    tree.file(b"not utf8 \xff".to_vec(), 1);
    tree.file("nowhere/file", 1);
    tree.entries
        .push(Entry::new("link", Kind::Symlink(b"x".to_vec())));
    tree.entries.push(Entry::new("pipe", Kind::Fifo));
    let mut huge = Entry::new("huge", Kind::File);
    huge.content = Content::Pieces(vec![Piece::Hole { length: 1 << 32 }]);
    tree.entries.push(huge);
    let (tree, _) = tree.finish();
    let refusals = fat::settle(&tree).unwrap_err();
    assert_eq!(refusals.len(), 7, "{refusals:?}");
}

#[test]
fn flipped_bits_and_cut_volumes_never_panic() {
    let (tree, chunks) = rich_tree();
    let size = 3 * MIB;
    let disk = MemoryDisk::new(size, 512);
    let layout = FatBuilder
        .lay_out(&partition(facts(12, 512, size)), &tree, size, 512)
        .unwrap();
    write_out(&disk, layout, &tree, &chunks);
    let attempt = |disk: &MemoryDisk| {
        if let Ok(reader) = fat::open(disk) {
            let _any = reader.entries();
        }
    };
    for at in 0..60_000_u64 {
        // The boot sector bit by bit, what follows here and there.
        let bits: &[u8] = if at < 100 {
            &[0, 1, 2, 3, 4, 5, 6, 7]
        } else {
            &[3]
        };
        if at > 512 && at % 37 != 0 {
            continue;
        }
        for bit in bits {
            let wrong = disk.clone();
            let mut byte = [0];
            wrong.read_at(at, &mut byte).unwrap();
            wrong.write_at(at, &[byte[0] ^ 1 << bit]).unwrap();
            attempt(&wrong);
        }
    }
    let bytes = disk.to_bytes().unwrap();
    for length in (0..1024).chain((1024..bytes.len()).step_by(9973)) {
        attempt(&MemoryDisk::from_bytes(&bytes[..length], 512));
    }
}
