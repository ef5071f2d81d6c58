//! Whole DHCP conversations, with packets lost, between our client, firmware
//! played by hand, and the server machine. The clock is the test's.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use pxe::dhcp::Outcome;
use pxe::dhcp::chain::Loaders;
use pxe::dhcp::client::{Client, Configuration};
use pxe::dhcp::lease::{Lease, LeaseLog, MemoryLeases};
use pxe::dhcp::server::{Asks, Server};
use pxe::wire::dhcp::{Kind, Packet, code};
use pxe::{Answer, BootClient, BootServer, Finding, Mac, Pool};

const US: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const SERVER: BootServer = BootServer {
    address: US,
    http_port: 80,
};
const NOW: u64 = 1_700_000_000;
const XID: u32 = 0x1111_2222;

fn pool(third: u8) -> Pool {
    Pool {
        network: Ipv4Addr::new(10, 0, third, 0),
        prefix: 24,
        first: Ipv4Addr::new(10, 0, third, 100),
        last: Ipv4Addr::new(10, 0, third, 103),
        router: Some(Ipv4Addr::new(10, 0, third, 254)),
        dns: vec![US, OTHER],
        lease_seconds: 600,
    }
}

fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

fn policy(_: &BootClient) -> Answer {
    Answer::LocalDisk
}

struct Network {
    server: Server,
    log: MemoryLeases,
    now: u64,
}

impl Network {
    fn new() -> Self {
        let pools = vec![pool(0), pool(5)];
        Self {
            server: Server::new(SERVER, Loaders::default(), pools, vec![]),
            log: MemoryLeases::default(),
            now: NOW,
        }
    }

    fn send(&mut self, packet: &Packet) -> Outcome {
        // Through bytes, as on a wire.
        let packet = Packet::decode(&packet.encode()).unwrap();
        let log = &self.log;
        let policy = &policy;
        self.server.handle(self.now, &packet, &Asks { policy, log })
    }

    fn answer(&mut self, packet: &Packet) -> Packet {
        self.send(packet).reply.unwrap().packet
    }

    fn lease(&mut self, mac: Mac) -> Ipv4Addr {
        let offer = self.answer(&Packet::request(Kind::Discover, mac, XID));
        let ack = self.answer(&selecting(mac, offer.yiaddr, US));
        assert_eq!(ack.kind, Kind::Ack);
        ack.yiaddr
    }
}

fn selecting(mac: Mac, address: Ipv4Addr, server: Ipv4Addr) -> Packet {
    let mut packet = Packet::request(Kind::Request, mac, XID);
    packet.set_addresses(code::REQUESTED, &[address]);
    packet.set_addresses(code::SERVER, &[server]);
    packet
}

/// Runs our client against the server; `lost` says which packets vanish, by
/// their number in the order sent in either direction.
fn converse(
    mut client: Client,
    start: Instant,
    lost: impl Fn(u32) -> bool,
) -> (Configuration, Duration) {
    let mut network = Network::new();
    let (mut now, mut number) = (start, 0);
    loop {
        while let Some(bytes) = client.poll_transmit(now) {
            number += 1;
            let arrived = !lost(number);
            let outcome = arrived.then(|| network.send(&Packet::decode(&bytes).unwrap()));
            if let Some(reply) = outcome.and_then(|outcome| outcome.reply) {
                number += 1;
                if !lost(number) {
                    client.handle(now, &reply.packet.encode());
                }
            }
        }
        if let Some(configuration) = client.configuration() {
            return (configuration.clone(), now.duration_since(start));
        }
        now = client.poll_timeout().unwrap();
        assert!(now.duration_since(start).as_secs() < 600);
    }
}

#[test]
fn our_client_gets_address_mask_router_and_dns_at_once() {
    let start = Instant::now();
    let (got, took) = converse(Client::new(start, mac(1), XID), start, |_| false);
    assert!(pool(0).gives(got.address));
    assert_eq!((got.prefix, got.server), (24, US));
    assert_eq!(got.router, Some(Ipv4Addr::new(10, 0, 0, 254)));
    assert_eq!(got.dns, [US, OTHER]);
    assert_eq!(got.lease, Duration::from_secs(600));
    assert_eq!(took, Duration::ZERO);
}

#[test]
fn our_client_gets_its_address_whichever_packet_is_lost() {
    let start = Instant::now();
    for first in 1..=4 {
        for second in first..=9 {
            let client = Client::new(start, mac(1), XID);
            let (got, took) = converse(client, start, |n| n == first || n == second);
            assert!(pool(0).gives(got.address));
            assert!(took < Duration::from_secs(12), "{first} {second} {took:?}");
        }
    }
}

