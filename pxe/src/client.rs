//! Who boots: what a machine says about itself before it runs anything of
//! ours.

use std::net::Ipv4Addr;

use crate::mac::Mac;
use crate::wire::dhcp::{Packet, code};
use crate::wire::pxe;

/// What the firmware runs (IANA processor architecture types, RFC 4578 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// PC BIOS (types 0, 20).
    Bios,
    /// 32-bit UEFI (6, 15).
    Ia32Efi,
    /// 64-bit x86 UEFI (7, 16, and 9, which firmware sends for it too).
    X64Efi,
    /// 64-bit ARM UEFI (11, 19).
    Arm64Efi,
    /// Anything else, by its number.
    Other(u16),
}

impl Architecture {
    /// From the number in option 93.
    #[must_use]
    pub fn from_type(number: u16) -> Self {
        match number {
            0 | 20 => Self::Bios,
            6 | 15 => Self::Ia32Efi,
            7 | 9 | 16 => Self::X64Efi,
            11 | 19 => Self::Arm64Efi,
            other => Self::Other(other),
        }
    }

    /// The number that stands for it in our own script URLs.
    #[must_use]
    pub fn to_type(self) -> u16 {
        match self {
            Self::Bios => 0,
            Self::Ia32Efi => 6,
            Self::X64Efi => 7,
            Self::Arm64Efi => 11,
            Self::Other(number) => number,
        }
    }

    /// Whether the firmware is UEFI, as far as is known.
    #[must_use]
    pub fn is_uefi(self) -> bool {
        matches!(self, Self::Ia32Efi | Self::X64Efi | Self::Arm64Efi)
    }
}

/// Which program asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The firmware's or network card's PXE client.
    Pxe,
    /// The firmware's UEFI HTTP Boot client.
    HttpBoot,
    /// iPXE, from the card's ROM or loaded by us.
    Ipxe,
    /// GRUB, asking for its configuration.
    Grub,
    /// An ordinary DHCP client: an operating system, or our boot environment.
    System,
}

/// A machine as it appears on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootClient {
    /// Address of the network card that asks.
    pub mac: Mac,
    /// SMBIOS UUID in text order (option 97, swapped), if it sends one.
    pub uuid: Option<[u8; 16]>,
    /// What the firmware runs; BIOS when the client does not say.
    pub architecture: Architecture,
    /// Which program asks.
    pub stage: Stage,
    /// The address it has or is about to get, where known.
    pub address: Option<Ipv4Addr>,
}

const PXE_CLASS: &[u8] = b"PXEClient";
const HTTP_CLASS: &[u8] = b"HTTPClient";
/// The bare string iPXE sends, without the length byte of RFC 3004.
const IPXE_CLASS: &[u8] = b"iPXE";

impl BootClient {
    /// Reads a client's DHCP packet.
    #[must_use]
    pub fn from_packet(packet: &Packet) -> Self {
        let architecture = packet
            .get(code::ARCHITECTURE)
            .and_then(|list| list.first_chunk::<2>())
            .map_or(Architecture::Bios, |first| {
                Architecture::from_type(u16::from_be_bytes(*first))
            });
        let known = |address: &Ipv4Addr| !address.is_unspecified();
        let requested = packet.address(code::REQUESTED);
        Self {
            mac: packet.mac,
            uuid: packet.get(code::UUID).and_then(pxe::uuid_from_option),
            architecture,
            stage: stage(packet),
            address: Some(packet.ciaddr)
                .filter(known)
                .or(requested.filter(known)),
        }
    }

    /// The client described in the query of a script URL, which
    /// [`BootClient::to_query`] wrote. `None` without a readable `mac`.
    #[must_use]
    pub fn from_query(query: &str, stage: Stage) -> Option<Self> {
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let number = value("arch").and_then(|arch| arch.parse().ok());
        Some(Self {
            mac: value("mac")?.parse().ok()?,
            uuid: value("uuid").and_then(uuid_from_text),
            architecture: number.map_or(Architecture::Bios, Architecture::from_type),
            stage,
            address: None,
        })
    }

