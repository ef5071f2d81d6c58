//! File system structures, computed from the manifest and written before any
//! content: they depend on no byte that is still to come.

use image_format::layout::Volume;

use super::pen::Pen;
use super::{ApplyError, Phase, Progress};
use crate::builders;
use crate::plan::{Plan, PlannedVolume};

/// Writes every volume's metadata, and zeros where a raw volume has none.
pub(super) fn write(pen: &Pen<'_>, plan: &Plan, progress: &Progress<'_>) -> Result<(), ApplyError> {
    progress.start(Phase::Metadata, 0);
    for volume in &plan.volumes {
        write_volume(pen, plan, volume, progress)?;
        for &(offset, length) in &volume.zeros {
            pen.zero(offset, length)?;
            progress.add(length);
        }
    }
    Ok(())
}

fn write_volume(
    pen: &Pen<'_>,
    plan: &Plan,
    volume: &PlannedVolume,
    progress: &Progress<'_>,
) -> Result<(), ApplyError> {
    let Some(partition) = plan.partition(volume) else {
        return Ok(());
    };
    if matches!(partition.volume, Volume::Empty) {
        return Ok(());
    }
    let number = partition.number;
    let layout = builders::for_volume(&partition.volume)
        .lay_out(
            partition,
            &volume.tree,
            partition.size,
            plan.layout.sector_size,
        )
        .map_err(|reasons| ApplyError::Layout {
            partition: number,
            reasons,
        })?;
    let withheld = layout
        .withheld
        .iter()
        .map(|w| (partition.start + w.offset, &w.bytes));
    if !withheld.eq(volume.withheld.iter().map(|w| (w.offset, &w.bytes))) {
        return Err(ApplyError::NotAsPlanned { partition: number });
    }
    for (offset, length) in layout.zeros {
        let end = offset.checked_add(length);
        if end.is_none_or(|end| end > partition.size) {
            return Err(ApplyError::NotAsPlanned { partition: number });
        }
        pen.zero(partition.start + offset, length)?;
        progress.add(length);
    }
    for write in layout.metadata {
        let length = write.bytes.len() as u64;
        let end = write
            .offset
            .checked_add(length)
            .filter(|&end| end <= partition.size);
        if end.is_none() {
            return Err(ApplyError::NotAsPlanned { partition: number });
        }
        pen.write("metadata", partition.start + write.offset, &write.bytes)?;
        progress.add(length);
    }
    Ok(())
}
