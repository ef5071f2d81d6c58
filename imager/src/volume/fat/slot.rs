//! The 32-byte slots of a directory (fatgen103, sections 6 and 7).

use image_format::entry::Times;

use super::time::DosTime;

/// Bytes of a slot.
pub(super) const SLOT: usize = 32;
pub(super) const READ_ONLY: u8 = 0x01;
pub(super) const HIDDEN: u8 = 0x02;
pub(super) const SYSTEM: u8 = 0x04;
pub(super) const LABEL: u8 = 0x08;
pub(super) const DIRECTORY: u8 = 0x10;
pub(super) const ARCHIVE: u8 = 0x20;
const LONG: u8 = 0x0f;
const ATTRIBUTE_MASK: u8 = 0x3f;
const DELETED: u8 = 0xe5;
const LAST: u8 = 0x40;
/// UTF-16 units in a slot of a long name.
const UNITS: usize = 13;
/// Where they stand.
const UNIT_PLACES: [usize; UNITS] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

/// The slot with the short name and everything else about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Short {
    pub name: [u8; 11],
    pub attributes: u8,
    /// Lower-case bits, as Windows keeps them.
    pub case: u8,
    pub times: Times,
    /// First cluster; 0 for an empty file.
    pub cluster: u32,
    pub size: u32,
}

/// A slot of a long name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    number: u8,
    is_last: bool,
    checksum: u8,
    units: [u16; UNITS],
}

/// What a slot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Slot {
    /// No slot after this one is used.
    End,
    Deleted,
    Long(Part),
    Short(Short),
}

impl Slot {
    /// Decodes a slot; `None` when it is not 32 bytes.
    pub(super) fn decode(raw: &[u8]) -> Option<Self> {
        let raw: &[u8; SLOT] = raw.try_into().ok()?;
        let word = |at: usize| u16::from_le_bytes([raw[at], raw[at + 1]]);
        match raw[0] {
            0 => return Some(Self::End),
            DELETED => return Some(Self::Deleted),
            _ => {}
        }
        if raw[11] & ATTRIBUTE_MASK == LONG {
            let units = UNIT_PLACES.map(word);
            let (number, is_last) = (raw[0] & 0x1f, raw[0] & LAST != 0);
            return Some(Self::Long(Part {
                number,
                is_last,
                checksum: raw[13],
                units,
            }));
        }
        let moment = |date, time, hundredths| {
            DosTime {
                date,
                time,
                hundredths,
            }
            .decode()
        };
        Some(Self::Short(Short {
            name: raw[..11].try_into().ok()?,
            attributes: raw[11] & ATTRIBUTE_MASK,
            case: raw[12],
            times: Times {
                modified: moment(word(24), word(22), 0),
                accessed: moment(word(18), 0, 0),
                created: moment(word(16), word(14), raw[13]),
                ..Times::default()
            },
            cluster: u32::from(word(20)) << 16 | u32::from(word(26)),
            size: u32::from_le_bytes([raw[28], raw[29], raw[30], raw[31]]),
        }))
    }
}

impl Short {
    pub(super) fn encode(&self) -> [u8; SLOT] {
        let mut raw = [0; SLOT];
        let modified = DosTime::encode(self.times.modified);
        let created = DosTime::encode(self.times.created);
        let accessed = DosTime::encode(self.times.accessed);
        let cluster = self.cluster.to_le_bytes();
        raw[..11].copy_from_slice(&self.name);
        raw[11] = self.attributes;
        raw[12] = self.case;
        raw[13] = created.hundredths;
        raw[14..16].copy_from_slice(&created.time.to_le_bytes());
        raw[16..18].copy_from_slice(&created.date.to_le_bytes());
        raw[18..20].copy_from_slice(&accessed.date.to_le_bytes());
        raw[20..22].copy_from_slice(&cluster[2..]);
        raw[22..24].copy_from_slice(&modified.time.to_le_bytes());
        raw[24..26].copy_from_slice(&modified.date.to_le_bytes());
        raw[26..28].copy_from_slice(&cluster[..2]);
        raw[28..].copy_from_slice(&self.size.to_le_bytes());
        raw
    }
}

