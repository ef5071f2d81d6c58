//! What lies on a disk: tables, volumes, and the marker of an apply.

use image_format::entry::Kind;
use image_format::image::VolumeTree;
use image_format::layout::{Partition, Scheme};
use imager::disk::{Disk, MemoryDisk};
use imager::volume::raw::RawReader;
use imager::volume::swap::{Swap, SwapBuilder};
use imager::volume::used::Allocation;
use imager::volume::{self, Builder, Data, Found, Open, Reader, Run, VolumeError, Write};
use imager::{readers, scratch, table};

use super::repair::{crc32, u32_at, u64_at};
use super::sparse;

/// Nothing on a disk of an input's size needs more entries.
const MOST_ENTRIES: usize = 1 << 20;
/// Contents are read up to this length: damaged sizes are as large as they like.
const MOST_READ: u64 = 1 << 20;

/// A table that reads and can be written reads back the same.
pub(super) fn table(input: &[u8]) {
    for sector_size in [512, 4096] {
        check_table(&sparse::disk(input, sector_size));
        let repaired = sparse::disk(input, sector_size);
        let last = repaired.size() / u64::from(sector_size) - 1;
        for header in [1, last] {
            repair_gpt(&repaired, header * u64::from(sector_size));
        }
        check_table(&repaired);
    }
}

fn check_table(disk: &MemoryDisk) {
    let Ok(Some(layout)) = table::read(disk) else {
        return;
    };
    for partition in &layout.partitions {
        let end = partition.start.checked_add(partition.size);
        assert!(
            end.is_some_and(|end| end <= disk.size()),
            "{partition:?} leaves the disk"
        );
    }
    let Ok(writes) = table::encode(&layout, disk.size(), disk.sector_size()) else {
        return;
    };
    let fresh = MemoryDisk::new(disk.size(), disk.sector_size());
    write_all(&fresh, &writes.primary);
    write_all(&fresh, &writes.backup);
    write_all(&fresh, &[writes.mbr]);
    let again = table::read(&fresh).expect("a written table reads");
    match layout.scheme {
        // An MBR without partitions is not told from no table at all.
        Scheme::Mbr { .. } if layout.partitions.is_empty() => {}
        _ => assert_eq!(again, Some(layout)),
    }
}

fn write_all(disk: &dyn Disk, writes: &[Write]) {
    for write in writes {
        disk.write_at(write.offset, &write.bytes)
            .expect("it lies on the disk");
    }
}

/// Makes the checksums of the header at `at` fit what it says.
fn repair_gpt(disk: &MemoryDisk, at: u64) {
    let sector = u64::from(disk.sector_size());
    let mut header = vec![0; disk.sector_size() as usize];
    if disk.read_at(at, &mut header).is_err() || !header.starts_with(b"EFI PART") {
        return;
    }
    let length = u64::from(u32_at(&header, 80)) * u64::from(u32_at(&header, 84));
    let place = u64_at(&header, 72).checked_mul(sector);
    if let (Some(place), Ok(length @ 0..=0x10_0000)) = (place, usize::try_from(length)) {
        let mut entries = vec![0; length];
        if disk.read_at(place, &mut entries).is_ok() {
            header[88..92].copy_from_slice(&crc32(&entries).to_le_bytes());
        }
    }
    header[16..20].fill(0);
    let checked = (u32_at(&header, 12) as usize).min(header.len());
    let crc = crc32(&header[..checked]);
    header[16..20].copy_from_slice(&crc.to_le_bytes());
    disk.write_at(at, &header).expect("it was read from there");
}

/// ext4 reads as an error or as a sound list of entries.
pub(super) fn ext4(input: &[u8]) {
    let open: Open = imager::volume::ext4::open;
    check_volume(&sparse::disk(input, 512), open);
}

/// FAT reads as an error or as a sound list of entries.
pub(super) fn fat(input: &[u8]) {
    let open: Open = imager::volume::fat::open;
    check_volume(&sparse::disk(input, 512), open);
}

/// Whatever it is: a reader is found for it or an error, and it is read again
/// as what it was recognised as.
pub(super) fn volume(input: &[u8]) {
    let disk = sparse::disk(input, 512);
    check_volume(&disk, readers::open);
    let Ok(found) = readers::recognise(&disk) else {
        return;
    };
    let kind = found.reader.volume();
    let again = readers::open_as(&disk, &kind).expect("it is what it was recognised as");
    assert_eq!(again.volume(), kind);
}

