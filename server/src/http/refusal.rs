//! A refusal as an HTTP answer: status, stable word, a sentence.

use api::ErrorBody;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tracing::{debug, error};

use crate::error::{Refusal, chain};

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = status_and_code(&self);
        // The chain names files and tables: it belongs into the log only.
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            error!(error = chain(&self), code, "request failed");
        } else {
            debug!(error = %self, code, "request refused");
        }
        let message = self.to_string();
        (
            status,
            Json(ErrorBody {
                code: code.to_owned(),
                message,
            }),
        )
            .into_response()
    }
}

/// Agents take 401, 403, 404 and 410 about a conversation for its end, and
/// try again after 5xx: that decides which is which.
fn status_and_code(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::UnknownSession => (StatusCode::NOT_FOUND, "unknown-session"),
        Refusal::WrongNonce => (StatusCode::FORBIDDEN, "wrong-nonce"),
        Refusal::TooManySessions => (StatusCode::SERVICE_UNAVAILABLE, "too-many-machines"),
        Refusal::Hello { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "bad-hello"),
        Refusal::UnknownCode { .. } => (StatusCode::NOT_FOUND, "unknown-code"),
        Refusal::NotAsked => (StatusCode::CONFLICT, "not-asked"),
        Refusal::HostName { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "bad-name"),
        Refusal::NameTaken { .. } => (StatusCode::CONFLICT, "name-taken"),
        Refusal::UnknownImage { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "unknown-image"),
        Refusal::ImageName { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "bad-image-name"),
        Refusal::NoIdentity => (StatusCode::UNPROCESSABLE_ENTITY, "no-identity"),
        Refusal::DoubtfulIdentity { .. } => (StatusCode::CONFLICT, "doubtful-identity"),
        Refusal::UnknownRun { .. } => (StatusCode::NOT_FOUND, "unknown-run"),
        Refusal::NoReceipt { .. } => (StatusCode::NOT_FOUND, "no-receipt"),
        Refusal::RunOver { .. } => (StatusCode::FORBIDDEN, "run-over"),
        Refusal::EventConflict { .. } => (StatusCode::CONFLICT, "event-conflict"),
        Refusal::Event(_) => (StatusCode::CONFLICT, "impossible-event"),
        Refusal::NoReceiptForEvent { .. } => (StatusCode::CONFLICT, "no-receipt"),
        Refusal::NotCaptured { .. } => (StatusCode::CONFLICT, "not-captured"),
        Refusal::TooManyEvents { .. } => (StatusCode::CONFLICT, "too-many-events"),
        Refusal::ForeignReceipt { .. } => (StatusCode::FORBIDDEN, "foreign-receipt"),
        Refusal::Disagreement { .. } => (StatusCode::CONFLICT, "receipt-disagrees"),
        Refusal::NotAssigned { .. } => (StatusCode::FORBIDDEN, "not-assigned"),
        Refusal::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        Refusal::NotFound => (StatusCode::NOT_FOUND, "not-found"),
        Refusal::Unauthorised { .. } => (StatusCode::UNAUTHORIZED, "unauthorised"),
        Refusal::NoRight { .. } => (StatusCode::FORBIDDEN, "no-right"),
        Refusal::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
        Refusal::Malformed { .. } => (StatusCode::BAD_REQUEST, "malformed"),
        Refusal::Db(_) | Refusal::Trust(_) | Refusal::Internal { .. } => {
            (StatusCode::INTERNAL_SERVER_ERROR, "internal")
        }
        Refusal::Share { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "share"),
    }
}
