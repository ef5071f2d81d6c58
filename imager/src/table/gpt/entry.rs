//! One entry of the table, both directions.

use std::ops::Range;

use image_format::layout::{Partition, Volume};

use super::super::TableError;

/// Bytes of an entry.
pub(super) const ENTRY: usize = 128;
const NAME: Range<usize> = 56..128;

/// `None` for an unused entry; an error says what is wrong with the copy.
pub(super) fn decode_entry(
    number: u32,
    raw: &[u8],
    sector: u64,
) -> Result<Option<Partition>, String> {
    let guid = |at: usize| {
        raw.get(at..at + 16)
            .and_then(|raw| <[u8; 16]>::try_from(raw).ok())
            .unwrap_or_default()
    };
    let long = |at: usize| {
        raw.get(at..at + 8)
            .and_then(|raw| raw.try_into().ok())
            .map_or(0, u64::from_le_bytes)
    };
    let type_guid = guid(0);
    if type_guid == [0; 16] {
        return Ok(None);
    }
    let (first, last) = (long(32), long(40));
    let start = first.checked_mul(sector);
    let size = last
        .checked_sub(first)
        .and_then(|count| count.checked_add(1)?.checked_mul(sector));
    let (Some(start), Some(size)) = (start, size) else {
        return Err(format!(
            "partition {number} goes from sector {first} to {last}"
        ));
    };
    let mut name: Vec<u16> = raw
        .get(NAME)
        .unwrap_or_default()
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    while name.last() == Some(&0) {
        name.pop();
    }
    Ok(Some(Partition {
        number,
        start,
        size,
        type_guid,
        guid: guid(16),
        attributes: long(48),
        name,
        volume: Volume::Empty,
    }))
}

pub(super) fn encode_entry(partition: &Partition, sector: u64) -> Result<[u8; ENTRY], TableError> {
    let mut entry = [0; ENTRY];
    let first = partition.start / sector;
    let last = first + partition.size / sector - 1;
    entry[..16].copy_from_slice(&partition.type_guid);
    entry[16..32].copy_from_slice(&partition.guid);
    entry[32..40].copy_from_slice(&first.to_le_bytes());
    entry[40..48].copy_from_slice(&last.to_le_bytes());
    entry[48..56].copy_from_slice(&partition.attributes.to_le_bytes());
    let wrong = |why: &str| TableError::Partition {
        number: partition.number,
        why: why.to_owned(),
    };
    if partition.type_guid == [0; 16] {
        return Err(wrong("its type is zero, which means an unused entry"));
    }
    if partition.name.len() > NAME.len() / 2 {
        return Err(wrong("its name has more than 36 UTF-16 units"));
    }
    for (place, unit) in entry[NAME].chunks_exact_mut(2).zip(&partition.name) {
        place.copy_from_slice(&unit.to_le_bytes());
    }
    Ok(entry)
}
