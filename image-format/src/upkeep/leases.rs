//! Who is at work in a share: captures, collections, and readers that last.
//!
//! A lease is a small file that is written anew now and then. Nobody waits for
//! it except garbage collection, which destroys nothing that a live lease's
//! holder may count on. A holder that died is known by its lease: it has the
//! same bytes as long ago, or by its process, where that ran on this machine and
//! is gone. No two clocks are compared.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::store::{Holder, LeaseId, Store, StoreError};

/// A lease is written anew so often, in seconds.
const BEAT: u64 = 60;
/// One that kept its bytes for so many seconds is a dead one's.
pub const STALE: u64 = 2 * 60 * 60;

/// What stands in a lease, for people. All texts keep their length.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    version: u32,
    what: String,
    owner: String,
    began: u64,
    /// Counts up; with leading zeros, so that the length stays.
    beat: String,
    /// Whom to look for on the same machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holder: Option<Holder>,
}

/// A lease, held until it is dropped.
#[derive(Debug)]
pub struct Lease<S: Store> {
    store: S,
    id: LeaseId,
    body: Body,
    beats: u64,
    renewed: Instant,
    renewed_at: u64,
}

impl<S: Store> Lease<S> {
    /// Takes a lease for `what`. Take it first: what is read from the share
    /// before is not protected.
    ///
    /// # Errors
    /// The store failed.
    pub fn take(store: S, what: &str) -> Result<Self, StoreError> {
        let body = Body {
            version: 1,
            what: what.to_owned(),
            owner: store.owner(),
            began: store.now(),
            beat: String::new(),
            holder: store.holder(),
        };
        let mut lease = Self {
            store,
            id: LeaseId::new(),
            body,
            beats: 0,
            renewed: Instant::now(),
            renewed_at: 0,
        };
        lease.renew()?;
        Ok(lease)
    }

    /// Its name.
    pub fn id(&self) -> LeaseId {
        self.id
    }

    /// Says that its holder is alive; cheap, to be called often.
    ///
    /// # Errors
    /// The store failed.
    pub fn beat(&mut self) -> Result<(), StoreError> {
        match self.renewed.elapsed() < Duration::from_secs(BEAT) {
            true => Ok(()),
            false => self.renew(),
        }
    }

    /// Writes it anew, now.
    ///
    /// # Errors
    /// The store failed.
    pub fn renew(&mut self) -> Result<(), StoreError> {
        self.beats += 1;
        self.body.beat = format!("{:020}", self.beats);
        let text = serde_json::to_vec_pretty(&self.body).unwrap_or_default();
        self.store.put_lease(&self.id, &text)?;
        self.renewed = Instant::now();
        self.renewed_at = self.store.now();
        Ok(())
    }

    /// How long ago it was written; a clock that goes on while a machine sleeps
    /// is asked as well.
    pub fn since_renewed(&self) -> Duration {
        let wall = self.store.now().saturating_sub(self.renewed_at);
        self.renewed.elapsed().max(Duration::from_secs(wall))
    }
}

impl<S: Store> Drop for Lease<S> {
    fn drop(&mut self) {
        // One that stays is found to be a dead one's later.
        let _ = self.store.remove_lease(&self.id);
    }
}

/// A lease as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Changes whenever it is written.
    pub(crate) mark: String,
    /// When it was taken, by its holder's clock; zero where that cannot be told.
    pub(crate) began: u64,
    /// For people.
    pub(crate) words: String,
    /// Whether its holder may have written packs that no ref needs yet.
    pub(crate) writes: bool,
    /// Whether its process has certainly ended: nobody needs to wait for it.
    pub(crate) gone: bool,
}

/// Who stores packs before the ref that needs them.
const WRITERS: [&str; 3] = ["capture", "optimize", "repair"];

impl Seen {
    fn of<S: Store + ?Sized>(store: &S, bytes: &[u8]) -> Self {
        let body: Option<Body> = serde_json::from_slice(bytes).ok();
        let words = |body: &Body| format!("{} by {}", body.what, body.owner);
        Self {
            mark: blake3::hash(bytes).to_hex().chars().take(32).collect(),
            began: body.as_ref().map_or(0, |body| body.began),
            writes: body
                .as_ref()
                .is_none_or(|body| WRITERS.contains(&body.what.as_str())),
            gone: body
                .as_ref()
                .and_then(|body| body.holder.as_ref())
                .is_some_and(|holder| store.is_gone(holder)),
            words: body.as_ref().map_or("somebody".to_owned(), words),
        }
    }
}

/// All leases there are.
///
/// # Errors
/// The store failed.
pub(crate) fn look<S: Store + ?Sized>(store: &S) -> Result<BTreeMap<LeaseId, Seen>, StoreError> {
    let mut leases = BTreeMap::new();
    for id in store.list_leases()? {
        match store.read_lease(&id) {
            Ok(bytes) => {
                leases.insert(id, Seen::of(store, &bytes));
            }
            // Ended since the list was read.
            Err(StoreError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(leases)
}
