//! Free blocks, handed out from the front, and the bitmaps that say so.

use super::geometry::Geometry;

/// Hands out blocks in ascending order.
pub(super) struct Space {
    gaps: std::vec::IntoIter<(u64, u64)>,
    current: (u64, u64),
    end: u64,
    /// Blocks handed out.
    pub(super) given: u64,
    /// Blocks asked for that were not there.
    pub(super) missing: u64,
}

impl Space {
    /// The free blocks of `geometry`.
    pub(super) fn of(geometry: &Geometry) -> Self {
        Self::over(geometry.gaps(), geometry.blocks)
    }

    /// Room without end or gap: to see what a tree needs at the least.
    pub(super) fn endless() -> Self {
        const END: u64 = 1 << 62;
        Self::over(vec![(0, END)], END)
    }

    fn over(gaps: Vec<(u64, u64)>, end: u64) -> Self {
        let mut gaps = gaps.into_iter();
        let current = gaps.next().unwrap_or((end, 0));
        Self {
            gaps,
            current,
            end,
            given: 0,
            missing: 0,
        }
    }

    /// `count` blocks as (first, count) pieces, fewer when there are no more.
    pub(super) fn take(&mut self, mut count: u64) -> Vec<(u64, u64)> {
        let mut pieces = Vec::new();
        while count > 0 {
            let (start, left) = self.current;
            if left == 0 {
                match self.gaps.next() {
                    Some(gap) => self.current = gap,
                    None => {
                        self.current = (self.end, 0);
                        self.missing += count;
                        break;
                    }
                }
                continue;
            }
            let taken = left.min(count);
            pieces.push((start, taken));
            self.current = (start + taken, left - taken);
            self.given += taken;
            count -= taken;
        }
        pieces
    }

    /// Everything below this block is in use.
    pub(super) fn frontier(&self) -> u64 {
        self.current.0
    }
}

/// Which blocks are in use: those below the frontier and the skeleton's.
pub(super) struct Usage {
    geometry: Geometry,
    frontier: u64,
}

impl Usage {
    pub(super) fn new(geometry: &Geometry, frontier: u64) -> Self {
        Self {
            geometry: geometry.clone(),
            frontier,
        }
    }

    /// The bitmap of a group, a whole block; what lies behind the volume's end
    /// counts as used.
    pub(super) fn bitmap(&self, group: u64) -> Vec<u8> {
        let geometry = &self.geometry;
        let start = geometry.start_of(group);
        let end = (start + geometry.per_group).min(geometry.blocks);
        let mut bits = Bits::new(geometry.per_group);
        let mut mark = |from: u64, until: u64| {
            bits.set(
                from.clamp(start, end) - start,
                until.clamp(start, end) - start,
            );
        };
        mark(start, self.frontier);
        let taken = &geometry.taken;
        let from = taken.partition_point(|&(first, count)| first + count <= start);
        taken[from..]
            .iter()
            .take_while(|(first, _)| *first < end)
            .for_each(|&(first, count)| mark(first, first + count));
        bits.set(end - start, geometry.per_group);
        bits.into_bytes()
    }
}

/// A bitmap in the making.
pub(super) struct Bits(Vec<u8>);

impl Bits {
    /// `count` clear bits, a multiple of eight.
    pub(super) fn new(count: u64) -> Self {
        Self(vec![0; usize::try_from(count / 8).unwrap_or(0)])
    }

    /// Sets the bits from `from` up to `until`, which are within the map.
    pub(super) fn set(&mut self, from: u64, until: u64) {
        let mut at = from;
        while at < until {
            let Some(byte) = usize::try_from(at / 8)
                .ok()
                .and_then(|at| self.0.get_mut(at))
            else {
                return;
            };
            if at.is_multiple_of(8) && until - at >= 8 {
                *byte = 0xff;
                at += 8;
            } else {
                *byte |= 1 << (at % 8);
                at += 1;
            }
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_given_in_order_and_what_is_missing_is_counted() {
        let mut space = Space::over(vec![(2, 3), (10, 2)], 12);
        assert_eq!(space.take(2), [(2, 2)]);
        assert_eq!(space.frontier(), 4);
        assert_eq!(space.take(2), [(4, 1), (10, 1)]);
        assert_eq!(space.take(5), [(11, 1)]);
        assert_eq!((space.given, space.missing, space.frontier()), (5, 4, 12));
    }

    #[test]
    fn bits_are_set_from_the_lowest() {
        let mut bits = Bits::new(32);
        bits.set(3, 18);
        assert_eq!(bits.into_bytes(), [0xf8, 0xff, 0x03, 0]);
    }
}
