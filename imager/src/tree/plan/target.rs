//! What there is where the image shall go.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use image_format::entry::printable;
use rustix::fs::{AtFlags, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::PlanError;
use super::wish::{Origin, Others, Wishes};
use crate::tree::marker::{MARKER, Marker};
use crate::tree::place::{beneath, open_root};

/// So many names of things in a target are told.
const NAMED: usize = 8;

/// The target before.
pub(super) struct Found {
    /// It is there.
    pub(super) exists: bool,
    /// It, or the nearest folder above that is there.
    pub(super) folder: OwnedFd,
    /// Where that is.
    pub(super) place: PathBuf,
    /// How many names it holds, our own not counted.
    pub(super) names: u64,
    first: Vec<Vec<u8>>,
    /// The apply that was interrupted there; an error if it cannot be understood.
    marker: Option<Result<Marker, ()>>,
}

impl Found {
    /// The first names it holds, for people.
    pub(super) fn first_names(&self) -> Vec<String> {
        let first = self.first.iter();
        first.map(|name| printable(name)).collect()
    }

    /// Whether an apply of this very volume goes on.
    pub(super) fn resumes(&self, origin: &Origin<'_>) -> bool {
        matches!(&self.marker, Some(Ok(marker)) if marker.is_of(origin))
    }
}

pub(super) fn look(target: &Path) -> Result<Found, PlanError> {
    let failed = |source: Errno| PlanError::Look {
        target: target.to_owned(),
        source: source.into(),
    };
    let mut place = target.to_owned();
    let (exists, folder) = loop {
        match open_root(if place.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &place
        }) {
            Ok(folder) => break (place == target, folder),
            Err(Errno::NOTDIR) => {
                return Err(PlanError::NoDirectory { target: place });
            }
            // A link that leads nowhere is not taken as a missing directory.
            Err(Errno::NOENT) if place.is_symlink() => {
                return Err(PlanError::NoDirectory { target: place });
            }
            Err(Errno::NOENT) => {
                if !place.pop() {
                    return Err(failed(Errno::NOENT));
                }
            }
            Err(error) => return Err(failed(error)),
        }
    };
    let (mut names, mut first, mut marker) = (0, Vec::new(), None);
    if exists {
        if is_running_root(&folder) {
            return Err(PlanError::RunningSystem {
                target: target.to_owned(),
            });
        }
        marker = Marker::read(&folder).map_err(failed)?;
        for_each_name(&folder, |name| {
            if name != MARKER && !is_lost_and_found(&folder, name) {
                names += 1;
                if first.len() < NAMED {
                    first.push(name.to_vec());
                }
            }
            Ok(())
        })
        .map_err(failed)?;
    }
    Ok(Found {
        exists,
        folder,
        place,
        names,
        first,
        marker,
    })
}

/// Whether a folder is the root of the system this program runs in.
fn is_running_root(folder: &OwnedFd) -> bool {
    let number = |found: rustix::fs::Stat| (found.st_dev, found.st_ino);
    let root = rustix::fs::stat(c"/").map(number);
    root.is_ok() && root == rustix::fs::fstat(folder).map(number)
}

/// What happens to other things, or why nothing may happen.
pub(super) fn others(
    found: &Found,
    target: &Path,
    origin: &Origin<'_>,
    wishes: &Wishes,
) -> Result<Others, PlanError> {
    if wishes.others == Others::Remove {
        return Ok(wishes.others);
    }
    match &found.marker {
        Some(Ok(marker)) if marker.is_of(origin) && wishes.others == Others::Refuse => {
            Ok(marker.others)
        }
        Some(Ok(marker)) if marker.is_of(origin) => Ok(wishes.others),
        Some(Ok(marker)) => Err(PlanError::OtherImage {
            target: target.to_owned(),
            image: marker.image,
        }),
        Some(Err(())) => Err(PlanError::Marker {
            path: target.join(std::ffi::OsStr::new(
                std::str::from_utf8(MARKER).unwrap_or_default(),
            )),
        }),
        None if found.names > 0 && wishes.others == Others::Refuse => Err(PlanError::Occupied {
            target: target.to_owned(),
            names: found.names,
            first: found.first_names().into_iter().next().unwrap_or_default(),
        }),
        None => Ok(wishes.others),
    }
}

/// Every name in a folder but `.` and `..`.
pub(crate) fn for_each_name(
    folder: &OwnedFd,
    mut each: impl FnMut(&[u8]) -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    // Opened anew: the position of a descriptor is shared by all who hold it.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let folder = beneath(folder, b".", flags, Mode::empty())?;
    let mut buffer = vec![std::mem::MaybeUninit::uninit(); 32 << 10];
    let mut names = RawDir::new(&folder, &mut buffer);
    while let Some(name) = names.next() {
        let name = name?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            each(&name)?;
        }
    }
    Ok(())
}

/// The folder a checker of file systems keeps at their root: it belongs to the
/// file system, and a fresh one has it.
pub(crate) fn is_lost_and_found(root: &OwnedFd, name: &[u8]) -> bool {
    if name != b"lost+found" {
        return false;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let Ok(found) = beneath(root, name, flags, Mode::empty()) else {
        return false;
    };
    let above = rustix::fs::statat(root, c"..", AtFlags::empty());
    let here = rustix::fs::fstat(root);
    let is_mount = matches!((above, here), (Ok(above), Ok(here)) if above.st_dev != here.st_dev);
    let mut names = 0;
    let counted = for_each_name(&found, |_| {
        names += 1;
        Ok(())
    });
    is_mount && counted.is_ok() && names == 0
}
