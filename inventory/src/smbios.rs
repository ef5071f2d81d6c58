//! SMBIOS structures → the system's names (DMTF DSP0134 3.7, chapters 6 and 7.2).
//!
//! The kernel hands the table out as `/sys/firmware/dmi/tables/DMI`. It comes
//! from firmware: every length is checked, and what does not fit ends the walk.

/// What the System Information structure (type 1) says, junk removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SystemNames {
    /// UUID as text, lower case, in the order people read it.
    pub uuid: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Manufacturer.
    pub vendor: Option<String>,
    /// Product name.
    pub product: Option<String>,
}

const TYPE: usize = 0;
const LENGTH: usize = 1;
const HEADER: usize = 4;
const SYSTEM_INFORMATION: u8 = 1;
const END_OF_TABLE: u8 = 127;
const MANUFACTURER: usize = 0x04;
const PRODUCT: usize = 0x05;
const SERIAL: usize = 0x07;
const UUID: usize = 0x08;

/// Values that firmware ships with and nobody filled in.
const JUNK: [&str; 12] = [
    "",
    "0",
    "none",
    "not specified",
    "not available",
    "not applicable",
    "unknown",
    "default string",
    "system serial number",
    "system product name",
    "system manufacturer",
    "to be filled by o.e.m.",
];

impl SystemNames {
    /// Finds the system structure in a structure table; nothing found is
    /// nothing known.
    pub fn from_table(table: &[u8]) -> Self {
        let mut rest = table;
        while let Some((structure, strings, after)) = split_structure(rest) {
            match structure.get(TYPE) {
                Some(&SYSTEM_INFORMATION) => return Self::from_structure(structure, strings),
                Some(&END_OF_TABLE) => break,
                _ => rest = after,
            }
        }
        Self::default()
    }

    fn from_structure(structure: &[u8], strings: &[u8]) -> Self {
        let text = |field: usize| {
            let number = usize::from(*structure.get(field)?);
            let bytes = strings
                .split(|&byte| byte == 0)
                .nth(number.checked_sub(1)?)?;
            meaningful(&String::from_utf8_lossy(bytes))
        };
        Self {
            uuid: structure
                .get(UUID..UUID + 16)
                .and_then(|b| b.try_into().ok())
                .and_then(uuid_text),
            serial: text(SERIAL),
            vendor: text(MANUFACTURER),
            product: text(PRODUCT),
        }
    }
}

/// One structure: its formatted part, its strings, and what follows.
fn split_structure(table: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let length = usize::from(*table.get(LENGTH)?);
    if length < HEADER {
        return None;
    }
    let strings = table.get(length..)?;
    let end = strings.windows(2).position(|pair| pair == [0, 0])?;
    Some((&table[..length], &strings[..end + 1], &strings[end + 2..]))
}

/// The text, unless it is one of the values nobody filled in.
pub fn meaningful(text: &str) -> Option<String> {
    let text = text.trim();
    let junk = JUNK.contains(&text.to_ascii_lowercase().as_str())
        || text
            .bytes()
            .all(|byte| byte == b'0' || byte == b' ' || byte == b'.');
    (!junk).then(|| text.to_owned())
}

/// UUID bytes as SMBIOS 2.6 and later stores them → text; all zeros and all
/// ones mean "not set" (DSP0134 7.2.1).
pub fn uuid_text(stored: [u8; 16]) -> Option<String> {
    if stored == [0; 16] || stored == [0xff; 16] {
        return None;
    }
    let mut bytes = stored;
    bytes[0..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<u8> {
        let mut table = vec![0, 4, 0, 0, b'x', 0, 0];
        table.extend([1, 27, 1, 0, 1, 2, 0, 3]);
        table.extend([
            0x77, 0x77, 0x77, 0x77, 0, 0, 0, 0x40, 0x80, 0, 0, 0, 0, 0, 0, 1,
        ]);
        table.extend([6, 0, 0]);
        table.extend(b"QEMU\0Standard PC\0SN-1\0\0");
        table.extend([127, 4, 0, 0, 0, 0]);
        table
    }

    #[test]
    fn system_structure_is_found_behind_others() {
        let names = SystemNames::from_table(&table());
        assert_eq!(
            names.uuid.as_deref(),
            Some("77777777-0000-4000-8000-000000000001")
        );
        assert_eq!(names.vendor.as_deref(), Some("QEMU"));
        assert_eq!(names.product.as_deref(), Some("Standard PC"));
        assert_eq!(names.serial.as_deref(), Some("SN-1"));
    }

    #[test]
    fn truncated_and_flipped_tables_never_panic() {
        let table = table();
        for length in 0..table.len() {
            SystemNames::from_table(&table[..length]);
        }
        for position in 0..table.len() {
            for bit in 0..8 {
                let mut flipped = table.clone();
                flipped[position] ^= 1 << bit;
                SystemNames::from_table(&flipped);
            }
        }
    }

    #[test]
    fn values_nobody_filled_in_are_dropped() {
        for junk in [
            "",
            " ",
            "To Be Filled By O.E.M.",
            "Default string",
            "0000000",
            "None",
        ] {
            assert_eq!(meaningful(junk), None, "{junk}");
        }
        assert_eq!(meaningful(" PF2X1 "), Some("PF2X1".to_owned()));
        assert_eq!(uuid_text([0xff; 16]), None);
    }
}
