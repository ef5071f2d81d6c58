//! From a disk to entries.

mod blocks;
mod contents;
mod facts;
mod map;
mod open;
mod walk;

pub use open::open;
