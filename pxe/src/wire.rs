//! Packets as values: bytes to value and back, nothing decided.

pub mod dhcp;
pub mod pxe;
pub mod tftp;
