//! Directory blocks: records one after the other, a sum in the last one
//! (kernel documentation, "Linear Directories", "Directory Entry Tail").

use super::checksum::crc;
use super::fields::{get16, get32, length8, length16, put16, put32};

const HEAD: usize = 8;
const TAIL: usize = 12;
const TAIL_KIND: u8 = 0xde;
/// Longest name.
pub(crate) const LONGEST_NAME: usize = 255;

/// `file_type` of a record.
pub(crate) mod kind {
    pub(crate) const FILE: u8 = 1;
    pub(crate) const DIRECTORY: u8 = 2;
    pub(crate) const CHAR_DEVICE: u8 = 3;
    pub(crate) const BLOCK_DEVICE: u8 = 4;
    pub(crate) const FIFO: u8 = 5;
    pub(crate) const SOCKET: u8 = 6;
    pub(crate) const SYMLINK: u8 = 7;
}

/// A name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'name> {
    pub(crate) inode: u32,
    pub(crate) kind: u8,
    pub(crate) name: &'name [u8],
}

/// The records of `block` that name an inode; `None` when a length is wrong.
/// Index nodes read as blocks without names, so no reader needs the index.
pub(crate) fn decode(block: &[u8]) -> Option<Vec<Record<'_>>> {
    let mut records = Vec::new();
    let mut at = 0;
    while at < block.len() {
        let length = record_length(get16(block, at + 4)?, block.len());
        let name_length = usize::from(*block.get(at + 6)?);
        let end = at.checked_add(length).filter(|&end| end <= block.len())?;
        if length < HEAD || !length.is_multiple_of(4) || HEAD + name_length > length {
            return None;
        }
        let inode = get32(block, at)?;
        if inode != 0 {
            let name = block.get(at + HEAD..at + HEAD + name_length)?;
            records.push(Record {
                inode,
                kind: *block.get(at + 7)?,
                name,
            });
        }
        at = end;
    }
    Some(records)
}

/// Lengths of 64 KiB blocks do not fit 16 bits (`ext4_rec_len_from_disk`).
fn record_length(stored: u16, block: usize) -> usize {
    let stored = usize::from(stored);
    match block {
        0..0x1_0000 => stored,
        _ if stored == 0 || stored == 0xffff => block,
        _ => (stored & 0xfffc) | (stored & 3) << 16,
    }
}

/// Bytes the record of a name takes at least.
pub(crate) fn room_for(name: &[u8]) -> usize {
    (HEAD + name.len()).next_multiple_of(4)
}

/// Bytes for records in a block, its sum taken off.
pub(crate) fn room_in(block_size: usize) -> usize {
    block_size - TAIL
}

/// Appends a record to those of a block that is not finished yet.
pub(crate) fn push(records: &mut Vec<u8>, record: &Record<'_>) {
    let at = records.len();
    let length = room_for(record.name);
    records.resize(at + length, 0);
    put32(records, at, record.inode);
    put16(records, at + 4, length16(length));
    records[at + 6] = length8(record.name.len());
    records[at + 7] = record.kind;
    records[at + HEAD..at + HEAD + record.name.len()].copy_from_slice(record.name);
}

/// A whole leaf block from `records` made by [`push`]: the last record
/// stretched to the sum, the sum behind it.
pub(crate) fn finish(records: &[u8], block_size: usize, inode_seed: u32) -> Vec<u8> {
    let mut block = records.to_vec();
    block.resize(block_size, 0);
    let room = room_in(block_size);
    let mut last = 0;
    let mut at = 0;
    while at < records.len() {
        last = at;
        at += get16(records, at + 4).map_or(room, usize::from).max(HEAD);
    }
    put16(&mut block, last + 4, length16(room - last));
    put16(&mut block, room + 4, length16(TAIL));
    block[room + 7] = TAIL_KIND;
    let sum = crc(inode_seed, &block[..room]);
    put32(&mut block, room + HEAD, sum);
    block
}

/// Whether the sum of a block is right; `None` when it carries none.
pub(crate) fn is_sealed(block: &[u8], inode_seed: u32) -> Option<bool> {
    let room = block.len().checked_sub(TAIL)?;
    let is_tail = get32(block, room)? == 0
        && usize::from(get16(block, room + 4)?) == TAIL
        && get16(block, room + 6)? == u16::from(TAIL_KIND) << 8;
    let stored = get32(block, room + HEAD)?;
    is_tail.then(|| crc(inode_seed, &block[..room]) == stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_their_block() {
        let names: [&[u8]; 4] = [b".", b"..", b"\xff\xfe", &[b'n'; LONGEST_NAME]];
        let kinds = [kind::DIRECTORY, kind::DIRECTORY, kind::FILE, kind::SOCKET];
        let records = [0, 1, 2, 3].map(|i| Record {
            inode: 11,
            kind: kinds[i],
            name: names[i],
        });
        let mut bytes = Vec::new();
        records.iter().for_each(|record| push(&mut bytes, record));
        let block = finish(&bytes, 1024, 99);
        assert_eq!(decode(&block).unwrap(), records);
        assert_eq!(is_sealed(&block, 99), Some(true));
        assert_eq!(is_sealed(&block, 98), Some(false));
        let whole = |short: &usize| decode(&block[..*short]).is_some();
        let borders: Vec<_> = (0..1024).filter(whole).collect();
        assert_eq!(
            borders,
            [0, 12, 24, 36, 1012],
            "cut anywhere else it is refused"
        );
        assert_eq!(decode(&finish(&[], 1024, 1)), Some(Vec::new()));
    }

    #[test]
    fn a_record_of_no_length_ends_the_block() {
        let mut block = finish(&[], 1024, 0);
        put16(&mut block, 4, 0);
        assert_eq!(decode(&block), None);
    }
}
