//! How much one pass and one visit may record: bounds for whoever holds a valid pass and means harm, far above what a
//! visit needs. A recorder that comes back after a crash has the same participant id, and a part more. What fills the audit log
//! is bounded for each part; refusals beyond the bound are counted, and the log says how many there were.

use crate::Vault;
use crate::audit;
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
/// Uploads of one part given up, and times it goes on after it was closed, in an hour.
const CHANGES_PER_HOUR: i64 = 120;
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

/// What leaves an entry in the audit log whenever the holder of one part's capability likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeated {
    /// A new capability.
    Renewal,
    /// An upload given up, or a closed part taken up again.
    Change,
}

impl Repeated {
    const fn per_hour(self) -> i64 {
        match self {
            Self::Renewal => RENEWALS_PER_HOUR,
            Self::Change => CHANGES_PER_HOUR,
        }
    }

    const fn count(self) -> &'static str {
        match self {
            Self::Renewal => {
                "UPDATE parts SET \
                 renewals = CASE WHEN renewals_since_ms + ?1 <= ?2 THEN 1 ELSE renewals + 1 END, \
                 renewals_since_ms = CASE WHEN renewals_since_ms + ?1 <= ?2 THEN ?2 ELSE renewals_since_ms END \
                 WHERE recording = ?3 AND part = ?4 RETURNING renewals"
            }
            Self::Change => {
                "UPDATE parts SET \
                 changes = CASE WHEN changes_since_ms + ?1 <= ?2 THEN 1 ELSE changes + 1 END, \
                 changes_since_ms = CASE WHEN changes_since_ms + ?1 <= ?2 THEN ?2 ELSE changes_since_ms END \
                 WHERE recording = ?3 AND part = ?4 RETURNING changes"
            }
        }
    }

    fn refusal(self) -> ApiError {
        let (code, message) = match self {
            Self::Renewal => (
                "quota_renewals",
                "the capability of this part was renewed too often",
            ),
            Self::Change => (
                "quota_changes",
                "uploads of this part were given up, or taken up again, too often",
            ),
        };
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, code, message)
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("60"))
    }
}

/// Counts it within the transaction that does it. Beyond the bound it is refused, nothing of the transaction stays, and the
/// refusal is counted for the audit log.
pub async fn count(
    vault: &Vault,
    mut tx: Tx,
    what: Repeated,
    recording: RecordingId,
    part: u32,
) -> ApiResult<Tx> {
    let now_ms = vault.now_ms() as i64;
    let times: i64 = sqlx::query_scalar(what.count())
        .bind(HOUR_MS as i64)
        .bind(now_ms)
        .bind(recording.to_string())
        .bind(part)
        .fetch_one(&mut *tx)
        .await?;
    if times <= what.per_hour() {
        return Ok(tx);
    }
    tx.rollback().await?;
    sqlx::query(
        "UPDATE parts SET refused = refused + 1, \
         refused_since_ms = CASE WHEN refused = 0 THEN ? ELSE refused_since_ms END \
         WHERE recording = ? AND part = ?",
    )
    .bind(now_ms)
    .bind(recording.to_string())
    .bind(part)
    .execute(vault.db.pool())
    .await?;
    Err(what.refusal())
}

/// Says in the audit log how many requests were refused, an hour after the first of them, where no other entry said so before.
pub async fn log_refusals(vault: &Vault) {
    if let Err(error) = try_log_refusals(vault).await {
        tracing::warn!(message = error.message, "refusals are not logged yet");
    }
}

async fn try_log_refusals(vault: &Vault) -> ApiResult<()> {
    let now_ms = vault.now_ms();
    let rows = sqlx::query(
        "SELECT recording, part FROM parts WHERE refused > 0 AND refused_since_ms + ? <= ?",
    )
    .bind(HOUR_MS as i64)
    .bind(now_ms as i64)
    .fetch_all(vault.db.pool())
    .await?;
    for row in rows {
        let recording: &str = row.try_get("recording")?;
        let recording = recording.parse().map_err(ApiError::internal)?;
        let mut tx = vault.db.write().await?;
        audit::append_refusals(&mut tx, recording, row.try_get("part")?, now_ms).await?;
        tx.commit().await?;
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
