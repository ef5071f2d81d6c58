//! Names: UTF-16 on the volume, bytes in paths, and the 8.3 name beside them.

/// Code page 437, upper half: what short names without a long one are written in.
const CODE_PAGE: [u16; 128] = [
    0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef,
    0x00ee, 0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9,
    0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa,
    0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb,
    0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557,
    0x255d, 0x255c, 0x255b, 0x2510, 0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f,
    0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559,
    0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580,
    0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4,
    0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248,
    0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0,
];

/// What no long name may contain (fatgen103, section 7).
const FORBIDDEN: &[u8] = b"\"*/:<>?\\|";
/// The most UTF-16 units a long name may have.
pub(super) const LONGEST: usize = 255;

/// UTF-16 as UTF-8; a surrogate without its partner keeps its three bytes (WTF-8).
pub(super) fn to_bytes(units: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(units.len());
    for unit in char::decode_utf16(units.iter().copied()) {
        match unit {
            Ok(character) => bytes.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(lone) => {
                let [high, low] = lone.unpaired_surrogate().to_be_bytes();
                bytes.extend([
                    0xe0 | high >> 4,
                    0x80 | (high & 15) << 2 | low >> 6,
                    0x80 | low & 63,
                ]);
            }
        }
    }
    bytes
}

/// The inverse of [`to_bytes`]; `None` for bytes that function never returns.
pub(super) fn to_units(bytes: &[u8]) -> Option<Vec<u16>> {
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let sound = match std::str::from_utf8(rest) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(rest.get(..error.valid_up_to())?).ok()?,
        };
        units.extend(sound.encode_utf16());
        rest = rest.get(sound.len()..)?;
        if let [0xed, middle @ 0xa0..=0xbf, last @ 0x80..=0xbf, after @ ..] = rest {
            units.push(0xd000 | u16::from(middle & 63) << 6 | u16::from(last & 63));
            rest = after;
        } else if !rest.is_empty() {
            return None;
        }
    }
    (to_bytes(&units) == bytes).then_some(units)
}

/// Why a name cannot lie on FAT; `None` when it can.
pub(super) fn objection(name: &[u8]) -> Option<String> {
    let Some(units) = to_units(name) else {
        return Some(String::from("its name is not Unicode"));
    };
    if units.is_empty() || units.len() > LONGEST {
        return Some(format!(
            "its name has {} UTF-16 units, of which FAT holds 1 to {LONGEST}",
            units.len()
        ));
    }
    if name == b"." || name == b".." {
        return Some(String::from("the name has another meaning"));
    }
    let forbidden = name
        .iter()
        .find(|&&byte| byte < 0x20 || FORBIDDEN.contains(&byte))?;
    Some(format!("its name contains {}", [*forbidden].escape_ascii()))
}

/// Names that differ only in this cannot lie in one directory. Only ASCII is
/// folded: about other letters Windows and Linux disagree, and a volume either
/// of them made must come back as it was.
pub(super) fn fold(name: &[u8]) -> Vec<u8> {
    name.to_ascii_uppercase()
}

/// A short name as people read it. `case` is the byte in which Windows notes
/// lower case: bit 3 the base, bit 4 the extension.
pub(super) fn display_short(short: &[u8; 11], case: u8) -> Vec<u8> {
    let (base, extension) = short.split_at(8);
    let mut name = Vec::new();
    push_part(&mut name, base, case & 0x08 != 0, true);
    let mut tail = Vec::new();
    push_part(&mut tail, extension, case & 0x10 != 0, false);
    if !tail.is_empty() {
        name.push(b'.');
        name.extend(tail);
    }
    name
}

fn push_part(name: &mut Vec<u8>, part: &[u8], lower: bool, is_base: bool) {
    let length = part
        .iter()
        .rposition(|&byte| byte != b' ')
        .map_or(0, |last| last + 1);
    for (place, &byte) in part.iter().take(length).enumerate() {
        // 0xE5 in the first place means deleted, so it is stored as 5.
        let byte = if is_base && place == 0 && byte == 5 {
            0xe5
        } else {
            byte
        };
        match byte.checked_sub(128) {
            None if lower => name.push(byte.to_ascii_lowercase()),
            None => name.push(byte),
            Some(upper) => name.extend(to_bytes(&[CODE_PAGE
                .get(usize::from(upper))
                .copied()
                .unwrap_or(0xfffd)])),
        }
    }
}

