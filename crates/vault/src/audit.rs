//! The audit log: append-only rows, each bound to the one before by a hash chain.
//!
//! Entry `n` is a JSON text that names its number and the hash of entry `n - 1`; its own hash is SHA-256 over
//! `sealed-visit vault audit v1`, a zero byte and that text. Invariant: an action that must leave a trace commits in
//! one transaction with its row, or does not happen.

use crate::db::{Db, Tx};
use crate::error::ApiResult;
use sealed_visit_protocol::{Hash32, RecordingId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// An open statement was accepted, shares and a capability went out.
    PartOpened,
    /// The same statement came again; shares that are not in use yet went out again.
    PartOpenedAgain,
    PartFinished,
    PartClosedUnfinished,
    /// The device came back with more bytes of a part that was closed as unfinished.
    PartContinued,
    UploadTerminated,
    Withdrawn,
    DeletionRequested,
    /// Shares and download URLs were handed to a reader.
    Opened,
    /// A device let go of its spool at the clinic's order.
    SpoolWiped,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// Somebody who showed a capability, or a statement signed by this participant.
    Participant {
        participant: String,
    },
    Recorder,
    /// A reader, by the label of its token.
    Reader {
        label: String,
    },
    /// The vault by itself.
    Vault,
}

/// One entry, in the order in which it is serialised and hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub v: u32,
    pub seq: u64,
    pub at_ms: u64,
    pub actor: Actor,
    pub action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<RecordingId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// Hash of the signed document that the action stands on, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Hash32>,
    /// Hash of the entry before; all zero for the first.
    pub previous: Hash32,
}

/// An action that is about to be logged.
#[derive(Debug, Clone)]
pub struct Event {
    pub at_ms: u64,
    pub actor: Actor,
    pub action: Action,
    pub recording: Option<RecordingId>,
    pub part: Option<u32>,
    pub document: Option<Hash32>,
}

/// An entry as stored: the text, and the hash that the next one names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEntry {
    pub entry: String,
    pub hash: Hash32,
}

/// Appends within a transaction that holds the write lock.
pub async fn append(tx: &mut Tx, event: Event) -> ApiResult<()> {
    let last = sqlx::query("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
        .fetch_optional(&mut **tx)
        .await?;
    let (seq, previous) = match last {
        Some(row) => (
            row.try_get::<i64, _>("seq")? as u64 + 1,
            parse_hash(row.try_get("hash")?)?,
        ),
        None => (0, Hash32([0; 32])),
    };
    let entry = Entry {
        v: 1,
        seq,
        at_ms: event.at_ms,
        actor: event.actor,
        action: event.action,
        recording: event.recording,
        part: event.part,
        document: event.document,
        previous,
    };
    let text = serde_json::to_string(&entry).map_err(crate::error::ApiError::internal)?;
    sqlx::query("INSERT INTO audit (seq, entry, hash) VALUES (?, ?, ?)")
        .bind(seq as i64)
        .bind(&text)
        .bind(hash_of(&text).to_string())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Whether this action on this document was logged for the part before.
pub async fn has(tx: &mut Tx, event: &Event) -> ApiResult<bool> {
    let action = serde_json::to_value(event.action).map_err(crate::error::ApiError::internal)?;
    let count: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM audit WHERE json_extract(entry, '$.action') = ? \
         AND json_extract(entry, '$.recording') = ? AND json_extract(entry, '$.part') = ? \
         AND json_extract(entry, '$.document') = ?",
    )
    .bind(action.as_str().unwrap_or_default().to_owned())
    .bind(event.recording.map(|recording| recording.to_string()))
    .bind(event.part)
    .bind(event.document.map(|document| document.to_string()))
    .fetch_one(&mut **tx)
    .await?;
    Ok(count > 0)
}

/// Entries from number `from` on, at most `limit`.
pub async fn read(db: &Db, from: u64, limit: u32) -> ApiResult<Vec<StoredEntry>> {
    let rows = sqlx::query("SELECT entry, hash FROM audit WHERE seq >= ? ORDER BY seq LIMIT ?")
        .bind(i64::try_from(from).unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(db.pool())
        .await?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        entries.push(StoredEntry {
            entry: row.try_get("entry")?,
            hash: parse_hash(row.try_get("hash")?)?,
        });
    }
    Ok(entries)
}

/// Why a log is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    #[error("audit entry {0} is not the text that was hashed")]
    Changed(u64),
    #[error("audit entry {0} does not follow the entry before it")]
    Broken(u64),
    #[error("audit entry {0} cannot be read")]
    Unreadable(u64),
}

/// Follows a chain, entry by entry.
#[derive(Debug, Clone)]
pub struct Chain {
    next: u64,
    head: Hash32,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            next: 0,
            head: Hash32([0; 32]),
        }
    }
}

impl Chain {
    /// Checks that `stored` is the next entry.
    pub fn follow(&mut self, stored: &StoredEntry) -> Result<Entry, AuditError> {
        let seq = self.next;
        if hash_of(&stored.entry) != stored.hash {
            return Err(AuditError::Changed(seq));
        }
        let entry: Entry =
            serde_json::from_str(&stored.entry).map_err(|_| AuditError::Unreadable(seq))?;
        if entry.seq != seq || entry.previous != self.head {
            return Err(AuditError::Broken(seq));
        }
        self.next += 1;
        self.head = stored.hash;
        Ok(entry)
    }

    /// How many entries were followed.
    pub fn len(&self) -> u64 {
        self.next
    }

    pub fn is_empty(&self) -> bool {
        self.next == 0
    }

    pub fn head(&self) -> Hash32 {
        self.head
    }
}

/// Follows the whole log.
pub async fn verify(db: &Db) -> anyhow::Result<Chain> {
    const PAGE: u32 = 1000;
    let mut chain = Chain::default();
    loop {
        let page = read(db, chain.len(), PAGE)
            .await
            .map_err(|error| anyhow::anyhow!("{}", error.message))?;
        for stored in &page {
            chain.follow(stored)?;
        }
        if page.len() < PAGE as usize {
            return Ok(chain);
        }
    }
}

fn hash_of(text: &str) -> Hash32 {
    let mut hasher = Sha256::new();
    hasher.update(b"sealed-visit vault audit v1\0");
    hasher.update(text.as_bytes());
    Hash32(hasher.finalize().into())
}

fn parse_hash(text: &str) -> ApiResult<Hash32> {
    Hash32::parse(text)
        .ok_or_else(|| crate::error::ApiError::internal("the database holds an unreadable hash"))
}
