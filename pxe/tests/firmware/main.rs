//! Packets of real firmware through the codecs and machines: what the
//! captures hold is understood, and our answers have what made the captured
//! boots work.

mod pcap;

use std::net::{Ipv4Addr, SocketAddrV4};

use pcap::Udp;
use pxe::dhcp::chain::Loaders;
use pxe::dhcp::lease::MemoryLeases;
use pxe::dhcp::proxy::Proxy;
use pxe::dhcp::server::{Asks, Server};
use pxe::dhcp::{Listener, Reply};
use pxe::wire::dhcp::{Kind, Packet, code};
use pxe::wire::tftp;
use pxe::{Answer, Architecture, BootClient, BootServer, Pool, Stage};

const US: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const SERVER: BootServer = BootServer {
    address: US,
    http_port: 80,
};
const CAPTURES: [&str; 6] = [
    "bios-ipxe-rom",
    "bios-undionly-nbp",
    "uefi-ipxe-rom",
    "secureboot-shim-grub206-tftp",
    "secureboot-httpboot-shim-grub212",
    "proxydhcp-bios-ipxe-and-secureboot-grub212",
];

fn is_dhcp(packet: &Udp) -> bool {
    [67, 68, 4011].contains(&packet.to.port())
}

/// What clients sent over DHCP in a capture.
fn requests(name: &str) -> Vec<(Udp, Packet)> {
    let dhcp = pcap::read(name).into_iter().filter(is_dhcp);
    let decoded = dhcp.map(|udp| {
        let packet = Packet::decode(&udp.bytes).unwrap();
        (udp, packet)
    });
    decoded.filter(|(_, packet)| !packet.reply).collect()
}

fn first(name: &str, wanted: impl Fn(&BootClient) -> bool) -> (BootClient, Packet) {
    let all = requests(name).into_iter();
    let mut clients = all.map(|(_, packet)| (BootClient::from_packet(&packet), packet));
    clients.find(|(client, _)| wanted(client)).unwrap()
}

fn boots(_: &BootClient) -> Answer {
    Answer::LocalDisk
}

fn server() -> Server {
    let pool = Pool {
        network: Ipv4Addr::new(10, 77, 0, 0),
        prefix: 24,
        first: Ipv4Addr::new(10, 77, 0, 100),
        last: Ipv4Addr::new(10, 77, 0, 200),
        router: Some(US),
        dns: vec![US],
        lease_seconds: 600,
    };
    Server::new(SERVER, Loaders::default(), vec![pool], vec![])
}

fn served(packet: &Packet) -> Reply {
    let log = MemoryLeases::default();
    let (policy, log) = (&boots, &log);
    server()
        .handle(1000, packet, &Asks { policy, log })
        .reply
        .unwrap()
}

