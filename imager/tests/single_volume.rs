//! One volume of a disk's image on a partition of its own size, a smaller and a
//! larger one; volumes nobody understands; volumes captured without a table.

mod reference;

use image_format::entry::{Content, Piece};
use image_format::layout::{Scheme, Volume};
use image_format::store::MemoryStore;
use imager::apply::apply;
use imager::disk::memory::MemoryDisk;
use imager::disk::{Disk, FileDisk};
use imager::plan::{Plan, Refusal, Target, Wishes, plan, single, tree_as_ext4};
use imager::verify::{What, verify_image};
use reference::{MIB, MIDDLE, captured, contents, fsck, image, planned, run};

fn applied(disk: &dyn Disk, plan: &Plan, jobs: &[image_format::BlockJob], store: &MemoryStore) {
    let proof = apply(plan, disk, jobs, store, "run", &mut |_| ());
    proof.unwrap_or_else(|error| panic!("{error}: {error:?}"));
}

#[test]
fn each_volume_of_a_disk_goes_alone_onto_smaller_and_larger_partitions() {
    let store = MemoryStore::new();
    let record = captured(&reference::disk(MIDDLE, 1), &store, "disk");
    let (manifest, jobs) = image(&store, &record);
    // ESP, raw, ext4 and swap, as they are in the reference disk.
    for (number, sizes) in [
        (1, [5, 8, 60]),
        (2, [2, 3, 40]),
        (3, [30, 78, 200]),
        (4, [1, 4, 9]),
    ] {
        let alone = single(&manifest, number).unwrap();
        for (size, sector_size) in sizes
            .into_iter()
            .flat_map(|size| [(size, 512), (size, 4096)])
        {
            let target = MemoryDisk::new(size * MIB, sector_size);
            target
                .write_at(100_000, &reference::noise(300_000, 77))
                .unwrap();
            let plan = planned(&record, &alone, &target, &Wishes::default());
            applied(&target, &plan, &jobs, &store);
            fsck(&target, &plan.layout);
            if let Err(differences) = verify_image(&target, &alone, &|_| ()) {
                panic!("{number} in {size} MiB: {differences:#?}");
            }
            if number != 2 {
                let volume = &plan.layout.partitions[0];
                assert_eq!(volume.size, size * MIB, "{number}");
            }
        }
    }
    assert!(matches!(
        single(&manifest, 9),
        Err(Refusal::NoSuchVolume { .. })
    ));
}

#[test]
fn volume_that_nobody_understands_is_not_shrunk() {
    let store = MemoryStore::new();
    let record = captured(&reference::disk(MIDDLE, 1), &store, "disk");
    let (manifest, _) = image(&store, &record);
    let alone = single(&manifest, 2).unwrap();
    let target = Target::blank(&MemoryDisk::new(2 * MIB - 4096, 512));
    let refusals = plan(record.image, &alone, &target, &Wishes::default()).unwrap_err();
    assert!(matches!(refusals[0], Refusal::TooSmall { needed, .. } if needed == 2 * MIB));
    // In a disk it grows, with zeros behind it, and does not shrink.
    let wishes = Wishes {
        grow: Some(2),
        ..Wishes::default()
    };
    let larger = MemoryDisk::new(110 * MIB, 512);
    let plan = planned(&record, &manifest, &larger, &wishes);
    assert!(plan.layout.partitions[1].size > 10 * MIB);
    let smaller = Target::blank(&MemoryDisk::new(90 * MIB, 512));
    assert!(imager::plan::plan(record.image, &manifest, &smaller, &wishes).is_err());
}

#[test]
fn disk_that_differs_is_told_by_name() {
    let store = MemoryStore::new();
    let record = captured(&reference::disk(MIDDLE, 1), &store, "disk");
    let (manifest, jobs) = image(&store, &record);
    let target = MemoryDisk::new(140 * MIB, 512);
    let plan = planned(&record, &manifest, &target, &Wishes::default());
    applied(&target, &plan, &jobs, &store);
    assert!(verify_image(&target, &manifest, &|_| ()).is_ok());
    let raw = &plan.layout.partitions[1];
    target.write_at(raw.start + 5000, &[1, 2, 3]).unwrap();
    let differences = verify_image(&target, &manifest, &|_| ()).unwrap_err();
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert_eq!(differences[0].partition, raw.number);
    let mut other = manifest.clone();
    other.disk.partitions[0].guid = [7; 16];
    let differences = verify_image(&target, &other, &|_| ()).unwrap_err();
    let id = |what: &What| matches!(what, What::Property { name, .. } if *name == "partition id");
    assert!(
        differences.iter().any(|difference| id(&difference.what)),
        "{differences:?}"
    );
    let blank = MemoryDisk::new(140 * MIB, 512);
    let differences = verify_image(&blank, &manifest, &|_| ()).unwrap_err();
    assert!(differences[0].to_string().contains("no partition table"));
}

