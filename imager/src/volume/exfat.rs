//! exFAT, as far as its free clusters: boot sector and allocation bitmap.
//! Contents are taken sector by sector.
//!
//! Layout: Microsoft "exFAT file system specification", sections 3.1 (boot
//! sector), 4 (FAT) and 7.1 (allocation bitmap).

use super::VolumeError;
use super::bytes::read_bytes;
use super::used::{Allocation, Clusters, Used};
use crate::disk::Disk;

/// Of the root directory only the beginning is read: the bitmap's entry is
/// among the first three.
const ROOT: u64 = 4096;
const SLOT: usize = 32;
const SLOT_BITMAP: u8 = 0x81;
const FIRST_CLUSTER: u32 = 2;
const FLAG_DIRTY: u16 = 2;
/// Section 3.1.15: no cluster is larger.
const LARGEST_CLUSTER: u64 = 32 << 20;
/// Bytes of the bitmap read at a time.
const WINDOW: u64 = 1 << 20;

/// The boot sector's numbers, in bytes of the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Geometry {
    fat: u64,
    clusters: Clusters,
    root: u32,
    dirty: bool,
}

impl Geometry {
    /// `None` for what no exFAT with one FAT has.
    fn decode(sector: &[u8]) -> Option<Self> {
        let long = |at| Some(u64::from(read_u32(sector, at)?));
        let (sector_shift, cluster_shift) = (u32::from(*sector.get(108)?), *sector.get(109)?);
        let size = 1_u64.checked_shl(sector_shift.checked_add(u32::from(cluster_shift))?)?;
        let sound =
            (9..=12).contains(&sector_shift) && size <= LARGEST_CLUSTER && *sector.get(110)? == 1;
        let flags = u16::from_le_bytes(sector.get(106..108)?.try_into().ok()?);
        sound.then_some(Self {
            fat: long(80)? << sector_shift,
            clusters: Clusters {
                start: long(88)? << sector_shift,
                size,
                count: long(92)?,
            },
            root: read_u32(sector, 96)?,
            dirty: flags & FLAG_DIRTY != 0,
        })
    }

    /// Where a cluster begins; `None` for what is none.
    fn place(&self, cluster: u32) -> Option<u64> {
        let index = u64::from(cluster.checked_sub(FIRST_CLUSTER)?);
        let inside = index < self.clusters.count;
        inside.then(|| self.clusters.start + index * self.clusters.size)
    }
}

/// What the volume says of its free clusters.
///
/// # Errors
/// When the medium fails. What cannot be understood is [`Allocation::Unknown`]:
/// then everything that is not zero is kept, and nothing is lost.
pub fn allocation(disk: &dyn Disk) -> Result<Allocation, VolumeError> {
    let unknown = |why: &str| Ok(Allocation::Unknown(why.to_owned()));
    if disk.size() < 512 {
        return unknown("it is too small");
    }
    let Some(geometry) = Geometry::decode(&read_bytes(disk, "boot sector", 0, 512)?) else {
        return unknown("its boot sector is not understood");
    };
    let clusters = geometry.clusters;
    let end = clusters
        .count
        .saturating_mul(clusters.size)
        .saturating_add(clusters.start);
    if end > disk.size() {
        return unknown("it is larger than its partition");
    }
    if geometry.dirty {
        return unknown("it was not removed safely");
    }
    let mut used = Used::nothing(disk.size());
    used.mark(0, clusters.start);
    used.mark(end, disk.size() - end);
    match bitmap(disk, &geometry, &mut used)? {
        Some(()) => Ok(Allocation::Known(used)),
        None => unknown("its bitmap is not understood"),
    }
}

