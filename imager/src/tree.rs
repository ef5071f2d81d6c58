//! A directory as a volume: captured from one, applied to one, compared with one.
//!
//! A directory is reached only through descriptors of its own folders, one
//! component at a time and never through a symbolic link, so that nothing laid
//! in the way can lead outside of it.

pub mod apply;
pub mod capture;
mod error;
pub mod exclude;
mod held;
mod marker;
mod metadata;
mod place;
pub mod plan;
pub mod verify;

pub(crate) use apply::{times, write_all};
pub use held::{Abilities, Loss, Losses, Lost, Owners};
pub(crate) use held::{FLAGS, STILL};
pub use place::PlaceError;
pub(crate) use place::Unopened;
