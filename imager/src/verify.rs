//! A disk read back and compared with what an image says it holds, name by
//! name and chunk by chunk. Nothing is believed because it was written.

mod compare;
mod content;
mod difference;
mod image;
mod words;

use std::collections::BTreeSet;

use image_format::entry::Entry;
use image_format::image::{Manifest, VolumeTree};
use image_format::layout::{Partition, Volume};
use image_format::proof::{OverlayEntry, VolumeProof, entry_digest, volume_root};

pub(crate) use difference::Differences;
pub use difference::{Difference, What};
pub use image::{bytes_to_verify, verify_image};

use crate::disk::{Disk, Window};
use crate::plan::Plan;
use crate::readers;
use crate::volume::Found;
use difference::Report;

/// What a partition must hold.
#[derive(Debug, Clone)]
pub struct Expected<'e> {
    /// The partition, at its place on the disk to be read.
    pub partition: &'e Partition,
    /// Index of the partition, as the proof names it.
    pub index: u32,
    /// Its entries; `None` where the image has none.
    pub tree: Option<&'e VolumeTree>,
    /// Paths that are not the image's: compared, but not part of the root.
    pub overlay: Option<&'e BTreeSet<Vec<u8>>>,
}

impl<'e> Expected<'e> {
    /// What the disk must hold after `plan` was carried out.
    pub fn of_plan(plan: &'e Plan) -> Vec<Self> {
        let volumes = plan.volumes.iter().zip(&plan.layout.partitions);
        volumes
            .map(|(volume, partition)| Self {
                partition,
                index: volume.partition,
                tree: Some(&volume.tree).filter(|tree| !tree.entries.is_empty()),
                overlay: Some(&volume.overlay),
            })
            .collect()
    }

    /// What the reference disk itself holds, each partition at its old place.
    pub fn of_manifest(manifest: &'e Manifest) -> Vec<Self> {
        Self::of_layout(manifest, &manifest.disk.partitions)
    }

    /// What a disk with the image on it holds, with the partitions as its own
    /// table has them (sizes and places may differ, the order may not).
    pub fn of_layout(manifest: &'e Manifest, partitions: &'e [Partition]) -> Vec<Self> {
        let indexes = 0_u32..;
        let all = partitions.iter().zip(indexes);
        let tree = |index| manifest.volumes.iter().find(|tree| tree.partition == index);
        all.map(|(partition, index)| Self {
            partition,
            index,
            tree: tree(index),
            overlay: None,
        })
        .collect()
    }

    /// Bytes of content to read back.
    pub fn bytes(&self) -> u64 {
        let entries = self.tree.iter().flat_map(|tree| &tree.entries);
        entries.map(|entry| content::stored(&entry.content)).sum()
    }
}

/// What was read back and found to be as it must.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadBack {
    /// One for each volume with entries.
    pub volumes: Vec<VolumeProof>,
    /// What was laid over the image.
    pub overlay: Vec<OverlayEntry>,
}

/// Reads every volume back and compares it. `done` hears of the bytes that
/// were compared, from several threads.
///
/// # Errors
/// Each difference by name, up to a thousand a volume, and how many more.
pub fn verify(
    disk: &dyn Disk,
    expected: &[Expected<'_>],
    done: &(dyn Fn(u64) + Sync),
) -> Result<ReadBack, Vec<Difference>> {
    let mut differences = Vec::new();
    let mut all = ReadBack::default();
    for volume in expected {
        let mut report = Report::new(volume.partition.number);
        let read = verify_volume(disk, volume, &mut report, done);
        let read = read.unwrap_or_default();
        all.volumes.extend(prove(volume, &read, &mut report));
        all.overlay.extend(overlay(volume, &read));
        differences.append(&mut report.told());
    }
    if differences.is_empty() {
        Ok(all)
    } else {
        Err(differences)
    }
}

/// The entries of a volume as read, once nothing about them differs.
fn verify_volume(
    disk: &dyn Disk,
    expected: &Expected<'_>,
    report: &mut Report,
    done: &(dyn Fn(u64) + Sync),
) -> Option<Vec<Entry>> {
    let partition = expected.partition;
    let Some(window) = Window::new(disk, partition.start, partition.size) else {
        report.tell(
            &[],
            What::Volume("it reaches past the end of the disk".to_owned()),
        );
        return None;
    };
    if expected.tree.is_none() && matches!(partition.volume, Volume::Raw | Volume::Empty) {
        content::all_zeros(&window, report);
        return None;
    }
    let opened = readers::open(&window);
    let entries: Result<Vec<Found>, _> = opened.and_then(|reader| {
        compare::volumes(&partition.volume, &reader.volume(), report);
        reader.entries()
    });
    let found = match entries {
        Ok(found) => found,
        Err(error) => {
            report.tell(&[], What::Volume(error.to_string()));
            return None;
        }
    };
    let tree = expected.tree?;
    let pairs = compare::entries(&tree.entries, &found, report);
    content::compare(&window, &tree.entries, &found, &pairs, report, done);
    if !report.differences.is_empty() {
        return None;
    }
    // What was read, not what was expected: only contents, whose every byte
    // was hashed and found equal, are named by the image's chunks.
    let read = |pair: &compare::Pair| Entry {
        content: tree.entries[pair.expected].content.clone(),
        ..found[pair.found].entry.clone()
    };
    Some(pairs.iter().map(read).collect())
}

/// The root of what was read, which must be the image's.
fn prove(volume: &Expected<'_>, read: &[Entry], report: &mut Report) -> Option<VolumeProof> {
    let tree = volume.tree.filter(|_| report.differences.is_empty())?;
    let none = BTreeSet::new();
    let skip = volume.overlay.unwrap_or(&none);
    let proof = volume_root(volume.index, read, skip);
    if proof != volume_root(volume.index, &tree.entries, skip) {
        report.tell(&[], What::Volume("its root is not the image's".to_owned()));
        return None;
    }
    Some(proof)
}

/// What was read at the overlay's paths.
fn overlay<'a>(
    volume: &'a Expected<'_>,
    read: &'a [Entry],
) -> impl Iterator<Item = OverlayEntry> + 'a {
    let laid = |entry: &&Entry| {
        volume
            .overlay
            .is_some_and(|paths| paths.contains(&entry.path))
    };
    read.iter().filter(laid).map(|entry| OverlayEntry {
        partition: volume.index,
        path: entry.path.clone(),
        digest: entry_digest(entry),
    })
}
