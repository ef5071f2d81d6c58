//! Packs that lie nowhere but in the trash.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::PackId;
use crate::store::{Object, Store, StoreError, Trashed};

/// Under which name each of them lies there.
pub(super) struct InTrash(BTreeMap<PackId, Trashed>);

impl InTrash {
    /// `here` are the packs in use.
    pub(super) fn list(store: &dyn Store, here: &BTreeSet<PackId>) -> Result<Self, StoreError> {
        let copies = store.list_trash()?.into_iter();
        // Of several copies the last is read, by the store and so here.
        let packs = copies.filter_map(|copy| match copy.object {
            Object::Pack(id) if !here.contains(&id) => Some((id, copy)),
            _ => None,
        });
        Ok(Self(packs.collect()))
    }

    pub(super) fn has(&self, pack: &PackId) -> bool {
        self.0.contains_key(pack)
    }

    /// The file, as it lies in the share's folder.
    pub(super) fn file(&self, pack: &PackId) -> Option<String> {
        self.0.get(pack).map(|copy| format!("trash/{copy}"))
    }
}
