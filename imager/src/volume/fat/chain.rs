//! The allocation table (fatgen103, section 4): chains read, chains written.

use std::sync::Arc;

use super::super::{VolumeError, Write};
use super::boot::{BootSector, FIXED_DISK};
use crate::disk::Disk;
use crate::volume::bytes::read_bytes;

/// A table of 2 TiB in clusters of 32 KiB; nobody makes a larger one.
const LARGEST: u64 = 256 << 20;
/// A table is written in windows of this many bytes: whole entries of 4 and 2.
const WINDOW: u64 = 1 << 20;

/// The first table of a volume, whole.
pub(super) struct Table {
    raw: Vec<u8>,
    bits: u8,
    clusters: u32,
}

/// Which clusters some chain already has: none may have two.
pub(super) struct Taken(Vec<u64>);

impl Table {
    pub(super) fn read(disk: &dyn Disk, boot: &BootSector) -> Result<Self, VolumeError> {
        let entries = u64::from(boot.clusters()) + 2;
        let length = (entries * u64::from(boot.bits)).div_ceil(8);
        if length > LARGEST {
            return Err(VolumeError::Unsupported {
                what: format!("an allocation table of {length} bytes"),
                why: format!("more than {LARGEST} bytes are not read"),
                next: String::from("capture the volume raw"),
            });
        }
        let raw = read_bytes(disk, "allocation table", boot.fat_start(0), length)?;
        Ok(Self {
            raw,
            bits: boot.bits,
            clusters: boot.clusters(),
        })
    }

    /// The entry of a cluster; 0 beyond the end.
    fn value(&self, cluster: u32) -> u32 {
        let index = usize::try_from(cluster).unwrap_or(usize::MAX);
        let byte = |at: Option<usize>| {
            at.and_then(|at| self.raw.get(at))
                .copied()
                .map_or(0, u32::from)
        };
        let from = |start: usize, count: usize| {
            (0..count)
                .rev()
                .fold(0, |sum, place| sum << 8 | byte(start.checked_add(place)))
        };
        match self.bits {
            12 => from(index.saturating_add(index / 2), 2) >> (cluster % 2 * 4) & 0xfff,
            16 => from(index.saturating_mul(2), 2),
            _ => from(index.saturating_mul(4), 4) & 0x0fff_ffff,
        }
    }

    /// Clusters that are not free; bad ones count as used.
    pub(super) fn used(&self) -> u32 {
        let used = (2..self.clusters.saturating_add(2)).filter(|&cluster| self.value(cluster) != 0);
        u32::try_from(used.count()).unwrap_or(u32::MAX)
    }

    /// Whether the volume was unmounted; FAT12 does not say.
    pub(super) fn is_clean(&self) -> bool {
        match self.bits {
            12 => true,
            16 => self.value(1) & 0x8000 != 0,
            _ => self.value(1) & 0x0800_0000 != 0,
        }
    }

    /// The chain from `first`, up to `limit` clusters, as stretches that follow
    /// each other on the volume. `exact`: it must have that many.
    pub(super) fn chain(
        &self,
        first: u32,
        limit: u32,
        exact: bool,
        taken: &mut Taken,
    ) -> Result<Vec<Extent>, VolumeError> {
        let wrong = |cluster: u32, expected: &str, found: String| VolumeError::Damaged {
            what: "cluster chain",
            offset: u64::from(cluster) * u64::from(self.bits) / 8,
            expected: expected.to_owned(),
            found,
        };
        let mut extents: Vec<Extent> = Vec::new();
        let mut cluster = first;
        for _ in 0..limit {
            let inside = cluster >= 2 && cluster - 2 < self.clusters;
            if !inside {
                return Err(wrong(
                    cluster,
                    "a cluster of the volume",
                    format!("cluster {cluster}"),
                ));
            }
            if !taken.take(cluster) {
                return Err(wrong(
                    cluster,
                    "a cluster of one chain",
                    format!("cluster {cluster} in two"),
                ));
            }
            match extents.last_mut() {
                Some(last) if last.first + last.count == cluster => last.count += 1,
                _ => extents.push(Extent {
                    first: cluster,
                    count: 1,
                }),
            }
            cluster = self.value(cluster);
            if cluster >= last_mark(self.bits) {
                break;
            }
        }
        let length: u32 = extents.iter().map(|extent| extent.count).sum();
        if exact && length < limit {
            return Err(wrong(
                first,
                &format!("{limit} clusters from {first}"),
                length.to_string(),
            ));
        }
        if !exact && length == limit && cluster < last_mark(self.bits) {
            return Err(wrong(
                first,
                &format!("at most {limit} clusters from {first}"),
                String::from("more"),
            ));
        }
        Ok(extents)
    }
}

