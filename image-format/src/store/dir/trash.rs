//! Trash, seals and leases in a directory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::files::Files;
use crate::store::{LeaseId, Object, Run, StoreError, Trashed};

const SEAL: &str = "-seal.json";
const LEASE: &str = ".json";
/// Seals and leases are a few lines; a thousand leases at once are not.
const MAX_NOTE: u64 = 1 << 20;

/// The folders of what was thrown away and of who is at work.
#[derive(Debug)]
pub(super) struct TrashCan {
    files: Arc<Files>,
    trash: PathBuf,
    leases: PathBuf,
    /// Folders in which something was taken away and not synced yet.
    unsettled: Mutex<BTreeSet<PathBuf>>,
}

impl TrashCan {
    pub(super) fn new(files: Arc<Files>, root: &Path) -> Self {
        Self {
            files,
            trash: root.join("trash"),
            leases: root.join("leases"),
            unsettled: Mutex::default(),
        }
    }

    pub(super) fn path(&self, what: &Trashed) -> PathBuf {
        self.trash.join(what.to_string())
    }

    fn unsettle(&self, path: &Path) {
        let parent = path.parent().unwrap_or(path).to_owned();
        let mut unsettled = self
            .unsettled
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        unsettled.insert(parent);
    }

    /// Where a copy of it lies, if anywhere.
    pub(super) fn find(&self, object: &Object) -> Result<Option<PathBuf>, StoreError> {
        let all = self.list()?;
        let copy = all.iter().rev().find(|trashed| trashed.object == *object);
        Ok(copy.map(|trashed| self.path(trashed)))
    }

    pub(super) fn list(&self) -> Result<Vec<Trashed>, StoreError> {
        let mut trashed: Vec<Trashed> = self.files.listed(&self.trash, "")?;
        trashed.sort();
        Ok(trashed)
    }

    /// A rename to a name nobody else gives: never over another file.
    pub(super) fn condemn(&self, home: &Path, what: &Trashed) -> Result<bool, StoreError> {
        let there = self.files.rename(home, &self.path(what))?;
        if there {
            self.unsettle(home);
            self.unsettle(&self.path(what));
        }
        Ok(there)
    }

    /// A link first: at no moment is it in neither place.
    pub(super) fn restore(&self, home: &Path, what: &Trashed) -> Result<bool, StoreError> {
        let path = self.path(what);
        self.files.make_parent(home)?;
        if !self.files.link(&path, home)? {
            return Ok(false);
        }
        self.files.sync_parent(home)?;
        self.files.remove(&path)?;
        self.unsettle(&path);
        Ok(true)
    }

    pub(super) fn destroy(&self, what: &Trashed) -> Result<bool, StoreError> {
        self.remove(&self.path(what))
    }

    fn remove(&self, path: &Path) -> Result<bool, StoreError> {
        let there = self.files.remove(path)?;
        if there {
            self.unsettle(path);
        }
        Ok(there)
    }

    /// Removes an index segment, or anything else of which there is another copy.
    pub(super) fn take_away(&self, path: &Path) -> Result<bool, StoreError> {
        self.remove(path)
    }

    pub(super) fn settle(&self) -> Result<(), StoreError> {
        let taken = {
            let mut unsettled = self
                .unsettled
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *unsettled)
        };
        taken
            .iter()
            .try_for_each(|folder| self.files.sync_dir(folder))
    }

    fn seal(&self, run: &Run) -> PathBuf {
        self.trash.join(format!("{run}{SEAL}"))
    }

    pub(super) fn put_seal(&self, run: &Run, bytes: &[u8]) -> Result<(), StoreError> {
        self.files.put_new(&self.seal(run), bytes).map(drop)
    }

    pub(super) fn seals(&self) -> Result<Vec<Run>, StoreError> {
        let mut runs: Vec<Run> = self.files.listed(&self.trash, SEAL)?;
        runs.sort();
        Ok(runs)
    }

    pub(super) fn read_seal(&self, run: &Run) -> Result<Vec<u8>, StoreError> {
        self.files.read("seal", &self.seal(run), MAX_NOTE)
    }

    pub(super) fn remove_seal(&self, run: &Run) -> Result<bool, StoreError> {
        self.remove(&self.seal(run))
    }

    fn lease(&self, id: &LeaseId) -> PathBuf {
        self.leases.join(format!("{id}{LEASE}"))
    }

    /// Written anew in place: its name is there at every moment, and no reader
    /// trusts what it says, only that it changed.
    pub(super) fn put_lease(&self, id: &LeaseId, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.lease(id);
        match self.files.overwrite(&path, bytes)? {
            true => Ok(()),
            false => self.files.put_new(&path, bytes).map(drop),
        }
    }

    pub(super) fn leases(&self) -> Result<Vec<LeaseId>, StoreError> {
        let mut leases: Vec<LeaseId> = self.files.listed(&self.leases, LEASE)?;
        leases.sort();
        Ok(leases)
    }

    pub(super) fn read_lease(&self, id: &LeaseId) -> Result<Vec<u8>, StoreError> {
        self.files.read("lease", &self.lease(id), MAX_NOTE)
    }

    pub(super) fn remove_lease(&self, id: &LeaseId) -> Result<bool, StoreError> {
        self.remove(&self.lease(id))
    }
}
