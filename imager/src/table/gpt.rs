//! GUID partition table: header and entries, both copies.
//!
//! Layout: UEFI specification 2.10, sections 5.3.2 (header) and 5.3.3 (entries).

use std::ops::Range;

use image_format::layout::Partition;

use super::{TableError, read_piece};
use crate::disk::Disk;
use crate::volume::Write;

mod entry;
mod header;

use entry::{ENTRY, decode_entry, encode_entry};
use header::{Header, MOST_ENTRIES, crc32};

/// Entries every table of ours has at least (UEFI 5.3: 16 KiB must be reserved).
const ENTRIES: u32 = 128;

/// Bytes that the backup copy takes at the end of a disk.
pub const fn backup_size(sector_size: u32) -> u64 {
    16384 + sector_size as u64
}

/// The disk's GUID and the partitions.
type Found = ([u8; 16], Vec<Partition>);

/// Reads whichever copy is whole, the first one first.
pub(super) fn read(disk: &dyn Disk, notes: &mut Vec<String>) -> Result<Option<Found>, TableError> {
    let last = disk.size() / u64::from(disk.sector_size()) - 1;
    let primary = read_copy(disk, 1)?;
    let backup_at = match &primary {
        Ok(Some((header, _))) => header.other,
        _ => last,
    };
    let backup = if backup_at > 1 && backup_at <= last {
        read_copy(disk, backup_at)?
    } else {
        Ok(None)
    };
    let (header, partitions) = match (primary, backup) {
        (Ok(Some(found)), Ok(Some((backup, _)))) => {
            if backup.entries_crc != found.0.entries_crc || backup.disk_guid != found.0.disk_guid {
                notes.push(String::from(
                    "the two copies of the partition table differ; the first one is used",
                ));
            } else if backup_at != last {
                notes.push(String::from(
                    "the backup partition table is not at the end of the disk (the disk has grown)",
                ));
            }
            found
        }
        (Ok(Some(found)), Ok(None)) => {
            notes.push(String::from("the backup partition table is missing"));
            found
        }
        (Ok(Some(found)), Err(why)) => {
            notes.push(format!("the backup partition table is damaged ({why})"));
            found
        }
        (broken, Ok(Some(found))) => {
            let why = broken
                .err()
                .unwrap_or_else(|| String::from("it is missing"));
            notes.push(format!(
                "the first partition table is damaged ({why}); the backup is used"
            ));
            found
        }
        (Ok(None), Ok(None)) => return Ok(None),
        (primary, backup) => {
            let missing = || String::from("it is missing");
            let primary = primary.err().unwrap_or_else(missing);
            let backup = backup.err().unwrap_or_else(missing);
            return Err(TableError::BothDamaged { primary, backup });
        }
    };
    check_places(&partitions, disk.size())?;
    Ok(Some((header.disk_guid, partitions)))
}

type Copy = Result<Option<(Header, Vec<Partition>)>, String>;

/// Outer error: the medium; inner error: what is wrong with this copy.
fn read_copy(disk: &dyn Disk, at: u64) -> Result<Copy, TableError> {
    let sector = u64::from(disk.sector_size());
    let header = match Header::decode(&read_piece(disk, "GPT header", at * sector, sector)?, at) {
        Ok(Some(header)) => header,
        Ok(None) => return Ok(Ok(None)),
        Err(why) => return Ok(Err(why)),
    };
    let length = u64::from(header.entries) * u64::from(header.entry_size);
    let place = header.entries_at.checked_mul(sector);
    let inside = place
        .and_then(|place| place.checked_add(length))
        .is_some_and(|end| end <= disk.size());
    let Some(place) = place.filter(|_| inside) else {
        return Ok(Err(format!(
            "the entries at sector {} lie past the end of the disk",
            header.entries_at
        )));
    };
    let raw = read_piece(disk, "GPT entries", place, length)?;
    let found = crc32(&raw);
    if found != header.entries_crc {
        return Ok(Err(format!(
            "entries checksum: expected {:08x}, found {found:08x}",
            header.entries_crc
        )));
    }
    let entry_size = usize::try_from(header.entry_size).unwrap_or(ENTRY);
    let partitions = (1..)
        .zip(raw.chunks_exact(entry_size))
        .map(|(number, raw)| decode_entry(number, raw, sector));
    match partitions.collect::<Result<Vec<_>, _>>() {
        Ok(partitions) => Ok(Ok(Some((
            header,
            partitions.into_iter().flatten().collect(),
        )))),
        Err(why) => Ok(Err(why)),
    }
}