#[test]
fn our_client_starts_over_when_its_offer_is_never_confirmed() {
    let start = Instant::now();
    let client = Client::new(start, mac(1), XID);
    // Three answers to REQUESTs and more are lost: 3 is the first REQUEST.
    let (got, took) = converse(client, start, |n| (3..=6).contains(&n));
    assert!(pool(0).gives(got.address));
    assert!(took < Duration::from_secs(40), "{took:?}");
}

#[test]
fn our_client_renews_and_moves_on_when_refused() {
    let start = Instant::now();
    let (had, _) = converse(Client::new(start, mac(1), XID), start, |_| false);
    let client = Client::renewing(start, mac(1), XID, &had);
    let (again, _) = converse(client, start, |_| false);
    assert_eq!(again.address, had.address);
    let elsewhere = Configuration {
        address: Ipv4Addr::new(10, 0, 0, 50),
        ..had
    };
    let client = Client::renewing(start, mac(1), XID, &elsewhere);
    let (moved, _) = converse(client, start, |_| false);
    assert!(pool(0).gives(moved.address));
}

#[test]
fn our_client_takes_nothing_meant_for_others() {
    let now = Instant::now();
    let mut client = Client::new(now, mac(1), XID);
    let discover = Packet::decode(&client.poll_transmit(now).unwrap()).unwrap();
    let mut proxy = Packet::reply_to(&discover, Kind::Offer, OTHER);
    client.handle(now, &proxy.encode());
    assert_eq!(client.poll_transmit(now), None, "a proxy gives no address");
    proxy.yiaddr = Ipv4Addr::new(10, 0, 0, 9);
    for change in [
        |packet: &mut Packet| packet.xid ^= 1,
        |packet: &mut Packet| packet.mac = mac(2),
        |packet: &mut Packet| packet.reply = false,
        |packet: &mut Packet| packet.kind = Kind::Ack,
    ] {
        let mut foreign = proxy.clone();
        change(&mut foreign);
        client.handle(now, &foreign.encode());
        assert_eq!(client.poll_transmit(now), None);
    }
    client.handle(now, &[0; 300]);
    client.handle(now, &proxy.encode());
    assert!(client.poll_transmit(now).is_some());
}

#[test]
fn one_machine_keeps_one_address_whatever_identifier_it_sends() {
    let mut network = Network::new();
    let address = network.lease(mac(1));
    let mut discover = Packet::request(Kind::Discover, mac(1), 7);
    discover.set(code::CLIENT_ID, &[1, 2, 0, 0, 0, 0, 1]);
    assert_eq!(network.answer(&discover).yiaddr, address);
}

#[test]
fn taking_another_servers_offer_frees_ours_and_is_a_finding() {
    let mut network = Network::new();
    let outcome = network.send(&Packet::request(Kind::Discover, mac(1), XID));
    let offered = outcome.reply.unwrap().packet.yiaddr;
    let outcome = network.send(&selecting(mac(1), Ipv4Addr::new(10, 0, 0, 9), OTHER));
    assert_eq!(outcome.reply, None);
    let (server, card) = (OTHER, mac(1));
    let finding = Finding::OtherDhcpServer { server, mac: card };
    assert_eq!(outcome.findings, [finding]);
    let mut discover = Packet::request(Kind::Discover, mac(2), XID);
    discover.set_addresses(code::REQUESTED, &[offered]);
    assert_eq!(network.answer(&discover).yiaddr, offered);
}

#[test]
fn an_address_of_somebody_else_is_refused_to_everyones_hearing() {
    let mut network = Network::new();
    let address = network.lease(mac(1));
    let reply = network.send(&selecting(mac(2), address, US)).reply.unwrap();
    assert_eq!(reply.packet.kind, Kind::Nak);
    assert!(reply.packet.yiaddr.is_unspecified() && reply.packet.broadcast);
    assert_eq!(reply.to, SocketAddrV4::new(Ipv4Addr::BROADCAST, 68));
}

#[test]
fn a_rebooting_client_keeps_moves_or_hears_nothing() {
    let mut network = Network::new();
    let reboot = |address| {
        let mut packet = Packet::request(Kind::Request, mac(1), XID);
        packet.set_addresses(code::REQUESTED, &[address]);
        packet
    };
    let free = pool(0).first;
    assert_eq!(network.answer(&reboot(free)).kind, Kind::Ack);
    let foreign = Ipv4Addr::new(192, 168, 1, 1);
    assert_eq!(network.answer(&reboot(foreign)).kind, Kind::Nak);
    let beside = Ipv4Addr::new(10, 0, 0, 50);
    assert_eq!(network.send(&reboot(beside)).reply, None);
}

