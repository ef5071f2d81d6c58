//! What keeps a capture and garbage collection out of each other's way.
//!
//! A lease is there before the index is read, so no collection destroys what
//! the index says is there while the lease lives. What a collection moved to
//! the trash meanwhile is moved back before the ref is written.

use std::collections::HashSet;
use std::time::Duration;

use super::IngestError;
use crate::ids::{ChunkId, PackId};
use crate::index::Index;
use crate::store::trash::unlike;
use crate::store::{Object, RefName, Store, StoreError};
use crate::upkeep::leases::{Lease, STALE};

/// A capture's lease, and the packs it counts on.
pub(crate) struct Guard<'s> {
    lease: Lease<&'s dyn Store>,
    used: HashSet<PackId>,
    salt: u64,
}

impl<'s> Guard<'s> {
    /// Takes a lease. Only then the store is asked what it has.
    pub(crate) fn take(store: &'s dyn Store) -> Result<Self, IngestError> {
        Ok(Self {
            lease: Lease::take(store, "capture")?,
            used: HashSet::new(),
            salt: unlike(),
        })
    }

    /// Takes a lease, then reads the index.
    pub(crate) fn begin(store: &'s dyn Store) -> Result<(Self, Index), IngestError> {
        let guard = Self::take(store)?;
        let index = Index::load_to_write(store)?;
        Ok((guard, index))
    }

    /// From now on the image needs something of this pack.
    pub(crate) fn uses(&mut self, pack: PackId) {
        self.used.insert(pack);
    }

    /// Finds a chunk that the image shall count on, and counts on its pack and
    /// on those of the bases its block leans on.
    pub(crate) fn find(&mut self, index: &Index, id: &ChunkId) -> Option<u32> {
        let at = index.locate(id)?;
        self.uses(at.place.pack);
        let segment = index.segments().get(at.segment)?;
        for base in segment.bases_of(at.block) {
            self.uses(index.locate_plain(&base.id)?.place.pack);
        }
        Some(at.chunk.length)
    }

    /// A salt for the next index segment.
    pub(crate) fn salt(&mut self) -> u64 {
        self.salt = self.salt.wrapping_add(1);
        self.salt
    }

    /// Says that the capture is alive, now and then.
    pub(crate) fn beat(&mut self) -> Result<(), IngestError> {
        Ok(self.lease.beat()?)
    }

    /// Everything the image counts on is where writers look for it, or this
    /// fails. Right before the ref.
    pub(crate) fn hold(&mut self, store: &dyn Store) -> Result<(), IngestError> {
        self.lease.renew()?;
        let here: HashSet<PackId> = store.list_packs()?.into_iter().collect();
        let away = self.used.iter().filter(|pack| !here.contains(*pack));
        for pack in away {
            bring_back(store, *pack)?;
        }
        Ok(())
    }

    /// After the ref: whether this machine slept so long that a collection may
    /// have taken the lease for a dead one's. Then all is looked at again, and
    /// the ref is taken back if something is gone.
    pub(crate) fn held(&mut self, store: &dyn Store, at: &RefName) -> Result<(), IngestError> {
        if self.lease.since_renewed() < Duration::from_secs(STALE / 2) {
            return Ok(());
        }
        let still = self.hold(store);
        if still.is_err() {
            store.delete_ref(at)?;
        }
        still
    }
}

fn bring_back(store: &dyn Store, pack: PackId) -> Result<(), IngestError> {
    let copies = store.list_trash()?;
    let copies = copies
        .iter()
        .filter(|copy| copy.object == Object::Pack(pack));
    for copy in copies {
        if store.restore(copy)? {
            return Ok(());
        }
    }
    // Somebody else may have been faster.
    match store.pack_facts(&pack) {
        Ok(_) => Ok(()),
        Err(StoreError::Missing { .. }) => Err(IngestError::Collected { pack }),
        Err(error) => Err(error.into()),
    }
}
