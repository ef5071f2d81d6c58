//! A disk against an image, with nothing but the disk itself: its own table
//! says where volumes lie, the image says what must be in them.

use image_format::image::Manifest;
use image_format::layout::{DiskLayout, Partition, Scheme, Volume};

use super::difference::{Report, What};
use super::{Difference, Expected, ReadBack, verify, words};
use crate::disk::Disk;
use crate::table;

/// Compares `disk` with the image: table, names and ids of partitions, and
/// every volume, wherever on the disk and however large it is. What was laid
/// over the image when it was applied is told as a difference. `done` hears of
/// the bytes that were compared, from several threads.
///
/// # Errors
/// Each difference by name, up to a thousand a volume.
pub fn verify_image(
    disk: &dyn Disk,
    manifest: &Manifest,
    done: &(dyn Fn(u64) + Sync),
) -> Result<ReadBack, Vec<Difference>> {
    let mut report = Report::new(0);
    let partitions = match manifest.disk.scheme {
        Scheme::None | Scheme::Tree => whole(disk, manifest),
        Scheme::Gpt { .. } | Scheme::Mbr { .. } => by_table(disk, &manifest.disk, &mut report),
    };
    let mut differences = report.told();
    // Volumes are told by their index in the image: all must have a place.
    if partitions.len() != manifest.disk.partitions.len() {
        return Err(differences);
    }
    let expected = Expected::of_layout(manifest, &partitions);
    match verify(disk, &expected, done) {
        Ok(read) if differences.is_empty() => Ok(read),
        Ok(_) => Err(differences),
        Err(mut more) => {
            differences.append(&mut more);
            Err(differences)
        }
    }
}

/// Bytes of content [`verify_image`] will read.
pub fn bytes_to_verify(manifest: &Manifest) -> u64 {
    let expected = Expected::of_manifest(manifest);
    expected.iter().map(Expected::bytes).sum()
}

/// The volume of an image without a table: all of the disk, but what nobody
/// understands keeps its size.
fn whole(disk: &dyn Disk, manifest: &Manifest) -> Vec<Partition> {
    let fill = |partition: &Partition| match partition.volume {
        Volume::Raw | Volume::Empty => partition.clone(),
        _ => resized(partition, 0, disk.size()),
    };
    manifest.disk.partitions.iter().map(fill).collect()
}

fn resized(partition: &Partition, start: u64, size: u64) -> Partition {
    Partition {
        start,
        size,
        ..partition.clone()
    }
}

/// The image's partitions at the places the disk's own table gives them.
fn by_table(disk: &dyn Disk, image: &DiskLayout, report: &mut Report) -> Vec<Partition> {
    let mut notes = Vec::new();
    let found = match table::read_noting(disk, &mut notes) {
        Ok(Some(found)) => found,
        Ok(None) => {
            report.tell(
                &[],
                What::Volume("the disk has no partition table".to_owned()),
            );
            return Vec::new();
        }
        Err(error) => {
            report.tell(&[], What::Volume(error.to_string()));
            return Vec::new();
        }
    };
    // What a reader works around is not what an apply wrote.
    for note in notes {
        report.tell(&[], What::Volume(note));
    }
    let schemes = (&image.scheme, &found.scheme);
    report.property(&[], "partition table", schemes, words::scheme);
    if image.boot_code != found.boot_code {
        report.tell(&[], What::Volume("boot code differs".to_owned()));
    }
    let mut partitions = Vec::new();
    for expected in &image.partitions {
        let same = |partition: &&Partition| partition.number == expected.number;
        let mut of_this = Report::new(expected.number);
        match found.partitions.iter().find(same) {
            Some(there) => {
                same_words(&image.scheme, expected, there, &mut of_this);
                partitions.push(resized(expected, there.start, there.size));
            }
            None => of_this.tell(&[], What::Missing),
        }
        report.differences.append(&mut of_this.told());
    }
    let numbers: Vec<u32> = image.partitions.iter().map(|p| p.number).collect();
    for extra in found
        .partitions
        .iter()
        .filter(|p| !numbers.contains(&p.number))
    {
        let mut of_this = Report::new(extra.number);
        of_this.tell(&[], What::Extra);
        report.differences.append(&mut of_this.told());
    }
    partitions
}

/// Type, id, name and attributes of a partition.
fn same_words(scheme: &Scheme, expected: &Partition, found: &Partition, report: &mut Report) {
    let id = |bytes: &[u8; 16]| words::partition_id(scheme, bytes);
    let types = (&expected.type_guid, &found.type_guid);
    report.property(&[], "partition type", types, id);
    report.property(&[], "partition id", (&expected.guid, &found.guid), id);
    let name = |name: &Vec<u16>| String::from_utf16_lossy(name);
    report.property(&[], "partition name", (&expected.name, &found.name), name);
    let attributes = (&expected.attributes, &found.attributes);
    report.property(&[], "partition attributes", attributes, |bits| {
        format!("{bits:#x}")
    });
}
