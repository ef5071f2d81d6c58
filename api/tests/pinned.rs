//! The client against a real TLS server on the loopback interface.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use api::client::{Client, ClientError, HttpSource, Patience};
use api::{PublicKey, SigningKey};
use image_format::ids::{BlockId, PackId};
use image_format::store::{BlockPlace, Source, StoreError};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

/// A server that answers every connection with the next of `answers`, then
/// closes it. Its certificate carries the key of `pkcs8`.
fn serve(pkcs8: &[u8], answers: Vec<Vec<u8>>) -> SocketAddr {
    serve_as(pkcs8, pkcs8, &[&rustls::version::TLS13], answers)
}

/// The same with the certificate of one key and the signatures of another.
fn serve_as(
    shown: &[u8],
    held: &[u8],
    versions: &[&'static SupportedProtocolVersion],
    answers: Vec<Vec<u8>>,
) -> SocketAddr {
    let key = rcgen::KeyPair::try_from(shown).unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["mimeo".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap().der().clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let held = PrivateKeyDer::Pkcs8(held.to_vec().into());
    let signer = provider.key_provider.load_private_key(held).unwrap();
    let identity = CertifiedKey::new(vec![certificate], signer);
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for answer in answers {
            let (socket, _) = listener.accept().unwrap();
            let connection = ServerConnection::new(Arc::new(config.clone())).unwrap();
            let mut stream = StreamOwned::new(connection, socket);
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok() {
                let _ = stream.write_all(&answer);
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    address
}

fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn client(address: SocketAddr, key: PublicKey) -> Client {
    Client::new(&address.to_string(), key).unwrap()
}

fn place() -> BlockPlace {
    let (pack, block) = (PackId::of(b"pack"), BlockId::of(b"block"));
    BlockPlace {
        pack,
        block,
        offset: 64,
        stored: 4,
        raw: 4,
    }
}

#[test]
fn the_holder_of_the_pinned_key_is_spoken_to() {
    let (key, pkcs8) = SigningKey::generate().unwrap();
    let body = br#"{"version":"1","findings":["two servers"]}"#;
    let address = serve(&pkcs8, vec![answer("200 OK", body)]);
    let status = client(address, key.public()).status().unwrap();
    assert_eq!(status.findings, ["two servers"]);
}

#[test]
fn another_key_is_refused_and_is_no_outage() {
    let (_, pkcs8) = SigningKey::generate().unwrap();
    let (other, _) = SigningKey::generate().unwrap();
    let address = serve(&pkcs8, vec![answer("200 OK", b"{}")]);
    let error = client(address, other.public()).status().unwrap_err();
    assert!(
        matches!(error, ClientError::NotTheServer { .. }),
        "{error:?}"
    );
    assert!(!error.is_transient());
}

#[test]
fn showing_the_pinned_key_without_holding_it_is_not_enough() {
    let (key, shown) = SigningKey::generate().unwrap();
    let (_, held) = SigningKey::generate().unwrap();
    let versions = [&rustls::version::TLS13];
    let address = serve_as(&shown, &held, &versions, vec![answer("200 OK", b"{}")]);
    let error = client(address, key.public()).status().unwrap_err();
    assert!(
        matches!(error, ClientError::NotTheServer { .. }),
        "{error:?}"
    );
}

#[test]
fn an_older_protocol_is_not_spoken() {
    let (key, pkcs8) = SigningKey::generate().unwrap();
    let versions = [&rustls::version::TLS12];
    let address = serve_as(&pkcs8, &pkcs8, &versions, vec![answer("200 OK", b"{}")]);
    assert!(client(address, key.public()).status().is_err());
}

#[test]
fn refusals_carry_the_servers_words() {
    let (key, pkcs8) = SigningKey::generate().unwrap();
    let body = br#"{"code":"unknown-code","message":"look again"}"#;
    let answers = vec![answer("404 Not Found", body), answer("503 Busy", b"plain")];
    let address = serve(&pkcs8, answers);
    let client = client(address, key.public());
    let error = client.runs().unwrap_err();
    assert!(
        error.to_string().contains("look again") && !error.is_transient(),
        "{error}"
    );
    let error = client.runs().unwrap_err();
    assert!(
        error.to_string().contains("plain") && error.is_transient(),
        "{error}"
    );
}

#[test]
fn nobody_there_is_an_outage() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = client(closed, PublicKey::new([1; 32]))
        .status()
        .unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[test]
fn a_block_that_breaks_off_is_asked_for_again_and_a_missing_one_is_not() {
    let (key, pkcs8) = SigningKey::generate().unwrap();
    let broken = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbl".to_vec();
    let missing = answer("404 Not Found", br#"{"code":"no","message":"no"}"#);
    let address = serve(&pkcs8, vec![broken, answer("200 OK", b"bloc"), missing]);
    let patience = Patience::up_to(std::time::Duration::from_secs(10));
    let source = HttpSource::new(client(address, key.public()).with_token("t"), patience);
    assert_eq!(source.block(&place()).unwrap(), b"bloc");
    let error = source.block(&place()).unwrap_err();
    assert!(
        matches!(error, StoreError::Remote { retry: false, .. }),
        "{error:?}"
    );
}

#[test]
fn an_answer_longer_than_it_may_be_is_refused() {
    let (key, pkcs8) = SigningKey::generate().unwrap();
    let endless = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'x'; 100]].concat();
    let address = serve(&pkcs8, vec![answer("200 OK", b"blocks"), endless]);
    let source = HttpSource::new(
        client(address, key.public()),
        Patience::up_to(std::time::Duration::ZERO),
    );
    for _ in 0..2 {
        let error = source.block(&place()).unwrap_err();
        assert!(
            matches!(error, StoreError::Remote { retry: false, .. }),
            "{error:?}"
        );
    }
}

#[test]
fn a_token_never_shows_in_debug_output() {
    let client = client("127.0.0.1:9".parse().unwrap(), PublicKey::new([1; 32]));
    assert!(!format!("{:?}", client.with_token("secret")).contains("secret"));
}
