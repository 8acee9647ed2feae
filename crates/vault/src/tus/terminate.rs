//! DELETE: only an upload that holds no segment can be terminated.

use super::existing;
use crate::audit::{self, Action, Actor};
use crate::db::PartState;
use crate::error::{ApiError, ApiResult};
use crate::extract::Path;
use crate::quota::{self, Repeated};
use crate::{Vault, capability};
use axum::extract::State;
use axum::response::IntoResponse as _;
use http::{HeaderMap, StatusCode};
use sealed_visit_protocol::{RecordingId, TrackId};
use std::sync::Arc;

pub async fn delete(
    State(vault): State<Arc<Vault>>,
    Path((recording, part, track)): Path<(RecordingId, u32, TrackId)>,
    request: HeaderMap,
) -> ApiResult {
    let now_ms = vault.now_ms();
    capability::require(vault.key(), &request, now_ms, recording, part, Some(track))?;
    existing(&vault, recording, part, track).await?;
    let slot = vault.staging.slot(track);
    let mut held = slot
        .take(vault.config.stalled_after)
        .await
        .ok_or_else(|| ApiError::locked("the upload is being written"))?;
    // Again, now that nobody else can change it.
    let row = existing(&vault, recording, part, track).await?;
    let open = vault.db.part(recording, part).await?.state == PartState::Open;
    if !open || row.stored_bytes > 0 {
        return Err(not_empty(track));
    }
    let writer = vault.staging.load(&mut held, &row, &vault.store).await?;
    if writer.state().segments() > 0 {
        return Err(not_empty(track));
    }
    let mut tx = vault.db.write().await?;
    sqlx::query(
        "UPDATE tracks SET upload = 'removed', upload_meta = NULL, upload_length = NULL, acknowledged = 0 \
         WHERE track = ?",
    )
    .bind(track.to_string())
    .execute(&mut *tx)
    .await?;
    tx = quota::count(&vault, tx, Repeated::Change, recording, part).await?;
    let action = Action::UploadTerminated;
    let event = audit::Event::new(now_ms, Actor::Recorder, action, recording);
    audit::append(&mut tx, event.in_part(part)).await?;
    tx.commit().await?;
    vault.staging.discard(track, &mut held)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn not_empty(track: TrackId) -> ApiError {
    ApiError::forbidden(
        "not_empty",
        format!("track {track} holds something recorded: it cannot be terminated"),
    )
}
