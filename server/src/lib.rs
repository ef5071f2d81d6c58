//! Share, runs, machines and boot services together.
//!
//! One process, one key, one folder of state. Machines find it over DHCP and
//! fetch their loader in the clear; everything after that is TLS to the key
//! that was built into their first stage. A machine is let in by a person who
//! compares a code, or because it was ordered; it gets a signed assignment and
//! a token that opens that image and nothing else; what it tells is kept as
//! events; and when it has read its disk back, its receipt is compared with
//! the image and countersigned.
//!
//! * [`Config`]: the one configuration file
//! * [`run`], or [`Bound`] where the ports must be known before it answers
//! * [`public_key`], [`server_key`], [`operator_token`]: made at first need
//!
//! Inside, `http` speaks, `service` decides, `db` remembers. This crate cannot
//! write a disk: it does not know how.

pub mod config;
mod db;
mod error;
mod http;
mod service;
pub mod sign;
mod start;

pub use config::{Config, ConfigError};
pub use sign::{SignError, operator_token, public_key, server_key};
pub use start::{Bound, run};
