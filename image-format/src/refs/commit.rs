//! Committing: a record gets the next free sequence of its name.

use thiserror::Error;

use super::signature::Signer;
use super::{RefError, check_new_name, encode};
use crate::image::ImageRecord;
use crate::store::{RefName, Store, StoreError};

/// So often another capture under the same name may be faster.
const ATTEMPTS: u32 = 16;

/// An image could not be committed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The name cannot be used.
    #[error(transparent)]
    Ref(#[from] RefError),
    /// Other captures under this name are faster again and again.
    #[error("too many captures under the name {name} at once: try again")]
    Busy {
        /// Which.
        name: String,
    },
}

/// Commits an image under the next free sequence of its name and says which.
/// All that the image needs is durable before; whoever commits holds a lease.
///
/// # Errors
/// The store failed, the name is not usable, or others are always faster.
pub fn commit(
    store: &dyn Store,
    mut record: ImageRecord,
    signer: Option<&dyn Signer>,
) -> Result<ImageRecord, CommitError> {
    check_new_name(&record.name)?;
    // Kept ones first: one that is deleted meanwhile is then found as deleted.
    let mut known = store.list_refs()?;
    known.extend(store.list_deleted_refs()?);
    let same = known.iter().filter(|at| at.name == record.name);
    let mut newest = same.map(|at| at.sequence).max().unwrap_or(0);
    for _ in 0..ATTEMPTS {
        record.sequence = newest.saturating_add(1);
        let at = RefName {
            name: record.name.clone(),
            sequence: record.sequence,
        };
        match store.put_ref(&at, &encode(&record, signer)?) {
            Ok(()) => return Ok(record),
            Err(StoreError::Conflict { newest: there, .. }) => newest = there,
            Err(error) => return Err(error.into()),
        }
    }
    Err(CommitError::Busy { name: record.name })
}
