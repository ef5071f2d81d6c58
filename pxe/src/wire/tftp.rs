//! TFTP packets (RFC 1350, options of RFC 2347).

use thiserror::Error;

use crate::bytes::{Reader, Writer};

const READ: u16 = 1;
const WRITE: u16 = 2;
const DATA: u16 = 3;
const ACK: u16 = 4;
const ERROR: u16 = 5;
const OPTION_ACK: u16 = 6;

/// A request must fit in 512 bytes (RFC 2347); firmware stays far below.
const REQUEST_LIMIT: usize = 1024;
/// More options than any client sends; bounds the list.
const OPTION_LIMIT: usize = 16;

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// A request to read a file.
    Read(Request),
    /// A request to write a file: never granted here.
    Write,
    /// One block; shorter than the block size when it is the last.
    Data {
        /// Block number, from 1, rolling over to 0 after 65535.
        block: u16,
        /// The block's bytes.
        bytes: Vec<u8>,
    },
    /// All blocks up to this one have arrived.
    Ack {
        /// Block number; 0 acknowledges an option acknowledgement.
        block: u16,
    },
    /// The transfer is over.
    Error {
        /// One of the codes in [`ErrorCode`], or another.
        code: u16,
        /// Text for a person.
        message: String,
    },
    /// The options the server grants, names in the client's spelling.
    OptionAck(Vec<(String, String)>),
}

/// What a read request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The path as sent.
    pub path: String,
    /// Transfer mode as sent: `octet` from every firmware.
    pub mode: String,
    /// Options in the order sent.
    pub options: Vec<(String, String)>,
}

/// Error codes of RFC 1350 and RFC 2347 that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum ErrorCode {
    /// Not defined: the message says it.
    Other = 0,
    /// File not found.
    NotFound = 1,
    /// Access violation.
    Refused = 2,
    /// Illegal TFTP operation.
    Illegal = 4,
}

/// Why bytes are not a TFTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TftpError {
    /// It ends inside a field.
    #[error("TFTP packet ends inside its {0}")]
    Short(&'static str),
    /// The first two bytes are no operation.
    #[error("TFTP operation {0} does not exist")]
    Operation(u16),
    /// A request beyond what any client sends.
    #[error("TFTP request of {0} bytes; at most {REQUEST_LIMIT} are read")]
    Long(usize),
    /// A path, mode or option is not UTF-8.
    #[error("TFTP {0} is not UTF-8")]
    Text(&'static str),
    /// More options than a client has reason to send.
    #[error("TFTP request with more than {OPTION_LIMIT} options")]
    Options,
}

impl Packet {
    /// Reads one datagram.
    ///
    /// # Errors
    /// [`TftpError`] says which field is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, TftpError> {
        let mut reader = Reader::new(bytes);
        let operation = reader.u16_be().ok_or(TftpError::Short("operation"))?;
        match operation {
            READ => request(bytes.len(), &mut reader).map(Self::Read),
            WRITE => Ok(Self::Write),
            DATA => Ok(Self::Data {
                block: block(&mut reader)?,
                bytes: reader.rest().to_vec(),
            }),
            ACK => Ok(Self::Ack {
                block: block(&mut reader)?,
            }),
            ERROR => Ok(Self::Error {
                code: reader.u16_be().ok_or(TftpError::Short("error code"))?,
                // edk2 sends its abort without the final NUL.
                message: String::from_utf8_lossy(
                    reader.clone().until_nul().unwrap_or(reader.rest()),
                )
                .into_owned(),
            }),
            OPTION_ACK => options(&mut reader).map(Self::OptionAck),
            other => Err(TftpError::Operation(other)),
        }
    }

    /// Writes one datagram.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Self::Read(request) => {
                writer.u16_be(READ);
                writer.text_nul(&request.path).text_nul(&request.mode);
                write_options(&mut writer, &request.options);
            }
            Self::Write => {
                writer.u16_be(WRITE);
            }
            Self::Data { block, bytes } => {
                writer.u16_be(DATA).u16_be(*block).put(bytes);
            }
            Self::Ack { block } => {
                writer.u16_be(ACK).u16_be(*block);
            }
            Self::Error { code, message } => {
                writer.u16_be(ERROR).u16_be(*code).text_nul(message);
            }
            Self::OptionAck(options) => {
                writer.u16_be(OPTION_ACK);
                write_options(&mut writer, options);
            }
        }
        writer.finish()
    }

    /// An error packet's bytes.
    #[must_use]
    pub fn error(code: ErrorCode, message: &str) -> Vec<u8> {
        let code = code as u16;
        let message = message.to_owned();
        Self::Error { code, message }.encode()
    }
}

fn block(reader: &mut Reader<'_>) -> Result<u16, TftpError> {
    reader.u16_be().ok_or(TftpError::Short("block number"))
}

fn request(length: usize, reader: &mut Reader<'_>) -> Result<Request, TftpError> {
    if length > REQUEST_LIMIT {
        return Err(TftpError::Long(length));
    }
    Ok(Request {
        path: text(reader, "path")?,
        mode: text(reader, "mode")?,
        options: options(reader)?,
    })
}

fn options(reader: &mut Reader<'_>) -> Result<Vec<(String, String)>, TftpError> {
    let mut options = Vec::new();
    while !reader.is_empty() {
        if options.len() == OPTION_LIMIT {
            return Err(TftpError::Options);
        }
        options.push((text(reader, "option")?, text(reader, "option value")?));
    }
    Ok(options)
}

fn text(reader: &mut Reader<'_>, field: &'static str) -> Result<String, TftpError> {
    let bytes = reader.until_nul().ok_or(TftpError::Short(field))?;
    String::from_utf8(bytes.to_vec()).map_err(|_| TftpError::Text(field))
}

fn write_options(writer: &mut Writer, options: &[(String, String)]) {
    for (name, value) in options {
        writer.text_nul(name).text_nul(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Packet> {
        let options = vec![
            ("tsize".to_owned(), "0".to_owned()),
            ("blksize".to_owned(), "1468".to_owned()),
        ];
        vec![
            Packet::Read(Request {
                path: "shimx64.efi".to_owned(),
                mode: "octet".to_owned(),
                options: options.clone(),
            }),
            Packet::Data {
                block: 65535,
                bytes: vec![1, 2, 3],
            },
            Packet::Ack { block: 0 },
            Packet::Error {
                code: ErrorCode::NotFound as u16,
                message: "file not found".to_owned(),
            },
            Packet::OptionAck(options),
        ]
    }

    #[test]
    fn each_packet_comes_back_as_it_was_written() {
        for packet in samples() {
            assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
        }
    }

    #[test]
    fn no_truncation_and_no_flipped_bit_panics() {
        for packet in samples() {
            let bytes = packet.encode();
            for end in 0..bytes.len() {
                let _ = Packet::decode(&bytes[..end]);
            }
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let _ = Packet::decode(&flipped);
            }
        }
    }

    #[test]
    fn a_flood_of_options_is_refused() {
        let request = Request {
            path: "a".to_owned(),
            mode: "octet".to_owned(),
            options: vec![("x".to_owned(), "1".to_owned()); OPTION_LIMIT + 1],
        };
        let bytes = Packet::Read(request).encode();
        assert_eq!(Packet::decode(&bytes), Err(TftpError::Options));
        let long = [&[0, 1][..], &[b'a'; REQUEST_LIMIT]].concat();
        assert!(matches!(Packet::decode(&long), Err(TftpError::Long(_))));
    }
}
