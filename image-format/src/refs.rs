//! A ref: the name under which an image was committed, numbered, with its record.
//!
//! Version 0 is unsigned; the place of the signature is there and must be null.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::image::ImageRecord;

/// A ref is a few hundred bytes of JSON.
pub const MAX_REF: u64 = 64 << 10;
/// A name must fit into a file name when every byte of it is escaped.
pub const MAX_NAME: usize = 80;

const VERSION: u32 = 0;

#[derive(Serialize, Deserialize)]
struct Ref {
    version: u32,
    record: ImageRecord,
    signature: Option<String>,
}

/// A ref is not what it must be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RefError {
    /// Not JSON of this shape.
    #[error("not a ref")]
    Syntax(#[from] serde_json::Error),
    /// Written by another version.
    #[error("ref version: expected {VERSION}, found {found}; capture again with this program")]
    Version {
        /// What it says.
        found: u32,
    },
    /// It is signed, and version 0 cannot check that.
    #[error("the ref of {name} is signed: use a newer program")]
    Signed {
        /// Whose.
        name: String,
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
}

/// The bytes of a ref.
///
/// # Errors
/// The name is not usable.
pub fn encode(record: &ImageRecord) -> Result<Vec<u8>, RefError> {
    check_name(&record.name)?;
    let mut text = serde_json::to_vec_pretty(&Ref {
        version: VERSION,
        record: record.clone(),
        signature: None,
    })?;
    text.push(b'\n');
    Ok(text)
}

/// Reads a ref. `known` is the highest sequence its reader has ever seen under
/// this name, 0 for none.
///
/// # Errors
/// Not a ref, of another version, or older than what was known.
pub fn decode(bytes: &[u8], known: u64) -> Result<ImageRecord, RefError> {
    let Ref {
        version,
        record,
        signature,
    } = serde_json::from_slice(bytes)?;
    if version != VERSION {
        return Err(RefError::Version { found: version });
    }
    check_name(&record.name)?;
    if signature.is_some() {
        return Err(RefError::Signed { name: record.name });
    }
    if record.sequence < known {
        return Err(RefError::Older {
            name: record.name,
            known,
            found: record.sequence,
        });
    }
    Ok(record)
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
mod tests {
    use super::*;
    use crate::ids::ImageId;

    fn record(name: &str, sequence: u64) -> ImageRecord {
        ImageRecord {
            image: ImageId::of(b"image"),
            name: name.to_owned(),
            sequence,
            captured: 1,
            parent: None,
            system: None,
            logical_size: 2,
            entries: 3,
            source: None,
            witnesses: None,
        }
    }

    #[test]
    fn ref_survives_its_bytes_and_an_older_one_is_refused() {
        let bytes = encode(&record("office pc", 4)).unwrap();
        assert_eq!(decode(&bytes, 4).unwrap(), record("office pc", 4));
        assert!(matches!(
            decode(&bytes, 5),
            Err(RefError::Older {
                known: 5,
                found: 4,
                ..
            })
        ));
    }

    #[test]
    fn other_versions_and_signatures_are_refused_by_name() {
        let text = String::from_utf8(encode(&record("a", 1)).unwrap()).unwrap();
        let later = text.replace("\"version\": 0", "\"version\": 1");
        assert!(
            decode(later.as_bytes(), 0)
                .unwrap_err()
                .to_string()
                .contains("capture again")
        );
        let signed = text.replace("\"signature\": null", "\"signature\": \"00\"");
        assert!(matches!(
            decode(signed.as_bytes(), 0),
            Err(RefError::Signed { .. })
        ));
    }

    #[test]
    fn names_survive_their_file_names_and_never_leave_the_folder() {
        for name in [
            "debian-12",
            "../../etc/passwd",
            ".",
            "..",
            "a b",
            "Büro",
            "%41",
            "con.txt",
        ] {
            let file = name_to_file(name);
            assert!(!file.contains('/') && !file.starts_with('.'), "{file}");
            assert_eq!(name_from_file(&file).as_deref(), Some(name));
        }
        for bad in ["", " a", "a\n", &"x".repeat(81)] {
            assert!(encode(&record(bad, 1)).is_err());
        }
        assert_eq!(name_from_file("a%2"), None);
        assert_eq!(name_from_file("%61"), None);
    }
}
