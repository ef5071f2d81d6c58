//! A quick look at a disk: what is on it, not all that is on it.
//!
//! Whether a partition nobody understands is all zeros takes a survey hours on
//! a large disk, and on a target nothing depends on it. So only the beginning
//! of the disk and of each partition count as places where data may be; what
//! has a table or a known file system is found as always.

use std::io;

use super::{Survey, SurveyError, survey};
use crate::disk::Disk;
use crate::table;

/// Where every file system and volume manager has its first words.
const BEGINNING: u64 = 1 << 20;

/// A disk without a table is looked at in this many more places: data whose
/// beginning was lost is still somebody's.
const SAMPLES: u64 = 64;
const SAMPLE: u64 = 64 << 10;

/// Table, volumes and systems of a target, for a person to agree to lose them.
///
/// # Errors
/// As [`survey`].
pub fn glance(disk: &dyn Disk) -> Result<Survey, SurveyError> {
    survey(&Glimpse(disk))
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
        if layout.is_none() {
            ranges.extend(samples(self.size()));
        }
        Ok(ranges)
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

/// Evenly spread places behind the beginning.
fn samples(size: u64) -> impl Iterator<Item = (u64, u64)> {
    let step = (size / (SAMPLES + 1)).max(SAMPLE);
    let places = (1..=SAMPLES).map(move |number| number * step / SAMPLE * SAMPLE);
    places
        .filter(move |&place| place >= BEGINNING && place + SAMPLE <= size)
        .map(|place| (place, SAMPLE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn a_blank_disk_is_blank_and_only_its_beginning_is_read() {
        let disk = MemoryDisk::new(64 << 20, 512);
        let glimpse = Glimpse(&disk);
        let ranges = glimpse.data_ranges().unwrap();
        assert_eq!(ranges[0], (0, BEGINNING));
        assert!(ranges.iter().map(|range| range.1).sum::<u64>() < 8 << 20);
        assert!(
            ranges
                .windows(2)
                .all(|pair| pair[0].0 + pair[0].1 <= pair[1].0)
        );
        assert_eq!(survey(&glimpse).unwrap().layout, None);
    }

    #[test]
    fn data_without_a_table_is_not_taken_for_nothing() {
        let disk = MemoryDisk::new(64 << 20, 512);
        disk.write_at(5000, b"something").unwrap();
        assert!(survey(&Glimpse(&disk)).unwrap().layout.is_some());
    }

    #[test]
    fn data_whose_beginning_was_lost_is_found_by_samples() {
        let disk = MemoryDisk::new(64 << 20, 512);
        let (place, _) = samples(64 << 20).nth(7).unwrap();
        disk.write_at(place + 10, b"something").unwrap();
        assert!(survey(&Glimpse(&disk)).unwrap().layout.is_some());
    }
}
