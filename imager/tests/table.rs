//! Partition tables against sgdisk, and against damage.

use std::process::Command;

use image_format::layout::{DiskLayout, Partition, Scheme, Volume};
use imager::disk::{Disk, MemoryDisk};
use imager::table::{self, TableError, TableWrites};

const MIB: u64 = 1 << 20;

fn partition(number: u32, start: u64, size: u64) -> Partition {
    let mut type_guid = [
        0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
    ];
    type_guid[15] ^= u8::try_from(number).unwrap();
    let name: Vec<u16> = format!("partition {number} \u{20ac}")
        .encode_utf16()
        .collect();
    let attributes = if number == 3 {
        0x8000_0000_0000_0001
    } else {
        0
    };
    Partition {
        number,
        start,
        size,
        type_guid,
        guid: [u8::try_from(number).unwrap(); 16],
        attributes,
        name,
        volume: Volume::Empty,
    }
}

fn gpt(size: u64, sector_size: u32) -> DiskLayout {
    DiskLayout {
        sector_size,
        size,
        scheme: Scheme::Gpt {
            disk_guid: *b"0123456789abcdef",
        },
        boot_code: vec![0x90; 440],
        // Numbers need not follow the places.
        partitions: vec![
            partition(3, MIB, 8 * MIB),
            partition(1, 9 * MIB, MIB),
            partition(128, 20 * MIB, 4 * MIB),
        ],
    }
}

fn mbr(size: u64, sector_size: u32) -> DiskLayout {
    let plain = |number, kind, start, attributes| {
        let mut type_guid = [0; 16];
        type_guid[0] = kind;
        Partition {
            type_guid,
            guid: [0; 16],
            name: Vec::new(),
            attributes,
            ..partition(number, start, 8 * MIB)
        }
    };
    let partitions = vec![plain(2, 0x83, MIB, 4), plain(1, 0x82, 10 * MIB, 0)];
    DiskLayout {
        sector_size,
        size,
        scheme: Scheme::Mbr {
            signature: 0xdead_beef,
        },
        boot_code: Vec::new(),
        partitions,
    }
}

fn put(disk: &dyn Disk, writes: &TableWrites) {
    for write in writes
        .primary
        .iter()
        .chain(&writes.backup)
        .chain([&writes.mbr])
    {
        disk.write_at(write.offset, &write.bytes).unwrap();
    }
}

fn made(layout: &DiskLayout) -> MemoryDisk {
    let disk = MemoryDisk::new(layout.size, layout.sector_size);
    put(
        &disk,
        &table::encode(layout, layout.size, layout.sector_size).unwrap(),
    );
    disk
}

fn noted(disk: &dyn Disk) -> (Option<DiskLayout>, Vec<String>) {
    let mut notes = Vec::new();
    (table::read_noting(disk, &mut notes).unwrap(), notes)
}

#[test]
fn tables_of_both_kinds_and_sector_sizes_are_read_back() {
    for sector_size in [512, 4096] {
        for layout in [gpt(64 * MIB, sector_size), mbr(64 * MIB, sector_size)] {
            let disk = made(&layout);
            let (found, notes) = noted(&disk);
            assert_eq!(found.unwrap(), layout);
            assert!(notes.is_empty(), "{notes:?}");
        }
    }
}

#[test]
fn sgdisk_finds_no_problem_and_says_the_same() {
    let disk = made(&gpt(64 * MIB, 512));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gpt.img");
    std::fs::write(&path, disk.to_bytes().unwrap()).unwrap();
    let sgdisk = |argument: &str| {
        let output = Command::new("sgdisk")
            .arg(argument)
            .arg(&path)
            .output()
            .expect("install gdisk");
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    };
    let text = sgdisk("-v");
    assert!(text.contains("No problems found"), "{text}");
    assert!(
        !text.to_lowercase().contains("warning") && !text.contains("corrupt"),
        "{text}"
    );
    let text = sgdisk("-i=3");
    assert!(
        text.contains("First sector: 2048 ") && text.contains("Last sector: 18431 "),
        "{text}"
    );
    assert!(text.contains("Attribute flags: 8000000000000001"), "{text}");
    assert!(
        text.contains("Partition name: 'partition 3 \u{20ac}'"),
        "{text}"
    );
}

