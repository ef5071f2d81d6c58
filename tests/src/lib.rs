//! The lab: machines in QEMU, networks in namespaces, a reference system made
//! from packages, and the programs under test driven as their users drive them.
//!
//! Everything it starts it ends; everything it sends stays in namespaces it
//! made. It needs root (namespaces, taps) and Debian packages, which
//! [`setup`] installs or names.

pub mod base;
pub mod bench;
pub mod command;
pub mod demo;
pub mod disk;
pub mod fuzz;
pub mod network;
pub mod programs;
pub mod reference;
pub mod room;
pub mod serial;
pub mod setup;
pub mod soak;
pub mod table;
pub mod vm;
