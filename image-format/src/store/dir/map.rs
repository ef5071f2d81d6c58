//! A file of the share mapped into memory.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::index::SegmentBytes;

/// The file's bytes, or nothing where it cannot be mapped or is longer than
/// `limit`: who asks reads it then, and learns why that fails too.
#[allow(unsafe_code)]
pub(super) fn map(path: &Path, limit: u64) -> Option<SegmentBytes> {
    let file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    if length == 0 || length > limit {
        return None;
    }
    // SAFETY: the bytes must not change while they are mapped. The file is one
    // of a share, which appears whole under the hash of its bytes and is never
    // written again; it can only be removed, which leaves a mapping as it is.
    let bytes = unsafe { Mmap::map(&file) }.ok()?;
    Some(SegmentBytes::new(bytes))
}
