//! Master boot record with primary and logical partitions, and the protective
//! one of a GPT.
//!
//! Layout: UEFI specification 2.10, section 5.2 (tables 5-1 to 5-4).

mod logical;

use image_format::layout::{DiskLayout, Partition, Scheme, Volume};

use super::{TableError, in_order};
use crate::disk::Disk;
use crate::volume::Write;

pub use logical::is_logical;

/// Length of the boot code.
pub const BOOT_CODE: usize = 440;
const SIGNATURE: usize = 440;
const ENTRIES: usize = 446;
const ENTRY: usize = 16;
const MARK: usize = 510;

const ACTIVE: u8 = 0x80;
const KIND_PROTECTIVE: u8 = 0xee;
/// CHS, LBA and Linux extended partitions.
const KINDS_EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];

/// Attribute bit 2 of [`Partition::attributes`]: legacy BIOS bootable, active.
pub const ATTRIBUTE_ACTIVE: u64 = 1 << 2;

/// One of the four entries; addresses in sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Slot {
    status: u8,
    kind: u8,
    first: u32,
    sectors: u32,
}

impl Slot {
    /// The entry of a partition that holds data.
    fn of(partition: &Partition, first: u32, sectors: u32) -> Result<Self, TableError> {
        let kind = partition.type_guid[0];
        if kind == 0 || kind == KIND_PROTECTIVE || is_extended(kind) {
            return Err(TableError::Partition {
                number: partition.number,
                why: format!("type 0x{kind:02x} is not a data partition's"),
            });
        }
        let status = match partition.attributes & ATTRIBUTE_ACTIVE {
            0 => 0,
            _ => ACTIVE,
        };
        Ok(Self {
            status,
            kind,
            first,
            sectors,
        })
    }
}

fn is_extended(kind: u8) -> bool {
    KINDS_EXTENDED.contains(&kind)
}

/// The four entries of a sector with the mark `55 AA`.
fn read_slots(sector: &[u8]) -> Option<[Slot; 4]> {
    if sector.get(MARK..MARK + 2)? != [0x55, 0xaa] {
        return None;
    }
    let mut slots = [Slot::default(); 4];
    let raws = sector.get(ENTRIES..MARK)?.chunks_exact(ENTRY);
    for (slot, raw) in slots.iter_mut().zip(raws) {
        *slot = Slot {
            status: *raw.first()?,
            kind: *raw.get(4)?,
            first: read_u32(raw, 8)?,
            sectors: read_u32(raw, 12)?,
        };
    }
    Some(slots)
}

/// A slot as a partition of `disk` that begins at sector `first`.
fn partition_of(
    number: u32,
    slot: Slot,
    first: u64,
    disk: &dyn Disk,
) -> Result<Partition, TableError> {
    let sector = u64::from(disk.sector_size());
    let (start, length) = (
        first.saturating_mul(sector),
        u64::from(slot.sectors) * sector,
    );
    if first == 0 || start.saturating_add(length) > disk.size() {
        let size = disk.size();
        let why = format!("{length} bytes at {start} do not lie on the disk of {size} bytes");
        return Err(TableError::Partition { number, why });
    }
    let mut type_guid = [0; 16];
    type_guid[0] = slot.kind;
    let attributes = match slot.status {
        ACTIVE => ATTRIBUTE_ACTIVE,
        _ => 0,
    };
    Ok(Partition {
        number,
        start,
        size: length,
        type_guid,
        guid: [0; 16],
        attributes,
        name: Vec::new(),
        volume: Volume::Empty,
    })
}

/// A first sector that carries the MBR's mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    signature: u32,
    boot_code: Vec<u8>,
    slots: [Slot; 4],
}

impl Record {
    /// Decodes a first sector; `None` without the mark `55 AA` or when its
    /// entries cannot be partition entries.
    pub fn decode(sector: &[u8]) -> Option<Self> {
        let slots = read_slots(sector)?;
        let plausible = slots.iter().all(|slot| matches!(slot.status, 0 | ACTIVE));
        let record = Self {
            signature: read_u32(sector, SIGNATURE)?,
            boot_code: boot_code(sector),
            slots,
        };
        plausible.then_some(record)
    }

    /// Whether a GPT lies behind it.
    pub fn is_protective(&self) -> bool {
        self.slots.iter().any(|slot| slot.kind == KIND_PROTECTIVE)
    }

    /// Whether a protective MBR also lists ordinary partitions.
    pub fn is_hybrid(&self) -> bool {
        self.is_protective()
            && self
                .slots
                .iter()
                .any(|slot| !matches!(slot.kind, 0 | KIND_PROTECTIVE))
    }

