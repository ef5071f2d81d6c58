//! Last of all: what makes volumes volumes and the disk boot, written in the
//! order in which firmware trusts it, and read back.

use super::pen::Pen;
use super::{ApplyError, Phase, Progress};
use crate::plan::Plan;
use crate::table;
use crate::volume::Write;

/// A group of writes that a barrier follows.
struct Step {
    what: &'static str,
    writes: Vec<Write>,
}

/// Writes volumes' withheld parts, backup table, primary table and boot
/// sector, each durable before the next, reads them back, and answers with the
/// hash of what was read.
pub(super) fn seal(
    pen: &Pen<'_>,
    plan: &Plan,
    progress: &Progress<'_>,
) -> Result<[u8; 32], ApplyError> {
    let steps = steps(pen, plan)?;
    let writes = || steps.iter().flat_map(|step| &step.writes);
    progress.start(
        Phase::Seal,
        writes().map(|write| write.bytes.len() as u64).sum(),
    );
    for step in &steps {
        for write in &step.writes {
            pen.write(step.what, write.offset, &write.bytes)?;
            progress.add(write.bytes.len() as u64);
        }
        pen.sync()?;
    }
    pen.bypass_cache()?;
    read_back(pen, &steps).inspect_err(|_| unseal(pen, &steps))
}

fn steps(pen: &Pen<'_>, plan: &Plan) -> Result<Vec<Step>, ApplyError> {
    let layout = &plan.layout;
    let table = table::encode(layout, layout.size, layout.sector_size).map_err(|source| {
        ApplyError::Table {
            source: Box::new(source),
        }
    })?;
    let mut volumes: Vec<_> = plan
        .volumes
        .iter()
        .flat_map(|volume| &volume.withheld)
        .cloned()
        .chain(pen.held())
        .collect();
    volumes.sort_by_key(|write| write.offset);
    let mut steps = vec![
        Step {
            what: "a volume's boot sector or superblock",
            writes: volumes,
        },
        Step {
            what: "the backup partition table",
            writes: table.backup,
        },
        Step {
            what: "the partition table",
            writes: table.primary,
        },
        Step {
            what: "the boot sector",
            writes: vec![table.mbr],
        },
    ];
    for step in &mut steps {
        step.writes.retain(|write| !write.bytes.is_empty());
    }
    steps.retain(|step| !step.writes.is_empty());
    Ok(steps)
}

/// Compares with the medium, and hashes what it says with its place.
fn read_back(pen: &Pen<'_>, steps: &[Step]) -> Result<[u8; 32], ApplyError> {
    let mut hasher = blake3::Hasher::new_derive_key("mimeo 2026 boot root 0");
    for step in steps {
        for write in &step.writes {
            let mut found = vec![0; write.bytes.len()];
            pen.read(write.offset, &mut found)?;
            if found != write.bytes {
                return Err(ApplyError::Seal {
                    what: step.what,
                    offset: write.offset,
                });
            }
            hasher.update(&write.offset.to_le_bytes());
            hasher.update(&(found.len() as u64).to_le_bytes());
            hasher.update(&found);
        }
    }
    Ok(*hasher.finalize().as_bytes())
}

/// Takes back what was sealed, last part first. The error that led here is
/// what people must see, so a second one is not told.
fn unseal(pen: &Pen<'_>, steps: &[Step]) {
    for write in steps.iter().rev().flat_map(|step| &step.writes) {
        let _ = pen.destroy(write.offset, write.bytes.len() as u64);
    }
    let _ = pen.sync();
}
