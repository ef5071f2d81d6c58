//! The header, both directions, and the checksum it is made with.

const MAGIC: &[u8; 8] = b"EFI PART";
const REVISION: u32 = 0x0001_0000;
const HEADER: usize = 92;
const CRC: usize = 16;
/// More entries than any tool makes; bounds what is read.
pub(super) const MOST_ENTRIES: u32 = 1024;
/// Entry sizes are 128 * 2^n (UEFI 5.3.2); nobody uses more than 128.
const LARGEST_ENTRY: u32 = 1024;

/// A header's fields; addresses in sectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) own: u64,
    pub(super) other: u64,
    pub(super) first_usable: u64,
    pub(super) last_usable: u64,
    pub(super) disk_guid: [u8; 16],
    pub(super) entries_at: u64,
    pub(super) entries: u32,
    pub(super) entry_size: u32,
    pub(super) entries_crc: u32,
}

impl Header {
    pub(super) fn encode(&self, sector_size: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(sector_size);
        bytes.extend(MAGIC);
        bytes.extend(REVISION.to_le_bytes());
        bytes.extend(92_u32.to_le_bytes());
        bytes.extend([0; 8]);
        for address in [self.own, self.other, self.first_usable, self.last_usable] {
            bytes.extend(address.to_le_bytes());
        }
        bytes.extend(self.disk_guid);
        bytes.extend(self.entries_at.to_le_bytes());
        for number in [self.entries, self.entry_size, self.entries_crc] {
            bytes.extend(number.to_le_bytes());
        }
        let crc = crc32(&bytes);
        bytes[CRC..CRC + 4].copy_from_slice(&crc.to_le_bytes());
        bytes.resize(sector_size, 0);
        bytes
    }

    /// `Ok(None)`: no header here. `Err`: what is wrong with the one that is.
    pub(super) fn decode(sector: &[u8], own: u64) -> Result<Option<Self>, String> {
        if sector.get(..8) != Some(MAGIC.as_slice()) {
            return Ok(None);
        }
        let short = || String::from("the header is cut off");
        let word = |at: usize| {
            sector
                .get(at..at + 4)
                .and_then(|raw| raw.try_into().ok())
                .map(u32::from_le_bytes)
                .ok_or_else(short)
        };
        let long = |at: usize| {
            sector
                .get(at..at + 8)
                .and_then(|raw| raw.try_into().ok())
                .map(u64::from_le_bytes)
                .ok_or_else(short)
        };
        let length = usize::try_from(word(12)?).unwrap_or(usize::MAX);
        let mut checked = match sector.get(..length) {
            Some(bytes) if length >= HEADER => bytes.to_vec(),
            _ => {
                return Err(format!(
                    "header length: expected 92 to one sector, found {length}"
                ));
            }
        };
        checked[CRC..CRC + 4].fill(0);
        let (expected, found) = (crc32(&checked), word(CRC)?);
        if expected != found {
            return Err(format!(
                "header checksum: expected {expected:08x}, found {found:08x}"
            ));
        }
        let disk_guid = sector
            .get(56..72)
            .and_then(|raw| raw.try_into().ok())
            .ok_or_else(short)?;
        let header = Self {
            own: long(24)?,
            other: long(32)?,
            first_usable: long(40)?,
            last_usable: long(48)?,
            disk_guid,
            entries_at: long(72)?,
            entries: word(80)?,
            entry_size: word(84)?,
            entries_crc: word(88)?,
        };
        let (entries, entry) = (header.entries, header.entry_size);
        if header.own != own {
            return Err(format!(
                "own address: expected sector {own}, found {}",
                header.own
            ));
        }
        if entries > MOST_ENTRIES
            || !(128..=LARGEST_ENTRY).contains(&entry)
            || !entry.is_power_of_two()
        {
            return Err(format!(
                "entries: expected up to {MOST_ENTRIES} of 128 bytes, found {entries} of {entry}"
            ));
        }
        Ok(Some(header))
    }
}

/// CRC-32 as Ethernet and UEFI use it (reflected, polynomial 0x04c11db7).
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            if carry == 1 {
                crc ^= 0xedb8_8320;
            }
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn the_checksum_is_the_one_of_ethernet() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
