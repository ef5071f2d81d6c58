//! A DHCPv4 packet as a value (RFC 2131, options of RFC 2132).
//!
//! The fixed header goes through `dhcproto`. The options are read and written
//! here, as raw bytes by code: firmware sends a user class without its length byte, a
//! list of architectures, or one odd option among good ones, and none of that
//! may hide the options behind it. Options that spill into `sname` and `file`
//! (option 52) and options in several parts (RFC 3396) are put together.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use dhcproto::v4::{Flags, HType, MAGIC, MIN_PACKET_SIZE, Message, Opcode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use thiserror::Error;

use crate::bytes::Reader;
use crate::mac::Mac;

pub mod code;

const SNAME_AT: usize = 44;
const FILE_AT: usize = 108;
const MAGIC_AT: usize = 236;
const OPTIONS_AT: usize = 240;
/// No Ethernet frame carries more; edk2 says 65280 but never sends it.
const PACKET_LIMIT: usize = 4096;
const MAC_LENGTH: u8 = 6;
/// `file` holds 128 bytes, the last one a NUL.
const FILE_LIMIT: usize = 127;
/// `sname` holds 64 bytes, the last one a NUL.
const SNAME_LIMIT: usize = 63;

/// The length byte of an option counts no further.
const PART_LIMIT: usize = 255;

const PAD: u8 = 0;
const OVERLOAD: u8 = 52;
const END: u8 = 255;

/// Message type (option 53).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A client looks for servers.
    Discover = 1,
    /// A server offers.
    Offer = 2,
    /// A client takes an offer, or keeps what it has.
    Request = 3,
    /// A client found its address in use.
    Decline = 4,
    /// A server grants.
    Ack = 5,
    /// A server refuses.
    Nak = 6,
    /// A client gives its address back.
    Release = 7,
    /// A client has an address and wants the rest.
    Inform = 8,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Discover,
        Self::Offer,
        Self::Request,
        Self::Decline,
        Self::Ack,
        Self::Nak,
        Self::Release,
        Self::Inform,
    ];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Why bytes are not a DHCP packet for us.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DhcpError {
    /// Shorter than the fixed header, or longer than a frame.
    #[error("DHCP packet of {0} bytes; between {OPTIONS_AT} and {PACKET_LIMIT} expected")]
    Length(usize),
    /// The cookie in front of the options is missing: plain BOOTP.
    #[error("no DHCP cookie at byte {MAGIC_AT}")]
    Cookie,
    /// Not an Ethernet client.
    #[error("hardware type {kind} with {length} address bytes; only Ethernet (1, 6) is served")]
    Hardware {
        /// `htype` field.
        kind: u8,
        /// `hlen` field.
        length: u8,
    },
    /// Option 53 is missing or names no message type.
    #[error("no known message type in option 53")]
    Kind,
    /// `op` is neither request nor reply, or the header did not decode.
    #[error("DHCP header: {0}")]
    Header(String),
}

/// One DHCP packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Whether a server sent it (`op` 2).
    pub reply: bool,
    /// Message type.
    pub kind: Kind,
    /// Relays passed.
    pub hops: u8,
    /// Transaction of the client.
    pub xid: u32,
    /// Seconds since the client began.
    pub secs: u16,
    /// Whether the client cannot take unicast before it has an address.
    pub broadcast: bool,
    /// The address the client has.
    pub ciaddr: Ipv4Addr,
    /// The address the client gets.
    pub yiaddr: Ipv4Addr,
    /// Where the boot file is: the next server.
    pub siaddr: Ipv4Addr,
    /// The relay it came through.
    pub giaddr: Ipv4Addr,
    /// The client's hardware address.
    pub mac: Mac,
    /// Server name field, without its NUL.
    pub sname: Vec<u8>,
    /// Boot file field, without its NUL.
    pub file: Vec<u8>,
    /// Option values by code; never 0, 52, 53 or 255.
    pub options: BTreeMap<u8, Vec<u8>>,
}

impl Packet {
    /// A request of a client that has no address yet.
    #[must_use]
    pub fn request(kind: Kind, mac: Mac, xid: u32) -> Self {
        Self {
            reply: false,
            kind,
            hops: 0,
            xid,
            secs: 0,
            broadcast: true,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            mac,
            sname: Vec::new(),
            file: Vec::new(),
            options: BTreeMap::new(),
        }
    }

