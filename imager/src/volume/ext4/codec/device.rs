//! Device numbers in the first two words of an inode's map.

use super::fields::{get32, put32};

/// Major number limit of the new encoding (12 bits).
pub(crate) const MAJORS: u32 = 1 << 12;
/// Minor number limit of the new encoding (20 bits).
pub(crate) const MINORS: u32 = 1 << 20;

/// Major and minor number; the old 8:8 form when the first word is not zero.
pub(crate) fn decode(map: &[u8; 60]) -> Option<(u32, u32)> {
    let old = get32(map, 0)?;
    if old != 0 {
        return Some(((old >> 8) & 0xff, old & 0xff));
    }
    let new = get32(map, 4)?;
    Some(((new >> 8) & 0xfff, (new & 0xff) | (new >> 12 & 0xf_ff00)))
}

/// The map of a device inode, as the kernel chooses the form.
pub(crate) fn encode(major: u32, minor: u32) -> [u8; 60] {
    let mut map = [0; 60];
    if major < 256 && minor < 256 {
        put32(&mut map, 0, major << 8 | minor);
    } else {
        put32(
            &mut map,
            4,
            (minor & 0xff) | major << 8 | (minor & !0xff) << 12,
        );
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_survive_in_both_forms() {
        for numbers in [
            (0, 0),
            (8, 1),
            (255, 255),
            (256, 0),
            (8, 256),
            (4095, 0xf_ffff),
        ] {
            assert_eq!(decode(&encode(numbers.0, numbers.1)), Some(numbers));
        }
    }
}
