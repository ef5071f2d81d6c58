//! Which pieces of a foreign volume hold data, as its own allocation bitmap
//! says: the rest need not be read, and is a hole in the image.

/// Pieces are kept or left out in this unit, so that they dedup between images.
pub(crate) const PIECE: u64 = 64 * 1024;

/// One bit for each piece of [`PIECE`] bytes; a piece with one used cluster
/// counts as used, so that pieces of two images of one base are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    bits: Vec<u64>,
    size: u64,
}

impl Used {
    /// Nothing used in a volume of `size` bytes, as long as the medium has:
    /// 2 MiB of memory for each TiB.
    pub fn nothing(size: u64) -> Self {
        let words = size.div_ceil(PIECE).div_ceil(64);
        Self {
            bits: vec![0; usize::try_from(words).unwrap_or(0)],
            size,
        }
    }

    /// Marks every piece that `length` bytes at `offset` touch; what is past
    /// the end of the volume is ignored.
    pub fn mark(&mut self, offset: u64, length: u64) {
        let end = offset.saturating_add(length).min(self.size);
        if offset >= end {
            return;
        }
        for piece in offset / PIECE..=(end - 1) / PIECE {
            let word = usize::try_from(piece / 64).ok();
            if let Some(word) = word.and_then(|word| self.bits.get_mut(word)) {
                *word |= 1 << (piece % 64);
            }
        }
    }

    /// Whether any piece that `length` bytes at `offset` touch is used.
    pub fn touches(&self, offset: u64, length: u64) -> bool {
        let last = offset.saturating_add(length.max(1)) - 1;
        (offset / PIECE..=last / PIECE).any(|piece| self.has(piece))
    }

    fn has(&self, piece: u64) -> bool {
        let word = usize::try_from(piece / 64).ok();
        word.and_then(|word| self.bits.get(word))
            .is_some_and(|word| word >> (piece % 64) & 1 == 1)
    }

    /// Marks the clusters whose bits are set in `bitmap`, the lowest bit of
    /// the first byte being cluster `first`, which lies at `start`.
    pub fn mark_clusters(&mut self, bitmap: &[u8], first: u64, clusters: Clusters) {
        for (index, byte) in (0_u64..).zip(bitmap) {
            let at = first.saturating_add(index * 8);
            match byte {
                0 => {}
                0xff => self.mark_cluster(at, 8, clusters),
                _ => (0..8)
                    .filter(|bit| byte >> bit & 1 == 1)
                    .for_each(|bit| self.mark_cluster(at + bit, 1, clusters)),
            }
        }
    }

    fn mark_cluster(&mut self, cluster: u64, count: u64, clusters: Clusters) {
        let count = count.min(clusters.count.saturating_sub(cluster));
        let offset = cluster
            .saturating_mul(clusters.size)
            .saturating_add(clusters.start);
        self.mark(offset, count.saturating_mul(clusters.size));
    }
}

/// Where the clusters of a volume lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clusters {
    /// Byte of the volume where cluster 0 begins.
    pub start: u64,
    /// Bytes of one.
    pub size: u64,
    /// How many there are.
    pub count: u64,
}

/// What a foreign volume says of its free room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allocation {
    /// The pieces in use.
    Known(Used),
    /// It cannot be told, and why: everything that is not zero is in use.
    Unknown(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_used_when_one_of_its_clusters_is() {
        let size = 100 * PIECE + 5;
        let clusters = Clusters {
            start: 512,
            size: 4096,
            count: size / 4096,
        };
        let mut used = Used::nothing(size);
        used.mark_clusters(&[0b1000_0000, 0, 0xff], 0, clusters);
        assert!(used.touches(0, 1) && used.touches(PIECE, 1));
        assert!(!used.touches(2 * PIECE, 98 * PIECE));
        used.mark_clusters(&[1], clusters.count - 1, clusters);
        assert!(used.touches(99 * PIECE, PIECE));
        let before = used.clone();
        used.mark_clusters(&[0xff; 4], clusters.count, clusters);
        used.mark(u64::MAX, 3);
        used.mark(size, 1);
        assert_eq!(used, before);
    }
}
