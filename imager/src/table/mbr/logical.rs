//! Logical partitions: a chain of extended boot records in the one extended
//! partition an MBR may have.
//!
//! Layout as Linux reads it (`block/partitions/msdos.c`, `parse_extended`):
//! each record describes one logical partition, relative to itself, and the
//! next record, relative to the start of the extended partition. The extended
//! partition is no partition of ours: it is made around the logical ones, with
//! the number and type it had, which [`Partition::attributes`] of the logical
//! ones keep.

use std::collections::BTreeSet;

use image_format::layout::{DiskLayout, Partition};

use super::{KINDS_EXTENDED, Slot, blank, is_extended, partition_of, put_slot, read_slots};
use crate::disk::Disk;
use crate::table::{TableError, read_piece};
use crate::volume::Write;

/// Logical partitions are numbered from here.
const FIRST_LOGICAL: u32 = 5;

/// Linux gives a disk 256 numbers, the disk itself included; a longer chain is
/// a damaged one.
const MOST_RECORDS: usize = 256;

/// How far before its partition a record lies where there is room, as fdisk
/// and Windows do.
const LEAD: u64 = 1 << 20;

/// Bits 8 to 15 of a logical partition's attributes: type of the extended one.
const KIND_SHIFT: u32 = 8;
/// Bits 16 to 19: number of the extended one.
const NUMBER_SHIFT: u32 = 16;

/// The extended partition, in sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) number: u32,
    pub(super) kind: u8,
    pub(super) first: u32,
}

/// Follows the chain; empty when the extended partition was never filled.
pub(super) fn read(disk: &dyn Disk, container: Container) -> Result<Vec<Partition>, TableError> {
    let sector = u64::from(disk.sector_size());
    let base = u64::from(container.first);
    let kept =
        u64::from(container.kind) << KIND_SHIFT | u64::from(container.number) << NUMBER_SHIFT;
    let (mut partitions, mut seen) = (Vec::new(), BTreeSet::new());
    let (mut at, mut number) = (base, FIRST_LOGICAL);
    loop {
        let place = at.saturating_mul(sector);
        if !seen.insert(at) || seen.len() > MOST_RECORDS {
            return Err(damaged(
                place,
                "a chain that ends",
                "one that comes back or has no end",
            ));
        }
        if place.saturating_add(sector) > disk.size() {
            return Err(damaged(
                place,
                "a record on the disk",
                "the end of the disk",
            ));
        }
        let bytes = read_piece(disk, "an extended boot record", place, sector)?;
        let Some(slots) = read_slots(&bytes) else {
            return match partitions.is_empty() && at == base {
                true => Ok(partitions),
                false => Err(damaged(place, "the mark 55 AA", "another one")),
            };
        };
        // The third and fourth slot are unused; what some tools leave there is noise.
        let pair = &slots[..2];
        let is_data = |slot: &&Slot| !is_extended(slot.kind) && slot.kind != 0 && slot.sectors != 0;
        if let Some(slot) = pair.iter().find(is_data) {
            let first = at + u64::from(slot.first);
            let mut found = partition_of(number, *slot, first, disk)?;
            found.attributes |= kept;
            partitions.push(found);
            number += 1;
        }
        let next = pair
            .iter()
            .find(|slot| is_extended(slot.kind) && slot.sectors != 0);
        match next {
            Some(slot) => at = base + u64::from(slot.first),
            None => return Ok(partitions),
        }
    }
}

fn damaged(place: u64, expected: &str, found: &str) -> TableError {
    TableError::Damaged {
        what: format!("the chain of logical partitions at byte {place}"),
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}

/// Whether an MBR's partition lies in the extended one, with a record before it.
pub fn is_logical(number: u32) -> bool {
    number >= FIRST_LOGICAL
}

/// The extended partition as the first sector names it, and its records.
pub(super) struct Chain {
    /// Index of the slot in the first sector.
    pub(super) index: usize,
    pub(super) slot: Slot,
    pub(super) records: Vec<Write>,
}

/// A logical partition and the byte where its record lies.
struct Link<'l> {
    partition: &'l Partition,
    record: u64,
}

impl Link<'_> {
    fn end(&self) -> u64 {
        self.partition.start + self.partition.size
    }
}

