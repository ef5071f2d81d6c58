//! Where a volume's own structures go: groups, bitmaps, inode tables, copies.

use super::super::codec::group::LONG;
use super::super::codec::journal;
use super::shape::Shape;

/// Groups whose bitmaps and tables lie together, as `mke2fs` has it.
pub(super) const LOG_FLEX: u8 = 4;
/// A last group with less than this beyond its own structures is left away
/// (e2fsprogs `lib/ext2fs/initialize.c`).
const LEAST_LAST_GROUP: u64 = 50;
/// Fewer than this is room for the root and nothing else.
const SPARE_INODES: u64 = 16;

/// How generously a volume is equipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thrift {
    /// As `mke2fs` does.
    Usual,
    /// The smallest journal and hardly more inodes than needed.
    Frugal,
    /// And the groups that are not whole left away.
    WholeGroups,
}

/// Where a group's structures are, in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct GroupPlace {
    pub(super) block_bitmap: u64,
    pub(super) inode_bitmap: u64,
    pub(super) inode_table: u64,
}

/// A volume's skeleton.
#[derive(Debug, Clone)]
pub(super) struct Geometry {
    pub(super) blocks: u64,
    /// The first block of group 0.
    pub(super) first: u64,
    pub(super) per_group: u64,
    pub(super) inodes_per_group: u32,
    /// Blocks of an inode table.
    pub(super) table_blocks: u64,
    /// Blocks of the table of groups.
    pub(super) descriptor_blocks: u64,
    pub(super) journal_blocks: u64,
    pub(super) groups: Vec<GroupPlace>,
    /// What the skeleton itself takes: ascending, apart, (first, count).
    pub(super) taken: Vec<(u64, u64)>,
}

/// Whether a group carries copies of superblock and descriptors (`sparse_super`).
pub(in super::super) fn has_backup(group: u64) -> bool {
    let is_power_of = |base: u64| {
        let mut power = base;
        while power < group {
            power = power.saturating_mul(base);
        }
        power == group
    };
    group <= 1 || [3, 5, 7].into_iter().any(is_power_of)
}

impl Geometry {
    /// A skeleton for `size` bytes and at least `inodes` inodes; `None` when
    /// not even that fits.
    pub(super) fn new(shape: &Shape, size: u64, inodes: u32, thrift: Thrift) -> Option<Self> {
        let per_group = 8 * shape.block();
        let first = u64::from(shape.block_size == 1024);
        let mut blocks = size / shape.block();
        if thrift == Thrift::WholeGroups {
            blocks = first + blocks.checked_sub(first)? / per_group * per_group;
        }
        loop {
            let data = blocks.checked_sub(first).filter(|&data| data > 0)?;
            let groups = data.div_ceil(per_group);
            let inodes_per_group = inodes_per_group(shape, size, inodes, groups, thrift)?;
            let table_blocks =
                u64::from(inodes_per_group) * shape.inode_size as u64 / shape.block();
            let descriptor_blocks = (groups * LONG as u64).div_ceil(shape.block());
            let copy = if has_backup(groups - 1) {
                1 + descriptor_blocks
            } else {
                0
            };
            let over = data % per_group;
            if over > 0 && over < copy + 2 + table_blocks + LEAST_LAST_GROUP {
                blocks -= over;
                continue;
            }
            let journal_blocks = match thrift {
                Thrift::Usual => journal::usual_blocks(blocks),
                _ => journal::FEWEST_BLOCKS,
            };
            let mut geometry = Self {
                blocks,
                first,
                per_group,
                inodes_per_group,
                table_blocks,
                descriptor_blocks,
                journal_blocks,
                groups: vec![GroupPlace::default(); usize::try_from(groups).ok()?],
                taken: Vec::new(),
            };
            return geometry.place_all().then_some(geometry);
        }
    }

    /// First block of a group.
    pub(super) fn start_of(&self, group: u64) -> u64 {
        self.first + group * self.per_group
    }

