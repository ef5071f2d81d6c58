//! What waits for blocks: files, and which part of a block goes where in them.

use std::collections::HashMap;

use image_format::entry::{Entry, Timestamp, Xattr};
use image_format::ids::{BlockId, ChunkId};
use image_format::store::BlockPlace;

use super::folders::FolderId;

/// What many entries have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Temper {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) flags: u32,
    pub(crate) xattrs: Vec<Xattr>,
}

impl Temper {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self {
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            flags: entry.flags,
            xattrs: entry.xattrs.clone(),
        }
    }
}

/// A file or folder that is finished later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileRow {
    pub(crate) folder: FolderId,
    /// Its name, in the folders' names.
    pub(crate) name: u32,
    /// Which [`Temper`].
    pub(crate) temper: u32,
    pub(crate) modified: Timestamp,
    pub(crate) accessed: Timestamp,
    pub(crate) size: u64,
    /// How many deposits it waits for.
    pub(crate) parts: u32,
    /// Its size must be set: it has holes.
    pub(crate) holes: bool,
    /// It lies there already and only parts of it are written.
    pub(crate) exists: bool,
}

/// A chunk of a block that goes to a place in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deposit {
    /// Row of the block.
    pub(crate) block: u32,
    /// First byte in the expanded block.
    pub(crate) from: u32,
    /// Bytes.
    pub(crate) length: u32,
    /// Row of the file.
    pub(crate) file: u32,
    /// First byte in the file.
    pub(crate) at: u64,
    /// What the bytes hash to.
    pub(crate) chunk: ChunkId,
}

/// A block and its deposits: a range of all deposits once they are sorted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockRow {
    pub(crate) place: BlockPlace,
    pub(crate) first: usize,
    pub(crate) end: usize,
}

/// All that waits for blocks.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) files: Vec<FileRow>,
    pub(crate) deposits: Vec<Deposit>,
    pub(crate) blocks: Vec<BlockRow>,
    by_block: HashMap<BlockId, u32>,
    pub(crate) tempers: Vec<Temper>,
    by_temper: HashMap<Temper, u32>,
}

impl Rows {
    /// The row of a temper; `None` when there are four billion.
    pub(crate) fn temper(&mut self, temper: Temper) -> Option<u32> {
        if let Some(row) = self.by_temper.get(&temper) {
            return Some(*row);
        }
        let row = u32::try_from(self.tempers.len()).ok()?;
        self.tempers.push(temper.clone());
        self.by_temper.insert(temper, row);
        Some(row)
    }

    /// The row of a block.
    pub(crate) fn block(&mut self, place: &BlockPlace) -> Option<u32> {
        if let Some(row) = self.by_block.get(&place.block) {
            return Some(*row);
        }
        let row = u32::try_from(self.blocks.len()).ok()?;
        self.blocks.push(BlockRow {
            place: *place,
            first: 0,
            end: 0,
        });
        self.by_block.insert(place.block, row);
        Some(row)
    }

    /// Sorts the deposits by the place of their bytes: pack, block, chunk. The
    /// blocks stand in that order too then, each with its deposits.
    pub(crate) fn settle(&mut self) {
        self.by_block = HashMap::new();
        self.by_temper = HashMap::new();
        let mut order: Vec<usize> = (0..self.blocks.len()).collect();
        order.sort_by_key(|&row| {
            let place = self.blocks.get(row).map(|block| block.place);
            place.map(|place| (place.pack, place.offset))
        });
        let mut rank = vec![0_u32; order.len()];
        for (new, &old) in (0_u32..).zip(&order) {
            if let Some(rank) = rank.get_mut(old) {
                *rank = new;
            }
        }
        self.blocks = order
            .iter()
            .filter_map(|&row| self.blocks.get(row).copied())
            .collect();
        for deposit in &mut self.deposits {
            deposit.block = rank
                .get(deposit.block as usize)
                .copied()
                .unwrap_or(u32::MAX);
        }
        self.deposits
            .sort_unstable_by_key(|one| (one.block, one.from, one.file, one.at));
        let mut first = 0;
        for (row, block) in (0_u32..).zip(&mut self.blocks) {
            let rest = self.deposits.get(first..).unwrap_or_default();
            let count = rest.partition_point(|deposit| deposit.block <= row);
            (block.first, block.end) = (first, first + count);
            first += count;
        }
    }

    /// The deposits of a block.
    pub(crate) fn of(&self, block: &BlockRow) -> &[Deposit] {
        self.deposits
            .get(block.first..block.end)
            .unwrap_or_default()
    }
}
