//! What is captured from one disk stands on another after an apply, and what
//! cannot be proven does not boot.

mod reference;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use image_format::BlockJob;
use image_format::entry::{Content, Piece};
use image_format::image::Manifest;
use image_format::layout::{Scheme, Volume};
use image_format::proof::volume_proof;
use image_format::store::{BlockPlace, MemoryStore, Source, StoreError};
use imager::apply::{ApplyError, ApplyEvent, apply};
use imager::disk::Disk;
use imager::disk::memory::MemoryDisk;
use imager::plan::{OverlayFile, Plan, Refusal, Target, Wishes, plan};
use imager::table;
use imager::verify::{Expected, What, verify};
use reference::{MIB, MIDDLE, SMALL, Sizes, captured, contents, fsck, image, planned};

/// A source that counts, and damages what it hands out.
struct Wire<'s> {
    store: &'s MemoryStore,
    fetched: AtomicU64,
    /// Damages this many of the first fetches.
    damaged: u64,
}

impl<'s> Wire<'s> {
    fn new(store: &'s MemoryStore, damaged: u64) -> Self {
        Self {
            store,
            fetched: AtomicU64::new(0),
            damaged,
        }
    }
}

impl Source for Wire<'_> {
    fn block(&self, place: &BlockPlace) -> Result<Vec<u8>, StoreError> {
        let mut bytes = self.store.block(place)?;
        if self.fetched.fetch_add(1, Ordering::SeqCst) < self.damaged {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
        }
        Ok(bytes)
    }
}

/// Neither firmware nor boot loader finds anything here.
fn assert_boots_nothing(disk: &dyn Disk, plan: &Plan) {
    let read = |offset: u64, length: usize| {
        let mut bytes = vec![0; length];
        disk.read_at(offset, &mut bytes).unwrap();
        bytes
    };
    let sector = u64::from(disk.sector_size());
    assert_ne!(read(510, 2), [0x55, 0xaa]);
    assert_ne!(read(sector, 8), b"EFI PART");
    assert_ne!(read(disk.size() - sector, 8), b"EFI PART");
    for partition in &plan.layout.partitions {
        match partition.volume {
            Volume::Ext4(_) => assert_eq!(read(partition.start + 1024, 1024), [0; 1024]),
            Volume::Fat(_) => assert_eq!(read(partition.start, 512), [0; 512]),
            Volume::Raw => assert_eq!(read(partition.start, 4096), [0; 4096]),
            _ => {}
        }
    }
    assert!(!matches!(table::read(disk), Ok(Some(_))));
}

fn apply_to(disk: &dyn Disk, plan: &Plan, jobs: &[BlockJob], source: &dyn Source) -> u64 {
    let mut events = Vec::new();
    let proof = apply(plan, disk, jobs, source, "run 1", &mut |event| {
        events.push(event)
    });
    let proof = proof.unwrap_or_else(|error| panic!("{error}: {error:?}"));
    assert_eq!((proof.image, proof.plan), (plan.image, plan.id));
    events
        .iter()
        .map(|event| {
            if let ApplyEvent::Kept { bytes } = event {
                *bytes
            } else {
                0
            }
        })
        .sum()
}

fn reference_image() -> (
    MemoryStore,
    image_format::image::ImageRecord,
    Manifest,
    Vec<BlockJob>,
) {
    let store = MemoryStore::new();
    let disk = reference::disk(MIDDLE, 1);
    let record = captured(&disk, &store, "reference");
    let (manifest, jobs) = image(&store, &record);
    (store, record, manifest, jobs)
}

#[test]
fn image_survives_smaller_and_larger_disks_and_other_sectors() {
    let (store, record, manifest, jobs) = reference_image();
    assert_eq!(record.system.as_ref().unwrap().id, "debian");
    for (size, sector_size) in [(64, 512), (96, 512), (200, 512), (128, 4096)] {
        let target = MemoryDisk::new(size * MIB, sector_size);
        let plan = planned(&record, &manifest, &target, &Wishes::default());
        println!("{plan}");
        apply_to(&target, &plan, &jobs, &store);
        fsck(&target, &plan.layout);
        let again = MemoryStore::new();
        let second = captured(&target, &again, "again");
        let (found, _) = image(&again, &second);
        assert_eq!(
            contents(&found),
            contents(&manifest),
            "{size} MiB, {sector_size}"
        );
        assert_eq!(second.logical_size, record.logical_size);
        assert_eq!(found.disk.boot_code, manifest.disk.boot_code);
    }
}

