//! Blocking calls to the server, each typed, each to the pinned key.
//!
//! [`pin`] says whom we speak to, [`Patience`] how long we wait, [`store`]
//! makes the server's share a source of blocks. Who asks is decided by the
//! token: a run's, an operator's, or none.

mod cache;
mod machine;
mod operator;
pub mod patience;
pub mod pin;
pub mod share;
pub mod store;

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::error::ErrorBody;
use crate::trust::{PublicKey, TrustError};

pub use patience::{Clock, Outage, Patience, SystemClock};
pub use share::RemoteStore;
pub use store::HttpSource;

/// The server is on the same site: who does not accept by now is not there.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest silence in an answer: the server may be reading a slow disk.
const SILENCE: Duration = Duration::from_secs(30);
/// Largest JSON answer; the longest are event lists and fleets of machines.
const LARGEST_JSON: u64 = 32 << 20;
/// Largest error body looked at.
const LARGEST_ERROR: u64 = 64 << 10;

/// Why a call failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No answer, or it broke off: worth another try.
    #[error("the server at {server} cannot be reached: {reason}")]
    Unreachable {
        /// Address and port.
        server: String,
        /// The whole chain of reasons.
        reason: String,
    },
    /// The server answered, but with a refusal or a failure of its own.
    #[error("the server refused ({status} {}): {}", body.code, body.message)]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it says.
        body: ErrorBody,
    },
    /// Whoever answers does not hold the pinned key.
    #[error(
        "{server} is not the server with the key {key}: {reason}; \
         if the server was set up anew, build the boot files again with its new key"
    )]
    NotTheServer {
        /// Address and port.
        server: String,
        /// The pinned key.
        key: PublicKey,
        /// In the words of the TLS library.
        reason: String,
    },
    /// What it sent is not signed by whom it should be.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// An answer that this program does not understand.
    #[error("the answer to {path} is not what it must be: {reason}; do both have one version?")]
    Answer {
        /// What was asked.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The question cannot be written, or the TLS library cannot work.
    #[error("{what} failed: {reason}")]
    Local {
        /// What was attempted.
        what: &'static str,
        /// Why it failed.
        reason: String,
    },
}

impl ClientError {
    /// Whether the same call may succeed later without anything being changed:
    /// no answer, or a server that is overloaded or in trouble itself.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500..=599),
            _ => false,
        }
    }
}

/// A connection to one server; cheap to clone, connections are shared.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    tls: Arc<rustls::ClientConfig>,
    server: String,
    key: PublicKey,
    bearer: Option<Arc<str>>,
}

impl std::fmt::Debug for Client {
    /// Without the token: it must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the server at `server` (`address:port`) that holds `key`.
    ///
    /// # Errors
    /// [`ClientError::Local`] when the TLS library cannot work.
    pub fn new(server: &str, key: PublicKey) -> Result<Self, ClientError> {
        let tls = pin::tls_config(key).map_err(|error| ClientError::Local {
            what: "setting up TLS",
            reason: error.to_string(),
        })?;
        let tls = Arc::new(tls);
        Ok(Self {
            agent: agent(&tls, SILENCE),
            tls,
            server: server.to_owned(),
            key,
            bearer: None,
        })
    }

