//! This machine: what it is, its drivers, its adapters, its firmware.

pub(crate) mod efi;
pub(crate) mod facts;
pub(crate) mod firmware;
pub(crate) mod links;
pub(crate) mod modules;
pub(crate) mod netlink;