#[test]
fn proof_is_the_root_that_the_manifest_gives() {
    let (store, record, manifest, jobs) = reference_image();
    let target = MemoryDisk::new(96 * MIB, 512);
    let wishes = Wishes {
        overlay: vec![
            OverlayFile::file("etc/hostname", 0o644, *b"pc-17\n"),
            OverlayFile::file("usr/bin/twin-a", 0o755, reference::noise(3_000_000, 99)),
            OverlayFile::symlink("etc/new/dir/link", "../x"),
        ],
        ..Wishes::default()
    };
    let plan = planned(&record, &manifest, &target, &wishes);
    let proof = apply(&plan, &target, &jobs, &store, "run", &mut |_| ()).unwrap();
    fsck(&target, &plan.layout);
    assert_eq!(proof.overlay, plan.overlay);
    let paths: Vec<_> = proof
        .overlay
        .iter()
        .map(|entry| entry.path.clone())
        .collect();
    let expected: [&[u8]; 5] = [
        b"etc/hostname",
        b"etc/new",
        b"etc/new/dir",
        b"etc/new/dir/link",
        b"usr/bin/twin-a",
    ];
    assert_eq!(paths, expected);
    for (tree, volume) in manifest.volumes.iter().zip(&proof.volumes) {
        let skip: BTreeSet<_> = proof
            .overlay
            .iter()
            .filter(|entry| entry.partition == tree.partition)
            .map(|entry| entry.path.clone())
            .collect();
        assert_eq!(volume_proof(tree, &skip), *volume);
    }
}

