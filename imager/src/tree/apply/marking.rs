//! The note in the target is the first thing written and the last removed.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::laid::Laid;
use super::run::{Run, at};
use super::settle;
use crate::tree::error::TreeError;
use crate::tree::marker::{MARKER, Marker};
use crate::tree::metadata;
use crate::tree::place::{ROOT, beneath, open_root};
use crate::tree::plan::Plan;

/// Makes the target where it is missing, and writes the note, durably, before
/// anything else is changed. Answers with the target.
pub(super) fn begin(plan: &Plan) -> Result<OwnedFd, TreeError> {
    let failed = |doing, source: std::io::Error| TreeError::Path {
        doing,
        path: plan.target.display().to_string(),
        source,
    };
    if plan.make {
        std::fs::create_dir_all(&plan.target).map_err(|error| failed("making", error))?;
    }
    let root = open_root(&plan.target).map_err(|error| failed("opening", error.into()))?;
    let marker = Marker {
        image: plan.image,
        partition: plan.partition,
        others: plan.wishes.others,
    };
    if Marker::read(&root).ok().flatten() != Some(Ok(marker.clone())) {
        write(&root, &marker).map_err(at("writing", MARKER))?;
    }
    Ok(root)
}

fn write(root: &OwnedFd, marker: &Marker) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(root, MARKER, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let file = beneath(root, MARKER, flags, Mode::RUSR | Mode::WUSR)?;
    settle::write_all(&file, marker.encode().as_bytes(), 0)?;
    rustix::fs::fsync(&file)?;
    rustix::fs::fsync(root)
}

/// All is done: removes the note, and gives the target its own times and flags,
/// which could not be right while the note was there.
pub(super) fn end(run: &Run<'_>, laid: &Laid) -> Result<(), TreeError> {
    let root = run.descriptors.root().as_fd();
    rustix::fs::unlinkat(root, MARKER, AtFlags::empty()).map_err(at("removing", MARKER))?;
    if let Some(row) = laid.folder_rows.get(ROOT as usize)
        && let Some(temper) = laid.rows.tempers.get(row.temper as usize)
    {
        let times = settle::times(row.modified, row.accessed);
        rustix::fs::futimens(root, &times).map_err(at("setting the times of", b""))?;
        if temper.flags & crate::tree::held::STILL != 0 {
            settle::flags(root, temper.flags).map_err(at("setting the flags of", b""))?;
        }
    }
    rustix::fs::fsync(root).map_err(at("syncing", b""))?;
    let found = metadata::stat(root, b"").map_err(at("looking at", b""))?;
    let expected = laid.folder_rows.get(ROOT as usize).map(|row| row.modified);
    match expected.is_none_or(|expected| expected == found.times.modified) {
        true => Ok(()),
        false => Err(at("setting the times of", b"")(Errno::STALE)),
    }
}
