//! What crosses HTTP between machines, people and the server.
//!
//! [`routes`] has every path once, [`messages`] every body, [`trust`] the
//! pinned key and the short code both sides derive, [`receipt`] the proof that
//! outlives them all. [`client`] speaks it, blocking, from the agent and the
//! operator's program.

pub mod client;
pub mod error;
pub mod messages;
pub mod receipt;
pub mod routes;
pub mod trust;

pub use error::ErrorBody;
pub use receipt::{Receipt, ReceiptError, Statement};
pub use trust::{PublicKey, Signed, SigningKey, TrustError};
