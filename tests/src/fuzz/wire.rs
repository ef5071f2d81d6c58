//! What comes over the network before a machine runs anything of ours.

use std::net::Ipv4Addr;
use std::sync::Arc;

use pxe::wire::dhcp::Packet;
use pxe::wire::{pxe as options, tftp as tftp_wire};
use pxe::{Answer, BootClient, BootImage, BootServer, Heard, Loaders, Scripts, Stage};

/// The server of all targets.
pub(super) const SERVER: BootServer = BootServer {
    address: Ipv4Addr::new(10, 77, 0, 1),
    http_port: 80,
};
/// A `sname` and a `file` must end in a NUL within their fields.
const SNAME_LIMIT: usize = 63;
const FILE_LIMIT: usize = 127;
/// The decoder takes no longer packet.
const PACKET_LIMIT: usize = 4096;

/// A third of the machines boots, a third starts its disk, a third is not ours.
pub(super) fn policy(client: &BootClient) -> Answer {
    match client.mac.0[5] % 3 {
        0 => Answer::Boot(BootImage {
            title: "Deploying".to_owned(),
            kernel: "/boot/vmlinuz".to_owned(),
            initrd: vec!["/boot/initrd.img".to_owned()],
            command_line: "quiet console=ttyS0".to_owned(),
        }),
        1 => Answer::LocalDisk,
        _ => Answer::Ignore,
    }
}

/// A DHCP packet that decodes encodes to one that says the same.
pub(super) fn dhcp(input: &[u8]) {
    let Ok(packet) = Packet::decode(input) else {
        return;
    };
    let client = BootClient::from_packet(&packet);
    let bytes = packet.encode();
    if bytes.len() > PACKET_LIMIT {
        // Options that filled `file` and `sname` too need more room in one piece.
        return;
    }
    let again = Packet::decode(&bytes).expect("an encoded packet decodes");
    let mut expected = packet;
    // What fills its field has no NUL at its end and is left out.
    if expected.sname.len() > SNAME_LIMIT {
        expected.sname.clear();
    }
    if expected.file.len() > FILE_LIMIT {
        expected.file.clear();
    }
    assert_eq!(again, expected);
    assert_eq!(BootClient::from_packet(&again), client);
    let named = BootClient::from_query(&client.to_query(), client.stage).expect("a query of ours");
    assert_eq!((named.mac, named.uuid), (client.mac, client.uuid));
}

/// A sub-option that is found is found again in one that holds it alone; an
/// identifier survives both directions.
pub(super) fn pxe_options(input: &[u8]) {
    for code in 1..255 {
        if let Some(value) = options::find(input, code) {
            let alone = options::encode(&[(code, value)]);
            assert_eq!(options::find(&alone, code), Some(value));
        }
    }
    if let Some(uuid) = options::uuid_from_option(input) {
        assert_eq!(options::uuid_to_option(uuid), input);
    }
}

/// A TFTP packet that decodes encodes to one that says the same.
pub(super) fn tftp(input: &[u8]) {
    let Ok(packet) = tftp_wire::Packet::decode(input) else {
        return;
    };
    let bytes = packet.encode();
    let again = tftp_wire::Packet::decode(&bytes).expect("an encoded packet decodes");
    assert_eq!(again, packet);
}

/// Whatever a loader asks for, it gets no script or one of plain lines, and
/// nothing of the question stands in it.
pub(super) fn script(input: &[u8]) {
    let target = String::from_utf8_lossy(input);
    let scripts = Scripts {
        policy: Arc::new(policy),
        heard: Arc::new(Heard::default()),
        server: SERVER,
        loaders: Loaders::default(),
    };
    let from = Ipv4Addr::new(10, 77, 0, 147);
    let answer = scripts
        .open(from, &target)
        .expect("our answers can be written");
    if let Some(script) = answer {
        let plain = |byte: u8| byte == b'\n' || byte == b' ' || byte.is_ascii_graphic();
        assert!(script.bytes().all(plain), "{script:?}");
        assert!(script.ends_with('\n') && script.len() < 4096);
    }
    if let Some(client) = BootClient::from_query(&target, Stage::Ipxe) {
        let again = BootClient::from_query(&client.to_query(), Stage::Ipxe);
        assert_eq!(
            again.map(|again| (again.mac, again.uuid)),
            Some((client.mac, client.uuid))
        );
    }
}
