//! One volume of a disk's image, as an image of its own: without a table, it
//! goes onto a partition or into a file.

use image_format::image::{Manifest, VolumeTree};
use image_format::layout::{DiskLayout, Partition, Scheme};

use super::refusal::Refusal;

/// What `manifest` holds of partition `number`, as a volume without a table.
///
/// # Errors
/// When the image has no such partition.
pub fn single(manifest: &Manifest, number: u32) -> Result<Manifest, Refusal> {
    let partitions = &manifest.disk.partitions;
    let found = (0_u32..).zip(partitions).find(|(_, p)| p.number == number);
    let Some((index, partition)) = found else {
        let numbers: Vec<_> = partitions.iter().map(|p| p.number.to_string()).collect();
        return Err(Refusal::NoSuchVolume {
            partition: number,
            present: numbers.join(", "),
        });
    };
    let trees = manifest
        .volumes
        .iter()
        .filter(|tree| tree.partition == index);
    let volumes = trees.map(|tree| VolumeTree {
        partition: 0,
        entries: tree.entries.clone(),
    });
    let alone = Partition {
        number: 1,
        start: 0,
        size: partition.size,
        type_guid: [0; 16],
        guid: [0; 16],
        attributes: 0,
        name: Vec::new(),
        volume: partition.volume.clone(),
    };
    Ok(Manifest {
        disk: DiskLayout {
            sector_size: manifest.disk.sector_size,
            size: partition.size,
            scheme: Scheme::None,
            boot_code: Vec::new(),
            partitions: vec![alone],
        },
        volumes: volumes.collect(),
    })
}
