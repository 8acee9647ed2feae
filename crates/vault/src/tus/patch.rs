//! PATCH: bytes at an offset.
//!
//! The work runs in a task of its own: when the client goes away the request's future is dropped, but what arrived is
//! still made durable and the upload's lock is given back in order.

use super::checksum::Checksum;
use super::{existing, expires, headers};
use crate::db::{PartState, TrackRow};
use crate::error::{ApiError, ApiResult};
use crate::extract::Path;
use crate::staging::Held;
use crate::store::TrackKey;
use crate::{Vault, capability, deletion, quota};
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::response::IntoResponse as _;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, StatusCode};
use sealed_visit_protocol::{RecordingId, TrackId};
use std::sync::Arc;
use std::time::Duration;

/// So much may wait for the disk within one long PATCH.
const SYNC_EVERY_BYTES: u64 = 4 << 20;

pub async fn patch(
    State(vault): State<Arc<Vault>>,
    Path((recording, part, track)): Path<(RecordingId, u32, TrackId)>,
    request: HeaderMap,
    body: Body,
) -> ApiResult {
    let key = TrackKey {
        recording,
        part,
        track,
    };
    let body = body.into_data_stream();
    match admit(&vault, key, &request).await {
        Ok((row, held, said)) => {
            let patch = Patch {
                vault,
                row,
                held,
                body,
                checksum: said.checksum,
            };
            tokio::spawn(patch.run(said.offset, said.length, said.declared)).await?
        }
        Err(refusal) => {
            drain(body).await;
            Err(refusal)
        }
    }
}

/// What the headers of a PATCH say.
struct Said {
    offset: u64,
    length: Option<u64>,
    /// `Content-Length`.
    declared: Option<u64>,
    checksum: Option<Checksum>,
}

/// Everything that can be decided before the body, ending with the upload's lock.
async fn admit(
    vault: &Vault,
    TrackKey {
        recording,
        part,
        track,
    }: TrackKey,
    request: &HeaderMap,
) -> ApiResult<(TrackRow, Held, Said)> {
    let now_ms = vault.now_ms();
    capability::require(vault.key(), request, now_ms, recording, part, Some(track))?;
    headers::require_offset_octet_stream(request)?;
    let said = Said {
        offset: headers::offset(request)?,
        length: headers::length(request, vault.config.max_track_bytes)?,
        declared: request
            .get(http::header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok()),
        checksum: Checksum::from_headers(request)?,
    };
    existing(vault, recording, part, track).await?;
    if vault.db.envelopes(track).await?.is_empty() {
        return Err(ApiError::new(
            StatusCode::PRECONDITION_FAILED,
            "envelope_missing",
            format!("the envelope of track {track} must be stored before its bytes"),
        ));
    }
    let slot = vault.staging.slot(track);
    let held = slot
        .take(vault.config.stalled_after)
        .await
        .ok_or_else(|| ApiError::locked("another request is writing this upload"))?;
    // Read again, now that nobody else can change it.
    let row = existing(vault, recording, part, track).await?;
    Ok((row, held, said))
}

/// Reads on for a moment after a refusal: a client that is still sending when the connection closes would see a broken
/// connection instead of the answer.
async fn drain(mut body: BodyDataStream) {
    const AT_MOST_BYTES: usize = 16 << 20;
    const AT_MOST: Duration = Duration::from_secs(5);
    let mut drained = 0;
    let reading = async {
        while let Some(Ok(piece)) = body.next().await {
            drained += piece.len();
            if drained > AT_MOST_BYTES {
                break;
            }
        }
    };
    // However it ended, the refusal is sent now.
    let _ = tokio::time::timeout(AT_MOST, reading).await;
}

struct Patch {
    vault: Arc<Vault>,
    row: TrackRow,
    held: Held,
    body: BodyDataStream,
    checksum: Option<Checksum>,
}

/// How the body of a PATCH ended.
enum BodyEnd {
    Complete,
    /// The connection broke.
    Broken,
    /// No byte for too long.
    Idle,
    /// A newer request took the upload over.
    TakenOver,
}

impl Patch {
    async fn run(mut self, offset: u64, length: Option<u64>, declared: Option<u64>) -> ApiResult {
        let outcome = self.take(offset, length, declared).await;
        let Self { body, held, .. } = self;
        // The next request need not wait for the rest of a refused body.
        drop(held);
        if outcome.is_err() {
            drain(body).await;
        }
        outcome
    }

