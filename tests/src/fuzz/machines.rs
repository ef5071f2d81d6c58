//! The DHCP and TFTP machines, told foreign packets.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pxe::dhcp::client::Client;
use pxe::dhcp::proxy::Proxy;
use pxe::dhcp::server::{Asks, Server};
use pxe::dhcp::{CLIENT_PORT, Listener, PXE_PORT, Reply, SERVER_PORT};
use pxe::tftp::Transfer;
use pxe::wire::dhcp::{Kind, Packet};
use pxe::wire::tftp;
use pxe::{Loaders, MemoryLeases, Pool, TftpLimits};

use super::wire::{SERVER, policy};

const KINDS: [Kind; 5] = [
    Kind::Discover,
    Kind::Request,
    Kind::Decline,
    Kind::Release,
    Kind::Inform,
];
const NOW: u64 = 1_700_000_000;
/// A transfer of a small file takes fewer packets at a time.
const MOST_AT_ONCE: usize = 4096;

fn pool() -> Pool {
    Pool {
        network: Ipv4Addr::new(10, 77, 0, 0),
        prefix: 24,
        first: Ipv4Addr::new(10, 77, 0, 100),
        last: Ipv4Addr::new(10, 77, 0, 110),
        router: Some(SERVER.address),
        dns: vec![SERVER.address],
        lease_seconds: 600,
    }
}

/// A client told an offer and an acknowledgement of any content ends with no
/// configuration or a sound one, and sends nothing that does not decode.
pub(super) fn dhcp_client(input: &[u8]) {
    let Ok(foreign) = Packet::decode(input) else {
        return;
    };
    let start = Instant::now();
    let mut client = Client::new(start, foreign.mac, foreign.xid);
    for (second, kind) in (0..).zip([Kind::Offer, Kind::Ack, Kind::Nak, Kind::Offer, Kind::Ack]) {
        let now = start + Duration::from_secs(second * 10);
        if let Some(bytes) = client.poll_transmit(now) {
            let sent = Packet::decode(&bytes).expect("what a client sends decodes");
            assert!(!sent.reply && sent.mac == foreign.mac);
        }
        let told = Packet {
            reply: true,
            kind,
            ..foreign.clone()
        };
        client.handle(now, &told.encode());
        client.handle(now, input);
    }
    if let Some(configuration) = client.configuration() {
        assert!(configuration.prefix <= 32);
        assert!(!configuration.address.is_unspecified());
        let domain = configuration.domain.as_deref();
        assert!(domain.is_none_or(|domain| !domain.is_empty() && !domain.ends_with('\0')));
    }
}

/// Whatever it is told, a server answers whoever asked, and gives only
/// addresses of its range.
pub(super) fn dhcp_server(input: &[u8]) {
    let Ok(foreign) = Packet::decode(input) else {
        return;
    };
    let mut server = Server::new(SERVER, Loaders::default(), vec![pool()], Vec::new());
    let log = MemoryLeases::default();
    let asks = Asks {
        policy: &policy,
        log: &log,
    };
    for kind in KINDS.into_iter().chain([foreign.kind]) {
        let request = Packet {
            kind,
            ..foreign.clone()
        };
        let outcome = server.handle(NOW, &request, &asks);
        let Some(reply) = outcome.reply else {
            continue;
        };
        check_reply(&request, &reply);
        let given = reply.packet.yiaddr;
        assert!(
            given.is_unspecified() || pool().gives(given),
            "{given} was given"
        );
    }
}

/// A proxy answers whoever asked, and gives no address.
pub(super) fn dhcp_proxy(input: &[u8]) {
    let Ok(foreign) = Packet::decode(input) else {
        return;
    };
    let mut proxy = Proxy::new(SERVER, Loaders::default());
    let from = SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 147), PXE_PORT);
    for listener in [Listener::Dhcp, Listener::Pxe] {
        for kind in KINDS.into_iter().chain([foreign.kind]) {
            let request = Packet {
                kind,
                ..foreign.clone()
            };
            let outcome = proxy.handle(listener, from, &request, &policy);
            if let Some(reply) = outcome.reply {
                check_reply(&request, &reply);
                assert!(reply.packet.yiaddr.is_unspecified());
            }
        }
    }
}

fn check_reply(request: &Packet, reply: &Reply) {
    assert!(!request.reply, "an answer was answered");
    assert!(reply.packet.reply);
    assert_eq!(
        (reply.packet.xid, reply.packet.mac),
        (request.xid, request.mac)
    );
    assert!([SERVER_PORT, CLIENT_PORT, PXE_PORT].contains(&reply.to.port()));
    let bytes = reply.packet.encode();
    let again = Packet::decode(&bytes).expect("what is sent decodes");
    assert_eq!(again.kind, reply.packet.kind);
}

/// A transfer begun by any request and told any acknowledgements sends whole
/// packets, a window of them at a time.
pub(super) fn tftp_transfer(input: &[u8]) {
    let Ok(tftp::Packet::Read(request)) = tftp::Packet::decode(input) else {
        return;
    };
    let file: Arc<[u8]> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
    let limits = TftpLimits::default();
    let Ok(mut transfer) = Transfer::new(&request, file, limits) else {
        return;
    };
    let mut now = Instant::now();
    // The request's own bytes stand for what the client says next.
    let acknowledged = |pair: &[u8]| match pair {
        [high, low] => u16::from_be_bytes([*high & 3, *low]),
        _ => 0,
    };
    for pair in input.chunks(2).take(256) {
        let sent = std::iter::from_fn(|| transfer.poll_transmit(now));
        let sent: Vec<Vec<u8>> = sent.take(MOST_AT_ONCE).collect();
        assert!(
            sent.len() <= usize::from(limits.window) + 1,
            "{} packets",
            sent.len()
        );
        for bytes in sent {
            assert!(
                bytes.len() <= usize::from(limits.block) + 4,
                "{} bytes",
                bytes.len()
            );
            tftp::Packet::decode(&bytes).expect("what is sent decodes");
        }
        let block = acknowledged(pair);
        transfer.handle(now, &tftp::Packet::Ack { block }.encode());
        transfer.handle(now, pair);
        assert!(transfer.delivered() <= 40_000);
        now += Duration::from_millis(u64::from(block));
    }
}
