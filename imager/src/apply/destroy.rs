//! First of all, nothing on the disk may boot: an apply that loses power must
//! leave a machine that asks the network, never half a system.

use image_format::layout::DiskLayout;

use super::ApplyError;
use super::pen::Pen;
use crate::disk::Disk;
use crate::plan::Plan;
use crate::table;

/// Room for a table at either end: MBR, GPT header and 128 entries with
/// sectors of 4096 bytes need 24 KiB; 34 sectors of 512 bytes less.
const TABLE: u64 = 32 << 10;

/// What is destroyed at the beginning of each old volume: every boot sector
/// and superblock that firmware or a boot loader looks for, btrfs's at 64 KiB.
const VOLUME_HEAD: u64 = 68 << 10;

/// Destroys both tables, boot code and the beginnings of volumes, old and
/// planned. With `resumed` the volumes lying there are the planned ones, and
/// only what is withheld goes.
///
/// Two barriers: tables first, so that a power cut between them leaves either
/// the old system whole or no system.
pub(super) fn destroy(pen: &Pen<'_>, plan: &Plan, resumed: bool) -> Result<(), ApplyError> {
    let old = if resumed {
        None
    } else {
        table::read(pen.disk()).ok().flatten()
    };
    let size = pen.disk().size();
    let (mut head, mut tail) = (TABLE.min(size), size.saturating_sub(TABLE));
    if resumed {
        // What lies beside the tables is the planned volumes' already.
        head = head.min(first_volume(plan));
        tail = tail.max(last_volume_end(plan));
    }
    pen.destroy(0, head)?;
    pen.destroy(tail, size.saturating_sub(tail))?;
    pen.sync()?;
    for (offset, length) in heads(old.as_ref()) {
        pen.destroy(offset, length.min(size.saturating_sub(offset)))?;
    }
    for volume in &plan.volumes {
        for write in &volume.withheld {
            pen.destroy(write.offset, write.bytes.len() as u64)?;
        }
        for &(offset, length) in &volume.held {
            pen.destroy(offset, length)?;
        }
    }
    pen.sync()
}

/// Whether both ends of the disk are as [`destroy`] leaves them. What cannot be
/// read is not.
pub(super) fn is_destroyed(plan: &Plan, disk: &dyn Disk) -> bool {
    let size = disk.size();
    let head = TABLE.min(size).min(first_volume(plan));
    let tail = size.saturating_sub(TABLE).max(last_volume_end(plan));
    let zeros = |from: u64, to: u64| {
        let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
        disk.read_at(from, &mut bytes).is_ok() && bytes.iter().all(|&byte| byte == 0)
    };
    head > 0 && zeros(0, head) && zeros(tail, size)
}

/// Where the first planned volume begins: what is before it is ours.
fn first_volume(plan: &Plan) -> u64 {
    plan.layout
        .partitions
        .iter()
        .map(|p| p.start)
        .min()
        .unwrap_or(u64::MAX)
}

fn last_volume_end(plan: &Plan) -> u64 {
    plan.layout
        .partitions
        .iter()
        .map(|p| p.start + p.size)
        .max()
        .unwrap_or(0)
}

fn heads(old: Option<&DiskLayout>) -> impl Iterator<Item = (u64, u64)> {
    let partitions = old.into_iter().flat_map(|layout| &layout.partitions);
    partitions.map(|partition| (partition.start, partition.size.min(VOLUME_HEAD)))
}
