//! Refs in a directory: `<sequence>.json`, and `<sequence>.deleted` for those taken
//! back; `<sequence>.damaged` is what a repair set aside, for people.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::files::Files;
use crate::refs::{name_from_file, name_to_file};
use crate::store::memory::check_follows;
use crate::store::name::{ASIDE, KEPT};
use crate::store::{RefName, StoreError};

const DELETED: &str = ".deleted";

/// The folder of all refs.
#[derive(Debug)]
pub(super) struct Refs {
    files: Arc<Files>,
    folder: PathBuf,
}

impl Refs {
    pub(super) fn new(files: Arc<Files>, folder: PathBuf) -> Self {
        Self { files, folder }
    }

    pub(super) fn path(&self, at: &RefName) -> PathBuf {
        self.file(at, KEPT)
    }

    fn file(&self, at: &RefName, suffix: &str) -> PathBuf {
        self.folder.join(at.file_with(suffix))
    }

    fn sequences(&self, file: &str, suffix: &str) -> Result<Vec<u64>, StoreError> {
        self.files.listed(&self.folder.join(file), suffix)
    }

    pub(super) fn put(&self, at: &RefName, bytes: &[u8]) -> Result<(), StoreError> {
        let file = name_to_file(&at.name);
        // Kept ones first: one that is deleted meanwhile is then found as deleted.
        let mut used = self.sequences(&file, KEPT)?;
        used.extend(self.sequences(&file, DELETED)?);
        check_follows(at, used.into_iter().max())?;
        let path = self.path(at);
        self.files.make_parent(&path)?;
        if self.files.put_new(&path, bytes)? {
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
        for file in self.files.names(&self.folder)? {
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
    pub(super) fn delete(&self, at: &RefName) -> Result<(), StoreError> {
        let path = self.mark(at)?;
        self.files.remove(&path).map(drop)
    }

    /// As a deletion, but the bytes stay, under a name no reader looks at.
    pub(super) fn set_aside(&self, at: &RefName) -> Result<(), StoreError> {
        let path = self.mark(at)?;
        self.files.rename(&path, &self.file(at, ASIDE)).map(drop)
    }

    /// Marks a ref that is there as deleted, and says where it lies.
    fn mark(&self, at: &RefName) -> Result<PathBuf, StoreError> {
        let path = self.path(at);
        if !self.files.exists(&path)? {
            return Err(StoreError::Missing {
                what: "ref",
                name: at.to_string(),
            });
        }
        self.files.put_new(&self.file(at, DELETED), b"deleted\n")?;
        Ok(path)
    }

    pub(super) fn tidy(&self) -> Result<(), StoreError> {
        let (kept, deleted) = (self.list_with(KEPT)?, self.list_with(DELETED)?);
        let mut needless = Vec::new();
        let mut names = BTreeSet::new();
        for at in &deleted {
            if self.files.remove(&self.path(at))? {
                // Its writer may have been killed before the mark was durable.
                names.insert(&at.name);
            }
            let later = |other: &RefName| other.name == at.name && other.sequence > at.sequence;
            if kept.iter().chain(&deleted).any(later) {
                // A mark that is gone before its ref is would give the ref back.
                names.insert(&at.name);
                needless.push(at);
            }
        }
        for name in names {
            self.files.sync_dir(&self.folder.join(name_to_file(name)))?;
        }
        for at in needless {
            self.files.remove(&self.file(at, DELETED))?;
        }
        Ok(())
    }
}
