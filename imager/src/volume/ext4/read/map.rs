//! Where a file's blocks are: extent trees and the block maps before them.

use crate::volume::{Run, VolumeError};

use super::super::codec::checksum::inode_seed;
use super::super::codec::extent::{self, Extent, Node};
use super::super::codec::fields::get32;
use super::super::codec::inode::{FLAG_EXTENTS, Inode};
use super::super::fault::damaged;
use super::blocks::Ext4;

const DIRECT_BLOCKS: usize = 12;
/// Levels of the three indirect pointers of an old map.
const INDIRECTIONS: [(usize, u32); 3] = [(48, 1), (52, 2), (56, 3)];

/// A walk through one map, bounded by what the volume can hold.
struct Walk<'a, 'disk> {
    volume: &'a Ext4<'disk>,
    seed: u32,
    /// Map blocks that may still be read: no more than the volume has.
    budget: u64,
    extents: Vec<Extent>,
}

impl Ext4<'_> {
    /// The written stretches of `inode` below its size, ascending.
    pub(super) fn runs(&self, number: u32, inode: &Inode) -> Result<Vec<Run>, VolumeError> {
        let seed = inode_seed(self.seed, number, inode.generation);
        let mut walk = Walk {
            volume: self,
            seed,
            budget: self.superblock.blocks,
            extents: Vec::new(),
        };
        if inode.flags & FLAG_EXTENTS == 0 {
            walk.block_map(&inode.map)?;
        } else {
            walk.tree(&inode.map, None)?;
        }
        self.joined(&walk.extents, inode.size)
    }

    fn joined(&self, extents: &[Extent], size: u64) -> Result<Vec<Run>, VolumeError> {
        let mut runs: Vec<Run> = Vec::new();
        let mut next_logical = 0;
        for extent in extents {
            let logical = u64::from(extent.logical);
            let end = extent.physical.checked_add(extent.blocks.into());
            let inside = end.is_some_and(|end| end <= self.superblock.blocks);
            let somewhere = extent.physical > 0 && extent.blocks > 0;
            if !inside || !somewhere || logical < next_logical {
                let expected = "ascending extents within the volume, none empty";
                return Err(damaged("extent", 0, expected, format!("{extent:?}")));
            }
            next_logical = logical + u64::from(extent.blocks);
            if !extent.written || logical * self.block_size >= size {
                continue;
            }
            let run = Run {
                logical: logical * self.block_size,
                physical: extent.physical * self.block_size,
                length: u64::from(extent.blocks) * self.block_size,
            };
            match runs.last_mut() {
                Some(last)
                    if last.logical + last.length == run.logical
                        && last.physical + last.length == run.physical =>
                {
                    last.length += run.length;
                }
                _ => runs.push(run),
            }
        }
        if let Some(last) = runs.last_mut() {
            let whole = size.next_multiple_of(self.block_size);
            last.length = last.length.min(whole - last.logical);
        }
        Ok(runs)
    }
}

impl Walk<'_, '_> {
    fn spend(&mut self, block: u64) -> Result<(), VolumeError> {
        let left = self.budget.checked_sub(1);
        self.budget = left.ok_or_else(|| {
            damaged(
                "file map",
                block * self.volume.block_size,
                "a tree",
                "a circle",
            )
        })?;
        Ok(())
    }

    /// Recursion ends with the depth, which goes down by one and starts below six.
    fn tree(&mut self, bytes: &[u8], expected: Option<u16>) -> Result<(), VolumeError> {
        let wrong = |found: &str| damaged("extent tree node", 0, "a sound node", found);
        match Node::decode(bytes).ok_or_else(|| wrong("another header"))? {
            Node::Leaf(extents) if expected.unwrap_or(0) == 0 => self.extents.extend(extents),
            Node::Inner { depth, pointers } if expected.unwrap_or(depth) == depth => {
                for pointer in pointers {
                    self.spend(pointer.block)?;
                    let block = self.volume.block("extent tree node", pointer.block)?;
                    if self.volume.superblock.has_checksums()
                        && !extent::is_sealed(&block, self.seed)
                    {
                        return Err(wrong("another checksum"));
                    }
                    self.tree(&block, Some(depth - 1))?;
                }
            }
            _ => return Err(wrong("another depth")),
        }
        Ok(())
    }

    fn block_map(&mut self, map: &[u8; 60]) -> Result<(), VolumeError> {
        for slot in 0..DIRECT_BLOCKS {
            let block = get32(map, slot * 4).unwrap_or(0);
            self.push_block(slot as u64, block)?;
        }
        let mut logical = DIRECT_BLOCKS as u64;
        for (at, levels) in INDIRECTIONS {
            let block = get32(map, at).unwrap_or(0);
            self.indirect(block, levels, logical)?;
            logical += self.span(levels);
        }
        Ok(())
    }

    /// Blocks of a file below a pointer of so many levels.
    fn span(&self, levels: u32) -> u64 {
        (self.volume.block_size / 4).saturating_pow(levels)
    }

    fn indirect(&mut self, block: u32, levels: u32, logical: u64) -> Result<(), VolumeError> {
        if block == 0 {
            return Ok(());
        }
        if levels == 0 {
            return self.push_block(logical, block);
        }
        self.spend(block.into())?;
        let bytes = self.volume.block("block map", block.into())?;
        let span = self.span(levels - 1);
        for (slot, pointer) in (0..).zip(bytes.chunks_exact(4)) {
            let pointer = get32(pointer, 0).unwrap_or(0);
            self.indirect(pointer, levels - 1, logical.saturating_add(slot * span))?;
        }
        Ok(())
    }

    fn push_block(&mut self, logical: u64, block: u32) -> Result<(), VolumeError> {
        if block == 0 {
            return Ok(());
        }
        let too_far = |_| damaged("block map", 0, "less than 2^32 blocks", logical);
        let logical = u32::try_from(logical).map_err(too_far)?;
        let physical = u64::from(block);
        match self.extents.last_mut() {
            Some(last)
                if u64::from(last.logical) + u64::from(last.blocks) == u64::from(logical)
                    && last.physical + u64::from(last.blocks) == physical =>
            {
                last.blocks += 1;
            }
            _ => self.extents.push(Extent {
                logical,
                physical,
                blocks: 1,
                written: true,
            }),
        }
        Ok(())
    }
}
