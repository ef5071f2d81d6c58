//! Distances in code of x86 and x86-64: four bytes, little-endian.
//!
//! Turned are CALL (E8) and JMP (E9), and what compilers of 64-bit code write
//! for globals: MOV and LEA relative to the instruction (48..4F, then 89, 8B or
//! 8D, then a ModRM byte of xx-xxx-101 with the mode bits 00).
//!
//! Only distances below 16 MiB are turned (top byte 00 or FF): in code nearly
//! all are, in data hardly any bytes look so. A distance of 25 bits with its
//! sign becomes its target modulo 2^25, written with the sign extended, so the
//! top byte is 00 or FF again. Hence whether bytes are turned can be seen
//! before and after, and as `apply` goes from the last byte to the first and
//! `undo` from the first to the last, each step of `undo` finds exactly what
//! the step of `apply` left, also where candidates overlap.

/// The last byte before a distance, and the distance.
const LENGTH: usize = 5;
/// 24 bits and the sign.
const MASK: u32 = (1 << 25) - 1;
/// So many bytes are looked at together.
const GROUP: usize = 16;

pub(super) fn apply(bytes: &mut [u8]) {
    let mut end = bytes.len().saturating_sub(LENGTH - 1);
    while let Some(last) = end.checked_sub(1) {
        // Nothing after the hit is turned, so what was looked at is still so.
        let first = end.saturating_sub(GROUP);
        match window(bytes, first).map(hits) {
            Some(0) => {
                end = first;
                continue;
            }
            Some(hits) => end = first + last_of(hits),
            None => end = last,
        }
        turn(bytes, end, u32::wrapping_add);
    }
}

pub(super) fn undo(bytes: &mut [u8]) {
    let last = bytes.len().saturating_sub(LENGTH - 1);
    let mut at = 0;
    while at < last {
        // Nothing before the hit is turned, so what was looked at is still so.
        match window(bytes, at).map(hits) {
            Some(0) => {
                at += GROUP;
                continue;
            }
            Some(hits) => at += first_of(hits),
            None => {}
        }
        turn(bytes, at, u32::wrapping_sub);
        at += 1;
    }
}

/// What [`hits`] looks at for the places from `at` on; not at either end.
fn window(bytes: &[u8], at: usize) -> Option<&[u8; GROUP + LENGTH + 1]> {
    bytes.get(at.checked_sub(2)?..)?.first_chunk()
}

/// Which of [`GROUP`] places, from the third byte on, [`turn`] does something
/// at, a byte of the answer each. All are looked at together: the compiler
/// makes vectors of it.
fn hits(window: &[u8; GROUP + LENGTH + 1]) -> u128 {
    let mut hits = [0_u8; GROUP];
    for (at, hit) in hits.iter_mut().enumerate() {
        let (prefix, opcode, byte, top) =
            (window[at], window[at + 1], window[at + 2], window[at + 6]);
        let moves = (opcode == 0x89) | (opcode == 0x8b) | (opcode == 0x8d);
        let is_relative = (byte & 0xc7 == 0x05) & moves & (prefix & 0xf8 == 0x48);
        let is_near = (top == 0) | (top == 0xff);
        *hit = u8::from((is_branch(byte) | is_relative) & is_near);
    }
    u128::from_le_bytes(hits)
}

fn first_of(hits: u128) -> usize {
    (hits.trailing_zeros() / 8) as usize
}

fn last_of(hits: u128) -> usize {
    GROUP - 1 - (hits.leading_zeros() / 8) as usize
}

fn is_branch(byte: u8) -> bool {
    byte & 0xfe == 0xe8
}

/// Whether the bytes up to `at` say that a distance follows.
fn announces(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(2).and_then(|start| bytes.get(start..=at));
    match (before, bytes.get(at)) {
        (_, Some(byte)) if is_branch(*byte) => true,
        (Some([prefix, opcode, byte]), _) => {
            let moves = matches!(opcode, 0x89 | 0x8b | 0x8d);
            prefix & 0xf8 == 0x48 && moves && byte & 0xc7 == 0x05
        }
        _ => false,
    }
}

fn turn(bytes: &mut [u8], at: usize, step: fn(u32, u32) -> u32) {
    if !announces(bytes, at) {
        return;
    }
    let Some([_, low, middle, high, top]) = bytes.get_mut(at..at + LENGTH) else {
        return;
    };
    if *top != 0 && *top != 0xff {
        return;
    }
    let distance = u32::from_le_bytes([*low, *middle, *high, *top & 1]);
    // A block is below 2^25 bytes long.
    let place = u32::try_from(at).unwrap_or_default();
    let sign;
    [*low, *middle, *high, sign] = (step(distance, place) & MASK).to_le_bytes();
    *top = 0_u8.wrapping_sub(sign);
}
