//! Tokens for shares, for operators.

use std::sync::Arc;

use api::messages::share::{MadeShareToken, NewShareToken, ShareTokenList};
use axum::Json;
use axum::extract::{Path, State};

use super::gate::{Body, Operator};
use crate::error::Refusal;
use crate::service::{House, now};

pub(super) async fn list(
    State(house): State<Arc<House>>,
    Operator: Operator,
) -> Result<Json<ShareTokenList>, Refusal> {
    let tokens = house.share_tokens().await?;
    Ok(Json(ShareTokenList { tokens }))
}

pub(super) async fn make(
    State(house): State<Arc<House>>,
    Operator: Operator,
    Body(token): Body<NewShareToken>,
) -> Result<Json<MadeShareToken>, Refusal> {
    house.make_share_token(now(), token).await.map(Json)
}

pub(super) async fn remove(
    State(house): State<Arc<House>>,
    Operator: Operator,
    Path(label): Path<String>,
) -> Result<Json<()>, Refusal> {
    house.remove_share_token(now(), label).await.map(Json)
}
