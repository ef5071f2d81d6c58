//! Runs, for operators.

use std::sync::Arc;

use api::Receipt;
use api::messages::operator::{RunDetail, RunList};
use axum::Json;
use axum::extract::{Path, State};

use super::gate::Operator;
use crate::error::Refusal;
use crate::service::House;

pub(super) async fn list(
    State(house): State<Arc<House>>,
    Operator: Operator,
) -> Result<Json<RunList>, Refusal> {
    let runs = house.list_runs().await?;
    Ok(Json(RunList { runs }))
}

pub(super) async fn one(
    State(house): State<Arc<House>>,
    Operator: Operator,
    Path(run): Path<String>,
) -> Result<Json<RunDetail>, Refusal> {
    house.run_detail(&run).await.map(Json)
}

pub(super) async fn receipt(
    State(house): State<Arc<House>>,
    Operator: Operator,
    Path(run): Path<String>,
) -> Result<Json<Receipt>, Refusal> {
    house.run_receipt(&run).await.map(Json)
}
