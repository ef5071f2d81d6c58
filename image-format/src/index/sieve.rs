//! Which chunks are surely not in a segment, told from memory.
//!
//! A Bloom filter in lines of 64 bytes: a chunk sets six bits of one line, so a
//! question costs one cache line, and a segment need not be touched for what it
//! does not hold. Chunk ids are hashes, so their own bytes choose line and bits.
//! At ten bits a chunk about one foreign chunk in a hundred passes.

use std::sync::Arc;

use crate::ids::ChunkId;

const BITS_A_CHUNK: u64 = 10;
/// Sixty-four bytes.
type Line = [u64; 8];
const LINE_BITS: u64 = 512;

#[derive(Clone)]
pub(super) struct Sieve {
    lines: Arc<[Line]>,
}

/// Being filled.
pub(super) struct Sifting {
    lines: Vec<Line>,
}

impl Sifting {
    pub(super) fn new(chunks: u32) -> Self {
        let lines = (u64::from(chunks) * BITS_A_CHUNK)
            .div_ceil(LINE_BITS)
            .max(1);
        // At most a twentieth of the rows, which are there in full length.
        let lines = usize::try_from(lines).unwrap_or(1);
        Self {
            lines: vec![[0; 8]; lines],
        }
    }

    pub(super) fn add(&mut self, id: &ChunkId) {
        let (line, bits) = place(id, self.lines.len());
        if let Some(line) = self.lines.get_mut(line) {
            line.iter_mut()
                .zip(bits)
                .for_each(|(word, bit)| *word |= bit);
        }
    }

    pub(super) fn finish(self) -> Sieve {
        Sieve {
            lines: self.lines.into(),
        }
    }
}

impl Sieve {
    /// Whether it may be there; `false` is sure.
    pub(super) fn may_hold(&self, id: &ChunkId) -> bool {
        let (line, bits) = place(id, self.lines.len());
        self.lines
            .get(line)
            .is_some_and(|line| line.iter().zip(bits).all(|(word, bit)| word & bit == bit))
    }
}

/// The line, and the bits set in each of its words: in six of the eight, one.
fn place(id: &ChunkId, lines: usize) -> (usize, Line) {
    let [.., a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *id.as_bytes();
    let line = u64::from_le_bytes([a, b, c, d, e, f, g, h]) % (lines.max(1) as u64);
    let bits = [i, j, k, l, m, n].map(|byte| 1_u64 << (byte & 63));
    let [one, two, three, four, five, six] = bits;
    // Which two words stay empty is chosen too, else all chunks would crowd six.
    let mut words = [one, two, three, four, five, six, 0, 0];
    words.rotate_left(usize::from(o & 7));
    if p & 1 == 1 {
        words.reverse();
    }
    (usize::try_from(line).unwrap_or(0), words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_passes_and_few_others_do() {
        let id = |number: u32| ChunkId::of(&number.to_le_bytes());
        let mut sifting = Sifting::new(20_000);
        (0..20_000).for_each(|number| sifting.add(&id(number)));
        let sieve = sifting.finish();
        assert!((0..20_000).all(|number| sieve.may_hold(&id(number))));
        let wrong = (20_000..120_000).filter(|number| sieve.may_hold(&id(*number)));
        assert!(wrong.count() < 2_500, "one in forty at most");
        assert!(!Sifting::new(0).finish().may_hold(&id(1)));
    }
}
