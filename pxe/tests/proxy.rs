//! ProxyDHCP conversations: firmware played by hand against the proxy
//! machine, beside another DHCP server.

use std::net::{Ipv4Addr, SocketAddrV4};

use pxe::dhcp::chain::Loaders;
use pxe::dhcp::proxy::Proxy;
use pxe::dhcp::{Listener, Outcome};
use pxe::wire::dhcp::{Kind, Packet, code};
use pxe::{Answer, BootClient, BootServer, Finding, Mac};

const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const SERVER: BootServer = BootServer {
    address: Ipv4Addr::new(10, 0, 0, 1),
    http_port: 80,
};
const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

fn policy(_: &BootClient) -> Answer {
    Answer::LocalDisk
}

/// Takes the offer of the other server.
fn selecting(address: Ipv4Addr) -> Packet {
    let mut packet = Packet::request(Kind::Request, MAC, 1);
    packet.set_addresses(code::REQUESTED, &[address]);
    packet.set_addresses(code::SERVER, &[OTHER]);
    packet
}

fn pxe_discover(architecture: u8) -> Packet {
    let mut packet = Packet::request(Kind::Discover, MAC, 1);
    packet.set(code::CLASS, b"PXEClient:Arch:00000:UNDI:002001");
    packet.set(code::ARCHITECTURE, &[0, architecture]);
    packet
}

fn ask(proxy: &mut Proxy, packet: &Packet) -> Outcome {
    let from = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    proxy.handle(Listener::Dhcp, from, packet, &policy)
}

#[test]
fn a_plain_bios_rom_is_told_by_the_proxy_to_load_ipxe_at_once() {
    let mut proxy = Proxy::new(SERVER, Loaders::default());
    let offer = ask(&mut proxy, &pxe_discover(0)).reply.unwrap().packet;
    assert_eq!(offer.file, b"undionly.kpxe");
    assert_eq!(offer.get(code::VENDOR), Some(&[6, 1, 8, 255][..]));
}

#[test]
fn firmware_without_a_loader_is_a_finding() {
    let mut proxy = Proxy::new(SERVER, Loaders::default());
    let outcome = ask(&mut proxy, &pxe_discover(6));
    assert_eq!(outcome.reply, None);
    assert!(matches!(
        outcome.findings[..],
        [Finding::NoLoader {
            architecture: 6,
            ..
        }]
    ));
}

#[test]
fn a_client_that_asks_in_vain_is_a_finding_told_once() {
    let mut proxy = Proxy::new(SERVER, Loaders::default());
    let findings: Vec<usize> = (0..6)
        .map(|_| ask(&mut proxy, &pxe_discover(7)).findings.len())
        .collect();
    assert_eq!(findings, [0, 0, 0, 1, 0, 0]);
    ask(&mut proxy, &selecting(Ipv4Addr::new(10, 0, 0, 9)));
    assert!(ask(&mut proxy, &pxe_discover(7)).findings.is_empty());
}

#[test]
fn the_proxy_learns_the_address_a_client_takes_elsewhere() {
    let mut proxy = Proxy::new(SERVER, Loaders::default());
    let address = Ipv4Addr::new(10, 0, 0, 9);
    let outcome = ask(&mut proxy, &selecting(address));
    assert_eq!(outcome.reply, None);
    assert_eq!(outcome.client.unwrap().address, Some(address));
}

#[test]
fn a_boot_item_on_port_4011_is_echoed() {
    let mut proxy = Proxy::new(SERVER, Loaders::default());
    let mut request = pxe_discover(7);
    request.kind = Kind::Request;
    request.set(code::VENDOR, &[71, 4, 0, 0, 0, 0, 255]);
    let from = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 9), 4011);
    let outcome = proxy.handle(Listener::Pxe, from, &request, &policy);
    let ack = outcome.reply.unwrap().packet;
    assert_eq!(ack.get(code::VENDOR), Some(&[71, 4, 0, 0, 0, 0, 255][..]));
}