/// An active primary partition with noise, and logical ones with ext4 and swap.
fn with_logical() -> MemoryDisk {
    let (boot, root) = (
        reference::noise(100_000, 3),
        reference::single_ext4(Scheme::None, 60),
    );
    let disk = MemoryDisk::new(100 * MIB, 512);
    let logical = 0x0f << 8 | 2 << 16;
    let places = [
        (1, 0x83, 1, 2, 4),
        (5, 0x83, 5, 60, logical),
        (6, 0x82, 66, 4, logical),
    ];
    let partitions = places.map(|(number, kind, start, size, attributes)| {
        let mut type_guid = [0; 16];
        type_guid[0] = kind;
        image_format::layout::Partition {
            number,
            start: start * MIB,
            size: size * MIB,
            type_guid,
            guid: [0; 16],
            attributes,
            name: Vec::new(),
            volume: Volume::Empty,
        }
    });
    let layout = image_format::layout::DiskLayout {
        sector_size: 512,
        size: disk.size(),
        scheme: Scheme::Mbr {
            signature: 0x1234_abcd,
        },
        boot_code: reference::noise(440, 9),
        partitions: partitions.to_vec(),
    };
    let writes = imager::table::encode(&layout, disk.size(), 512).unwrap();
    for write in writes.primary.iter().chain([&writes.mbr]) {
        disk.write_at(write.offset, &write.bytes).unwrap();
    }
    disk.write_at(MIB, &boot).unwrap();
    disk.write_at(5 * MIB, &root.to_bytes().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let swap = folder.path().join("swap");
    std::fs::File::create(&swap)
        .unwrap()
        .set_len(4 * MIB)
        .unwrap();
    run("mkswap", &["-q", swap.to_str().unwrap()]);
    disk.write_at(66 * MIB, &std::fs::read(swap).unwrap())
        .unwrap();
    disk
}

#[test]
fn disk_with_logical_partitions_survives_other_sizes() {
    let source = with_logical();
    let store = MemoryStore::new();
    let record = captured(&source, &store, "logical");
    let (manifest, jobs) = image(&store, &record);
    let numbers: Vec<u32> = manifest.disk.partitions.iter().map(|p| p.number).collect();
    assert_eq!(numbers, [1, 5, 6]);
    for (size, sector_size) in [(60, 512), (100, 512), (300, 512), (200, 4096)] {
        let target = MemoryDisk::new(size * MIB, sector_size);
        let plan = planned(&record, &manifest, &target, &Wishes::default());
        applied(&target, &plan, &jobs, &store);
        fsck(&target, &plan.layout);
        assert!(verify_image(&target, &manifest, &|_| ()).is_ok());
        let again = MemoryStore::new();
        let (found, _) = image(&again, &captured(&target, &again, "again"));
        assert_eq!(contents(&found), contents(&manifest));
        assert_eq!(found.disk.scheme, manifest.disk.scheme);
        let words = |at: usize| {
            let partition = &found.disk.partitions[at];
            (
                partition.number,
                partition.type_guid[0],
                partition.attributes,
            )
        };
        assert_eq!(words(0), (1, 0x83, 4));
        assert_eq!((words(1).0, words(2).0, words(2).1), (5, 6, 0x82));
    }
}

#[test]
fn directory_becomes_an_ext4_volume() {
    let store = MemoryStore::new();
    let record = captured(&reference::disk(MIDDLE, 1), &store, "disk");
    let (mut manifest, jobs) = image(&store, &record);
    // As a tree of the reference's root would be.
    let tree = manifest
        .volumes
        .iter()
        .find(|tree| tree.entries.len() > 20)
        .unwrap();
    let entries = tree.entries.clone();
    let partition = 0;
    manifest.volumes = vec![image_format::VolumeTree { partition, entries }];
    manifest.disk = image_format::layout::DiskLayout::tree();
    let target = MemoryDisk::new(60 * MIB, 512);
    let facts = Target::blank(&target);
    assert!(plan(record.image, &manifest, &facts, &Wishes::default()).is_err());
    let volume = tree_as_ext4(&record.image, &manifest);
    let plan = planned(&record, &volume, &target, &Wishes::default());
    applied(&target, &plan, &jobs, &store);
    fsck(&target, &plan.layout);
    assert!(verify_image(&target, &volume, &|_| ()).is_ok());
}

/// mkntfs and friends, where the machine has them.
fn has(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found = path
        .split(':')
        .any(|folder| std::path::Path::new(folder).join(program).exists());
    if !found {
        println!("not run: {program} is not here");
    }
    found
}

#[test]
fn ntfs_is_captured_without_its_free_clusters() {
    if !has("mkntfs") || !has("ntfscp") || !has("ntfscat") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let shell = format!(
        "export PATH=$PATH:/usr/sbin:/sbin; truncate -s 60M {at}/ntfs.img && \
         yes garbage | dd of={at}/ntfs.img bs=1M count=60 iflag=fullblock conv=notrunc status=none; \
         mkntfs -q -F -Q -L DATA {at}/ntfs.img && head -c 3000000 /dev/urandom > {at}/file && \
         ntfscp -q {at}/ntfs.img {at}/file report.bin"
    );
    let ran = std::process::Command::new("sh")
        .args(["-c", &shell])
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let source = FileDisk::open(&folder.path().join("ntfs.img"), 512).unwrap();
    let store = MemoryStore::new();
    let record = captured(&source, &store, "ntfs");
    let (manifest, jobs) = image(&store, &record);
    assert_eq!(manifest.disk.scheme, Scheme::None);
    assert_eq!(manifest.disk.partitions[0].volume, Volume::Raw);
    let Content::Pieces(pieces) = &manifest.volumes[0].entries[0].content else {
        panic!("no pieces");
    };
    let stored: u64 = pieces
        .iter()
        .filter(|piece| matches!(piece, Piece::Chunk { .. }))
        .map(Piece::length)
        .sum();
    assert!((3_000_000..20 << 20).contains(&stored), "{stored} bytes");
    let path = folder.path().join("copy.img");
    let target = FileDisk::create(&path, 60 * MIB, 512).unwrap();
    let plan = planned(&record, &manifest, &target, &Wishes::default());
    applied(&target, &plan, &jobs, &store);
    drop(target);
    let shell = format!(
        "export PATH=$PATH:/usr/sbin:/sbin; ntfscat {at}/copy.img report.bin | cmp - {at}/file && \
         ntfsfix -n {at}/copy.img"
    );
    let ran = std::process::Command::new("sh")
        .args(["-c", &shell])
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}
