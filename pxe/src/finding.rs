//! What was heard on the network that an administrator should change.

use std::fmt;
use std::net::Ipv4Addr;

use crate::mac::Mac;

/// One thing heard. Its text says what it means and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Finding {
    /// While we give addresses, a client took the offer of another server.
    OtherDhcpServer {
        /// The server it took.
        server: Ipv4Addr,
        /// The client.
        mac: Mac,
    },
    /// We are a proxy, and a client asks again and again without ever taking
    /// an address from anyone.
    NoDhcpServer {
        /// The client.
        mac: Mac,
    },
    /// There is no loader for this firmware.
    NoLoader {
        /// The client.
        mac: Mac,
        /// Its architecture's IANA number.
        architecture: u16,
    },
    /// Every address of the range is taken.
    RangeExhausted {
        /// First address of the range.
        first: Ipv4Addr,
        /// Last address of the range.
        last: Ipv4Addr,
    },
    /// A client found that an address we gave is in use.
    AddressInUse {
        /// The address.
        address: Ipv4Addr,
        /// The client that noticed.
        mac: Mac,
    },
    /// A relay asks for a network we have no range for.
    UnknownNetwork {
        /// The relay.
        relay: Ipv4Addr,
    },
    /// A lease could not be written down, so it was not given.
    LeaseNotKept {
        /// The address.
        address: Ipv4Addr,
        /// What the operating system said.
        reason: String,
    },
    /// The loader we named over DHCP is not among our files.
    LoaderMissing {
        /// Its path.
        path: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherDhcpServer { server, mac } => write!(
                f,
                "two DHCP servers on this network: {mac} took the offer of {server}; \
                 stop one, or run the boot service as a proxy beside {server}"
            ),
            Self::NoDhcpServer { mac } => write!(
                f,
                "{mac} asks for an address and nobody gives one: the boot service runs as a \
                 proxy, which needs a DHCP server on this network (or a relay to one)"
            ),
            Self::NoLoader { mac, architecture } => write!(
                f,
                "{mac} has firmware of architecture {architecture}, for which there is no \
                 loader; it will not boot from here"
            ),
            Self::RangeExhausted { first, last } => write!(
                f,
                "every address from {first} to {last} is taken; widen the range or \
                 shorten the lease time"
            ),
            Self::AddressInUse { address, mac } => write!(
                f,
                "{mac} found {address} in use: a machine has it fixed, or another DHCP \
                 server gave it; take it out of the range"
            ),
            Self::UnknownNetwork { relay } => write!(
                f,
                "the relay {relay} asks for a network without a range; add a range that \
                 holds {relay} in its network"
            ),
            Self::LeaseNotKept { address, reason } => write!(
                f,
                "the lease of {address} could not be written down and was not given: {reason}"
            ),
            Self::LoaderMissing { path } => write!(
                f,
                "a machine asked for the loader {path}, which is not here; add it to the \
                 boot files"
            ),
        }
    }
}
