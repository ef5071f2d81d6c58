//! A disk seen as if the withheld sectors were already written.

use std::io;

use super::Disk;
use super::memory::past_end;

/// A view of a disk in which some ranges read as given bytes.
///
/// An apply keeps back what makes a volume a volume until everything else was
/// read back; this view lets the ordinary readers do that reading. Writes inside
/// a withheld range are refused, all others pass.
pub struct Withheld<'disk> {
    disk: &'disk dyn Disk,
    /// Ascending by offset, not overlapping.
    ranges: Vec<(u64, Vec<u8>)>,
}

impl<'disk> Withheld<'disk> {
    /// `disk` with each of `ranges` (offset and bytes) reading as its bytes;
    /// `None` when ranges overlap or reach past the end.
    pub fn new(disk: &'disk dyn Disk, mut ranges: Vec<(u64, Vec<u8>)>) -> Option<Self> {
        ranges.retain(|(_, bytes)| !bytes.is_empty());
        ranges.sort_by_key(|(offset, _)| *offset);
        let mut free = 0;
        for (offset, bytes) in &ranges {
            if *offset < free {
                return None;
            }
            free = offset.checked_add(bytes.len() as u64)?;
        }
        (free <= disk.size()).then_some(Self { disk, ranges })
    }

    /// Ranges that share bytes with `length` bytes at `offset`: their start, their bytes.
    fn touched(&self, offset: u64, length: usize) -> impl Iterator<Item = (u64, &[u8])> {
        let end = offset.saturating_add(length as u64);
        let first = self
            .ranges
            .partition_point(|(start, bytes)| start + bytes.len() as u64 <= offset);
        let rest = self.ranges.get(first..).unwrap_or_default().iter();
        rest.map(|(start, bytes)| (*start, bytes.as_slice()))
            .take_while(move |(start, _)| *start < end)
    }
}

impl Disk for Withheld<'_> {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn sector_size(&self) -> u32 {
        self.disk.sector_size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.read_at(offset, buffer)?;
        for (start, bytes) in self.touched(offset, buffer.len()) {
            let skip = usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
            let into = usize::try_from(start.saturating_sub(offset)).unwrap_or(usize::MAX);
            let source = bytes.get(skip..).unwrap_or_default();
            let target = buffer.get_mut(into..).unwrap_or_default();
            let length = source.len().min(target.len());
            target[..length].copy_from_slice(&source[..length]);
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset.checked_add(bytes.len() as u64).is_none() {
            return Err(past_end(self, offset, bytes.len()));
        }
        if let Some((start, _)) = self.touched(offset, bytes.len()).next() {
            let text = format!(
                "{}: {} bytes at {offset} would change what is withheld at {start}",
                self.describe(),
                bytes.len()
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        self.disk.write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.sync()
    }

    fn data_ranges(&self) -> io::Result<Vec<(u64, u64)>> {
        let mut ranges = self.disk.data_ranges()?;
        ranges.extend(
            self.ranges
                .iter()
                .map(|(start, bytes)| (*start, bytes.len() as u64)),
        );
        ranges.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (start, length) in ranges {
            match merged.last_mut() {
                Some(last) if start <= last.0 + last.1 => {
                    last.1 = last.1.max(start + length - last.0);
                }
                _ => merged.push((start, length)),
            }
        }
        Ok(merged)
    }

    fn bypass_cache(&self) -> io::Result<()> {
        self.disk.bypass_cache()
    }

    fn describe(&self) -> String {
        self.disk.describe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn every_read_sees_the_withheld_bytes_and_the_disk_does_not() {
        let disk = MemoryDisk::from_bytes(&[9; 64], 512);
        let view = Withheld::new(&disk, vec![(40, vec![2; 8]), (8, vec![1; 8])]).unwrap();
        let mut whole = [9; 64];
        whole[8..16].fill(1);
        whole[40..48].fill(2);
        for from in 0..64_usize {
            for to in from..=64 {
                let mut part = vec![0; to - from];
                view.read_at(from as u64, &mut part).unwrap();
                assert_eq!(part, whole[from..to]);
            }
        }
        assert!(view.write_at(15, &[0]).is_err());
        view.write_at(16, &[7]).unwrap();
        assert_eq!(disk.to_bytes().unwrap()[16], 7);
        assert_eq!(disk.to_bytes().unwrap()[8], 9);
    }

    #[test]
    fn overlapping_ranges_and_ranges_past_the_end_are_refused() {
        let disk = MemoryDisk::new(64, 512);
        assert!(Withheld::new(&disk, vec![(0, vec![0; 9]), (8, vec![0; 2])]).is_none());
        assert!(Withheld::new(&disk, vec![(60, vec![0; 5])]).is_none());
    }
}
