//! How much one pass and one visit may record: bounds for whoever holds a valid pass and means harm, far above what a
//! visit needs. A recorder that comes back after a crash has the same participant id, and a part more.

use crate::Vault;
use crate::db::{TrackRow, Tx};
use crate::error::{ApiError, ApiResult};
use http::{HeaderValue, StatusCode, header};
use sealed_visit_protocol::recording::OpenClaims;
use sealed_visit_protocol::{ParticipantId, RecordingId};
use sqlx::Row as _;

/// Bounds for one recorder's pass, or for a whole visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// One for each consent round.
    pub recordings: u32,
    /// One for each run of a recorder.
    pub parts: u32,
    pub bytes: u64,
}

impl Quota {
    pub const PASS: Self = Self {
        recordings: 64,
        parts: 256,
        bytes: 128 << 30,
    };
    pub const VISIT: Self = Self {
        recordings: 128,
        parts: 512,
        bytes: 256 << 30,
    };
}

/// New capabilities for one part in an hour.
const RENEWALS_PER_HOUR: i64 = 120;
const HOUR_MS: u64 = 3_600_000;

/// Refuses a new part beyond the quota.
pub async fn refuse_part(
    vault: &Vault,
    tx: &mut Tx,
    claims: &OpenClaims,
    recorder: ParticipantId,
) -> ApiResult<()> {
    let counted = |row: &sqlx::sqlite::SqliteRow| -> Result<[i64; 3], sqlx::Error> {
        Ok([
            row.try_get("recordings")?,
            row.try_get("parts")?,
            row.try_get("this")?,
        ])
    };
    let whole = sqlx::query(
        "SELECT COUNT(DISTINCT recording) AS recordings, COUNT(*) AS parts, COALESCE(SUM(recording = ?), 0) AS this \
         FROM parts JOIN recordings USING (recording) WHERE visit = ?",
    )
    .bind(claims.recording.to_string())
    .bind(claims.visit.to_string())
    .fetch_one(&mut **tx)
    .await?;
    let own = sqlx::query(
        "SELECT COUNT(DISTINCT recording) AS recordings, COUNT(*) AS parts, COALESCE(SUM(recording = ?), 0) AS this \
         FROM parts JOIN recordings USING (recording) WHERE visit = ? AND recorder = ?",
    )
    .bind(claims.recording.to_string())
    .bind(claims.visit.to_string())
    .bind(recorder.to_string())
    .fetch_one(&mut **tx)
    .await?;
    for ([recordings, parts, this], quota, whose) in [
        (counted(&own)?, vault.config.pass_quota, "recorder"),
        (counted(&whole)?, vault.config.visit_quota, "visit"),
    ] {
        if (this == 0 && recordings >= i64::from(quota.recordings))
            || parts >= i64::from(quota.parts)
        {
            return Err(ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "quota_parts",
                format!("this {whose} has {recordings} recordings with {parts} parts already"),
            ));
        }
    }
    Ok(())
}

/// How many more bytes this track may have.
pub async fn room(vault: &Vault, row: &TrackRow) -> ApiResult<u64> {
    let used: (i64, i64) = used(vault, row.recording, row.part).await?;
    let left = |used: i64, quota: u64| quota.saturating_sub(u64::try_from(used).unwrap_or(0));
    Ok(left(used.0, vault.config.pass_quota.bytes)
        .min(left(used.1, vault.config.visit_quota.bytes)))
}

pub fn no_room() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "quota_bytes",
        "this recorder or this visit has reached its upload limit",
    )
}

/// Counts a renewal; refuses too many.
pub async fn count_renewal(
    tx: &mut Tx,
    recording: RecordingId,
    part: u32,
    now_ms: u64,
) -> ApiResult<()> {
    let renewals: i64 = sqlx::query_scalar(
        "UPDATE parts SET \
         renewals = CASE WHEN renewals_since_ms + ? <= ? THEN 1 ELSE renewals + 1 END, \
         renewals_since_ms = CASE WHEN renewals_since_ms + ? <= ? THEN ? ELSE renewals_since_ms END \
         WHERE recording = ? AND part = ? RETURNING renewals",
    )
    .bind(HOUR_MS as i64)
    .bind(now_ms as i64)
    .bind(HOUR_MS as i64)
    .bind(now_ms as i64)
    .bind(now_ms as i64)
    .bind(recording.to_string())
    .bind(part)
    .fetch_one(&mut **tx)
    .await?;
    if renewals > RENEWALS_PER_HOUR {
        return Err(ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "quota_renewals",
            "the capability of this part was renewed too often",
        )
        .with_header(header::RETRY_AFTER, HeaderValue::from_static("60")));
    }
    Ok(())
}

/// Bytes of the part's recorder, and of the whole visit.
async fn used(vault: &Vault, recording: RecordingId, part: u32) -> ApiResult<(i64, i64)> {
    let row = sqlx::query(
        "SELECT COALESCE(SUM(CASE WHEN all_parts.recorder IS here.recorder THEN acknowledged END), 0) AS own, \
         COALESCE(SUM(acknowledged), 0) AS whole \
         FROM parts AS here \
         JOIN recordings AS this ON this.recording = here.recording \
         JOIN recordings AS others ON others.visit = this.visit \
         JOIN parts AS all_parts ON all_parts.recording = others.recording \
         JOIN tracks ON tracks.recording = all_parts.recording AND tracks.part = all_parts.part \
         WHERE here.recording = ? AND here.part = ?",
    )
    .bind(recording.to_string())
    .bind(part)
    .fetch_one(vault.db.pool())
    .await?;
    Ok((row.try_get("own")?, row.try_get("whole")?))
}