    /// The same client, asking as the bearer of `token`.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            bearer: Some(Arc::from(token)),
            ..self.clone()
        }
    }

    /// The same client, waiting up to `silence` for an answer to begin or go on.
    #[must_use]
    pub fn with_silence(self, silence: Duration) -> Self {
        Self {
            agent: agent(&self.tls, silence),
            ..self
        }
    }

    /// Address and port of the server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The server's key.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let response = self.send(self.request("GET", path), None)?;
        json(path, &self.body(response, LARGEST_JSON)?)
    }

    pub(crate) fn post<Q: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        question: &Q,
    ) -> Result<T, ClientError> {
        json(path, &self.post_raw(path, question)?)
    }

    pub(crate) fn delete(&self, path: &str) -> Result<(), ClientError> {
        self.send(self.request("DELETE", path), None).map(drop)
    }

    /// Posts and hands out the answer's bytes whatever they are.
    pub(crate) fn post_raw<Q: Serialize>(
        &self,
        path: &str,
        question: &Q,
    ) -> Result<Vec<u8>, ClientError> {
        let body = serde_json::to_vec(question).map_err(|error| ClientError::Local {
            what: "writing the question",
            reason: error.to_string(),
        })?;
        let request = self
            .request("POST", path)
            .set("Content-Type", "application/json");
        let response = self.send(request, Some(&body))?;
        self.body(response, LARGEST_JSON)
    }

    /// Posts bytes and hands out the answer's, at most `limit` of them.
    pub(crate) fn post_bytes(
        &self,
        path: &str,
        body: &[u8],
        limit: u64,
    ) -> Result<Vec<u8>, ClientError> {
        let request = self
            .request("POST", path)
            .set("Content-Type", "application/octet-stream");
        let response = self.send(request, Some(body))?;
        self.body(response, limit)
    }

    /// The bytes at `path`, at most `limit` of them.
    pub(crate) fn bytes(&self, path: &str, limit: u64) -> Result<Vec<u8>, ClientError> {
        let response = self.send(self.request("GET", path), None)?;
        self.body(response, limit)
    }

    fn request(&self, method: &str, path: &str) -> ureq::Request {
        let request = self
            .agent
            .request(method, &format!("https://{}{path}", self.server));
        match &self.bearer {
            Some(token) => request.set("Authorization", &format!("Bearer {token}")),
            None => request,
        }
    }

    fn send(
        &self,
        request: ureq::Request,
        body: Option<&[u8]>,
    ) -> Result<ureq::Response, ClientError> {
        let answer = match body {
            Some(bytes) => request.send_bytes(bytes),
            None => request.call(),
        };
        match answer {
            Ok(response) if response.status() < 300 => Ok(response),
            Ok(response) => Err(refusal(response.status(), response)),
            Err(ureq::Error::Status(status, response)) => Err(refusal(status, response)),
            Err(ureq::Error::Transport(transport)) => {
                // Its own text begins with the address, which ours has already.
                let kind = transport.kind().to_string();
                let what = transport.message().map_or(kind, str::to_owned);
                Err(self.unreachable(what, &transport))
            }
        }
    }

    fn body(&self, response: ureq::Response, limit: u64) -> Result<Vec<u8>, ClientError> {
        let url = response.get_url().to_owned();
        let announced: Option<u64> = response
            .header("Content-Length")
            .and_then(|length| length.parse().ok());
        let too_long = || ClientError::Answer {
            path: url.clone(),
            reason: format!("it is longer than {limit} bytes"),
        };
        if announced.is_some_and(|length| length > limit) {
            return Err(too_long());
        }
        let mut bytes = Vec::new();
        // One byte more than allowed shows that there is more.
        let read = response
            .into_reader()
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes);
        read.map_err(|error| self.unreachable(error.to_string(), &error))?;
        if bytes.len() as u64 > limit {
            return Err(too_long());
        }
        Ok(bytes)
    }

    /// A failure of the connection with the whole chain behind it, told apart
    /// by whether the wrong peer answered or none.
    fn unreachable(
        &self,
        mut reason: String,
        error: &(dyn std::error::Error + 'static),
    ) -> ClientError {
        let mut next = error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !reason.contains(&text) {
                reason = format!("{reason}: {text}");
            }
            next = cause.source();
        }
        let (server, key) = (self.server.clone(), self.key);
        match wrong_peer(error) {
            Some(reason) => ClientError::NotTheServer {
                server,
                key,
                reason,
            },
            None => ClientError::Unreachable { server, reason },
        }
    }
}

fn agent(tls: &Arc<rustls::ClientConfig>, silence: Duration) -> ureq::Agent {
    ureq::AgentBuilder::new()
        .tls_config(Arc::clone(tls))
        .https_only(true)
        .redirects(0)
        .timeout_connect(CONNECT)
        .timeout_read(silence)
        .timeout_write(SILENCE)
        .max_idle_connections_per_host(8)
        .user_agent(concat!("mimeo/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// What TLS says of a peer without the pinned key, if that is what happened.
fn wrong_peer(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(cause) = next {
        let inner = cause
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        let tls = cause
            .downcast_ref::<rustls::Error>()
            .or_else(|| inner.and_then(|inner| inner.downcast_ref()));
        match tls {
            Some(rustls::Error::InvalidCertificate(
                rustls::CertificateError::ApplicationVerificationFailure,
            )) => return Some("it shows another key".to_owned()),
            Some(
                error @ (rustls::Error::InvalidCertificate(_)
                | rustls::Error::PeerIncompatible(_)
                | rustls::Error::PeerMisbehaved(_)),
            ) => return Some(error.to_string()),
            _ => next = cause.source(),
        }
    }
    None
}

fn refusal(status: u16, response: ureq::Response) -> ClientError {
    let mut bytes = Vec::new();
    // A body that breaks off is still a refusal with this status.
    let _ = response
        .into_reader()
        .take(LARGEST_ERROR)
        .read_to_end(&mut bytes);
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| ErrorBody {
        code: "unexplained".to_owned(),
        message: String::from_utf8_lossy(&bytes).chars().take(200).collect(),
    });
    ClientError::Refused { status, body }
}

fn json<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(|error| ClientError::Answer {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}
