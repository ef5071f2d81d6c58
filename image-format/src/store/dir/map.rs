//! A file that never changes mapped into memory.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::index::SegmentBytes;

/// The bytes of a file that appeared whole and is never written again, as those
/// of a share are; or nothing where it cannot be mapped or is longer than
/// `limit`: who asks reads it then, and learns why that fails too.
#[allow(unsafe_code)]
pub fn map_immutable(path: &Path, limit: u64) -> Option<SegmentBytes> {
    let file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    if length == 0 || length > limit {
        return None;
    }
    // SAFETY: the bytes must not change while they are mapped. The file is one
    // of a share or of a cache of one, which appears whole under the hash of its
    // bytes and is never written again; it can only be removed, which leaves a
    // mapping as it is.
    let bytes = unsafe { Mmap::map(&file) }.ok()?;
    Some(SegmentBytes::new(bytes))
}
