//! What readers may ask: the list, one recording's documents, the audit log, and opening.
//!
//! Opening hands out shares and download URLs, and commits its audit row first: no row, no share. A reader still needs
//! a recipient's private key, which never was on any server.

use crate::audit::{self, Action, Actor};
use crate::db::{PartRow, PartState, RecordingRow, TrackRow};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Path, Query};
use crate::staging::key_of;
use crate::{Vault, deletion, signed_url};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, header};
use sealed_visit_protocol::RecordingId;
use sealed_visit_protocol::bytes::{B64, to_base64url};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

const MAX_LISTED: u32 = 500;

#[derive(Debug, Deserialize)]
pub struct ListQuery {
    limit: Option<u32>,
    /// Only recordings opened before this time, milliseconds since the Unix epoch.
    before_ms: Option<u64>,
    /// Only recordings after that page: its `next`.
    after: Option<Cursor>,
}

/// The last recording of a page. Two may have been opened in one millisecond, so the time alone would lose one.
#[derive(Debug, Clone)]
struct Cursor {
    opened_ms: i64,
    recording: RecordingId,
}

impl std::str::FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = "expected the `next` of a page";
        let (opened_ms, recording) = text.split_once('.').ok_or(malformed)?;
        Ok(Self {
            opened_ms: opened_ms.parse().map_err(|_| malformed)?,
            recording: recording.parse().map_err(|_| malformed)?,
        })
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.opened_ms, self.recording)
    }
}

/// `GET /v1/recordings`: newest first.
pub async fn list(
    State(vault): State<Arc<Vault>>,
    Query(query): Query<ListQuery>,
    request: HeaderMap,
) -> ApiResult {
    vault.readers.require(&request)?;
    let limit = query.limit.unwrap_or(100).clamp(1, MAX_LISTED);
    let after_ms = query
        .after
        .as_ref()
        .map_or(i64::MAX, |after| after.opened_ms);
    let after = query.after.map(|after| after.recording.to_string());
    // One more than wanted tells whether there is another page.
    let rows = sqlx::query(
        "SELECT * FROM recordings WHERE opened_ms < ?1 AND (opened_ms < ?2 OR (opened_ms = ?2 AND recording > ?3)) \
         ORDER BY opened_ms DESC, recording LIMIT ?4",
    )
    .bind(
        query
            .before_ms
            .and_then(|at| i64::try_from(at).ok())
            .unwrap_or(i64::MAX),
    )
    .bind(after_ms)
    .bind(after)
    .bind(limit + 1)
    .fetch_all(vault.db.pool())
    .await?;
    let has_more = rows.len() > limit as usize;
    let mut recordings = Vec::with_capacity(rows.len());
    for row in rows.into_iter().take(limit as usize) {
        recordings.push(summary(&vault, &crate::db::recording_row(row)?).await?);
    }
    let next = recordings.last().filter(|_| has_more).map(|last| {
        let opened_ms = last.opened_ms as i64;
        let recording = last.recording;
        Cursor {
            opened_ms,
            recording,
        }
        .to_string()
    });
    Ok(no_store(json!({ "recordings": recordings, "next": next })))
}

/// `GET /v1/recordings/{recording}`: the signed documents.
pub async fn details(
    State(vault): State<Arc<Vault>>,
    Path(recording): Path<RecordingId>,
    request: HeaderMap,
) -> ApiResult {
    vault.readers.require(&request)?;
    let row = recording_row(&vault, recording).await?;
    let mut parts = Vec::new();
    for part in vault.db.parts(recording).await? {
        parts.push(part_documents(&vault, &part).await?);
    }
    Ok(no_store(json!({
        "summary": summary(&vault, &row).await?,
        "parts": parts,
        "withdrawals": vault.db.withdrawals_of(&row).await?,
        "deletion_decline": row.deletion_decline,
    })))
}