    /// The client as a URL's query, short enough for DHCP's `file` field.
    #[must_use]
    pub fn to_query(&self) -> String {
        let mac = self.mac.to_string().replace(':', "-");
        let uuid = self.uuid.map(|uuid| format!("&uuid={}", uuid_text(uuid)));
        let uuid = uuid.unwrap_or_default();
        format!("mac={mac}&arch={}{uuid}", self.architecture.to_type())
    }

    /// Whether this client takes a boot file at all.
    #[must_use]
    pub fn boots(&self) -> bool {
        !matches!(self.stage, Stage::System)
    }
}

fn stage(packet: &Packet) -> Stage {
    let class = packet.get(code::CLASS).unwrap_or_default();
    let user_class = packet.get(code::USER_CLASS).unwrap_or_default();
    let boots = class.starts_with(PXE_CLASS);
    if user_class
        .windows(IPXE_CLASS.len())
        .any(|four| four == IPXE_CLASS)
    {
        Stage::Ipxe
    } else if class.starts_with(HTTP_CLASS) {
        Stage::HttpBoot
    } else if boots {
        Stage::Pxe
    } else {
        Stage::System
    }
}

/// The usual text of a UUID.
#[must_use]
pub fn uuid_text(uuid: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in uuid.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

fn uuid_from_text(text: &str) -> Option<[u8; 16]> {
    let digits = text.replace('-', "");
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(&digits, 16)
        .ok()
        .map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::dhcp::Kind;

    fn client(options: &[(u8, &[u8])]) -> BootClient {
        let mut packet = Packet::request(Kind::Discover, Mac([2, 0, 0, 0, 0, 9]), 1);
        for (code, value) in options {
            packet.set(*code, value);
        }
        BootClient::from_packet(&packet)
    }

    #[test]
    fn a_user_class_with_or_without_length_byte_is_ipxe() {
        let class = (code::CLASS, &b"PXEClient:Arch:00000"[..]);
        assert_eq!(client(&[class]).stage, Stage::Pxe);
        for user in [&b"iPXE"[..], b"\x04iPXE"] {
            assert_eq!(
                client(&[class, (code::USER_CLASS, user)]).stage,
                Stage::Ipxe
            );
        }
    }

    #[test]
    fn the_first_architecture_of_a_list_counts() {
        let with = |list: &[u8]| client(&[(code::ARCHITECTURE, list)]).architecture;
        assert_eq!(with(&[0, 7, 0, 0]), Architecture::X64Efi);
        assert_eq!(with(&[0, 9]), Architecture::X64Efi);
        assert_eq!(with(&[0, 16]), Architecture::X64Efi);
        assert_eq!(with(&[0]), Architecture::Bios);
        assert_eq!(with(&[1, 0]), Architecture::Other(256));
    }

    #[test]
    fn an_ordinary_client_does_not_boot() {
        assert!(!client(&[(code::CLASS, b"udhcp 1.35.0")]).boots());
        assert!(!client(&[]).boots());
    }

    #[test]
    fn a_query_gives_the_client_back() {
        let mut uuid = vec![0];
        uuid.extend(1..=16);
        let sent = client(&[(code::ARCHITECTURE, &[0, 7]), (code::UUID, &uuid)]);
        let read = BootClient::from_query(&sent.to_query(), Stage::Ipxe).unwrap();
        assert_eq!(read.mac, sent.mac);
        assert_eq!(read.uuid, sent.uuid);
        assert_eq!(read.architecture, sent.architecture);
        assert!(sent.to_query().len() < 80);
    }

    #[test]
    fn a_query_without_a_mac_is_nobody() {
        for query in [
            "",
            "mac",
            "mac=",
            "mac=1:2",
            "mac=52-54-00-77-01-zz",
            "a=b&",
        ] {
            assert_eq!(BootClient::from_query(query, Stage::Ipxe), None, "{query}");
        }
    }

    #[test]
    fn a_mac_text_comes_back() {
        let mac: Mac = "52:54:00:AB-01:00".parse().unwrap();
        assert_eq!(mac.to_string(), "52:54:00:ab:01:00");
        assert!("52:54:00:ab:01".parse::<Mac>().is_err());
        assert!("+2:54:00:ab:01:00".parse::<Mac>().is_err());
    }
}
