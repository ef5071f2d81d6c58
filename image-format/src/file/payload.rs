//! What can be wrong with a payload that is the one its writer wrote.

use thiserror::Error;

use crate::bytes::CutOff;
use crate::index::SegmentError;
use crate::refs::RefError;

/// A payload is not what its kind says.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The bytes end too early.
    #[error(transparent)]
    CutOff(#[from] CutOff),
    /// A field is wrong.
    #[error("{field}: expected {expected}, found {found}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Fields contradict each other.
    #[error("{0}")]
    Reason(&'static str),
    /// A row is wrong.
    #[error("row {row}: {reason}")]
    Row {
        /// Which, from 0.
        row: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// The header is not JSON of its shape.
    #[error("not the header of a single file")]
    Json(#[from] serde_json::Error),
    /// A later version needs to be understood.
    #[error("feature {feature:?} is not known here: use a newer program")]
    Feature {
        /// Which.
        feature: String,
    },
    /// A ref cannot be read.
    #[error("row {row}")]
    Ref {
        /// Which, from 0.
        row: usize,
        /// Why.
        #[source]
        source: RefError,
    },
    /// A block table is no index segment.
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

/// Refuses a field that is not what it must be.
pub(super) fn expect<T: PartialEq + ToString>(
    field: &'static str,
    expected: T,
    found: T,
) -> Result<(), PayloadError> {
    if expected == found {
        return Ok(());
    }
    Err(PayloadError::Field {
        field,
        expected: expected.to_string(),
        found: found.to_string(),
    })
}