/// `POST /v1/recordings/{recording}/open`: shares and download URLs for the parts that have ended.
pub async fn open(
    State(vault): State<Arc<Vault>>,
    Path(recording): Path<RecordingId>,
    request: HeaderMap,
) -> ApiResult {
    let reader = vault.readers.require(&request)?;
    deletion::refuse_requested(&recording_row(&vault, recording).await?)?;
    let now_ms = vault.now_ms();
    let expires_ms = now_ms + vault.config.url_lifetime.as_millis() as u64;
    let mut opened = Vec::new();
    for part in vault.db.parts(recording).await? {
        if part.state != PartState::Open {
            opened.push(opened_part(&vault, &part, expires_ms).await?);
        }
    }
    if opened.is_empty() {
        return Err(ApiError::conflict(
            "recording_open",
            "no part of the recording has ended yet",
        ));
    }
    let mut tx = vault.db.write().await?;
    // Again, now that nobody else can request it: the shares are not out yet.
    deletion::refuse_requested(&deletion::row_in(&mut tx, recording).await?)?;
    let actor = Actor::Reader { label: reader };
    let event = audit::Event::new(now_ms, actor, Action::Opened, recording);
    audit::append(&mut tx, event).await?;
    let audit_head = audit::signed_head(&mut tx, vault.key(), now_ms).await?;
    tx.commit().await?;
    tracing::info!(%recording, "opened by a reader");
    Ok(no_store(json!({
        "recording": recording,
        "audit_head": audit_head,
        "expires_ms": expires_ms,
        "parts": opened,
    })))
}

#[derive(Debug, Deserialize)]
pub struct AuditQuery {
    /// First entry wanted.
    #[serde(default)]
    from: u64,
    limit: Option<u32>,
}

/// `GET /v1/audit`: entries with their hashes, for anyone who checks the chain.
pub async fn audit_log(
    State(vault): State<Arc<Vault>>,
    Query(query): Query<AuditQuery>,
    request: HeaderMap,
) -> ApiResult {
    vault.readers.require(&request)?;
    let limit = query.limit.unwrap_or(MAX_LISTED).min(MAX_LISTED);
    let mut tx = vault.db.write().await?;
    let head = audit::signed_head(&mut tx, vault.key(), vault.now_ms()).await?;
    tx.rollback().await?;
    let entries = audit::read(&vault.db, query.from, limit).await?;
    Ok(no_store(json!({ "entries": entries, "audit_head": head })))
}

#[derive(Serialize)]
struct RecordingSummary {
    recording: RecordingId,
    visit: String,
    round: String,
    /// `deleted` once nothing of it is left, `withdrawn` once anybody withdrew; else `open`, `unfinished` or `finished`, the first that any part is.
    state: &'static str,
    opened_ms: u64,
    ended_ms: Option<u64>,
    size_bytes: u64,
    deletion_requested_ms: Option<u64>,
    deletion_declined_ms: Option<u64>,
    deletion_granted_ms: Option<u64>,
    deleted_ms: Option<u64>,
    parts: Vec<PartSummary>,
}

#[derive(Serialize)]
struct PartSummary {
    part: u32,
    state: &'static str,
    opened_ms: u64,
    last_byte_ms: u64,
    ended_ms: Option<u64>,
    size_bytes: u64,
    tracks: Vec<TrackSummary>,
}

#[derive(Serialize)]
struct TrackSummary {
    track: sealed_visit_protocol::TrackId,
    size_bytes: u64,
    segments: u64,
    media_end_us: u64,
}

