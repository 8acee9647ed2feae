//! The audit log: append-only rows, each bound to the one before by a hash chain.
//!
//! Entry `n` is a JSON text that names its number and the hash of entry `n - 1`; its own hash is SHA-256 over
//! `sealed-visit vault audit v1`, a zero byte and that text. The chain shows what was changed in place; signed heads, in
//! receipts and answers, show what was cut out before the chain was computed again. Invariant: an action that must leave a trace commits in
//! one transaction with its row, or does not happen.

use crate::db::{Db, Tx};
use crate::error::ApiResult;
use sealed_visit_protocol::recording::AuditHeadClaims;
pub use sealed_visit_protocol::recording::{AuditError, Chain, StoredEntry};
use sealed_visit_protocol::{Hash32, Jws, RecordingId, SigningKey};
use serde::{Deserialize, Serialize};
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
    /// The clinic keeps the recording although somebody asked for its deletion.
    DeletionDeclined,
    /// From here on nothing of the recording is taken or given.
    DeletionGranted,
    /// The vault is about to destroy the recording's shares and wrapped keys.
    SharesDestroying,
    /// They are gone from the database and its log.
    SharesDestroyed,
    /// The vault is about to delete the recording's bytes.
    BytesDestroying,
    /// They are gone from staging folder and store.
    BytesDestroyed,
    /// The device that made a part got a new upload capability.
    CapabilityRenewed,
    /// Shares and download URLs were handed to a reader.
    Opened,
    /// A device let go of its spool at the clinic's order.
    SpoolWiped,
    /// So many requests of this part's capability were refused since the last entry about the part, because there were too
    /// many of their kind. They have no entries of their own.
    RequestsRefused,
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
    /// Somebody with an order that the clinic's root key signed.
    Clinic,
    /// The vault itself.
    Vault,
}

/// One entry, in the order in which it is serialized and hashed.
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
    /// How many, where one entry stands for several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
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
    pub count: Option<u64>,
}

impl Event {
    pub fn new(at_ms: u64, actor: Actor, action: Action, recording: RecordingId) -> Self {
        Self {
            at_ms,
            actor,
            action,
            recording: Some(recording),
            part: None,
            document: None,
            count: None,
        }
    }

    pub fn in_part(self, part: u32) -> Self {
        Self {
            part: Some(part),
            ..self
        }
    }

    /// Stands on this signed document.
    pub fn on(self, document: Hash32) -> Self {
        Self {
            document: Some(document),
            ..self
        }
    }
}

/// Appends within a transaction that holds the write lock; before an entry about a part, what was refused of it since.
pub async fn append(tx: &mut Tx, event: Event) -> ApiResult<()> {
    if let (Some(recording), Some(part)) = (event.recording, event.part) {
        append_refusals(tx, recording, part, event.at_ms).await?;
    }
    append_one(tx, event).await
}

/// How many requests of this part's capability were refused without entries of their own, if there were any.
pub async fn append_refusals(
    tx: &mut Tx,
    recording: RecordingId,
    part: u32,
    at_ms: u64,
) -> ApiResult<()> {
    let refused: Option<i64> = sqlx::query_scalar(
        "SELECT refused FROM parts WHERE recording = ? AND part = ? AND refused > 0",
    )
    .bind(recording.to_string())
    .bind(part)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(refused) = refused else {
        return Ok(());
    };
    sqlx::query("UPDATE parts SET refused = 0 WHERE recording = ? AND part = ?")
        .bind(recording.to_string())
        .bind(part)
        .execute(&mut **tx)
        .await?;
    let event = Event::new(at_ms, Actor::Recorder, Action::RequestsRefused, recording);
    let count = Some(refused.unsigned_abs());
    append_one(
        tx,
        Event {
            count,
            ..event.in_part(part)
        },
    )
    .await
}

