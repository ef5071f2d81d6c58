//! What comes last: further names, folders, the sync, immutable files.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::laid::Laid;
use super::run::{Phase, Run, at};
use super::{clear, settle};
use crate::tree::error::TreeError;
use crate::tree::held::STILL;
use crate::tree::place::{ROOT, Temper, beneath};

/// Finishes the tree up to and with the sync.
pub(super) fn finish(run: &Run<'_>, laid: &Laid) -> Result<(), TreeError> {
    run.phase(Phase::Finish);
    links(run, laid)?;
    still_files(run, laid)?;
    folders(run, laid)?;
    rustix::fs::syncfs(run.descriptors.root()).map_err(|source| TreeError::Sync {
        source: source.into(),
    })
}

fn links(run: &Run<'_>, laid: &Laid) -> Result<(), TreeError> {
    let names = &laid.folders.names;
    for link in &laid.links {
        let (from, to) = (names.get(link.first.1), names.get(link.name.1));
        let made = || {
            let first = run.descriptors.folder(&laid.folders, link.first.0)?;
            let folder = run.descriptors.folder(&laid.folders, link.name.0)?;
            let make = || rustix::fs::linkat(&first, from, &folder, to, AtFlags::empty());
            match make() {
                Err(Errno::EXIST) if !run.is_fresh() => replace(&first, from, &folder, to, make),
                other => other,
            }
        };
        let path = || laid.folders.path_of(link.name.0, to);
        made().map_err(|error| at("linking", &path())(error))?;
    }
    Ok(())
}

/// The name is taken: by the very file already, or by something else.
fn replace(
    first: &OwnedFd,
    from: &[u8],
    folder: &OwnedFd,
    to: &[u8],
    make: impl FnOnce() -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    let wanted = rustix::fs::statat(first, from, AtFlags::SYMLINK_NOFOLLOW)?;
    let found = rustix::fs::statat(folder, to, AtFlags::SYMLINK_NOFOLLOW)?;
    if (wanted.st_dev, wanted.st_ino) == (found.st_dev, found.st_ino) {
        return Ok(());
    }
    match clear::unlink(folder, to) {
        // An empty folder is no loss.
        Err(Errno::ISDIR | Errno::PERM) => rustix::fs::unlinkat(folder, to, AtFlags::REMOVEDIR)?,
        other => other?,
    }
    make()
}

/// Owners, attributes, mode and times, the deepest folder first: what is made in
/// a folder changes its times, and a mode may shut out who sets it.
fn folders(run: &Run<'_>, laid: &Laid) -> Result<(), TreeError> {
    let last = u32::try_from(laid.folder_rows.len()).unwrap_or(u32::MAX);
    for (id, row) in (ROOT..last).rev().zip(laid.folder_rows.iter().rev()) {
        let Some(temper) = laid.rows.tempers.get(row.temper as usize) else {
            continue;
        };
        let set = || {
            let folder = run.descriptors.folder(&laid.folders, id)?;
            let taken = id == ROOT || !run.is_fresh();
            match taken {
                true => settle::exact(run, &folder, temper)?,
                false => fresh(run, &folder, temper)?,
            }
            rustix::fs::futimens(&folder, &settle::times(row.modified, row.accessed))?;
            // The target itself waits until the note in it is gone.
            if temper.flags & STILL != 0 && id != ROOT {
                settle::flags(&folder, temper.flags)?;
            }
            Ok(())
        };
        set().map_err(|error| at("finishing", &laid.folders.path(id))(error))?;
    }
    Ok(())
}

/// A folder made here got group and access lists of nobody but us.
fn fresh(run: &Run<'_>, folder: &OwnedFd, temper: &Temper) -> rustix::io::Result<()> {
    settle::fresh(run, folder, temper, 0o700 & !run.umask)
}

fn still_files(run: &Run<'_>, laid: &Laid) -> Result<(), TreeError> {
    for still in &laid.still {
        let name = laid.folders.names.get(still.name.1);
        let set = || {
            let folder = run.descriptors.folder(&laid.folders, still.name.0)?;
            let flags = OFlags::RDONLY | OFlags::NONBLOCK;
            let file = beneath(&*folder, name, flags, Mode::empty())?;
            settle::flags(&file, still.flags)
        };
        let path = || laid.folders.path_of(still.name.0, name);
        set().map_err(|error| at("setting the flags of", &path())(error))?;
    }
    Ok(())
}