#[test]
fn every_captured_packet_survives_the_codec() {
    let mut count = 0;
    for name in CAPTURES {
        for udp in pcap::read(name).iter().filter(|udp| is_dhcp(udp)) {
            let packet = Packet::decode(&udp.bytes).unwrap();
            assert_eq!(Packet::decode(&packet.encode()).unwrap(), packet, "{name}");
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}

#[test]
fn damaged_captures_never_panic() {
    for name in CAPTURES {
        for udp in pcap::read(name) {
            for end in 0..udp.bytes.len() {
                let _ = Packet::decode(&udp.bytes[..end]);
                let _ = tftp::Packet::decode(&udp.bytes[..end]);
            }
            for at in 0..udp.bytes.len() {
                let mut bytes = udp.bytes.clone();
                bytes[at] ^= 0xff;
                if let Ok(packet) = Packet::decode(&bytes) {
                    let _ = BootClient::from_packet(&packet);
                    let _ = packet.encode();
                }
                let _ = tftp::Packet::decode(&bytes);
            }
        }
    }
}

#[test]
fn each_firmware_is_recognised() {
    let uuid = [
        0x77, 0x77, 0x77, 0x77, 0, 0, 0x40, 0, 0x80, 0, 0x52, 0x54, 0, 0x77, 1, 0,
    ];
    for (capture, architecture, stage) in [
        ("bios-ipxe-rom", Architecture::Bios, Stage::Ipxe),
        ("uefi-ipxe-rom", Architecture::X64Efi, Stage::Ipxe),
        (
            "secureboot-shim-grub206-tftp",
            Architecture::X64Efi,
            Stage::Pxe,
        ),
        (
            "secureboot-httpboot-shim-grub212",
            Architecture::X64Efi,
            Stage::HttpBoot,
        ),
    ] {
        let (client, _) = first(capture, |_| true);
        assert_eq!(client.architecture, architecture, "{capture}");
        assert_eq!(client.stage, stage, "{capture}");
        assert_eq!(client.uuid, Some(uuid), "{capture}");
        assert_eq!(client.mac.to_string(), "52:54:00:77:01:00");
    }
    let (udhcpc, _) = first("bios-ipxe-rom", |client| !client.boots());
    assert_eq!((udhcpc.stage, udhcpc.uuid), (Stage::System, None));
}

#[test]
fn the_server_names_the_loader_as_the_captured_server_did() {
    let (_, ipxe) = first("bios-ipxe-rom", |_| true);
    let offer = served(&ipxe).packet;
    let script = "http://10.77.0.1/boot/ipxe?mac=52-54-00-77-01-00&arch=0\
                  &uuid=77777777-0000-4000-8000-525400770100";
    assert_eq!(offer.file, script.as_bytes());
    assert_eq!(offer.siaddr, US);
    assert_eq!(offer.get(code::CLASS), None);

    let (_, edk2) = first("secureboot-shim-grub206-tftp", |_| true);
    let offer = served(&edk2).packet;
    assert_eq!(offer.get(code::FILE), Some(&b"shimx64.efi\0"[..]));
    assert_eq!(offer.file, b"shimx64.efi");
    assert_eq!(offer.get(code::UUID), edk2.get(code::UUID));
    assert!(offer.broadcast && offer.encode().len() >= 300);

    let (_, http) = first("secureboot-httpboot-shim-grub212", |_| true);
    let offer = served(&http).packet;
    assert_eq!(offer.get(code::CLASS), Some(&b"HTTPClient"[..]));
    let url = &b"http://10.77.0.1/shimx64.efi\0"[..];
    assert_eq!(offer.get(code::FILE), Some(url));

    let (_, udhcpc) = first("bios-ipxe-rom", |client| !client.boots());
    let offer = served(&udhcpc).packet;
    assert_eq!((offer.file.len(), offer.get(code::FILE)), (0, None));
    assert!(!offer.yiaddr.is_unspecified());
}

#[test]
fn the_proxy_offers_ipxe_its_script_and_uefi_only_itself() {
    let capture = "proxydhcp-bios-ipxe-and-secureboot-grub212";
    let broadcast = SocketAddrV4::new(Ipv4Addr::BROADCAST, 68);
    let mut proxy = Proxy::new(SERVER, Loaders::default());
    let mut offers = Vec::new();
    for (udp, packet) in requests(capture) {
        if packet.kind == Kind::Discover {
            let outcome = proxy.handle(Listener::Dhcp, udp.from, &packet, &boots);
            offers.extend(outcome.reply.map(|reply| (packet, reply)));
        }
    }
    assert!(offers.len() >= 2, "udhcpc gets none");
    for (request, Reply { to, packet: offer }) in offers {
        let ipxe = BootClient::from_packet(&request).stage == Stage::Ipxe;
        assert_eq!((to, offer.kind), (broadcast, Kind::Offer));
        assert_eq!((offer.yiaddr, offer.siaddr), (Ipv4Addr::UNSPECIFIED, US));
        assert_eq!(offer.address(code::SERVER), Some(US));
        assert_eq!(offer.get(code::CLASS), Some(&b"PXEClient"[..]));
        assert_eq!(offer.get(code::UUID), request.get(code::UUID));
        for absent in [code::LEASE_TIME, code::MASK, code::ROUTER] {
            assert_eq!(offer.get(absent), None);
        }
        let direct = ipxe.then_some(&[6, 1, 8, 255][..]);
        assert_eq!(offer.get(code::VENDOR), direct);
        assert_eq!(offer.file.starts_with(b"http://10.77.0.1/boot/ipxe?"), ipxe);
        assert_eq!(offer.file.is_empty(), !ipxe);
    }
}

#[test]
fn port_4011_answers_edk2_where_it_asked_from() {
    let capture = "proxydhcp-bios-ipxe-and-secureboot-grub212";
    let asked = requests(capture).into_iter();
    let (udp, packet) = asked
        .into_iter()
        .find(|(udp, _)| udp.to.port() == 4011)
        .unwrap();
    let mut proxy = Proxy::new(SERVER, Loaders::default());
    let outcome = proxy.handle(Listener::Pxe, udp.from, &packet, &boots);
    let Reply { to, packet: ack } = outcome.reply.unwrap();
    assert_eq!(to, SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 148), 4011));
    assert_eq!((ack.kind, ack.siaddr), (Kind::Ack, US));
    assert_eq!(ack.file, b"shimx64.efi");
    assert_eq!(ack.sname, b"10.77.0.1");
    assert_eq!(ack.get(code::CLASS), Some(&b"PXEClient"[..]));
    assert_eq!(ack.get(code::UUID), packet.get(code::UUID));
    let address = outcome.client.unwrap().address;
    assert_eq!(address, Some(Ipv4Addr::new(10, 77, 0, 148)));
    // The captured answer, which booted, says the same.
    let theirs = pcap::read(capture).into_iter();
    let theirs = theirs.filter(|udp| udp.from.port() == 4011 && *udp.from.ip() == US);
    let theirs = Packet::decode(&theirs.map(|udp| udp.bytes).next().unwrap()).unwrap();
    assert_eq!((&theirs.file, theirs.siaddr), (&ack.file, ack.siaddr));
}