    /// The partitions of an ordinary MBR; `notes` hears of what is lost.
    pub(super) fn layout(
        &self,
        disk: &dyn Disk,
        notes: &mut Vec<String>,
    ) -> Result<DiskLayout, TableError> {
        let (mut partitions, mut has_extended) = (Vec::new(), false);
        for (number, slot) in (1..).zip(&self.slots) {
            if slot.kind == 0 || slot.sectors == 0 {
                continue;
            }
            if !is_extended(slot.kind) {
                partitions.push(partition_of(number, *slot, u64::from(slot.first), disk)?);
                continue;
            }
            if std::mem::replace(&mut has_extended, true) {
                let why = String::from("it is a second extended partition; expected one at most");
                return Err(TableError::Partition { number, why });
            }
            let (kind, first) = (slot.kind, slot.first);
            let container = logical::Container {
                number,
                kind,
                first,
            };
            let inside = logical::read(disk, container)?;
            if inside.is_empty() {
                notes.push(format!(
                    "partition {number} is an extended partition with nothing in it; it is not kept"
                ));
            }
            partitions.extend(inside);
        }
        Ok(DiskLayout {
            sector_size: disk.sector_size(),
            size: disk.size(),
            scheme: Scheme::Mbr {
                signature: self.signature,
            },
            boot_code: self.boot_code.clone(),
            partitions: in_order(partitions),
        })
    }
}

/// The boot code of a first sector; empty when it is all zeros.
pub(super) fn boot_code(sector: &[u8]) -> Vec<u8> {
    let code = sector.get(..BOOT_CODE).unwrap_or_default();
    if code.iter().all(|&byte| byte == 0) {
        Vec::new()
    } else {
        code.to_vec()
    }
}

/// Whether a first sector with the mark is a volume's boot sector: FAT, NTFS
/// and exFAT put the same mark there. A boot loader's code may begin with a
/// jump too, but leaves the fields of a BPB zero.
pub(super) fn is_volume(sector: &[u8]) -> bool {
    let named = |name: &[u8]| sector.get(3..11) == Some(name);
    let bytes_per_sector = sector
        .get(11..13)
        .map(|raw| u16::from_le_bytes([raw[0], raw[1]]));
    let clusters_are_a_power = sector.get(13).is_some_and(|count| count.is_power_of_two());
    let fats = sector.get(16).copied();
    let fat = matches!(bytes_per_sector, Some(512 | 1024 | 2048 | 4096))
        && clusters_are_a_power
        && matches!(fats, Some(1 | 2));
    fat || named(b"NTFS    ") || named(b"EXFAT   ")
}

/// The first sector with `layout`'s partitions, and the records of logical ones.
pub(super) fn encode(
    layout: &DiskLayout,
    signature: u32,
    sector_size: u32,
) -> Result<(Vec<u8>, Vec<Write>), TableError> {
    let mut sector = blank(&layout.boot_code, sector_size);
    put(&mut sector, SIGNATURE, &signature.to_le_bytes());
    let primary = |partition: &&Partition| !is_logical(partition.number);
    for partition in layout.partitions.iter().filter(primary) {
        let number = partition.number;
        let wrong = |why: &str| TableError::Partition {
            number,
            why: why.to_owned(),
        };
        let index = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1))
            .ok_or_else(|| wrong("an MBR numbers its partitions from 1"))?;
        let sectors = |bytes: u64| u32::try_from(bytes / u64::from(sector_size));
        let far = |_| wrong("an MBR cannot address sectors beyond 2^32; use a GPT");
        let first = sectors(partition.start).map_err(far)?;
        let length = sectors(partition.size).map_err(far)?;
        put_slot(&mut sector, index, Slot::of(partition, first, length)?);
    }
    let Some(chain) = logical::encode(layout, sector_size)? else {
        return Ok((sector, Vec::new()));
    };
    put_slot(&mut sector, chain.index, chain.slot);
    Ok((sector, chain.records))
}

/// The protective MBR of a GPT (UEFI 5.2.3) with the boot code kept.
pub(super) fn protective(boot_code: &[u8], disk_size: u64, sector_size: u32) -> Vec<u8> {
    let mut sector = blank(boot_code, sector_size);
    let sectors = u32::try_from(disk_size / u64::from(sector_size) - 1).unwrap_or(u32::MAX);
    put_slot(
        &mut sector,
        0,
        Slot {
            status: 0,
            kind: KIND_PROTECTIVE,
            first: 1,
            sectors,
        },
    );
    // UEFI wants CHS 0,0,2 for sector 1 here, whatever the geometry.
    put(&mut sector, ENTRIES + 1, &[0x00, 0x02, 0x00]);
    sector
}

fn blank(boot_code: &[u8], sector_size: u32) -> Vec<u8> {
    let mut sector = vec![0; if sector_size == 4096 { 4096 } else { 512 }];
    put(
        &mut sector,
        0,
        boot_code.get(..BOOT_CODE).unwrap_or(boot_code),
    );
    put(&mut sector, MARK, &[0x55, 0xaa]);
    sector
}

fn put_slot(sector: &mut [u8], index: usize, slot: Slot) {
    let at = ENTRIES + index * ENTRY;
    // CHS says "beyond", as every system since has written: LBA is what counts.
    put(
        sector,
        at,
        &[slot.status, 0xfe, 0xff, 0xff, slot.kind, 0xfe, 0xff, 0xff],
    );
    if slot.kind == KIND_PROTECTIVE {
        put(sector, at + 5, &[0xff, 0xff, 0xff]);
    }
    put(sector, at + 8, &slot.first.to_le_bytes());
    put(sector, at + 12, &slot.sectors.to_le_bytes());
}

fn put(sector: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = sector.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)?
        .try_into()
        .ok()
        .map(u32::from_le_bytes)
}
