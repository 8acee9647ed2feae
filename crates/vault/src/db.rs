//! The vault's rows: what was opened, what is durable, what ended how ([`sealed_visit_sqlite`] says how they are kept).
//! [`Db::forget_overwritten`] takes what was overwritten out of the write-ahead log, too.

use crate::error::{ApiError, ApiResult};
use crate::private;
use sealed_visit_protocol::{Hash32, RecordingId, TrackId};
pub use sealed_visit_sqlite::Tx;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row as _, SqliteExecutor};
use std::path::Path;
use std::time::Duration;

/// A handle on the database; clones share it.
#[derive(Debug, Clone)]
pub struct Db {
    pool: SqlitePool,
}

/// Where a part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartState {
    /// Takes bytes.
    Open,
    /// Ended by the recorder's manifest.
    Finished,
    /// Ended by the vault's closing record.
    Unfinished,
}

impl PartState {
    pub const fn as_str(self) -> &'static str {
        match self {
            PartState::Open => "open",
            PartState::Finished => "finished",
            PartState::Unfinished => "unfinished",
        }
    }

    fn parse(text: &str) -> Result<Self, sqlx::Error> {
        match text {
            "open" => Ok(PartState::Open),
            "finished" => Ok(PartState::Finished),
            "unfinished" => Ok(PartState::Unfinished),
            _ => Err(unreadable("part state")),
        }
    }
}

/// Where a track's upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadState {
    None,
    Created,
    /// Terminated, or empty when its part ended.
    Removed,
}

/// A recorder run.
#[derive(Debug, Clone)]
pub struct PartRow {
    pub recording: RecordingId,
    pub part: u32,
    pub open: String,
    pub open_hash: String,
    pub renewal_key: Option<String>,
    pub state: PartState,
    pub opened_ms: u64,
    pub last_byte_ms: u64,
    pub ended_ms: Option<u64>,
    pub ending: Option<String>,
    pub receipt: Option<String>,
}

/// One track of a part, and its upload.
#[derive(Clone)]
pub struct TrackRow {
    pub track: TrackId,
    pub recording: RecordingId,
    pub part: u32,
    pub header_hash: Hash32,
    /// The shred share as it is stored: encrypted under the share key.
    pub share: Option<Vec<u8>>,
    pub upload: UploadState,
    pub upload_meta: Option<String>,
    pub upload_length: Option<u64>,
    pub acknowledged: u64,
    pub stored_bytes: u64,
    pub segments: u64,
    pub head: Option<Hash32>,
    pub media_end_us: u64,
}

/// An envelope as it was stored.
#[derive(Debug, Clone)]
pub struct EnvelopeRow {
    pub envelope: String,
    pub hash: Hash32,
}

/// All that one consent round recorded.
#[derive(Debug, Clone)]
pub struct RecordingRow {
    pub recording: RecordingId,
    pub visit: String,
    pub group_id: String,
    pub round: String,
    pub request: String,
    pub on_withdrawal: String,
    pub opened_ms: u64,
    pub deletion_requested_ms: Option<u64>,
    pub deletion_declined_ms: Option<u64>,
    /// The clinic's last signed decision to keep the recording; in force while `deletion_declined_ms` is there.
    pub deletion_decline: Option<String>,
    pub deletion_granted_ms: Option<u64>,
    /// The signed document that granted the deletion.
    pub deletion_basis: Option<String>,
    pub shares_destroyed_ms: Option<u64>,
    pub deleted_ms: Option<u64>,
    /// The signed deletion record, from when the shares were gone.
    pub deletion: Option<String>,
}

impl Db {
    /// Opens the database in a file, making or migrating it. SQLite gives its log files the mode of the database.
    pub async fn open(path: &Path) -> anyhow::Result<Self> {
        private::file(path)?;
        for beside in ["-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(beside);
            if Path::new(&name).try_exists()? {
                private::file(Path::new(&name))?;
            }
        }
        let pool = sealed_visit_sqlite::open(path).await?;
        sqlx::migrate!("./migrations").run(&pool).await?;
        Ok(Self { pool })
    }

    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// A transaction that holds the write lock from its start, so that what it reads stays true.
    pub async fn write(&self) -> ApiResult<Tx> {
        Ok(sealed_visit_sqlite::write(&self.pool).await?)
    }

    /// Moves everything out of the write-ahead log into the database and cuts the log to nothing, so that no file keeps
    /// what a committed transaction overwrote.
    pub async fn forget_overwritten(&self) -> ApiResult<()> {
        const ATTEMPTS: u32 = 50;
        const PAUSE: Duration = Duration::from_millis(20);
        for _ in 0..ATTEMPTS {
            let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                .fetch_one(&self.pool)
                .await?;
            if row.try_get::<i64, _>(0)? == 0 {
                return Ok(());
            }
            // Somebody is reading an older state.
            tokio::time::sleep(PAUSE).await;
        }
        Err(ApiError::internal("the write-ahead log is busy"))
    }

