//! A disk is bytes at offsets. Real disks, image files, memory and the disk
//! that crashes in tests all look like this, and nothing above knows which.

use std::io;

mod busy;
pub mod crash;
mod direct;
pub mod file;
pub mod identity;
pub mod linux;
pub mod list;
pub mod memory;
pub mod target;
pub mod withheld;

pub use crash::CrashDisk;
pub use file::FileDisk;
pub use identity::{DiskIdentity, ListedDisk};
pub use linux::BlockDevice;
pub use memory::MemoryDisk;
pub use target::{TargetDisk, TargetKind};
pub use withheld::Withheld;

/// Random access to a disk, an image file or a part of one.
///
/// Offsets and lengths are in bytes. Implementations accept any alignment.
pub trait Disk: Send + Sync {
    /// Length in bytes.
    fn size(&self) -> u64;

    /// Logical sector size in bytes: 512 or 4096.
    fn sector_size(&self) -> u32;

    /// Fills `buffer` from `offset`; reading past the end is an error.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`; writing past the end is an error.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes `length` bytes at `offset` read as zeros, by whatever way is
    /// quickest: a hole in a file, a command of the device, else zeros written.
    fn zero(&self, offset: u64, length: u64) -> io::Result<()> {
        write_zeros(self, offset, length)
    }

    /// Returns when everything written so far is on the medium.
    fn sync(&self) -> io::Result<()>;

    /// Byte ranges that may hold data, ascending, for media that know their
    /// holes (sparse image files). Everything else reads as zeros.
    fn data_ranges(&self) -> io::Result<Vec<(u64, u64)>> {
        Ok(vec![(0, self.size())])
    }

    /// From here on reads come from the medium, not from a cache of writes.
    /// Does nothing where there is no cache between us and the medium.
    fn bypass_cache(&self) -> io::Result<()> {
        self.sync()
    }

    /// How people name it: `/dev/sda`, `reference.img`.
    fn describe(&self) -> String;
}

/// Zeros are written in windows of this many bytes.
const ZEROS: u64 = 1 << 20;

/// [`Disk::zero`] for media that know no better way.
fn write_zeros<D: Disk + ?Sized>(disk: &D, offset: u64, length: u64) -> io::Result<()> {
    let zeros = vec![0; usize::try_from(length.min(ZEROS)).unwrap_or(0)];
    let (mut at, mut left) = (offset, length);
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
        disk.write_at(at, &zeros[..part])?;
        at = at.saturating_add(part as u64);
        left -= part as u64;
    }
    Ok(())
}

/// A stretch of a disk seen as a disk: a partition, with or without a table.
pub struct Window<'disk> {
    disk: &'disk dyn Disk,
    start: u64,
    size: u64,
}

impl<'disk> Window<'disk> {
    /// `size` bytes of `disk` from `start`; `None` when they are not all there.
    pub fn new(disk: &'disk dyn Disk, start: u64, size: u64) -> Option<Self> {
        (start.checked_add(size)? <= disk.size()).then_some(Self { disk, start, size })
    }

    fn within(&self, offset: u64, length: usize) -> io::Result<u64> {
        let end = offset
            .checked_add(length as u64)
            .filter(|&end| end <= self.size);
        match end {
            Some(_) => Ok(self.start + offset),
            None => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!(
                    "{}: {length} bytes at {offset} reach past its {} bytes",
                    self.describe(),
                    self.size
                ),
            )),
        }
    }
}

impl Disk for Window<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn sector_size(&self) -> u32 {
        self.disk.sector_size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let place = self.within(offset, buffer.len())?;
        self.disk.read_at(place, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let place = self.within(offset, bytes.len())?;
        self.disk.write_at(place, bytes)
    }

    fn zero(&self, offset: u64, length: u64) -> io::Result<()> {
        let whole = usize::try_from(length).map_err(io::Error::other)?;
        let place = self.within(offset, whole)?;
        self.disk.zero(place, length)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.sync()
    }

    fn data_ranges(&self) -> io::Result<Vec<(u64, u64)>> {
        let end = self.start + self.size;
        let inside = |(from, length): (u64, u64)| {
            let first = from.max(self.start);
            let last = (from + length).min(end);
            (first < last).then(|| (first - self.start, last - first))
        };
        Ok(self
            .disk
            .data_ranges()?
            .into_iter()
            .filter_map(inside)
            .collect())
    }

    fn bypass_cache(&self) -> io::Result<()> {
        self.disk.bypass_cache()
    }

    fn describe(&self) -> String {
        format!("{} at {}", self.disk.describe(), self.start)
    }
}