#[test]
fn a_table_made_by_sgdisk_is_read_and_made_again_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gpt.img");
    std::fs::File::create(&path)
        .unwrap()
        .set_len(64 * MIB)
        .unwrap();
    let arguments = [
        "-n",
        "1:2048:+8M",
        "-t",
        "1:ef00",
        "-c",
        "1:EFI system",
        "-n",
        "2:0:0",
        "-A",
        "2:set:60",
    ];
    assert!(
        Command::new("sgdisk")
            .args(arguments)
            .arg(&path)
            .output()
            .unwrap()
            .status
            .success()
    );
    let bytes = std::fs::read(&path).unwrap();
    let layout = table::read(&MemoryDisk::from_bytes(&bytes, 512))
        .unwrap()
        .unwrap();
    assert_eq!(layout.partitions.len(), 2);
    let again = made(&layout).to_bytes().unwrap();
    // The CHS fields of the protective record differ between tools.
    assert_eq!(again[512..], bytes[512..]);
    assert_eq!(again[458..512], bytes[458..512]);
}

#[test]
fn each_copy_alone_is_enough_and_the_loss_is_noted() {
    for sector_size in [512_u32, 4096] {
        let layout = gpt(64 * MIB, sector_size);
        let sector = u64::from(sector_size);
        let last = layout.size - sector;
        for (at, word) in [
            (sector + 40, "first"),
            (2 * sector + 3, "first"),
            (last + 40, "backup"),
            (last - 16384 + 3, "backup"),
        ] {
            let disk = made(&layout);
            disk.write_at(at, &[0x77]).unwrap();
            let (found, notes) = noted(&disk);
            assert_eq!(found.unwrap(), layout);
            assert!(
                notes.len() == 1 && notes[0].contains(word),
                "{at}: {notes:?}"
            );
        }
        let disk = made(&layout);
        disk.write_at(sector + 40, &[0x77]).unwrap();
        disk.write_at(last + 40, &[0x77]).unwrap();
        assert!(matches!(
            table::read(&disk),
            Err(TableError::BothDamaged { .. })
        ));
    }
}

#[test]
fn a_grown_disk_and_a_hybrid_mbr_are_noted() {
    let layout = gpt(64 * MIB, 512);
    let disk = MemoryDisk::new(128 * MIB, 512);
    put(&disk, &table::encode(&layout, 64 * MIB, 512).unwrap());
    let (found, notes) = noted(&disk);
    assert_eq!(found.unwrap().partitions, layout.partitions);
    assert!(notes[0].contains("grown"), "{notes:?}");
    disk.write_at(446 + 16 + 4, &[0x83]).unwrap();
    assert!(noted(&disk).1.iter().any(|note| note.contains("hybrid")));
}

#[test]
fn volumes_and_empty_disks_have_no_table() {
    let disk = MemoryDisk::new(MIB, 512);
    assert_eq!(table::read(&disk).unwrap(), None);
    let mut boot = vec![0; 512];
    boot[3..11].copy_from_slice(b"NTFS    ");
    boot[510..].copy_from_slice(&[0x55, 0xaa]);
    disk.write_at(0, &boot).unwrap();
    assert_eq!(table::read(&disk).unwrap(), None);
    assert_eq!(table::read(&MemoryDisk::new(100, 512)).unwrap(), None);
}

/// Two primary partitions and logical ones with the numbers 5, 6 and 7, whose
/// places are in another order.
fn with_logical(sector_size: u32) -> DiskLayout {
    let mut layout = mbr(128 * MIB, sector_size);
    let kept = 0x0f << 8 | 3 << 16;
    let places = [(7, 0x82), (5, 0x83), (6, 0x07)];
    for (place, (number, kind)) in (0_u64..).zip(places) {
        let mut logical = layout.partitions[0].clone();
        logical.number = number;
        logical.start = (40 + 10 * place) * MIB;
        logical.type_guid[0] = kind;
        logical.attributes = if number == 6 { kept | 4 } else { kept };
        layout.partitions.push(logical);
    }
    layout
}

