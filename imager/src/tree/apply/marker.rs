//! The note in the target that says what is under way.
//!
//! A line of JSON in a file of a reserved name. It is trusted for nothing but
//! which image it was: whatever lies there is hashed again.

use std::os::fd::{AsFd, OwnedFd};

use image_format::ids::ImageId;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::names::Laid;
use super::{Run, TreeError, at, settle};
use crate::tree::metadata;
use crate::tree::place::{ROOT, beneath, open_root};
use crate::tree::plan::{Origin, Others, Plan};

/// The name this program keeps for itself in the target while it works there.
pub(crate) const MARKER: &[u8] = b".mimeo-apply";

/// A longer note is none.
const LONGEST: usize = 4096;

/// What an interrupted apply left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) image: ImageId,
    pub(crate) partition: u32,
    pub(crate) others: Others,
}

impl Marker {
    fn encode(&self) -> String {
        format!(
            "{{\"mimeo apply\":0,\"image\":\"{}\",\"partition\":{},\"others\":\"{}\"}}\n",
            self.image,
            self.partition,
            self.others.word()
        )
    }

    /// Only exactly what [`Self::encode`] writes.
    fn decode(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("\"image\":\"")?;
        let (image, rest) = rest.split_once("\",\"partition\":")?;
        let (partition, rest) = rest.split_once(",\"others\":\"")?;
        let (others, _) = rest.split_once('"')?;
        let marker = Self {
            image: image.parse().ok()?,
            partition: partition.parse().ok()?,
            others: Others::of_word(others)?,
        };
        (marker.encode() == text).then_some(marker)
    }

    /// Whether it is of this volume.
    pub(crate) fn is_of(&self, origin: &Origin<'_>) -> bool {
        (self.image, self.partition) == (origin.image, origin.partition)
    }

    /// The note in `root`, if there is one.
    pub(crate) fn read(root: &OwnedFd) -> rustix::io::Result<Option<Result<Self, ()>>> {
        let file = match beneath(
            root,
            MARKER,
            OFlags::RDONLY | OFlags::NONBLOCK,
            Mode::empty(),
        ) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            // A link or worse under our name.
            Err(Errno::LOOP) => return Ok(Some(Err(()))),
            Err(error) => return Err(error),
        };
        let mut bytes = vec![0; LONGEST];
        let length = match rustix::io::pread(&file, &mut bytes, 0) {
            Ok(length) => length,
            Err(Errno::ISDIR) => return Ok(Some(Err(()))),
            Err(error) => return Err(error),
        };
        let text = bytes.get(..length).map(std::str::from_utf8);
        Ok(Some(match text {
            Some(Ok(text)) => Self::decode(text).ok_or(()),
            _ => Err(()),
        }))
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_only_as_it_was_written() {
        let marker = Marker {
            image: ImageId::of(b"x"),
            partition: 3,
            others: Others::Keep,
        };
        let text = marker.encode();
        assert_eq!(Marker::decode(&text), Some(marker));
        for cut in 0..text.len() {
            assert_eq!(Marker::decode(&text[..cut]), None);
        }
        assert_eq!(Marker::decode(&text.replace("keep", "kept")), None);
    }
}
