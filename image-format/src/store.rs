//! Where an image is kept: packs, index segments, manifests and refs.
//!
//! A store is dumb on purpose. It keeps whole files under names that are the
//! hash of their bytes; what is in them is the business of those who read them.

pub mod dir;
mod error;
pub mod memory;
mod name;
mod pointer;
pub mod trash;

use serde::{Deserialize, Serialize};

use crate::ids::{ChunkId, ImageId, PackId, SegmentId};
use crate::index::rows::SegmentBytes;
use crate::index::segment::Segment;

pub use crate::job::BlockPlace;
pub use dir::DirStore;
pub use error::StoreError;
pub use memory::{Fault, MemoryStore};
pub use name::RefName;
pub use trash::{LeaseId, Object, Run, Trashed};

/// Whatever can hand out stored blocks: a share, a file, a server.
pub trait Source: Send + Sync {
    /// The stored bytes of a block, unverified: [`crate::block::open`] checks them.
    ///
    /// # Errors
    /// The bytes cannot be had.
    fn block(&self, place: &BlockPlace) -> Result<Vec<u8>, StoreError>;
}

/// What is known of a pack without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackFacts {
    /// Length of the file in bytes.
    pub length: u64,
    /// When it was written, in seconds since 1970 by the store's own clock;
    /// `None` where nobody knows.
    pub written: Option<u64>,
}

/// A place to keep images.
///
/// Every `put` is durable when it returns, appears whole or not at all, and
/// MUST refuse bytes that do not hash to the name given. Putting what is
/// already there succeeds and changes nothing, except for refs.
///
/// What takes away (`condemn`, `destroy`, `remove`) is durable only after
/// [`Store::settle`]; each says whether there was something to take away, so of
/// two who try one learns that the other was faster. Packs and manifests in the
/// trash are still read under their ids: `read` and `block` look there last.
pub trait Store: Source {
    /// Keeps a pack.
    ///
    /// # Errors
    /// As for all of these: the medium failed, or the bytes do not match their name.
    fn put_pack(&self, id: &PackId, bytes: &[u8]) -> Result<(), StoreError>;
    /// All packs there are, also those nobody refers to.
    ///
    /// # Errors
    /// The medium failed.
    fn list_packs(&self) -> Result<Vec<PackId>, StoreError>;
    /// A whole pack, unverified.
    ///
    /// # Errors
    /// It is not there, or the medium failed.
    fn read_pack(&self, id: &PackId) -> Result<Vec<u8>, StoreError>;

    /// Keeps an index segment.
    ///
    /// # Errors
    /// As [`Store::put_pack`].
    fn put_index(&self, id: &SegmentId, bytes: &[u8]) -> Result<(), StoreError>;
    /// An index segment with those of the wanted chunks that are there; `None`
    /// where the whole index is as near as the answer would be.
    ///
    /// # Errors
    /// The medium failed.
    fn locate(&self, wanted: &[ChunkId]) -> Result<Option<Segment>, StoreError> {
        let _ = wanted;
        Ok(None)
    }
    /// All index segments.
    ///
    /// # Errors
    /// The medium failed.
    fn list_indexes(&self) -> Result<Vec<SegmentId>, StoreError>;
    /// A whole index segment, unverified.
    ///
    /// # Errors
    /// It is not there, or the medium failed.
    fn read_index(&self, id: &SegmentId) -> Result<Vec<u8>, StoreError>;

    /// As [`Store::read_index`], mapped into memory where that can be done.
    ///
    /// # Errors
    /// As [`Store::read_index`].
    fn map_index(&self, id: &SegmentId) -> Result<SegmentBytes, StoreError> {
        self.read_index(id).map(SegmentBytes::from)
    }

    /// Keeps a manifest; its name is the hash of its root (see [`crate::manifest`]).
    ///
    /// # Errors
    /// As [`Store::put_pack`].
    fn put_manifest(&self, id: &ImageId, bytes: &[u8]) -> Result<(), StoreError>;
    /// All manifests, also those without a ref.
    ///
    /// # Errors
    /// The medium failed.
    fn list_manifests(&self) -> Result<Vec<ImageId>, StoreError>;
    /// A whole manifest, unverified.
    ///
    /// # Errors
    /// It is not there, or the medium failed.
    fn read_manifest(&self, id: &ImageId) -> Result<Vec<u8>, StoreError>;

    /// Commits an image: keeps `bytes` as this very sequence of this name.
    /// The sequence must be above the newest that is there: a capture takes the
    /// next one, an import keeps that of the file it comes from.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another capture was faster.
    fn put_ref(&self, at: &RefName, bytes: &[u8]) -> Result<(), StoreError>;
    /// All refs of all sequences, sorted.
    ///
    /// # Errors
    /// The medium failed.
    fn list_refs(&self) -> Result<Vec<RefName>, StoreError>;
    /// A ref's bytes, unverified.
    ///
    /// # Errors
    /// It is not there, or the medium failed.
    fn read_ref(&self, at: &RefName) -> Result<Vec<u8>, StoreError>;
    /// Takes a ref back, for good: its sequence is marked as used, so that it
    /// is never given again and no reader takes the one before for the newest.
    ///
    /// # Errors
    /// As [`Store::put_pack`].
    fn delete_ref(&self, at: &RefName) -> Result<(), StoreError>;
    /// As [`Store::delete_ref`], for a damaged ref: its bytes stay, for people,
    /// where the store has a place for them.
    ///
    /// # Errors
    /// As [`Store::put_pack`].
    fn set_ref_aside(&self, at: &RefName) -> Result<(), StoreError> {
        self.delete_ref(at)
    }
    /// The marks that [`Store::delete_ref`] left, sorted.
    ///
    /// # Errors
    /// The medium failed.
    fn list_deleted_refs(&self) -> Result<Vec<RefName>, StoreError>;
    /// Ends what a crash interrupted in [`Store::delete_ref`], and drops marks
    /// that a later sequence of the name makes needless.
    ///
    /// # Errors
    /// The medium failed.
    fn tidy_refs(&self) -> Result<(), StoreError>;

