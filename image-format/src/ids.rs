//! Names made of hashes: whoever holds the bytes can check the name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{found:?} is not an id: expected 64 hexadecimal digits")]
pub struct IdError {
    /// What stood there.
    pub found: String,
}

/// So many digits of an id are enough to ask for it.
const FEWEST_DIGITS: usize = 8;

/// Whether an id could begin so.
pub(crate) fn could_begin(text: &str) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits && text.len() >= FEWEST_DIGITS
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The id whose bytes these are.
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The id of `content`: its BLAKE3 hash.
            pub fn of(content: &[u8]) -> Self {
                Self(*blake3::hash(content).as_bytes())
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first twelve digits: enough for people.
            pub fn short(&self) -> String {
                self.to_string()[..12].to_owned()
            }
        }

        impl From<blake3::Hash> for $name {
            fn from(hash: blake3::Hash) -> Self {
                Self(*hash.as_bytes())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let wrong = || IdError { found: text.chars().take(80).collect() };
                let hash = blake3::Hash::from_hex(text).map_err(|_| wrong())?;
                Ok(Self(*hash.as_bytes()))
            }
        }

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

id! {
    /// A chunk, the unit of dedup: the hash of its logical bytes.
    ChunkId
}
id! {
    /// A block, the unit of compression and of sending: the hash of its stored bytes.
    BlockId
}
id! {
    /// A pack, the unit of storage: the hash of the whole file.
    PackId
}
id! {
    /// An index segment: the hash of the whole file.
    SegmentId
}
id! {
    /// An image: the hash of its manifest's root, so of exactly what an apply writes.
    ImageId
}

/// A chunk and how long it is: all that is needed to ask for it and to check it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChunkRef {
    /// Which.
    pub id: ChunkId,
    /// Its length in bytes.
    pub length: u32,
}

impl ChunkRef {
    /// The reference to a chunk of these bytes; `None` above 4 GiB.
    pub fn to(bytes: &[u8]) -> Option<Self> {
        let length = u32::try_from(bytes.len()).ok()?;
        Some(Self {
            id: ChunkId::of(bytes),
            length,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_survives_its_text_and_refuses_other_text() {
        let id = ChunkId::of(b"mimeo");
        assert_eq!(id.to_string().parse::<ChunkId>().unwrap(), id);
        assert!("12".parse::<ChunkId>().is_err());
        assert!("zz".repeat(32).parse::<ChunkId>().is_err());
    }
}
