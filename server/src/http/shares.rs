//! Shares as stores, for image builders elsewhere.

use std::sync::Arc;

use api::messages::store::{Call, Needs, frame, unframe};
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::gate::token_of;
use crate::error::Refusal;
use crate::service::House;
use crate::service::tokens::Rights;
use crate::service::vault::{self, Asker};

/// The longest pack, and the words around it.
const LONGEST_BODY: u64 = 513 << 20;
/// Who only reads sends lists of chunks at most.
const LONGEST_QUESTION: u64 = 4 << 20;

pub(super) async fn call(
    State(house): State<Arc<House>>,
    Path(share): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let token = token_of(headers.get(AUTHORIZATION)).unwrap_or_default();
    let rights = house.rights(token, &share).await?;
    // Only now: strangers do not fill the memory.
    let limit = match rights.may_write() {
        true => LONGEST_BODY,
        false => LONGEST_QUESTION,
    };
    let length = length_of(&body, limit)?;
    let room = house.shares.room(length).await?;
    let body = read(body, limit).await?;
    let (call, bytes) = opened(&body)?;
    check(&rights, &call)?;
    if !house.may_read(&rights, &call).await? {
        return Err(no_right(&call));
    }
    let asker = Asker {
        holder: *blake3::hash(token.as_bytes()).as_bytes(),
        is_operator: rights == Rights::All,
    };
    let vault = house.shares.vault(&share)?;
    let turn = match vault::is_heavy(call.verb) {
        true => Some(house.shares.heavy().await?),
        false => None,
    };
    let work = move || {
        // Kept until the work is done, also when nobody waits for it any more.
        let _kept = (room, turn);
        vault::answer(&vault, &asker, &call, &bytes)
    };
    let (answer, bytes) = tokio::task::spawn_blocking(work).await??;
    let body = frame(&answer, &bytes).map_err(|error| Refusal::Internal {
        reason: error.to_string(),
    })?;
    Ok(([(CONTENT_TYPE, "application/octet-stream")], body).into_response())
}

/// How long the body will be, which it must say.
fn length_of(body: &Body, limit: u64) -> Result<u64, Refusal> {
    let length = body.size_hint().exact().ok_or(Refusal::Malformed {
        reason: "it does not say how long it is".to_owned(),
    })?;
    match length > limit {
        true => Err(Refusal::TooLarge),
        false => Ok(length),
    }
}

async fn read(body: Body, limit: u64) -> Result<Bytes, Refusal> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let read = to_bytes(body, limit).await;
    read.map_err(|error| Refusal::Malformed {
        reason: format!("it broke off: {error}"),
    })
}

fn opened(body: &Bytes) -> Result<(Call, Bytes), Refusal> {
    let (call, bytes) = unframe::<Call>(body).map_err(|error| Refusal::Malformed {
        reason: error.to_string(),
    })?;
    Ok((call, body.slice(body.len() - bytes.len()..)))
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
    Err(no_right(call))
}

fn no_right(call: &Call) -> Refusal {
    let subject: String = call.subject.chars().take(100).collect();
    Refusal::NoRight {
        what: format!("{:?} {subject}", call.verb),
    }
}
