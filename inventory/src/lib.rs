//! Which machine is this, and what runs on it?
//!
//! Records and rules only: nothing here reads a file, opens a socket or knows a
//! database. The agent fills in [`facts::MachineFacts`], the server stores them,
//! and [`identity`] decides whether two of them are the same machine.

pub mod facts;
pub mod identity;
pub mod ids;
pub mod os;
pub mod smbios;

pub use facts::{DiskFacts, Firmware, MachineFacts};
pub use identity::{Identity, Match, Standing};
pub use ids::{HardwareAddr, MachineId};
pub use os::OsFacts;
