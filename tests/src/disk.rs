//! Disks of virtual machines: sparse files.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// One MiB.
pub const MIB: u64 = 1 << 20;

/// Makes an empty disk of `size` bytes.
///
/// # Errors
/// When the file cannot be made.
pub fn blank(path: &Path, size: u64) -> Result<PathBuf> {
    let making = || format!("making the disk {}", path.display());
    let file = File::create(path).with_context(making)?;
    file.set_len(size).with_context(making)?;
    Ok(path.to_owned())
}

/// A hash of everything on the disk.
///
/// # Errors
/// When the file cannot be read.
pub fn fingerprint(path: &Path) -> Result<blake3::Hash> {
    let reading = || format!("reading {}", path.display());
    let mut hasher = blake3::Hasher::new();
    hasher
        .update_reader(File::open(path).with_context(reading)?)
        .with_context(reading)?;
    Ok(hasher.finalize())
}
