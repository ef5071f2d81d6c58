//! A partition table as one value: what is on a disk, and what to write there.
//!
//! Everything is in bytes; sectors exist only inside [`gpt`] and [`mbr`].

use image_format::layout::{DiskLayout, Partition, Scheme};
use thiserror::Error;

use crate::disk::Disk;
use crate::volume::Write;

pub mod gpt;
pub mod mbr;

/// What to write for a table, apart, so that the caller decides the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableWrites {
    /// GPT: header and entries at the start of the disk; MBR: the records of
    /// logical partitions, each before its own; else empty.
    pub primary: Vec<Write>,
    /// GPT: entries and header at the end of the disk; else empty.
    pub backup: Vec<Write>,
    /// The first sector: boot code and MBR or protective MBR. Without a table
    /// (the whole disk is one volume) its bytes are empty: nothing to write.
    pub mbr: Write,
}

/// Why a table cannot be read or made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TableError {
    /// The medium failed.
    #[error("{what} at byte {offset} of {disk} cannot be read")]
    Read {
        /// Which structure.
        what: &'static str,
        /// Where on the disk.
        offset: u64,
        /// Which disk.
        disk: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A structure is not what it must be.
    #[error("{what}: expected {expected}, found {found}")]
    Damaged {
        /// Which structure and field.
        what: String,
        /// What would have been right.
        expected: String,
        /// What stood there.
        found: String,
    },
    /// Neither copy of a GPT can be used.
    #[error(
        "both copies of the partition table are damaged: the first: {primary}; the backup: {backup}; repair it with sgdisk first"
    )]
    BothDamaged {
        /// What is wrong with the first copy.
        primary: String,
        /// What is wrong with the copy at the end.
        backup: String,
    },
    /// The layout does not suit the table or the disk.
    #[error("partition {number}: {why}")]
    Partition {
        /// Which partition.
        number: u32,
        /// What is wrong with it.
        why: String,
    },
    /// The disk cannot carry the table.
    #[error("{0}")]
    Disk(String),
}

/// Reads the partition table; `None` when there is none. Partitions come in
/// the order of their place, all with [`Volume::Empty`](image_format::layout::Volume::Empty).
///
/// # Errors
/// When the disk cannot be read, or a table is there and cannot be understood.
pub fn read(disk: &dyn Disk) -> Result<Option<DiskLayout>, TableError> {
    read_noting(disk, &mut Vec::new())
}

/// As [`read`], and notes what is wrong but could be worked around.
pub fn read_noting(
    disk: &dyn Disk,
    notes: &mut Vec<String>,
) -> Result<Option<DiskLayout>, TableError> {
    let sector_size = disk.sector_size();
    if !matches!(sector_size, 512 | 4096) {
        return Err(TableError::Disk(format!(
            "sectors of {sector_size} bytes are not supported; expected 512 or 4096"
        )));
    }
    if disk.size() < 2 * u64::from(sector_size) {
        return Ok(None);
    }
    let first = read_piece(disk, "the first sector", 0, u64::from(sector_size))?;
    let record = mbr::Record::decode(&first);
    if let Some(record) = &record {
        if mbr::is_volume(&first) && !record.is_protective() {
            return Ok(None);
        }
        if !record.is_protective() {
            return record.layout(disk, notes).map(Some);
        }
        if record.is_hybrid() {
            notes.push(String::from(
                "the protective MBR also lists ordinary partitions (hybrid MBR); only the GPT is kept",
            ));
        }
    }
    let boot_code = mbr::boot_code(&first);
    match gpt::read(disk, notes)? {
        Some((disk_guid, partitions)) => {
            if record.is_none() {
                notes.push(String::from(
                    "the GPT has no protective MBR; it is made again when applied",
                ));
            }
            let scheme = Scheme::Gpt { disk_guid };
            Ok(Some(DiskLayout {
                sector_size,
                size: disk.size(),
                scheme,
                boot_code,
                partitions: in_order(partitions),
            }))
        }
        None if record.is_some() => Err(TableError::Damaged {
            what: String::from("protective MBR"),
            expected: String::from("a GPT behind it"),
            found: String::from("no GPT header, neither in the second nor in the last sector"),
        }),
        None => Ok(None),
    }
}

