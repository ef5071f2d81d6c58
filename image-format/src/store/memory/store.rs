//! A store's operations, each one step of a simulation.

use std::sync::Arc;

use super::kept::{Undo, get, missing, range};
use super::{MemoryStore, check_follows, check_manifest, check_name};
use crate::ids::{ImageId, PackId, SegmentId};
use crate::store::{
    BlockPlace, LeaseId, Object, PackFacts, RefName, Run, Source, Store, StoreError, Trashed,
};

impl Source for MemoryStore {
    fn block(&self, place: &BlockPlace) -> Result<Vec<u8>, StoreError> {
        self.operate(|kept| {
            let pack = kept.anywhere(&Object::Pack(place.pack));
            let pack = pack.ok_or_else(|| missing("pack", &place.pack))?;
            range(pack, place.offset, place.stored).ok_or(StoreError::Range { place: *place })
        })
    }
}

impl Store for MemoryStore {
    fn put_pack(&self, id: &PackId, bytes: &[u8]) -> Result<(), StoreError> {
        check_name("pack", id, &PackId::of(bytes))?;
        self.operate(|kept| {
            if !kept.packs.contains_key(id) {
                let bytes = kept.fit(bytes)?;
                kept.packs.insert(*id, bytes);
            }
            Ok(())
        })
    }

    fn list_packs(&self) -> Result<Vec<PackId>, StoreError> {
        self.operate(|kept| Ok(kept.packs.keys().copied().collect()))
    }

    fn read_pack(&self, id: &PackId) -> Result<Vec<u8>, StoreError> {
        self.operate(|kept| {
            let bytes = kept.anywhere(&Object::Pack(*id));
            bytes
                .map(|bytes| bytes.to_vec())
                .ok_or_else(|| missing("pack", id))
        })
    }

    fn put_index(&self, id: &SegmentId, bytes: &[u8]) -> Result<(), StoreError> {
        check_name("index segment", id, &SegmentId::of(bytes))?;
        self.operate(|kept| {
            if !kept.indexes.contains_key(id) {
                let bytes = kept.fit(bytes)?;
                kept.indexes.insert(*id, bytes);
            }
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
            if !kept.manifests.contains_key(id) {
                let bytes = kept.fit(bytes)?;
                kept.manifests.insert(*id, bytes);
            }
            Ok(())
        })
    }

    fn list_manifests(&self) -> Result<Vec<ImageId>, StoreError> {
        self.operate(|kept| Ok(kept.manifests.keys().copied().collect()))
    }

    fn read_manifest(&self, id: &ImageId) -> Result<Vec<u8>, StoreError> {
        self.operate(|kept| {
            let bytes = kept.anywhere(&Object::Manifest(*id));
            bytes
                .map(|bytes| bytes.to_vec())
                .ok_or_else(|| missing("manifest", id))
        })
    }

    fn put_ref(&self, at: &RefName, bytes: &[u8]) -> Result<(), StoreError> {
        self.operate(|kept| {
            let used = kept.refs.keys().chain(&kept.deleted);
            let same = used.filter(|known| known.name == at.name);
            check_follows(at, same.map(|known| known.sequence).max())?;
            let bytes = kept.fit(bytes)?;
            kept.refs.insert(at.clone(), bytes);
            Ok(())
        })
    }

    fn list_refs(&self) -> Result<Vec<RefName>, StoreError> {
        self.operate(|kept| Ok(kept.refs.keys().cloned().collect()))
    }

    fn read_ref(&self, at: &RefName) -> Result<Vec<u8>, StoreError> {
        self.operate(|kept| get("ref", &kept.refs, at))
    }

    fn delete_ref(&self, at: &RefName) -> Result<(), StoreError> {
        self.operate(|kept| {
            kept.refs.remove(at).ok_or_else(|| missing("ref", at))?;
            kept.deleted.insert(at.clone());
            Ok(())
        })
    }

    fn list_deleted_refs(&self) -> Result<Vec<RefName>, StoreError> {
        self.operate(|kept| Ok(kept.deleted.iter().cloned().collect()))
    }

    fn tidy_refs(&self) -> Result<(), StoreError> {
        self.operate(|kept| {
            let all: Vec<RefName> = kept.refs.keys().chain(&kept.deleted).cloned().collect();
            kept.deleted.retain(|at| {
                !all.iter()
                    .any(|other| other.name == at.name && other.sequence > at.sequence)
            });
            Ok(())
        })
    }

    fn pack_facts(&self, id: &PackId) -> Result<PackFacts, StoreError> {
        self.operate(|kept| {
            let bytes = kept.anywhere(&Object::Pack(*id));
            let bytes = bytes.ok_or_else(|| missing("pack", id))?;
            Ok(PackFacts {
                length: bytes.len() as u64,
                written: None,
            })
        })
    }

