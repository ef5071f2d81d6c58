//! A directory as a volume: captured from one, applied to one, compared with one.
//!
//! A directory is reached only through descriptors of its own folders, one
//! component at a time and never through a symbolic link, so that nothing laid
//! in the way can lead outside of it.

pub mod capture;
pub mod exclude;
mod metadata;
