//! Shares as stores, for image builders elsewhere.

use std::sync::Arc;

use api::messages::store::{Call, Needs, frame, unframe};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::gate::token_of;
use crate::error::Refusal;
use crate::service::House;
use crate::service::tokens::Rights;
use crate::service::vault;

pub(super) async fn call(
    State(house): State<Arc<House>>,
    Path(share): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let token = token_of(headers.get(AUTHORIZATION)).unwrap_or_default();
    let rights = house.rights(token, &share).await?;
    let (call, start) = {
        let (call, bytes) = unframe::<Call>(&body).map_err(|error| Refusal::Malformed {
            reason: error.to_string(),
        })?;
        (call, body.len() - bytes.len())
    };
    check(&rights, &call)?;
    let store = house.shares.store(&share)?;
    // One at a time: a pack is expanded to be checked.
    let _one = house.share.heavy().await?;
    let bytes = body.slice(start..);
    let answered =
        tokio::task::spawn_blocking(move || vault::answer(&*store, &call, &bytes)).await??;
    let (answer, bytes) = answered;
    let body = frame(&answer, &bytes).map_err(|error| Refusal::Internal {
        reason: error.to_string(),
    })?;
    Ok(([(CONTENT_TYPE, "application/octet-stream")], body).into_response())
}

/// Whether the bearer may ask this.
fn check(rights: &Rights, call: &Call) -> Result<(), Refusal> {
    let may = match call.verb.needs() {
        Needs::Reading => true,
        Needs::Writing => rights.may_write(),
        Needs::Naming => rights.may_name(&call.subject),
        Needs::Keeping => *rights == Rights::All,
    };
    if may {
        return Ok(());
    }
    Err(Refusal::NoRight {
        what: format!("{:?} {}", call.verb, call.subject),
    })
}