#[test]
fn a_renewal_goes_straight_to_the_client() {
    let mut network = Network::new();
    let address = network.lease(mac(1));
    network.now += 300;
    let mut renewal = Packet::request(Kind::Request, mac(1), XID);
    renewal.ciaddr = address;
    renewal.broadcast = false;
    let reply = network.send(&renewal).reply.unwrap();
    assert_eq!(reply.to, SocketAddrV4::new(address, 68));
    assert_eq!(
        (reply.packet.kind, reply.packet.yiaddr),
        (Kind::Ack, address)
    );
    let kept = network.log.load().unwrap();
    assert_eq!(kept.first().map(|lease| lease.expires), Some(NOW + 900));
}

#[test]
fn a_relay_gets_the_answer_from_the_range_of_its_network() {
    let mut network = Network::new();
    let relay = Ipv4Addr::new(10, 0, 5, 254);
    let mut discover = Packet::request(Kind::Discover, mac(1), XID);
    discover.giaddr = relay;
    discover.hops = 1;
    discover.set(code::RELAY, &[1, 2, 9, 9]);
    let reply = network.send(&discover).reply.unwrap();
    assert_eq!(reply.to, SocketAddrV4::new(relay, 67));
    assert!(pool(5).gives(reply.packet.yiaddr));
    assert_eq!(reply.packet.giaddr, relay);
    assert_eq!(reply.packet.get(code::RELAY), Some(&[1, 2, 9, 9][..]));
    discover.giaddr = Ipv4Addr::new(172, 16, 0, 1);
    let outcome = network.send(&discover);
    assert_eq!(outcome.reply, None);
    let unknown = Finding::UnknownNetwork {
        relay: discover.giaddr,
    };
    assert_eq!(outcome.findings, [unknown]);
}

#[test]
fn a_declined_address_is_a_finding_and_another_is_given() {
    let mut network = Network::new();
    let address = network.lease(mac(1));
    let mut decline = Packet::request(Kind::Decline, mac(1), XID);
    decline.set_addresses(code::REQUESTED, &[address]);
    let outcome = network.send(&decline);
    assert_eq!(outcome.reply, None);
    assert!(matches!(
        outcome.findings[..],
        [Finding::AddressInUse { .. }]
    ));
    assert_ne!(network.lease(mac(1)), address);
}

#[test]
fn a_released_address_makes_room_in_a_full_range() {
    let mut network = Network::new();
    let first = network.lease(mac(1));
    for card in 2..=4 {
        network.lease(mac(card));
    }
    let discover = Packet::request(Kind::Discover, mac(9), XID);
    let outcome = network.send(&discover);
    assert_eq!(outcome.reply, None);
    assert!(matches!(
        outcome.findings[..],
        [Finding::RangeExhausted { .. }]
    ));
    let mut release = Packet::request(Kind::Release, mac(1), XID);
    release.ciaddr = first;
    assert_eq!(network.send(&release).reply, None);
    assert_eq!(network.answer(&discover).yiaddr, first);
}

#[test]
fn an_inform_gets_options_and_no_address() {
    let mut network = Network::new();
    let mut inform = Packet::request(Kind::Inform, mac(1), XID);
    inform.ciaddr = Ipv4Addr::new(10, 0, 0, 50);
    let ack = network.answer(&inform);
    assert_eq!(ack.kind, Kind::Ack);
    assert!(ack.yiaddr.is_unspecified());
    assert_eq!(ack.get(code::LEASE_TIME), None);
    assert_eq!(ack.addresses(code::DNS), [US, OTHER]);
}

struct FullDisk;

impl LeaseLog for FullDisk {
    fn load(&self) -> io::Result<Vec<Lease>> {
        Ok(vec![])
    }

    fn record(&self, _: &Lease) -> io::Result<()> {
        Err(io::Error::other("disk full"))
    }
}

#[test]
fn a_lease_that_cannot_be_written_down_is_not_given() {
    let mut network = Network::new();
    let offer = network.answer(&Packet::request(Kind::Discover, mac(1), XID));
    let request = selecting(mac(1), offer.yiaddr, US);
    let (policy, log) = (&policy, &FullDisk);
    let outcome = network.server.handle(NOW, &request, &Asks { policy, log });
    assert_eq!(outcome.reply, None);
    assert!(matches!(
        outcome.findings[..],
        [Finding::LeaseNotKept { .. }]
    ));
}
