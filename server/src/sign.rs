//! The server's one key: TLS, assignments, countersigned receipts. And the
//! operator's token, which lies beside it.
//!
//! Both are made at the first start and kept in the state folder, readable by
//! their owner only. Whoever has the key *is* the server to every machine.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::trust::Nonce;
use api::{PublicKey, SigningKey, TrustError};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;

use crate::config::Config;

const KEY_FILE: &str = "server.key";
const TOKEN_FILE: &str = "operator.token";
/// The name in the certificate. Nobody checks it: machines pin the key.
const CERTIFICATE_NAME: &str = "mimeo";

/// Why there is no key or token.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SignError {
    /// The state folder or a file in it.
    #[error("{doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key itself.
    #[error("the server's key {}", path.display())]
    Key {
        /// Where it lies.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: TrustError,
    },
    /// The token's file holds something else.
    #[error(
        "{} does not hold an operator's token (64 hexadecimal digits); delete it and restart the server for a new one",
        path.display()
    )]
    Token {
        /// Where it lies.
        path: PathBuf,
    },
    /// The certificate could not be made from the key.
    #[error("making the certificate of the server's key failed: {reason}")]
    Certificate {
        /// In the words of the library.
        reason: String,
    },
}

/// The server's key, made if there is none yet.
///
/// # Errors
/// The state folder cannot be used, or the key in it is damaged.
pub fn server_key(config: &Config) -> Result<SigningKey, SignError> {
    load_key(&config.server.state).map(|(key, _)| key)
}

/// The public half of the server's key, for `mimeo boot build`; the key is
/// made if there is none yet.
///
/// # Errors
/// As [`server_key`].
pub fn public_key(config: &Config) -> Result<PublicKey, SignError> {
    server_key(config).map(|key| key.public())
}

/// The operator's token, made if there is none yet.
///
/// # Errors
/// The state folder cannot be used, or the file holds no token.
pub fn operator_token(config: &Config) -> Result<String, SignError> {
    let state = &config.server.state;
    let path = state.join(TOKEN_FILE);
    let text = match read(&path)? {
        Some(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        None => {
            let fresh = Nonce::random()
                .map_err(|source| SignError::Key {
                    path: path.clone(),
                    source,
                })?
                .to_string();
            write(state, &path, format!("{fresh}\n").as_bytes())?;
            // Somebody else may have been first.
            let kept = read(&path)?.unwrap_or_default();
            String::from_utf8_lossy(&kept).trim().to_owned()
        }
    };
    match text.parse::<Nonce>() {
        Ok(token) => Ok(token.to_string()),
        Err(_) => Err(SignError::Token { path }),
    }
}

/// TLS 1.3 with a certificate of the server's key.
pub(crate) fn tls(config: &Config) -> Result<rustls::ServerConfig, SignError> {
    let (_, pkcs8) = load_key(&config.server.state)?;
    let failed = |reason: String| SignError::Certificate { reason };
    let certificate = certificate(&pkcs8)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| failed(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(|error| failed(error.to_string()))
}

/// The same key gives the same certificate: Ed25519 signatures have no
/// randomness, and its serial number is made from the key.
fn certificate(pkcs8: &[u8]) -> Result<CertificateDer<'static>, SignError> {
    let failed = |error: rcgen::Error| SignError::Certificate {
        reason: error.to_string(),
    };
    let der = PrivatePkcs8KeyDer::from(pkcs8);
    let pair =
        rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_ED25519).map_err(failed)?;
    let mut names = rcgen::CertificateParams::new([CERTIFICATE_NAME.to_owned()]).map_err(failed)?;
    names.distinguished_name = rcgen::DistinguishedName::new();
    names
        .distinguished_name
        .push(rcgen::DnType::CommonName, CERTIFICATE_NAME);
    let certificate = names.self_signed(&pair).map_err(failed)?;
    Ok(certificate.der().clone())
}

fn load_key(state: &Path) -> Result<(SigningKey, Vec<u8>), SignError> {
    let path = state.join(KEY_FILE);
    let wrong = |source| SignError::Key {
        path: path.clone(),
        source,
    };
    if let Some(pkcs8) = read(&path)? {
        return Ok((SigningKey::from_pkcs8(&pkcs8).map_err(wrong)?, pkcs8));
    }
    let (_, pkcs8) = SigningKey::generate().map_err(wrong)?;
    write(state, &path, &pkcs8)?;
    // Somebody else may have been first.
    let kept = read(&path)?.unwrap_or_default();
    Ok((SigningKey::from_pkcs8(&kept).map_err(wrong)?, kept))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, SignError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SignError::File {
            doing: "reading",
            path: path.to_owned(),
            source,
        }),
    }
}

/// A secret appears whole or not at all, and is never readable by others. The
/// name is taken by a hard link: of two first starts one wins, and both read
/// what it wrote.
fn write(state: &Path, path: &Path, secret: &[u8]) -> Result<(), SignError> {
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| SignError::File {
            doing,
            path,
            source,
        }
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state)
        .map_err(failed("making the state folder", state))?;
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    let written = write_synced(&temporary, secret)
        .map_err(failed("writing", &temporary))
        .and_then(|()| take_name(&temporary, path).map_err(failed("making", path)));
    let removed = fs::remove_file(&temporary).map_err(failed("removing", &temporary));
    written.and(removed)?;
    File::open(state)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("syncing", state))
}

fn take_name(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn write_synced(path: &Path, secret: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(secret)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn config(state: &Path) -> Config {
        let text = format!(
            "[server]\naddress = \"127.0.0.1\"\nshare = \"s\"\nboot = \"b\"\nstate = \"{}\"\n",
            state.display()
        );
        Config::parse(Path::new("mimeo.toml"), &text).unwrap()
    }

    #[test]
    fn key_and_token_are_made_once_and_are_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder.path().join("state"));
        let (key, token) = (
            public_key(&config).unwrap(),
            operator_token(&config).unwrap(),
        );
        assert_eq!(public_key(&config).unwrap(), key);
        assert_eq!(operator_token(&config).unwrap(), token);
        let names: Vec<_> = fs::read_dir(&config.server.state).unwrap().collect();
        assert_eq!(names.len(), 2, "nothing temporary stays");
        for file in names {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn the_certificate_is_the_same_at_every_start_and_carries_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let (key, pkcs8) = load_key(folder.path()).unwrap();
        let first = certificate(&pkcs8).unwrap();
        assert_eq!(first, certificate(&pkcs8).unwrap());
        let public = key.public();
        assert!(first.windows(32).any(|part| part == public.as_bytes()));
        tls(&config(folder.path())).unwrap();
    }

    #[test]
    fn a_damaged_key_is_refused_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(KEY_FILE), b"no key").unwrap();
        let error = public_key(&config(folder.path())).unwrap_err();
        assert!(error.to_string().contains("server.key"), "{error}");
        assert_eq!(fs::read(folder.path().join(KEY_FILE)).unwrap(), b"no key");
    }
}
