//! An image's bytes as they are stored, for the run it is assigned to. An
//! image holds whatever the captured machine held: no other run gets it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use image_format::{ImageId, PackId};

use super::gate::{LiveRun, Reader, part};
use crate::error::Refusal;
use crate::service::House;

pub(super) async fn manifest(
    State(house): State<Arc<House>>,
    Path(image): Path<String>,
    reader: Reader,
) -> Result<Response, Refusal> {
    let image = readable(&reader, &image)?;
    house.share.manifest_bytes(image).await.map(binary)
}

pub(super) async fn segment(
    State(house): State<Arc<House>>,
    Path(image): Path<String>,
    reader: Reader,
) -> Result<Response, Refusal> {
    let image = readable(&reader, &image)?;
    Ok(binary(house.share.blocks(image).await?.segment.clone()))
}

pub(super) async fn block(
    State(house): State<Arc<House>>,
    Path((pack, offset, length)): Path<(String, String, String)>,
    LiveRun(run): LiveRun,
) -> Result<Response, Refusal> {
    let (pack, offset, length) = (part::<PackId>(&pack)?, part(&offset)?, part(&length)?);
    let not_assigned = || Refusal::NotAssigned {
        run: run.id().to_owned(),
    };
    // A capture puts an image there and gets none.
    let image = run.assignment.work.image().ok_or_else(not_assigned)?;
    let blocks = house.share.blocks(image).await?;
    let place = blocks
        .place(pack, offset, length)
        .ok_or_else(not_assigned)?;
    // The room in memory is given back when the last byte is on its way.
    Ok(binary(Bytes::from_owner(house.share.block(place).await?)))
}

fn readable(reader: &Reader, image: &str) -> Result<ImageId, Refusal> {
    let image = part::<ImageId>(image)?;
    match &reader.0 {
        Some(run) if run.assignment.work.image() != Some(image) => Err(Refusal::NotAssigned {
            run: run.id().to_owned(),
        }),
        _ => Ok(image),
    }
}

fn binary(bytes: impl Into<Bytes>) -> Response {
    ([(CONTENT_TYPE, "application/octet-stream")], bytes.into()).into_response()
}
