//! A ref: the name under which an image was committed, numbered, with its record.
//!
//! It may be signed. This crate knows what is signed and when to refuse; the
//! mathematics are a [`Signer`]'s and a [`Verifier`]'s, passed in.

mod commit;
pub mod signature;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids;
use crate::image::ImageRecord;
use signature::{RefSignature, Signer, Trust};

pub use commit::{CommitError, commit};

/// A ref is a few hundred bytes of JSON.
pub const MAX_REF: u64 = 64 << 10;
/// A name must fit into a file name when every byte of it is escaped.
pub const MAX_NAME: usize = 80;

const VERSION: u32 = 1;

/// A ref as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ref {
    version: u32,
    /// What it says of the image.
    pub record: ImageRecord,
    /// Who vouches for it, if anybody.
    pub signature: Option<RefSignature>,
}

/// A ref is not what it must be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RefError {
    /// Not JSON of this shape.
    #[error("not a ref")]
    Syntax(#[from] serde_json::Error),
    /// Written by another version.
    #[error("ref version: expected {VERSION}, found {found}; {}", advice(*found))]
    Version {
        /// What it says.
        found: u32,
    },
    /// Nobody vouches for it, and its reader trusts only what is vouched for.
    #[error(
        "the ref of {name} ({sequence}) is not signed, and only signed images are trusted here"
    )]
    Unsigned {
        /// Whose.
        name: String,
        /// Which capture.
        sequence: u64,
    },
    /// Somebody else vouches for it.
    #[error(
        "the ref of {name} ({sequence}) is signed with the key {key}, which is not trusted here"
    )]
    Untrusted {
        /// Whose.
        name: String,
        /// Which capture.
        sequence: u64,
        /// The key that signed.
        key: String,
    },
    /// The signature is not that of this ref.
    #[error(
        "the signature of {name} ({sequence}) is not that of what it says: somebody changed it"
    )]
    Forged {
        /// Whose.
        name: String,
        /// Which capture.
        sequence: u64,
    },
    /// Somebody put an older image back.
    #[error(
        "{name} has sequence {found}, but sequence {known} was seen before: somebody put an older image back"
    )]
    Older {
        /// Whose.
        name: String,
        /// What was seen before.
        known: u64,
        /// What is there now.
        found: u64,
    },
    /// Names no one could type or store.
    #[error(
        "{name:?} cannot name an image: expected 1 to {MAX_NAME} bytes without control characters or spaces at either end"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// A name that would be taken for something else.
    #[error("{name:?} cannot name an image: {like}")]
    Misleading {
        /// The name.
        name: String,
        /// What it would be taken for.
        like: &'static str,
    },
}

fn advice(found: u32) -> &'static str {
    match found {
        0 => "capture again with this program",
        _ => "use a newer program",
    }
}

/// The bytes of a ref, signed if there is somebody to sign.
///
/// # Errors
/// The name is not usable.
pub fn encode(record: &ImageRecord, signer: Option<&dyn Signer>) -> Result<Vec<u8>, RefError> {
    check_name(&record.name)?;
    let mut text = serde_json::to_vec_pretty(&Ref {
        version: VERSION,
        record: record.clone(),
        signature: signer.map(|signer| RefSignature::make(record, signer)),
    })?;
    text.push(b'\n');
    Ok(text)
}

/// Reads a ref. `known` is the highest sequence its reader has ever seen under
/// this name, 0 for none. With `trust`, what is not signed with one of its keys
/// is refused; without, signatures are not looked at.
///
/// # Errors
/// Not a ref, of another version, not to be trusted, or older than what was known.
pub fn decode(bytes: &[u8], known: u64, trust: Option<&Trust>) -> Result<Ref, RefError> {
    let value: Version = serde_json::from_slice(bytes)?;
    if value.version != VERSION {
        return Err(RefError::Version {
            found: value.version,
        });
    }
    let read: Ref = serde_json::from_slice(bytes)?;
    check_name(&read.record.name)?;
    if let Some(trust) = trust {
        trust.check(&read)?;
    }
    if read.record.sequence < known {
        return Err(RefError::Older {
            name: read.record.name,
            known,
            found: read.record.sequence,
        });
    }
    Ok(read)
}

/// Looked at first: another version may have other fields.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Whether an image may have this name.
///
/// # Errors
/// [`RefError::Name`].
pub fn check_name(name: &str) -> Result<(), RefError> {
    let fits = (1..=MAX_NAME).contains(&name.len())
        && name.trim() == name
        && !name.chars().any(char::is_control);
    if fits {
        Ok(())
    } else {
        Err(RefError::Name {
            name: name.chars().take(MAX_NAME).collect(),
        })
    }
}

/// Whether an image may be given this name. Some were once, and are read: those
/// that people would take for a version of another image, or for an id.
///
/// # Errors
/// [`RefError::Name`] and [`RefError::Misleading`].
pub fn check_new_name(name: &str) -> Result<(), RefError> {
    check_name(name)?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let version = name.rsplit_once('@').is_some_and(|(_, last)| number(last));
    let id = ids::could_begin(name);
    let like = match (version, id) {
        (true, _) => "`NAME@NUMBER` is a version of an image",
        (_, true) => "eight and more hexadecimal digits are an image's id",
        _ => return Ok(()),
    };
    let name = name.to_owned();
    Err(RefError::Misleading { name, like })
}

/// A file name that no file system minds: letters, digits, `-`, `_` and inner
/// dots stay, the rest becomes `%` and two digits.
pub(crate) fn name_to_file(name: &str) -> String {
    let plain = |at: usize, byte: u8| {
        byte.is_ascii_alphanumeric() || b"-_".contains(&byte) || (byte == b'.' && at > 0)
    };
    let escape = |(at, byte): (usize, u8)| {
        if plain(at, byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    name.bytes().enumerate().map(escape).collect()
}

/// The name behind a file name; `None` for files that are not refs.
pub(crate) fn name_from_file(file: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = file.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = tail.get(2..)?;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (check_name(&name).is_ok() && name_to_file(&name) == file).then_some(name)
}

#[cfg(test)]
mod tests;
