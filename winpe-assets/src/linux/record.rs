//! The two small JSON files of a boot tree: `boot.json` beside the files says
//! what was built from what; the one inside the first stage says whom to trust.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The second stage.
pub const STAGE2: &str = "stage2.cpio.zst";
/// Name of the record beside the boot files.
pub const RECORD_NAME: &str = "boot.json";
/// Where the agent finds whom to trust, in the first stage.
pub const CONFIG_PATH: &str = "etc/mimeo/boot.json";

const FORMAT: u32 = 1;
/// A record with 1000 modules takes 50 KB.
const LONGEST: usize = 16 << 20;

/// 32 bytes (a key or a BLAKE3 hash), written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex32(pub [u8; 32]);

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected 64 hexadecimal digits (32 bytes), found {0} characters")]
pub struct NotHex32(usize);

impl Hex32 {
    /// The BLAKE3 hash of `bytes`.
    #[must_use]
    pub fn hash(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for Hex32 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Hex32 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Hex32 {
    type Err = NotHex32;

    fn from_str(text: &str) -> Result<Self, NotHex32> {
        let hash = blake3::Hash::from_hex(text).map_err(|_| NotHex32(text.len()))?;
        Ok(Self(*hash.as_bytes()))
    }
}

impl TryFrom<String> for Hex32 {
    type Error = NotHex32;

    fn try_from(text: String) -> Result<Self, NotHex32> {
        text.parse()
    }
}

impl From<Hex32> for String {
    fn from(value: Hex32) -> Self {
        value.to_string()
    }
}

/// A file's length and hash: enough to fetch it from anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Length in bytes.
    pub size: u64,
    /// BLAKE3 of the whole file.
    pub blake3: Hex32,
}

impl Pin {
    /// The pin of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            blake3: Hex32::hash(bytes),
        }
    }

    /// Are these the bytes?
    #[must_use]
    pub fn fits(&self, bytes: &[u8]) -> bool {
        *self == Self::of(bytes)
    }
}

/// Why one of the files cannot be used.
#[derive(Debug, Error)]
pub enum RecordError {
    /// Longer than any real one.
    #[error("{0} bytes are too many for a boot record")]
    TooLong(usize),
    /// Not JSON, or fields are missing.
    #[error("boot record cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by another version.
    #[error("boot record has format {found}, expected {FORMAT}: build the boot tree anew")]
    Format {
        /// The format it says.
        found: u32,
    },
}

/// What the first stage tells the agent: [`CONFIG_PATH`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootConfig {
    /// Version of this file.
    pub format: u32,
    /// The server, by number: there is no resolver yet.
    pub server: SocketAddr,
    /// The server's Ed25519 public key; the agent speaks to no other.
    pub server_key: Hex32,
    /// `uname -r` of the kernel the modules belong to.
    pub kernel: String,
    /// Name of the second stage beside the kernel.
    pub stage2_name: String,
    /// The only second stage that will do.
    pub stage2: Pin,
}

impl BootConfig {
    /// Reads the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        parse(bytes, |config: &Self| config.format)
    }

    /// The file as bytes.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        encode(self)
    }

    /// A configuration of the present format.
    #[must_use]
    pub fn new(server: SocketAddr, server_key: Hex32, kernel: String, stage2: Pin) -> Self {
        let stage2_name = STAGE2.to_owned();
        Self {
            format: FORMAT,
            server,
            server_key,
            kernel,
            stage2_name,
            stage2,
        }
    }
}

/// A package the tree was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageRecord {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the `.deb`, as the distribution's index lists it.
    pub sha256: String,
}

/// What was built from what: [`RECORD_NAME`]. No time stands in it, so that
/// the same inputs give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootRecord {
    /// Version of this file.
    pub format: u32,
    /// Version of the program that built it.
    pub built_by: String,
    /// `uname -r` of the kernel.
    pub kernel: String,
    /// The server pinned in the first stage.
    pub server: SocketAddr,
    /// Its key.
    pub server_key: Hex32,
    /// The agent, `/init` of the first stage.
    pub agent: Pin,
    /// Every other file of the tree.
    pub files: BTreeMap<String, Pin>,
    /// The packages, sorted by name.
    pub packages: Vec<PackageRecord>,
    /// Modules of the first stage.
    pub first_stage: Vec<String>,
    /// Modules of the second stage.
    pub second_stage: Vec<String>,
    /// Modules that were asked for, and this kernel does not have.
    pub absent: Vec<String>,
    /// Firmware files that some module may ask for and no package held.
    pub firmware_missing: Vec<String>,
}

impl BootRecord {
    /// The format this version writes.
    pub const FORMAT: u32 = FORMAT;

    /// Reads the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        parse(bytes, |record: &Self| record.format)
    }

    /// The file as bytes.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        encode(self)
    }
}

fn parse<T: for<'a> Deserialize<'a>>(
    bytes: &[u8],
    format: fn(&T) -> u32,
) -> Result<T, RecordError> {
    if bytes.len() > LONGEST {
        return Err(RecordError::TooLong(bytes.len()));
    }
    let record = serde_json::from_slice(bytes)?;
    match format(&record) {
        FORMAT => Ok(record),
        found => Err(RecordError::Format { found }),
    }
}

fn encode(record: &impl Serialize) -> Result<Vec<u8>, RecordError> {
    let mut bytes = serde_json::to_vec_pretty(record)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> BootConfig {
        let server = "192.0.2.1:8443".parse().unwrap();
        BootConfig::new(server, Hex32([7; 32]), "6.12".to_owned(), Pin::of(b"stage"))
    }

    #[test]
    fn a_configuration_comes_back_from_its_bytes_and_a_cut_one_does_not() {
        let bytes = config().encode().unwrap();
        assert_eq!(BootConfig::parse(&bytes).unwrap(), config());
        for length in 0..bytes.len() - 1 {
            assert!(
                BootConfig::parse(&bytes[..length]).is_err(),
                "cut at {length}"
            );
        }
    }

    #[test]
    fn another_format_is_refused() {
        let bytes = BootConfig {
            format: 2,
            ..config()
        }
        .encode()
        .unwrap();
        assert!(matches!(
            BootConfig::parse(&bytes),
            Err(RecordError::Format { found: 2 })
        ));
    }

    #[test]
    fn keys_are_64_hexadecimal_digits() {
        assert_eq!("07".repeat(32).parse(), Ok(Hex32([7; 32])));
        for text in [
            "",
            "07",
            &"0g".repeat(32),
            &"07".repeat(33),
            &"\u{e4}".repeat(32),
        ] {
            assert!(text.parse::<Hex32>().is_err(), "{text}");
        }
    }
}
