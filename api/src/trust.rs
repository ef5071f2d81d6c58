//! Who signs, who is believed, and the short code that two people can compare.
//!
//! Keys are Ed25519 (RFC 8032). The server has one, pinned in the boot
//! environment; a machine makes one at every start. A man in the middle would
//! need two conversations with two keys, and the codes on both ends, made from
//! keys and nonces nobody can choose alone, would differ.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Why something is not believed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The signature is not this key's over these bytes.
    #[error("the signature on {what} is not by the key {key}")]
    Signature {
        /// What was signed.
        what: &'static str,
        /// The key that was expected.
        key: PublicKey,
    },
    /// Signed, but not what it should be.
    #[error("{what} is signed but cannot be read")]
    Content {
        /// What was signed.
        what: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A text that is no key or nonce.
    #[error("{found:?} is not {expected}")]
    Text {
        /// What would have been right.
        expected: &'static str,
        /// What stood there.
        found: String,
    },
    /// The key file is damaged.
    #[error("the private key cannot be used: {reason}; restore it from a backup")]
    PrivateKey {
        /// In the words of the library.
        reason: String,
    },
    /// The system gives no random numbers.
    #[error("the system's random number generator failed")]
    Random,
}

/// 32 bytes as hexadecimal text: keys, nonces, commitments.
macro_rules! thirty_two_bytes {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From its bytes.
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = TrustError;

            fn from_str(text: &str) -> Result<Self, TrustError> {
                let hash = blake3::Hash::from_hex(text.trim()).map_err(|_| TrustError::Text {
                    expected: $expected,
                    found: text.chars().take(80).collect(),
                })?;
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

thirty_two_bytes! {
    /// An Ed25519 public key.
    PublicKey, "a public key (64 hexadecimal digits)"
}
thirty_two_bytes! {
    /// A number used once, or the hash that commits to one.
    Nonce, "a nonce (64 hexadecimal digits)"
}

impl Nonce {
    /// A fresh random one.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn random() -> Result<Self, TrustError> {
        let mut bytes = [0; 32];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| TrustError::Random)?;
        Ok(Self(bytes))
    }
}

impl PublicKey {
    /// Checks that `signature` is this key's over `bytes`.
    ///
    /// # Errors
    /// [`TrustError::Signature`], naming `what`.
    pub fn verify(
        &self,
        what: &'static str,
        bytes: &[u8],
        signature: &Signature,
    ) -> Result<(), TrustError> {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(bytes, &signature.0)
            .map_err(|_| TrustError::Signature { what, key: *self })
    }
}

/// An Ed25519 signature, 64 bytes, as 128 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(Vec<u8>);

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let pair = |i: usize| {
            text.get(2 * i..2 * i + 2)
                .and_then(|t| u8::from_str_radix(t, 16).ok())
        };
        let bytes: Option<Vec<u8>> = (0..64).map(pair).collect();
        match bytes {
            Some(bytes) if text.len() == 128 && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Ok(Self(bytes))
            }
            _ => Err(serde::de::Error::custom(
                "a signature has 128 hexadecimal digits",
            )),
        }
    }
}

/// A private key with its public half.
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// Makes a key; the second value is its PKCS#8 form to keep.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<(Self, Vec<u8>), TrustError> {
        let document =
            Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| TrustError::Random)?;
        let bytes = document.as_ref().to_vec();
        Ok((Self::from_pkcs8(&bytes)?, bytes))
    }

    /// The key kept in this PKCS#8 document.
    ///
    /// # Errors
    /// [`TrustError::PrivateKey`] when it is none.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, TrustError> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).map_err(|error| TrustError::PrivateKey {
            reason: error.to_string(),
        })?;
        Ok(Self { pair })
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(bytes)
    }

    /// Signs `bytes`.
    pub fn sign(&self, bytes: &[u8]) -> Signature {
        Signature(self.pair.sign(bytes).as_ref().to_vec())
    }
}

/// A value with the exact text that was signed, so that no two programs need
/// to agree on how to write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Signed<T> {
    payload: String,
    signature: Signature,
    #[serde(skip)]
    of: PhantomData<T>,
}

impl<T: Serialize + DeserializeOwned> Signed<T> {
    /// Signs `value` as a statement of the kind `what`.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn new(what: &'static str, value: &T, key: &SigningKey) -> Result<Self, TrustError> {
        let payload =
            serde_json::to_string(value).map_err(|source| TrustError::Content { what, source })?;
        let signature = key.sign(&labelled(what, payload.as_bytes()));
        Ok(Self {
            payload,
            signature,
            of: PhantomData,
        })
    }

    /// The value, if `key` signed it as a `what`.
    ///
    /// # Errors
    /// When it did not, or the content is not a `T`.
    pub fn open(&self, what: &'static str, key: &PublicKey) -> Result<T, TrustError> {
        key.verify(
            what,
            &labelled(what, self.payload.as_bytes()),
            &self.signature,
        )?;
        serde_json::from_str(&self.payload).map_err(|source| TrustError::Content { what, source })
    }
}