async fn summary(vault: &Vault, recording: &RecordingRow) -> ApiResult<RecordingSummary> {
    let mut parts = Vec::new();
    for part in vault.db.parts(recording.recording).await? {
        let rows = vault.db.tracks(part.recording, part.part).await?;
        let tracks: Vec<_> = rows
            .iter()
            .map(|row| TrackSummary {
                track: row.track,
                size_bytes: size_of(row, part.state),
                segments: row.segments,
                media_end_us: row.media_end_us,
            })
            .collect();
        parts.push(PartSummary {
            part: part.part,
            state: part.state.as_str(),
            opened_ms: part.opened_ms,
            last_byte_ms: part.last_byte_ms,
            ended_ms: part.ended_ms,
            size_bytes: tracks.iter().map(|track| track.size_bytes).sum(),
            tracks,
        });
    }
    let withdrawn = !vault.db.withdrawals_of(recording).await?.is_empty();
    let any = |state: PartState| parts.iter().any(|part| part.state == state.as_str());
    let state = if recording.deleted_ms.is_some() {
        "deleted"
    } else if withdrawn {
        "withdrawn"
    } else if any(PartState::Open) {
        "open"
    } else if any(PartState::Unfinished) {
        "unfinished"
    } else {
        "finished"
    };
    Ok(RecordingSummary {
        recording: recording.recording,
        visit: recording.visit.clone(),
        round: recording.round.clone(),
        state,
        opened_ms: recording.opened_ms,
        // None while any part goes on.
        ended_ms: parts
            .iter()
            .map(|part| part.ended_ms)
            .collect::<Option<Vec<_>>>()
            .and_then(|ends| ends.into_iter().max()),
        size_bytes: parts.iter().map(|part| part.size_bytes).sum(),
        deletion_requested_ms: recording.deletion_requested_ms,
        deletion_declined_ms: recording.deletion_declined_ms,
        deletion_granted_ms: recording.deletion_granted_ms,
        deleted_ms: recording.deleted_ms,
        parts,
    })
}

async fn part_documents(vault: &Vault, part: &PartRow) -> ApiResult<serde_json::Value> {
    let headers = crate::finish::headers_of(&part.open)?;
    let mut tracks = Vec::new();
    for (row, header) in vault
        .db
        .tracks(part.recording, part.part)
        .await?
        .iter()
        .zip(headers)
    {
        tracks.push(json!({
            "track": row.track,
            "header": to_base64url(header.bytes()),
            "size_bytes": size_of(row, part.state),
            "segments": row.segments,
            "envelopes": envelopes(vault, row).await?,
        }));
    }
    let (manifest, closing) = endings(part);
    Ok(json!({
        "part": part.part,
        "state": part.state.as_str(),
        "open": part.open,
        "manifest": manifest,
        "closing": closing,
        "receipt": part.receipt,
        "tracks": tracks,
    }))
}

async fn opened_part(
    vault: &Vault,
    part: &PartRow,
    expires_ms: u64,
) -> ApiResult<serde_json::Value> {
    let mut tracks = Vec::new();
    for row in vault.db.tracks(part.recording, part.part).await? {
        let share = match &row.share {
            Some(stored) => vault.share_key.open_share(row.track, stored)?,
            None => Vec::new(),
        };
        let path = signed_url::path_of(vault.url_key(), &key_of(&row), expires_ms);
        tracks.push(json!({
            "track": row.track,
            // Empty when the header needs none.
            "share": B64(share),
            // Nothing to fetch of a track that never held anything.
            "url": (row.stored_bytes > 0).then(|| vault.config.url(&path)),
            "size_bytes": row.stored_bytes,
            "envelopes": envelopes(vault, &row).await?,
        }));
    }
    let (manifest, closing) = endings(part);
    Ok(json!({
        "part": part.part,
        "state": part.state.as_str(),
        "open": part.open,
        "manifest": manifest,
        "closing": closing,
        "receipt": part.receipt,
        "tracks": tracks,
    }))
}

async fn recording_row(vault: &Vault, recording: RecordingId) -> ApiResult<RecordingRow> {
    vault
        .db
        .recording(recording)
        .await?
        .ok_or_else(|| ApiError::not_found(format!("the vault knows no recording {recording}")))
}

async fn envelopes(vault: &Vault, row: &TrackRow) -> ApiResult<Vec<String>> {
    let envelopes = vault.db.envelopes(row.track).await?;
    // Of a deleted recording the wrapped keys are gone.
    let texts = envelopes.into_iter().map(|row| row.envelope);
    Ok(texts.filter(|envelope| !envelope.is_empty()).collect())
}

/// The manifest, or the closing record.
fn endings(part: &PartRow) -> (Option<&String>, Option<&String>) {
    match part.state {
        PartState::Open => (None, None),
        PartState::Finished => (part.ending.as_ref(), None),
        PartState::Unfinished => (None, part.ending.as_ref()),
    }
}

fn size_of(row: &TrackRow, state: PartState) -> u64 {
    match state {
        PartState::Open => row.acknowledged,
        _ => row.stored_bytes,
    }
}

fn no_store(body: serde_json::Value) -> Response {
    let mut response = Json(body).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