    async fn take(&mut self, offset: u64, length: Option<u64>, declared: Option<u64>) -> ApiResult {
        self.load(offset).await?;
        let length = self.agree_on_length(length).await?;
        let limit = length.unwrap_or(self.vault.config.max_track_bytes);
        let end = offset.saturating_add(declared.unwrap_or(0));
        if end > limit {
            return Err(too_long(limit));
        }
        if end > self.quota_end().await? {
            return Err(quota::no_room());
        }
        let before = self.state()?.clone();
        let taken = self.take_body(limit).await;
        let checked = match (taken, self.checksum.take()) {
            (Ok(BodyEnd::Complete), Some(checksum)) => checksum.check().map(|()| BodyEnd::Complete),
            (taken, None) => taken,
            // Without the whole body its checksum says nothing.
            (taken, Some(_)) => {
                self.forget(before.clone()).await?;
                taken
            }
        };
        if checked
            .as_ref()
            .is_err_and(|error| error.code == "checksum_mismatch")
        {
            self.forget(before).await?;
        }
        let durable = self.acknowledge().await?;
        match checked? {
            BodyEnd::Complete => self.answer(durable).await,
            BodyEnd::Broken => Err(ApiError::bad_request(
                "body_broken",
                "the connection broke in the middle of the body",
            )),
            BodyEnd::Idle => Err(ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "idle",
                "no byte came for too long",
            )),
            BodyEnd::TakenOver => Err(ApiError::locked("a newer request took the upload over")),
        }
    }

    /// Opens the upload and checks that the client goes on where it ends. A part that was closed as unfinished goes
    /// on when its device comes back.
    async fn load(&mut self, offset: u64) -> ApiResult<()> {
        let part = self
            .vault
            .db
            .part(self.row.recording, self.row.part)
            .await?;
        if part.state == PartState::Finished {
            return Err(ApiError::unprocessable(
                "part_finished",
                "the part is finished and accepts no more bytes",
            ));
        }
        let at = if part.state == PartState::Unfinished {
            self.row.stored_bytes
        } else {
            let writer = self
                .vault
                .staging
                .load(&mut self.held, &self.row, &self.vault.store)
                .await?;
            writer.offset()
        };
        if at != offset {
            let at = HeaderValue::from(self.durable_hint(at));
            return Err(ApiError::conflict(
                "offset_mismatch",
                "the upload ends at another offset; use HEAD to get it",
            )
            .with_header(http::HeaderName::from_static("upload-offset"), at));
        }
        if part.state == PartState::Unfinished {
            crate::finish::reopen(&self.vault, &self.row).await?;
            self.row = existing(
                &self.vault,
                self.row.recording,
                self.row.part,
                self.row.track,
            )
            .await?;
            self.vault
                .staging
                .load(&mut self.held, &self.row, &self.vault.store)
                .await?;
        }
        Ok(())
    }

    /// A length that was deferred may come with any PATCH, once.
    async fn agree_on_length(&mut self, said: Option<u64>) -> ApiResult<Option<u64>> {
        let Some(said) = said else {
            return Ok(self.row.upload_length);
        };
        if self.row.upload_length.is_some_and(|known| known != said) {
            return Err(ApiError::bad_request(
                "upload_length",
                "Upload-Length was given before, and was another",
            ));
        }
        if said < self.state()?.offset() {
            return Err(ApiError::bad_request(
                "upload_length",
                "Upload-Length is less than what was uploaded already",
            ));
        }
        sqlx::query("UPDATE tracks SET upload_length = ? WHERE track = ?")
            .bind(said as i64)
            .bind(self.row.track.to_string())
            .execute(self.vault.db.pool())
            .await?;
        self.row.upload_length = Some(said);
        Ok(Some(said))
    }

    async fn take_body(&mut self, limit: u64) -> ApiResult<BodyEnd> {
        let mut quota_end = self.quota_end().await?;
        loop {
            let piece = tokio::select! {
                piece = self.body.next() => piece,
                () = self.held.interrupted() => return Ok(BodyEnd::TakenOver),
                () = tokio::time::sleep(self.vault.config.idle_timeout) => return Ok(BodyEnd::Idle),
            };
            let piece = match piece {
                None => return Ok(BodyEnd::Complete),
                Some(Err(_)) => return Ok(BodyEnd::Broken),
                Some(Ok(piece)) => piece,
            };
            self.held.touch();
            let Some(writer) = self.held.writer() else {
                return Err(ApiError::internal("an upload was unloaded while written"));
            };
            let end = writer.offset() + piece.len() as u64;
            if end > quota_end && end <= limit {
                return Err(quota::no_room());
            }
            let room = limit - writer.offset();
            let fits = piece.len() as u64 <= room;
            let piece = piece.slice(..piece.len().min(room as usize));
            if let Some(checksum) = &mut self.checksum {
                checksum.update(&piece);
            }
            writer.append(piece).await?;
            if !fits {
                return Err(too_long(limit));
            }
            // What a checksum covers is acknowledged as a whole or not at all.
            if self.checksum.is_none() && writer.unsynced_bytes() >= SYNC_EVERY_BYTES {
                self.acknowledge().await?;
                quota_end = self.quota_end().await?;
            }
        }
    }

    /// Where this upload reaches its recorder's, or its visit's, quota.
    async fn quota_end(&mut self) -> ApiResult<u64> {
        let acknowledged = self.held.durable().unwrap_or(self.row.acknowledged);
        Ok(acknowledged.saturating_add(quota::room(&self.vault, &self.row).await?))
    }

    /// Goes back to where the PATCH began, or, if its bytes took even that away, stays at the last checkpoint.
    async fn forget(&mut self, before: sealed_visit_protocol::track::TrackState) -> ApiResult<()> {
        match self.held.writer() {
            Some(writer) if writer.offset() > before.offset() => writer.roll_back(before).await,
            _ => Ok(()),
        }
    }

    async fn acknowledge(&mut self) -> ApiResult<u64> {
        // A long body must not go on after a deletion was granted.
        deletion::refuse_if_granted(&self.vault, self.row.recording).await?;
        let now_ms = self.vault.now_ms();
        self.held
            .acknowledge(&self.row, &self.vault.db, now_ms)
            .await
    }

    async fn answer(&mut self, durable: u64) -> ApiResult {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let answer = response.headers_mut();
        answer.insert("Upload-Offset", HeaderValue::from(durable));
        if let Some(at) = expires(&self.vault, &self.row).await? {
            answer.insert("Upload-Expires", at);
        }
        Ok(response)
    }

    fn state(&mut self) -> ApiResult<&sealed_visit_protocol::track::TrackState> {
        match self.held.writer() {
            Some(writer) => Ok(writer.state()),
            None => Err(ApiError::internal("an upload is not loaded")),
        }
    }

    /// The end of the upload for a client that missed it: what is acknowledged, no more.
    fn durable_hint(&self, at: u64) -> u64 {
        at.min(self.held.durable().unwrap_or(0).max(self.row.stored_bytes))
    }
}

fn too_long(limit: u64) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        format!("the upload may have {limit} bytes"),
    )
}
