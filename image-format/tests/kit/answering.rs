//! A store that answers which chunks it has, as a server does, and counts.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use image_format::ids::{ChunkId, ImageId, PackId, SegmentId};
use image_format::store::{
    BlockPlace, LeaseId, MemoryStore, PackFacts, RefName, Run, Source, Store, StoreError, Trashed,
};
use image_format::{Index, Segment, fetch_list, with_bases};

/// What happens right after the question of this number, from 0.
type After<'s> = (usize, &'s (dyn Fn() + Sync));

/// Answers for a store in memory.
pub(crate) struct Answering<'s> {
    store: &'s MemoryStore,
    asked: AtomicUsize,
    questions: AtomicUsize,
    chunks: AtomicUsize,
    index_reads: AtomicUsize,
    after: Mutex<Vec<After<'s>>>,
}

impl<'s> Answering<'s> {
    pub(crate) fn new(store: &'s MemoryStore) -> Self {
        Self {
            store,
            asked: AtomicUsize::new(0),
            questions: AtomicUsize::new(0),
            chunks: AtomicUsize::new(0),
            index_reads: AtomicUsize::new(0),
            after: Mutex::default(),
        }
    }

    /// Questions that named a chunk, and chunks in them.
    pub(crate) fn questions(&self) -> (usize, usize) {
        let read = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        (read(&self.questions), read(&self.chunks))
    }

    pub(crate) fn index_reads(&self) -> usize {
        self.index_reads.load(Ordering::Relaxed)
    }

    /// Does something right after the question of this number.
    pub(crate) fn after_question(&self, number: usize, act: &'s (dyn Fn() + Sync)) {
        self.after.lock().unwrap().push((number, act));
    }
}

impl Source for Answering<'_> {
    fn block(&self, place: &BlockPlace) -> Result<Vec<u8>, StoreError> {
        self.store.block(place)
    }
}

macro_rules! forward {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {$(
        fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
            self.store.$name($($argument),*)
        }
    )*};
}

impl Store for Answering<'_> {
    fn locate(&self, wanted: &[ChunkId]) -> Result<Option<Segment>, StoreError> {
        if !wanted.is_empty() {
            self.questions.fetch_add(1, Ordering::Relaxed);
            self.chunks.fetch_add(wanted.len(), Ordering::Relaxed);
        }
        let index = Index::load_to_write(self.store).unwrap();
        let known = wanted.iter().copied().filter(|id| index.find(id).is_some());
        let jobs = fetch_list(&index, known).unwrap();
        let jobs = with_bases(&index, jobs).unwrap();
        let segment = Segment::decode(Segment::encode(&jobs).unwrap()).unwrap();
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        for (at, act) in self.after.lock().unwrap().iter() {
            if *at == number {
                act();
            }
        }
        Ok(Some(segment))
    }

    fn read_index(&self, id: &SegmentId) -> Result<Vec<u8>, StoreError> {
        self.index_reads.fetch_add(1, Ordering::Relaxed);
        self.store.read_index(id)
    }

    forward! {
        fn put_pack(id: &PackId, bytes: &[u8]) -> ();
        fn list_packs() -> Vec<PackId>;
        fn read_pack(id: &PackId) -> Vec<u8>;
        fn put_index(id: &SegmentId, bytes: &[u8]) -> ();
        fn list_indexes() -> Vec<SegmentId>;
        fn put_manifest(id: &ImageId, bytes: &[u8]) -> ();
        fn list_manifests() -> Vec<ImageId>;
        fn read_manifest(id: &ImageId) -> Vec<u8>;
        fn put_ref(at: &RefName, bytes: &[u8]) -> ();
        fn list_refs() -> Vec<RefName>;
        fn read_ref(at: &RefName) -> Vec<u8>;
        fn delete_ref(at: &RefName) -> ();
        fn list_deleted_refs() -> Vec<RefName>;
        fn tidy_refs() -> ();
        fn pack_facts(id: &PackId) -> PackFacts;
        fn read_pack_part(id: &PackId, offset: u64, length: u32) -> Vec<u8>;
        fn remove_index(id: &SegmentId) -> bool;
        fn condemn(what: &Trashed) -> bool;
        fn restore(what: &Trashed) -> bool;
        fn destroy(what: &Trashed) -> bool;
        fn adopt(what: &Trashed, ours: &Trashed) -> bool;
        fn list_trash() -> Vec<Trashed>;
        fn trash_length(what: &Trashed) -> u64;
        fn settle() -> ();
        fn put_seal(run: &Run, bytes: &[u8]) -> ();
        fn list_seals() -> Vec<Run>;
        fn read_seal(run: &Run) -> Vec<u8>;
        fn remove_seal(run: &Run) -> bool;
        fn put_lease(id: &LeaseId, bytes: &[u8]) -> ();
        fn list_leases() -> Vec<LeaseId>;
        fn read_lease(id: &LeaseId) -> Vec<u8>;
        fn remove_lease(id: &LeaseId) -> bool;
    }

    fn now(&self) -> u64 {
        self.store.now()
    }

    fn owner(&self) -> String {
        self.store.owner()
    }
}