    pub async fn meta(&self, key: &str) -> ApiResult<Option<String>> {
        Ok(sqlx::query_scalar("SELECT value FROM meta WHERE key = ?")
            .bind(key)
            .fetch_optional(&self.pool)
            .await?)
    }

    pub async fn set_meta(&self, key: &str, value: &str) -> ApiResult<()> {
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES (?, ?) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(key)
        .bind(value)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub async fn recording(&self, recording: RecordingId) -> ApiResult<Option<RecordingRow>> {
        let row = sqlx::query("SELECT * FROM recordings WHERE recording = ?")
            .bind(recording.to_string())
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(recording_row).transpose()?)
    }

    pub async fn parts(&self, recording: RecordingId) -> ApiResult<Vec<PartRow>> {
        let rows = sqlx::query("SELECT * FROM parts WHERE recording = ? ORDER BY part")
            .bind(recording.to_string())
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(part_row).collect::<Result<_, _>>()?)
    }

    pub async fn part(&self, recording: RecordingId, part: u32) -> ApiResult<PartRow> {
        let row = sqlx::query("SELECT * FROM parts WHERE recording = ? AND part = ?")
            .bind(recording.to_string())
            .bind(part)
            .fetch_optional(&self.pool)
            .await?;
        match row {
            Some(row) => Ok(part_row(row)?),
            None => Err(ApiError::not_found(format!(
                "the vault has no part {part} of recording {recording}"
            ))),
        }
    }

    /// Open parts that brought nothing new since `before_ms`.
    pub async fn parts_idle_since(&self, before_ms: u64) -> ApiResult<Vec<(RecordingId, u32)>> {
        let rows = sqlx::query(
            "SELECT recording, part FROM parts JOIN recordings USING (recording) \
             WHERE state = 'open' AND last_byte_ms <= ? AND deletion_granted_ms IS NULL",
        )
        .bind(before_ms as i64)
        .fetch_all(&self.pool)
        .await?;
        let pairs = rows
            .into_iter()
            .map(|row| Ok((id(&row, "recording")?, row.try_get("part")?)));
        Ok(pairs.collect::<Result<_, sqlx::Error>>()?)
    }

    pub async fn tracks(&self, recording: RecordingId, part: u32) -> ApiResult<Vec<TrackRow>> {
        let rows =
            sqlx::query("SELECT * FROM tracks WHERE recording = ? AND part = ? ORDER BY position")
                .bind(recording.to_string())
                .bind(part)
                .fetch_all(&self.pool)
                .await?;
        Ok(rows.into_iter().map(track_row).collect::<Result<_, _>>()?)
    }

    /// Tracks of open parts that hold something.
    pub async fn open_uploads(&self) -> ApiResult<Vec<TrackRow>> {
        let rows = sqlx::query(
            "SELECT tracks.* FROM tracks JOIN parts USING (recording, part) JOIN recordings USING (recording) \
             WHERE deletion_granted_ms IS NULL AND state = 'open' AND upload = 'created' AND acknowledged > 0",
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(track_row).collect::<Result<_, _>>()?)
    }

    pub async fn track(
        &self,
        recording: RecordingId,
        part: u32,
        track: TrackId,
    ) -> ApiResult<TrackRow> {
        let row =
            sqlx::query("SELECT * FROM tracks WHERE track = ? AND recording = ? AND part = ?")
                .bind(track.to_string())
                .bind(recording.to_string())
                .bind(part)
                .fetch_optional(&self.pool)
                .await?;
        match row {
            Some(row) => Ok(track_row(row)?),
            None => Err(ApiError::not_found(format!(
                "the vault has no track {track} in part {part} of recording {recording}"
            ))),
        }
    }

    pub async fn envelopes(&self, track: TrackId) -> ApiResult<Vec<EnvelopeRow>> {
        let rows = sqlx::query("SELECT * FROM envelopes WHERE track = ? ORDER BY number")
            .bind(track.to_string())
            .fetch_all(&self.pool)
            .await?;
        let envelopes = rows.into_iter().map(|row| {
            Ok(EnvelopeRow {
                envelope: row.try_get("envelope")?,
                hash: hash(&row, "hash")?,
            })
        });
        Ok(envelopes.collect::<Result<_, sqlx::Error>>()?)
    }

    pub async fn withdrawals_of(&self, recording: &RecordingRow) -> ApiResult<Vec<String>> {
        withdrawals_of(&self.pool, recording).await
    }

    /// Remembers that the track is durable up to `offset`.
    pub async fn acknowledge(&self, row: &TrackRow, offset: u64, now_ms: u64) -> ApiResult<()> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE tracks SET acknowledged = ? WHERE track = ?")
            .bind(offset as i64)
            .bind(row.track.to_string())
            .execute(&mut *tx)
            .await?;
        sqlx::query("UPDATE parts SET last_byte_ms = ? WHERE recording = ? AND part = ?")
            .bind(now_ms as i64)
            .bind(row.recording.to_string())
            .bind(row.part)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }
}

