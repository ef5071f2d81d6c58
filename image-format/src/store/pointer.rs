//! Whatever points to a store is a store.

use std::sync::Arc;

use super::{
    BlockPlace, Holder, LeaseId, PackFacts, RefName, Run, Source, Store, StoreError, Trashed,
};
use crate::ids::{ChunkId, ImageId, PackId, SegmentId};
use crate::index::{Segment, SegmentBytes};

macro_rules! delegate {
    ($($pointer:ty),*) => {$(
        impl<S: Source + ?Sized> Source for $pointer {
            fn block(&self, place: &BlockPlace) -> Result<Vec<u8>, StoreError> {
                (**self).block(place)
            }
        }

        impl<S: Store + ?Sized> Store for $pointer {
            fn put_pack(&self, id: &PackId, bytes: &[u8]) -> Result<(), StoreError> {
                (**self).put_pack(id, bytes)
            }
            fn list_packs(&self) -> Result<Vec<PackId>, StoreError> {
                (**self).list_packs()
            }
            fn read_pack(&self, id: &PackId) -> Result<Vec<u8>, StoreError> {
                (**self).read_pack(id)
            }
            fn put_index(&self, id: &SegmentId, bytes: &[u8]) -> Result<(), StoreError> {
                (**self).put_index(id, bytes)
            }
            fn locate(&self, wanted: &[ChunkId]) -> Result<Option<Segment>, StoreError> {
                (**self).locate(wanted)
            }
            fn list_indexes(&self) -> Result<Vec<SegmentId>, StoreError> {
                (**self).list_indexes()
            }
            fn read_index(&self, id: &SegmentId) -> Result<Vec<u8>, StoreError> {
                (**self).read_index(id)
            }
            fn map_index(&self, id: &SegmentId) -> Result<SegmentBytes, StoreError> {
                (**self).map_index(id)
            }
            fn put_manifest(&self, id: &ImageId, bytes: &[u8]) -> Result<(), StoreError> {
                (**self).put_manifest(id, bytes)
            }
            fn list_manifests(&self) -> Result<Vec<ImageId>, StoreError> {
                (**self).list_manifests()
            }
            fn read_manifest(&self, id: &ImageId) -> Result<Vec<u8>, StoreError> {
                (**self).read_manifest(id)
            }
            fn put_ref(&self, at: &RefName, bytes: &[u8]) -> Result<(), StoreError> {
                (**self).put_ref(at, bytes)
            }
            fn list_refs(&self) -> Result<Vec<RefName>, StoreError> {
                (**self).list_refs()
            }
            fn read_ref(&self, at: &RefName) -> Result<Vec<u8>, StoreError> {
                (**self).read_ref(at)
            }
            fn delete_ref(&self, at: &RefName) -> Result<(), StoreError> {
                (**self).delete_ref(at)
            }
            fn set_ref_aside(&self, at: &RefName) -> Result<(), StoreError> {
                (**self).set_ref_aside(at)
            }
            fn list_deleted_refs(&self) -> Result<Vec<RefName>, StoreError> {
                (**self).list_deleted_refs()
            }
            fn tidy_refs(&self) -> Result<(), StoreError> {
                (**self).tidy_refs()
            }
            fn pack_facts(&self, id: &PackId) -> Result<PackFacts, StoreError> {
                (**self).pack_facts(id)
            }
            fn read_pack_part(&self, id: &PackId, offset: u64, length: u32) -> Result<Vec<u8>, StoreError> {
                (**self).read_pack_part(id, offset, length)
            }
            fn remove_index(&self, id: &SegmentId) -> Result<bool, StoreError> {
                (**self).remove_index(id)
            }
            fn condemn(&self, what: &Trashed) -> Result<bool, StoreError> {
                (**self).condemn(what)
            }
            fn restore(&self, what: &Trashed) -> Result<bool, StoreError> {
                (**self).restore(what)
            }
            fn destroy(&self, what: &Trashed) -> Result<bool, StoreError> {
                (**self).destroy(what)
            }
            fn adopt(&self, what: &Trashed, ours: &Trashed) -> Result<bool, StoreError> {
                (**self).adopt(what, ours)
            }
            fn list_trash(&self) -> Result<Vec<Trashed>, StoreError> {
                (**self).list_trash()
            }
            fn trash_length(&self, what: &Trashed) -> Result<u64, StoreError> {
                (**self).trash_length(what)
            }
            fn confirm(&self) -> Result<(), StoreError> {
                (**self).confirm()
            }
            fn settle(&self) -> Result<(), StoreError> {
                (**self).settle()
            }
            fn put_seal(&self, run: &Run, bytes: &[u8]) -> Result<(), StoreError> {
                (**self).put_seal(run, bytes)
            }
            fn list_seals(&self) -> Result<Vec<Run>, StoreError> {
                (**self).list_seals()
            }
            fn read_seal(&self, run: &Run) -> Result<Vec<u8>, StoreError> {
                (**self).read_seal(run)
            }
            fn remove_seal(&self, run: &Run) -> Result<bool, StoreError> {
                (**self).remove_seal(run)
            }
            fn put_lease(&self, id: &LeaseId, bytes: &[u8]) -> Result<(), StoreError> {
                (**self).put_lease(id, bytes)
            }
            fn list_leases(&self) -> Result<Vec<LeaseId>, StoreError> {
                (**self).list_leases()
            }
            fn read_lease(&self, id: &LeaseId) -> Result<Vec<u8>, StoreError> {
                (**self).read_lease(id)
            }
            fn remove_lease(&self, id: &LeaseId) -> Result<bool, StoreError> {
                (**self).remove_lease(id)
            }
            fn packs_have_tables(&self) -> bool {
                (**self).packs_have_tables()
            }
            fn now(&self) -> u64 {
                (**self).now()
            }
            fn owner(&self) -> String {
                (**self).owner()
            }
            fn holder(&self) -> Option<Holder> {
                (**self).holder()
            }
            fn is_gone(&self, holder: &Holder) -> bool {
                (**self).is_gone(holder)
            }
        }
    )*};
}

delegate!(&S, Box<S>, Arc<S>);
