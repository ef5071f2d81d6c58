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
    while let Some(at) = bytes.get(..end).and_then(last_candidate) {
        turn(bytes, at, u32::wrapping_add);
        end = at;
    }
}

pub(super) fn undo(bytes: &mut [u8]) {
    let last = bytes.len().saturating_sub(LENGTH - 1);
    let mut at = 0;
    while at < last {
        // Nothing before the hit is turned, so what was looked at is still so.
        match window(bytes, at).map(first_hit) {
            Some(None) => {
                at += GROUP;
                continue;
            }
            Some(Some(hit)) => at += hit,
            None => {}
        }
        turn(bytes, at, u32::wrapping_sub);
        at += 1;
    }
}

/// What [`first_hit`] looks at for the places from `at` on; not at either end.
fn window(bytes: &[u8], at: usize) -> Option<&[u8; GROUP + LENGTH + 1]> {
    bytes.get(at.checked_sub(2)?..)?.first_chunk()
}

/// The first of [`GROUP`] places, from the third byte on, where [`turn`] does
/// something. All are looked at together: the compiler makes vectors of it.
fn first_hit(window: &[u8; GROUP + LENGTH + 1]) -> Option<usize> {
    let mut hits = [0_u8; GROUP];
    for (at, hit) in hits.iter_mut().enumerate() {
        let (prefix, opcode, byte, top) =
            (window[at], window[at + 1], window[at + 2], window[at + 6]);
        let moves = (opcode == 0x89) | (opcode == 0x8b) | (opcode == 0x8d);
        let is_relative = (byte & 0xc7 == 0x05) & moves & (prefix & 0xf8 == 0x48);
        let is_near = (top == 0) | (top == 0xff);
        *hit = u8::from((is_branch(byte) | is_relative) & is_near);
    }
    let hits = u128::from_le_bytes(hits);
    (hits != 0).then_some((hits.trailing_zeros() / 8) as usize)
}

fn is_branch(byte: u8) -> bool {
    byte & 0xfe == 0xe8
}

fn is_candidate(byte: u8) -> bool {
    is_branch(byte) | (byte & 0xc7 == 0x05)
}

/// Groups first, which the compiler turns into vectors: most have no candidate.
fn last_candidate(bytes: &[u8]) -> Option<usize> {
    let mut end = bytes.len();
    for group in bytes.rchunks_exact(GROUP) {
        if any_candidate(group) {
            break;
        }
        end -= GROUP;
    }
    let rest = bytes.get(..end)?;
    rest.iter().rposition(|byte| is_candidate(*byte))
}

fn any_candidate(group: &[u8]) -> bool {
    group
        .iter()
        .fold(false, |any, byte| any | is_candidate(*byte))
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
