//! A block: chunks of like kind, compressed together, framed and hashed.
//!
//! Sixty-four header bytes, the list of bases, then the payload: one zstd
//! frame, or the raw bytes where compression gains nothing. The [`BlockId`] is
//! the hash of all of it.
//!
//! A block may be compressed against *bases*: older chunks that a reader must
//! have at hand, as versions of one file are nearly equal. Bases are one deep:
//! [`open_with`] is handed their bytes, and who fetches them opens their blocks
//! with [`open`], which refuses a block that has bases itself.

pub mod filter;
mod header;
mod open;
mod seal;

pub use filter::Filter;
pub use header::HeaderError;
pub use open::{BlockError, OpenBlock, bases, open, open_with};
pub use seal::{FilterChoice, SealError, SealOptions, SealedBlock, seal};

pub(crate) use header::Header;

/// Bytes of the header, before the list of bases.
pub const HEADER_LENGTH: u32 = 64;
/// Bytes of one base in the list: its id and its length.
pub const BASE_ROW: u32 = 36;
/// No block holds more raw bytes: what a receiver must be able to keep in memory.
pub const MAX_RAW: u32 = 16 << 20;
/// No block has more bases.
pub const MAX_BASES: u32 = 16;
/// The bases of a block together have no more bytes: a reader holds them beside the block.
pub const MAX_BASE_BYTES: u32 = 8 << 20;
/// No stored block is longer: a payload that does not shrink is kept raw, and
/// bases are named only where they save more than their rows take.
pub const MAX_STORED: u32 = HEADER_LENGTH + MAX_BASES * BASE_ROW + MAX_RAW;

/// A frame may ask for as large a window as block and bases are long, no larger.
const WINDOW_LOG_MAX: u32 = 25;

#[cfg(test)]
mod tests;