    /// An empty reply to `request`: its transaction, its relay, and the
    /// options a server must echo (82, RFC 3046; 97, RFC 4578).
    #[must_use]
    pub fn reply_to(request: &Self, kind: Kind, server: Ipv4Addr) -> Self {
        let mut reply = Self {
            reply: true,
            broadcast: request.broadcast,
            secs: request.secs,
            giaddr: request.giaddr,
            ..Self::request(kind, request.mac, request.xid)
        };
        for echoed in [code::RELAY, code::UUID] {
            if let Some(value) = request.options.get(&echoed) {
                reply.options.insert(echoed, value.clone());
            }
        }
        reply.set(code::SERVER, &server.octets());
        reply
    }

    /// Reads one datagram.
    ///
    /// # Errors
    /// [`DhcpError`]: not DHCP, or not of an Ethernet client.
    pub fn decode(bytes: &[u8]) -> Result<Self, DhcpError> {
        if !(OPTIONS_AT..=PACKET_LIMIT).contains(&bytes.len()) {
            return Err(DhcpError::Length(bytes.len()));
        }
        if bytes.get(MAGIC_AT..OPTIONS_AT) != Some(&MAGIC[..]) {
            return Err(DhcpError::Cookie);
        }
        let header = bytes.get(..OPTIONS_AT).unwrap_or_default();
        let header = Message::decode(&mut Decoder::new(header))
            .map_err(|error| DhcpError::Header(error.to_string()))?;
        let reply = match header.opcode() {
            Opcode::BootRequest => false,
            Opcode::BootReply => true,
            Opcode::Unknown(op) => return Err(DhcpError::Header(format!("operation {op}"))),
        };
        // Checked before `chaddr()`, which trusts the length byte.
        if header.htype() != HType::Eth || header.hlen() != MAC_LENGTH {
            return Err(DhcpError::Hardware {
                kind: header.htype().into(),
                length: header.hlen(),
            });
        }
        let mac = header.chaddr().try_into().map(Mac).unwrap_or_default();
        let (options, sname, file) = all_options(bytes);
        let kind = options.get(&code::KIND).and_then(|value| value.first());
        let kind = kind.and_then(|byte| Kind::from_byte(*byte));
        Ok(Self {
            reply,
            kind: kind.ok_or(DhcpError::Kind)?,
            hops: header.hops(),
            xid: header.xid(),
            secs: header.secs(),
            broadcast: header.flags().broadcast(),
            ciaddr: header.ciaddr(),
            yiaddr: header.yiaddr(),
            siaddr: header.siaddr(),
            giaddr: header.giaddr(),
            mac,
            sname,
            file,
            options: without_structure(options),
        })
    }

