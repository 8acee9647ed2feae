//! POST: creation, with the length now or later.

use super::{expires, headers, upload_path};
use crate::db::{PartState, UploadState};
use crate::error::{ApiError, ApiResult};
use crate::extract::Path;
use crate::{Vault, capability, deletion};
use axum::extract::State;
use axum::response::IntoResponse as _;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sealed_visit_protocol::RecordingId;
use std::sync::Arc;

pub async fn post(
    State(vault): State<Arc<Vault>>,
    Path((recording, part)): Path<(RecordingId, u32)>,
    request: HeaderMap,
) -> ApiResult {
    let now_ms = vault.now_ms();
    capability::require(vault.key(), &request, now_ms, recording, part, None)?;
    let (meta, track) = headers::metadata(&request)?;
    capability::require(vault.key(), &request, now_ms, recording, part, Some(track))?;
    let length = headers::length(&request, vault.config.max_track_bytes)?;
    if headers::defers_length(&request)? == length.is_some() {
        return Err(ApiError::bad_request(
            "upload_length",
            "creation needs either Upload-Length or Upload-Defer-Length: 1",
        ));
    }
    deletion::refuse_if_granted(&vault, recording).await?;
    let row = vault.db.track(recording, part, track).await?;
    if row.upload != UploadState::Created {
        if vault.db.part(recording, part).await?.state == PartState::Finished {
            return Err(ApiError::unprocessable(
                "part_finished",
                "the part is finished and accepts no more uploads",
            ));
        }
        sqlx::query(
            "UPDATE tracks SET upload = 'created', upload_meta = ?, upload_length = ? WHERE track = ?",
        )
        .bind(meta)
        .bind(length.map(|length| length as i64))
        .bind(track.to_string())
        .execute(vault.db.pool())
        .await?;
    }
    let mut response = StatusCode::CREATED.into_response();
    let answer = response.headers_mut();
    let location = match &vault.config.public_url {
        Some(_) => vault.config.url(&upload_path(recording, part, track)),
        // Relative to the URL of this request (RFC 9110 section 10.2.2).
        None => format!("uploads/{track}"),
    };
    answer.insert(
        header::LOCATION,
        HeaderValue::from_str(&location).map_err(ApiError::internal)?,
    );
    if let Some(at) = expires(&vault, &row).await? {
        answer.insert("Upload-Expires", at);
    }
    Ok(response)
}
