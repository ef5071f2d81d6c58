//! What a machine says: hello, how do I stand, this is what happened.

use std::sync::Arc;

use api::messages::machine::{Choice, Hello, Reveal, Standing, Welcome};
use api::messages::run::{Assignment, EventList, EventsStored, MoreEvents};
use api::{Receipt, Signed};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::gate::{AnyRun, Body, From, LiveRun};
use crate::error::Refusal;
use crate::service::{House, now};

pub(super) async fn hello(
    State(house): State<Arc<House>>,
    From(address): From,
    Body(hello): Body<Hello>,
) -> Result<Json<Welcome>, Refusal> {
    house.hello(now(), address, hello).await.map(Json)
}

pub(super) async fn standing(
    State(house): State<Arc<House>>,
    Path(session): Path<String>,
    Body(reveal): Body<Reveal>,
) -> Result<Json<Standing>, Refusal> {
    house.standing(now(), &session, &reveal).await.map(Json)
}

pub(super) async fn choose(
    State(house): State<Arc<House>>,
    Path(session): Path<String>,
    Body(choice): Body<Choice>,
) -> Result<StatusCode, Refusal> {
    house
        .choose(now(), &session, choice)
        .await
        .map(|()| StatusCode::NO_CONTENT)
}

pub(super) async fn assignment(
    State(house): State<Arc<House>>,
    LiveRun(run): LiveRun,
) -> Result<Json<Signed<Assignment>>, Refusal> {
    house.signed(&run).map(Json)
}

/// The events stay readable when the run is over: an answer may have got lost
/// just then, and whoever asks again must learn that all is stored.
pub(super) async fn events(
    State(house): State<Arc<House>>,
    AnyRun(run): AnyRun,
) -> Result<Json<EventList>, Refusal> {
    let arrived = house.db.events(run.id().to_owned()).await?;
    let events = arrived.into_iter().map(|arrived| arrived.event).collect();
    Ok(Json(EventList { events }))
}

pub(super) async fn more_events(
    State(house): State<Arc<House>>,
    AnyRun(run): AnyRun,
    Body(more): Body<MoreEvents>,
) -> Result<Json<EventsStored>, Refusal> {
    house.record(now(), run.id(), more).await.map(Json)
}

pub(super) async fn receipt(
    State(house): State<Arc<House>>,
    LiveRun(run): LiveRun,
    Body(receipt): Body<Receipt>,
) -> Result<Json<Receipt>, Refusal> {
    house.confirm(now(), run.id(), receipt).await.map(Json)
}
