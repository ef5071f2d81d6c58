//! A disk in memory that knows its holes and is cheap to copy.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use super::Disk;

/// Storage is kept in pieces of this many bytes; a piece nobody wrote is a hole.
const PIECE: u64 = 64 * 1024;
/// The same as a buffer length.
const PIECE_LENGTH: usize = 64 * 1024;

/// A disk whose bytes live in memory: for tests, simulations and small volumes.
///
/// Pieces of 64 KiB that were never written take no room, so that a disk of a
/// terabyte may be made. A clone shares its pieces until one side writes.
#[derive(Debug)]
pub struct MemoryDisk {
    pieces: RwLock<BTreeMap<u64, Arc<Vec<u8>>>>,
    size: u64,
    sector_size: u32,
    name: String,
}

impl MemoryDisk {
    /// `size` bytes of zeros with sectors of `sector_size` bytes.
    pub fn new(size: u64, sector_size: u32) -> Self {
        let name = String::from("memory");
        Self {
            pieces: RwLock::default(),
            size,
            sector_size,
            name,
        }
    }

    /// A disk that holds exactly `bytes`.
    pub fn from_bytes(bytes: &[u8], sector_size: u32) -> Self {
        let disk = Self::new(bytes.len() as u64, sector_size);
        disk.store(0, bytes);
        disk
    }

    /// The same disk under another name for people.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// All bytes, holes as zeros.
    ///
    /// # Errors
    /// When the disk is larger than this machine can address.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.size).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.read_at(0, &mut bytes)?;
        Ok(bytes)
    }

    fn check(&self, offset: u64, length: usize) -> io::Result<()> {
        match offset.checked_add(length as u64) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(past_end(self, offset, length)),
        }
    }

    fn store(&self, offset: u64, bytes: &[u8]) {
        let mut pieces = self.pieces.write().unwrap_or_else(PoisonError::into_inner);
        for (number, inside, range) in cut(offset, bytes.len()) {
            let part = &bytes[range];
            if !pieces.contains_key(&number) && part.iter().all(|&byte| byte == 0) {
                continue;
            }
            let piece = pieces
                .entry(number)
                .or_insert_with(|| Arc::new(vec![0; PIECE_LENGTH]));
            Arc::make_mut(piece)[inside..inside + part.len()].copy_from_slice(part);
        }
    }
}

impl Clone for MemoryDisk {
    fn clone(&self) -> Self {
        let pieces = self
            .pieces
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Self {
            pieces: RwLock::new(pieces),
            size: self.size,
            sector_size: self.sector_size,
            name: self.name.clone(),
        }
    }
}

/// The pieces that `length` bytes at `offset` touch: number, offset inside the
/// piece, range of the caller's bytes.
fn cut(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done >= length {
            return None;
        }
        let at = offset + done as u64;
        // A remainder of 64 KiB fits every usize.
        let inside = usize::try_from(at % PIECE).unwrap_or(0);
        let take = (PIECE_LENGTH - inside).min(length - done);
        let range = done..done + take;
        done += take;
        Some((at / PIECE, inside, range))
    })
}

/// The error of every disk that is asked for bytes it does not have.
pub(super) fn past_end(disk: &dyn Disk, offset: u64, length: usize) -> io::Error {
    let text = format!(
        "{}: {length} bytes at {offset} reach past its {} bytes",
        disk.describe(),
        disk.size()
    );
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

impl Disk for MemoryDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn sector_size(&self) -> u32 {
        self.sector_size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.check(offset, buffer.len())?;
        let pieces = self.pieces.read().unwrap_or_else(PoisonError::into_inner);
        for (number, inside, range) in cut(offset, buffer.len()) {
            let part = &mut buffer[range];
            match pieces.get(&number) {
                Some(piece) => part.copy_from_slice(&piece[inside..inside + part.len()]),
                None => part.fill(0),
            }
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check(offset, bytes.len())?;
        self.store(offset, bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn data_ranges(&self) -> io::Result<Vec<(u64, u64)>> {
        let pieces = self.pieces.read().unwrap_or_else(PoisonError::into_inner);
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for &number in pieces.keys() {
            let start = number * PIECE;
            let length = PIECE.min(self.size - start);
            match ranges.last_mut() {
                Some(last) if last.0 + last.1 == start => last.1 += length,
                _ => ranges.push((start, length)),
            }
        }
        Ok(ranges)
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_across_pieces_is_read_back_and_the_rest_is_a_hole() {
        let disk = MemoryDisk::new(1 << 40, 512);
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0] | 1).collect();
        disk.write_at(65_000, &bytes).unwrap();
        let mut back = vec![0; bytes.len()];
        disk.read_at(65_000, &mut back).unwrap();
        assert_eq!(back, bytes);
        assert_eq!(disk.data_ranges().unwrap(), vec![(0, 5 * 65536)]);
        let mut far = [1; 16];
        disk.read_at(1 << 39, &mut far).unwrap();
        assert_eq!(far, [0; 16]);
    }

    #[test]
    fn reads_and_writes_past_the_end_are_errors() {
        let disk = MemoryDisk::new(100, 512);
        assert!(disk.read_at(99, &mut [0; 2]).is_err());
        assert!(disk.write_at(u64::MAX, &[0; 2]).is_err());
        assert!(disk.write_at(100, &[]).is_ok());
        disk.write_at(99, &[7]).unwrap();
        assert_eq!(disk.data_ranges().unwrap(), vec![(0, 100)]);
    }

    #[test]
    fn a_clone_does_not_see_later_writes() {
        let disk = MemoryDisk::from_bytes(&[1; 10], 512);
        let copy = disk.clone();
        disk.write_at(0, &[2]).unwrap();
        assert_eq!(copy.to_bytes().unwrap(), [1; 10]);
    }
}