#[test]
fn an_ignored_machine_gets_an_address_from_the_server_and_silence_from_the_proxy() {
    let (_, discover) = first("secureboot-shim-grub206-tftp", |_| true);
    let ignore = |_: &BootClient| Answer::Ignore;
    let from = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    let mut proxy = Proxy::new(SERVER, Loaders::default());
    for listener in [Listener::Dhcp, Listener::Pxe] {
        let outcome = proxy.handle(listener, from, &discover, &ignore);
        assert_eq!(outcome.reply, None);
    }
    let log = MemoryLeases::default();
    let (policy, log) = (&ignore, &log);
    let outcome = server().handle(1000, &discover, &Asks { policy, log });
    let offer = outcome.reply.unwrap().packet;
    assert!(!offer.yiaddr.is_unspecified());
    assert_eq!((offer.file.len(), offer.get(code::FILE)), (0, None));
}

#[test]
fn captured_tftp_requests_are_read_whole() {
    let mut asked = Vec::new();
    for udp in pcap::read("secureboot-shim-grub206-tftp") {
        if udp.to.port() == 69 {
            match tftp::Packet::decode(&udp.bytes).unwrap() {
                tftp::Packet::Read(request) => asked.push(request),
                other => panic!("{other:?}"),
            }
        }
    }
    let own = |(a, b): (&str, &str)| (a.to_owned(), b.to_owned());
    let sizes = [("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")];
    assert_eq!(asked[0].path, "shimx64.efi");
    assert_eq!(asked[0].options, sizes.map(own));
    assert_eq!(
        asked[1].options,
        sizes[1..].iter().copied().map(own).collect::<Vec<_>>()
    );
    assert!(asked.iter().any(|request| request.path == "/grub/grub.cfg"));
    assert!(asked.iter().all(|request| request.mode == "octet"));
}