impl Taken {
    pub(super) fn new(clusters: u32) -> Self {
        Self(vec![0; usize::try_from(clusters / 64 + 1).unwrap_or(0)])
    }

    /// False when it was taken before.
    fn take(&mut self, cluster: u32) -> bool {
        let index = cluster.saturating_sub(2);
        let word = usize::try_from(index / 64)
            .ok()
            .and_then(|at| self.0.get_mut(at));
        word.is_some_and(|word| {
            let free = *word & 1 << (index % 64) == 0;
            *word |= 1 << (index % 64);
            free
        })
    }
}

/// The least entry that ends a chain.
fn last_mark(bits: u8) -> u32 {
    match bits {
        12 => 0xff8,
        16 => 0xfff8,
        _ => 0x0fff_fff8,
    }
}

/// Clusters that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub first: u32,
    pub count: u32,
}

/// All tables of `boot` with one chain an extent, `extents` ascending and
/// without holes between them from cluster 2 on.
pub(super) fn tables(
    boot: &BootSector,
    extents: Vec<Extent>,
) -> impl Iterator<Item = Write> + Send + use<> {
    let extents = Arc::new(extents);
    let boot = boot.clone();
    let length = u64::from(boot.fat_sectors) * u64::from(boot.sector_size);
    // A table of 12 bits is at most 6 KiB; its entries cross bytes, so it is one piece.
    let window = if boot.bits == 12 { length } else { WINDOW };
    (0..boot.fats).flat_map(move |number| {
        let (extents, start, bits) = (Arc::clone(&extents), boot.fat_start(number), boot.bits);
        let windows = length.div_ceil(window);
        (0..windows).map(move |index| {
            let from = index * window;
            let bytes = encode_window(bits, &extents, from, window.min(length - from));
            Write {
                offset: start + from,
                bytes,
            }
        })
    })
}

fn encode_window(bits: u8, extents: &[Extent], from: u64, length: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    let entries_in = |bytes: u64| u32::try_from(bytes * 8 / u64::from(bits)).unwrap_or(u32::MAX);
    let (first, end) = (entries_in(from), entries_in(from + length));
    let end_of_all = extents.last().map_or(2, |last| last.first + last.count);
    let mut at = extents.partition_point(|extent| extent.first + extent.count <= first);
    for cluster in first..end.min(end_of_all) {
        while extents
            .get(at)
            .is_some_and(|extent| extent.first + extent.count <= cluster)
        {
            at += 1;
        }
        let mark = last_mark(bits) | 7;
        let value = match cluster {
            0 => mark & !0xff | u32::from(FIXED_DISK),
            1 => mark,
            _ => match extents.get(at) {
                Some(extent) if cluster + 1 < extent.first + extent.count => cluster + 1,
                _ => mark,
            },
        };
        put(
            &mut bytes,
            bits,
            usize::try_from(cluster - first).unwrap_or(usize::MAX),
            value,
        );
    }
    bytes
}

fn put(bytes: &mut [u8], bits: u8, index: usize, value: u32) {
    let raw = value.to_le_bytes();
    match bits {
        12 => {
            let shifted = (value << (index % 2 * 4)).to_le_bytes();
            if let Some(place) = bytes.get_mut(index + index / 2..index + index / 2 + 2) {
                place[0] |= shifted[0];
                place[1] |= shifted[1];
            }
        }
        16 => {
            if let Some(place) = bytes.get_mut(index * 2..index * 2 + 2) {
                place.copy_from_slice(&raw[..2]);
            }
        }
        _ => {
            if let Some(place) = bytes.get_mut(index * 4..index * 4 + 4) {
                place.copy_from_slice(&raw);
            }
        }
    }
}
