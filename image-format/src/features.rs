//! What a file needs of its reader beyond its version: three sets of 32 bits.
//!
//! Twelve bytes: compatible 4, read-only-compatible 4, incompatible 4. A reader
//! passes over compatible bits it does not know. It refuses unknown
//! incompatible ones. Packs and segments are never changed once written, so
//! read-only-compatible is for who writes a new file from an old one.

use thiserror::Error;

use crate::bytes::{CutOff, Fields};

/// Version 1 knows no feature yet.
const KNOWN_INCOMPATIBLE: u32 = 0;
/// Bytes of the three sets.
pub(crate) const FEATURES: usize = 12;

/// The file needs what this program does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the file needs features {unknown:#010x}, which this program does not know: use a newer one"
)]
pub struct UnknownFeatures {
    /// The incompatible bits that are not known.
    pub unknown: u32,
}

/// The three sets as a writer of this version sets them.
pub(crate) fn encode() -> [u8; FEATURES] {
    [0; FEATURES]
}

/// Takes the three sets and answers whether the file can be read.
pub(crate) fn decode(fields: &mut Fields<'_>) -> Result<Result<(), UnknownFeatures>, CutOff> {
    let (_compatible, _read_only, incompatible) = (fields.u32()?, fields.u32()?, fields.u32()?);
    let unknown = incompatible & !KNOWN_INCOMPATIBLE;
    Ok(if unknown == 0 {
        Ok(())
    } else {
        Err(UnknownFeatures { unknown })
    })
}
