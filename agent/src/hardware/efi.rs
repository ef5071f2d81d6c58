//! Boot entries in the firmware: their bytes, and the variables that hold them.
//!
//! Sources: UEFI 2.10 sections 3.1.3 (load options), 3.3 (BootOrder, BootNext)
//! and 10.3 (device paths); the kernel's efivarfs, where a file is four bytes
//! of attributes and then the value.

/// A load option that starts a file from a GPT partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoadOption {
    /// Whether the firmware may start it.
    pub(crate) active: bool,
    /// What people see in the firmware's menu.
    pub(crate) description: String,
    /// The partition.
    pub(crate) partition: HardDrive,
    /// Path in its file system, with backslashes.
    pub(crate) path: String,
}

/// A GPT partition in a device path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HardDrive {
    /// Number in the table, from 1.
    pub(crate) number: u32,
    /// First sector.
    pub(crate) start: u64,
    /// Length in sectors.
    pub(crate) size: u64,
    /// Unique partition GUID as stored.
    pub(crate) guid: [u8; 16],
}

/// Bit 0 of the attributes (UEFI 3.1.3, LOAD_OPTION_ACTIVE).
const ACTIVE: u32 = 1;
/// Attributes and length of the device path, before the description.
const OPTION_HEADER: usize = 6;
/// Media device path, hard drive (UEFI 10.3.5.1).
const HARD_DRIVE: [u8; 2] = [4, 1];
const HARD_DRIVE_LENGTH: u16 = 42;
/// Media device path, file path (UEFI 10.3.5.4).
const FILE_PATH: [u8; 2] = [4, 4];
/// End of the whole device path (UEFI 10.3.1).
const END: [u8; 4] = [0x7f, 0xff, 4, 0];
/// Partition format and signature type "GUID" (UEFI 10.3.5.1).
const GPT_WITH_GUID: [u8; 2] = [2, 2];
/// Longest description or path, in characters: a guard, not a limit of UEFI.
const LONGEST_TEXT: usize = 200;

impl LoadOption {
    /// The value of a `Boot####` variable. `None` when a text is too long.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let path = utf16(&self.path)?;
        let path_length = u16::try_from(path.len() + 4).ok()?;
        let mut nodes = Vec::new();
        nodes.extend(HARD_DRIVE);
        nodes.extend(HARD_DRIVE_LENGTH.to_le_bytes());
        nodes.extend(self.partition.number.to_le_bytes());
        nodes.extend(self.partition.start.to_le_bytes());
        nodes.extend(self.partition.size.to_le_bytes());
        nodes.extend(self.partition.guid);
        nodes.extend(GPT_WITH_GUID);
        nodes.extend(FILE_PATH);
        nodes.extend(path_length.to_le_bytes());
        nodes.extend(path);
        nodes.extend(END);
        let mut bytes = Vec::new();
        bytes.extend(if self.active { ACTIVE } else { 0 }.to_le_bytes());
        bytes.extend(u16::try_from(nodes.len()).ok()?.to_le_bytes());
        bytes.extend(utf16(&self.description)?);
        bytes.extend(nodes);
        Some(bytes)
    }

    /// Reads a value as [`Self::encode`] writes it; `None` for options of any
    /// other shape (network, shell, other firmware's).
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let attributes = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
        let nodes_length = u16::from_le_bytes(bytes.get(4..6)?.try_into().ok()?);
        let (description, rest) = text(bytes.get(OPTION_HEADER..)?)?;
        let nodes = rest.get(..usize::from(nodes_length))?;
        let (drive, rest) = node(nodes, HARD_DRIVE)?;
        if drive.get(36..38)? != GPT_WITH_GUID {
            return None;
        }
        let (file, rest) = node(rest, FILE_PATH)?;
        let (path, _) = text(file)?;
        (rest == END).then_some(())?;
        Some(Self {
            active: attributes & ACTIVE != 0,
            description,
            partition: HardDrive {
                number: u32::from_le_bytes(drive.get(..4)?.try_into().ok()?),
                start: u64::from_le_bytes(drive.get(4..12)?.try_into().ok()?),
                size: u64::from_le_bytes(drive.get(12..20)?.try_into().ok()?),
                guid: drive.get(20..36)?.try_into().ok()?,
            },
            path,
        })
    }
}

