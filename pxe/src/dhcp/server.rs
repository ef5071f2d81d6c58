//! A DHCP server whose answers carry the boot fields (RFC 2131 section 4.3).
//!
//! * A range is ours alone: an address in it that nobody has is confirmed to
//!   whoever says it has it, so that a server that lost its table does not
//!   stop the machines it once served.
//! * A lease is written down before the client is told.
//! * Machines the policy ignores get an address and no boot file: whoever
//!   runs the network's DHCP server serves everybody.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::chain::{self, Loaders, Next};
use super::lease::{Lease, LeaseLog, LeaseTable};
use super::pool::Pool;
use super::proxy::no_loader;
use super::{CLIENT_PORT, Outcome, Reply, SERVER_PORT, destination};
use crate::answer::BootServer;
use crate::client::BootClient;
use crate::finding::Finding;
use crate::policy::BootPolicy;
use crate::wire::dhcp::{Kind, Packet, code};

/// The server's state.
#[derive(Debug)]
pub struct Server {
    server: BootServer,
    loaders: Loaders,
    pools: Vec<Pool>,
    table: LeaseTable,
}

/// What the server asks while it works.
pub struct Asks<'a> {
    /// Decides what a machine boots.
    pub policy: &'a dyn BootPolicy,
    /// Writes leases down.
    pub log: &'a dyn LeaseLog,
}

impl Server {
    /// A server that gives the addresses of `pools` (checked with
    /// [`Pool::check`]) and knows the leases written down before.
    #[must_use]
    pub fn new(server: BootServer, loaders: Loaders, pools: Vec<Pool>, leases: Vec<Lease>) -> Self {
        Self {
            server,
            loaders,
            pools,
            table: LeaseTable::new(leases),
        }
    }

    /// Takes one packet that came in on port 67, at `now` seconds since 1970.
    pub fn handle(&mut self, now: u64, request: &Packet, asks: &Asks<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        if request.reply {
            return outcome;
        }
        let mut client = BootClient::from_packet(request);
        let Some(pool) = self.pool(request).cloned() else {
            let relay = request.giaddr;
            outcome.found(Finding::UnknownNetwork { relay });
            return outcome;
        };
        let given = match request.kind {
            Kind::Discover => self.offer(now, request, &pool, &mut outcome),
            Kind::Request => self.request(now, request, &pool, asks.log, &mut outcome),
            Kind::Inform => Some(Given::inform(request)),
            Kind::Decline => self.decline(now, request, &mut outcome),
            Kind::Release => self.release(now, request, asks.log),
            Kind::Offer | Kind::Ack | Kind::Nak => None,
        };
        if let Some(given) = given {
            // An address refused is nobody's: the policy must not take it
            // for this machine's.
            client.address = given.address;
            outcome.reply = Some(self.reply(request, &client, &pool, &given, asks, &mut outcome));
        }
        outcome.client = Some(client);
        outcome
    }

    /// The range for the network the request comes from: the relay's, the
    /// client's own, or the one this server is in.
    fn pool(&self, request: &Packet) -> Option<&Pool> {
        let holds = |address: Ipv4Addr| self.pools.iter().find(|pool| pool.contains(address));
        if !request.giaddr.is_unspecified() {
            return holds(request.giaddr);
        }
        // A renewal through a router comes from the client's own network.
        let renewing = Some(request.ciaddr).filter(|address| !address.is_unspecified());
        renewing
            .and_then(holds)
            .or_else(|| holds(self.server.address))
            .or_else(|| self.pools.first())
    }

    fn offer(
        &mut self,
        now: u64,
        request: &Packet,
        pool: &Pool,
        outcome: &mut Outcome,
    ) -> Option<Given> {
        let asked = request.address(code::REQUESTED);
        let avoid = [self.server.address];
        let address = self.table.offer(request.mac, asked, pool, &avoid, now);
        if address.is_none() {
            let (first, last) = (pool.first, pool.last);
            outcome.found(Finding::RangeExhausted { first, last });
        }
        address.map(|address| Given::new(Kind::Offer, address))
    }

