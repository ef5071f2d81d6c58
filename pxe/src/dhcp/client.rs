//! A DHCP client: how the boot environment gets its address (RFC 2131
//! section 4.4).
//!
//! Call [`Client::poll_transmit`] until it gives nothing, wait for a packet
//! or for [`Client::poll_timeout`], hand packets to [`Client::handle`], and
//! begin again, until [`Client::configuration`] gives something. Everything
//! it sends goes to 255.255.255.255 port 67, everything it wants comes to
//! port 68.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::mac::Mac;
use crate::wire::dhcp::{Kind, Packet, code};

const FIRST_WAIT: Duration = Duration::from_secs(1);
/// A switch port that is just coming up swallows the first packets; waiting
/// longer than this between two would cost more than it saves.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// REQUESTs without an answer until the offer is given up.
const REQUEST_TRIES: u32 = 4;
/// A lease without a time (BOOTP servers) is taken as an hour.
const DEFAULT_LEASE_SECONDS: u32 = 3600;
/// The options we can use.
const WANTED: [u8; 6] = [
    code::MASK,
    code::ROUTER,
    code::DNS,
    code::DOMAIN,
    code::LEASE_TIME,
    code::BROADCAST,
];
/// Largest packet we take: an Ethernet frame's.
const MAX_SIZE: u16 = 1472;

/// What a DHCP server gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Our address.
    pub address: Ipv4Addr,
    /// Bits of the network mask.
    pub prefix: u8,
    /// The way out, if there is one.
    pub router: Option<Ipv4Addr>,
    /// Name servers, in order.
    pub dns: Vec<Ipv4Addr>,
    /// The network's domain, if it has one.
    pub domain: Option<String>,
    /// The DHCP server.
    pub server: Ipv4Addr,
    /// How long the address is ours, counted from the answer.
    pub lease: Duration,
}

#[derive(Debug, Clone)]
enum State {
    Discovering,
    /// Taking an offer (`true`) or keeping an address we have (`false`).
    Requesting(Ipv4Addr, Ipv4Addr, bool),
    Bound(Configuration),
}

/// The client's conversation.
#[derive(Debug)]
pub struct Client {
    mac: Mac,
    xid: u32,
    started: Instant,
    state: State,
    tries: u32,
    send_at: Option<Instant>,
}

impl Client {
    /// A card without an address. `xid` should differ from boot to boot and
    /// from machine to machine.
    #[must_use]
    pub fn new(now: Instant, mac: Mac, xid: u32) -> Self {
        Self {
            mac,
            xid,
            started: now,
            state: State::Discovering,
            tries: 0,
            send_at: Some(now),
        }
    }

    /// A card that wants to keep the address it has. Falls back to asking for
    /// any address when the server refuses or stays silent.
    #[must_use]
    pub fn renewing(now: Instant, mac: Mac, xid: u32, had: &Configuration) -> Self {
        Self {
            state: State::Requesting(had.address, had.server, false),
            ..Self::new(now, mac, xid)
        }
    }

    /// Takes a packet that came to port 68. Anything that is not an answer to
    /// us is left aside.
    pub fn handle(&mut self, now: Instant, bytes: &[u8]) {
        let Ok(packet) = Packet::decode(bytes) else {
            return;
        };
        if !packet.reply || packet.xid != self.xid || packet.mac != self.mac {
            return;
        }
        match (&self.state, packet.kind) {
            (State::Discovering, Kind::Offer) => self.take_offer(now, &packet),
            (State::Requesting(address, ..), Kind::Ack) if packet.yiaddr == *address => {
                if let Some(configuration) = configuration(&packet) {
                    self.state = State::Bound(configuration);
                    self.send_at = None;
                }
            }
            (State::Requesting(_, server, _), Kind::Nak)
                if packet.address(code::SERVER) == Some(*server) =>
            {
                self.start_over(now);
            }
            _ => {}
        }
    }

