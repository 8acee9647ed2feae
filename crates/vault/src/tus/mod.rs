//! tus 1.0 (tus.io/protocols/resumable-upload), with creation, creation-defer-length, checksum, expiration and
//! termination, on axum.
//!
//! Own code, because no tus server crate lets the bytes be verified and synced before an offset is acknowledged.
//!
//! - One upload a track: creating it again gives the same one, with whatever it holds.
//! - An offset is acknowledged when the bytes before it are on the disk; every complete checkpoint among them was
//!   verified. Bytes that break the chain are refused (422) and the upload goes back to its last valid checkpoint.
//! - No byte is taken before the track's envelope is durable (412 `envelope_missing`).

mod checksum;
mod create;
mod head;
mod headers;
mod patch;
mod terminate;

use crate::db::{PartState, TrackRow};
use crate::error::{ApiError, ApiResult};
use crate::{Vault, deletion};
use axum::Router;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{MethodRouter, options};
use http::{HeaderValue, Method, StatusCode};
use sealed_visit_protocol::{RecordingId, TrackId};
use std::sync::Arc;

pub const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,creation-defer-length,checksum,expiration,termination";

/// The path of a part's uploads, for creation.
pub fn uploads_path(recording: RecordingId, part: u32) -> String {
    format!("/v1/recordings/{recording}/parts/{part}/uploads")
}

/// The path of one upload.
pub fn upload_path(recording: RecordingId, part: u32, track: TrackId) -> String {
    format!("{}/{track}", uploads_path(recording, part))
}

pub fn routes() -> Router<Arc<Vault>> {
    let created: MethodRouter<Arc<Vault>> = options(discover).post(create::post);
    let upload: MethodRouter<Arc<Vault>> = options(discover)
        .head(head::head)
        .patch(patch::patch)
        .delete(terminate::delete);
    Router::new()
        .route("/v1/recordings/{recording}/parts/{part}/uploads", created)
        .route(
            "/v1/recordings/{recording}/parts/{part}/uploads/{track}",
            upload,
        )
        .layer(axum::middleware::from_fn(protocol_version))
}

/// "OPTIONS": what this server can do.
async fn discover(axum::extract::State(vault): axum::extract::State<Arc<Vault>>) -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert("Tus-Version", HeaderValue::from_static(VERSION));
    headers.insert("Tus-Extension", HeaderValue::from_static(EXTENSIONS));
    headers.insert(
        "Tus-Checksum-Algorithm",
        HeaderValue::from_static(checksum::ALGORITHMS),
    );
    headers.insert(
        "Tus-Max-Size",
        HeaderValue::from(vault.config.max_track_bytes),
    );
    response
}

/// Every request but OPTIONS must speak this version, and every response says it.
async fn protocol_version(request: Request, next: Next) -> Response {
    let spoken = request.headers().get("Tus-Resumable");
    let supported = spoken.is_some_and(|version| version == VERSION);
    let mut response = if supported || request.method() == Method::OPTIONS {
        next.run(request).await
    } else {
        let refusal = ApiError::new(
            StatusCode::PRECONDITION_FAILED,
            "tus_version",
            format!(
                "this server speaks tus {VERSION}; the request needs the header Tus-Resumable: {VERSION}"
            ),
        );
        let mut response = axum::response::IntoResponse::into_response(refusal);
        response
            .headers_mut()
            .insert("Tus-Version", HeaderValue::from_static(VERSION));
        response
    };
    response
        .headers_mut()
        .insert("Tus-Resumable", HeaderValue::from_static(VERSION));
    response
}

/// A request by a proxy-bound client that cannot send PUT, PATCH, DELETE or HEAD ("X-HTTP-Method-Override"). Applied before
/// routing.
pub fn override_method(mut request: Request) -> Request {
    if request.method() == Method::POST {
        let wanted = request
            .headers()
            .get("X-HTTP-Method-Override")
            .and_then(|value| Method::from_bytes(value.as_bytes()).ok());
        if let Some(method @ (Method::PUT | Method::PATCH | Method::DELETE | Method::HEAD)) = wanted
        {
            *request.method_mut() = method;
        }
    }
    request
}

/// The upload's row, or 404 when it was never created, 410 when it is gone.
async fn existing(
    vault: &Vault,
    recording: RecordingId,
    part: u32,
    track: TrackId,
) -> ApiResult<TrackRow> {
    use crate::db::UploadState;
    deletion::refuse_if_granted(vault, recording).await?;
    let row = vault.db.track(recording, part, track).await?;
    match row.upload {
        UploadState::Created => Ok(row),
        UploadState::None => Err(ApiError::not_found(format!(
            "no upload was created for track {track}"
        ))),
        UploadState::Removed => Err(ApiError::new(
            StatusCode::GONE,
            "gone",
            format!("the upload of track {track} was removed; create it again"),
        )),
    }
}

/// When the part will be closed if no byte comes any more ("Upload-Expires"); ended parts do not expire.
async fn expires(vault: &Vault, row: &TrackRow) -> ApiResult<Option<HeaderValue>> {
    let part = vault.db.part(row.recording, row.part).await?;
    if part.state != PartState::Open {
        return Ok(None);
    }
    let at_ms = part.last_byte_ms + vault.config.unfinished_after.as_millis() as u64;
    Ok(Some(headers::http_date(at_ms)))
}
