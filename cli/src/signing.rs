//! Keys that vouch for images: Ed25519, from and for files.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use image_format::refs::signature::Signer;
use ring::signature::{Ed25519KeyPair, KeyPair};

/// A key from a file.
pub(crate) struct KeyFile(Ed25519KeyPair);

impl KeyFile {
    /// Reads a PKCS#8 document, as the server keeps its own key.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let reading = || format!("reading the key {}", path.display());
        let bytes = std::fs::read(path).with_context(reading)?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&bytes);
        pair.map(Self)
            .map_err(|error| anyhow!("not an Ed25519 key in PKCS#8: {error}"))
            .with_context(reading)
    }
}

impl Signer for KeyFile {
    fn key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.public_key().as_ref());
        key
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.0.sign(message).as_ref());
        signature
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    #[test]
    fn key_from_a_file_signs_and_another_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        std::fs::write(&path, document.as_ref()).unwrap();
        let key = KeyFile::load(&path).unwrap();
        let signature = key.sign(b"message");
        let public = UnparsedPublicKey::new(&ED25519, key.key());
        public.verify(b"message", &signature).unwrap();
        std::fs::write(&path, b"no key").unwrap();
        assert!(KeyFile::load(&path).is_err());
        assert!(KeyFile::load(&dir.path().join("none")).is_err());
    }
}
