//! Who asks, and may they: bearers of a run's token, of the operator's, or
//! nobody in particular. And how bodies and paths are read.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;

use crate::db::StoredRun;
use crate::error::Refusal;
use crate::service::record::run_over;
use crate::service::{House, token_hash};

/// Longer than any token: what is longer is not even hashed.
const LONGEST_TOKEN: usize = 128;

/// Where a connection comes from; put into every request by the listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// An operator asks.
pub(super) struct Operator;

/// A run asks, whatever became of it.
pub(super) struct AnyRun(pub(super) StoredRun);

/// A run that is going on asks.
pub(super) struct LiveRun(pub(super) StoredRun);

/// Who may look at an image's manifest: a run that is going on, or an
/// operator (`None`).
pub(super) struct Reader(pub(super) Option<StoredRun>);

/// The address of who asks.
pub(super) struct From(pub(super) IpAddr);

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

fn bearer(parts: &Parts) -> Option<&str> {
    token_of(parts.headers.get(AUTHORIZATION))
}

/// The token in an authorisation header.
pub(super) fn token_of(header: Option<&HeaderValue>) -> Option<&str> {
    let text = header?.to_str().ok()?;
    text.strip_prefix("Bearer ")
        .filter(|token| token.len() <= LONGEST_TOKEN)
}

impl FromRequestParts<Arc<House>> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, house: &Arc<House>) -> Result<Self, Refusal> {
        let token = bearer(parts).unwrap_or_default();
        // Hashes of this type compare in constant time.
        if blake3::hash(token.as_bytes()) == house.operator {
            Ok(Self)
        } else {
            Err(Refusal::Unauthorised {
                whose: "an operator",
            })
        }
    }
}

impl FromRequestParts<Arc<House>> for AnyRun {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, house: &Arc<House>) -> Result<Self, Refusal> {
        let unauthorised = || Refusal::Unauthorised { whose: "a run" };
        let hash = token_hash(bearer(parts).ok_or_else(unauthorised)?);
        house
            .db
            .run_by_token(hash)
            .await?
            .map(Self)
            .ok_or_else(unauthorised)
    }
}

impl FromRequestParts<Arc<House>> for LiveRun {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, house: &Arc<House>) -> Result<Self, Refusal> {
        let AnyRun(run) = AnyRun::from_request_parts(parts, house).await?;
        if run.is_over() {
            Err(run_over(&run))
        } else {
            Ok(Self(run))
        }
    }
}

impl FromRequestParts<Arc<House>> for Reader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, house: &Arc<House>) -> Result<Self, Refusal> {
        if Operator::from_request_parts(parts, house).await.is_ok() {
            return Ok(Self(None));
        }
        let LiveRun(run) = LiveRun::from_request_parts(parts, house).await?;
        Ok(Self(Some(run)))
    }
}

impl<S: Sync> FromRequestParts<S> for From {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let reason = "the listener did not say where the request comes from".to_owned();
        let peer = parts
            .extensions
            .get::<Peer>()
            .ok_or(Refusal::Internal { reason })?;
        Ok(Self(peer.0.ip().to_canonical()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| {
                let reason = rejection.body_text();
                match rejection.into_response().status() {
                    StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLarge,
                    _ => Refusal::Malformed { reason },
                }
            })?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Refusal::Malformed {
                reason: error.to_string(),
            })
    }
}

/// A part of a path as what it stands for.
pub(super) fn part<T>(text: &str) -> Result<T, Refusal>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| Refusal::Malformed {
        reason: error.to_string(),
    })
}
