//! One volume of a disk's image, as an image of its own: without a table, it
//! goes onto a partition or into a file. A directory tree becomes such a volume.

use image_format::ids::ImageId;
use image_format::image::{Manifest, VolumeTree};
use image_format::layout::{DiskLayout, Ext4Facts, Partition, Scheme, Volume};

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
    let (size, volume) = (partition.size, partition.volume.clone());
    Ok(Manifest {
        disk: alone(manifest.disk.sector_size, size, volume),
        volumes: volumes.collect(),
    })
}

/// The directory tree of `image` as an ext4 volume with the names and shape
/// `mke2fs` would give one, but ids that follow from the image: the same image
/// makes the same volume.
pub fn tree_as_ext4(image: &ImageId, manifest: &Manifest) -> Manifest {
    let id = |word: &str| -> [u8; 16] {
        let context = format!("mimeo 2026 volume of a tree: {word}");
        let mut bytes = [0; 16];
        let mut hasher = blake3::Hasher::new_derive_key(&context);
        hasher
            .update(image.as_bytes())
            .finalize_xof()
            .fill(&mut bytes);
        // RFC 9562, section 5.8: version 8, made as its maker likes.
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        bytes
    };
    let facts = Ext4Facts {
        uuid: id("uuid"),
        label: [0; 16],
        hash_seed: id("hash seed"),
        block_size: 4096,
        inode_size: 256,
        size: 0,
        used: 0,
        features: [0; 3],
        defaults: MKE2FS_DEFAULTS,
        reserved_percent: 5,
    };
    Manifest {
        disk: alone(manifest.disk.sector_size, 0, Volume::Ext4(facts)),
        volumes: manifest.volumes.clone(),
    }
}

/// `s_default_mount_opts` (user attributes and ACLs), half-MD4 as hash of
/// names, and to go on after an error.
const MKE2FS_DEFAULTS: [u32; 3] = [0xc, 1, 1];

/// A disk that is one volume.
fn alone(sector_size: u32, size: u64, volume: Volume) -> DiskLayout {
    let partition = Partition {
        number: 1,
        start: 0,
        size,
        type_guid: [0; 16],
        guid: [0; 16],
        attributes: 0,
        name: Vec::new(),
        volume,
    };
    DiskLayout {
        sector_size,
        size,
        scheme: Scheme::None,
        boot_code: Vec::new(),
        partitions: vec![partition],
    }
}
