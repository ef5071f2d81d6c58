//! Inputs made from those of a corpus, the same for the same seed everywhere.

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, 0 when there is none.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap()
    }
}

/// Numbers that lie at the edges of what fields hold.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// One change: a bit, a byte, a number, a cut, a repetition or another input's piece.
fn mutate(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(input.len());
    match random.below(8) {
        0 | 1 => {
            let bit = random.below(8);
            input
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte ^= 1 << bit);
        }
        2 => {
            let value = random.next().to_le_bytes()[0];
            input
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte = value);
        }
        3 | 4 => {
            let edge = EDGES[random.below(EDGES.len())];
            let (little, big) = (edge.to_le_bytes(), edge.to_be_bytes());
            let width = 1 << random.below(4);
            let bytes = if random.below(2) == 0 {
                &little[..width]
            } else {
                &big[8 - width..]
            };
            input
                .iter_mut()
                .skip(at)
                .zip(bytes)
                .for_each(|(byte, edge)| *byte = *edge);
        }
        5 => input.truncate(at),
        6 => {
            let end = (at + 1 + random.below(64)).min(input.len());
            let piece = input.get(at..end).unwrap_or_default().to_vec();
            input.splice(at..at, piece);
        }
        _ => {
            let from = random.below(other.len());
            let length = 1 + random.below(256);
            let piece = other.iter().skip(from).take(length).copied();
            let over = if random.below(2) == 0 {
                at..at
            } else {
                at..(at + length).min(input.len())
            };
            input.splice(over, piece);
        }
    }
}

/// The input of this number: one of `inputs` with one to four changes.
pub(super) fn mutated(inputs: &[(String, Vec<u8>)], seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut input = inputs[random.below(inputs.len())].1.clone();
    for _ in 0..=random.below(4) {
        let other = &inputs[random.below(inputs.len())].1;
        mutate(&mut input, other, &mut random);
    }
    input
}
