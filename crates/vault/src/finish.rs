//! How a part ends: by the recorder's manifest (`POST …/finish`), by whoever holds the capability when the recorder's
//! key is lost (`POST …/close`), or by expiry. Output in every case: a receipt, signed by the vault's key.
//!
//! A track without a byte is named with length 0 and a chain head of all zeros.
//!
//! Invariants: when a receipt leaves, every byte that it covers is durable in the store, with its envelope; a part
//! without a manifest ends at each track's last valid checkpoint; ending twice gives the same receipt.

use crate::audit::{self, Action, Actor};
use crate::db::{PartRow, PartState, TrackRow, Tx};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Path, Text};
use crate::staging::{Held, key_of};
use crate::{Vault, capability, withdrawal};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use sealed_visit_protocol::jws::Jws;
use sealed_visit_protocol::recording::{
    ClosingClaims, EndReason, ManifestClaims, OpenClaims, ReceiptClaims, TrackReceipt, TrackSummary,
};
use sealed_visit_protocol::track::{Header, TrackState};
use sealed_visit_protocol::{Hash32, RecordingId, TrackId, VERSION};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long an ending waits for a PATCH that is still writing.
const PATIENCE: Duration = Duration::from_secs(10);

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
        let event = event(
            now_ms,
            Actor::Recorder,
            Action::PartContinued,
            row.recording,
            row.part,
            None,
        );
        audit::append(&mut tx, event).await?;
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
    vault: &Vault,
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
        track.settle().await?;
    }
    if let Some(statement) = &claims.withdrawal
        && let Err(error) = withdrawal::record(vault, statement).await
    {
        tracing::warn!(%recording, part, code = error.code, "the withdrawal in a manifest is refused");
    }
    let ending = Ending {
        state: PartState::Finished,
        text: manifest.as_str().to_owned(),
        hash: manifest.hash(),
        actor: Actor::Recorder,
    };
    end(vault, &part_row, tracks, ending).await
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
                    "track {} is here up to {here} of {} bytes",
                    track.row.track, summary.length_bytes
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
                    "track {} is here up to {here} of {expected} bytes",
                    track.row.track
                ),
            ));
        }
    }
    if part_row.state != PartState::Open {
        return Ok(Some(part_row));
    }
    for track in &mut tracks {
        track.settle().await?;
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

/// What ends a part.
struct Ending {
    state: PartState,
    text: String,
    hash: Hash32,
    actor: Actor,
}

/// Stores the tracks, then the rows with the receipt, then lets go of the staging files.
async fn end(
    vault: &Vault,
    part: &PartRow,
    mut tracks: Vec<HeldTrack>,
    ending: Ending,
) -> ApiResult<PartRow> {
    let mut receipts = Vec::with_capacity(tracks.len());
    for track in &mut tracks {
        let length_bytes = track.state.verified_bytes();
        if length_bytes > 0 {
            let now_ms = vault.now_ms();
            track
                .held
                .acknowledge(&track.row, &vault.db, now_ms)
                .await?;
            let Some(writer) = track.held.writer() else {
                return Err(ApiError::internal("an upload is not loaded"));
            };
            vault
                .store
                .keep(&key_of(&track.row), writer.path(), length_bytes)
                .await?;
        }
        receipts.push(TrackReceipt {
            track: track.row.track,
            length_bytes,
            segments: track.state.segments(),
            head: track.state.head(),
            envelope: envelope_hash(vault, track.row.track).await?,
        });
    }
    let now_ms = vault.now_ms();
    let receipt = vault.key().sign(&ReceiptClaims {
        v: VERSION,
        recording: part.recording,
        part: part.part,
        open: Jws::<OpenClaims>::from_text(&part.open).hash(),
        tracks: receipts,
        ended_by: ending.hash,
        finished: ending.state == PartState::Finished,
        at_ms: now_ms,
    });
    let mut tx = vault.db.write().await?;
    write_ending(&mut tx, part, &tracks, &ending, receipt.as_str(), now_ms).await?;
    tx.commit().await?;
    tracing::info!(recording = %part.recording, part = part.part, state = ending.state.as_str(), "part ended");
    discard_all(vault, &mut tracks);
    vault.db.part(part.recording, part.part).await
}

async fn write_ending(
    tx: &mut Tx,
    part: &PartRow,
    tracks: &[HeldTrack],
    ending: &Ending,
    receipt: &str,
    now_ms: u64,
) -> ApiResult<()> {
    let recording = part.recording.to_string();
    sqlx::query(
        "UPDATE parts SET state = ?, ended_ms = ?, ending = ?, receipt = ? WHERE recording = ? AND part = ?",
    )
    .bind(ending.state.as_str())
    .bind(now_ms as i64)
    .bind(&ending.text)
    .bind(receipt)
    .bind(&recording)
    .bind(part.part)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "INSERT INTO endings (recording, part, ended_ms, state, ending, receipt) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(&recording)
    .bind(part.part)
    .bind(now_ms as i64)
    .bind(ending.state.as_str())
    .bind(&ending.text)
    .bind(receipt)
    .execute(&mut **tx)
    .await?;
    for HeldTrack { row, state, .. } in tracks {
        let length_bytes = state.verified_bytes() as i64;
        sqlx::query(
            "UPDATE tracks SET stored_bytes = ?, acknowledged = ?, segments = ?, head = ?, media_end_us = ?, \
             upload = CASE WHEN ? = 0 AND upload = 'created' THEN 'removed' ELSE upload END WHERE track = ?",
        )
        .bind(length_bytes)
        .bind(length_bytes)
        .bind(state.segments() as i64)
        .bind(state.head().to_string())
        .bind(i64::try_from(state.media_end_us()).unwrap_or(i64::MAX))
        .bind(length_bytes)
        .bind(row.track.to_string())
        .execute(&mut **tx)
        .await?;
    }
    let action = match ending.state {
        PartState::Finished => Action::PartFinished,
        _ => Action::PartClosedUnfinished,
    };
    let actor = ending.actor.clone();
    let event = event(
        now_ms,
        actor,
        action,
        part.recording,
        part.part,
        Some(ending.hash),
    );
    audit::append(tx, event).await
}

/// A track whose upload is locked.
struct HeldTrack {
    row: TrackRow,
    held: Held,
    state: TrackState,
}

impl HeldTrack {
    /// Leaves exactly what was verified.
    async fn settle(&mut self) -> ApiResult<()> {
        if let Some(writer) = self.held.writer() {
            writer.drop_tail().await?;
            self.state = writer.state().clone();
        }
        Ok(())
    }

    fn summary(&self) -> TrackSummary {
        TrackSummary {
            track: self.row.track,
            header_hash: self.row.header_hash,
            segments: self.state.segments(),
            length_bytes: self.state.verified_bytes(),
            head: self.state.head(),
            index_hash: self.state.index_hash(),
            media_end_us: self.state.media_end_us(),
            gaps: Vec::new(),
        }
    }
}

/// Locks all uploads of a part, always in the order of the open statement.
async fn hold_all(vault: &Vault, recording: RecordingId, part: u32) -> ApiResult<Vec<HeldTrack>> {
    // A part that does not exist is not found, rather than empty.
    vault.db.part(recording, part).await?;
    let mut tracks = Vec::new();
    for row in vault.db.tracks(recording, part).await? {
        let slot = vault.staging.slot(row.track);
        let held = slot
            .wait(vault.config.stalled_after, PATIENCE)
            .await
            .ok_or_else(|| ApiError::locked(format!("track {} is being written", row.track)))?;
        tracks.push(HeldTrack {
            held,
            state: TrackState::expecting(row.header_hash),
            row,
        });
    }
    // Rows as they are now that nobody else can change them.
    let fresh = vault.db.tracks(recording, part).await?;
    for (track, row) in tracks.iter_mut().zip(fresh) {
        track.row = row;
    }
    Ok(tracks)
}

async fn load_all(vault: &Vault, tracks: &mut [HeldTrack]) -> ApiResult<()> {
    for track in tracks {
        let writer = vault
            .staging
            .load(&mut track.held, &track.row, &vault.store)
            .await?;
        track.state = writer.state().clone();
    }
    Ok(())
}

fn discard_all(vault: &Vault, tracks: &mut [HeldTrack]) {
    for track in tracks {
        if let Err(error) = vault.staging.discard(track.row.track, &mut track.held) {
            tracing::warn!(track = %track.row.track, %error, "a staging file stays until the next start");
        }
    }
}

/// All zero for a track without bytes whose envelope never came.
async fn envelope_hash(vault: &Vault, track: TrackId) -> ApiResult<Hash32> {
    let envelopes = vault.db.envelopes(track).await?;
    Ok(envelopes
        .first()
        .map_or(Hash32([0; 32]), |envelope| envelope.hash))
}

fn event(
    at_ms: u64,
    actor: Actor,
    action: Action,
    recording: RecordingId,
    part: u32,
    document: Option<Hash32>,
) -> audit::Event {
    audit::Event {
        at_ms,
        actor,
        action,
        recording: Some(recording),
        part: Some(part),
        document,
    }
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