/// The chain for `layout`, whose partitions are checked not to overlap;
/// `None` when there are no logical ones.
pub(super) fn encode(layout: &DiskLayout, sector_size: u32) -> Result<Option<Chain>, TableError> {
    let links = links(layout, u64::from(sector_size))?;
    let Some(first) = links.first() else {
        return Ok(None);
    };
    let start = links.iter().map(|link| link.record).min().unwrap_or(0);
    let end = links.iter().map(Link::end).max().unwrap_or(0);
    let inside = |partition: &&Partition| {
        !is_logical(partition.number) && partition.start >= start && partition.start < end
    };
    if let Some(primary) = layout.partitions.iter().find(inside) {
        return Err(wrong(
            primary.number,
            "a primary partition lies between logical ones",
        ));
    }
    let sectors = |number, bytes: u64| {
        u32::try_from(bytes / u64::from(sector_size)).map_err(|_| {
            wrong(
                number,
                "an MBR cannot address sectors beyond 2^32; use a GPT",
            )
        })
    };
    let number = first.partition.number;
    let slot = Slot {
        status: 0,
        kind: kind(first.partition),
        first: sectors(number, start)?,
        sectors: sectors(number, end - start)?,
    };
    let mut records = Vec::new();
    for (link, next) in links
        .iter()
        .zip(links.iter().skip(1).map(Some).chain([None]))
    {
        let number = link.partition.number;
        let mut bytes = blank(&[], sector_size);
        let first = sectors(number, link.partition.start - link.record)?;
        let length = sectors(number, link.partition.size)?;
        put_slot(&mut bytes, 0, Slot::of(link.partition, first, length)?);
        if let Some(next) = next {
            let slot = Slot {
                status: 0,
                kind: KINDS_EXTENDED[0],
                first: sectors(number, next.record - start)?,
                sectors: sectors(number, next.end().saturating_sub(next.record))?,
            };
            put_slot(&mut bytes, 1, slot);
        }
        let offset = link.record;
        records.push(Write { offset, bytes });
    }
    let index = index(layout, first.partition)?;
    Ok(Some(Chain {
        index,
        slot,
        records,
    }))
}

/// Each logical partition in the order of the chain, which is that of the
/// numbers, with the place of its record: free room right before it. The first
/// of the chain has its record where the extended partition begins.
fn links(layout: &DiskLayout, sector: u64) -> Result<Vec<Link<'_>>, TableError> {
    let logical = |partition: &&Partition| is_logical(partition.number);
    let mut links = Vec::new();
    for partition in layout.partitions.iter().filter(logical) {
        let before = layout
            .partitions
            .iter()
            .filter(|p| p.start < partition.start);
        let free = before
            .map(|p| p.start + p.size)
            .max()
            .unwrap_or(0)
            .max(sector);
        let room = partition.start.saturating_sub(free).min(LEAD);
        if room < sector {
            let why = "it needs a free sector before it for its extended boot record";
            return Err(wrong(partition.number, why));
        }
        let record = partition.start - room / sector * sector;
        links.push(Link { partition, record });
    }
    links.sort_by_key(|link| link.partition.number);
    for (number, link) in (FIRST_LOGICAL..).zip(&links) {
        if link.partition.number != number {
            let why = "logical partitions are numbered from 5 without gaps";
            return Err(wrong(link.partition.number, why));
        }
    }
    let foremost = (0..links.len()).min_by_key(|&at| links[at].record);
    if let Some(foremost) = foremost.filter(|&at| at > 0) {
        let start = links[foremost].record;
        let own = links[foremost].partition.start - sector;
        if own <= start {
            let why = "it needs two free sectors before it for extended boot records";
            return Err(wrong(links[foremost].partition.number, why));
        }
        links[foremost].record = own;
        links[0].record = start;
    }
    Ok(links)
}

fn kind(logical: &Partition) -> u8 {
    let kept = u8::try_from(logical.attributes >> KIND_SHIFT & 0xff).unwrap_or(0);
    match is_extended(kept) {
        true => kept,
        false => KINDS_EXTENDED[0],
    }
}

/// The slot the extended partition had, else the last that is free.
fn index(layout: &DiskLayout, logical: &Partition) -> Result<usize, TableError> {
    let taken: Vec<u32> = layout.partitions.iter().map(|p| p.number).collect();
    let kept = u32::try_from(logical.attributes >> NUMBER_SHIFT & 0xf).unwrap_or(0);
    let free = |number: &u32| !taken.contains(number);
    let number = [kept, 4, 3, 2, 1]
        .into_iter()
        .filter(free)
        .find(|&n| (1..=4).contains(&n));
    number
        .and_then(|number| usize::try_from(number - 1).ok())
        .ok_or_else(|| {
            wrong(
                logical.number,
                "four primary partitions leave no room for it",
            )
        })
}

fn wrong(number: u32, why: &str) -> TableError {
    TableError::Partition {
        number,
        why: why.to_owned(),
    }
}
