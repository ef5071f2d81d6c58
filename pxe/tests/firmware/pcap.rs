//! Reads the UDP packets of a small little-endian Ethernet capture.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
const ETHERNET: usize = 14;
const IPV4: [u8; 2] = [8, 0];
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;

/// One UDP packet.
pub(crate) struct Udp {
    pub(crate) from: SocketAddrV4,
    pub(crate) to: SocketAddrV4,
    pub(crate) bytes: Vec<u8>,
}

/// The UDP packets of a capture in `tests/fixtures`, in order.
pub(crate) fn read(name: &str) -> Vec<Udp> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let file = std::fs::read(path.join(format!("{name}.pcap"))).unwrap();
    assert_eq!(file[..4], [0xd4, 0xc3, 0xb2, 0xa1], "little-endian capture");
    assert_eq!(file[20], 1, "Ethernet capture");
    let mut packets = Vec::new();
    let mut at = FILE_HEADER;
    while at < file.len() {
        let length = &file[at + 8..at + 12];
        let length = u32::from_le_bytes(length.try_into().unwrap());
        at += RECORD_HEADER;
        let frame = &file[at..at + usize::try_from(length).unwrap()];
        packets.extend(udp(frame));
        at += frame.len();
    }
    assert!(!packets.is_empty(), "{name} holds UDP packets");
    packets
}

fn udp(frame: &[u8]) -> Option<Udp> {
    let ip = &frame[ETHERNET..];
    if frame[12..14] != IPV4 || ip[9] != UDP {
        return None;
    }
    let udp = &ip[usize::from(ip[0] & 15) * 4..];
    let u16_at = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
    let address = |at: usize| Ipv4Addr::new(ip[at], ip[at + 1], ip[at + 2], ip[at + 3]);
    let bytes = &udp[UDP_HEADER..usize::from(u16_at(4))];
    Some(Udp {
        from: SocketAddrV4::new(address(12), u16_at(0)),
        to: SocketAddrV4::new(address(16), u16_at(2)),
        bytes: bytes.to_vec(),
    })
}