    fn read_pack_part(&self, id: &PackId, offset: u64, length: u32) -> Result<Vec<u8>, StoreError> {
        self.operate(|kept| {
            let bytes = kept.anywhere(&Object::Pack(*id));
            let bytes = bytes.ok_or_else(|| missing("pack", id))?;
            range(bytes, offset, length).ok_or(StoreError::Short {
                pack: *id,
                offset,
                length,
            })
        })
    }

    fn remove_index(&self, id: &SegmentId) -> Result<bool, StoreError> {
        self.operate(|kept| {
            let taken = kept.indexes.remove(id);
            Ok(kept.taken(taken, |bytes| Undo::Index(*id, bytes)))
        })
    }

    fn condemn(&self, what: &Trashed) -> Result<bool, StoreError> {
        self.operate(|kept| {
            let Some(bytes) = kept.take_home(&what.object) else {
                return Ok(false);
            };
            kept.trash.insert(*what, bytes);
            kept.unsettled.push(Undo::Condemn(*what));
            Ok(true)
        })
    }

    fn restore(&self, what: &Trashed) -> Result<bool, StoreError> {
        self.operate(|kept| {
            let Some(bytes) = kept.trash.remove(what) else {
                return Ok(false);
            };
            // Where it came from is durable again: the way back is forgotten.
            let same = |undo: &Undo| matches!(undo, Undo::Condemn(other) if other == what);
            kept.unsettled.retain(|undo| !same(undo));
            kept.bring_home(&what.object, Arc::clone(&bytes));
            kept.unsettled.push(Undo::Restore(*what, bytes));
            Ok(true)
        })
    }

    fn destroy(&self, what: &Trashed) -> Result<bool, StoreError> {
        self.operate(|kept| {
            let taken = kept.trash.remove(what);
            Ok(kept.taken(taken, |bytes| Undo::Destroy(*what, bytes)))
        })
    }

    fn adopt(&self, what: &Trashed, ours: &Trashed) -> Result<bool, StoreError> {
        self.operate(|kept| {
            let Some(bytes) = kept.trash.remove(what) else {
                return Ok(false);
            };
            kept.trash.insert(*ours, bytes);
            kept.unsettled.push(Undo::Adopt(*what, *ours));
            Ok(true)
        })
    }

    fn list_trash(&self) -> Result<Vec<Trashed>, StoreError> {
        self.operate(|kept| Ok(kept.trash.keys().copied().collect()))
    }

    fn trash_length(&self, what: &Trashed) -> Result<u64, StoreError> {
        self.operate(|kept| get("trash", &kept.trash, what).map(|bytes| bytes.len() as u64))
    }

    fn settle(&self) -> Result<(), StoreError> {
        self.operate(|kept| {
            kept.unsettled.clear();
            Ok(())
        })
    }

    fn put_seal(&self, run: &Run, bytes: &[u8]) -> Result<(), StoreError> {
        self.operate(|kept| {
            let bytes = kept.fit(bytes)?;
            kept.seals.insert(*run, bytes);
            Ok(())
        })
    }

    fn list_seals(&self) -> Result<Vec<Run>, StoreError> {
        self.operate(|kept| Ok(kept.seals.keys().copied().collect()))
    }

    fn read_seal(&self, run: &Run) -> Result<Vec<u8>, StoreError> {
        self.operate(|kept| get("seal", &kept.seals, run))
    }

    fn remove_seal(&self, run: &Run) -> Result<bool, StoreError> {
        self.operate(|kept| {
            let taken = kept.seals.remove(run);
            Ok(kept.taken(taken, |bytes| Undo::Seal(*run, bytes)))
        })
    }

    fn put_lease(&self, id: &LeaseId, bytes: &[u8]) -> Result<(), StoreError> {
        self.operate(|kept| {
            kept.leases.insert(*id, Arc::new(bytes.to_vec()));
            Ok(())
        })
    }

    fn list_leases(&self) -> Result<Vec<LeaseId>, StoreError> {
        self.operate(|kept| Ok(kept.leases.keys().copied().collect()))
    }

    fn read_lease(&self, id: &LeaseId) -> Result<Vec<u8>, StoreError> {
        self.operate(|kept| get("lease", &kept.leases, id))
    }

    fn remove_lease(&self, id: &LeaseId) -> Result<bool, StoreError> {
        self.operate(|kept| {
            let taken = kept.leases.remove(id);
            Ok(kept.taken(taken, |bytes| Undo::Lease(*id, bytes)))
        })
    }

    fn now(&self) -> u64 {
        self.kept().now
    }

    fn owner(&self) -> String {
        "memory".to_owned()
    }
}