    /// The next packet to broadcast, when its time has come.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.send_at.is_none_or(|at| at > now) {
            return None;
        }
        if matches!(self.state, State::Requesting(..)) && self.tries >= REQUEST_TRIES {
            self.start_over(now);
        }
        let packet = self.packet(now)?;
        let factor = 2_u32.saturating_pow(self.tries.min(8));
        let wait = FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT);
        self.tries = self.tries.saturating_add(1);
        self.send_at = now.checked_add(wait + self.jitter());
        Some(packet.encode())
    }

    /// When to call [`Client::poll_transmit`] again without a packet.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.send_at
    }

    /// What the server gave, once it has.
    #[must_use]
    pub fn configuration(&self) -> Option<&Configuration> {
        match &self.state {
            State::Bound(configuration) => Some(configuration),
            _ => None,
        }
    }

    fn take_offer(&mut self, now: Instant, offer: &Packet) {
        // A proxy's offer has no address; a server without a name cannot be
        // chosen.
        let server = offer.address(code::SERVER);
        if let (Some(server), false) = (server, offer.yiaddr.is_unspecified()) {
            self.state = State::Requesting(offer.yiaddr, server, true);
            self.tries = 0;
            self.send_at = Some(now);
        }
    }

    fn start_over(&mut self, now: Instant) {
        self.state = State::Discovering;
        self.tries = 0;
        self.send_at = Some(now);
        // Late answers to the old conversation must not be taken for new.
        self.xid = self.xid.wrapping_add(1);
    }

    fn packet(&self, now: Instant) -> Option<Packet> {
        let mut packet = match &self.state {
            State::Discovering => Packet::request(Kind::Discover, self.mac, self.xid),
            State::Requesting(address, server, selecting) => {
                let mut packet = Packet::request(Kind::Request, self.mac, self.xid);
                if *selecting {
                    packet.set_addresses(code::REQUESTED, &[*address]);
                    packet.set_addresses(code::SERVER, &[*server]);
                } else {
                    packet.ciaddr = *address;
                    packet.broadcast = false;
                }
                packet
            }
            State::Bound(_) => return None,
        };
        let elapsed = now.saturating_duration_since(self.started).as_secs();
        packet.secs = u16::try_from(elapsed).unwrap_or(u16::MAX);
        let mut identifier = vec![1];
        identifier.extend_from_slice(&self.mac.0);
        packet.set(code::CLIENT_ID, &identifier);
        packet.set(code::MAX_SIZE, &MAX_SIZE.to_be_bytes());
        packet.set(code::WANTED, &WANTED);
        Some(packet)
    }

    /// Up to half a second, from the transaction number, so that a room of
    /// machines switched on together does not ask together (RFC 2131 4.1).
    fn jitter(&self) -> Duration {
        let spread = self.xid.wrapping_mul(0x9e37_79b9).wrapping_add(self.tries) % 500;
        Duration::from_millis(u64::from(spread))
    }
}

fn configuration(ack: &Packet) -> Option<Configuration> {
    let mask = ack.address(code::MASK).map(u32::from);
    // A mask with holes is no mask; 24 bits is what a small network has.
    let prefix = mask.filter(|mask| mask.leading_ones() + mask.trailing_zeros() == 32);
    let prefix = prefix.map_or(24, u32::leading_ones);
    let seconds = ack.seconds(code::LEASE_TIME);
    let domain = ack.get(code::DOMAIN).map(<[u8]>::to_vec);
    let domain = domain.and_then(|domain| String::from_utf8(domain).ok());
    let domain = domain.map(|domain| domain.trim_end_matches('\0').to_owned());
    Some(Configuration {
        address: ack.yiaddr,
        prefix: u8::try_from(prefix).ok()?,
        router: ack.address(code::ROUTER),
        dns: ack.addresses(code::DNS),
        domain: domain.filter(|domain| !domain.is_empty()),
        server: ack.address(code::SERVER)?,
        lease: Duration::from_secs(u64::from(seconds.unwrap_or(DEFAULT_LEASE_SECONDS))),
    })
}
