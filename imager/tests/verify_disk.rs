//! What differs on a disk beside its files is a difference too.

mod reference;

use image_format::store::MemoryStore;
use imager::apply::{apply, was_interrupted};
use imager::disk::memory::MemoryDisk;
use imager::disk::{Disk, FileDisk};
use imager::plan::{Plan, Wishes};
use imager::scratch::{self, Marker};
use imager::verify::verify_image;
use reference::{MIB, MIDDLE, captured, image, planned, run};

/// The reference disk, applied to another one, with its image.
fn applied() -> (MemoryDisk, Plan, image_format::Manifest) {
    let store = MemoryStore::new();
    let record = captured(&reference::disk(MIDDLE, 1), &store, "disk");
    let (manifest, jobs) = image(&store, &record);
    let target = MemoryDisk::new(200 * MIB, 512);
    let plan = planned(&record, &manifest, &target, &Wishes::default());
    apply(&plan, &target, &jobs, &store, "run", &mut |_| ()).unwrap();
    assert!(verify_image(&target, &manifest, &|_| ()).is_ok());
    (target, plan, manifest)
}

/// All differences as they are printed.
fn words(disk: &dyn Disk, manifest: &image_format::Manifest) -> String {
    let differences = verify_image(disk, manifest, &|_| ()).unwrap_err();
    let words: Vec<String> = differences.iter().map(ToString::to_string).collect();
    words.join("\n")
}

fn flip(disk: &dyn Disk, place: u64) {
    let mut byte = [0];
    disk.read_at(place, &mut byte).unwrap();
    disk.write_at(place, &[byte[0] ^ 0xff]).unwrap();
}

#[test]
fn damaged_tables_and_boot_code_are_differences() {
    let (target, plan, manifest) = applied();
    let whole = target.to_bytes().unwrap();
    let esp = plan.layout.partitions[0].start;
    for (place, expected) in [
        (esp + 120, "partition 1: boot code differs"),
        (100, "disk: boot code differs"),
        (512 + 60, "disk: the first partition table is damaged"),
    ] {
        let changed = MemoryDisk::from_bytes(&whole, 512);
        flip(&changed, place);
        let words = words(&changed, &manifest);
        assert!(words.contains(expected), "{expected}: {words}");
    }
    let changed = MemoryDisk::from_bytes(&whole, 512);
    changed.write_at(changed.size() - 512, &[0; 512]).unwrap();
    let words = words(&changed, &manifest);
    assert!(
        words.contains("disk: the backup partition table is missing"),
        "{words}"
    );
}

#[test]
fn ids_are_told_as_other_tools_print_them_and_ext4_defaults_count() {
    let (target, plan, manifest) = applied();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    std::fs::write(&path, target.to_bytes().unwrap()).unwrap();
    let start = |number: u32| {
        let mut partitions = plan.layout.partitions.iter();
        partitions.find(|p| p.number == number).unwrap().start
    };
    let ext4 = format!("{}?offset={}", path.display(), start(3));
    run("tune2fs", &["-o", "^acl", "-e", "panic", &ext4]);
    let disk = FileDisk::open(&path, 512).unwrap();
    let found = words(&disk, &manifest);
    for word in [
        "default mount options: expected",
        "behaviour on errors: expected",
        "found panic",
    ] {
        assert!(found.contains(word), "{word}: {found}");
    }
    // A swap header's UUID lies at byte 1036.
    let swap = MemoryDisk::from_bytes(&target.to_bytes().unwrap(), 512);
    let uuid: [u8; 16] = std::array::from_fn(|at| u8::try_from(at).unwrap() + 0xa0);
    swap.write_at(start(4) + 1036, &uuid).unwrap();
    let found = words(&swap, &manifest);
    assert!(
        found.contains("found a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf"),
        "{found}"
    );
}

#[test]
fn only_a_disk_that_holds_nothing_but_the_same_plan_s_beginning_goes_on() {
    let (done, plan, _) = applied();
    assert!(!was_interrupted(&plan, &done));
    let marked = |id: [u8; 32]| {
        let disk = MemoryDisk::new(200 * MIB, 512);
        let marker = Marker {
            plan: id,
            run: "run".to_owned(),
            phase: 0,
        };
        scratch::write(&disk, &marker).unwrap();
        disk
    };
    assert!(was_interrupted(&plan, &marked(plan.id)));
    assert!(!was_interrupted(&plan, &marked([7; 32])));
    assert!(!was_interrupted(&plan, &MemoryDisk::new(200 * MIB, 512)));
    for (place, bytes) in [
        (446, &b"a partition"[..]),
        (200 * MIB - 512, b"EFI PART"),
        (65_536 + 64, b"_BHRfS_M"),
    ] {
        let disk = marked(plan.id);
        disk.write_at(place, bytes).unwrap();
        assert!(!was_interrupted(&plan, &disk), "{place}");
    }
}

#[test]
fn partition_that_is_raw_by_nature_is_no_surprise_and_another_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    for (kind, expected) in [
        ("21686148-6449-6E6F-744E-656564454649", 0),
        ("E3C9E316-0B5C-4DB8-817D-F92DF00215AE", 0),
        ("9E1A2D38-C612-4316-AA26-8B49521E5A8B", 0),
        ("0FC63DAF-8483-4772-8E79-3D69D8477DE4", 1),
    ] {
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(8 * MIB).unwrap();
        let script = format!("printf 'label: gpt\\nstart=2048, size=2048, type={kind}\\n'");
        let command = format!("{script} | /sbin/sfdisk -q {}", path.display());
        run("sh", &["-c", &command]);
        let disk = FileDisk::open_writable(&path, 512).unwrap();
        disk.write_at(MIB + 5000, b"a loader").unwrap();
        let found = imager::survey::survey(&disk).unwrap();
        assert_eq!(
            found.warnings.len(),
            expected,
            "{kind}: {:?}",
            found.warnings
        );
    }
}
