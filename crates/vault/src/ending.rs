//! The one way a part ends: its uploads locked, its tracks stored, then its rows with the receipt, then
//! the staging files let go. Whatever a crash leaves of that, either the part is still open with all its bytes, or it
//! has ended with all of them stored.

use crate::Vault;
use crate::audit::{self, Action, Actor};
use crate::db::{PartRow, PartState, TrackRow, Tx};
use crate::error::{ApiError, ApiResult};
use crate::staging::{Held, key_of};
use sealed_visit_protocol::jws::Jws;
use sealed_visit_protocol::recording::{OpenClaims, ReceiptClaims, TrackReceipt, TrackSummary};
use sealed_visit_protocol::track::TrackState;
use sealed_visit_protocol::{Hash32, RecordingId, TrackId, VERSION};
use std::time::Duration;

/// How long an ending waits for a PATCH that is still writing.
const PATIENCE: Duration = Duration::from_secs(10);

/// What ends a part.
pub struct Ending {
    pub state: PartState,
    pub text: String,
    pub hash: Hash32,
    pub actor: Actor,
}

/// Stores the tracks, then the rows with the receipt, then lets go of the staging files.
pub async fn end(
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
    let mut tx = vault.db.write().await?;
    log(&mut tx, part, &ending, now_ms).await?;
    let receipt = vault.key().sign(&ReceiptClaims {
        v: VERSION,
        recording: part.recording,
        part: part.part,
        open: Jws::<OpenClaims>::from_text(&part.open).hash(),
        tracks: receipts,
        ended_by: ending.hash,
        finished: ending.state == PartState::Finished,
        audit_head: Some(audit::signed_head(&mut tx, vault.key(), now_ms).await?),
        at_ms: now_ms,
    });
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
    Ok(())
}

async fn log(tx: &mut Tx, part: &PartRow, ending: &Ending, now_ms: u64) -> ApiResult<()> {
    let action = match ending.state {
        PartState::Finished => Action::PartFinished,
        _ => Action::PartClosedUnfinished,
    };
    let actor = ending.actor.clone();
    let event = audit::Event::new(now_ms, actor, action, part.recording);
    audit::append(tx, event.in_part(part.part).on(ending.hash)).await
}

/// A track whose upload is locked.
pub struct HeldTrack {
    pub row: TrackRow,
    held: Held,
    pub state: TrackState,
}

impl HeldTrack {
    /// Drops bytes that were not verified.
    pub async fn drop_unverified(&mut self) -> ApiResult<()> {
        if let Some(writer) = self.held.writer() {
            writer.drop_tail().await?;
            self.state = writer.state().clone();
        }
        Ok(())
    }

    pub fn summary(&self) -> TrackSummary {
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
pub async fn hold_all(
    vault: &Vault,
    recording: RecordingId,
    part: u32,
) -> ApiResult<Vec<HeldTrack>> {
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

pub async fn load_all(vault: &Vault, tracks: &mut [HeldTrack]) -> ApiResult<()> {
    for track in tracks {
        let writer = vault
            .staging
            .load(&mut track.held, &track.row, &vault.store)
            .await?;
        track.state = writer.state().clone();
    }
    Ok(())
}

/// Lets go of all staging files.
pub fn destroy_all(vault: &Vault, tracks: &mut [HeldTrack]) -> ApiResult<()> {
    for track in tracks {
        vault.staging.discard(track.row.track, &mut track.held)?;
    }
    Ok(())
}

pub fn discard_all(vault: &Vault, tracks: &mut [HeldTrack]) {
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
