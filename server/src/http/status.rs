//! Whether the server is up, and what it has heard.

use std::sync::Arc;

use api::messages::operator::Status;
use axum::Json;
use axum::extract::State;

use super::gate::Operator;
use crate::service::House;

pub(super) async fn show(State(house): State<Arc<House>>, Operator: Operator) -> Json<Status> {
    Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        findings: house.findings(),
    })
}
