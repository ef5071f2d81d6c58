//! A small reference disk with every kind of volume, made by the systems' own
//! tools (e2fsprogs, dosfstools, mtools, util-linux), and what tests do with it.

// Each test file uses its own part of this.
#![allow(dead_code, unreachable_pub)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use image_format::BlockJob;
use image_format::image::{ImageRecord, Manifest};
use image_format::layout::{DiskLayout, Partition, Scheme, Volume};
use image_format::share::Share;
use image_format::store::MemoryStore;
use imager::capture::{CaptureOptions, capture};
use imager::disk::memory::MemoryDisk;
use imager::disk::{Disk, Window};
use imager::plan::{Plan, Target, Wishes, plan};
use imager::table;

pub const MIB: u64 = 1 << 20;

/// Sizes of a reference disk's volumes in MiB; the ext4 volume takes the rest.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub disk: u64,
    pub esp: u64,
    pub raw: u64,
    pub swap: u64,
    pub sector_size: u32,
    /// Bytes of the largest file.
    pub large: usize,
}

pub const SMALL: Sizes = Sizes {
    disk: 26,
    esp: 2,
    raw: 1,
    swap: 1,
    sector_size: 512,
    large: 700_000,
};
pub const MIDDLE: Sizes = Sizes {
    disk: 96,
    esp: 8,
    raw: 2,
    swap: 4,
    sector_size: 512,
    large: 6_000_000,
};

/// Bytes without a pattern, always the same for the same seed.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// Runs a program that must succeed; answers with what it printed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env("MTOOLS_SKIP_CHECK", "1")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .unwrap_or_else(|error| panic!("{program} (see the developer's set-up): {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}

/// A disk with ESP, raw volume, ext4 and swap; another `seed`, other contents.
pub fn disk(sizes: Sizes, seed: u64) -> MemoryDisk {
    let work = tempfile::tempdir().unwrap();
    let ext4 = sizes.disk - sizes.esp - sizes.raw - sizes.swap - 4;
    let mut start = MIB;
    let mut partitions = Vec::new();
    let disk = MemoryDisk::new(sizes.disk * MIB, sizes.sector_size);
    for (number, size) in (1_u32..).zip([sizes.esp, sizes.raw, ext4, sizes.swap]) {
        let size = size * MIB;
        let bytes = match number {
            1 => esp(work.path(), size, seed),
            2 => raw(size, seed),
            3 => ext4_volume(work.path(), size, sizes.large, seed),
            _ => swap(work.path(), size),
        };
        assert_eq!(bytes.len() as u64, size);
        write_sparse(&disk, start, &bytes);
        partitions.push(partition(number, start, size, seed));
        start += size;
    }
    let guid = noise(16, seed + 50).try_into().unwrap();
    let layout = DiskLayout {
        sector_size: sizes.sector_size,
        size: sizes.disk * MIB,
        scheme: Scheme::Gpt { disk_guid: guid },
        boot_code: noise(440, seed + 60),
        partitions,
    };
    let writes = table::encode(&layout, disk.size(), sizes.sector_size).unwrap();
    for write in writes
        .primary
        .iter()
        .chain(&writes.backup)
        .chain([&writes.mbr])
    {
        disk.write_at(write.offset, &write.bytes).unwrap();
    }
    disk.sync().unwrap();
    disk
}

/// A disk with nothing but an ext4 volume, in one partition or without a table.
pub fn single_ext4(scheme: Scheme, size: u64) -> MemoryDisk {
    let work = tempfile::tempdir().unwrap();
    let disk = MemoryDisk::new(size * MIB, 512);
    let start = if scheme == Scheme::None { 0 } else { MIB };
    let bytes = ext4_volume(work.path(), size * MIB - start, 500_000, 8);
    write_sparse(&disk, start, &bytes);
    let mut only = partition(1, start, size * MIB - start, 8);
    only.type_guid = [0; 16];
    only.type_guid[0] = 0x83;
    only.guid = [0; 16];
    only.name = Vec::new();
    let (sector_size, boot_code) = (512, Vec::new());
    let partitions = vec![only];
    let layout = DiskLayout {
        sector_size,
        size: disk.size(),
        scheme,
        boot_code,
        partitions,
    };
    let mbr = table::encode(&layout, disk.size(), 512).unwrap().mbr;
    disk.write_at(mbr.offset, &mbr.bytes).unwrap();
    disk
}

fn partition(number: u32, start: u64, size: u64, seed: u64) -> Partition {
    Partition {
        number,
        start,
        size,
        type_guid: noise(16, u64::from(number)).try_into().unwrap(),
        guid: noise(16, seed * 100 + u64::from(number))
            .try_into()
            .unwrap(),
        attributes: 0,
        name: format!("part {number}").encode_utf16().collect(),
        volume: Volume::Empty,
    }
}

fn write_sparse(disk: &MemoryDisk, start: u64, bytes: &[u8]) {
    for (at, part) in (0_u64..).step_by(4096).zip(bytes.chunks(4096)) {
        if part.iter().any(|&byte| byte != 0) {
            disk.write_at(start + at, part).unwrap();
        }
    }
}

