//! How a part ends: by the recorder's manifest (`POST …/finish`), by the holder of the capability when the recorder's
//! key is lost (`POST …/close`), or by expiry. Output in every case: a receipt, signed by the vault's key.
//!
//! A track without a byte is named with length 0 and a chain head of all zeros.
//!
//! Invariants: when a receipt leaves, every byte that it covers is durable in the store, with its envelope; a part
//! without a manifest ends at each track's last valid checkpoint; ending twice gives the same receipt.

use crate::audit::{self, Action, Actor};
use crate::db::{PartRow, PartState, TrackRow};
use crate::ending::{Ending, HeldTrack, discard_all, end, hold_all, load_all};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Path, Text};
use crate::quota::{self, Repeated};
use crate::{Vault, capability, deletion, withdrawal};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use sealed_visit_protocol::jws::Jws;
use sealed_visit_protocol::recording::{ClosingClaims, EndReason, ManifestClaims, OpenClaims};
use sealed_visit_protocol::track::Header;
use sealed_visit_protocol::{Hash32, RecordingId, TrackId, VERSION};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `POST …/finish`: the signed manifest in, the receipt out.
pub async fn post_finish(
    State(vault): State<Arc<Vault>>,
    Path((recording, part)): Path<(RecordingId, u32)>,
    request: HeaderMap,
    Text(body): Text,
) -> ApiResult {
    capability::require(vault.key(), &request, vault.now_ms(), recording, part, None)?;
    let manifest = Jws::from_text(body.trim());
    // In a task of its own: a client that goes away must not stop it half-way.
    let ending = tokio::spawn(async move { finish(&vault, recording, part, manifest).await });
    Ok(respond(&ending.await??))
}

/// What a client knows about its tracks when it closes a part without a manifest.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseRequest {
    /// Each track's length as the client has it: the vault does not close before it holds that much.
    #[serde(default)]
    tracks: BTreeMap<TrackId, u64>,
}

/// `POST …/close`: closes the part as unfinished, now.
pub async fn post_close(
    State(vault): State<Arc<Vault>>,
    Path((recording, part)): Path<(RecordingId, u32)>,
    request: HeaderMap,
    Text(body): Text,
) -> ApiResult {
    capability::require(vault.key(), &request, vault.now_ms(), recording, part, None)?;
    let asked: CloseRequest = match body.trim() {
        "" => CloseRequest::default(),
        text => serde_json::from_str(text)
            .map_err(|_| ApiError::bad_request("malformed", "the body is not as expected"))?,
    };
    let ending = tokio::spawn(async move {
        close(
            &vault,
            recording,
            part,
            Actor::Recorder,
            &asked.tracks,
            None,
        )
        .await
    });
    match ending.await?? {
        Some(part) => Ok(respond(&part)),
        None => Err(ApiError::internal("a part did not close")),
    }
}

/// `GET …/receipt`, for the part's capability or a reader.
pub async fn get_receipt(
    State(vault): State<Arc<Vault>>,
    Path((recording, part)): Path<(RecordingId, u32)>,
    request: HeaderMap,
) -> ApiResult {
    let now_ms = vault.now_ms();
    if vault.readers.require(&request).is_err() {
        capability::require(vault.key(), &request, now_ms, recording, part, None)?;
    }
    let row = vault.db.part(recording, part).await?;
    if row.state == PartState::Open {
        return Err(ApiError::conflict(
            "part_open",
            "the part has not ended: there is no receipt yet",
        ));
    }
    Ok(respond(&row))
}

/// Closes every part that has been idle for too long.
pub async fn close_expired(vault: &Vault) {
    let idle_ms = vault.config.unfinished_after.as_millis() as u64;
    let before_ms = vault.now_ms().saturating_sub(idle_ms);
    let idle = match vault.db.parts_idle_since(before_ms).await {
        Ok(idle) => idle,
        Err(error) => {
            tracing::error!(message = error.message, "cannot look for idle parts");
            return;
        }
    };
    for (recording, part) in idle {
        let expected = BTreeMap::new();
        let closed = close(
            vault,
            recording,
            part,
            Actor::Vault,
            &expected,
            Some(before_ms),
        )
        .await;
        if let Err(error) = closed {
            tracing::error!(%recording, part, code = error.code, "cannot close an idle part yet");
        }
    }
}

