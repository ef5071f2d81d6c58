use proptest::prelude::*;

use super::*;

const ALL: [Filter; 6] = [
    Filter::None,
    Filter::X86,
    Filter::Arm64 { start: 0 },
    Filter::Arm64 { start: 1 },
    Filter::Arm64 { start: 2 },
    Filter::Arm64 { start: 3 },
];

fn there_and_back(bytes: &[u8]) {
    for filter in ALL {
        let mut turned = bytes.to_vec();
        filter.apply(&mut turned);
        filter.undo(&mut turned);
        assert_eq!(turned, bytes, "{filter:?} apply, undo");
        filter.undo(&mut turned);
        filter.apply(&mut turned);
        assert_eq!(turned, bytes, "{filter:?} undo, apply");
    }
}

/// Bytes of which nearly every one begins or ends something to turn.
fn dense() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        Just(0xe8),
        Just(0xe9),
        Just(0x00),
        Just(0xff),
        Just(0x90),
        Just(0x94),
        Just(0x48),
        Just(0x8b),
        Just(0x05),
        any::<u8>()
    ];
    proptest::collection::vec(byte, 0..300)
}

/// The x86 filter as the format describes it, one place after another.
fn x86_plainly(bytes: &mut [u8]) {
    for at in (0..bytes.len().saturating_sub(4)).rev() {
        let is_branch = matches!(bytes[at], 0xe8 | 0xe9);
        let is_move = at >= 2
            && matches!(bytes[at - 2], 0x48..=0x4f)
            && matches!(bytes[at - 1], 0x89 | 0x8b | 0x8d)
            && bytes[at] & 0xc7 == 5;
        if (is_branch || is_move) && matches!(bytes[at + 4], 0 | 0xff) {
            let distance = i32::from_le_bytes(bytes[at + 1..at + 5].try_into().unwrap());
            let target = distance.wrapping_add(i32::try_from(at).unwrap());
            // 25 bits, the sign extended.
            let turned = (target << 7) >> 7;
            bytes[at + 1..at + 5].copy_from_slice(&turned.to_le_bytes());
        }
    }
}

proptest! {
    #[test]
    fn many_places_at_once_are_as_one_after_another(bytes in dense()) {
        let (mut turned, mut expected) = (bytes.clone(), bytes);
        Filter::X86.apply(&mut turned);
        x86_plainly(&mut expected);
        prop_assert_eq!(turned, expected);
    }

    #[test]
    fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        there_and_back(&bytes);
    }

    #[test]
    fn bytes_full_of_branches_come_back(bytes in dense()) {
        there_and_back(&bytes);
    }
}

#[test]
fn long_runs_of_branches_come_back() {
    for pattern in [
        &[0xe8][..],
        &[0xe9, 0xff],
        &[0xe8, 0],
        &[0xff],
        &[0, 0, 0, 0x90],
        &[0xff; 4],
    ] {
        there_and_back(&pattern.repeat(100_000));
    }
}

#[test]
fn two_calls_of_one_function_become_equal() {
    let mut code = vec![0x55; 1000];
    for at in [100_u32, 700, 903] {
        let at_byte = at as usize;
        code[at_byte] = 0xe8;
        // The target is byte 500, counted from the end of the instruction.
        let distance = 500_u32.wrapping_sub(at + 5);
        code[at_byte + 1..at_byte + 5].copy_from_slice(&distance.to_le_bytes());
    }
    Filter::X86.apply(&mut code);
    assert_eq!(code[100..105], code[700..705]);
    assert_eq!(code[100..105], code[903..908]);
}

#[test]
fn two_arm_calls_become_equal_wherever_their_words_begin() {
    for start in 0..4_usize {
        let mut code = vec![0; 4003];
        for at in [10_u32, 800] {
            let distance = 300_u32.wrapping_sub(at) & 0x03ff_ffff;
            let word = 0x9400_0000 | distance;
            let place = start + at as usize * 4;
            code[place..place + 4].copy_from_slice(&word.to_le_bytes());
        }
        let filter = Filter::arm64(&code);
        assert_eq!(
            filter,
            Filter::Arm64 {
                start: u8::try_from(start).unwrap()
            }
        );
        filter.apply(&mut code);
        let word = |at: usize| code[start + at * 4..][..4].to_vec();
        assert_eq!(word(10), word(800));
    }
}

#[test]
fn two_arm_pages_become_equal() {
    let mut code = vec![0; 4096 * 4];
    for page in [0_usize, 3] {
        let pages = u32::try_from(2 + 4 - page).unwrap();
        let word = 0x9000_0000 | (pages & 3) << 29 | (pages >> 2) << 5 | 7;
        code[page * 4096..page * 4096 + 4].copy_from_slice(&word.to_le_bytes());
    }
    Filter::Arm64 { start: 0 }.apply(&mut code);
    assert_eq!(code[..4], code[3 * 4096..3 * 4096 + 4]);
}
