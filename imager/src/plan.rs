//! An image, a disk and wishes become a plan, or a refusal with every reason.
//!
//! A plan holds every decision: where each partition, volume and chunk will
//! lie, and what else is laid over the image. Carrying it out decides nothing.

mod arrange;
mod fit;
mod overlay;
mod places;
mod refusal;
mod show;
mod single;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;

use image_format::ids::{ChunkId, ImageId};
use image_format::image::Manifest;
use image_format::layout::{DiskLayout, Partition, Scheme, Volume};
use image_format::proof::{OverlayEntry, entry_digest};

pub use arrange::PlannedVolume;
pub use overlay::{OverlayFile, OverlayKind};
pub use places::{Places, Stretch};
pub use refusal::Refusal;
pub use single::{single, tree_as_ext4};
pub use target::{Target, Wishes};

/// Everything an apply will do to a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Hash of every decision below: two plans with one id do the same.
    pub id: [u8; 32],
    /// The image.
    pub image: ImageId,
    /// The disk as people name it.
    pub target: String,
    /// The disk as it shall be.
    pub layout: DiskLayout,
    /// One for each partition, in the same order.
    pub volumes: Vec<PlannedVolume>,
    /// Where each chunk goes.
    pub places: Places,
    /// Chunks of the overlay: here already, not to be fetched.
    pub local: BTreeMap<ChunkId, Arc<[u8]>>,
    /// What the overlay is made of, as the proof will name it.
    pub overlay: Vec<OverlayEntry>,
    /// Whether the layout leaves the scratch area free; without it an
    /// interrupted apply begins anew.
    pub scratch_free: bool,
    /// What is lost: partitions and systems on the disk now.
    pub destroys: Vec<String>,
    /// What people should know before they agree.
    pub notes: Vec<String>,
}

impl Plan {
    /// Bytes that must come from the share at the most, before what lies on
    /// the disk already is looked at.
    pub fn bytes_to_fetch(&self) -> u64 {
        self.chunks_to_fetch().map(|(_, length)| length).sum()
    }

    /// Bytes of contents that the disk will hold, each copy of a chunk counted.
    pub fn bytes_to_write(&self) -> u64 {
        let stretches = self.places.iter().flat_map(|(_, stretches)| stretches);
        stretches.map(|stretch| u64::from(stretch.length)).sum()
    }

    /// Every chunk that must come from the share, with its length.
    pub fn chunks_to_fetch(&self) -> impl Iterator<Item = (&ChunkId, u64)> {
        let remote = self
            .places
            .iter()
            .filter(|(id, _)| !self.local.contains_key(id));
        remote.map(|(id, stretches)| {
            let last = first_place(stretches).last();
            (
                id,
                last.map_or(0, |s| u64::from(s.from) + u64::from(s.length)),
            )
        })
    }

    /// The partition of a planned volume.
    pub fn partition(&self, volume: &PlannedVolume) -> Option<&Partition> {
        self.layout
            .partitions
            .get(usize::try_from(volume.partition).ok()?)
    }
}

/// The stretches of the first of a chunk's places.
pub(crate) fn first_place(stretches: &[Stretch]) -> &[Stretch] {
    let next = stretches
        .iter()
        .skip(1)
        .position(|stretch| stretch.from == 0);
    &stretches[..next.map_or(stretches.len(), |at| at + 1)]
}

/// Decides how `manifest`, which is `image`, goes onto `target`.
///
/// # Errors
/// Every reason why it does not, gathered as far as one does not hide another.
pub fn plan(
    image: ImageId,
    manifest: &Manifest,
    target: &Target,
    wishes: &Wishes,
) -> Result<Plan, Vec<Refusal>> {
    let mut refusals = target::unsuitable(target, wishes);
    let laid = overlay::lay_over(manifest, &wishes.overlay, wishes.overlay_time);
    let laid = laid.map_err(|mut more| refusals.append(&mut more)).ok();
    let fitted = laid.and_then(|laid| {
        let fit = fit::fit(manifest, target, wishes, &laid.trees);
        Some((
            fit.map_err(|mut more| refusals.append(&mut more)).ok()?,
            laid,
        ))
    });
    let Some((fit, laid)) = fitted else {
        return Err(refusals);
    };
    let mut places = Places::default();
    let volumes = arrange::lay_out(manifest, &fit.layout, laid.trees, laid.paths, &mut places);
    let volumes = volumes.map_err(|mut more| refusals.append(&mut more)).ok();
    let (Some(volumes), true) = (volumes, refusals.is_empty()) else {
        return Err(refusals);
    };
    let overlay = overlay_entries(&volumes);
    Ok(Plan {
        id: identify(&image, &fit.layout, &volumes, &overlay, &places),
        image,
        target: target.name.clone(),
        notes: notes(manifest, &fit),
        layout: fit.layout,
        volumes,
        places,
        local: laid.local,
        overlay,
        scratch_free: fit.scratch_free,
        destroys: destroys(target),
    })
}