async fn append_one(tx: &mut Tx, event: Event) -> ApiResult<()> {
    let (seq, previous) = end(tx).await?;
    let entry = Entry {
        v: 1,
        seq,
        at_ms: event.at_ms,
        actor: event.actor,
        action: event.action,
        recording: event.recording,
        part: event.part,
        document: event.document,
        count: event.count,
        previous,
    };
    let text = serde_json::to_string(&entry).map_err(crate::error::ApiError::internal)?;
    sqlx::query("INSERT INTO audit (seq, entry, hash) VALUES (?, ?, ?)")
        .bind(seq as i64)
        .bind(&text)
        .bind(StoredEntry::hash_of(&text).to_string())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Number of entries, and the hash of the last one, as this transaction sees them.
async fn end(tx: &mut Tx) -> ApiResult<(u64, Hash32)> {
    let last = sqlx::query("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
        .fetch_optional(&mut **tx)
        .await?;
    match last {
        Some(row) => Ok((
            row.try_get::<i64, _>("seq")? as u64 + 1,
            parse_hash(row.try_get("hash")?)?,
        )),
        None => Ok((0, Hash32([0; 32]))),
    }
}

/// The log's head as this transaction leaves it, signed: anyone who keeps it can detect a rewritten log. It must not
/// leave the vault before the transaction is committed.
pub async fn signed_head(
    tx: &mut Tx,
    key: &SigningKey,
    at_ms: u64,
) -> ApiResult<Jws<AuditHeadClaims>> {
    let (size, head) = end(tx).await?;
    Ok(key.sign(&AuditHeadClaims {
        v: 1,
        size,
        head,
        at_ms,
    }))
}

/// Whether this action on this document was logged for the recording, or part, before.
pub async fn has(tx: &mut Tx, event: &Event) -> ApiResult<bool> {
    let action = serde_json::to_value(event.action).map_err(crate::error::ApiError::internal)?;
    Ok(sqlx::query_scalar(HAS)
        .bind(event.document.map(|document| document.to_string()))
        .bind(event.recording.map(|recording| recording.to_string()))
        .bind(action.as_str().unwrap_or_default().to_owned())
        .bind(event.part)
        .fetch_one(&mut **tx)
        .await?)
}

/// With the expressions of the index `audit_by_document`, letter by letter: others would scan the log.
const HAS: &str = "SELECT EXISTS (SELECT 1 FROM audit WHERE json_extract(entry, '$.document') = ? \
     AND json_extract(entry, '$.recording') = ? AND json_extract(entry, '$.action') = ? \
     AND json_extract(entry, '$.part') IS ?)";

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

/// Follows the whole log with `chain`, which may have to pass through heads that the vault signed before.
pub async fn verify(db: &Db, mut chain: Chain) -> anyhow::Result<Chain> {
    const PAGE: u32 = 1000;
    loop {
        let page = read(db, chain.len(), PAGE)
            .await
            .map_err(|error| anyhow::anyhow!("{}", error.message))?;
        for stored in &page {
            chain.follow(stored)?;
        }
        if page.len() < PAGE as usize {
            chain.end()?;
            return Ok(chain);
        }
    }
}

fn parse_hash(text: &str) -> ApiResult<Hash32> {
    Hash32::parse(text)
        .ok_or_else(|| crate::error::ApiError::internal("the database holds an unreadable hash"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whether_something_was_logged_is_found_by_index_however_long_the_log_is() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&folder.path().join("vault.sqlite")).await.unwrap();
        let plan = format!("EXPLAIN QUERY PLAN {HAS}");
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(plan))
            .fetch_all(db.pool())
            .await
            .unwrap();
        let steps: Vec<_> = plan.iter().map(|(.., step)| step.as_str()).collect();
        assert!(
            steps
                .iter()
                .any(|step| step.contains("USING INDEX audit_by_document")),
            "{steps:?}"
        );
        assert!(
            !steps.iter().any(|step| step.contains("SCAN audit")),
            "{steps:?}"
        );

        let event = |part, document| {
            let recording = RecordingId::from_bytes([1; 16]);
            let event = Event::new(1, Actor::Vault, Action::SpoolWiped, recording);
            Event {
                part,
                ..event.on(Hash32([document; 32]))
            }
        };
        let mut tx = db.write().await.unwrap();
        append(&mut tx, event(Some(1), 5)).await.unwrap();
        append(&mut tx, event(None, 6)).await.unwrap();
        for (part, document, known) in [
            (Some(1), 5, true),
            (None, 6, true),
            (None, 5, false),
            (Some(2), 5, false),
            (Some(1), 6, false),
        ] {
            let has = has(&mut tx, &event(part, document)).await.unwrap();
            assert_eq!(has, known, "{part:?} {document}");
        }
    }
}