    fn request(
        &mut self,
        now: u64,
        request: &Packet,
        pool: &Pool,
        log: &dyn LeaseLog,
        outcome: &mut Outcome,
    ) -> Option<Given> {
        let mac = request.mac;
        let chosen = request.address(code::SERVER);
        if let Some(server) = chosen.filter(|server| *server != self.server.address) {
            self.table.withdraw(mac);
            outcome.found(Finding::OtherDhcpServer { server, mac });
            return None;
        }
        // Selecting and rebooting clients name the address in option 50,
        // renewing ones in ciaddr (RFC 2131 4.3.2).
        let asked = request.address(code::REQUESTED);
        let address = asked.unwrap_or(request.ciaddr);
        let avoided = address == self.server.address;
        if avoided || !self.table.may_have(mac, address, pool, now) {
            // Without a server named, an address of our network outside our
            // range may be another server's to confirm: we say nothing.
            let moved = asked.is_some() && !pool.contains(address);
            let ours = chosen.is_some() || pool.gives(address) || moved;
            return ours.then(Given::refusal);
        }
        let expires = now.saturating_add(u64::from(pool.lease_seconds));
        let lease = Lease {
            address,
            mac,
            expires,
        };
        if let Err(error) = log.record(&lease) {
            let reason = error.to_string();
            outcome.found(Finding::LeaseNotKept { address, reason });
            return None;
        }
        self.table.bind(lease);
        Some(Given::new(Kind::Ack, address))
    }

    fn decline(&mut self, now: u64, request: &Packet, outcome: &mut Outcome) -> Option<Given> {
        let (mac, address) = (request.mac, request.address(code::REQUESTED)?);
        if self.table.decline(mac, address, now) {
            outcome.found(Finding::AddressInUse { address, mac });
        }
        None
    }

    fn release(&mut self, now: u64, request: &Packet, log: &dyn LeaseLog) -> Option<Given> {
        let lease = self.table.release(request.mac, request.ciaddr, now)?;
        // Not written down, it only stays taken until its old end.
        let _ = log.record(&lease);
        None
    }

    fn reply(
        &self,
        request: &Packet,
        client: &BootClient,
        pool: &Pool,
        given: &Given,
        asks: &Asks<'_>,
        outcome: &mut Outcome,
    ) -> Reply {
        let mut reply = Packet::reply_to(request, given.kind, self.server.address);
        if given.kind == Kind::Nak {
            reply.set(code::MESSAGE, b"this address is not yours here");
            let to = refusal_destination(&mut reply);
            return Reply { to, packet: reply };
        }
        reply.ciaddr = request.ciaddr;
        if !given.inform {
            reply.yiaddr = given.address.unwrap_or(Ipv4Addr::UNSPECIFIED);
            lease_times(&mut reply, pool.lease_seconds);
        }
        network(&mut reply, pool);
        let next = chain::next(client, asks.policy, self.server, &self.loaders);
        if next == Next::NoLoader {
            outcome.found(no_loader(client));
        }
        // No vendor class for PXE: with one, the client would go on to ask
        // port 4011, which a full answer makes needless.
        chain::write(&mut reply, request, &next, self.server);
        let to = destination(request);
        Reply { to, packet: reply }
    }
}

/// What a client gets: an address, a refusal, or only the options.
struct Given {
    kind: Kind,
    address: Option<Ipv4Addr>,
    inform: bool,
}

impl Given {
    fn new(kind: Kind, address: Ipv4Addr) -> Self {
        Self {
            kind,
            address: Some(address),
            inform: false,
        }
    }

    fn refusal() -> Self {
        Self {
            kind: Kind::Nak,
            address: None,
            inform: false,
        }
    }

    fn inform(request: &Packet) -> Self {
        Self {
            kind: Kind::Ack,
            address: Some(request.ciaddr),
            inform: true,
        }
    }
}

/// A refusal is broadcast, by the relay too (RFC 2131 4.3.2): the client has
/// no address it could be reached at.
fn refusal_destination(reply: &mut Packet) -> SocketAddrV4 {
    reply.broadcast = true;
    reply.ciaddr = Ipv4Addr::UNSPECIFIED;
    if reply.giaddr.is_unspecified() {
        SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT)
    } else {
        SocketAddrV4::new(reply.giaddr, SERVER_PORT)
    }
}

/// Renewal at half, rebinding at seven eighths (RFC 2131 4.4.5).
fn lease_times(reply: &mut Packet, seconds: u32) {
    let rebind = seconds.saturating_sub(seconds / 8);
    reply.set(code::LEASE_TIME, &seconds.to_be_bytes());
    reply.set(code::RENEW, &(seconds / 2).to_be_bytes());
    reply.set(code::REBIND, &rebind.to_be_bytes());
}

fn network(reply: &mut Packet, pool: &Pool) {
    reply.set_addresses(code::MASK, &[pool.mask()]);
    reply.set_addresses(code::BROADCAST, &[pool.broadcast()]);
    reply.set_addresses(code::ROUTER, pool.router.as_slice());
    reply.set_addresses(code::DNS, &pool.dns);
}
