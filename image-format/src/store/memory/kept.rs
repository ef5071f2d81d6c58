//! What a store in memory holds, and how what is not durable is undone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Fault;
use crate::ids::{ImageId, PackId, SegmentId};
use crate::store::{LeaseId, Object, RefName, Run, StoreError, Trashed};

/// A file; shared, so that a copy of a store costs little.
pub(super) type Bytes = Arc<Vec<u8>>;

/// How to undo what was taken away and is not durable yet.
#[derive(Debug, Clone)]
pub(super) enum Undo {
    Condemn(Trashed),
    Adopt(Trashed, Trashed),
    Restore(Trashed, Bytes),
    Destroy(Trashed, Bytes),
    Index(SegmentId, Bytes),
    Seal(Run, Bytes),
    Lease(LeaseId, Bytes),
}

/// What is kept; counting starts at 0 with the store's first operation.
#[derive(Debug, Default, Clone)]
pub(super) struct Kept {
    pub(super) packs: BTreeMap<PackId, Bytes>,
    pub(super) indexes: BTreeMap<SegmentId, Bytes>,
    pub(super) manifests: BTreeMap<ImageId, Bytes>,
    pub(super) refs: BTreeMap<RefName, Bytes>,
    pub(super) deleted: BTreeSet<RefName>,
    pub(super) trash: BTreeMap<Trashed, Bytes>,
    pub(super) seals: BTreeMap<Run, Bytes>,
    pub(super) leases: BTreeMap<LeaseId, Bytes>,
    pub(super) unsettled: Vec<Undo>,
    pub(super) now: u64,
    /// Bytes that still fit; `None` for no end.
    pub(super) room: Option<u64>,
    pub(super) operations: u64,
    pub(super) fault: Option<Fault>,
}

impl Kept {
    /// Takes room for a new file.
    pub(super) fn fit(&mut self, bytes: &[u8]) -> Result<Bytes, StoreError> {
        let length = bytes.len() as u64;
        match self.room {
            Some(room) if room < length => {
                return Err(StoreError::Full {
                    path: "memory".into(),
                    source: std::io::ErrorKind::StorageFull.into(),
                });
            }
            Some(room) => self.room = Some(room - length),
            None => {}
        }
        Ok(Arc::new(bytes.to_vec()))
    }

    /// The bytes of a pack or manifest, wherever it lies.
    pub(super) fn anywhere(&self, object: &Object) -> Option<&Bytes> {
        let home = match object {
            Object::Pack(id) => self.packs.get(id),
            Object::Manifest(id) => self.manifests.get(id),
        };
        let trashed = || {
            let mut copies = self.trash.iter().rev();
            let copy = copies.find(|(trashed, _)| trashed.object == *object);
            copy.map(|(_, bytes)| bytes)
        };
        home.or_else(trashed)
    }

    pub(super) fn take_home(&mut self, object: &Object) -> Option<Bytes> {
        match object {
            Object::Pack(id) => self.packs.remove(id),
            Object::Manifest(id) => self.manifests.remove(id),
        }
    }

    pub(super) fn bring_home(&mut self, object: &Object, bytes: Bytes) {
        match object {
            Object::Pack(id) => drop(self.packs.entry(*id).or_insert(bytes)),
            Object::Manifest(id) => drop(self.manifests.entry(*id).or_insert(bytes)),
        }
    }

    pub(super) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Condemn(what) => {
                if let Some(bytes) = self.trash.remove(&what) {
                    self.bring_home(&what.object, bytes);
                }
            }
            Undo::Adopt(what, ours) => {
                if let Some(bytes) = self.trash.remove(&ours) {
                    self.trash.insert(what, bytes);
                }
            }
            Undo::Restore(what, bytes) | Undo::Destroy(what, bytes) => {
                self.trash.insert(what, bytes);
            }
            Undo::Index(id, bytes) => drop(self.indexes.insert(id, bytes)),
            Undo::Seal(run, bytes) => drop(self.seals.insert(run, bytes)),
            Undo::Lease(id, bytes) => drop(self.leases.insert(id, bytes)),
        }
    }

    /// Notes how to undo it, if there was something.
    pub(super) fn taken<T>(&mut self, taken: Option<T>, undo: impl FnOnce(T) -> Undo) -> bool {
        let there = taken.is_some();
        self.unsettled.extend(taken.map(undo));
        there
    }
}

pub(super) fn get<K: Ord + ToString>(
    what: &'static str,
    map: &BTreeMap<K, Bytes>,
    key: &K,
) -> Result<Vec<u8>, StoreError> {
    map.get(key)
        .map(|bytes| bytes.to_vec())
        .ok_or_else(|| missing(what, key))
}

pub(super) fn missing(what: &'static str, key: &impl ToString) -> StoreError {
    StoreError::Missing {
        what,
        name: key.to_string(),
    }
}

pub(super) fn range(bytes: &[u8], offset: u64, length: u32) -> Option<Vec<u8>> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(length as usize)?;
    bytes.get(start..end).map(<[u8]>::to_vec)
}
