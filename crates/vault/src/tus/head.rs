//! HEAD: how far the upload is durable.

use super::{existing, expires};
use crate::db::{PartState, TrackRow};
use crate::error::{ApiError, ApiResult};
use crate::extract::Path;
use crate::{Vault, capability};
use axum::extract::State;
use axum::response::IntoResponse as _;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sealed_visit_protocol::{RecordingId, TrackId};
use std::sync::Arc;

pub async fn head(
    State(vault): State<Arc<Vault>>,
    Path((recording, part, track)): Path<(RecordingId, u32, TrackId)>,
    request: HeaderMap,
) -> ApiResult {
    let now_ms = vault.now_ms();
    capability::require(vault.key(), &request, now_ms, recording, part, Some(track))?;
    let row = existing(&vault, recording, part, track).await?;
    let part_row = vault.db.part(recording, part).await?;
    let offset = if part_row.state == PartState::Open {
        // In a task of its own: a client that loses its patience must not make the verification start over.
        tokio::spawn(durable_offset(vault.clone(), row.clone())).await??
    } else {
        row.stored_bytes
    };
    let mut response = StatusCode::OK.into_response();
    let answer = response.headers_mut();
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.insert("Upload-Offset", HeaderValue::from(offset));
    let length = match part_row.state {
        PartState::Finished => Some(row.stored_bytes),
        _ => row.upload_length,
    };
    match length {
        Some(length) => answer.insert("Upload-Length", HeaderValue::from(length)),
        None => answer.insert("Upload-Defer-Length", HeaderValue::from_static("1")),
    };
    if let Some(meta) = &row.upload_meta {
        answer.insert(
            "Upload-Metadata",
            HeaderValue::from_str(meta).map_err(ApiError::internal)?,
        );
    }
    if let Some(at) = expires(&vault, &row).await? {
        answer.insert("Upload-Expires", at);
    }
    Ok(response)
}

/// While somebody writes, what was last acknowledged; otherwise everything that is there, made durable first.
async fn durable_offset(vault: Arc<Vault>, row: TrackRow) -> ApiResult<u64> {
    let slot = vault.staging.slot(row.track);
    match slot.take(vault.config.stalled_after).await {
        None => slot.durable().ok_or_else(recovering),
        Some(mut held) => {
            vault.staging.load(&mut held, &row, &vault.store).await?;
            held.acknowledge(&row, &vault.db, vault.now_ms()).await
        }
    }
}

/// After a start a long track takes a while to verify; what it will be acknowledged to is not known before.
fn recovering() -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "recovering",
        "the upload is being verified after a restart",
    )
    .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}
