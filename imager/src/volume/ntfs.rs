//! NTFS, as far as its free clusters: boot sector, the first file records and
//! the `$Bitmap`. Contents are taken sector by sector.
//!
//! Layout: the documentation of the Linux-NTFS project (boot sector, file
//! record, attributes, data runs) and `fs/ntfs3/ntfs.h` of the kernel.

mod record;

use super::VolumeError;
use super::bytes::read_bytes;
use super::used::{Allocation, Clusters, Used};
use crate::disk::Disk;
use record::{Record, Value};

/// Bytes of the bitmap read at a time.
const WINDOW: u64 = 1 << 20;
/// File records of these files: fixed since NTFS exists.
const LOG_FILE: u64 = 2;
const VOLUME: u64 = 3;
const BITMAP: u64 = 6;

const ATTRIBUTE_VOLUME: u32 = 0x70;
const ATTRIBUTE_DATA: u32 = 0x80;
const VOLUME_FLAGS: usize = 10;
const FLAG_DIRTY: u16 = 1;

/// The boot sector's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Geometry {
    cluster: u64,
    clusters: u64,
    /// First byte of the master file table.
    table: u64,
    /// Bytes of a file record.
    record: u64,
}

impl Geometry {
    /// `None` for what no NTFS has.
    fn decode(sector: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u16::from_le_bytes(sector.get(at..at + 2)?.try_into().ok()?));
        let long = |at: usize| Some(u64::from_le_bytes(sector.get(at..at + 8)?.try_into().ok()?));
        let byte = |at: usize| sector.get(at).copied();
        let bytes = u64::from(word(11)?);
        // Above 128 it is the negative of a power of two (Windows 10, large clusters).
        let each = match byte(13)? {
            few @ 1..=128 => u64::from(few),
            many @ 0xf4..=0xff => 1 << (256 - u32::from(many)),
            _ => return None,
        };
        let cluster = bytes.checked_mul(each)?;
        let sound = matches!(bytes, 512 | 1024 | 2048 | 4096)
            && cluster.is_power_of_two()
            && cluster <= 2 << 20;
        let record = match byte(64)? {
            few @ 1..=127 => u64::from(few).checked_mul(cluster)?,
            power @ 0xe1..=0xff => 1 << (256 - u32::from(power)),
            _ => return None,
        };
        let sound = sound && record.is_power_of_two() && (512..=65_536).contains(&record);
        sound.then_some(Self {
            cluster,
            clusters: long(40)? / each,
            table: long(48)?.checked_mul(cluster)?,
            record,
        })
    }
}

/// What the volume says of its free clusters.
///
/// # Errors
/// When the medium fails. What cannot be understood is [`Allocation::Unknown`]:
/// then everything that is not zero is kept, and nothing is lost.
pub fn allocation(disk: &dyn Disk) -> Result<Allocation, VolumeError> {
    let unknown = |why: &str| Ok(Allocation::Unknown(why.to_owned()));
    if disk.size() < 512 {
        return unknown("it is too small");
    }
    let Some(geometry) = Geometry::decode(&read_bytes(disk, "boot sector", 0, 512)?) else {
        return unknown("its boot sector is not understood");
    };
    let length = geometry.clusters.checked_mul(geometry.cluster);
    if length.is_none_or(|length| length > disk.size()) {
        return unknown("it is larger than its partition");
    }
    match is_clean(disk, &geometry)? {
        Some(true) => {}
        Some(false) => return unknown("it was not shut down properly"),
        None => return unknown("its volume record is not understood"),
    }
    let found = file_record(disk, &geometry, BITMAP)?;
    let Some(value) = found.filter(|record| record.is_named("$Bitmap")) else {
        return unknown("its bitmap is not where it must be");
    };
    let Some(value) = value.attribute(ATTRIBUTE_DATA) else {
        return unknown("its bitmap is not understood");
    };
    match used(disk, &geometry, &value)? {
        Some(used) => Ok(Allocation::Known(used)),
        None => unknown("its bitmap is damaged"),
    }
}

/// Whether everything that was written is where the bitmap says: neither the
/// volume is marked nor the log waits to be replayed.
fn is_clean(disk: &dyn Disk, geometry: &Geometry) -> Result<Option<bool>, VolumeError> {
    let Some(volume) = file_record(disk, geometry, VOLUME)? else {
        return Ok(None);
    };
    let Some(Value::Resident(words)) = volume.attribute(ATTRIBUTE_VOLUME) else {
        return Ok(None);
    };
    let Some(flags) = words.get(VOLUME_FLAGS..VOLUME_FLAGS + 2) else {
        return Ok(None);
    };
    if u16::from_le_bytes([flags[0], flags[1]]) & FLAG_DIRTY != 0 {
        return Ok(Some(false));
    }
    let log = file_record(disk, geometry, LOG_FILE)?;
    let Some(Value::Runs { runs, .. }) = log.and_then(|log| log.attribute(ATTRIBUTE_DATA)) else {
        return Ok(None);
    };
    let place = runs
        .first()
        .and_then(|run| run.first.checked_mul(geometry.cluster));
    match place.filter(|place| place.saturating_add(4096) <= disk.size()) {
        Some(place) => Ok(Some(record::log_is_empty(&read_bytes(
            disk, "log", place, 4096,
        )?))),
        None => Ok(None),
    }
}

fn file_record(
    disk: &dyn Disk,
    geometry: &Geometry,
    number: u64,
) -> Result<Option<Record>, VolumeError> {
    let place = geometry.table.saturating_add(number * geometry.record);
    if place.saturating_add(geometry.record) > disk.size() {
        return Ok(None);
    }
    let bytes = read_bytes(disk, "file record", place, geometry.record)?;
    Ok(Record::decode(bytes))
}

/// The clusters the bitmap names, and what lies behind the last cluster: the
/// copy of the boot sector. `None` when it is too short or lies elsewhere.
fn used(disk: &dyn Disk, geometry: &Geometry, value: &Value) -> Result<Option<Used>, VolumeError> {
    let (size, count) = (geometry.cluster, geometry.clusters);
    let clusters = Clusters {
        start: 0,
        size,
        count,
    };
    let mut used = Used::nothing(disk.size());
    let end = count * size;
    used.mark(end, disk.size() - end);
    let needed = count.div_ceil(8);
    let runs = match value {
        Value::Resident(bytes) if bytes.len() as u64 >= needed => {
            used.mark_clusters(bytes, 0, clusters);
            return Ok(Some(used));
        }
        Value::Runs { runs, size } if *size >= needed => runs,
        _ => return Ok(None),
    };
    let mut done = 0;
    for run in runs {
        let (Some(from), Some(length)) =
            (run.first.checked_mul(size), run.clusters.checked_mul(size))
        else {
            return Ok(None);
        };
        if from.checked_add(length).is_none_or(|to| to > end) {
            return Ok(None);
        }
        let mut at = 0;
        while at < length && done < needed {
            let take = (length - at).min(WINDOW).min(needed - done);
            let bytes = read_bytes(disk, "bitmap", from + at, take)?;
            used.mark_clusters(&bytes, done * 8, clusters);
            at += take;
            done += take;
        }
    }
    Ok((done >= needed).then_some(used))
}

#[cfg(test)]
mod tests;