/// The description of any load option, ours or not.
pub(crate) fn description(bytes: &[u8]) -> Option<String> {
    text(bytes.get(OPTION_HEADER..)?).map(|(text, _)| text)
}

/// `BootOrder`: two bytes a number.
pub(crate) fn decode_order(bytes: &[u8]) -> Vec<u16> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|&pair| u16::from_le_bytes(pair))
        .collect()
}

/// The other direction.
pub(crate) fn encode_order(order: &[u16]) -> Vec<u8> {
    order
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

/// The number in a variable's name such as `Boot0003`.
pub(crate) fn option_number(name: &str) -> Option<u16> {
    let digits = name
        .strip_prefix("Boot")
        .filter(|digits| digits.len() == 4)?;
    let hexadecimal = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
    hexadecimal.then(|| u16::from_str_radix(digits, 16).ok())?
}

/// The data of the first device path node, when it is of `kind`, and the rest.
fn node(bytes: &[u8], kind: [u8; 2]) -> Option<(&[u8], &[u8])> {
    (bytes.get(..2)? == kind).then_some(())?;
    let length = usize::from(u16::from_le_bytes(bytes.get(2..4)?.try_into().ok()?));
    Some((bytes.get(4..length)?, bytes.get(length..)?))
}

fn utf16(text: &str) -> Option<Vec<u8>> {
    let short = text.chars().count() <= LONGEST_TEXT && !text.contains('\0');
    short.then(|| {
        text.encode_utf16()
            .chain([0])
            .flat_map(u16::to_le_bytes)
            .collect()
    })
}

/// Text up to its zero, and what follows.
fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let units = bytes
        .as_chunks()
        .0
        .iter()
        .map(|&pair| u16::from_le_bytes(pair));
    let units: Vec<u16> = units
        .take(LONGEST_TEXT * 2 + 1)
        .take_while(|&unit| unit != 0)
        .collect();
    let rest = bytes.get(2 * units.len() + 2..)?;
    Some((String::from_utf16_lossy(&units), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option() -> LoadOption {
        LoadOption {
            active: true,
            description: "mimeo disk".to_owned(),
            partition: HardDrive {
                number: 1,
                start: 2048,
                size: 1_048_576,
                guid: [7; 16],
            },
            path: "\\EFI\\BOOT\\BOOTX64.EFI".to_owned(),
        }
    }

    #[test]
    fn a_load_option_survives_its_bytes() {
        let bytes = option().encode().unwrap();
        assert_eq!(LoadOption::decode(&bytes), Some(option()));
        assert_eq!(description(&bytes).as_deref(), Some("mimeo disk"));
        // 6 header, 22 description, 42 drive, 4 + 44 path, 4 end.
        assert_eq!(bytes.len(), 6 + 22 + 42 + 48 + 4);
        assert_eq!(bytes[..6], [1, 0, 0, 0, 94, 0]);
    }

    #[test]
    fn cut_and_flipped_options_never_panic() {
        let bytes = option().encode().unwrap();
        for length in 0..bytes.len() {
            assert_eq!(LoadOption::decode(&bytes[..length]), None, "{length}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let _ = LoadOption::decode(&flipped);
                let _ = description(&flipped);
            }
        }
    }

    #[test]
    fn texts_without_end_are_refused_in_both_directions() {
        assert_eq!(
            LoadOption {
                path: "x".repeat(300),
                ..option()
            }
            .encode(),
            None
        );
        assert_eq!(text(&[b'a', 0].repeat(3)), None);
    }

    #[test]
    fn numbers_and_orders_are_read_as_the_firmware_writes_them() {
        assert_eq!(option_number("Boot00A3"), Some(0xa3));
        for name in ["BootOrder", "Boot00a3", "Boot3", "Boot00003", "BootNext"] {
            assert_eq!(option_number(name), None, "{name}");
        }
        assert_eq!(decode_order(&[1, 0, 0, 1, 9]), [1, 256]);
        assert_eq!(encode_order(&[1, 256]), [1, 0, 0, 1]);
    }
}
