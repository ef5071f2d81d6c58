//! Short ways to say what is wrong with a volume.

use std::fmt::Display;

use crate::volume::VolumeError;

/// A structure at `offset` that is not what it must be.
pub(super) fn damaged(
    what: &'static str,
    offset: u64,
    expected: impl Display,
    found: impl Display,
) -> VolumeError {
    VolumeError::Damaged {
        what,
        offset,
        expected: expected.to_string(),
        found: found.to_string(),
    }
}

/// Something sound that is not read or made here.
pub(super) fn unsupported(
    what: impl Display,
    why: impl Display,
    next: impl Display,
) -> VolumeError {
    VolumeError::Unsupported {
        what: what.to_string(),
        why: why.to_string(),
        next: next.to_string(),
    }
}
