//! ProxyDHCP: boot answers beside somebody else's DHCP server (PXE 2.1
//! section 2.2; what real firmware makes of it).
//!
//! * On port 67 a DISCOVER gets an OFFER without an address. iPXE and PC BIOS
//!   get the file in it and are told to use it. UEFI gets an OFFER without a
//!   file: every UEFI client then asks port 4011 once it has its address,
//!   while some ignore a file in the first offer.
//! * On port 4011 a REQUEST gets an ACK with the file, to the port it came
//!   from: edk2 listens on 4011 there, iPXE on 68.
//! * The next server is always ours: with none, iPXE gives up.

use std::collections::HashMap;
use std::net::SocketAddrV4;

use super::chain::{self, Loaders, Next};
use super::{Listener, Outcome, Reply, destination};
use crate::answer::BootServer;
use crate::client::{Architecture, BootClient, Stage};
use crate::finding::Finding;
use crate::mac::Mac;
use crate::policy::BootPolicy;
use crate::wire::dhcp::{Kind, Packet, code};
use crate::wire::pxe;

/// DISCOVERs of one client without a REQUEST until we say that no DHCP server
/// answers: edk2 sends four in a minute.
const UNANSWERED: u32 = 4;
/// Clients counted at a time.
const COUNTED_LIMIT: usize = 1024;

/// The proxy's state: hardly any.
#[derive(Debug)]
pub struct Proxy {
    server: BootServer,
    loaders: Loaders,
    asking: HashMap<Mac, u32>,
}

impl Proxy {
    /// A proxy that sends machines to `server`.
    #[must_use]
    pub fn new(server: BootServer, loaders: Loaders) -> Self {
        Self {
            server,
            loaders,
            asking: HashMap::new(),
        }
    }

    /// Takes one packet that came in on `listener` from `from`.
    pub fn handle(
        &mut self,
        listener: Listener,
        from: SocketAddrV4,
        request: &Packet,
        policy: &dyn BootPolicy,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        if request.reply {
            return outcome;
        }
        let client = BootClient::from_packet(request);
        self.count(request, &client, &mut outcome);
        match (listener, request.kind) {
            (Listener::Dhcp, Kind::Discover) => {
                outcome.reply = self.offer(request, &client, policy, &mut outcome);
            }
            (Listener::Pxe, Kind::Request | Kind::Inform | Kind::Discover) => {
                outcome.reply = self.acknowledge(from, request, &client, policy);
            }
            _ => {}
        }
        outcome.client = Some(client);
        outcome
    }

    fn offer(
        &self,
        request: &Packet,
        client: &BootClient,
        policy: &dyn BootPolicy,
        outcome: &mut Outcome,
    ) -> Option<Reply> {
        let next = chain::next(client, policy, self.server, &self.loaders);
        match next {
            Next::Nothing => return None,
            Next::NoLoader => {
                outcome.found(no_loader(client));
                return None;
            }
            _ => {}
        }
        let mut reply = self.reply(request, Kind::Offer);
        // No client can take unicast here: we give it no address.
        reply.broadcast = true;
        let asks_again = client.stage == Stage::Pxe && client.architecture != Architecture::Bios;
        if asks_again {
            reply.siaddr = self.server.address;
        } else {
            chain::write(&mut reply, request, &next, self.server);
            if client.stage != Stage::HttpBoot {
                chain::write_direct(&mut reply);
            }
        }
        let to = destination(request);
        Some(Reply { to, packet: reply })
    }

    fn acknowledge(
        &self,
        from: SocketAddrV4,
        request: &Packet,
        client: &BootClient,
        policy: &dyn BootPolicy,
    ) -> Option<Reply> {
        let next = chain::next(client, policy, self.server, &self.loaders);
        if matches!(next, Next::Nothing | Next::NoLoader) {
            return None;
        }
        let mut reply = self.reply(request, Kind::Ack);
        reply.ciaddr = request.ciaddr;
        chain::write(&mut reply, request, &next, self.server);
        let item = request.get(code::VENDOR);
        if let Some(item) = item.and_then(|bytes| pxe::find(bytes, pxe::BOOT_ITEM)) {
            let echo = pxe::encode(&[(pxe::BOOT_ITEM, item)]);
            reply.set(code::VENDOR, &echo);
        }
        let to = if from.ip().is_unspecified() {
            destination(request)
        } else {
            from
        };
        Some(Reply { to, packet: reply })
    }

    fn reply(&self, request: &Packet, kind: Kind) -> Packet {
        let mut reply = Packet::reply_to(request, kind, self.server.address);
        reply.set(code::CLASS, chain::PXE_CLASS);
        reply
    }

    fn count(&mut self, request: &Packet, client: &BootClient, outcome: &mut Outcome) {
        if request.kind != Kind::Discover {
            self.asking.remove(&request.mac);
            return;
        }
        if !client.boots() {
            return;
        }
        if self.asking.len() >= COUNTED_LIMIT {
            self.asking.clear();
        }
        let asked = self.asking.entry(request.mac).or_insert(0);
        *asked = asked.saturating_add(1);
        if *asked == UNANSWERED {
            outcome.found(Finding::NoDhcpServer { mac: request.mac });
        }
    }
}

/// The finding about a machine whose firmware we have no loader for.
pub(super) fn no_loader(client: &BootClient) -> Finding {
    Finding::NoLoader {
        mac: client.mac,
        architecture: client.architecture.to_type(),
    }
}
