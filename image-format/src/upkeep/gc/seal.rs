//! The end of a run: whom it must outlive before what it threw away may go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::amounts::there;
use crate::store::{LeaseId, Run, Store, StoreError};
use crate::upkeep::leases::{self, STALE};

const VERSION: u32 = 1;

/// What a seal says. It is written when all that the run threw away lies
/// durably in the trash, and the leases are looked at after that: who has none
/// of them began later and found it gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seal {
    version: u32,
    /// Seconds since 1970.
    sealed: u64,
    /// The leases there were, each with a mark of its bytes.
    leases: BTreeMap<String, String>,
}

impl Seal {
    /// A seal over the leases there are now, but for the collection's own.
    pub(super) fn make(store: &dyn Store, own: &LeaseId) -> Result<Self, StoreError> {
        let found = leases::look(store)?;
        let others = found.iter().filter(|(id, lease)| *id != own && !lease.gone);
        Ok(Self {
            version: VERSION,
            sealed: store.now(),
            leases: others
                .map(|(id, lease)| (id.to_string(), lease.mark.clone()))
                .collect(),
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        // A map of texts always has a JSON form.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// `None` for what is not a seal: then the run counts as not ended.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let seal: Self = serde_json::from_slice(bytes).ok()?;
        (seal.version == VERSION).then_some(seal)
    }

    fn older_than(&self, now: u64, seconds: u64) -> bool {
        self.sealed
            .checked_add(seconds)
            .is_some_and(|until| until <= now)
    }

    /// Whether it is the first to see a lease as it is now: who died can only be
    /// told from what was written down.
    pub(super) fn is_news(&self, known: &BTreeMap<Run, Self>) -> bool {
        let seen = |(id, mark): (&String, &String)| {
            known.values().any(|seal| seal.leases.get(id) == Some(mark))
        };
        !self.leases.iter().all(seen)
    }

    /// Whether a lease it saw is there as it was.
    fn watches(&self, leases: &BTreeMap<LeaseId, leases::Seen>) -> bool {
        leases
            .iter()
            .any(|(id, lease)| self.leases.get(&id.to_string()) == Some(&lease.mark))
    }

    /// Whether a lease is that of one who died: it has the bytes it had then.
    fn is_dead(&self, id: &LeaseId, mark: &str, now: u64) -> bool {
        let same = self
            .leases
            .get(&id.to_string())
            .is_some_and(|then| then == mark);
        same && self.older_than(now, STALE)
    }

    /// Whether the grace is over and all who could need it have ended.
    pub(super) fn is_over(
        &self,
        now: u64,
        grace: Duration,
        leases: &BTreeMap<LeaseId, leases::Seen>,
    ) -> bool {
        let ended = |id: &LeaseId, lease: &leases::Seen| {
            !self.leases.contains_key(&id.to_string()) || self.is_dead(id, &lease.mark, now)
        };
        self.older_than(now, grace.as_secs()) && leases.iter().all(|(id, lease)| ended(id, lease))
    }
}

/// All seals that can be read.
pub(super) fn read_all(store: &dyn Store) -> Result<BTreeMap<Run, Seal>, StoreError> {
    let mut seals = BTreeMap::new();
    for run in store.list_seals()? {
        if let Some(bytes) = there(store.read_seal(&run))? {
            seals.extend(Seal::decode(&bytes).map(|seal| (run, seal)));
        }
    }
    Ok(seals)
}

/// Removes seals of runs that have nothing in the trash any more, and the
/// leases of the dead.
pub(super) fn tidy(store: &dyn Store, own: &LeaseId) -> Result<(), StoreError> {
    let seals = read_all(store)?;
    let now = store.now();
    for (id, lease) in leases::look(store)? {
        let mut seals = seals.values();
        let is_dead = lease.gone || seals.any(|seal| seal.is_dead(&id, &lease.mark, now));
        if id != *own && is_dead {
            store.remove_lease(&id)?;
        }
    }
    // The seals first: a run whose seal was listed throws nothing away any more.
    let sealed = store.list_seals()?;
    let used: BTreeSet<Run> = store.list_trash()?.iter().map(|what| what.run).collect();
    let leases = leases::look(store)?;
    let watches = |run: &Run| seals.get(run).is_some_and(|seal| seal.watches(&leases));
    for run in sealed
        .iter()
        .filter(|run| !used.contains(run) && !watches(run))
    {
        store.remove_seal(run)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use crate::upkeep::leases::Lease;

    #[test]
    fn seal_is_over_when_the_grace_is_and_all_its_leases_ended() {
        let store = MemoryStore::new();
        let store: &dyn Store = &store;
        let own = Lease::take(store, "gc").unwrap();
        let capture = Lease::take(store, "capture").unwrap();
        let seal = Seal::make(store, &own.id()).unwrap();
        assert_eq!(Seal::decode(&seal.encode()), Some(seal.clone()));
        let over = |now| seal.is_over(now, Duration::from_secs(10), &leases::look(store).unwrap());
        assert!(!over(STALE - 1));
        assert!(over(STALE), "its lease did not change for so long");
        drop(capture);
        assert!(!over(9) && over(10));
        let _later = Lease::take(store, "capture").unwrap();
        assert!(over(10), "who came later found it gone");
    }

    #[test]
    fn lease_that_is_renewed_is_alive_and_one_that_is_not_is_removed() {
        let memory = MemoryStore::new();
        let store: &dyn Store = &memory;
        let own = Lease::take(store, "gc").unwrap();
        let mut alive = Lease::take(store, "capture").unwrap();
        let dead = Lease::take(store, "capture").unwrap();
        let seal = Seal::make(store, &own.id()).unwrap();
        store.put_seal(&Run::new(0), &seal.encode()).unwrap();
        memory.advance(STALE);
        alive.renew().unwrap();
        assert!(!seal.is_over(STALE, Duration::ZERO, &leases::look(store).unwrap()));
        tidy(store, &own.id()).unwrap();
        let mut left = store.list_leases().unwrap();
        left.retain(|id| *id != own.id());
        assert_eq!(left, [alive.id()]);
        drop(dead);
    }

    #[test]
    fn torn_seal_is_none() {
        let seal = Seal::make(&MemoryStore::new(), &LeaseId::new()).unwrap();
        let bytes = seal.encode();
        for end in 0..bytes.len() {
            assert_eq!(Seal::decode(&bytes[..end]), None);
        }
    }
}
