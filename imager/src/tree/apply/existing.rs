//! What lies in the target already: kept where it is right, else out of the way.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use image_format::entry::{Content, Entry, Kind, Piece};
use rustix::fs::{AtFlags, FallocateFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::run::{Run, at};
use super::waiting::{Have, note};
use super::{clear, settle};
use crate::tree::error::TreeError;
use crate::tree::metadata;
use crate::tree::place::{FolderId, Rows, Temper, beneath, text};
use crate::tree::plan::{Others, is_lost_and_found};
use crate::tree::verify::holds_piece;

/// A name of a folder is taken. `true` when a folder has it that may be taken over.
pub(super) fn folder(
    run: &Run<'_>,
    parent: &OwnedFd,
    name: &[u8],
    path: &[u8],
) -> Result<bool, TreeError> {
    let found = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(at("looking at", path))?;
    let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
    let may = !run.is_fresh() || (path == name && is_lost_and_found(parent, name));
    match (may, is_folder) {
        (false, _) => Err(at("making", path)(Errno::EXIST)),
        (true, true) => Ok(true),
        (true, false) => {
            clear::unlink(parent, name).map_err(at("replacing", path))?;
            rustix::fs::mkdirat(parent, name, Mode::RWXU).map_err(at("making", path))?;
            Ok(false)
        }
    }
}

/// Looks at what has the name of `entry`. `true` when nothing more is to be done
/// here: it is right, or the blocks for the parts that are not are noted.
pub(super) fn keeps(
    run: &Run<'_>,
    rows: &Mutex<Rows>,
    folder: &OwnedFd,
    place: (FolderId, u32),
    entry: &Entry,
) -> Result<bool, TreeError> {
    let name = entry.name();
    let waits = matches!(&entry.content, Content::Pieces(pieces)
        if pieces.iter().any(|piece| matches!(piece, Piece::Chunk { .. })));
    let noted = |have| {
        let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
        note(run, &mut rows, entry, place, have)
    };
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => {}
        Err(error) => return Err(at("looking at", &entry.path)(error)),
        Ok(found) => {
            if run.plan.wishes.reuse {
                let kept =
                    kept(run, folder, entry, &found).map_err(at("comparing", &entry.path))?;
                match kept {
                    Kept::All => {
                        run.kept.fetch_add(1, Ordering::Relaxed);
                        return Ok(true);
                    }
                    Kept::Some(right) => {
                        noted(Have::Right(right))?;
                        return Ok(true);
                    }
                    Kept::Nothing => {}
                }
            }
            away(run, folder, entry, &found)?;
        }
    }
    if waits {
        noted(Have::Nothing)?;
    }
    Ok(waits)
}

/// Removes what has the name of an entry.
fn away(run: &Run<'_>, folder: &OwnedFd, entry: &Entry, found: &Stat) -> Result<(), TreeError> {
    let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
    let name = entry.name();
    if !is_folder {
        return clear::unlink(folder, name).map_err(at("replacing", &entry.path));
    }
    if run.plan.wishes.others == Others::Remove {
        return clear::tree(folder, name, &entry.path);
    }
    // An empty one is no loss; another holds things that shall stay.
    match rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => {
            let path = text(&entry.path);
            Err(TreeError::FolderInTheWay { path })
        }
        other => other.map_err(at("replacing", &entry.path)),
    }
}

enum Kept {
    Nothing,
    /// Pieces that are right.
    Some(Vec<bool>),
    All,
}

/// Compares contents, and mends everything else where they are right.
fn kept(run: &Run<'_>, folder: &OwnedFd, entry: &Entry, found: &Stat) -> rustix::io::Result<Kept> {
    // A name that is not of the image may lead out of the target: nothing is
    // written through it.
    let root = run.descriptors.root();
    let ours = |link| run.groups.is_whole(root, link, found);
    if found.st_nlink != 1 && !entry.link.is_some_and(ours) {
        return Ok(Kept::Nothing);
    }
    match (&entry.kind, FileType::from_raw_mode(found.st_mode)) {
        (Kind::Symlink(target), FileType::Symlink) => {
            if metadata::target(folder.as_fd(), entry.name())? != *target
                || !entry.xattrs.is_empty()
            {
                return Ok(Kept::Nothing);
            }
            settle::named(run, folder, entry, false)?;
            Ok(Kept::All)
        }
        (Kind::File, FileType::RegularFile) => {
            let size = entry.content.size();
            let same = u64::try_from(found.st_size).is_ok_and(|found| found == size);
            // One that was cut off, or that grew, has right parts nevertheless.
            let long = matches!(&entry.content, Content::Pieces(pieces) if pieces.len() > 1);
            match same || long {
                true => match file(run, folder, entry, same)? {
                    // Blocks are written to files of one name only.
                    Kept::Some(_) if found.st_nlink != 1 => Ok(Kept::Nothing),
                    kept => Ok(kept),
                },
                false => Ok(Kept::Nothing),
            }
        }
        _ => Ok(Kept::Nothing),
    }
}

fn file(
    run: &Run<'_>,
    folder: &OwnedFd,
    entry: &Entry,
    same_size: bool,
) -> rustix::io::Result<Kept> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK;
    let open = || beneath(folder, entry.name(), flags, Mode::empty());
    let opened = match open() {
        // Immutable or append-only: it gets that back when all is done.
        Err(Errno::PERM) if clear::thawed(folder, entry.name()) => open(),
        other => other,
    };
    let file = match opened {
        Ok(file) => file,
        // Not ours to write: replaced.
        Err(Errno::PERM | Errno::ACCESS | Errno::TXTBSY) => return Ok(Kept::Nothing),
        Err(error) => return Err(error),
    };
    if !same_size {
        rustix::fs::ftruncate(&file, entry.content.size())?;
    }
    let right = match &entry.content {
        Content::Empty => Vec::new(),
        Content::Inline(bytes) => vec![inline(&file, bytes)?],
        Content::Pieces(pieces) => match compare(&file, pieces)? {
            Some(right) => right,
            None => return Ok(Kept::Nothing),
        },
    };
    if right.contains(&false) {
        let chunks = matches!(&entry.content, Content::Pieces(_));
        return Ok(if chunks {
            Kept::Some(right)
        } else {
            Kept::Nothing
        });
    }
    settle::exact(run, &file, &Temper::of(entry))?;
    let times = settle::times(entry.times.modified, entry.times.accessed);
    rustix::fs::futimens(&file, &times)?;
    Ok(Kept::All)
}

fn inline(file: &OwnedFd, bytes: &[u8]) -> rustix::io::Result<bool> {
    let mut found = vec![0; bytes.len()];
    let length = rustix::io::pread(file, &mut found, 0)?;
    Ok(length == bytes.len() && found == bytes)
}

/// Which pieces are right; `None` where a hole cannot be made again.
fn compare(file: &OwnedFd, pieces: &[Piece]) -> rustix::io::Result<Option<Vec<bool>>> {
    let (mut at, mut right, mut buffer) = (0_u64, Vec::with_capacity(pieces.len()), Vec::new());
    for piece in pieces {
        let mut holds = holds_piece(file, at, piece, &mut buffer)?;
        if let (false, Piece::Hole { length }) = (holds, piece) {
            let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            if rustix::fs::fallocate(file, how, at, *length).is_err() {
                return Ok(None);
            }
            holds = true;
        }
        right.push(holds);
        at = at.saturating_add(piece.length());
    }
    Ok(Some(right))
}