/// Takes a part that was closed as unfinished back to open: its device has more.
pub async fn reopen(vault: &Vault, row: &TrackRow) -> ApiResult<()> {
    let now_ms = vault.now_ms();
    let mut tx = vault.db.write().await?;
    let reopened = sqlx::query(
        "UPDATE parts SET state = 'open', last_byte_ms = ?, ended_ms = NULL, ending = NULL, receipt = NULL \
         WHERE recording = ? AND part = ? AND state = 'unfinished'",
    )
    .bind(now_ms as i64)
    .bind(row.recording.to_string())
    .bind(row.part)
    .execute(&mut *tx)
    .await?;
    if reopened.rows_affected() > 0 {
        tx = quota::count(vault, tx, Repeated::Change, row.recording, row.part).await?;
        let action = Action::PartContinued;
        let event = audit::Event::new(now_ms, Actor::Recorder, action, row.recording);
        audit::append(&mut tx, event.in_part(row.part)).await?;
        tracing::info!(recording = %row.recording, part = row.part, "an unfinished part goes on");
    }
    Ok(tx.commit().await?)
}

/// The headers of a stored open statement, in its order.
pub fn headers_of(open: &str) -> ApiResult<Vec<Header>> {
    let claims = claims_of(open)?;
    let headers = claims
        .tracks
        .iter()
        .map(|track| Header::parse(&track.header.0));
    headers
        .collect::<Result<_, _>>()
        .map_err(ApiError::internal)
}

/// The claims of a stored open statement, which was verified before it was stored.
fn claims_of(open: &str) -> ApiResult<OpenClaims> {
    Jws::<OpenClaims>::from_text(open)
        .unverified_claims()
        .map_err(ApiError::internal)
}

async fn finish(
    vault: &Arc<Vault>,
    recording: RecordingId,
    part: u32,
    manifest: Jws<ManifestClaims>,
) -> ApiResult<PartRow> {
    let mut tracks = hold_all(vault, recording, part).await?;
    let part_row = vault.db.part(recording, part).await?;
    if part_row.state == PartState::Finished {
        return if part_row.ending.as_deref() == Some(manifest.as_str()) {
            Ok(part_row)
        } else {
            Err(ApiError::conflict(
                "part_finished",
                "the part was finished by another manifest",
            ))
        };
    }
    deletion::refuse_if_granted(vault, recording).await?;
    load_all(vault, &mut tracks).await?;
    let headers = headers_of(&part_row.open)?;
    let claims = match verify_manifest(&part_row, &manifest, &headers, &tracks) {
        Ok(claims) => claims,
        Err(error) => {
            if part_row.state == PartState::Unfinished {
                discard_all(vault, &mut tracks);
            }
            return Err(error);
        }
    };
    for track in &mut tracks {
        track.drop_unverified().await?;
    }
    // What it deletes is deleted after the receipt, which the device waits for.
    let mut granted = Vec::new();
    if let Some(statement) = &claims.withdrawal {
        match withdrawal::record(vault, statement).await {
            Ok(recorded) => granted = recorded.granted,
            Err(error) => {
                tracing::warn!(%recording, part, code = error.code, "the withdrawal in a manifest is refused");
            }
        }
    }
    let ending = Ending {
        state: PartState::Finished,
        text: manifest.as_str().to_owned(),
        hash: manifest.hash(),
        actor: Actor::Recorder,
    };
    let ended = end(vault, &part_row, tracks, ending).await;
    for recording in granted {
        deletion::carry_out(vault, recording).await;
    }
    ended
}

