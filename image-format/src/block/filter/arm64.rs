//! BL and ADRP of ARM64: words of four bytes, little-endian.
//!
//! BL has 26 bits of distance in words; all of them are turned. ADRP has 21
//! bits of distance in pages of 4096 bytes; those within 512 MiB are turned
//! and stay there (18 bits with their sign), for in data a word looks like
//! ADRP once in 32 times. Words do not overlap, and neither turn changes which
//! kind a word is, so it is undone word by word.

const BL: u32 = 0x9400_0000;
const BL_MASK: u32 = 0xfc00_0000;
const ADRP: u32 = 0x9000_0000;
const ADRP_MASK: u32 = 0x9f00_0000;
/// The two low bits of ADRP's distance stand at 29, the other 19 at 5.
const PAGES_LOW: u32 = 0x6000_0000;
const PAGES_HIGH: u32 = 0x00ff_ffe0;
/// 2^17 pages to either side.
const NEAR: u32 = 1 << 17;
/// 21 bits.
const PAGES: u32 = (1 << 21) - 1;

/// Which way.
#[derive(Clone, Copy)]
pub(super) enum Turn {
    Absolute,
    Relative,
}

impl Turn {
    fn step(self, value: u32, place: u32) -> u32 {
        match self {
            Self::Absolute => value.wrapping_add(place),
            Self::Relative => value.wrapping_sub(place),
        }
    }
}

/// Turns every word from `start` on.
pub(super) fn turn(bytes: &mut [u8], start: u8, turn: Turn) {
    let words = bytes.get_mut(usize::from(start)..).unwrap_or_default();
    let (words, _) = words.as_chunks_mut::<4>();
    for (bytes, place) in words.iter_mut().zip(0_u32..) {
        let word = u32::from_le_bytes(*bytes);
        if word & BL_MASK == BL {
            let distance = turn.step(word, place) & !BL_MASK;
            *bytes = (BL | distance).to_le_bytes();
        } else if word & ADRP_MASK == ADRP {
            *bytes = adrp(word, place >> 10, turn).to_le_bytes();
        }
    }
}

fn adrp(word: u32, page: u32, turn: Turn) -> u32 {
    let pages = (word & PAGES_LOW) >> 29 | (word & PAGES_HIGH) >> 3;
    let near = pages.wrapping_add(NEAR) & PAGES;
    if near >= 2 * NEAR {
        return word;
    }
    let turned = turn.step(near, page) & (2 * NEAR - 1);
    let pages = turned.wrapping_sub(NEAR) & PAGES;
    word & !(PAGES_LOW | PAGES_HIGH) | (pages & 3) << 29 | (pages >> 2) << 5
}

/// Where words begin: the start, 0 to 3, from which most words are a BL.
pub(super) fn start(bytes: &[u8]) -> u8 {
    let mut best = (0, 0);
    for start in 0..4_u8 {
        let words = bytes.get(usize::from(start)..).unwrap_or_default();
        let (words, _) = words.as_chunks::<4>();
        let calls = words
            .iter()
            .filter(|word| u32::from_le_bytes(**word) & BL_MASK == BL)
            .count();
        if calls > best.0 {
            best = (calls, start);
        }
    }
    best.1
}