fn esp(work: &Path, size: u64, seed: u64) -> Vec<u8> {
    let image = work.join("esp.img");
    fs::File::create(&image).unwrap().set_len(size).unwrap();
    let image = image.to_str().unwrap();
    run("mkfs.fat", &["-n", "EFI", image]);
    let loader = work.join("bootx64.efi");
    fs::write(&loader, noise(150_000, seed + 1)).unwrap();
    run("mmd", &["-i", image, "::/EFI", "::/EFI/BOOT"]);
    run(
        "mcopy",
        &[
            "-i",
            image,
            loader.to_str().unwrap(),
            "::/EFI/BOOT/BOOTX64.EFI",
        ],
    );
    run(
        "mcopy",
        &[
            "-i",
            image,
            loader.to_str().unwrap(),
            "::/EFI/a long name of a loader.efi",
        ],
    );
    fs::read(image).unwrap()
}

fn raw(size: u64, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(size).unwrap()];
    let head = noise(100_000, seed + 2);
    bytes[..head.len()].copy_from_slice(&head);
    let middle = bytes.len() / 2 + 70;
    bytes[middle..middle + 5000].copy_from_slice(&head[..5000]);
    bytes
}

fn swap(work: &Path, size: u64) -> Vec<u8> {
    let image = work.join("swap.img");
    fs::File::create(&image).unwrap().set_len(size).unwrap();
    fs::set_permissions(&image, fs::Permissions::from_mode(0o600)).unwrap();
    run("mkswap", &["-L", "swap", image.to_str().unwrap()]);
    fs::read(image).unwrap()
}

fn ext4_volume(work: &Path, size: u64, large: usize, seed: u64) -> Vec<u8> {
    let tree = work.join("tree");
    grow_tree(&tree, large, seed);
    let image = work.join("root.img");
    fs::File::create(&image).unwrap().set_len(size).unwrap();
    let paths = (tree.to_str().unwrap(), image.to_str().unwrap());
    run(
        "mke2fs",
        &[
            "-q", "-t", "ext4", "-b", "4096", "-L", "root", "-d", paths.0, paths.1,
        ],
    );
    fs::read(image).unwrap()
}

fn grow_tree(tree: &Path, large: usize, seed: u64) {
    let write = |path: &str, bytes: &[u8]| {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let release = "ID=debian\nVERSION_ID=\"13\"\nPRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\n";
    write("usr/lib/os-release", release.as_bytes());
    write("etc/hostname", b"reference\n");
    write("etc/empty", b"");
    symlink("../usr/lib/os-release", tree.join("etc/os-release")).unwrap();
    write("usr/bin/large", &noise(large, seed + 3));
    write("usr/bin/twin-a", &noise(200_000, seed + 4));
    write("usr/bin/twin-b", &noise(200_000, seed + 4));
    write(
        "var/log/text",
        "the same line again\n".repeat(9000).as_bytes(),
    );
    for number in 0..40_usize {
        write(
            &format!("usr/share/doc/{number}/copyright"),
            &noise(100 + number * 97, seed + 5),
        );
    }
    fs::hard_link(tree.join("usr/bin/twin-a"), tree.join("usr/bin/zlinked")).unwrap();
    let sparse = fs::File::create(tree.join("var/sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, &noise(10_000, seed + 6), 1 << 20).unwrap();
    sparse.set_len(3 << 20).unwrap();
    fs::set_permissions(
        tree.join("usr/bin/large"),
        fs::Permissions::from_mode(0o4755),
    )
    .unwrap();
}

/// Captures under a name; nothing may be warned about.
pub fn captured(disk: &dyn Disk, store: &MemoryStore, name: &str) -> ImageRecord {
    let options = CaptureOptions {
        name: name.to_owned(),
        captured: 1_700_000_000,
        ..CaptureOptions::default()
    };
    let mut watch = |_| std::ops::ControlFlow::Continue(());
    capture(disk, store, &options, &mut watch).unwrap().record
}

/// An image as a share hands it out.
pub fn image(store: &MemoryStore, record: &ImageRecord) -> (Manifest, Vec<BlockJob>) {
    let share = Share::open(store).unwrap();
    let manifest = share.manifest(&record.image).unwrap();
    let jobs = share.jobs(&manifest).unwrap();
    (manifest, jobs)
}

/// A plan that must be possible.
pub fn planned(
    record: &ImageRecord,
    manifest: &Manifest,
    disk: &dyn Disk,
    wishes: &Wishes,
) -> Plan {
    match plan(record.image, manifest, &Target::blank(disk), wishes) {
        Ok(plan) => plan,
        Err(refusals) => panic!("refused: {refusals:#?}"),
    }
}

/// Has the systems' own checkers look at every volume of a layout.
pub fn fsck(disk: &dyn Disk, layout: &DiskLayout) {
    for partition in &layout.partitions {
        let (program, option) = match partition.volume {
            Volume::Ext4(_) => ("e2fsck", "-fn"),
            Volume::Fat(_) => ("fsck.fat", "-n"),
            _ => continue,
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        let window = Window::new(disk, partition.start, partition.size).unwrap();
        let mut bytes = vec![0; usize::try_from(partition.size).unwrap()];
        window.read_at(0, &mut bytes).unwrap();
        fs::write(file.path(), bytes).unwrap();
        run(program, &[option, file.path().to_str().unwrap()]);
    }
}

/// Everything of an image but what depends on the disk's size.
pub fn contents(manifest: &Manifest) -> Vec<(u32, Vec<image_format::entry::Entry>)> {
    let mut volumes = Vec::new();
    for tree in &manifest.volumes {
        let mut entries = tree.entries.clone();
        for entry in &mut entries {
            entry.times.accessed = Default::default();
            entry.times.changed = Default::default();
        }
        volumes.push((tree.partition, entries));
    }
    volumes
}
