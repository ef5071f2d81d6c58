//! The image's partitions on a disk of another size and other sectors.
//!
//! What lies before the growing partition keeps its place, what lies after it
//! moves to the end, and the growing one takes what is between. A volume
//! without a table takes all there is.

use image_format::image::{Manifest, VolumeTree};
use image_format::layout::{DiskLayout, Partition, Scheme, Volume};

use super::refusal::Refusal;
use super::{Target, Wishes};
use crate::builders;
use crate::scratch;
use crate::table::{self, mbr};

/// Partitions are moved and cut in steps of this many bytes, as every
/// partitioning program since 2009 does.
const ALIGNMENT: u64 = 1 << 20;

/// A volume on a whole target has a multiple of this many bytes: blocks of
/// every file system, sectors of every disk.
const WHOLE: u64 = 4096;

/// Partitions as they shall lie on the target.
pub(super) struct Fit {
    /// The target's layout.
    pub(super) layout: DiskLayout,
    /// Whether the last 2 MiB stay free for the scratch area.
    pub(super) scratch_free: bool,
}

/// Places the image's partitions on the target.
pub(super) fn fit(
    manifest: &Manifest,
    target: &Target,
    wishes: &Wishes,
    trees: &[VolumeTree],
) -> Result<Fit, Vec<Refusal>> {
    let source = &manifest.disk;
    in_order(source)?;
    let limits = Limits::of(target, &source.scheme);
    let growing = growing(source, wishes)?;
    let layout = match (source.scheme, growing) {
        (Scheme::None, _) => fill(source, target, trees)?,
        (_, Some(index)) => stretch(source, index, &limits, target, &trees[index])?,
        (_, None) => keep(source, &limits, target)?,
    };
    if source.scheme != Scheme::None {
        aligned(&layout, target.sector_size)?;
    }
    // Long before anything is destroyed: what no table can say is no plan.
    table::encode(&layout, target.size, target.sector_size)
        .map_err(|source| vec![Refusal::Table { source }])?;
    let end = layout
        .partitions
        .iter()
        .map(|p| p.start + p.size)
        .max()
        .unwrap_or(0);
    Ok(Fit {
        scratch_free: end <= limits.scratch,
        layout,
    })
}

/// Ends on the target that partitions must not pass.
struct Limits {
    /// Where the scratch area begins.
    scratch: u64,
    /// Where the backup table begins.
    table: u64,
}

impl Limits {
    fn of(target: &Target, scheme: &Scheme) -> Self {
        let sector = u64::from(target.sector_size.max(512));
        // UEFI 5.3: 128 entries of 128 bytes and one sector of header.
        let backup = match scheme {
            Scheme::Gpt { .. } => 16384_u64.next_multiple_of(sector) + sector,
            Scheme::Mbr { .. } | Scheme::None | Scheme::Tree => 0,
        };
        let table = target.size.saturating_sub(backup) / sector * sector;
        let scratch = scratch::reserved_from(target.size, target.sector_size).unwrap_or(0);
        Self { scratch, table }
    }
}

/// The source's partitions must follow each other: everything below adds sizes.
fn in_order(source: &DiskLayout) -> Result<(), Vec<Refusal>> {
    let mut free = 0_u64;
    for partition in &source.partitions {
        if partition.start < free {
            let (partition, start) = (partition.number, partition.start);
            return Err(vec![Refusal::Overlap {
                partition,
                start,
                free,
            }]);
        }
        free = partition.start.checked_add(partition.size).ok_or_else(|| {
            vec![Refusal::Image {
                what: format!("partition {} ends past 2^64 bytes", partition.number),
            }]
        })?;
    }
    // Room for the sums and roundings below.
    if free > u64::MAX / 4 {
        return Err(vec![Refusal::Image {
            what: format!("it spans {free} bytes"),
        }]);
    }
    Ok(())
}

/// Which partition takes what is left: the wished one, whatever it holds (a
/// volume that nobody understands keeps its size in it), else the largest ext4.
fn growing(source: &DiskLayout, wishes: &Wishes) -> Result<Option<usize>, Vec<Refusal>> {
    let ext4 = |partition: &Partition| matches!(partition.volume, Volume::Ext4(_));
    let Some(number) = wishes.grow else {
        let all = source.partitions.iter().enumerate();
        return Ok(all
            .filter(|(_, p)| ext4(p))
            .max_by_key(|(_, p)| p.size)
            .map(|(i, _)| i));
    };
    let Some(index) = source.partitions.iter().position(|p| p.number == number) else {
        let numbers: Vec<_> = source
            .partitions
            .iter()
            .map(|p| p.number.to_string())
            .collect();
        return Err(vec![Refusal::NoSuchPartition {
            partition: number,
            present: numbers.join(", "),
        }]);
    };
    Ok(Some(index))
}