/// Whether 11 bytes can stand as a short name.
pub(super) fn is_short(short: &[u8; 11]) -> bool {
    let sound =
        |(place, &byte): (usize, &u8)| (byte >= 0x20 && byte != b'/') || (place == 0 && byte == 5);
    !matches!(short[0], b' ' | b'.' | 0xe5) && short.iter().enumerate().all(sound)
}

/// The short name a long one begins with (fatgen103, section 7.4), before a
/// number makes it the only one, and whether it already says the whole name.
pub(super) fn basis(name: &[u8]) -> ([u8; 11], bool) {
    let trimmed: Vec<u8> = name.iter().copied().filter(|&byte| byte != b' ').collect();
    let start = trimmed.iter().position(|&byte| byte != b'.').unwrap_or(0);
    let trimmed = trimmed.get(start..).unwrap_or_default();
    let dot = trimmed.iter().rposition(|&byte| byte == b'.');
    let (base, extension) = match dot {
        Some(dot) => (&trimmed[..dot], trimmed.get(dot + 1..).unwrap_or_default()),
        None => (trimmed, &[][..]),
    };
    let mut short = [b' '; 11];
    let (head, tail) = short.split_at_mut(8);
    for (place, from) in [(head, base), (tail, extension)] {
        let bytes = from
            .iter()
            .filter(|&&byte| byte != b'.')
            .map(|&byte| stored(byte));
        for (slot, byte) in place.iter_mut().zip(bytes) {
            *slot = byte;
        }
    }
    if short[0] == b' ' {
        short[0] = b'_';
    }
    let whole = display_short(&short, 0);
    (short, whole.eq_ignore_ascii_case(name))
}

/// A byte of a long name in a short one.
fn stored(byte: u8) -> u8 {
    match byte {
        b'A'..=b'Z' | b'0'..=b'9' | b'a'..=b'z' => byte.to_ascii_uppercase(),
        other if b"$%'-_@~`!(){}^#&".contains(&other) => other,
        _ => b'_',
    }
}

/// The basis with `~number` at the end of its first eight.
pub(super) fn numbered(basis: &[u8; 11], number: u32) -> [u8; 11] {
    let tail = format!("~{number}");
    let length = basis
        .iter()
        .take(8)
        .position(|&byte| byte == b' ')
        .unwrap_or(8);
    let start = length.min(8_usize.saturating_sub(tail.len()));
    let mut short = *basis;
    for (place, byte) in short[start..8]
        .iter_mut()
        .zip(tail.bytes().chain(std::iter::repeat(b' ')))
    {
        *place = byte;
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_utf16_name_survives_as_bytes() {
        let names: [&[u16]; 4] = [
            &[0x41, 0xd800],
            &[0xdc00, 0x20ac],
            &[0xd83d, 0xde00],
            &[0xd800, 0x41, 0xdfff],
        ];
        for units in names {
            assert_eq!(to_units(&to_bytes(units)).unwrap(), units);
        }
        assert_eq!(to_units(b"\xff"), None);
        assert_eq!(to_units(b"\xed\xa0\xbd\xed\xb8\x80"), None);
        assert_eq!(to_units(b"\xed\xa0"), None);
    }

    #[test]
    fn short_names_are_shown_and_made_as_dos_does() {
        assert_eq!(display_short(b"README  TXT", 0x18), b"readme.txt");
        assert_eq!(display_short(b"\x05A         ", 0), "\u{3c3}A".as_bytes());
        assert_eq!(basis(b"grub.cfg"), (*b"GRUB    CFG", true));
        assert_eq!(basis(b"grubx64.efi"), (*b"GRUBX64 EFI", true));
        assert_eq!(basis(b".hidden file"), (*b"HIDDENFI   ", false));
        assert_eq!(basis(b"a+b.tar.gz"), (*b"A_BTAR  GZ ", false));
        assert_eq!(basis(b"long extension.html"), (*b"LONGEXTEHTM", false));
        assert_eq!(numbered(b"LONGEXTEHTM", 12), *b"LONGE~12HTM");
        assert_eq!(numbered(b"AB      C  ", 1), *b"AB~1    C  ");
    }

    #[test]
    fn names_fat_cannot_hold_are_told_why() {
        assert!(objection(b"a:b").unwrap().contains("contains :"));
        assert!(objection(&[b'x'; 256]).is_some());
        assert!(objection(b"").is_some());
        assert!(objection(b"..").is_some());
        assert!(objection(b"\xff").is_some());
        assert!(objection(b"ok name").is_none());
    }
}