/// The slots of a long name in the order they stand before the short one.
pub(super) fn encode_long(units: &[u16], short: &[u8; 11]) -> Vec<u8> {
    let checksum = checksum(short);
    let count = units.len().div_ceil(UNITS);
    let mut bytes = Vec::with_capacity(count * SLOT);
    for (index, part) in units.chunks(UNITS).enumerate().rev() {
        let mut raw = [0; SLOT];
        let last = if index + 1 == count { LAST } else { 0 };
        // A name of 255 units has 20 parts.
        raw[0] = u8::try_from(index + 1).unwrap_or(0) | last;
        raw[11] = LONG;
        raw[13] = checksum;
        // The name ends with a zero, and what is left of the slot is filled.
        let filled = part
            .iter()
            .copied()
            .chain(std::iter::once(0))
            .chain(std::iter::repeat(0xffff));
        for (&place, unit) in UNIT_PLACES.iter().zip(filled) {
            raw[place..place + 2].copy_from_slice(&u16::to_le_bytes(unit));
        }
        bytes.extend(raw);
    }
    bytes
}

/// Slots a long name takes.
pub(super) fn long_slots(units: usize) -> usize {
    units.div_ceil(UNITS)
}

fn checksum(short: &[u8; 11]) -> u8 {
    short
        .iter()
        .fold(0_u8, |sum, &byte| sum.rotate_right(1).wrapping_add(byte))
}

/// Parts of a long name as they come, until the short one shows whose it is.
#[derive(Debug, Default)]
pub(super) struct LongName {
    /// Last part first, as on the disk.
    parts: Vec<Part>,
}

impl LongName {
    /// Takes the next part; one that does not follow the last starts anew or is dropped.
    pub(super) fn push(&mut self, part: Part) {
        if part.is_last {
            self.parts.clear();
        }
        let follows = match self.parts.last() {
            None => part.is_last,
            Some(before) => before.number == part.number + 1 && before.checksum == part.checksum,
        };
        if follows {
            self.parts.push(part);
        } else {
            self.parts.clear();
        }
    }

    /// The long name of the short one that follows, if the parts are its own.
    pub(super) fn take(&mut self, short: &[u8; 11]) -> Option<Vec<u16>> {
        let parts = std::mem::take(&mut self.parts);
        let last = parts.last()?;
        if last.number != 1 || last.checksum != checksum(short) {
            return None;
        }
        let units: Vec<u16> = parts.iter().rev().flat_map(|part| part.units).collect();
        let length = units
            .iter()
            .position(|&unit| unit == 0)
            .unwrap_or(units.len());
        (length > 0).then(|| units[..length].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_of_every_length_are_put_together_again() {
        let short = *b"LONGNA~1TXT";
        for length in 1..=255_u16 {
            let units: Vec<u16> = (0..length).map(|n| 0x100 + n).collect();
            let mut long = LongName::default();
            for raw in encode_long(&units, &short).chunks(SLOT) {
                match Slot::decode(raw).unwrap() {
                    Slot::Long(part) => long.push(part),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(long.take(&short).unwrap(), units);
        }
    }

    #[test]
    fn orphaned_parts_belong_to_nobody() {
        let short = *b"LONGNA~1TXT";
        let bytes = encode_long(&[0x41; 30], &short);
        for skip in 0..3 {
            let mut long = LongName::default();
            for (index, raw) in bytes.chunks(SLOT).enumerate() {
                if let (true, Some(Slot::Long(part))) = (index != skip, Slot::decode(raw)) {
                    long.push(part);
                }
            }
            assert_eq!(long.take(&short), None);
        }
        let mut long = LongName::default();
        for raw in bytes.chunks(SLOT) {
            if let Some(Slot::Long(part)) = Slot::decode(raw) {
                long.push(part);
            }
        }
        assert_eq!(long.take(b"OTHER   TXT"), None);
    }

    #[test]
    fn any_slot_that_is_a_file_is_encoded_to_what_it_was() {
        for seed in 0..2000_u32 {
            let hash = blake3::hash(&seed.to_le_bytes());
            if let Some(Slot::Short(short)) = Slot::decode(hash.as_bytes()) {
                assert_eq!(Slot::decode(&short.encode()), Some(Slot::Short(short)));
            }
        }
        assert_eq!(Slot::decode(&[0; 31]), None);
    }
}
