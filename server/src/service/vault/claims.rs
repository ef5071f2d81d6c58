//! Who put which lease and which ref, in this server's life.
//!
//! A lease keeps a collection from destroying what a capture counts on, so
//! nobody else may end or rewrite it. After a start nothing is remembered: then
//! a lease belongs to whoever renews it first, and only its holder and the
//! operator can know its id, which is 128 random bits and told to nobody else.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use image_format::store::{LeaseId, RefName, Store, StoreError};

use super::Asker;

/// A lease is a few lines.
const LONGEST_LEASE: usize = 4 << 10;
/// Leases of one token at once: more captures than one builder runs.
const MOST_LEASES: usize = 64;
/// A ref is taken back at once or never.
const REFS_REMEMBERED: usize = 1024;

/// The hash of a token.
pub(crate) type Holder = [u8; 32];

/// What is remembered of one share.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    leases: HashMap<LeaseId, Holder>,
    refs: VecDeque<(RefName, Holder)>,
}

impl Claims {
    /// Writes a lease, unless it is another one's.
    ///
    /// # Errors
    /// It is, or the store failed.
    pub(super) fn put_lease(
        &self,
        store: &dyn Store,
        by: &Asker,
        id: LeaseId,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        if bytes.len() > LONGEST_LEASE {
            let reason = format!("{} bytes, expected at most {LONGEST_LEASE}", bytes.len());
            return Err(refused(&id, reason));
        }
        // Held while the store works, so that nobody comes between.
        let mut kept = self.lock();
        match kept.leases.get(&id) {
            Some(holder) if *holder != by.holder && !by.is_operator => {
                return Err(refused(&id, "another token holds it".to_owned()));
            }
            Some(_) => {}
            None => kept.make_room(store, &id, by)?,
        }
        store.put_lease(&id, bytes)?;
        kept.leases.entry(id).or_insert(by.holder);
        Ok(())
    }

    /// Ends a lease of the asker's own; the operator ends any.
    ///
    /// # Errors
    /// It is another one's or of before this server's start, or the store failed.
    pub(super) fn remove_lease(
        &self,
        store: &dyn Store,
        by: &Asker,
        id: LeaseId,
    ) -> Result<bool, StoreError> {
        let mut kept = self.lock();
        let own = kept.leases.get(&id) == Some(&by.holder);
        if !own && !by.is_operator {
            let reason = "this token did not take or renew it since the server started; \
                          one that nobody renews ends by itself";
            return Err(refused(&id, reason.to_owned()));
        }
        let there = store.remove_lease(&id)?;
        kept.leases.remove(&id);
        Ok(there)
    }

    /// Notes who committed this.
    pub(super) fn committed(&self, at: RefName, by: &Asker) {
        let mut kept = self.lock();
        kept.refs.push_back((at, by.holder));
        if kept.refs.len() > REFS_REMEMBERED {
            kept.refs.pop_front();
        }
    }

    /// Whether the asker may take this ref back.
    pub(super) fn may_take_back(&self, at: &RefName, by: &Asker) -> bool {
        let own = |(known, holder): &(RefName, Holder)| known == at && *holder == by.holder;
        by.is_operator || self.lock().refs.iter().any(own)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Refuses one more lease of somebody who has too many that live.
    fn make_room(&mut self, store: &dyn Store, id: &LeaseId, by: &Asker) -> Result<(), StoreError> {
        let own = |kept: &Self| {
            let holders = kept.leases.values();
            holders.filter(|holder| **holder == by.holder).count()
        };
        if own(self) < MOST_LEASES {
            return Ok(());
        }
        // A collection may have ended some.
        let there = store.list_leases()?;
        self.leases.retain(|id, _| there.contains(id));
        match own(self) < MOST_LEASES {
            true => Ok(()),
            false => Err(refused(
                id,
                format!("this token holds {MOST_LEASES} already, as many as it may"),
            )),
        }
    }
}

fn refused(id: &LeaseId, reason: String) -> StoreError {
    StoreError::Refused {
        what: "lease",
        name: id.to_string(),
        reason,
    }
}
