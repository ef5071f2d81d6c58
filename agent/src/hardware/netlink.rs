//! Messages to the kernel's network configuration (rtnetlink(7)): bring an
//! adapter up, give it an address, add the way out. Bytes only.
//!
//! The kernel reads them in its own byte order; x86-64 is little-endian.

use std::net::Ipv4Addr;

/// `RTM_NEWLINK`, `RTM_NEWADDR`, `RTM_NEWROUTE` (linux/rtnetlink.h).
const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
/// `NLMSG_ERROR`: also the form of an acknowledgement (error 0).
const ERROR: u16 = 2;
/// `NLM_F_REQUEST | NLM_F_ACK`.
const REQUEST: u16 = 0x1 | 0x4;
/// `NLM_F_CREATE | NLM_F_REPLACE`.
const REPLACE: u16 = 0x400 | 0x100;
/// `struct nlmsghdr`: length, type, flags, sequence, port.
const HEADER: usize = 16;

const AF_INET: u8 = 2;
/// `IFF_UP`.
const UP: u32 = 1;
/// `IFA_ADDRESS`, `IFA_LOCAL`, `IFA_BROADCAST`.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
/// `RTA_OIF`, `RTA_GATEWAY`.
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
/// `RT_TABLE_MAIN`, `RTPROT_DHCP`, `RT_SCOPE_UNIVERSE`, `RTN_UNICAST`.
const TABLE_MAIN: u8 = 254;
const PROTOCOL_DHCP: u8 = 16;
const SCOPE_UNIVERSE: u8 = 0;
const UNICAST: u8 = 1;

/// Brings adapter `index` up.
pub(crate) fn link_up(index: u32) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(index.to_le_bytes());
    body.extend(UP.to_le_bytes());
    body.extend(UP.to_le_bytes());
    message(NEW_LINK, 0, &body)
}

/// Gives adapter `index` the address `address` with `prefix` network bits.
pub(crate) fn add_address(index: u32, address: Ipv4Addr, prefix: u8) -> Vec<u8> {
    let mut body = vec![AF_INET, prefix, 0, SCOPE_UNIVERSE];
    body.extend(index.to_le_bytes());
    attribute(&mut body, IFA_LOCAL, &address.octets());
    attribute(&mut body, IFA_ADDRESS, &address.octets());
    let host = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    let broadcast = Ipv4Addr::from_bits(address.to_bits() | host);
    attribute(&mut body, IFA_BROADCAST, &broadcast.octets());
    message(NEW_ADDRESS, REPLACE, &body)
}

/// Sends everything without a better way through `gateway` on adapter `index`.
pub(crate) fn add_default_route(index: u32, gateway: Ipv4Addr) -> Vec<u8> {
    let mut body = vec![AF_INET, 0, 0, 0];
    body.extend([
        TABLE_MAIN,
        PROTOCOL_DHCP,
        SCOPE_UNIVERSE,
        UNICAST,
        0,
        0,
        0,
        0,
    ]);
    attribute(&mut body, RTA_GATEWAY, &gateway.octets());
    attribute(&mut body, RTA_OIF, &index.to_le_bytes());
    message(NEW_ROUTE, REPLACE, &body)
}

/// What the kernel answered: the error number, 0 for success. `None` when it
/// is no acknowledgement.
pub(crate) fn acknowledgement(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_le_bytes(answer.get(4..6)?.try_into().ok()?);
    let error = i32::from_le_bytes(answer.get(HEADER..HEADER + 4)?.try_into().ok()?);
    (kind == ERROR).then(|| error.checked_neg())?
}

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    // Bodies here are a few dozen bytes.
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(length.to_le_bytes());
    bytes.extend(kind.to_le_bytes());
    bytes.extend((REQUEST | flags).to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(body);
    bytes
}

/// Appends a four-byte attribute with its header of four (all of ours are).
fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8; 4]) {
    body.extend(8_u16.to_le_bytes());
    body.extend(kind.to_le_bytes());
    body.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_says_its_own_length() {
        let gateway = Ipv4Addr::new(10, 0, 0, 1);
        for message in [
            link_up(2),
            add_address(2, gateway, 24),
            add_default_route(2, gateway),
        ] {
            let length = u32::from_le_bytes(message[..4].try_into().unwrap());
            assert_eq!(usize::try_from(length).unwrap(), message.len());
            assert!(message.len().is_multiple_of(4));
        }
    }

    #[test]
    fn the_broadcast_address_follows_from_the_prefix() {
        let broadcast = |prefix| {
            let message = add_address(2, Ipv4Addr::new(10, 1, 2, 3), prefix);
            message[message.len() - 4..].to_vec()
        };
        assert_eq!(broadcast(24), [10, 1, 2, 255]);
        assert_eq!(broadcast(8), [10, 255, 255, 255]);
        assert_eq!(broadcast(32), [10, 1, 2, 3]);
    }

    #[test]
    fn acknowledgements_carry_the_error_and_short_ones_nothing() {
        let mut answer = vec![36, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        answer.extend((-17_i32).to_le_bytes());
        assert_eq!(acknowledgement(&answer), Some(17));
        for length in 0..answer.len() {
            assert_eq!(acknowledgement(&answer[..length]), None);
        }
    }
}
