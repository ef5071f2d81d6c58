//! What stands in the golden files of every version: one image with one entry
//! of every kind and shape, in two versions.
//!
//! The bytes under `v1/` were written once and are read for ever. They are
//! made again only while version 1 is not released: `cargo run --release -p
//! image-format --example golden`.

use image_format::entry::{Entry, Kind, Timestamp, Xattr};
use image_format::layout::{DiskLayout, Ext4Facts, FatFacts, Partition, Scheme, Volume};

/// The name both versions have.
pub(crate) const NAME: &str = "golden pc";

/// Bytes that do not compress, the same for ever.
pub(crate) fn noise(seed: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

/// An entry and the contents it has; a file's contents may begin with a hole.
pub(crate) struct Sample {
    pub(crate) entry: Entry,
    pub(crate) hole: usize,
    pub(crate) bytes: Vec<u8>,
}

fn sample(path: &str, kind: Kind, mode: u32) -> Sample {
    let mut entry = Entry::new(path, kind);
    entry.mode = mode;
    entry.times.modified = Timestamp {
        seconds: 1_700_000_000,
        nanoseconds: 123_456_789,
    };
    entry.times.accessed = entry.times.modified;
    entry.times.changed = entry.times.modified;
    Sample {
        entry,
        hole: 0,
        bytes: Vec::new(),
    }
}

fn file(path: &str, bytes: Vec<u8>) -> Sample {
    Sample {
        bytes,
        ..sample(path, Kind::File, 0o644)
    }
}

/// The ext4 volume of a version, in path order.
pub(crate) fn system(version: u64) -> Vec<Sample> {
    let mut samples = vec![
        sample("", Kind::Directory, 0o755),
        sample("bin", Kind::Symlink(b"usr/bin".to_vec()), 0o777),
        sample("dev", Kind::Directory, 0o755),
        sample("dev/disk", Kind::BlockDevice { major: 8, minor: 1 }, 0o660),
        sample("dev/null", Kind::CharDevice { major: 1, minor: 3 }, 0o666),
        sample("dev/pipe", Kind::Fifo, 0o600),
        sample("dev/socket", Kind::Socket, 0o700),
        file("empty", Vec::new()),
        file("etc.conf", b"key = value\n".repeat(4000)),
        file("hostname", format!("golden-{version}\n").into_bytes()),
        file("large.bin", noise(1, 70_000)),
        file("machine.so.1", code(version)),
        sample("machine.so.link", Kind::File, 0o644),
        Sample {
            hole: 1 << 20,
            ..file("sparse.img", noise(3, 5000))
        },
    ];
    dress(&mut samples);
    samples
}

/// What only some entries have.
fn dress(samples: &mut [Sample]) {
    for sample in samples {
        let entry = &mut sample.entry;
        match entry.path.as_slice() {
            b"hostname" => {
                entry.xattrs = vec![Xattr {
                    name: b"user.comment".to_vec(),
                    value: b"\0\xff".to_vec(),
                }];
                entry.times.modified.seconds = -1;
                (entry.uid, entry.gid) = (1000, 4_294_967_294);
            }
            b"large.bin" => entry.flags = 0x10,
            b"machine.so.1" | b"machine.so.link" => entry.link = Some(7),
            _ => {}
        }
    }
}

/// Bytes that look like x86 code, so that a filter has something to do; the
/// versions differ a little, as two builds do.
fn code(version: u64) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0".to_vec();
    for call in 0..8000_u32 {
        bytes.push(0xe8);
        bytes.extend(((call * 5) ^ 0x0012_3456).to_le_bytes());
        bytes.extend(noise(u8::try_from(call % 13).unwrap_or(0), 3));
    }
    bytes.extend(version.to_le_bytes());
    bytes
}

/// The FAT volume.
pub(crate) fn esp() -> Vec<Sample> {
    let mut folder = sample("EFI", Kind::Directory, 0);
    folder.entry.short_name = Some(*b"EFI        ");
    folder.entry.flags = 0x10;
    let mut loader = file("EFI/loader long name.efi", noise(4, 20_000));
    loader.entry.short_name = Some(*b"LOADER~1EFI");
    vec![sample("", Kind::Directory, 0), folder, loader]
}

/// The disk.
pub(crate) fn disk() -> DiskLayout {
    let fat = Volume::Fat(FatFacts {
        bits: 16,
        serial: 7,
        label: *b"ESP        ",
        cluster_size: 4096,
        size: 16 << 20,
        used: 5 << 12,
        hidden_sectors: 2048,
        oem_name: *b"mkfs.fat",
        boot_code: vec![0xeb, 0x58],
    });
    let ext4 = Volume::Ext4(Ext4Facts {
        uuid: [3; 16],
        label: [0x61; 16],
        hash_seed: [4; 16],
        block_size: 4096,
        inode_size: 256,
        size: 32 << 20,
        used: 2 << 20,
        features: [1, 2, 3],
        defaults: [4, 5, 6],
        reserved_percent: 5,
    });
    let swap = Volume::Swap {
        uuid: [5; 16],
        label: [6; 16],
        page_size: 4096,
    };
    let partition = |number: u32, start: u64, size: u64, volume: Volume| Partition {
        number,
        start: start << 20,
        size: size << 20,
        type_guid: [1; 16],
        guid: [u8::try_from(number).unwrap_or(0); 16],
        attributes: 4,
        name: "name".encode_utf16().collect(),
        volume,
    };
    DiskLayout {
        sector_size: 512,
        size: 128 << 20,
        scheme: Scheme::Gpt { disk_guid: [9; 16] },
        boot_code: vec![0xfa; 440],
        partitions: vec![
            partition(1, 1, 16, fat),
            partition(2, 17, 32, ext4),
            partition(5, 49, 16, swap),
            partition(6, 65, 1, Volume::Empty),
        ],
    }
}
