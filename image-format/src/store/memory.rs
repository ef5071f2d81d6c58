//! A store in memory, with the faults a test asks for.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{BlockPlace, RefName, Source, Store, StoreError};
use crate::ids::{ImageId, PackId, SegmentId};
use crate::manifest;

/// Where a simulation stops: that operation fails, and every one after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The n-th operation does nothing.
    Before(u64),
    /// The n-th operation takes effect, but nobody learns of it.
    After(u64),
}

/// What is kept; counting starts at 0 with the store's first operation.
#[derive(Debug, Default, Clone)]
struct Kept {
    packs: BTreeMap<PackId, Vec<u8>>,
    indexes: BTreeMap<SegmentId, Vec<u8>>,
    manifests: BTreeMap<ImageId, Vec<u8>>,
    refs: BTreeMap<RefName, Vec<u8>>,
    operations: u64,
    fault: Option<Fault>,
}

/// A store that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on counts operations from 0 and stops as `fault` says.
    pub fn set_fault(&self, fault: Option<Fault>) {
        let mut kept = self.kept();
        kept.operations = 0;
        kept.fault = fault;
    }

    /// How many operations there were since the start or the last [`Self::set_fault`].
    pub fn operations(&self) -> u64 {
        self.kept().operations
    }

    /// What is found after a crash: all that was kept, no fault.
    pub fn restarted(&self) -> Self {
        let kept = Kept {
            operations: 0,
            fault: None,
            ..self.kept().clone()
        };
        Self {
            kept: Mutex::new(kept),
        }
    }

    /// Damages a pack as a bad medium would: flips one bit of the byte at
    /// `offset`. Says whether there was such a byte.
    pub fn flip_bit(&self, pack: &PackId, offset: u64, bit: u32) -> bool {
        let mut kept = self.kept();
        let bytes = kept.packs.get_mut(pack);
        let byte = bytes.and_then(|bytes| bytes.get_mut(usize::try_from(offset).ok()?));
        byte.map(|byte| *byte ^= 1_u8.rotate_left(bit)).is_some()
    }

    /// Loses a pack. Says whether it was there.
    pub fn lose_pack(&self, pack: &PackId) -> bool {
        self.kept().packs.remove(pack).is_some()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One operation: `act` runs unless the simulation stopped before it.
    fn operate<T>(
        &self,
        act: impl FnOnce(&mut Kept) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut kept = self.kept();
        let operation = kept.operations;
        kept.operations += 1;
        match kept.fault {
            Some(Fault::Before(at)) if operation >= at => {
                return Err(StoreError::Stopped { operation });
            }
            Some(Fault::After(at)) if operation > at => {
                return Err(StoreError::Stopped { operation });
            }
            _ => {}
        }
        let result = act(&mut kept);
        match kept.fault {
            Some(Fault::After(at)) if operation == at => Err(StoreError::Stopped { operation }),
            _ => result,
        }
    }
}

/// Refuses bytes whose hash is not the name they were given.
pub(super) fn check_name<T: PartialEq + ToString>(
    what: &'static str,
    name: &T,
    found: &T,
) -> Result<(), StoreError> {
    if name == found {
        return Ok(());
    }
    let reason = format!("its bytes hash to {}", found.to_string());
    Err(StoreError::Refused {
        what,
        name: name.to_string(),
        reason,
    })
}

/// Refuses a manifest whose root hashes to another id.
pub(super) fn check_manifest(id: &ImageId, bytes: &[u8]) -> Result<(), StoreError> {
    let refused = |reason: String| StoreError::Refused {
        what: "manifest",
        name: id.to_string(),
        reason,
    };
    let found = manifest::root_id(bytes).map_err(|error| refused(error.to_string()))?;
    check_name("manifest", id, &found)
}

