//! Sockets and the clock: the only I/O of this crate.

pub mod boot;
pub mod client;
pub mod socket;
mod tftp;
