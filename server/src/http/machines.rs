//! Machines, for operators.

use std::sync::Arc;

use api::messages::operator::{Approval, Machine, MachineList, NewMachine};
use axum::Json;
use axum::extract::State;

use super::gate::{Body, Operator};
use crate::error::Refusal;
use crate::service::{House, now};

pub(super) async fn list(
    State(house): State<Arc<House>>,
    Operator: Operator,
) -> Result<Json<MachineList>, Refusal> {
    let machines = house.list_machines(now()).await?;
    Ok(Json(MachineList { machines }))
}

pub(super) async fn pre_stage(
    State(house): State<Arc<House>>,
    Operator: Operator,
    Body(machine): Body<NewMachine>,
) -> Result<Json<Machine>, Refusal> {
    house.pre_stage(now(), machine).await.map(Json)
}

pub(super) async fn approve(
    State(house): State<Arc<House>>,
    Operator: Operator,
    Body(approval): Body<Approval>,
) -> Result<Json<Machine>, Refusal> {
    house.approve(now(), approval).await.map(Json)
}