    /// Length and age of a pack.
    ///
    /// # Errors
    /// It is not there, or the medium failed.
    fn pack_facts(&self, id: &PackId) -> Result<PackFacts, StoreError>;
    /// Bytes of a pack, unverified; at most [`crate::pack::MAX_PACK`].
    ///
    /// # Errors
    /// It is not there or shorter, or the medium failed.
    fn read_pack_part(&self, id: &PackId, offset: u64, length: u32) -> Result<Vec<u8>, StoreError>;
    /// Removes an index segment whose rows stand in another one.
    ///
    /// # Errors
    /// The medium failed.
    fn remove_index(&self, id: &SegmentId) -> Result<bool, StoreError>;

    /// Moves a pack or manifest into the trash, under a name nobody else gives.
    ///
    /// # Errors
    /// The medium failed.
    fn condemn(&self, what: &Trashed) -> Result<bool, StoreError>;
    /// Moves it back, durably. Where one of its id is there again, only the
    /// copy in the trash is given up.
    ///
    /// # Errors
    /// The medium failed.
    fn restore(&self, what: &Trashed) -> Result<bool, StoreError>;
    /// Removes it from the trash, for ever.
    ///
    /// # Errors
    /// The medium failed.
    fn destroy(&self, what: &Trashed) -> Result<bool, StoreError>;
    /// Gives something in the trash the name of another run.
    ///
    /// # Errors
    /// The medium failed.
    fn adopt(&self, what: &Trashed, ours: &Trashed) -> Result<bool, StoreError>;
    /// What is in the trash, sorted.
    ///
    /// # Errors
    /// The medium failed.
    fn list_trash(&self) -> Result<Vec<Trashed>, StoreError>;
    /// Bytes of something in the trash.
    ///
    /// # Errors
    /// It is not there, or the medium failed.
    fn trash_length(&self, what: &Trashed) -> Result<u64, StoreError>;
    /// Makes durable what can be seen: whoever wrote it may have been killed
    /// before its last sync. Asked before anything is destroyed that this stands
    /// in for.
    ///
    /// # Errors
    /// The medium failed.
    fn confirm(&self) -> Result<(), StoreError> {
        Ok(())
    }
    /// Makes all that was taken away durable.
    ///
    /// # Errors
    /// The medium failed.
    fn settle(&self) -> Result<(), StoreError>;

    /// Ends a run of garbage collection: see [`crate::upkeep::gc`].
    ///
    /// # Errors
    /// As [`Store::put_pack`].
    fn put_seal(&self, run: &Run, bytes: &[u8]) -> Result<(), StoreError>;
    /// The runs that were ended, sorted.
    ///
    /// # Errors
    /// The medium failed.
    fn list_seals(&self) -> Result<Vec<Run>, StoreError>;
    /// What was kept with a run.
    ///
    /// # Errors
    /// It is not there, or the medium failed.
    fn read_seal(&self, run: &Run) -> Result<Vec<u8>, StoreError>;
    /// Forgets a run of which nothing is in the trash any more.
    ///
    /// # Errors
    /// The medium failed.
    fn remove_seal(&self, run: &Run) -> Result<bool, StoreError>;

    /// Makes a lease durable and visible, or writes it anew; at no moment is a
    /// lease that was there not listed.
    ///
    /// # Errors
    /// As [`Store::put_pack`].
    fn put_lease(&self, id: &LeaseId, bytes: &[u8]) -> Result<(), StoreError>;
    /// The leases there are, sorted. One that was there before is in the list.
    ///
    /// # Errors
    /// The medium failed.
    fn list_leases(&self) -> Result<Vec<LeaseId>, StoreError>;
    /// A lease's bytes.
    ///
    /// # Errors
    /// It is not there, or the medium failed.
    fn read_lease(&self, id: &LeaseId) -> Result<Vec<u8>, StoreError>;
    /// Ends a lease.
    ///
    /// # Errors
    /// The medium failed.
    fn remove_lease(&self, id: &LeaseId) -> Result<bool, StoreError>;

    /// Whether packs end with tables of what they hold. A single file has its
    /// tables elsewhere.
    fn packs_have_tables(&self) -> bool {
        true
    }

    /// Seconds since 1970 on this machine.
    fn now(&self) -> u64;
    /// Host and process, for people who look at leases.
    fn owner(&self) -> String;
    /// This process as others on this machine find it, where they can.
    fn holder(&self) -> Option<Holder> {
        None
    }
    /// Whether a lease's process has certainly ended; `false` where nobody can tell.
    fn is_gone(&self, _: &Holder) -> bool {
        false
    }
}

/// The process that holds a lease, named so that another of the same kernel can
/// tell whether it lives. Numbers of processes come again, so when it began is
/// part of its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The machine's id; empty where it has none.
    pub machine: String,
    /// The id of the kernel's boot.
    pub boot: String,
    /// The space that numbers its processes.
    pub processes: String,
    /// The process number.
    pub pid: u32,
    /// When it began, in ticks since the boot.
    pub started: u64,
}