    /// Writes one datagram, padded to 300 bytes: old ROMs drop shorter ones
    /// (RFC 1542 section 2.1). A `file` or `sname` too long for its field is
    /// left out.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Message::new_with_id(
            self.xid,
            self.ciaddr,
            self.yiaddr,
            self.siaddr,
            self.giaddr,
            &self.mac.0,
        );
        let op = [Opcode::BootRequest, Opcode::BootReply];
        let flags = [Flags::default(), Flags::default().set_broadcast()];
        message
            .set_opcode(op[usize::from(self.reply)])
            .set_hops(self.hops)
            .set_secs(self.secs)
            .set_flags(flags[usize::from(self.broadcast)]);
        if (1..=SNAME_LIMIT).contains(&self.sname.len()) {
            message.set_sname(&self.sname);
        }
        if (1..=FILE_LIMIT).contains(&self.file.len()) {
            message.set_fname(&self.file);
        }
        let mut bytes = Vec::with_capacity(MIN_PACKET_SIZE);
        // Writing to a growing buffer cannot fail; a packet it refused would
        // be one nobody answers to, which is what an empty one is.
        if message.encode(&mut Encoder::new(&mut bytes)).is_err() {
            return Vec::new();
        }
        // The message type in front, where simple ROMs look for it; the relay
        // option last (RFC 3046 2.1).
        write_option(&mut bytes, code::KIND, &[self.kind as u8]);
        let relay = self.options.get_key_value(&code::RELAY);
        let others = self
            .options
            .iter()
            .filter(|(code, _)| **code != code::RELAY);
        for (code, value) in others.chain(relay) {
            write_option(&mut bytes, *code, value);
        }
        bytes.push(END);
        if bytes.len() < MIN_PACKET_SIZE {
            bytes.resize(MIN_PACKET_SIZE, PAD);
        }
        bytes
    }

    /// Sets an option's value.
    pub fn set(&mut self, code: u8, value: &[u8]) -> &mut Self {
        self.options.insert(code, value.to_vec());
        self
    }

    /// Sets an option to a list of addresses; an empty list sets nothing.
    pub fn set_addresses(&mut self, code: u8, addresses: &[Ipv4Addr]) -> &mut Self {
        if !addresses.is_empty() {
            let octets: Vec<u8> = addresses.iter().flat_map(Ipv4Addr::octets).collect();
            self.set(code, &octets);
        }
        self
    }

    /// An option's value.
    #[must_use]
    pub fn get(&self, code: u8) -> Option<&[u8]> {
        self.options.get(&code).map(Vec::as_slice)
    }

    /// An option as its addresses; incomplete ones at its end are left out.
    #[must_use]
    pub fn addresses(&self, code: u8) -> Vec<Ipv4Addr> {
        let (fours, _) = self.get(code).unwrap_or_default().as_chunks::<4>();
        fours.iter().copied().map(Ipv4Addr::from).collect()
    }

    /// An option's first address.
    #[must_use]
    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        self.addresses(code).first().copied()
    }

    /// An option as seconds.
    #[must_use]
    pub fn seconds(&self, code: u8) -> Option<u32> {
        Reader::new(self.get(code)?).u32_be()
    }

    /// Whether the client asked for this option (55).
    #[must_use]
    pub fn wants(&self, wanted: u8) -> bool {
        self.get(code::WANTED)
            .is_some_and(|list| list.contains(&wanted))
    }
}

type Options = BTreeMap<u8, Vec<u8>>;

/// The options of the option area and, as option 52 says, of `file` and
/// `sname`; then those two fields as texts.
fn all_options(bytes: &[u8]) -> (Options, Vec<u8>, Vec<u8>) {
    let sname = bytes.get(SNAME_AT..FILE_AT).unwrap_or_default();
    let file = bytes.get(FILE_AT..MAGIC_AT).unwrap_or_default();
    let mut options = Options::new();
    walk(bytes.get(OPTIONS_AT..).unwrap_or_default(), &mut options);
    let overload = options.get(&OVERLOAD).and_then(|value| value.first());
    let overload = overload.copied().unwrap_or(0);
    // RFC 2131 4.1: `file` first, then `sname`.
    let mut text = |flag: u8, field: &[u8]| {
        if overload & flag == 0 {
            field
                .split(|byte| *byte == 0)
                .next()
                .unwrap_or_default()
                .to_vec()
        } else {
            walk(field, &mut options);
            Vec::new()
        }
    };
    let file = text(1, file);
    let sname = text(2, sname);
    (options, sname, file)
}

/// Writes one option, in several parts when it is long (RFC 3396).
fn write_option(bytes: &mut Vec<u8>, code: u8, value: &[u8]) {
    if value.is_empty() {
        // Its presence is what it says; there would be no part to write.
        bytes.extend_from_slice(&[code, 0]);
    }
    for part in value.chunks(PART_LIMIT) {
        // A part is at most 255 bytes long.
        let length = u8::try_from(part.len()).unwrap_or(u8::MAX);
        bytes.extend_from_slice(&[code, length]);
        bytes.extend_from_slice(part);
    }
}

/// Collects options up to the end mark or the first one that is cut short.
fn walk(area: &[u8], options: &mut Options) {
    let mut reader = Reader::new(area);
    while let Some(code) = reader.u8() {
        match code {
            PAD => {}
            END => return,
            code => {
                let Some(length) = reader.u8() else { return };
                let Some(value) = reader.take(usize::from(length)) else {
                    return;
                };
                options.entry(code).or_default().extend_from_slice(value);
            }
        }
    }
}

/// Options 52 and 53 describe the packet; the value holds them otherwise.
fn without_structure(mut options: Options) -> Options {
    options.remove(&OVERLOAD);
    options.remove(&code::KIND);
    options
}

#[cfg(test)]
mod tests;