/// Marks what the bitmap names; `None` when it is not found whole.
fn bitmap(
    disk: &dyn Disk,
    geometry: &Geometry,
    used: &mut Used,
) -> Result<Option<()>, VolumeError> {
    let clusters = geometry.clusters;
    let Some(root) = geometry.place(geometry.root) else {
        return Ok(None);
    };
    let root = read_bytes(disk, "root directory", root, ROOT.min(clusters.size))?;
    let mut slots = root.chunks_exact(SLOT).take_while(|slot| slot[0] != 0);
    let Some(slot) = slots.find(|slot| slot[0] == SLOT_BITMAP) else {
        return Ok(None);
    };
    let (Some(mut cluster), Some(low), Some(high)) =
        (read_u32(slot, 20), read_u32(slot, 24), read_u32(slot, 28))
    else {
        return Ok(None);
    };
    let length = u64::from(high) << 32 | u64::from(low);
    let needed = clusters.count.div_ceil(8);
    if length < needed {
        return Ok(None);
    }
    let mut done = 0;
    while done < needed {
        let Some(place) = geometry.place(cluster) else {
            return Ok(None);
        };
        let mut at = 0;
        while at < clusters.size && done < needed {
            let take = (clusters.size - at).min(WINDOW).min(needed - done);
            let bytes = read_bytes(disk, "allocation bitmap", place + at, take)?;
            used.mark_clusters(&bytes, done * 8, clusters);
            at += take;
            done += take;
        }
        let entry = geometry.fat.saturating_add(u64::from(cluster) * 4);
        if done < needed && entry.saturating_add(4) <= disk.size() {
            let next = read_bytes(disk, "FAT", entry, 4)?;
            cluster = read_u32(&next, 0).unwrap_or(0);
        }
    }
    Ok(Some(()))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let raw = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(raw.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    const CLUSTER: u64 = 4096;
    const HEAP: u64 = 1 << 20;

    /// 4 MiB with clusters from 1 MiB on, of which the bitmap (2), the root
    /// (3) and cluster 500 are in use.
    fn volume() -> MemoryDisk {
        let disk = MemoryDisk::new(4 << 20, 512);
        let mut boot = vec![0; 512];
        boot[3..11].copy_from_slice(b"EXFAT   ");
        boot[80..84].copy_from_slice(&128_u32.to_le_bytes());
        boot[88..92].copy_from_slice(&2048_u32.to_le_bytes());
        boot[92..96].copy_from_slice(&760_u32.to_le_bytes());
        boot[96..100].copy_from_slice(&3_u32.to_le_bytes());
        boot[108..111].copy_from_slice(&[9, 3, 1]);
        disk.write_at(0, &boot).unwrap();
        let mut slot = vec![0; SLOT];
        slot[0] = SLOT_BITMAP;
        slot[20] = 2;
        slot[24] = 95;
        disk.write_at(HEAP + CLUSTER, &[0x83]).unwrap();
        disk.write_at(HEAP + CLUSTER + 32, &slot).unwrap();
        disk.write_at(HEAP, &[0b11]).unwrap();
        disk.write_at(HEAP + 498 / 8, &[1 << (498 % 8)]).unwrap();
        disk
    }

    #[test]
    fn clusters_the_bitmap_names_are_used_and_no_others() {
        let Allocation::Known(used) = allocation(&volume()).unwrap() else {
            panic!("not understood");
        };
        assert!(used.touches(0, HEAP) && used.touches(HEAP, 1));
        assert!(used.touches(HEAP + 498 * CLUSTER, 1));
        assert!(!used.touches(HEAP + 100 * CLUSTER, 300 * CLUSTER));
        assert!(used.touches((4 << 20) - 1, 1), "behind the clusters");
    }

    #[test]
    fn no_damage_makes_a_reader_panic() {
        let disk = volume();
        for at in (0..512).chain(HEAP + CLUSTER + 32..HEAP + CLUSTER + 64) {
            for bit in 0..8 {
                let mut byte = [0];
                disk.read_at(at, &mut byte).unwrap();
                disk.write_at(at, &[byte[0] ^ 1 << bit]).unwrap();
                let _any = allocation(&disk);
                disk.write_at(at, &byte).unwrap();
            }
        }
        disk.write_at(106, &[2]).unwrap();
        assert!(matches!(allocation(&disk), Ok(Allocation::Unknown(_))));
        assert!(allocation(&MemoryDisk::new(100, 512)).is_ok());
    }
}