#[test]
fn logical_partitions_are_made_and_read_back() {
    for sector_size in [512, 4096] {
        let layout = with_logical(sector_size);
        let (found, notes) = noted(&made(&layout));
        assert_eq!(found.unwrap(), layout);
        assert!(notes.is_empty(), "{notes:?}");
    }
    let mut tight = with_logical(512);
    tight.partitions[2].start = 18 * MIB + 512;
    assert!(table::encode(&tight, tight.size, 512).is_err());
    tight.partitions[2].start = 18 * MIB + 1024;
    assert_eq!(noted(&made(&tight)).0.unwrap(), tight);
    tight.partitions[2].start = 18 * MIB;
    assert!(table::encode(&tight, tight.size, 512).is_err());
    let wrong = |change: &dyn Fn(&mut DiskLayout)| {
        let mut layout = with_logical(512);
        change(&mut layout);
        table::encode(&layout, layout.size, 512).is_err()
    };
    assert!(wrong(&|layout| layout.partitions[2].number = 8));
    assert!(wrong(&|layout| layout.partitions[4].number = 1));
    assert!(wrong(&|layout| layout.partitions[0].start = 49 * MIB));
    assert!(wrong(&|layout| layout.partitions[2].type_guid[0] = 0x05));
}

/// One entry of a record, as every tool since the nineties writes it.
fn put_entry(disk: &dyn Disk, record: u64, index: u64, head: [u8; 2], place: [u32; 2]) {
    let [status, kind] = head;
    let mut bytes = vec![status, 0xfe, 0xff, 0xff, kind, 0xfe, 0xff, 0xff];
    bytes.extend(place[0].to_le_bytes());
    bytes.extend(place[1].to_le_bytes());
    disk.write_at(record * 512 + 446 + index * 16, &bytes)
        .unwrap();
    disk.write_at(record * 512 + 510, &[0x55, 0xaa]).unwrap();
}

#[test]
fn chain_with_old_and_new_gaps_and_its_own_order_is_read() {
    let disk = MemoryDisk::new(128 * MIB, 512);
    put_entry(&disk, 0, 0, [0x80, 0x83], [63, 1000]);
    put_entry(&disk, 0, 1, [0, 0x0f], [4096, 200_000]);
    put_entry(&disk, 4096, 0, [0, 0x83], [63, 1000]);
    put_entry(&disk, 4096, 1, [0, 0x05], [90_000, 12_048]);
    put_entry(&disk, 94_096, 0, [0, 0x82], [2048, 10_000]);
    put_entry(&disk, 94_096, 1, [0, 0x05], [20_000, 3048]);
    put_entry(&disk, 24_096, 0, [0, 0x07], [2048, 1000]);
    let (found, notes) = noted(&disk);
    let found = found.unwrap();
    let rows: Vec<_> = found
        .partitions
        .iter()
        .map(|p| (p.number, p.type_guid[0], p.start / 512, p.size / 512))
        .collect();
    let expected = [
        (1, 0x83, 63, 1000),
        (5, 0x83, 4159, 1000),
        (7, 0x07, 26_144, 1000),
        (6, 0x82, 96_144, 10_000),
    ];
    assert_eq!(rows, expected);
    assert!(notes.is_empty(), "{notes:?}");
    assert_eq!(noted(&made(&found)).0.unwrap(), found);
}

