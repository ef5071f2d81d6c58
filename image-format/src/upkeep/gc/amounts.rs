//! How many and how much.

use serde::Serialize;

use crate::ids::PackId;
use crate::store::{Store, StoreError, Trashed};

/// A number of files and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    /// One more.
    pub fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What these take in the trash; what is gone meanwhile does not count.
pub(super) fn of_trash<'t>(
    store: &dyn Store,
    trashed: impl Iterator<Item = &'t Trashed>,
) -> Result<Amount, StoreError> {
    let mut amount = Amount::default();
    for what in trashed {
        if let Some(bytes) = there(store.trash_length(what))? {
            amount.add(bytes);
        }
    }
    Ok(amount)
}

/// The length of a pack, unless somebody took it away.
pub(super) fn pack_length(store: &dyn Store, id: &PackId) -> Result<Option<u64>, StoreError> {
    there(store.pack_facts(id).map(|facts| facts.length))
}

/// `None` for what is missing.
pub(super) fn there<T>(result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
