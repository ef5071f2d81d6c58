//! The directory hash `half_md4` (kernel `fs/ext4/hash.c`), on signed characters.

use super::fields::{get32, length8};

/// `s_def_hash_version` and the version in a directory's index.
pub(crate) const HALF_MD4: u8 = 1;

const CHUNK: usize = 32;
const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
const ROUND_2: u32 = 0x5a82_7999;
const ROUND_3: u32 = 0x6ed9_eba1;
/// This value marks the end of a directory stream and is not given to names.
const END_OF_STREAM: u32 = 0xffff_fffe;

/// The hash of `name` that orders index blocks; its lowest bit is clear.
pub(crate) fn half_md4(name: &[u8], seed: &[u8; 16]) -> u32 {
    let mut state = start(seed);
    let mut rest = name;
    while !rest.is_empty() {
        transform(&mut state, &words(rest));
        rest = rest.get(CHUNK..).unwrap_or_default();
    }
    match state[1] & !1 {
        END_OF_STREAM => END_OF_STREAM - 2,
        hash => hash,
    }
}

fn start(seed: &[u8; 16]) -> [u32; 4] {
    if *seed == [0; 16] {
        return START;
    }
    let word = |at| get32(seed, at).unwrap_or_default();
    [word(0), word(4), word(8), word(12)]
}

/// Up to 32 bytes of `rest` as eight words, padded with its whole length.
fn words(rest: &[u8]) -> [u32; 8] {
    let length = u32::from(length8(rest.len()));
    let pad = length * 0x0101_0101;
    let mut words = [pad; 8];
    let taken = &rest[..rest.len().min(CHUNK)];
    for (word, bytes) in words.iter_mut().zip(taken.chunks(4)) {
        *word = bytes.iter().fold(pad, |sum, byte| {
            let signed = i32::from(byte.cast_signed()).cast_unsigned();
            (sum << 8).wrapping_add(signed)
        });
    }
    words
}

fn transform(state: &mut [u32; 4], input: &[u32; 8]) {
    const ORDER: [[usize; 8]; 3] = [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [1, 3, 5, 7, 0, 2, 4, 6],
        [3, 7, 2, 6, 1, 5, 0, 4],
    ];
    const SHIFTS: [[u32; 4]; 3] = [[3, 7, 11, 19], [3, 5, 9, 13], [3, 9, 11, 15]];
    let [mut a, mut b, mut c, mut d] = *state;
    for round in 0..3 {
        for step in 0..8 {
            let mixed = match round {
                0 => d ^ (b & (c ^ d)),
                1 => (b & c).wrapping_add((b ^ c) & d).wrapping_add(ROUND_2),
                _ => (b ^ c ^ d).wrapping_add(ROUND_3),
            };
            let sum = a
                .wrapping_add(mixed)
                .wrapping_add(input[ORDER[round][step]]);
            let turned = sum.rotate_left(SHIFTS[round][step % 4]);
            (a, b, c, d) = (d, turned, b, c);
        }
    }
    for (word, added) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(added);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // From `debugfs -R "dx_hash -h half_md4 -s SEED NAME"`, e2fsprogs 1.47.0.
    #[test]
    fn hashes_are_those_of_debugfs() {
        assert_eq!(half_md4(b"hello", &[0; 16]), GOLDEN[0]);
        assert_eq!(half_md4(&[b'x'; 100], &SEED), GOLDEN[1]);
        assert_eq!(half_md4("h\u{e9}llo".as_bytes(), &SEED), GOLDEN[2]);
    }

    const SEED: [u8; 16] = [
        0x4a, 0x72, 0x21, 0x35, 0x63, 0x7d, 0x44, 0x3b, 0xa1, 0xdf, 0xbb, 0x44, 0x96, 0x52, 0x49,
        0x4b,
    ];
    const GOLDEN: [u32; 3] = [0x1746_da32, 0xeec9_a970, 0x96aa_3b16];
}