/// The bytes of `layout`'s table on a disk of `disk_size` bytes.
///
/// # Errors
/// When a partition is not whole sectors, lies outside of what the table can
/// address or over another one, or has a number or name the table cannot hold.
pub fn encode(
    layout: &DiskLayout,
    disk_size: u64,
    sector_size: u32,
) -> Result<TableWrites, TableError> {
    if !matches!(sector_size, 512 | 4096) {
        return Err(TableError::Disk(format!(
            "sectors of {sector_size} bytes are not supported; expected 512 or 4096"
        )));
    }
    let mbr = |bytes| Write { offset: 0, bytes };
    match layout.scheme {
        Scheme::None => Ok(TableWrites {
            primary: Vec::new(),
            backup: Vec::new(),
            mbr: mbr(Vec::new()),
        }),
        Scheme::Tree => Err(TableError::Disk(String::from(
            "the image is a directory tree, not a disk: apply it to a directory",
        ))),
        Scheme::Mbr { signature } => {
            check(layout, u64::from(sector_size), disk_size, sector_size)?;
            let (bytes, primary) = mbr::encode(layout, signature, sector_size)?;
            Ok(TableWrites {
                primary,
                backup: Vec::new(),
                mbr: mbr(bytes),
            })
        }
        Scheme::Gpt { disk_guid } => {
            let geometry = gpt::Geometry::new(&layout.partitions, disk_size, sector_size)?;
            let usable = geometry.usable();
            check(layout, usable.start, usable.end, sector_size)?;
            let (primary, backup) = geometry.encode(&disk_guid, &layout.partitions)?;
            let bytes = mbr::protective(&layout.boot_code, disk_size, sector_size);
            Ok(TableWrites {
                primary,
                backup,
                mbr: mbr(bytes),
            })
        }
    }
}

/// Every partition in whole sectors, between `first` and `end`, none over another.
fn check(layout: &DiskLayout, first: u64, end: u64, sector_size: u32) -> Result<(), TableError> {
    let mut order: Vec<&Partition> = layout.partitions.iter().collect();
    order.sort_by_key(|partition| partition.start);
    let mut free = first;
    for partition in order {
        let wrong = |why: String| {
            Err(TableError::Partition {
                number: partition.number,
                why,
            })
        };
        let (start, size) = (partition.start, partition.size);
        let sector = u64::from(sector_size);
        if size == 0 || start % sector != 0 || size % sector != 0 {
            return wrong(format!(
                "{size} bytes at {start} are not whole sectors of {sector} bytes"
            ));
        }
        if start < free {
            return wrong(format!(
                "it starts at byte {start}, where {free} is the first free one"
            ));
        }
        free = match start.checked_add(size) {
            Some(last) if last <= end => last,
            _ => {
                return wrong(format!(
                    "{size} bytes at {start} reach past byte {end}, the last the table can give"
                ));
            }
        };
        if layout
            .partitions
            .iter()
            .filter(|other| other.number == partition.number)
            .count()
            > 1
        {
            return wrong(String::from("the number is used twice"));
        }
    }
    Ok(())
}

fn in_order(mut partitions: Vec<Partition>) -> Vec<Partition> {
    partitions.sort_by_key(|partition| (partition.start, partition.number));
    partitions
}

/// `length` bytes of `disk` at `offset`; callers keep `length` small.
fn read_piece(
    disk: &dyn Disk,
    what: &'static str,
    offset: u64,
    length: u64,
) -> Result<Vec<u8>, TableError> {
    let failed = |source| TableError::Read {
        what,
        offset,
        disk: disk.describe(),
        source,
    };
    let mut bytes =
        vec![0; usize::try_from(length).map_err(|error| failed(std::io::Error::other(error)))?];
    disk.read_at(offset, &mut bytes).map_err(failed)?;
    Ok(bytes)
}
