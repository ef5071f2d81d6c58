//! What is named with `--share`: a folder, or a file.

use std::path::Path;

use super::open::MimFile;
use super::pieces::part_path;
use crate::store::{DirStore, Store, StoreError};

/// Opens a share in a folder or a single file, to be read; and what a person
/// should know although that went well.
///
/// # Errors
/// It is neither, or cannot be used.
pub fn open_any(path: &Path) -> Result<(Box<dyn Store>, Option<String>), StoreError> {
    if !is_single_file(path) {
        return Ok((Box::new(DirStore::open(path)?), None));
    }
    let opened = MimFile::open(path).map_err(|error| StoreError::Remote {
        doing: format!("opening {}", path.display()),
        retry: false,
        source: Box::new(error),
    })?;
    let warning = opened.warning();
    Ok((Box::new(opened), warning))
}

/// Whether a file lies there, or the first part of one. What is in it is not looked at.
pub fn is_single_file(path: &Path) -> bool {
    !path.is_dir() && (path.exists() || part_path(path, 1).exists())
}
