//! Swap: only the header is kept, so that the UUID in other files stays true.
//!
//! Layout: Linux `include/linux/swap.h`, `union swap_header`, version 1.

use image_format::image::VolumeTree;
use image_format::layout::{Partition, Volume};

use super::{Builder, Found, Layout, Reader, VolumeError, Write};
use crate::disk::Disk;

const MAGIC: &[u8; 10] = b"SWAPSPACE2";
/// What stands in the magic's place while a hibernated system lies in the swap.
const HIBERNATED: &[u8; 9] = b"S1SUSPEND";
const VERSION: usize = 1024;
const LAST_PAGE: usize = 1028;
const UUID: usize = 1036;
const LABEL: usize = 1052;
/// Page sizes of the machines Linux runs on.
const PAGE_SIZES: [u32; 5] = [4096, 8192, 16384, 32768, 65536];
/// `mkswap` makes no swap with fewer pages.
const LEAST_PAGES: u64 = 10;

/// A swap header as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// UUID as stored.
    pub uuid: [u8; 16],
    /// Label, zero padded.
    pub label: [u8; 16],
    /// Page size the header was written for.
    pub page_size: u32,
    /// A system hibernated into it: what it was doing is not captured.
    pub hibernated: bool,
}

impl Swap {
    /// Reads the header; `None` when there is none.
    ///
    /// # Errors
    /// When the medium fails.
    pub fn read(disk: &dyn Disk) -> Result<Option<Self>, VolumeError> {
        for page_size in PAGE_SIZES {
            let length = usize::try_from(page_size).unwrap_or(4096);
            if disk.size() < u64::from(page_size) {
                break;
            }
            let mut page = vec![0; length];
            disk.read_at(0, &mut page)
                .map_err(|source| VolumeError::Read {
                    what: "swap header",
                    offset: 0,
                    source,
                })?;
            if let Some(found) = Self::decode(&page, page_size) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn decode(page: &[u8], page_size: u32) -> Option<Self> {
        let magic = page.get(page.len().checked_sub(MAGIC.len())?..)?;
        let hibernated = magic.starts_with(HIBERNATED);
        if magic != MAGIC && !hibernated {
            return None;
        }
        let piece = |at: usize| page.get(at..at + 16)?.try_into().ok();
        Some(Self {
            uuid: piece(UUID)?,
            label: piece(LABEL)?,
            page_size,
            hibernated,
        })
    }

    /// The header page of a swap of `size` bytes.
    fn encode(&self, size: u64) -> Result<Vec<u8>, VolumeError> {
        if !PAGE_SIZES.contains(&self.page_size) {
            return Err(VolumeError::Damaged {
                what: "swap page size",
                offset: 0,
                expected: format!("one of {PAGE_SIZES:?}"),
                found: self.page_size.to_string(),
            });
        }
        let pages = size / u64::from(self.page_size);
        if pages < LEAST_PAGES {
            let needed = LEAST_PAGES * u64::from(self.page_size);
            return Err(VolumeError::TooSmall { needed, size });
        }
        // Linux counts pages in 32 bits: the rest of a larger partition stays unused.
        let last_page = u32::try_from(pages - 1).unwrap_or(u32::MAX - 1);
        let length = usize::try_from(self.page_size).unwrap_or(4096);
        let mut page = vec![0; length];
        page[VERSION..LAST_PAGE].copy_from_slice(&1_u32.to_le_bytes());
        page[LAST_PAGE..LAST_PAGE + 4].copy_from_slice(&last_page.to_le_bytes());
        page[UUID..UUID + 16].copy_from_slice(&self.uuid);
        page[LABEL..LABEL + 16].copy_from_slice(&self.label);
        page[length - MAGIC.len()..].copy_from_slice(MAGIC);
        Ok(page)
    }
}

impl Reader for Swap {
    fn volume(&self) -> Volume {
        Volume::Swap {
            uuid: self.uuid,
            label: self.label,
            page_size: self.page_size,
        }
    }

    fn entries(&self) -> Result<Vec<Found>, VolumeError> {
        Ok(Vec::new())
    }
}

/// Makes swap again: one page, withheld.
#[derive(Debug)]
pub struct SwapBuilder;

impl SwapBuilder {
    fn header(partition: &Partition) -> Option<Swap> {
        match partition.volume {
            Volume::Swap {
                uuid,
                label,
                page_size,
            } => Some(Swap {
                uuid,
                label,
                page_size,
                hibernated: false,
            }),
            _ => None,
        }
    }
}

impl Builder for SwapBuilder {
    fn lay_out(
        &self,
        partition: &Partition,
        tree: &VolumeTree,
        size: u64,
        _: u32,
    ) -> Result<Layout, Vec<VolumeError>> {
        let Some(header) = Self::header(partition) else {
            return Err(vec![super::not_for("swap", &partition.volume)]);
        };
        let bytes = header.encode(size).map_err(|error| vec![error])?;
        Ok(Layout {
            places: vec![Vec::new(); tree.entries.len()],
            zeros: Vec::new(),
            metadata: Box::new(std::iter::empty()),
            withheld: vec![Write { offset: 0, bytes }],
        })
    }

    fn least_size(&self, partition: &Partition, _: &VolumeTree) -> u64 {
        let page_size = Self::header(partition).map_or(4096, |header| header.page_size);
        LEAST_PAGES * u64::from(page_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;
    use image_format::layout::Partition;

    fn partition(page_size: u32) -> Partition {
        Partition {
            number: 1,
            start: 1 << 20,
            size: 1 << 20,
            type_guid: [1; 16],
            guid: [2; 16],
            attributes: 0,
            name: Vec::new(),
            volume: Volume::Swap {
                uuid: [3; 16],
                label: *b"swapspace\0\0\0\0\0\0\0",
                page_size,
            },
        }
    }

    fn build(page_size: u32, size: u64) -> Result<Layout, Vec<VolumeError>> {
        let tree = VolumeTree {
            partition: 0,
            entries: Vec::new(),
        };
        SwapBuilder.lay_out(&partition(page_size), &tree, size, 512)
    }

    #[test]
    fn what_is_built_for_each_page_size_is_read_back() {
        for page_size in PAGE_SIZES {
            let disk = MemoryDisk::new(1 << 20, 512);
            for write in build(page_size, disk.size()).unwrap().withheld {
                disk.write_at(write.offset, &write.bytes).unwrap();
            }
            assert_eq!(
                Swap::read(&disk).unwrap().unwrap().volume(),
                partition(page_size).volume
            );
        }
    }

    #[test]
    fn swap_made_by_mkswap_is_read_and_made_again_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("swap");
        std::fs::File::create(&path)
            .unwrap()
            .set_len(1 << 20)
            .unwrap();
        let made = std::process::Command::new("mkswap")
            .args([
                "-L",
                "swapspace",
                "-U",
                "03030303-0303-0303-0303-030303030303",
            ])
            .arg(&path)
            .output()
            .unwrap();
        assert!(made.status.success());
        let bytes = std::fs::read(&path).unwrap();
        let found = Swap::read(&MemoryDisk::from_bytes(&bytes, 512))
            .unwrap()
            .unwrap();
        assert_eq!(found.volume(), partition(4096).volume);
        assert_eq!(found.encode(1 << 20).unwrap(), bytes[..4096]);
    }

    #[test]
    fn too_small_and_unknown_page_sizes_are_refused() {
        assert!(build(4096, 9 * 4096).is_err());
        assert!(build(5, 1 << 20).is_err());
        assert!(Swap::read(&MemoryDisk::new(100, 512)).unwrap().is_none());
    }
}