/// Refuses a sequence that does not follow the newest one.
pub(super) fn check_follows(at: &RefName, newest: Option<u64>) -> Result<(), StoreError> {
    let newest = newest.unwrap_or(0);
    if newest.checked_add(1) == Some(at.sequence) {
        Ok(())
    } else {
        Err(StoreError::Conflict {
            at: at.clone(),
            newest,
        })
    }
}

fn get<K: Ord + ToString>(
    what: &'static str,
    map: &BTreeMap<K, Vec<u8>>,
    key: &K,
) -> Result<Vec<u8>, StoreError> {
    map.get(key).cloned().ok_or_else(|| StoreError::Missing {
        what,
        name: key.to_string(),
    })
}

impl Source for MemoryStore {
    fn block(&self, place: &BlockPlace) -> Result<Vec<u8>, StoreError> {
        self.operate(|kept| {
            let missing = || StoreError::Missing {
                what: "pack",
                name: place.pack.to_string(),
            };
            let pack = kept.packs.get(&place.pack).ok_or_else(missing)?;
            let start = usize::try_from(place.offset).ok();
            let range =
                start.and_then(|start| pack.get(start..start.checked_add(place.stored as usize)?));
            range
                .map(<[u8]>::to_vec)
                .ok_or(StoreError::Range { place: *place })
        })
    }
}

impl Store for MemoryStore {
    fn put_pack(&self, id: &PackId, bytes: &[u8]) -> Result<(), StoreError> {
        check_name("pack", id, &PackId::of(bytes))?;
        self.operate(|kept| {
            kept.packs.entry(*id).or_insert_with(|| bytes.to_vec());
            Ok(())
        })
    }

    fn list_packs(&self) -> Result<Vec<PackId>, StoreError> {
        self.operate(|kept| Ok(kept.packs.keys().copied().collect()))
    }

    fn read_pack(&self, id: &PackId) -> Result<Vec<u8>, StoreError> {
        self.operate(|kept| get("pack", &kept.packs, id))
    }

    fn put_index(&self, id: &SegmentId, bytes: &[u8]) -> Result<(), StoreError> {
        check_name("index segment", id, &SegmentId::of(bytes))?;
        self.operate(|kept| {
            kept.indexes.entry(*id).or_insert_with(|| bytes.to_vec());
            Ok(())
        })
    }

    fn list_indexes(&self) -> Result<Vec<SegmentId>, StoreError> {
        self.operate(|kept| Ok(kept.indexes.keys().copied().collect()))
    }

    fn read_index(&self, id: &SegmentId) -> Result<Vec<u8>, StoreError> {
        self.operate(|kept| get("index segment", &kept.indexes, id))
    }

    fn put_manifest(&self, id: &ImageId, bytes: &[u8]) -> Result<(), StoreError> {
        check_manifest(id, bytes)?;
        self.operate(|kept| {
            kept.manifests.entry(*id).or_insert_with(|| bytes.to_vec());
            Ok(())
        })
    }

    fn list_manifests(&self) -> Result<Vec<ImageId>, StoreError> {
        self.operate(|kept| Ok(kept.manifests.keys().copied().collect()))
    }

    fn read_manifest(&self, id: &ImageId) -> Result<Vec<u8>, StoreError> {
        self.operate(|kept| get("manifest", &kept.manifests, id))
    }

    fn put_ref(&self, at: &RefName, bytes: &[u8]) -> Result<(), StoreError> {
        self.operate(|kept| {
            let same = kept.refs.keys().filter(|known| known.name == at.name);
            check_follows(at, same.map(|known| known.sequence).max())?;
            kept.refs.insert(at.clone(), bytes.to_vec());
            Ok(())
        })
    }

    fn list_refs(&self) -> Result<Vec<RefName>, StoreError> {
        self.operate(|kept| Ok(kept.refs.keys().cloned().collect()))
    }

    fn read_ref(&self, at: &RefName) -> Result<Vec<u8>, StoreError> {
        self.operate(|kept| get("ref", &kept.refs, at))
    }
}
