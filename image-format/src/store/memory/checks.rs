//! What every store refuses.

use crate::ids::ImageId;
use crate::manifest;
use crate::store::{RefName, StoreError};

/// Refuses bytes whose hash is not the name they were given.
pub(in crate::store) fn check_name<T: PartialEq + ToString>(
    what: &'static str,
    name: &T,
    found: &T,
) -> Result<(), StoreError> {
    if name == found {
        return Ok(());
    }
    let reason = format!("its bytes hash to {}", found.to_string());
    Err(StoreError::Refused {
        what,
        name: name.to_string(),
        reason,
    })
}

/// Refuses a manifest whose root hashes to another id.
pub(in crate::store) fn check_manifest(id: &ImageId, bytes: &[u8]) -> Result<(), StoreError> {
    let refused = |reason: String| StoreError::Refused {
        what: "manifest",
        name: id.to_string(),
        reason,
    };
    let found = manifest::root_id(bytes).map_err(|error| refused(error.to_string()))?;
    check_name("manifest", id, &found)
}

/// Refuses a sequence that does not follow the newest one.
pub(in crate::store) fn check_follows(at: &RefName, newest: Option<u64>) -> Result<(), StoreError> {
    let newest = newest.unwrap_or(0);
    if at.sequence > newest {
        Ok(())
    } else {
        Err(StoreError::Conflict {
            at: at.clone(),
            newest,
        })
    }
}
