//! The note in the target that says what is under way.
//!
//! A line of JSON in a file of a reserved name. It is trusted for nothing but
//! which image it was: whatever lies there is hashed again.

use std::os::fd::OwnedFd;

use image_format::ids::ImageId;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::place::beneath;
use super::plan::wish::{Origin, Others};

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
    /// The note as it is written.
    pub(crate) fn encode(&self) -> String {
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