/// What is signed: a label that no other kind of statement has, then the bytes.
pub(crate) fn labelled(what: &str, bytes: &[u8]) -> Vec<u8> {
    [b"mimeo 0 ", what.as_bytes(), b"\0", bytes].concat()
}

/// The hash by which a machine commits to its nonce before it sees the server's.
pub fn commitment(nonce: &Nonce) -> Nonce {
    Nonce(blake3::derive_key("mimeo 0 hello commitment", &nonce.0))
}

/// Letters and digits that are not taken for each other (Crockford base 32).
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The code shown at the machine and at the console: 40 bits, as `K7Q2-M4XD`.
pub fn short_code(server: &PublicKey, machine: &PublicKey, ours: &Nonce, theirs: &Nonce) -> String {
    let material = [server.0, machine.0, ours.0, theirs.0].concat();
    let hash = blake3::derive_key("mimeo 0 short code", &material);
    let mut bits = hash[..5]
        .iter()
        .fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
    let mut code = [b'-'; 9];
    for place in [8, 7, 6, 5, 3, 2, 1, 0] {
        let letter = usize::try_from(bits & 31).unwrap_or(0);
        code[place] = LETTERS[letter];
        bits >>= 5;
    }
    code.iter().map(|&byte| char::from(byte)).collect()
}

/// The code as a person typed it, in the form [`short_code`] writes.
pub fn normal_code(typed: &str) -> String {
    let letter = |character: char| match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let letters: String = typed
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(8)
        .map(letter)
        .collect();
    match letters.split_at_checked(4) {
        Some((first, second)) if !second.is_empty() => format!("{first}-{second}"),
        _ => letters,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_believed_only_from_its_key_and_as_its_kind() {
        let (key, kept) = SigningKey::generate().unwrap();
        let (other, _) = SigningKey::generate().unwrap();
        let signed = Signed::new("greeting", &"hello".to_owned(), &key).unwrap();
        assert_eq!(signed.open("greeting", &key.public()).unwrap(), "hello");
        assert!(signed.open("order", &key.public()).is_err());
        assert!(signed.open("greeting", &other.public()).is_err());
        let again = SigningKey::from_pkcs8(&kept).unwrap();
        assert_eq!(again.public(), key.public());
    }

    #[test]
    fn a_changed_payload_is_not_believed() {
        let (key, _) = SigningKey::generate().unwrap();
        let signed = Signed::new("greeting", &"hello".to_owned(), &key).unwrap();
        let text = serde_json::to_string(&signed)
            .unwrap()
            .replace("hello", "jello");
        let changed: Signed<String> = serde_json::from_str(&text).unwrap();
        assert!(changed.open("greeting", &key.public()).is_err());
    }

    #[test]
    fn a_signature_has_one_spelling() {
        let digits = "0f".repeat(64);
        assert!(serde_json::from_str::<Signature>(&format!("\"{digits}\"")).is_ok());
        let signs = digits.replacen("0f", "+f", 1);
        assert!(serde_json::from_str::<Signature>(&format!("\"{signs}\"")).is_err());
    }

    #[test]
    fn the_short_code_depends_on_every_part() {
        let keys: Vec<_> = (1..=2).map(|b| PublicKey::new([b; 32])).collect();
        let nonces: Vec<_> = (1..=3).map(|b| Nonce::new([b; 32])).collect();
        let code = short_code(&keys[0], &keys[1], &nonces[0], &nonces[1]);
        assert_ne!(code, short_code(&keys[1], &keys[0], &nonces[0], &nonces[1]));
        assert_ne!(code, short_code(&keys[0], &keys[0], &nonces[0], &nonces[1]));
        assert_ne!(code, short_code(&keys[0], &keys[1], &nonces[2], &nonces[1]));
        assert_ne!(code, short_code(&keys[0], &keys[1], &nonces[0], &nonces[2]));
        assert_eq!(code.len(), 9);
        assert_eq!(normal_code(&code.to_lowercase().replace('-', " ")), code);
    }

    #[test]
    fn letters_that_look_alike_are_the_same() {
        assert_eq!(normal_code("oil0-abcd"), "0110-ABCD");
        assert_eq!(normal_code("ab"), "AB");
    }
}