fn overlay_entries(volumes: &[PlannedVolume]) -> Vec<OverlayEntry> {
    let mut entries = Vec::new();
    for volume in volumes {
        let ours = volume
            .tree
            .entries
            .iter()
            .filter(|e| volume.overlay.contains(&e.path));
        entries.extend(ours.map(|entry| OverlayEntry {
            partition: volume.partition,
            path: entry.path.clone(),
            digest: entry_digest(entry),
        }));
    }
    entries
}

fn identify(
    image: &ImageId,
    layout: &DiskLayout,
    volumes: &[PlannedVolume],
    overlay: &[OverlayEntry],
    places: &Places,
) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("mimeo 2026 plan 0");
    hasher.update(image.as_bytes());
    hasher.update(&layout.size.to_le_bytes());
    hasher.update(&layout.sector_size.to_le_bytes());
    for partition in &layout.partitions {
        hasher.update(&partition.number.to_le_bytes());
        hasher.update(&partition.start.to_le_bytes());
        hasher.update(&partition.size.to_le_bytes());
    }
    for entry in overlay {
        hasher.update(&entry.partition.to_le_bytes());
        hasher.update(&(entry.path.len() as u64).to_le_bytes());
        hasher.update(&entry.path);
        hasher.update(&entry.digest);
    }
    for write in volumes.iter().flat_map(|volume| &volume.withheld) {
        hasher.update(&write.offset.to_le_bytes());
        hasher.update(blake3::hash(&write.bytes).as_bytes());
    }
    hasher.update(&places.digest());
    *hasher.finalize().as_bytes()
}

fn notes(manifest: &Manifest, fit: &fit::Fit) -> Vec<String> {
    let mut notes = Vec::new();
    if !fit.scratch_free {
        notes.push(
            "the partitions leave no room at the end of the disk: \
             an interrupted apply begins anew"
                .to_owned(),
        );
    }
    let (old, new) = (&manifest.disk, &fit.layout);
    let boots_by_code = !old.boot_code.is_empty() || matches!(old.scheme, Scheme::Mbr { .. });
    let moved: Vec<_> = old
        .partitions
        .iter()
        .zip(&new.partitions)
        .filter(|(old, new)| old.start != new.start && matches!(old.volume, Volume::Raw))
        .map(|(old, _)| old.number.to_string())
        .collect();
    if boots_by_code && !moved.is_empty() {
        let moved = moved.join(", ");
        notes.push(format!(
            "partition {moved} moves; a BIOS boot loader in it will not start"
        ));
    }
    if old.sector_size != new.sector_size {
        let (old, new) = (old.sector_size, new.sector_size);
        notes.push(format!(
            "sectors change from {old} to {new} bytes; volumes are made anew"
        ));
        let raw = manifest
            .disk
            .partitions
            .iter()
            .filter(|p| matches!(p.volume, Volume::Raw));
        notes.extend(raw.map(|partition| {
            let number = partition.number;
            format!("partition {number} is kept as it lies and may depend on its old sectors")
        }));
    }
    notes
}

fn destroys(target: &Target) -> Vec<String> {
    let systems = target
        .systems
        .iter()
        .map(|system| match system.name.as_str() {
            "" => String::from("a system without a name"),
            name => name.to_owned(),
        });
    let partitions = target.present.iter().flat_map(|layout| &layout.partitions);
    let partitions = partitions.map(|partition| {
        let name = String::from_utf16_lossy(&partition.name);
        let size = show::bytes(partition.size);
        format!("partition {} {name} ({size})", partition.number)
    });
    systems.chain(partitions).collect()
}
