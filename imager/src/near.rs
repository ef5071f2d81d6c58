//! Small things that lie near each other, read with one large read.

use std::io;

use crate::disk::Disk;

/// The first read of a new place.
const LEAST: usize = 64 << 10;

/// Reads grow up to this many bytes while they are worth it.
const MOST: usize = 2 << 20;

/// A disk read mostly forward: reads ahead further the longer that helps.
pub(crate) struct Near<'disk> {
    disk: &'disk dyn Disk,
    buffer: Vec<u8>,
    start: u64,
    ahead: usize,
}

impl<'disk> Near<'disk> {
    pub(crate) fn new(disk: &'disk dyn Disk) -> Self {
        Self {
            disk,
            buffer: Vec::new(),
            start: 0,
            ahead: LEAST,
        }
    }

    /// Fills `into` from `offset`.
    pub(crate) fn read(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        if into.len() >= self.ahead {
            return self.disk.read_at(offset, into);
        }
        let mut filled = self.copy(offset, into);
        if filled < into.len() {
            filled += self.advance(offset + filled as u64, &mut into[filled..])?;
        }
        debug_assert_eq!(filled, into.len());
        Ok(())
    }

    /// Copies what is in the buffer from `offset` on.
    fn copy(&self, offset: u64, into: &mut [u8]) -> usize {
        let skip = offset
            .checked_sub(self.start)
            .and_then(|skip| usize::try_from(skip).ok());
        let there = skip
            .and_then(|skip| self.buffer.get(skip..))
            .unwrap_or_default();
        let length = there.len().min(into.len());
        into[..length].copy_from_slice(&there[..length]);
        length
    }

    /// Reads the next window at `offset` and copies all of `into` from it.
    fn advance(&mut self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let end = self.start + self.buffer.len() as u64;
        // A gap smaller than the window itself was worth reading over.
        let forward = offset >= end && offset - end <= self.ahead as u64;
        self.ahead = if forward {
            (self.ahead * 2).min(MOST)
        } else {
            LEAST
        };
        let left = self.disk.size().saturating_sub(offset);
        let length = usize::try_from(left)
            .unwrap_or(MOST)
            .min(self.ahead.max(into.len()));
        if length < into.len() {
            // Past the end: let the disk say so in its own words.
            return self.disk.read_at(offset, into).map(|()| into.len());
        }
        self.start = offset;
        self.buffer.resize(length, 0);
        if let Err(error) = self.disk.read_at(offset, &mut self.buffer) {
            // Something ahead may be bad that nobody asked for.
            self.buffer.clear();
            self.ahead = LEAST;
            return self
                .disk
                .read_at(offset, into)
                .map(|()| into.len())
                .map_err(|_| error);
        }
        Ok(self.copy(offset, into))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn any_sequence_of_reads_gives_what_the_disk_holds() {
        let bytes: Vec<u8> = (0..600_000_u32).map(|at| at.to_le_bytes()[1] ^ 7).collect();
        let disk = MemoryDisk::from_bytes(&bytes, 512);
        let mut near = Near::new(&disk);
        let mut at = 1_u64;
        for step in 1..4000_u64 {
            at = (at * 48_271 + step) % 600_000;
            let from = if step % 3 == 0 {
                at
            } else {
                (step * 97) % 600_000
            };
            let length = (at % 5000).min(600_000 - from);
            let mut into = vec![0; usize::try_from(length).unwrap()];
            near.read(from, &mut into).unwrap();
            let from = usize::try_from(from).unwrap();
            assert_eq!(into, bytes[from..from + into.len()]);
        }
        assert!(near.read(599_999, &mut [0; 2]).is_err());
    }
}