fn check_volume(disk: &MemoryDisk, open: Open) {
    let Ok(reader) = open(disk) else {
        return;
    };
    let Ok(entries) = Reader::entries(reader.as_ref()) else {
        return;
    };
    assert!(entries.len() <= MOST_ENTRIES, "{} entries", entries.len());
    for pair in entries.windows(2) {
        let (before, after) = (&pair[0].entry.path, &pair[1].entry.path);
        assert!(
            before < after,
            "{:?} is before {:?}",
            before.escape_ascii(),
            after.escape_ascii()
        );
    }
    for found in &entries {
        check_path(found);
        if let Data::Runs { size, runs } = &found.data {
            check_runs(disk, *size, runs);
        }
    }
}

fn check_path(found: &Found) {
    let entry = &found.entry;
    let shown = entry.display_path();
    assert!(entry.mode & !0o7777 == 0, "{shown}: mode {:o}", entry.mode);
    if entry.path.is_empty() {
        assert!(
            matches!(entry.kind, Kind::Directory | Kind::RawVolume),
            "{shown}"
        );
        return;
    }
    for name in entry.path.split(|byte| *byte == b'/') {
        let sane = !matches!(name, b"" | b"." | b"..") && !name.contains(&0);
        assert!(sane, "{shown} is no path");
    }
}

fn check_runs(disk: &MemoryDisk, size: u64, runs: &[Run]) {
    let mut free = 0;
    for run in runs {
        assert!(
            run.length > 0 && run.logical >= free,
            "{run:?} lies over the one before"
        );
        free = run
            .logical
            .checked_add(run.length)
            .expect("it ends somewhere");
        let end = run.physical.checked_add(run.length);
        assert!(
            end.is_some_and(|end| end <= disk.size()),
            "{run:?} leaves the volume"
        );
        assert!(
            run.logical < size,
            "{run:?} begins past the file's {size} bytes"
        );
        let length = usize::try_from(run.length.min(MOST_READ)).unwrap_or(0);
        disk.read_at(run.physical, &mut vec![0; length])
            .expect("it lies in the volume");
    }
}

/// What a bitmap says leads to pieces of the volume and to no others.
fn check_allocation(disk: &MemoryDisk, found: Result<Allocation, VolumeError>) {
    let Ok(Allocation::Known(used)) = found else {
        return;
    };
    let reader = RawReader::within(disk, used);
    let entries = reader.entries().expect("memory reads");
    for entry in &entries {
        if let Data::Runs { size, runs } = &entry.data {
            check_runs(disk, *size, runs);
        }
    }
}

/// NTFS tells its free clusters, or not.
pub(super) fn ntfs(input: &[u8]) {
    let disk = sparse::disk(input, 512);
    check_allocation(&disk, volume::ntfs::allocation(&disk));
}

/// exFAT tells its free clusters, or not.
pub(super) fn exfat(input: &[u8]) {
    let disk = sparse::disk(input, 512);
    check_allocation(&disk, volume::exfat::allocation(&disk));
}

/// A swap header that reads is made again to one that says the same.
pub(super) fn swap(input: &[u8]) {
    let Ok(Some(found)) = Swap::read(&sparse::disk(input, 512)) else {
        return;
    };
    let partition = Partition {
        number: 1,
        start: 0,
        size: 1 << 20,
        type_guid: [0; 16],
        guid: [0; 16],
        attributes: 0,
        name: Vec::new(),
        volume: found.volume(),
    };
    let tree = VolumeTree {
        partition: 0,
        entries: Vec::new(),
    };
    let layout = SwapBuilder.lay_out(&partition, &tree, 1 << 20, 512);
    let layout = layout.unwrap_or_else(|errors| panic!("{errors:?}"));
    let fresh = MemoryDisk::new(1 << 20, 512);
    write_all(&fresh, &layout.withheld);
    let again = Swap::read(&fresh)
        .expect("memory reads")
        .expect("it is swap");
    assert_eq!(again.volume(), found.volume());
}

/// A marker that reads is written to one that says the same.
pub(super) fn scratch(input: &[u8]) {
    const SIZE: u64 = 8 << 20;
    const CHECKED: usize = 112;
    let mut repaired = input.to_vec();
    if let Some(checked) = input.get(..CHECKED) {
        super::repair::put(&mut repaired, CHECKED, blake3::hash(checked).as_bytes());
    }
    for bytes in [input, &repaired] {
        let disk = MemoryDisk::new(SIZE, 512);
        let at = scratch::reserved_from(SIZE, 512).expect("there is room");
        let bytes = bytes.get(..4096).unwrap_or(bytes);
        disk.write_at(at, bytes).expect("it lies on the disk");
        let Some(marker) = scratch::read(&disk).expect("memory reads") else {
            continue;
        };
        let fresh = MemoryDisk::new(SIZE, 512);
        scratch::write(&fresh, &marker).expect("what was read can be written");
        assert_eq!(scratch::read(&fresh).expect("memory reads"), Some(marker));
    }
}