fn verify_manifest(
    part: &PartRow,
    manifest: &Jws<ManifestClaims>,
    headers: &[Header],
    tracks: &[HeldTrack],
) -> ApiResult<ManifestClaims> {
    let open = claims_of(&part.open)?;
    let said = manifest.verify(&open.recording_key)?;
    for track in tracks {
        let summary = said
            .tracks
            .iter()
            .find(|said| said.track == track.row.track);
        let here = track.state.verified_bytes();
        if let Some(summary) = summary.filter(|summary| summary.length_bytes > here) {
            return Err(ApiError::conflict(
                "track_incomplete",
                format!(
                    "the vault has {here} of {} bytes of track {}",
                    summary.length_bytes, track.row.track
                ),
            ));
        }
    }
    let pairs: Vec<_> = headers
        .iter()
        .zip(tracks.iter().map(|track| &track.state))
        .collect();
    let open_hash = Hash32::parse(&part.open_hash)
        .ok_or_else(|| ApiError::internal("the database holds an unreadable hash"))?;
    Ok(ManifestClaims::verify(
        manifest,
        &open.recording_key,
        open_hash,
        &pairs,
    )?)
}

/// Closes a part as unfinished. `expected` are lengths that must be there first. With `idle_since_ms`, a part that has
/// come to life again is left open, and `None` is returned.
async fn close(
    vault: &Vault,
    recording: RecordingId,
    part: u32,
    actor: Actor,
    expected: &BTreeMap<TrackId, u64>,
    idle_since_ms: Option<u64>,
) -> ApiResult<Option<PartRow>> {
    let mut tracks = hold_all(vault, recording, part).await?;
    let part_row = vault.db.part(recording, part).await?;
    if part_row.state == PartState::Open {
        if idle_since_ms.is_some_and(|since| part_row.last_byte_ms > since) {
            return Ok(None);
        }
        deletion::refuse_if_granted(vault, recording).await?;
        load_all(vault, &mut tracks).await?;
    }
    for track in &tracks {
        let here = match part_row.state {
            PartState::Open => track.state.verified_bytes(),
            _ => track.row.stored_bytes,
        };
        if let Some(expected) = expected
            .get(&track.row.track)
            .filter(|length| **length > here)
        {
            return Err(ApiError::conflict(
                "track_incomplete",
                format!(
                    "the vault has {here} of {expected} bytes of track {}",
                    track.row.track
                ),
            ));
        }
    }
    if part_row.state != PartState::Open {
        return Ok(Some(part_row));
    }
    for track in &mut tracks {
        track.drop_unverified().await?;
    }
    let closing = closing_record(vault, &part_row, &tracks).await?;
    let jws = vault.key().sign(&closing);
    let ending = Ending {
        state: PartState::Unfinished,
        hash: jws.hash(),
        text: jws.as_str().to_owned(),
        actor,
    };
    end(vault, &part_row, tracks, ending).await.map(Some)
}

async fn closing_record(
    vault: &Vault,
    part: &PartRow,
    tracks: &[HeldTrack],
) -> ApiResult<ClosingClaims> {
    let recording = vault
        .db
        .recording(part.recording)
        .await?
        .ok_or_else(|| ApiError::internal("a part without a recording"))?;
    let withdrawal = vault
        .db
        .withdrawals_of(&recording)
        .await?
        .into_iter()
        .next();
    let stopped_ms = tracks.iter().map(|track| track.state.last_at_ms()).max();
    Ok(ClosingClaims {
        v: VERSION,
        recording: part.recording,
        part: part.part,
        open: Jws::<OpenClaims>::from_text(&part.open).hash(),
        tracks: tracks.iter().map(HeldTrack::summary).collect(),
        reason: match withdrawal {
            Some(_) => EndReason::Withdrawn,
            None => EndReason::Unfinished,
        },
        stopped_ms: stopped_ms
            .filter(|at_ms| *at_ms > 0)
            .unwrap_or(part.opened_ms),
        closed_ms: vault.now_ms(),
        withdrawal: withdrawal.map(Jws::from_text),
    })
}

fn respond(part: &PartRow) -> Response {
    let ending = match part.state {
        PartState::Finished => "manifest",
        _ => "closing",
    };
    Json(json!({
        "state": part.state.as_str(),
        "receipt": part.receipt,
        ending: part.ending,
    }))
    .into_response()
}
