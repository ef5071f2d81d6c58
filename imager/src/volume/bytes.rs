//! Structures of a volume, read whole.

use super::VolumeError;
use crate::disk::Disk;

/// `length` bytes of the volume at `offset`; callers bound `length`.
pub(super) fn read_bytes(
    disk: &dyn Disk,
    what: &'static str,
    offset: u64,
    length: u64,
) -> Result<Vec<u8>, VolumeError> {
    let failed = |source| VolumeError::Read {
        what,
        offset,
        source,
    };
    let length = usize::try_from(length).map_err(|error| failed(std::io::Error::other(error)))?;
    let mut bytes = vec![0; length];
    disk.read_at(offset, &mut bytes).map_err(failed)?;
    Ok(bytes)
}