/// On the disk, and none over another: what does not hold cannot be captured.
fn check_places(partitions: &[Partition], disk_size: u64) -> Result<(), TableError> {
    let mut order: Vec<&Partition> = partitions.iter().collect();
    order.sort_by_key(|partition| partition.start);
    let mut free = 0;
    for partition in order {
        let (start, size) = (partition.start, partition.size);
        let end = start
            .checked_add(size)
            .filter(|&end| start >= free && end <= disk_size);
        free = end.ok_or_else(|| TableError::Partition {
            number: partition.number,
            why: format!(
                "{size} bytes at {start} lie over another partition or past the end of the disk"
            ),
        })?;
    }
    Ok(())
}

/// Where the two copies lie on a disk; in sectors.
pub(super) struct Geometry {
    sector: u64,
    last: u64,
    entries: u32,
    entry_sectors: u64,
}

impl Geometry {
    pub(super) fn new(
        partitions: &[Partition],
        disk_size: u64,
        sector_size: u32,
    ) -> Result<Self, TableError> {
        let highest = partitions
            .iter()
            .map(|partition| partition.number)
            .max()
            .unwrap_or(0);
        if let Some(wrong) = partitions
            .iter()
            .find(|p| p.number == 0 || p.number > MOST_ENTRIES)
        {
            let why = format!("a GPT of ours numbers its partitions from 1 to {MOST_ENTRIES}");
            return Err(TableError::Partition {
                number: wrong.number,
                why,
            });
        }
        let sector = u64::from(sector_size);
        // A multiple of 32 entries fills whole sectors of either size.
        let entries = highest.max(ENTRIES).next_multiple_of(32);
        let entry_sectors = u64::from(entries) * ENTRY as u64 / sector;
        let sectors = disk_size / sector;
        if sectors < 2 * entry_sectors + 4 {
            return Err(TableError::Disk(format!(
                "a disk of {disk_size} bytes is too small for a GPT"
            )));
        }
        Ok(Self {
            sector,
            last: sectors - 1,
            entries,
            entry_sectors,
        })
    }

    /// First byte a partition may use, and the first byte after.
    pub(super) fn usable(&self) -> Range<u64> {
        (2 + self.entry_sectors) * self.sector..(self.last - self.entry_sectors) * self.sector
    }

    /// Primary and backup; in each the entries come before the header.
    pub(super) fn encode(
        &self,
        disk_guid: &[u8; 16],
        partitions: &[Partition],
    ) -> Result<(Vec<Write>, Vec<Write>), TableError> {
        let length = usize::try_from(self.entry_sectors * self.sector).unwrap_or(0);
        let mut entries = vec![0; length];
        for partition in partitions {
            let place = usize::try_from(partition.number)
                .unwrap_or(0)
                .saturating_sub(1)
                * ENTRY;
            if let Some(place) = entries.get_mut(place..place + ENTRY) {
                place.copy_from_slice(&encode_entry(partition, self.sector)?);
            }
        }
        let entries_crc = crc32(&entries);
        let copy = |own, other, entries_at: u64| {
            let header = Header {
                own,
                other,
                first_usable: 2 + self.entry_sectors,
                last_usable: self.last - self.entry_sectors - 1,
                disk_guid: *disk_guid,
                entries_at,
                entries: self.entries,
                entry_size: 128,
                entries_crc,
            };
            let sector_size = usize::try_from(self.sector).unwrap_or(512);
            vec![
                Write {
                    offset: entries_at * self.sector,
                    bytes: entries.clone(),
                },
                Write {
                    offset: own * self.sector,
                    bytes: header.encode(sector_size),
                },
            ]
        };
        Ok((
            copy(1, self.last, 2),
            copy(self.last, 1, self.last - self.entry_sectors),
        ))
    }
}
