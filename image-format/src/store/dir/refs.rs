//! Refs in a directory: `<sequence>.json`, and `<sequence>.deleted` for those taken back.

use std::path::PathBuf;

use super::files::{self, Files};
use crate::refs::{name_from_file, name_to_file};
use crate::store::memory::check_follows;
use crate::store::{RefName, StoreError};

const KEPT: &str = ".json";
const DELETED: &str = ".deleted";

/// The folder of all refs.
#[derive(Debug)]
pub(super) struct Refs {
    folder: PathBuf,
}

impl Refs {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn path(&self, at: &RefName) -> PathBuf {
        self.file(at, KEPT)
    }

    fn file(&self, at: &RefName, suffix: &str) -> PathBuf {
        self.folder
            .join(name_to_file(&at.name))
            .join(format!("{:020}{suffix}", at.sequence))
    }

    fn sequences(&self, file: &str, suffix: &str) -> Result<Vec<u64>, StoreError> {
        let names = files::names_if_any(&self.folder.join(file))?;
        Ok(names
            .iter()
            .filter_map(|name| name.strip_suffix(suffix)?.parse().ok())
            .collect())
    }

    pub(super) fn put(&self, files: &Files, at: &RefName, bytes: &[u8]) -> Result<(), StoreError> {
        let file = name_to_file(&at.name);
        // Kept ones first: one that is deleted meanwhile is then found as deleted.
        let mut used = self.sequences(&file, KEPT)?;
        used.extend(self.sequences(&file, DELETED)?);
        check_follows(at, used.into_iter().max())?;
        let path = self.path(at);
        path.parent().map_or(Ok(()), files::make_dir)?;
        if files.put_new(&path, bytes)? {
            Ok(())
        } else {
            Err(StoreError::Conflict {
                at: at.clone(),
                newest: at.sequence,
            })
        }
    }

    fn list_with(&self, suffix: &str) -> Result<Vec<RefName>, StoreError> {
        let mut refs = Vec::new();
        for file in files::names(&self.folder)? {
            let Some(name) = name_from_file(&file) else {
                continue;
            };
            let sequences = self.sequences(&file, suffix)?;
            refs.extend(sequences.into_iter().map(|sequence| RefName {
                name: name.clone(),
                sequence,
            }));
        }
        refs.sort();
        Ok(refs)
    }

    pub(super) fn list(&self) -> Result<Vec<RefName>, StoreError> {
        let mut kept = self.list_with(KEPT)?;
        let deleted = self.list_with(DELETED)?;
        kept.retain(|at| deleted.binary_search(at).is_err());
        Ok(kept)
    }

    pub(super) fn deleted(&self) -> Result<Vec<RefName>, StoreError> {
        self.list_with(DELETED)
    }

    /// The mark is the deletion; removing the ref only makes room.
    pub(super) fn delete(&self, files: &Files, at: &RefName) -> Result<(), StoreError> {
        let path = self.path(at);
        if !files::exists(&path)? {
            return Err(StoreError::Missing {
                what: "ref",
                name: at.to_string(),
            });
        }
        files.put_new(&self.file(at, DELETED), b"deleted\n")?;
        files::remove(&path).map(drop)
    }

    pub(super) fn tidy(&self) -> Result<(), StoreError> {
        let (kept, deleted) = (self.list_with(KEPT)?, self.list_with(DELETED)?);
        for at in &deleted {
            files::remove(&self.path(at))?;
            let later = |other: &RefName| other.name == at.name && other.sequence > at.sequence;
            if kept.iter().chain(&deleted).any(later) {
                files::remove(&self.file(at, DELETED))?;
            }
        }
        Ok(())
    }
}
