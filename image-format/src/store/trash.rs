//! Names of what was thrown away, and of those who still need something.
//!
//! ```text
//! trash/<run>-pack-<id>   trash/<run>-manifest-<id>   trash/<run>-seal.json
//! leases/<lease>.json
//! ```
//! A run's name is never given twice, so removing a name from the trash can
//! only ever remove what that run put there.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

use crate::ids::{ImageId, PackId};

/// One run of garbage collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// Seconds since 1970 when it began.
    pub begun: u64,
    /// Tells two runs of one second apart.
    pub number: u64,
}

impl Run {
    /// A run that begins now.
    pub fn new(now: u64) -> Self {
        Self {
            begun: now,
            number: unlike(),
        }
    }

    /// The run of the holder of a lease, by which others see whether it goes on.
    pub fn of(now: u64, lease: LeaseId) -> Self {
        Self {
            begun: now,
            number: lease.number(),
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}.{:016x}", self.begun, self.number)
    }
}

/// A name in the trash that is not ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no name of this kind")]
pub struct NameError {
    /// What stood there.
    pub found: String,
}

impl FromStr for Run {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parse = || {
            let (begun, number) = text.split_once('.')?;
            Some(Self {
                begun: begun.parse().ok()?,
                number: u64::from_str_radix(number, 16).ok()?,
            })
        };
        same(parse(), text)
    }
}

/// What can be thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// A pack.
    Pack(PackId),
    /// A manifest.
    Manifest(ImageId),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pack(id) => write!(f, "pack-{id}"),
            Self::Manifest(id) => write!(f, "manifest-{id}"),
        }
    }
}

/// Something in the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trashed {
    /// Who put it there.
    pub run: Run,
    /// What it was.
    pub object: Object,
}

impl fmt::Display for Trashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.run, self.object)
    }
}

impl FromStr for Trashed {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parse = || {
            let mut parts = text.splitn(3, '-');
            let run = parts.next()?.parse().ok()?;
            let object = match (parts.next()?, parts.next()?) {
                ("pack", id) => Object::Pack(id.parse().ok()?),
                ("manifest", id) => Object::Manifest(id.parse().ok()?),
                _ => return None,
            };
            Some(Self { run, object })
        };
        same(parse(), text)
    }
}

/// Somebody who writes to the share or must be able to read all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u128);

impl LeaseId {
    /// A lease nobody else has.
    pub fn new() -> Self {
        Self(u128::from(unlike()) << 64 | u128::from(unlike()))
    }

    /// Its lower half: the number of its holder's [`Run`].
    pub fn number(&self) -> u64 {
        u64::try_from(self.0 & u128::from(u64::MAX)).unwrap_or_default()
    }
}

impl Default for LeaseId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for LeaseId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        same(u128::from_str_radix(text, 16).ok().map(Self), text)
    }
}

/// A name has one spelling, else two files could be one thing.
fn same<T: ToString>(parsed: Option<T>, text: &str) -> Result<T, NameError> {
    parsed
        .filter(|parsed| parsed.to_string() == text)
        .ok_or_else(|| NameError {
            found: text.chars().take(120).collect(),
        })
}

/// A number unlike any other: from the system's randomness, by way of the keys
/// of a hash map, the time and the process.
pub(crate) fn unlike() -> u64 {
    let time = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    RandomState::new().hash_one((time, std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_their_text_and_have_one_spelling() {
        let run = Run {
            begun: 1_795_305_600,
            number: 0xabc,
        };
        for object in [
            Object::Pack(PackId::of(b"a")),
            Object::Manifest(ImageId::of(b"b")),
        ] {
            let trashed = Trashed { run, object };
            let text = trashed.to_string();
            assert_eq!(text.parse::<Trashed>().unwrap(), trashed);
            for end in 0..text.len() {
                assert!(text[..end].parse::<Trashed>().is_err());
            }
            assert!(text.to_uppercase().parse::<Trashed>().is_err());
        }
        assert_eq!(run.to_string().parse::<Run>().unwrap(), run);
        assert!("1.0".parse::<Run>().is_err());
        let lease = LeaseId::new();
        assert_ne!(lease, LeaseId::new());
        assert_eq!(lease.to_string().parse::<LeaseId>().unwrap(), lease);
        assert!("+1".parse::<LeaseId>().is_err());
    }
}
