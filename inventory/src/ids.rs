//! Names of machines and of their network adapters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A text that names no machine or adapter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{found:?} is not {expected}")]
pub struct IdError {
    /// What would have been right.
    pub expected: &'static str,
    /// What stood there.
    pub found: String,
}

/// The server's name for a machine: 16 random bytes, written as 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineId([u8; 16]);

/// A network adapter's six-byte address (MAC), written `52:54:00:12:34:56`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HardwareAddr([u8; 6]);

impl MachineId {
    /// The id whose bytes these are.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl HardwareAddr {
    /// The address whose bytes these are.
    pub const fn new(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }

    /// The six bytes in the order of the wire.
    pub const fn as_bytes(&self) -> &[u8; 6] {
        &self.0
    }

    /// Whether it can tell one machine from another: not zero, not broadcast,
    /// not a group address.
    pub fn identifies(&self) -> bool {
        self.0 != [0; 6] && self.0[0] & 1 == 0
    }
}

/// Reads exactly `N` bytes from hex digits, with or without `:` and `-`.
fn hex_bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !b":-".contains(byte)).collect();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: u8| {
            char::from(digit)
                .to_digit(16)
                .and_then(|v| u8::try_from(v).ok())
        };
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

impl FromStr for MachineId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        hex_bytes(text).map(Self).ok_or_else(|| IdError {
            expected: "a machine id (32 hexadecimal digits)",
            found: text.chars().take(80).collect(),
        })
    }
}

impl FromStr for HardwareAddr {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        hex_bytes(text).map(Self).ok_or_else(|| IdError {
            expected: "a MAC address (such as 52:54:00:12:34:56)",
            found: text.chars().take(80).collect(),
        })
    }
}

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for HardwareAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(MachineId);
as_text!(HardwareAddr);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_every_common_spelling() {
        let expected = HardwareAddr::new([0x52, 0x54, 0, 0x12, 0x34, 0xab]);
        for text in ["52:54:00:12:34:ab", "52-54-00-12-34-AB", "5254001234ab"] {
            assert_eq!(text.parse::<HardwareAddr>().unwrap(), expected);
        }
        assert_eq!(expected.to_string(), "52:54:00:12:34:ab");
        for text in ["", "52:54", "52:54:00:12:34:zz", "52:54:00:12:34:ab:cd"] {
            assert!(text.parse::<HardwareAddr>().is_err(), "{text}");
        }
    }

    #[test]
    fn group_and_empty_addresses_identify_nobody() {
        assert!(!HardwareAddr::new([0; 6]).identifies());
        assert!(!HardwareAddr::new([0xff; 6]).identifies());
        assert!(HardwareAddr::new([0x52, 0x54, 0, 1, 2, 3]).identifies());
    }
}