fn stretch(
    source: &DiskLayout,
    index: usize,
    limits: &Limits,
    target: &Target,
    tree: &VolumeTree,
) -> Result<DiskLayout, Vec<Refusal>> {
    let mut layout = retargeted(source, target);
    let grown = &source.partitions[index];
    let least = builders::for_volume(&grown.volume)
        .least_size(grown, tree)
        .min(u64::MAX / 4)
        .next_multiple_of(ALIGNMENT);
    let moved = |partition: &Partition| partition.size.next_multiple_of(ALIGNMENT);
    // A logical partition has its record in a step of its own before it.
    let lead = |partition: &Partition| match source.scheme {
        Scheme::Mbr { .. } if mbr::is_logical(partition.number) => ALIGNMENT,
        _ => 0,
    };
    let after = source.partitions[index + 1..].iter();
    let after: u64 = after
        .map(|partition| moved(partition) + lead(partition))
        .sum();
    let end = limits.scratch / ALIGNMENT * ALIGNMENT;
    let least_end = grown.start + least + after;
    if least_end > end {
        return Err(vec![Refusal::TooSmall {
            disk: target.name.clone(),
            needed: target.size + (least_end - end),
            present: target.size,
        }]);
    }
    let mut free = end;
    for partition in layout.partitions[index + 1..].iter_mut().rev() {
        partition.size = moved(partition);
        partition.start = free - partition.size;
        free = partition.start - lead(partition);
    }
    let start = grown.start;
    resize(&mut layout.partitions[index], free - start);
    Ok(layout)
}

/// One volume on the whole target. A volume nobody understands keeps its size.
fn fill(
    source: &DiskLayout,
    target: &Target,
    trees: &[VolumeTree],
) -> Result<DiskLayout, Vec<Refusal>> {
    let mut layout = retargeted(source, target);
    for (partition, tree) in layout.partitions.iter_mut().zip(trees) {
        let least = builders::for_volume(&partition.volume).least_size(partition, tree);
        if partition.start.saturating_add(least) > target.size {
            return Err(vec![Refusal::TooSmall {
                disk: target.name.clone(),
                needed: partition.start.saturating_add(least),
                present: target.size,
            }]);
        }
        if !matches!(partition.volume, Volume::Raw) {
            let room = target.size - partition.start;
            resize(partition, room / WHOLE * WHOLE);
        }
    }
    Ok(layout)
}

/// Nothing in the image can change its size: everything stays where it was.
fn keep(source: &DiskLayout, limits: &Limits, target: &Target) -> Result<DiskLayout, Vec<Refusal>> {
    let end = source.partitions.last().map_or(0, |p| p.start + p.size);
    if end > limits.table {
        return Err(vec![Refusal::TooSmall {
            disk: target.name.clone(),
            needed: target.size + (end - limits.table),
            present: target.size,
        }]);
    }
    Ok(retargeted(source, target))
}

fn retargeted(source: &DiskLayout, target: &Target) -> DiskLayout {
    DiskLayout {
        size: target.size,
        sector_size: target.sector_size,
        ..source.clone()
    }
}

fn resize(partition: &mut Partition, size: u64) {
    partition.size = size;
    match &mut partition.volume {
        Volume::Ext4(facts) => facts.size = size,
        Volume::Fat(facts) => facts.size = size,
        Volume::Swap { .. } | Volume::Raw | Volume::Empty | Volume::Tree => {}
    }
}

fn aligned(layout: &DiskLayout, sector_size: u32) -> Result<(), Vec<Refusal>> {
    let sector = u64::from(sector_size);
    let off = |p: &&Partition| !p.start.is_multiple_of(sector) || !p.size.is_multiple_of(sector);
    let refusals: Vec<_> = layout
        .partitions
        .iter()
        .filter(off)
        .map(|p| Refusal::Misaligned {
            partition: p.number,
            start: p.start,
            size: p.size,
            sector_size,
        })
        .collect();
    if refusals.is_empty() {
        Ok(())
    } else {
        Err(refusals)
    }
}
