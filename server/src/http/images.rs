//! The images of the share, for operators.

use std::sync::Arc;

use api::messages::image::ImageList;
use axum::Json;
use axum::extract::State;

use super::gate::Operator;
use crate::error::Refusal;
use crate::service::House;

pub(super) async fn list(
    State(house): State<Arc<House>>,
    Operator: Operator,
) -> Result<Json<ImageList>, Refusal> {
    let images = house.share.images().await?;
    Ok(Json(ImageList { images }))
}
