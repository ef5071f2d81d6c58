//! Which chunks resemble each other, so that they can stand side by side.
//!
//! Two programs built from one source, or one library for two programs, share
//! long stretches, but neither at the same places nor in equal chunks. A sketch
//! tells: of the hashes of many short stretches it keeps the least, in eight
//! classes; the more two chunks have in common, the more of their least hashes
//! agree (min-wise sampling: Broder, 1997). One agreement of 64 bits is enough.

const FEATURES: usize = 8;
/// Shorter chunks have too few stretches to tell.
const LEAST: usize = 16 << 10;
/// One stretch in 64 is looked at: those whose rolling hash begins with so many zeros.
const SAMPLED_BITS: u32 = 6;

/// The least hash of each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sketch([u64; FEATURES]);

impl Sketch {
    /// `None` for what is too short.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < LEAST {
            return None;
        }
        let mut least = [u64::MAX; FEATURES];
        // Each byte leaves it after 64 more: a hash of the last 64.
        let mut rolling = 0_u64;
        for &byte in bytes {
            rolling = (rolling << 1).wrapping_add(GEAR[usize::from(byte)]);
            if rolling >> (u64::BITS - SAMPLED_BITS) == 0 {
                let hash = mixed(rolling);
                let [class, ..] = hash.to_le_bytes();
                let least = &mut least[usize::from(class) % FEATURES];
                *least = hash.min(*least);
            }
        }
        Some(Self(least))
    }

    /// Hashes that were found, with their class.
    pub(super) fn features(&self) -> impl Iterator<Item = u64> {
        self.0.into_iter().filter(|least| *least != u64::MAX)
    }
}

/// The finalizer of `splitmix64`.
pub(super) const fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A number for each byte, with no order in them.
const GEAR: [u64; 256] = {
    let mut gear = [0; 256];
    let mut byte = 0;
    while byte < gear.len() {
        gear[byte] = mixed((byte as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        byte += 1;
    }
    gear
};
