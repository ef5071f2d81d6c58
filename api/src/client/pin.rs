//! TLS to one key and to no other.
//!
//! The server's certificate is only the envelope of its Ed25519 key: names and
//! validity dates are not looked at, because the clocks of new machines are
//! wrong and their server has an address, not a name. That the peer *holds* the
//! key is proven by its signature over the handshake, as always in TLS 1.3.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerIncompatible,
    SignatureScheme, version,
};

use crate::trust::PublicKey;

/// SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING, 0 unused bits, 32
/// bytes }: what stands before an Ed25519 key (RFC 8410, section 4).
const ED25519_KEY_INFO: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A TLS configuration that speaks to the holder of `key` and to nobody else.
///
/// # Errors
/// When the TLS library cannot do TLS 1.3, which is a fault of the build.
pub fn tls_config(key: PublicKey) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Pinned {
        key,
        provider: Arc::clone(&provider),
    });
    let builder =
        ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&version::TLS13])?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// The Ed25519 key in a certificate; `None` when it carries another kind.
fn key_of(certificate: &CertificateDer<'_>) -> Result<Option<PublicKey>, Error> {
    let info = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    let key = info.as_ref().strip_prefix(ED25519_KEY_INFO.as_slice());
    Ok(key
        .and_then(|bytes| bytes.try_into().ok())
        .map(PublicKey::new))
}

/// Believes one key.
#[derive(Debug)]
struct Pinned {
    key: PublicKey,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if key_of(end_entity)? == Some(self.key) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_refused() {
        for bytes in [&b""[..], b"\x30\x00", &ED25519_KEY_INFO] {
            assert!(key_of(&CertificateDer::from(bytes)).is_err());
        }
    }

    #[test]
    fn only_the_newest_protocol_and_one_kind_of_signature_are_offered() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pinned = Pinned {
            key: PublicKey::new([1; 32]),
            provider,
        };
        assert_eq!(
            pinned.supported_verify_schemes(),
            [SignatureScheme::ED25519]
        );
        assert!(tls_config(PublicKey::new([1; 32])).is_ok());
    }
}
