//! Images applied to directories: every attribute, every way to be interrupted,
//! and everything that must not happen. Some of it needs root and says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod everything;
mod interrupted;
mod kit;
mod limits;
mod occupied;
mod planted;
mod random;
mod verified;
