//! A quick look at a disk: what is on it, not all that is on it.
//!
//! Whether a partition nobody understands is all zeros takes a survey hours on
//! a large disk, and on a target nothing depends on it. So only the beginning
//! of the disk and of each partition count as places where data may be; what
//! has a table or a known file system is found as always.

use std::io;

use imager::disk::{BlockDevice, Disk};
use imager::survey::{Survey, SurveyError, survey};
use imager::table;

/// Where every file system and volume manager has its first words.
const BEGINNING: u64 = 1 << 20;

/// Table, volumes and systems of a target.
pub(super) fn glance(device: &BlockDevice) -> Result<Survey, SurveyError> {
    survey(&Glimpse(device))
}

/// The disk, looking emptier than it may be.
struct Glimpse<'d>(&'d dyn Disk);

impl Disk for Glimpse<'_> {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn sector_size(&self) -> u32 {
        self.0.sector_size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(io::Error::other("a survey does not write"))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn data_ranges(&self) -> io::Result<Vec<(u64, u64)>> {
        // A damaged table is the survey's to report.
        let layout = table::read(self.0).ok().flatten();
        let partitions = layout.iter().flat_map(|layout| &layout.partitions);
        let starts = partitions.map(|partition| partition.start);
        let mut starts: Vec<u64> = [0].into_iter().chain(starts).collect();
        starts.sort_unstable();
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for start in starts {
            let free = ranges.last().map_or(0, |&(from, length)| from + length);
            let start = start.max(free);
            let end = start.saturating_add(BEGINNING).min(self.size());
            if start < end {
                ranges.push((start, end - start));
            }
        }
        Ok(ranges)
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

#[cfg(test)]
mod tests {
    use imager::disk::MemoryDisk;

    use super::*;

    #[test]
    fn a_blank_disk_is_blank_and_only_its_beginning_is_read() {
        let disk = MemoryDisk::new(64 << 20, 512);
        let glimpse = Glimpse(&disk);
        assert_eq!(glimpse.data_ranges().unwrap(), [(0, BEGINNING)]);
        assert_eq!(survey(&glimpse).unwrap().layout, None);
    }

    #[test]
    fn data_without_a_table_is_not_taken_for_nothing() {
        let disk = MemoryDisk::new(64 << 20, 512);
        disk.write_at(5000, b"something").unwrap();
        assert!(survey(&Glimpse(&disk)).unwrap().layout.is_some());
    }
}
