//! How does a bare machine get fed? DHCP, proxyDHCP, TFTP and boot scripts.
//!
//! A machine that boots from the network asks three times: over DHCP, which
//! loader; the loader over TFTP or HTTP, which script; the script, for kernel
//! and initrd. This crate answers the first two and knows nothing of
//! machines beyond what they say: it asks a [`BootPolicy`].
//!
//! Everything but [`net`] is values and machines: packets in, packets out,
//! the time handed in. [`net`] owns the sockets and the clock.
//!
//! | question | module |
//! |---|---|
//! | what is in a packet? | [`wire`] |
//! | who asks? | [`client`], [`heard`] |
//! | what shall it do? | [`policy`], [`answer`] |
//! | which loader next? | [`dhcp::chain`] |
//! | how is it said? | [`dhcp::proxy`], [`dhcp::server`], [`script`], [`tftp`] |
//! | what is wrong with this network? | [`finding`] |

pub mod answer;
pub mod bytes;
pub mod client;
pub mod dhcp;
pub mod finding;
pub mod heard;
pub mod mac;
pub mod net;
pub mod policy;
pub mod script;
pub mod tftp;
pub mod wire;

pub use answer::{Answer, BootImage, BootServer};
pub use client::{Architecture, BootClient, Stage};
pub use dhcp::chain::Loaders;
pub use dhcp::client::Configuration;
pub use dhcp::lease::{Lease, LeaseLog, MemoryLeases};
pub use dhcp::pool::{Pool, PoolError};
pub use finding::Finding;
pub use heard::Heard;
pub use mac::{Mac, MacError};
pub use net::boot::{BootConfig, BootError, BootParts, Mode, Ports};
pub use policy::BootPolicy;
pub use script::{ScriptError, Scripts};
pub use tftp::{TftpFiles, TftpLimits};
