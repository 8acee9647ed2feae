//! `PUT /v1/recordings/{recording}/parts/{part}/envelopes/{track}`: a track's secret, wrapped for its recipients.
//!
//! Durable before any byte of the track is taken: a recording whose keys are lost is lost. One envelope a track: the
//! same again is fine, another is refused (a rotation is signed by somebody else, later).

use crate::error::{ApiError, ApiResult};
use crate::extract::{Path, Text};
use crate::{Vault, capability, deletion};
use axum::extract::State;
use axum::response::IntoResponse as _;
use http::{HeaderMap, StatusCode};
use sealed_visit_protocol::recording::EnvelopeClaims;
use sealed_visit_protocol::{Jws, RecordingId, TrackId};
use std::sync::Arc;

pub async fn put(
    State(vault): State<Arc<Vault>>,
    Path((recording, part, track)): Path<(RecordingId, u32, TrackId)>,
    headers: HeaderMap,
    Text(body): Text,
) -> ApiResult {
    let now_ms = vault.now_ms();
    capability::require(vault.key(), &headers, now_ms, recording, part, Some(track))?;
    let row = vault.db.track(recording, part, track).await?;
    let part_row = vault.db.part(recording, part).await?;
    let jws = Jws::<EnvelopeClaims>::from_text(body.trim());
    let header = crate::finish::headers_of(&part_row.open)?
        .into_iter()
        .find(|header| header.claims().track == track)
        .ok_or_else(|| ApiError::internal("a track without a header"))?;
    deletion::refuse_if_granted(&vault, recording).await?;
    let share = match &row.share {
        Some(stored) => Some(vault.share_key.open_share(track, stored)?),
        None => None,
    };
    EnvelopeClaims::verify(&jws, &header, share.as_deref())?;

    let mut tx = vault.db.write().await?;
    // Again, now that nobody else can grant it.
    deletion::refuse_granted(&deletion::row_in(&mut tx, recording).await?)?;
    let known: Option<String> =
        sqlx::query_scalar("SELECT hash FROM envelopes WHERE track = ? AND number = 0")
            .bind(track.to_string())
            .fetch_optional(&mut *tx)
            .await?;
    let hash = jws.hash().to_string();
    match known {
        Some(known) if known == hash => return Ok(StatusCode::NO_CONTENT.into_response()),
        Some(_) => {
            return Err(ApiError::conflict(
                "envelope_exists",
                format!("track {track} has another envelope already"),
            ));
        }
        None => {}
    }
    sqlx::query(
        "INSERT INTO envelopes (track, number, envelope, hash, stored_ms) VALUES (?, 0, ?, ?, ?)",
    )
    .bind(track.to_string())
    .bind(jws.as_str())
    .bind(hash)
    .bind(now_ms as i64)
    .execute(&mut *tx)
    .await?;
    sqlx::query("UPDATE parts SET last_byte_ms = ? WHERE recording = ? AND part = ?")
        .bind(now_ms as i64)
        .bind(recording.to_string())
        .bind(part)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
