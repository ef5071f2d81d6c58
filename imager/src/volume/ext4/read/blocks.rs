//! An open volume: its blocks, its inodes and the sums they carry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::Disk;
use crate::volume::VolumeError;

use super::super::codec::group::Descriptor;
use super::super::codec::inode::{self, Inode};
use super::super::codec::superblock::Superblock;
use super::super::fault::damaged;

/// Inode tables are read in pieces of this many bytes.
const PIECE: u64 = 64 << 10;
/// Pieces kept (32 MiB); tables are mostly visited in order.
const PIECES_KEPT: usize = 512;

/// A volume whose superblock and groups are known to make sense.
pub(super) struct Ext4<'disk> {
    disk: &'disk dyn Disk,
    pub(super) superblock: Superblock,
    groups: Vec<Descriptor>,
    pub(super) seed: u32,
    pub(super) block_size: u64,
    pieces: Mutex<HashMap<u64, Arc<Vec<u8>>>>,
}

/// `length` bytes of `disk` from `offset`; callers bound the length.
pub(super) fn read(
    disk: &dyn Disk,
    what: &'static str,
    offset: u64,
    length: u64,
) -> Result<Vec<u8>, VolumeError> {
    let end = offset.checked_add(length).filter(|&end| end <= disk.size());
    let length = usize::try_from(length).ok().filter(|_| end.is_some());
    let Some(length) = length else {
        let expected = format!("a place below {}", disk.size());
        return Err(damaged(
            what,
            offset,
            expected,
            "one behind the end of the volume",
        ));
    };
    let mut bytes = vec![0; length];
    match disk.read_at(offset, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(source) => Err(VolumeError::Read {
            what,
            offset,
            source,
        }),
    }
}

impl<'disk> Ext4<'disk> {
    pub(super) fn new(
        disk: &'disk dyn Disk,
        superblock: Superblock,
        groups: Vec<Descriptor>,
    ) -> Self {
        let seed = superblock.seed();
        let block_size = 1024 << superblock.log_block_size;
        Self {
            disk,
            superblock,
            groups,
            seed,
            block_size,
            pieces: Mutex::default(),
        }
    }

    /// The bytes of block `number`.
    pub(super) fn block(&self, what: &'static str, number: u64) -> Result<Vec<u8>, VolumeError> {
        if number == 0 || number >= self.superblock.blocks {
            let expected = format!("a block from 1 to {}", self.superblock.blocks);
            return Err(damaged(what, 0, expected, number));
        }
        read(self.disk, what, number * self.block_size, self.block_size)
    }

    /// Inode `number`, its sum checked.
    pub(super) fn inode(&self, number: u32) -> Result<Inode, VolumeError> {
        let offset = self.inode_offset(number)?;
        let length = u64::from(self.superblock.inode_size);
        let piece = self.piece(offset / PIECE)?;
        let from = usize::try_from(offset % PIECE).unwrap_or(usize::MAX);
        let bytes = piece
            .get(from..)
            .and_then(|rest| rest.get(..self.superblock.inode_size.into()));
        let Some(bytes) = bytes else {
            return Err(damaged(
                "inode",
                offset,
                format!("{length} bytes"),
                "the volume's end",
            ));
        };
        if self.superblock.has_checksums() && !inode::is_sealed(bytes, number, self.seed) {
            return Err(damaged(
                "inode checksum",
                offset,
                "its sum",
                format!("inode {number}"),
            ));
        }
        Inode::decode(bytes)
            .ok_or_else(|| damaged("inode extra size", offset, "one within the inode", number))
    }

    fn inode_offset(&self, number: u32) -> Result<u64, VolumeError> {
        let a_group = self.superblock.inodes_per_group;
        let index = number
            .checked_sub(1)
            .filter(|_| number <= self.superblock.inodes);
        let place = index.and_then(|index| {
            let group = self.groups.get(usize::try_from(index / a_group).ok()?)?;
            let table = group.inode_table.checked_mul(self.block_size)?;
            let within = u64::from(index % a_group) * u64::from(self.superblock.inode_size);
            table
                .checked_add(within)
                .filter(|&place| place < self.disk.size())
        });
        let expected = || format!("an inode from 1 to {}", self.superblock.inodes);
        place.ok_or_else(|| damaged("inode number", 0, expected(), number))
    }

    fn piece(&self, index: u64) -> Result<Arc<Vec<u8>>, VolumeError> {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(piece) = pieces.get(&index) {
            return Ok(Arc::clone(piece));
        }
        if pieces.len() >= PIECES_KEPT {
            pieces.clear();
        }
        let start = index * PIECE;
        let length = PIECE.min(self.disk.size().saturating_sub(start));
        let piece = Arc::new(read(self.disk, "inode table", start, length)?);
        pieces.insert(index, Arc::clone(&piece));
        Ok(piece)
    }
}