/// The withdrawals by people of this recording, oldest first.
pub async fn withdrawals_of(
    executor: impl SqliteExecutor<'_>,
    recording: &RecordingRow,
) -> ApiResult<Vec<String>> {
    Ok(sqlx::query_scalar(
        "SELECT statement FROM withdrawals WHERE visit = ? AND group_id = ? AND round = ? \
         AND (request = ? OR participant IN (SELECT participant FROM people WHERE recording = ?)) \
         ORDER BY received_ms, hash",
    )
    .bind(&recording.visit)
    .bind(&recording.group_id)
    .bind(&recording.round)
    .bind(&recording.request)
    .bind(recording.recording.to_string())
    .fetch_all(executor)
    .await?)
}

pub fn recording_row(row: SqliteRow) -> Result<RecordingRow, sqlx::Error> {
    Ok(RecordingRow {
        recording: id(&row, "recording")?,
        visit: row.try_get("visit")?,
        group_id: row.try_get("group_id")?,
        round: row.try_get("round")?,
        request: row.try_get("request")?,
        on_withdrawal: row.try_get("on_withdrawal")?,
        opened_ms: number(&row, "opened_ms")?,
        deletion_requested_ms: optional_number(&row, "deletion_requested_ms")?,
        deletion_declined_ms: optional_number(&row, "deletion_declined_ms")?,
        deletion_decline: row.try_get("deletion_decline")?,
        deletion_granted_ms: optional_number(&row, "deletion_granted_ms")?,
        deletion_basis: row.try_get("deletion_basis")?,
        shares_destroyed_ms: optional_number(&row, "shares_destroyed_ms")?,
        deleted_ms: optional_number(&row, "deleted_ms")?,
        deletion: row.try_get("deletion")?,
    })
}

pub fn part_row(row: SqliteRow) -> Result<PartRow, sqlx::Error> {
    Ok(PartRow {
        recording: id(&row, "recording")?,
        part: row.try_get("part")?,
        open: row.try_get("open")?,
        open_hash: row.try_get("open_hash")?,
        renewal_key: row.try_get("renewal_key")?,
        state: PartState::parse(row.try_get("state")?)?,
        opened_ms: number(&row, "opened_ms")?,
        last_byte_ms: number(&row, "last_byte_ms")?,
        ended_ms: optional_number(&row, "ended_ms")?,
        ending: row.try_get("ending")?,
        receipt: row.try_get("receipt")?,
    })
}

fn track_row(row: SqliteRow) -> Result<TrackRow, sqlx::Error> {
    let head: Option<String> = row.try_get("head")?;
    Ok(TrackRow {
        track: id(&row, "track")?,
        recording: id(&row, "recording")?,
        part: row.try_get("part")?,
        header_hash: hash(&row, "header_hash")?,
        share: row.try_get("share")?,
        upload: match row.try_get("upload")? {
            "none" => UploadState::None,
            "created" => UploadState::Created,
            _ => UploadState::Removed,
        },
        upload_meta: row.try_get("upload_meta")?,
        upload_length: optional_number(&row, "upload_length")?,
        acknowledged: number(&row, "acknowledged")?,
        stored_bytes: number(&row, "stored_bytes")?,
        segments: number(&row, "segments")?,
        head: match head {
            Some(text) => Some(Hash32::parse(&text).ok_or_else(|| unreadable("head"))?),
            None => None,
        },
        media_end_us: number(&row, "media_end_us")?,
    })
}

fn id<T: std::str::FromStr>(row: &SqliteRow, column: &'static str) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    T::from_str(text).map_err(|_| unreadable(column))
}

fn hash(row: &SqliteRow, column: &'static str) -> Result<Hash32, sqlx::Error> {
    Hash32::parse(row.try_get(column)?).ok_or_else(|| unreadable(column))
}

fn number(row: &SqliteRow, column: &'static str) -> Result<u64, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|_| unreadable(column))
}

fn optional_number(row: &SqliteRow, column: &'static str) -> Result<Option<u64>, sqlx::Error> {
    let number: Option<i64> = row.try_get(column)?;
    number
        .map(|number| u64::try_from(number).map_err(|_| unreadable(column)))
        .transpose()
}

fn unreadable(what: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(format!("the database holds an unreadable {what}").into())
}
