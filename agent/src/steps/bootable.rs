//! Does the image hold what this machine's firmware starts? Asked before the
//! first write: a proven copy that never starts helps nobody.

use anyhow::{Result, bail};
use image_format::image::Manifest;
use image_format::layout::Volume;
use inventory::Firmware;

/// The loader that firmware takes from an EFI system partition without being
/// told (UEFI specification, section 3.5.1.1), and that our boot entry names.
const LOADER: &str = "EFI/BOOT/BOOTX64.EFI";

/// Refuses an image that `firmware` cannot start.
pub(super) fn check(manifest: &Manifest, firmware: Firmware) -> Result<()> {
    match firmware {
        Firmware::Bios if manifest.disk.boot_code.is_empty() => bail!(
            "this machine starts by BIOS, and the image has no boot code in its first sector; \
             start the machine by UEFI, or capture a reference that starts by BIOS too"
        ),
        Firmware::Uefi | Firmware::UefiSecureBoot if !has_loader(manifest) => bail!(
            "this machine starts by UEFI, and the image has no {LOADER} on a FAT volume; \
             capture a reference that starts by UEFI, or start the machine by BIOS"
        ),
        _ => Ok(()),
    }
}

/// FAT compares names without case.
fn has_loader(manifest: &Manifest) -> bool {
    manifest.volumes.iter().any(|tree| {
        let index = usize::try_from(tree.partition).unwrap_or(usize::MAX);
        let partition = manifest.disk.partitions.get(index);
        partition.is_some_and(|partition| matches!(partition.volume, Volume::Fat(_)))
            && tree
                .entries
                .iter()
                .any(|e| e.path.eq_ignore_ascii_case(LOADER.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use image_format::entry::{Entry, Kind};
    use image_format::image::VolumeTree;
    use image_format::layout::{DiskLayout, FatFacts, Partition, Scheme};

    use super::*;

    fn image(boot_code: &[u8], paths: &[&str]) -> Manifest {
        let facts = FatFacts {
            bits: 32,
            serial: 1,
            label: *b"ESP        ",
            cluster_size: 512,
            size: 64 << 20,
            used: 0,
            hidden_sectors: 0,
            oem_name: *b"mkfs.fat",
            boot_code: Vec::new(),
        };
        let partition = Partition {
            number: 1,
            start: 1 << 20,
            size: 64 << 20,
            type_guid: [0; 16],
            guid: [0; 16],
            attributes: 0,
            name: Vec::new(),
            volume: Volume::Fat(facts),
        };
        Manifest {
            disk: DiskLayout {
                sector_size: 512,
                size: 1 << 30,
                scheme: Scheme::Gpt { disk_guid: [1; 16] },
                boot_code: boot_code.to_vec(),
                partitions: vec![partition],
            },
            volumes: vec![VolumeTree {
                partition: 0,
                entries: paths.iter().map(|&p| Entry::new(p, Kind::File)).collect(),
            }],
        }
    }

    #[test]
    fn an_image_without_a_boot_file_is_refused_on_the_firmware_that_needs_it() {
        let bare = image(&[], &["EFI/debian/shimx64.efi"]);
        for firmware in [Firmware::Bios, Firmware::Uefi, Firmware::UefiSecureBoot] {
            let reason = check(&bare, firmware).unwrap_err().to_string();
            assert!(reason.contains("the image has no"), "{reason}");
        }
    }

    #[test]
    fn boot_code_serves_bios_and_a_loader_in_any_case_serves_uefi() {
        let bios = image(&[0xeb], &[]);
        assert!(check(&bios, Firmware::Bios).is_ok());
        assert!(check(&bios, Firmware::Uefi).is_err());
        let uefi = image(&[], &["efi/boot/bootx64.efi"]);
        assert!(check(&uefi, Firmware::UefiSecureBoot).is_ok());
        assert!(check(&uefi, Firmware::Bios).is_err());
    }
}
