//! Every volume laid out in its partition, and every byte of the disk given to
//! one thing only.

use std::collections::{BTreeMap, BTreeSet};

use image_format::image::{Manifest, VolumeTree};
use image_format::layout::{DiskLayout, Partition, Volume};

use super::places::Places;
use super::refusal::Refusal;
use crate::builders;
use crate::volume::Write;

/// The beginning of a raw volume that is written last: whatever would make it
/// boot is there, and no builder knows it.
const RAW_HELD: u64 = 4096;

/// A volume as it shall lie on the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedVolume {
    /// Index into [`DiskLayout::partitions`] of [`Plan::layout`].
    pub partition: u32,
    /// Bytes of the partition on the reference disk.
    pub was: u64,
    /// The image's entries with the overlay among them.
    pub tree: VolumeTree,
    /// Paths that are the overlay's and not the image's.
    pub overlay: BTreeSet<Vec<u8>>,
    /// What makes it a volume, at offsets of the disk: destroyed first,
    /// written last.
    pub withheld: Vec<Write>,
    /// Ranges of the disk (offset, length) whose content is withheld too, but
    /// comes from blocks: the beginning of raw volumes.
    pub held: Vec<(u64, u64)>,
    /// Ranges of the disk (offset, length) that must read as zeros.
    pub zeros: Vec<(u64, u64)>,
}

/// Lays out every volume and notes the places of its chunks.
pub(super) fn lay_out(
    manifest: &Manifest,
    layout: &DiskLayout,
    trees: Vec<VolumeTree>,
    mut paths: BTreeMap<usize, BTreeSet<Vec<u8>>>,
    places: &mut Places,
) -> Result<Vec<PlannedVolume>, Vec<Refusal>> {
    let mut refusals = Vec::new();
    let mut volumes = Vec::new();
    let partitions = layout
        .partitions
        .iter()
        .zip(&manifest.disk.partitions)
        .zip(trees);
    for (index, ((partition, source), tree)) in partitions.enumerate() {
        let overlay = paths.remove(&index).unwrap_or_default();
        match lay_out_one(partition, layout.sector_size, &tree, places) {
            Ok(withheld) => volumes.push(PlannedVolume {
                partition: tree.partition,
                was: source.size,
                overlay,
                withheld,
                held: held(partition, &tree),
                zeros: zeros(partition, &tree),
                tree,
            }),
            Err(mut more) => refusals.append(&mut more),
        }
    }
    if refusals.is_empty()
        && let Some(offset) = places.collision(volumes.iter().flat_map(fixed))
    {
        let covers = |p: &&Partition| (p.start..p.start + p.size).contains(&offset);
        let partition = layout
            .partitions
            .iter()
            .find(covers)
            .map_or(0, |p| p.number);
        let what = format!("two things at byte {offset} of the disk");
        refusals.push(Refusal::Layout { partition, what });
    }
    if refusals.is_empty() {
        Ok(volumes)
    } else {
        Err(refusals)
    }
}

/// Ranges of a volume that no chunk may touch.
fn fixed(volume: &PlannedVolume) -> impl Iterator<Item = (u64, u64)> {
    let withheld = volume
        .withheld
        .iter()
        .map(|w| (w.offset, w.bytes.len() as u64));
    withheld.chain(volume.zeros.iter().copied())
}

/// Places one volume; answers with what is withheld, at offsets of the disk.
fn lay_out_one(
    partition: &Partition,
    sector_size: u32,
    tree: &VolumeTree,
    places: &mut Places,
) -> Result<Vec<Write>, Vec<Refusal>> {
    if matches!(partition.volume, Volume::Empty) {
        return Ok(Vec::new());
    }
    let number = partition.number;
    let (start, size) = (partition.start, partition.size);
    let builder = builders::for_volume(&partition.volume);
    let layout = builder
        .lay_out(partition, tree, size, sector_size)
        .map_err(|reasons| {
            let refusal = |source| Refusal::Volume {
                partition: number,
                source,
            };
            reasons.into_iter().map(refusal).collect::<Vec<_>>()
        })?;
    let unsound = |what| {
        vec![Refusal::Layout {
            partition: number,
            what,
        }]
    };
    places
        .add(tree, &layout.places, start, size)
        .map_err(unsound)?;
    let inside = |write: &Write| {
        write
            .offset
            .checked_add(write.bytes.len() as u64)
            .is_some_and(|end| end <= size)
    };
    if !layout.withheld.iter().all(inside) {
        return Err(unsound("it withholds bytes past its end".to_owned()));
    }
    let on_disk = |write: Write| Write {
        offset: start + write.offset,
        ..write
    };
    Ok(layout.withheld.into_iter().map(on_disk).collect())
}

fn held(partition: &Partition, tree: &VolumeTree) -> Vec<(u64, u64)> {
    match partition.volume {
        Volume::Raw if !tree.entries.is_empty() => {
            vec![(partition.start, partition.size.min(RAW_HELD))]
        }
        _ => Vec::new(),
    }
}

/// What no builder fills and must read as zeros: an empty partition, and what
/// is behind a raw volume in a larger partition.
fn zeros(partition: &Partition, tree: &VolumeTree) -> Vec<(u64, u64)> {
    if !matches!(partition.volume, Volume::Raw | Volume::Empty) {
        return Vec::new();
    }
    let filled = tree.entries.first().map_or(0, |entry| entry.content.size());
    match partition.size.checked_sub(filled) {
        Some(length) if length > 0 => vec![(partition.start + filled, length)],
        _ => Vec::new(),
    }
}
