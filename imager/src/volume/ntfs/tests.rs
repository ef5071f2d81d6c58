use super::*;
use crate::disk::MemoryDisk;

const CLUSTER: u64 = 4096;
const TABLE: u64 = 64 << 10;
const SIZE: u64 = 16 << 20;

/// A record of 1024 bytes with its fix-ups made, holding these attributes.
fn record(attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    bytes[..4].copy_from_slice(b"FILE");
    bytes[4..8].copy_from_slice(&[48, 0, 3, 0]);
    bytes[20..24].copy_from_slice(&[56, 0, 1, 0]);
    let mut at = 56;
    for attribute in attributes {
        bytes[at..at + attribute.len()].copy_from_slice(attribute);
        at += attribute.len();
    }
    bytes[at..at + 4].fill(0xff);
    for stride in 1..3_usize {
        let end = stride * 512 - 2;
        bytes[48 + stride * 2] = bytes[end];
        bytes[49 + stride * 2] = bytes[end + 1];
        bytes[end..end + 2].copy_from_slice(&[7, 0]);
    }
    bytes[48] = 7;
    bytes
}

fn resident(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 24 + value.len().next_multiple_of(8)];
    bytes[0] = kind;
    bytes[4] = u8::try_from(bytes.len()).unwrap();
    bytes[16] = u8::try_from(value.len()).unwrap();
    bytes[20] = 24;
    bytes[24..24 + value.len()].copy_from_slice(value);
    bytes
}

fn in_clusters(runs: &[u8], size: u16) -> Vec<u8> {
    let mut bytes = vec![0; 64 + runs.len().next_multiple_of(8)];
    bytes[0] = 0x80;
    bytes[4] = u8::try_from(bytes.len()).unwrap();
    bytes[8] = 1;
    bytes[32] = 64;
    bytes[48..50].copy_from_slice(&size.to_le_bytes());
    bytes[64..64 + runs.len()].copy_from_slice(runs);
    bytes
}

fn name(name: &str) -> Vec<u8> {
    let mut value = vec![0; 66];
    value[64] = u8::try_from(name.len()).unwrap();
    value.extend(name.encode_utf16().flat_map(u16::to_le_bytes));
    resident(0x30, &value)
}

/// 16 MiB whose bitmap, in clusters 40 and 50, names clusters 0 to 63 and 3000.
fn volume() -> MemoryDisk {
    let disk = MemoryDisk::new(SIZE, 512);
    let mut boot = vec![0; 512];
    boot[3..11].copy_from_slice(b"NTFS    ");
    boot[11..14].copy_from_slice(&[0, 2, 8]);
    boot[40..48].copy_from_slice(&(SIZE / 512 - 1).to_le_bytes());
    boot[48] = u8::try_from(TABLE / CLUSTER).unwrap();
    boot[64] = 0xf6;
    disk.write_at(0, &boot).unwrap();
    let put = |number: u64, bytes: &[u8]| {
        let place = TABLE + number * 1024;
        disk.write_at(place, bytes).unwrap();
    };
    put(2, &record(&[in_clusters(&[0x11, 2, 60, 0], 8192)]));
    put(3, &record(&[resident(0x70, &[0; 12])]));
    let runs = [0x11, 1, 40, 0x11, 1, 10, 0];
    put(6, &record(&[name("$Bitmap"), in_clusters(&runs, 512)]));
    disk.write_at(60 * CLUSTER, &[0xff; 4096]).unwrap();
    disk.write_at(40 * CLUSTER, &[0xff; 8]).unwrap();
    disk.write_at(40 * CLUSTER + 3000 / 8, &[1]).unwrap();
    disk
}

#[test]
fn clusters_the_bitmap_names_are_used_and_no_others() {
    let Allocation::Known(used) = allocation(&volume()).unwrap() else {
        panic!("not understood");
    };
    assert!(used.touches(0, 1) && used.touches(63 * CLUSTER, 1));
    assert!(!used.touches(64 * CLUSTER, 2900 * CLUSTER));
    assert!(used.touches(3000 * CLUSTER, 1));
    assert!(used.touches(SIZE - 512, 512), "the copy of the boot sector");
}

#[test]
fn a_volume_that_was_not_shut_down_tells_nothing() {
    let told = |at: u64, bytes: &[u8]| {
        let disk = volume();
        disk.write_at(at, bytes).unwrap();
        match allocation(&disk).unwrap() {
            Allocation::Known(_) => String::new(),
            Allocation::Unknown(why) => why,
        }
    };
    assert_eq!(told(8 << 20, b"x"), "");
    // 56 bytes of heading, 24 of the attribute's, 10 before the flags.
    assert!(told(TABLE + 3 * 1024 + 90, &[1]).contains("shut down"));
    assert!(told(60 * CLUSTER, b"RSTR").contains("shut down"));
    assert!(told(TABLE + 6 * 1024 + 510, &[8]).contains("bitmap"));
    assert!(told(42, &[1]).contains("larger"));
    assert!(told(13, &[3]).contains("boot sector"));
}

#[test]
fn no_flipped_bit_makes_a_reader_panic() {
    let disk = volume();
    let records = [2, 3, 6].map(|number| TABLE + number * 1024);
    let places = records.into_iter().flat_map(|at| at..at + 260);
    for at in (0..512).chain(places) {
        for bit in 0..8 {
            let mut byte = [0];
            disk.read_at(at, &mut byte).unwrap();
            disk.write_at(at, &[byte[0] ^ 1 << bit]).unwrap();
            let _any = allocation(&disk);
            disk.write_at(at, &byte).unwrap();
        }
    }
    let bytes = disk.to_bytes().unwrap();
    for length in (0..2048).chain((65_000..80_000).step_by(77)) {
        let _any = allocation(&MemoryDisk::from_bytes(&bytes[..length], 512));
    }
}
