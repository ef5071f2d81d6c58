//! Who vouches for a ref: Ed25519 over what must not be changed.
//!
//! Signed are image id, name, sequence and time of capture. The image id is a
//! hash over all that an apply writes, so that is signed as well.

use std::fmt::Write;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Ref, RefError};
use crate::image::ImageRecord;

/// First of what is signed: no other signature can be taken for one of a ref.
const WORD: &[u8] = b"mimeo ref 1\0";

/// Makes Ed25519 signatures.
pub trait Signer {
    /// The public key.
    fn key(&self) -> [u8; 32];
    /// A signature of `message` by this key.
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

/// Checks Ed25519 signatures.
pub trait Verifier: Send + Sync {
    /// Whether `signature` is one of `message` by `key`.
    fn verify(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool;
}

/// Whose signatures count.
#[derive(Clone)]
pub struct Trust {
    /// The public keys.
    pub keys: Vec<[u8; 32]>,
    /// Who checks.
    pub verifier: Arc<dyn Verifier>,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trust({} keys)", self.keys.len())
    }
}

/// A signature as it stands in a ref, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefSignature {
    /// The public key, 64 digits.
    pub key: String,
    /// The signature, 128 digits.
    pub signature: String,
}

impl RefSignature {
    /// The signature of a record.
    pub fn make(record: &ImageRecord, signer: &dyn Signer) -> Self {
        Self {
            key: hex(&signer.key()),
            signature: hex(&signer.sign(&message(record))),
        }
    }
}

/// The bytes that are signed.
pub fn message(record: &ImageRecord) -> Vec<u8> {
    let mut bytes = WORD.to_vec();
    bytes.extend(record.image.as_bytes());
    bytes.extend((record.name.len() as u64).to_le_bytes());
    bytes.extend(record.name.as_bytes());
    bytes.extend(record.sequence.to_le_bytes());
    bytes.extend(record.captured.to_le_bytes());
    bytes
}

impl Trust {
    /// Whether one of the keys signed this ref.
    ///
    /// # Errors
    /// It is not signed, with another key, or for something else.
    pub fn check(&self, read: &Ref) -> Result<(), RefError> {
        let (name, sequence) = (read.record.name.clone(), read.record.sequence);
        let Some(found) = &read.signature else {
            return Err(RefError::Unsigned { name, sequence });
        };
        let Some(key) = self.keys.iter().find(|key| hex(*key) == found.key) else {
            let key = found.key.chars().take(64).collect();
            return Err(RefError::Untrusted {
                name,
                sequence,
                key,
            });
        };
        let signature = unhex(&found.signature);
        let holds = signature.is_some_and(|signature| {
            self.verifier
                .verify(key, &message(&read.record), &signature)
        });
        match holds {
            true => Ok(()),
            false => Err(RefError::Forged { name, sequence }),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 64]> {
    let mut bytes = [0; 64];
    if text.len() != 128 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

    use super::*;
    use crate::ids::ImageId;
    use crate::refs::{decode, encode};

    struct Key(Ed25519KeyPair);

    impl Key {
        fn new(seed: u8) -> Self {
            Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
        }
    }

    impl Signer for Key {
        fn key(&self) -> [u8; 32] {
            self.0.public_key().as_ref().try_into().unwrap()
        }

        fn sign(&self, message: &[u8]) -> [u8; 64] {
            self.0.sign(message).as_ref().try_into().unwrap()
        }
    }

    struct Ring;

    impl Verifier for Ring {
        fn verify(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
            UnparsedPublicKey::new(&ED25519, key)
                .verify(message, signature)
                .is_ok()
        }
    }

    fn record() -> ImageRecord {
        ImageRecord {
            image: ImageId::of(b"image"),
            name: "office".to_owned(),
            sequence: 3,
            captured: 1,
            parent: None,
            system: None,
            logical_size: 2,
            entries: 3,
            profile: None,
            source: None,
            witnesses: None,
        }
    }

    #[test]
    fn reader_with_keys_takes_only_what_one_of_them_signed() {
        let (ours, theirs) = (Key::new(1), Key::new(2));
        let trust = Trust {
            keys: vec![Key::new(3).key(), ours.key()],
            verifier: Arc::new(Ring),
        };
        let signed = encode(&record(), Some(&ours)).unwrap();
        assert_eq!(decode(&signed, 0, Some(&trust)).unwrap().record, record());
        let unsigned = encode(&record(), None).unwrap();
        assert!(matches!(
            decode(&unsigned, 0, Some(&trust)),
            Err(RefError::Unsigned { .. })
        ));
        let foreign = encode(&record(), Some(&theirs)).unwrap();
        assert!(matches!(
            decode(&foreign, 0, Some(&trust)),
            Err(RefError::Untrusted { .. })
        ));
        for bytes in [&signed, &unsigned, &foreign] {
            assert_eq!(decode(bytes, 0, None).unwrap().record, record());
        }
    }

    #[test]
    fn whatever_is_signed_cannot_be_changed() {
        let ours = Key::new(1);
        let trust = Trust {
            keys: vec![ours.key()],
            verifier: Arc::new(Ring),
        };
        let text = String::from_utf8(encode(&record(), Some(&ours)).unwrap()).unwrap();
        let image = ImageId::of(b"image").to_string();
        let other = ImageId::of(b"other").to_string();
        for (from, to) in [
            (image.as_str(), other.as_str()),
            ("\"office\"", "\"others\""),
            ("\"sequence\": 3", "\"sequence\": 4"),
            ("\"captured\": 1", "\"captured\": 2"),
        ] {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            let result = decode(changed.as_bytes(), 0, Some(&trust));
            assert!(matches!(result, Err(RefError::Forged { .. })), "{from}");
        }
        let cut = text.replace(&text[text.len() - 20..text.len() - 10], "");
        assert!(decode(cut.as_bytes(), 0, Some(&trust)).is_err());
    }
}
