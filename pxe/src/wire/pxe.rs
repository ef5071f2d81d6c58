//! The PXE sub-options inside DHCP option 43 and the identifier in option 97
//! (Intel PXE 2.1 section 2.2.3; RFC 4578).

use crate::bytes::Reader;

/// Sub-option 6: how the client discovers boot servers.
pub const DISCOVERY_CONTROL: u8 = 6;
/// Sub-option 71: the boot item the client chose, echoed by the server.
pub const BOOT_ITEM: u8 = 71;
/// Discovery control bit 3: use the boot file named here; no menu, no
/// discovery.
pub const USE_BOOT_FILE: u8 = 0x08;

const PAD: u8 = 0;
const END: u8 = 255;

/// The type byte in front of option 97's sixteen bytes (RFC 4578 2.3).
const UUID_TYPE: u8 = 0;

/// Writes sub-options and their end mark. Values longer than 255 bytes are
/// cut to nothing: no PXE sub-option is that long.
#[must_use]
pub fn encode(options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (code, value) in options {
        if let Ok(length) = u8::try_from(value.len()) {
            bytes.extend_from_slice(&[*code, length]);
            bytes.extend_from_slice(value);
        }
    }
    bytes.push(END);
    bytes
}

/// The value of one sub-option, if the bytes hold it whole.
#[must_use]
pub fn find(bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut reader = Reader::new(bytes);
    loop {
        match reader.u8()? {
            PAD => {}
            END => return None,
            code => {
                let length = usize::from(reader.u8()?);
                let value = reader.take(length)?;
                if code == wanted {
                    return Some(value);
                }
            }
        }
    }
}

/// Option 97 as the sixteen bytes of the UUID in text order.
///
/// The wire carries SMBIOS order, whose first three fields are little-endian
/// (SMBIOS 2.6 section 7.2.1). All zeros and all ones mean "none" there and
/// give `None`.
#[must_use]
pub fn uuid_from_option(option: &[u8]) -> Option<[u8; 16]> {
    let (kind, wire) = option.split_first()?;
    let wire: [u8; 16] = wire.try_into().ok()?;
    let blank = wire == [0; 16] || wire == [0xff; 16];
    (*kind == UUID_TYPE && !blank).then(|| swap_fields(wire))
}

/// The UUID in text order as option 97 carries it.
#[must_use]
pub fn uuid_to_option(uuid: [u8; 16]) -> Vec<u8> {
    let mut option = vec![UUID_TYPE];
    option.extend_from_slice(&swap_fields(uuid));
    option
}

/// Between text order and SMBIOS order: its own inverse.
fn swap_fields(uuid: [u8; 16]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, tail @ ..] = uuid;
    let mut swapped = [0; 16];
    swapped[..8].copy_from_slice(&[d, c, b, a, f, e, h, g]);
    swapped[8..].copy_from_slice(&tail);
    swapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discovery_control_eight_is_four_bytes() {
        let bytes = encode(&[(DISCOVERY_CONTROL, &[USE_BOOT_FILE])]);
        assert_eq!(bytes, [6, 1, 8, 255]);
        assert_eq!(find(&bytes, DISCOVERY_CONTROL), Some(&[8][..]));
        assert_eq!(find(&bytes, BOOT_ITEM), None);
    }

    #[test]
    fn a_cut_sub_option_is_not_found() {
        assert_eq!(find(&[71, 4, 0, 1], BOOT_ITEM), None);
        assert_eq!(find(&[0, 0, 71], BOOT_ITEM), None);
        assert_eq!(find(&[], BOOT_ITEM), None);
    }

    #[test]
    fn the_uuid_is_swapped_into_text_order() {
        let wire = [
            0, 0x77, 0x66, 0x55, 0x44, 0x22, 0x11, 0, 0x40, 0x80, 0, 1, 2, 3, 4, 5, 6,
        ];
        let text = uuid_from_option(&wire).unwrap();
        assert_eq!(text[..8], [0x44, 0x55, 0x66, 0x77, 0x11, 0x22, 0x40, 0]);
        assert_eq!(uuid_to_option(text), wire);
    }

    #[test]
    fn blank_or_misshapen_identifiers_are_none() {
        assert_eq!(uuid_from_option(&[0; 17]), None);
        assert_eq!(uuid_from_option(&[1; 17]), None);
        assert_eq!(uuid_from_option(&[0, 1, 2]), None);
        assert_eq!(uuid_from_option(&[]), None);
    }
}
