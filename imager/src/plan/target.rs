//! The disk an image shall go to, what is wished, and whether the disk will do.

use image_format::entry::Timestamp;
use image_format::image::SystemWords;
use image_format::layout::DiskLayout;

use super::overlay::OverlayFile;
use super::refusal::Refusal;
use crate::disk::Disk;
use crate::survey::Survey;

/// What is known of the disk an image shall go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// How people name it.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
    /// Bytes a logical sector.
    pub sector_size: u32,
    /// It cannot be written.
    pub read_only: bool,
    /// The environment we are running in was started from it.
    pub boot_medium: bool,
    /// Who uses it: mount points, swap, holders.
    pub busy: Vec<String>,
    /// The partitions that will be destroyed.
    pub present: Option<DiskLayout>,
    /// Operating systems found on it.
    pub systems: Vec<SystemWords>,
}

impl Target {
    /// A disk as surveyed; that it is writable, idle and not the boot medium
    /// is assumed and for the caller to correct.
    pub fn of(disk: &dyn Disk, survey: &Survey) -> Self {
        Self {
            present: survey.layout.clone(),
            systems: survey.systems.clone(),
            ..Self::blank(disk)
        }
    }

    /// A disk nobody looked at.
    pub fn blank(disk: &dyn Disk) -> Self {
        Self {
            name: disk.describe(),
            size: disk.size(),
            sector_size: disk.sector_size(),
            read_only: false,
            boot_medium: false,
            busy: Vec::new(),
            present: None,
            systems: Vec::new(),
        }
    }
}

/// What is wished beyond the image itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// Laid over the volume that holds the system.
    pub overlay: Vec<OverlayFile>,
    /// The times of everything in the overlay; whole seconds count.
    pub overlay_time: Timestamp,
    /// Number of the partition that takes what is left; default: the largest ext4.
    pub grow: Option<u32>,
    /// Refuse a disk with an operating system on it unless `confirmed`.
    pub refuse_if_holds_system: bool,
    /// Somebody agreed that what is on the disk may be destroyed.
    pub confirmed: bool,
}

/// Reasons in the disk itself.
pub(super) fn unsuitable(target: &Target, wishes: &Wishes) -> Vec<Refusal> {
    let disk = || target.name.clone();
    let mut refusals = Vec::new();
    if target.boot_medium {
        refusals.push(Refusal::BootMedium { disk: disk() });
    }
    if !target.busy.is_empty() {
        refusals.push(Refusal::Busy {
            disk: disk(),
            by: target.busy.join(", "),
        });
    }
    if target.read_only {
        refusals.push(Refusal::ReadOnly { disk: disk() });
    }
    if wishes.refuse_if_holds_system && !wishes.confirmed && !target.systems.is_empty() {
        let systems: Vec<_> = target
            .systems
            .iter()
            .map(|system| system.name.as_str())
            .collect();
        refusals.push(Refusal::HoldsSystem {
            disk: disk(),
            systems: systems.join(", "),
        });
    }
    if !matches!(target.sector_size, 512 | 4096) {
        refusals.push(Refusal::SectorSize {
            disk: disk(),
            found: target.sector_size,
        });
    }
    refusals
}
