//! The disk, chosen by the names that stay with it; "the first" is none.

use std::path::PathBuf;

use anyhow::{Context, Result};
use image_format::image::Manifest;
use image_format::layout::Volume;
use imager::disk::identity::{self, Wish};
use imager::disk::list;
use imager::disk::{BlockDevice, ListedDisk};
use imager::survey::{Survey, glance};
use imager::{builders, scratch};
use inventory::DiskFacts;

use crate::job::Job;

/// The disk of a run, open for nobody else.
pub(super) struct Chosen {
    /// To read and write it.
    pub(super) device: BlockDevice,
    /// What it holds.
    pub(super) survey: Survey,
    /// What names it.
    pub(super) facts: DiskFacts,
    /// What would be lost although it could not be understood.
    pub(super) unreadable: Option<String>,
    /// Whether an apply was interrupted here: what it held is gone already,
    /// and somebody agreed to that.
    pub(super) half_written: bool,
}

impl Chosen {
    /// The disk for people: device, model, serial, size.
    pub(super) fn words(&self) -> String {
        words(&self.facts)
    }
}

fn words(facts: &DiskFacts) -> String {
    let name = facts.model.as_deref().unwrap_or("unnamed disk");
    let serial = facts
        .serial
        .as_deref()
        .or(facts.wwid.as_deref())
        .unwrap_or("no serial");
    format!(
        "{} ({name}, {serial}, {} MiB)",
        facts.device,
        facts.size >> 20
    )
}

/// Every disk of this machine, with the systems on it.
pub(crate) fn disks() -> Vec<DiskFacts> {
    let with_systems = |disk: &ListedDisk| {
        let surveyed = BlockDevice::open(&disk.path())
            .ok()
            .and_then(|d| glance(&d).ok());
        let systems = surveyed.map(|survey| survey.systems).unwrap_or_default();
        DiskFacts {
            holds: systems.into_iter().map(|system| system.name).collect(),
            ..facts(disk)
        }
    };
    list::list().iter().map(with_systems).collect()
}

fn facts(disk: &ListedDisk) -> DiskFacts {
    let known = |text: &String| (!text.is_empty()).then(|| text.clone());
    DiskFacts {
        device: disk.path().display().to_string(),
        model: known(&disk.identity.model),
        serial: known(&disk.identity.serial),
        wwid: known(&disk.identity.wwn),
        size: disk.identity.size,
        sector_size: disk.sector_size,
        holds: Vec::new(),
    }
}

/// The one disk this image goes to, opened and surveyed, nothing written.
pub(super) fn choose(job: &Job, manifest: &Manifest) -> Result<Chosen> {
    let disks = list::list();
    let disk = identity::choose(&disks, &wish(job, least_size(manifest)))?;
    let device = BlockDevice::open_writable(&disk.path())?;
    // The first choice stays the choice of this start.
    let _ = job.disk.set(disk.path());
    let marker = scratch::read(&device).ok().flatten();
    let (survey, unreadable) = match glance(&device) {
        Ok(survey) => (survey, None),
        Err(error) => (
            nothing_known(),
            Some(format!("{:#}", anyhow::Error::from(error))),
        ),
    };
    Ok(Chosen {
        half_written: marker.is_some(),
        facts: facts(disk),
        device,
        survey,
        unreadable,
    })
}

/// The disk that a capture is taken of, opened for reading only, and the words
/// for it.
pub(super) fn source(job: &Job) -> Result<(BlockDevice, String)> {
    let disks = list::list();
    let holds_system = |disk: &ListedDisk| {
        let device = disk.path().display().to_string();
        let known = job.facts.disks.iter().find(|facts| facts.device == device);
        known.is_some_and(|facts| !facts.holds.is_empty())
    };
    let disk = identity::choose_source(&disks, job.assignment.disk.as_deref(), holds_system)?;
    Ok((BlockDevice::open(&disk.path())?, words(&facts(disk))))
}

/// The disk of this run for reading only.
pub(super) fn open_to_read(job: &Job) -> Result<BlockDevice> {
    let path = match job.disk.get() {
        Some(path) => path.clone(),
        None => chosen_again(job)?,
    };
    BlockDevice::open(&path).with_context(|| path.display().to_string())
}

/// After a restart between two steps.
fn chosen_again(job: &Job) -> Result<PathBuf> {
    let disks = list::list();
    Ok(identity::choose(&disks, &wish(job, 0))?.path())
}

fn wish(job: &Job, least_size: u64) -> Wish {
    // The boot environment lives in memory: no disk is its medium.
    Wish {
        name: job.assignment.disk.clone(),
        least_size,
        boot_medium: Vec::new(),
    }
}

/// A disk whose table is damaged: what is on it is in `unreadable`.
fn nothing_known() -> Survey {
    Survey {
        layout: None,
        warnings: Vec::new(),
        systems: Vec::new(),
        refused: Vec::new(),
    }
}

/// The fewest bytes the image's partitions take, however they shrink.
fn least_size(manifest: &Manifest) -> u64 {
    let partitions = (0..).zip(&manifest.disk.partitions);
    let least = |(index, partition)| {
        let partition: &image_format::layout::Partition = partition;
        let tree = manifest.volumes.iter().find(|tree| tree.partition == index);
        match (&partition.volume, tree) {
            (Volume::Ext4(_), Some(tree)) => {
                builders::for_volume(&partition.volume).least_size(partition, tree)
            }
            _ => partition.size,
        }
    };
    partitions.map(least).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use image_format::layout::{DiskLayout, Partition, Scheme};
    use imager::disk::DiskIdentity;

    use super::*;

    #[test]
    fn partitions_that_cannot_shrink_count_whole() {
        let partition = |size| Partition {
            number: 1,
            start: 0,
            size,
            type_guid: [0; 16],
            guid: [0; 16],
            attributes: 0,
            name: Vec::new(),
            volume: Volume::Raw,
        };
        let disk = DiskLayout {
            sector_size: 512,
            size: 100,
            scheme: Scheme::None,
            boot_code: Vec::new(),
            partitions: vec![partition(30), partition(12)],
        };
        assert_eq!(
            least_size(&Manifest {
                disk,
                volumes: Vec::new()
            }),
            42
        );
    }

    #[test]
    fn names_that_a_disk_does_not_have_are_absent() {
        let disk = ListedDisk {
            name: "vda".to_owned(),
            identity: DiskIdentity {
                serial: "S1".to_owned(),
                size: 5,
                ..DiskIdentity::default()
            },
            sector_size: 512,
            removable: false,
            read_only: false,
            users: Vec::new(),
        };
        let facts = facts(&disk);
        assert_eq!(facts.device, "/dev/vda");
        assert_eq!(
            (facts.model, facts.serial, facts.wwid),
            (None, Some("S1".to_owned()), None)
        );
    }
}
