//! DHCP machines: bytes in, replies out as data. No socket, no clock.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::client::BootClient;
use crate::finding::Finding;
use crate::wire::dhcp::Packet;

pub mod chain;
pub mod client;
pub mod lease;
pub mod pool;
pub mod proxy;
pub mod server;

/// Port of DHCP servers and relays (RFC 2131 4.1).
pub const SERVER_PORT: u16 = 67;
/// Port of DHCP clients.
pub const CLIENT_PORT: u16 = 68;
/// Port of the PXE boot server beside a DHCP server (PXE 2.1 section 2.2.1).
pub const PXE_PORT: u16 = 4011;

/// On which of our ports a packet came in; its reply leaves from the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// Port 67.
    Dhcp,
    /// Port 4011.
    Pxe,
}

/// A packet to send, from the port the request came in on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Where to: a client, a relay, or everyone (255.255.255.255).
    pub to: SocketAddrV4,
    /// What.
    pub packet: Packet,
}

/// What came of one packet.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The reply, if there is one.
    pub reply: Option<Reply>,
    /// Who asked, with its address where that is known now.
    pub client: Option<BootClient>,
    /// What an administrator should know.
    pub findings: Vec<Finding>,
}

impl Outcome {
    fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

/// Where a reply goes (RFC 2131 4.1): to the relay; to the address the client
/// already has; otherwise to everyone, which every client hears and needs no
/// ARP entry for an address that is not yet in use.
fn destination(request: &Packet) -> SocketAddrV4 {
    if !request.giaddr.is_unspecified() {
        SocketAddrV4::new(request.giaddr, SERVER_PORT)
    } else if !request.ciaddr.is_unspecified() {
        SocketAddrV4::new(request.ciaddr, CLIENT_PORT)
    } else {
        SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT)
    }
}
