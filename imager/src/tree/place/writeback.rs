//! Writing begins before the sync asks for it.

use std::os::fd::{AsFd, AsRawFd};

/// Begins to write what the kernel holds of a file, and does not wait: while
/// later blocks are expanded, the medium has work, and the sync at the end
/// finds little left. Only a hint: the sync tells what went wrong.
#[allow(unsafe_code)]
pub(crate) fn begin(file: impl AsFd) {
    let file = file.as_fd().as_raw_fd();
    // SAFETY: numbers only; the descriptor is open as long as it is borrowed,
    // and neither memory nor the file's bytes are changed.
    unsafe {
        libc::sync_file_range(file, 0, 0, libc::SYNC_FILE_RANGE_WRITE);
    }
}