#[test]
fn flipped_bit_in_a_pack_is_named_and_nothing_boots() {
    let (store, record, manifest, jobs) = reference_image();
    let target = reference::disk(MIDDLE, 7);
    let plan = planned(&record, &manifest, &target, &Wishes::default());
    let last = jobs.last().unwrap().place;
    assert!(store.flip_bit(&last.pack, last.offset + 70, 4));
    let error = apply(&plan, &target, &jobs, &store, "run", &mut |_| ()).unwrap_err();
    match &error {
        ApplyError::Corrupt {
            pack,
            block,
            offset,
            ..
        } => {
            assert_eq!(
                (*pack, *block, *offset),
                (last.pack, last.block, last.offset)
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().contains(&last.block.to_string()));
    assert_boots_nothing(&target, &plan);
}

#[test]
fn damage_on_the_wire_is_fetched_again_once() {
    let (store, record, manifest, jobs) = reference_image();
    let target = MemoryDisk::new(96 * MIB, 512);
    let plan = planned(&record, &manifest, &target, &Wishes::default());
    let once = Wire::new(&store, 1);
    let mut refetched = 0;
    let mut watch = |event| refetched += u32::from(matches!(event, ApplyEvent::Refetched { .. }));
    apply(&plan, &target, &jobs, &once, "run", &mut watch).unwrap();
    assert_eq!(refetched, 1);
    assert_eq!(once.fetched.load(Ordering::SeqCst), jobs.len() as u64 + 1);

    let blank = MemoryDisk::new(96 * MIB, 512);
    let always = Wire::new(&store, u64::MAX);
    let error = apply(&plan, &blank, &jobs, &always, "run", &mut |_| ()).unwrap_err();
    assert!(matches!(error, ApplyError::Corrupt { .. }), "{error:?}");
    assert_boots_nothing(&blank, &plan);
}

#[test]
fn second_apply_of_the_same_image_fetches_almost_nothing() {
    let (store, record, manifest, jobs) = reference_image();
    let target = MemoryDisk::new(96 * MIB, 512);
    let plan = planned(&record, &manifest, &target, &Wishes::default());
    apply_to(&target, &plan, &jobs, &store);
    let wire = Wire::new(&store, 0);
    let kept = apply_to(&target, &plan, &jobs, &wire);
    assert!(kept > 6_000_000, "kept {kept}");
    // The beginning of the raw volume was destroyed, so its block comes again.
    let fetched = wire.fetched.load(Ordering::SeqCst);
    assert!(fetched <= 1, "{fetched} of {}", jobs.len());
}

#[test]
fn disk_that_is_too_small_is_refused_with_numbers() {
    let (_, record, manifest, _) = reference_image();
    let target = MemoryDisk::new(20 * MIB, 512);
    let facts = Target {
        read_only: true,
        boot_medium: true,
        ..Target::blank(&target)
    };
    let refusals = plan(record.image, &manifest, &facts, &Wishes::default()).unwrap_err();
    assert_eq!(refusals.len(), 3, "{refusals:?}");
    let numbers = refusals.iter().find_map(|refusal| match refusal {
        Refusal::TooSmall {
            needed, present, ..
        } => Some((*needed, *present)),
        _ => None,
    });
    let (needed, present) = numbers.unwrap();
    assert_eq!(present, 20 * MIB);
    assert!(needed > present && needed < 64 * MIB, "needs {needed}");
    let enough = MemoryDisk::new(needed, 512);
    planned(&record, &manifest, &enough, &Wishes::default());
    let less = Target::blank(&MemoryDisk::new(needed - MIB, 512));
    assert!(plan(record.image, &manifest, &less, &Wishes::default()).is_err());
}

#[test]
fn disks_with_an_mbr_or_no_table_survive_too() {
    for scheme in [
        Scheme::Mbr {
            signature: 0x1234_5678,
        },
        Scheme::None,
    ] {
        let source = reference::single_ext4(scheme, 40);
        let store = MemoryStore::new();
        let record = captured(&source, &store, "single");
        let (manifest, jobs) = image(&store, &record);
        assert_eq!(manifest.disk.scheme, scheme);
        for size in [32, 80] {
            let target = reference::disk(
                Sizes {
                    disk: size,
                    ..SMALL
                },
                3,
            );
            let plan = planned(&record, &manifest, &target, &Wishes::default());
            apply_to(&target, &plan, &jobs, &store);
            fsck(&target, &plan.layout);
            let again = MemoryStore::new();
            let (found, _) = image(&again, &captured(&target, &again, "again"));
            assert_eq!(
                contents(&found),
                contents(&manifest),
                "{scheme:?}, {size} MiB"
            );
        }
    }
}

#[test]
fn disk_that_an_image_fills_wholly_is_applied_without_a_scratch_area() {
    // No ext4: nothing can shrink, and the raw volume ends with the disk.
    let source = MemoryDisk::new(8 * MIB, 512);
    source.write_at(0, &reference::noise(200_000, 4)).unwrap();
    source
        .write_at(8 * MIB - 1000, &reference::noise(1000, 5))
        .unwrap();
    let store = MemoryStore::new();
    let record = captured(&source, &store, "raw");
    let (manifest, jobs) = image(&store, &record);
    let target = reference::disk(SMALL, 3);
    let target = MemoryDisk::from_bytes(&target.to_bytes().unwrap()[..8 << 20], 512);
    let plan = planned(&record, &manifest, &target, &Wishes::default());
    assert!(!plan.scratch_free);
    apply_to(&target, &plan, &jobs, &store);
    assert!(target.to_bytes().unwrap() == source.to_bytes().unwrap());
}

#[test]
fn any_changed_byte_of_a_file_is_found_by_name() {
    let (store, record, manifest, jobs) = reference_image();
    let target = MemoryDisk::new(96 * MIB, 512);
    let plan = planned(&record, &manifest, &target, &Wishes::default());
    apply_to(&target, &plan, &jobs, &store);
    let root = manifest
        .volumes
        .iter()
        .find(|tree| tree.partition == 2)
        .unwrap();
    let large = root
        .entries
        .iter()
        .find(|entry| entry.path == b"usr/bin/large")
        .unwrap();
    let Content::Pieces(pieces) = &large.content else {
        panic!("{:?}", large.content)
    };
    let Piece::Chunk { id, .. } = pieces[pieces.len() - 1] else {
        panic!("a hole")
    };
    let place = plan.places.of(&id).unwrap()[0];
    let mut byte = [0];
    target.read_at(place.offset + 5, &mut byte).unwrap();
    target.write_at(place.offset + 5, &[byte[0] ^ 1]).unwrap();
    let differences = verify(&target, &Expected::of_plan(&plan), &|_| ()).unwrap_err();
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert_eq!(differences[0].path, b"usr/bin/large");
    assert!(matches!(differences[0].what, What::Content { .. }));
}

#[test]
fn overlay_alone_changes_the_plan_and_so_does_the_size() {
    let store = MemoryStore::new();
    let record = captured(&reference::disk(SMALL, 1), &store, "small");
    let (manifest, _) = image(&store, &record);
    let id = |size: u64, name: &str| {
        let overlay = vec![OverlayFile::file("etc/hostname", 0o644, name.as_bytes())];
        let wishes = Wishes {
            overlay,
            ..Wishes::default()
        };
        planned(
            &record,
            &manifest,
            &MemoryDisk::new(size * MIB, 512),
            &wishes,
        )
        .id
    };
    assert_eq!(id(40, "a"), id(40, "a"));
    assert_ne!(id(40, "a"), id(40, "b"));
    assert_ne!(id(40, "a"), id(41, "a"));
}