#[test]
fn kernel_finds_logical_partitions_where_we_put_them() {
    let layout = with_logical(512);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mbr.img");
    std::fs::write(&path, made(&layout).to_bytes().unwrap()).unwrap();
    let losetup = |arguments: &[&str]| {
        let output = Command::new("losetup").args(arguments).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    let Some(device) = losetup(&["-r", "-P", "-f", "--show", path.to_str().unwrap()]) else {
        println!("not run: loop devices need root");
        return;
    };
    let name = device.trim_start_matches("/dev/").to_owned();
    let number = |part: u32, file: &str| {
        let path = format!("/sys/block/{name}/{name}p{part}/{file}");
        let text = std::fs::read_to_string(path).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let numbers: Vec<u32> = layout.partitions.iter().map(|p| p.number).collect();
    let found: Vec<_> = numbers
        .iter()
        .map(|&part| (number(part, "start"), number(part, "size")))
        .collect();
    losetup(&["-d", &device]);
    if found.iter().all(|place| *place == (None, None)) {
        println!("not run: this kernel does not look for partitions on loop devices");
        return;
    }
    let expected: Vec<_> = layout
        .partitions
        .iter()
        .map(|p| (Some(p.start / 512), Some(p.size / 512)))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn chains_that_come_back_or_lead_nowhere_are_refused() {
    let layout = with_logical(512);
    let disk = made(&layout);
    let records: Vec<u64> = table::encode(&layout, layout.size, 512)
        .unwrap()
        .primary
        .iter()
        .map(|write| write.offset)
        .collect();
    let second = 446 + 16 + 8;
    for next in [0_u32, 0x7fff_ffff, 1] {
        let wrong = disk.clone();
        wrong
            .write_at(records[1] + second, &next.to_le_bytes())
            .unwrap();
        assert!(table::read(&wrong).is_err(), "{next}");
    }
    let empty = disk.clone();
    empty.write_at(records[0] + 510, &[0, 0]).unwrap();
    let (found, notes) = noted(&empty);
    assert_eq!(found.unwrap().partitions.len(), 2);
    assert!(notes[0].contains("nothing in it"), "{notes:?}");
    for &record in &records {
        for at in (446..512).map(|at| record + at) {
            for bit in 0..8 {
                let wrong = disk.clone();
                let mut byte = [0];
                wrong.read_at(at, &mut byte).unwrap();
                wrong.write_at(at, &[byte[0] ^ 1 << bit]).unwrap();
                let _any = table::read(&wrong);
            }
        }
    }
}

#[test]
fn layouts_that_do_not_fit_are_refused() {
    let wrong = |change: &dyn Fn(&mut DiskLayout)| {
        let mut layout = gpt(64 * MIB, 512);
        change(&mut layout);
        table::encode(&layout, layout.size, 512).is_err()
    };
    assert!(!wrong(&|_| {}));
    assert!(wrong(&|layout| layout.partitions[0].start += 100));
    assert!(wrong(&|layout| layout.partitions[0].size = 9 * MIB));
    assert!(wrong(&|layout| layout.partitions[0].size = 0));
    assert!(wrong(&|layout| layout.partitions[0].start = 512));
    assert!(wrong(&|layout| layout.partitions[2].size = 44 * MIB));
    assert!(wrong(&|layout| layout.partitions[0].number = 1));
    assert!(wrong(&|layout| layout.partitions[0].number = 0));
    assert!(wrong(&|layout| layout.partitions[0].number = 5000));
    assert!(wrong(&|layout| layout.partitions[0].name = vec![65; 37]));
    assert!(wrong(&|layout| layout.partitions[0].type_guid = [0; 16]));
    let layout = mbr(64 * MIB, 512);
    let mut five = layout.clone();
    five.partitions[0].number = 6;
    assert!(table::encode(&five, five.size, 512).is_err());
    let mut far = layout;
    far.partitions[0].start = 1 << 42;
    assert!(table::encode(&far, 1 << 43, 512).is_err());
}

#[test]
fn flipped_bits_and_cut_disks_never_panic() {
    for layout in [gpt(32 * MIB, 512), mbr(32 * MIB, 512)] {
        let disk = made(&layout);
        for at in (0..1024 + 400).chain(32 * MIB - 512..32 * MIB - 400) {
            for bit in 0..8 {
                let wrong = disk.clone();
                let mut byte = [0];
                wrong.read_at(at, &mut byte).unwrap();
                wrong.write_at(at, &[byte[0] ^ 1 << bit]).unwrap();
                let _any = table::read(&wrong);
            }
        }
        let bytes = disk.to_bytes().unwrap();
        for length in (0..2048).chain([1 << 20, 16 << 20]) {
            let _any = table::read(&MemoryDisk::from_bytes(&bytes[..length], 512));
        }
    }
}
