//! The firmware is told to start the disk next.
//!
//! Where that does not work the run goes on: the server answers this machine's
//! next network boot with "start the disk" too.

use std::path::Path;

use anyhow::{Context, Result};
use image_format::layout::{DiskLayout, Scheme};
use imager::disk::Disk;
use imager::table;
use inventory::Firmware;

use super::disk;
use super::scene::Scene;
use crate::hardware::efi::HardDrive;
use crate::hardware::firmware;

/// C12A7328-F81F-11D2-BA4B-00A0C93EC93B as stored (UEFI 2.10, table 5.7).
const EFI_SYSTEM_PARTITION: [u8; 16] = [
    0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
];

/// Makes the disk the next thing the firmware starts, if it is UEFI.
pub(super) fn set(scene: &mut Scene<'_>) -> Result<()> {
    if scene.job.facts.firmware == Firmware::Bios {
        return scene.note("BIOS: the server's answer to the next network boot starts the disk");
    }
    let entry = disk::open_to_read(scene.job).and_then(|disk| {
        let partition = system_partition(&disk)?;
        firmware::boot_from(Path::new("/"), partition)
    });
    match entry {
        Ok(number) => scene.note(format!(
            "the firmware starts the disk next (Boot{number:04X})"
        )),
        Err(error) => scene.note(format!(
            "no boot entry could be made: {error:#}; \
             the disk starts through the server's answer to the next network boot"
        )),
    }
}

fn system_partition(disk: &dyn Disk) -> Result<HardDrive> {
    let layout = table::read(disk)?.context("the disk has no partition table")?;
    find(&layout).context("the disk has no EFI system partition on a GPT")
}

/// The EFI system partition, in the sectors that the firmware counts.
fn find(layout: &DiskLayout) -> Option<HardDrive> {
    matches!(layout.scheme, Scheme::Gpt { .. }).then_some(())?;
    let partition = layout
        .partitions
        .iter()
        .find(|p| p.type_guid == EFI_SYSTEM_PARTITION)?;
    let sector = u64::from(layout.sector_size);
    Some(HardDrive {
        number: partition.number,
        start: partition.start.checked_div(sector)?,
        size: partition.size.checked_div(sector)?,
        guid: partition.guid,
    })
}

#[cfg(test)]
mod tests {
    use image_format::layout::{Partition, Volume};

    use super::*;

    fn layout(scheme: Scheme, sector_size: u32) -> DiskLayout {
        let partition = Partition {
            number: 2,
            start: 1 << 20,
            size: 64 << 20,
            type_guid: EFI_SYSTEM_PARTITION,
            guid: [3; 16],
            attributes: 0,
            name: Vec::new(),
            volume: Volume::Empty,
        };
        let other = Partition {
            number: 1,
            type_guid: [1; 16],
            ..partition.clone()
        };
        let partitions = vec![other, partition];
        DiskLayout {
            sector_size,
            size: 1 << 30,
            scheme,
            boot_code: Vec::new(),
            partitions,
        }
    }

    #[test]
    fn places_are_counted_in_the_disks_own_sectors() {
        let gpt = Scheme::Gpt { disk_guid: [0; 16] };
        let found = find(&layout(gpt, 4096)).unwrap();
        assert_eq!((found.number, found.start, found.size), (2, 256, 16384));
        assert_eq!(find(&layout(gpt, 512)).unwrap().start, 2048);
        assert_eq!(find(&layout(Scheme::Mbr { signature: 1 }, 512)), None);
    }
}
