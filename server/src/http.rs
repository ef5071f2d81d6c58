//! Two ports. The clear one hands out loaders, kernel and initramfs, nothing
//! else; everything else is TLS, and here is where it is routed, bounded and
//! where refusals get their status codes.

mod agent;
mod blocks;
pub(crate) mod boot;
mod file;
mod gate;
mod images;
pub(crate) mod listen;
mod machines;
mod refusal;
mod runs;
mod shares;
mod status;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use api::routes;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};

use crate::error::Refusal;
use crate::service::House;

/// Largest body where nothing else is said: a few hundred events.
const BODY: usize = 1 << 20;
/// A hello is kept in memory for strangers too.
const HELLO_BODY: usize = 64 << 10;
/// A receipt has a row for each volume and each overlay file, and the steps.
const RECEIPT_BODY: usize = 1 << 20;
/// Longest time until an answer begins, body included: a large manifest on a
/// slow disk.
const ANSWER: Duration = Duration::from_secs(60);
/// The same for shares: a pack over a slow line, and its check.
const SHARE_ANSWER: Duration = Duration::from_secs(30 * 60);

/// Everything the TLS port knows.
pub(crate) fn router(house: Arc<House>) -> Router {
    let limit = DefaultBodyLimit::max;
    Router::new()
        .route(routes::HELLO, post(agent::hello).layer(limit(HELLO_BODY)))
        .route(
            routes::SESSION,
            post(agent::standing).layer(limit(HELLO_BODY)),
        )
        .route(routes::CHOICE, post(agent::choose).layer(limit(HELLO_BODY)))
        .route(routes::ASSIGNMENT, get(agent::assignment))
        .route(routes::EVENTS, get(agent::events).post(agent::more_events))
        .route(
            routes::RECEIPT,
            post(agent::receipt).layer(limit(RECEIPT_BODY)),
        )
        .route(routes::MANIFEST, get(blocks::manifest))
        .route(routes::SEGMENT, get(blocks::segment))
        .route(routes::BLOCK, get(blocks::block))
        .route(routes::IMAGES, get(images::list))
        .route(
            routes::MACHINES,
            get(machines::list).post(machines::pre_stage),
        )
        .route(routes::APPROVE, post(machines::approve))
        .route(routes::RUNS, get(runs::list))
        .route(routes::RUN, get(runs::one))
        .route(routes::RUN_RECEIPT, get(runs::receipt))
        .route(routes::SHARE_TOKENS, get(tokens::list).post(tokens::make))
        .route(routes::SHARE_TOKEN, delete(tokens::remove))
        .route(routes::STATUS, get(status::show))
        .fallback(|| async { Refusal::NotFound })
        .layer(middleware::from_fn(|request, next| {
            in_time(ANSWER, request, next)
        }))
        .merge(share_routes())
        .layer(limit(BODY))
        .with_state(house)
}

/// The route bounds its bodies itself: how long one may be depends on who asks.
fn share_routes() -> Router<Arc<House>> {
    Router::new()
        .route(routes::SHARE, post(shares::call))
        .layer(middleware::from_fn(|request, next| {
            in_time(SHARE_ANSWER, request, next)
        }))
}

/// Gives up on what takes too long, so that nobody holds a place for ever.
async fn in_time(limit: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::Busy.into_response(),
    }
}

#[cfg(test)]
mod tests;