    /// Groups with copies, group 0 included.
    pub(super) fn backups(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.groups.len() as u64).filter(|&group| has_backup(group))
    }

    /// Blocks that are left for files, directories and the journal.
    pub(super) fn free(&self) -> u64 {
        let taken: u64 = self.taken.iter().map(|(_, count)| count).sum();
        self.blocks - self.first - taken
    }

    /// What lies between the skeleton's blocks, ascending.
    pub(super) fn gaps(&self) -> Vec<(u64, u64)> {
        let mut gaps = Vec::with_capacity(self.taken.len() + 1);
        let mut at = self.first;
        for &(start, count) in self.taken.iter().chain([&(self.blocks, 0)]) {
            if start > at {
                gaps.push((at, start - at));
            }
            at = start + count;
        }
        gaps
    }

    fn place_all(&mut self) -> bool {
        let copy = 1 + self.descriptor_blocks;
        let copies: Vec<(u64, u64)> = self
            .backups()
            .map(|group| (self.start_of(group), copy))
            .collect();
        let fits = copies
            .last()
            .is_some_and(|&(start, count)| start + count <= self.blocks);
        if copy >= self.per_group || !fits {
            return false;
        }
        let mut taken = copies.clone();
        let groups_together = 1_usize << LOG_FLEX;
        for flex in 0..self.groups.len().div_ceil(groups_together) {
            let from = flex * groups_together;
            let until = self.groups.len().min(from + groups_together);
            let mut at = self.start_of(from as u64);
            let mut next = |count: u64| {
                at = behind_copies(&copies, at, count);
                taken.push((at, count));
                at += count;
                at - count
            };
            let members = &mut self.groups[from..until];
            members
                .iter_mut()
                .for_each(|group| group.block_bitmap = next(1));
            members
                .iter_mut()
                .for_each(|group| group.inode_bitmap = next(1));
            let table = self.table_blocks;
            members
                .iter_mut()
                .for_each(|group| group.inode_table = next(table));
            let end = if until == self.groups.len() {
                self.blocks
            } else {
                self.first + until as u64 * self.per_group
            };
            if at > end {
                return false;
            }
        }
        self.taken = joined(taken);
        true
    }
}

/// The first place from `at` where `count` blocks do not meet a copy.
fn behind_copies(copies: &[(u64, u64)], mut at: u64, count: u64) -> u64 {
    let from = copies.partition_point(|&(start, length)| start + length <= at);
    for &(start, length) in &copies[from..] {
        if at + count <= start {
            break;
        }
        at = start + length;
    }
    at
}

fn joined(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (start, count) in ranges {
        match joined.last_mut() {
            Some((last, length)) if *last + *length == start => *length += count,
            _ => joined.push((start, count)),
        }
    }
    joined
}

/// Inodes of a group: whole blocks of them, a multiple of eight, and no more
/// than a block of bits can count.
fn inodes_per_group(
    shape: &Shape,
    size: u64,
    inodes: u32,
    groups: u64,
    thrift: Thrift,
) -> Option<u32> {
    let needed = u64::from(inodes) + SPARE_INODES;
    let wished = match thrift {
        Thrift::Usual => needed.max(size / bytes_an_inode(size)),
        _ => needed,
    };
    let a_block = (shape.block_size / shape.inode_size) as u64;
    let per_group = wished.div_ceil(groups).next_multiple_of(a_block.max(8));
    if per_group > 8 * shape.block() || per_group * groups > u64::from(u32::MAX) {
        return None;
    }
    u32::try_from(per_group).ok()
}

/// `inode_ratio` of `mke2fs.conf` by the size of the volume.
fn bytes_an_inode(size: u64) -> u64 {
    const MIB: u64 = 1 << 20;
    match size / MIB {
        0..3 => 8192,
        3..512 => 4096,
        512..4_194_304 => 16_384,
        4_194_304..16_777_216 => 32_768,
        _ => 65_536,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_where_sparse_super_has_them() {
        let groups: Vec<u64> = (0..130).filter(|&group| has_backup(group)).collect();
        assert_eq!(groups, [0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125]);
    }

    #[test]
    fn tables_step_behind_copies() {
        let copies = [(0, 2), (10, 2), (20, 2)];
        assert_eq!(behind_copies(&copies, 0, 5), 2);
        assert_eq!(behind_copies(&copies, 7, 4), 12);
        assert_eq!(behind_copies(&copies, 13, 100), 22);
    }
}
