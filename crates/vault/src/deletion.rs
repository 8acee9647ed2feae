//! Deletion: requested, granted, carried out.
//!
//! | step | by | from then on |
//! |---|---|---|
//! | requested | a withdrawal with the wish to delete, or under terms that delete | nobody opens or downloads; no new part |
//! | declined | the clinic's decision, under terms that keep ([`crate::decline`]) | opened as before, until somebody else asks |
//! | granted | the same withdrawal, where the consent said that it deletes; else, or besides, the clinic's order | no byte, envelope or manifest is taken |
//! | shares destroyed | the vault | every copy that was never opened is unreadable, backups of tracks included |
//! | deleted | the vault | the bytes are gone, too |
//!
//! There is one way through it, [`carry_out`]. The shares go first, then the bytes; each logs its intent in a transaction
//! of its own before, and its outcome after, so that the log tells what a crash left half done. The next start, and a
//! task that looks every few seconds, finishes it. Signed documents stay, as evidence of what was deleted and why.
//!
//! When the shares are gone, the vault signs a deletion record. Devices that still hold a spool of the recording get it
//! instead of a receipt, and let go.

use crate::audit::{self, Action, Actor};
use crate::db::{RecordingRow, Tx};
use crate::ending::{destroy_all, hold_all};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Path, Text};
use crate::staging::key_of;
use crate::{Vault, capability};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse as _;
use http::{HeaderMap, StatusCode};
use sealed_visit_protocol::consent::{StatementClaims, WithdrawalWish};
use sealed_visit_protocol::jws::Jws;
use sealed_visit_protocol::recording::{DeletionClaims, WipeClaims, WipeReason};
use sealed_visit_protocol::{Hash32, RecordingId, VERSION};
use serde_json::json;
use sqlx::Row as _;
use std::sync::Arc;
use std::time::Duration;

/// What grants a deletion.
pub enum Basis {
    Withdrawal(Jws<StatementClaims>),
    Order(Jws<WipeClaims>),
}

impl Basis {
    fn text(&self) -> &str {
        match self {
            Basis::Withdrawal(jws) => jws.as_str(),
            Basis::Order(jws) => jws.as_str(),
        }
    }

    fn hash(&self) -> Hash32 {
        match self {
            Basis::Withdrawal(jws) => jws.hash(),
            Basis::Order(jws) => jws.hash(),
        }
    }

    /// Of a stored document, which was verified before it was stored.
    fn of_stored(text: &str) -> Self {
        let statement = Jws::<StatementClaims>::from_text(text);
        if statement.unverified_claims().is_ok() {
            Basis::Withdrawal(statement)
        } else {
            Basis::Order(Jws::from_text(text))
        }
    }
}

/// Whether a withdrawal asks for deletion, and whether it grants it at once: where the consent said that a withdrawal
/// deletes, or that the person decides. Terms that keep were agreed to; there the wish is one, and the clinic decides.
pub fn effect_of(policy: &str, wish: Option<WithdrawalWish>) -> Effect {
    match (policy, wish) {
        ("delete", _) | ("ask", Some(WithdrawalWish::Delete)) => Effect::Deletes,
        (_, Some(WithdrawalWish::Delete)) => Effect::Asks,
        _ => Effect::Keeps,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Keeps,
    Asks,
    Deletes,
}

/// Notes a request: the first one, and the first one after the clinic has declined what was asked before.
pub async fn request(tx: &mut Tx, recording: RecordingId, now_ms: u64) -> ApiResult<bool> {
    let noted = sqlx::query(
        "UPDATE recordings SET deletion_requested_ms = ?, deletion_declined_ms = NULL \
         WHERE recording = ? AND (deletion_requested_ms IS NULL OR deletion_declined_ms IS NOT NULL)",
    )
    .bind(now_ms as i64)
    .bind(recording.to_string())
    .execute(&mut **tx)
    .await?;
    Ok(noted.rows_affected() > 0)
}

/// Grants the deletion and logs it, once; false when it was granted before.
pub async fn grant(
    tx: &mut Tx,
    recording: RecordingId,
    basis: &Basis,
    actor: Actor,
    now_ms: u64,
) -> ApiResult<bool> {
    let granted = sqlx::query(
        "UPDATE recordings SET deletion_granted_ms = ?, deletion_basis = ?, \
         deletion_requested_ms = COALESCE(deletion_requested_ms, ?) \
         WHERE recording = ? AND deletion_granted_ms IS NULL",
    )
    .bind(now_ms as i64)
    .bind(basis.text())
    .bind(now_ms as i64)
    .bind(recording.to_string())
    .execute(&mut **tx)
    .await?;
    if granted.rows_affected() == 0 {
        return Ok(false);
    }
    let event = audit::Event::new(now_ms, actor, Action::DeletionGranted, recording);
    audit::append(tx, event.on(basis.hash())).await?;
    Ok(true)
}

/// Refuses what would read a recording, or begin a part of it, once its deletion is requested and until that is declined.
pub fn refuse_requested(row: &RecordingRow) -> ApiResult<()> {
    refuse_granted(row)?;
    match (row.deletion_requested_ms, row.deletion_declined_ms) {
        (None, _) | (_, Some(_)) => Ok(()),
        (Some(_), None) => Err(ApiError::forbidden(
            "deletion_requested",
            format!(
                "deletion of recording {} was requested: nobody can open it until the clinic decides",
                row.recording
            ),
        )),
    }
}

/// Refuses what would add to a recording once its deletion is granted.
pub fn refuse_granted(row: &RecordingRow) -> ApiResult<()> {
    match row.deletion_granted_ms {
        None => Ok(()),
        Some(_) => Err(ApiError::new(
            StatusCode::GONE,
            "recording_deleted",
            format!("recording {} is deleted", row.recording),
        )),
    }
}

/// The recording as this transaction sees it.
pub async fn row_in(tx: &mut Tx, recording: RecordingId) -> ApiResult<RecordingRow> {
    let row = sqlx::query("SELECT * FROM recordings WHERE recording = ?")
        .bind(recording.to_string())
        .fetch_optional(&mut **tx)
        .await?
        .ok_or_else(|| unknown(recording))?;
    Ok(crate::db::recording_row(row)?)
}

/// As [`refuse_granted`], looking the recording up.
pub async fn refuse_if_granted(vault: &Vault, recording: RecordingId) -> ApiResult<()> {
    match vault.db.recording(recording).await? {
        Some(row) => refuse_granted(&row),
        None => Ok(()),
    }
}

/// `POST /v1/deletions`: the clinic's order, signed by its root key with the reason `deletion_granted`.
pub async fn post(State(vault): State<Arc<Vault>>, Text(body): Text) -> ApiResult {
    let order = Jws::<WipeClaims>::from_text(body.trim());
    let recordings = obey(&vault, &order).await?;
    let mut states = Vec::with_capacity(recordings.len());
    for recording in recordings {
        let row = vault.db.recording(recording).await?;
        states.push(json!({
            "recording": recording,
            "deletion": row.as_ref().map(state_of),
        }));
    }
    Ok(Json(json!({ "recordings": states })).into_response())
}

/// Grants what an order names, and begins to carry it out. Recordings that the vault does not know are left out.
pub async fn obey(vault: &Arc<Vault>, order: &Jws<WipeClaims>) -> ApiResult<Vec<RecordingId>> {
    let claims = WipeClaims::verify(order, vault.clinic.root())?;
    if claims.reason != WipeReason::DeletionGranted {
        return Err(ApiError::unprocessable(
            "not_a_deletion",
            "the order is for devices and grants no deletion",
        ));
    }
    let now_ms = vault.now_ms();
    let basis = Basis::Order(order.clone());
    let mut known = Vec::new();
    let mut tx = vault.db.write().await?;
    for recording in &claims.recordings {
        let exists: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM recordings WHERE recording = ?")
            .bind(recording.to_string())
            .fetch_one(&mut *tx)
            .await?;
        if exists > 0 {
            grant(&mut tx, *recording, &basis, Actor::Clinic, now_ms).await?;
            known.push(*recording);
        }
    }
    tx.commit().await?;
    for recording in &known {
        carry_out(vault, *recording).await;
    }
    Ok(known)
}

/// `GET /v1/recordings/{recording}/deletion`: the deletion record, for a device that holds, or held, a capability for a
/// part of it, and for readers.
pub async fn get(
    State(vault): State<Arc<Vault>>,
    Path(recording): Path<RecordingId>,
    request: HeaderMap,
) -> ApiResult {
    if vault.readers.require(&request).is_err() {
        capability::require_ever(vault.key(), &request, recording)?;
    }
    let row = vault
        .db
        .recording(recording)
        .await?
        .ok_or_else(|| unknown(recording))?;
    match row.deletion {
        Some(deletion) => Ok(Json(json!({ "deletion": deletion })).into_response()),
        None => Err(ApiError::conflict(
            "not_deleted",
            "the vault has not destroyed the recording's shares",
        )),
    }
}

/// `none`, `requested`, `declined`, `granted`, `shares_destroyed` or `deleted`.
pub fn state_of(row: &RecordingRow) -> &'static str {
    if row.deleted_ms.is_some() {
        "deleted"
    } else if row.shares_destroyed_ms.is_some() {
        "shares_destroyed"
    } else if row.deletion_granted_ms.is_some() {
        "granted"
    } else if row.deletion_declined_ms.is_some() {
        "declined"
    } else if row.deletion_requested_ms.is_some() {
        "requested"
    } else {
        "none"
    }
}

/// Carries out a granted deletion: the shares at once, the bytes in a task of their own, as soon as whoever is writing
/// some has noticed. What fails is tried again by [`resume`].
pub async fn carry_out(vault: &Arc<Vault>, recording: RecordingId) {
    if let Err(error) = destroy_shares(vault, recording).await {
        tracing::error!(%recording, code = error.code, "cannot destroy the shares yet");
        return;
    }
    let vault = vault.clone();
    tokio::spawn(async move {
        if let Err(error) = destroy_bytes(&vault, recording).await {
            tracing::error!(%recording, code = error.code, "cannot delete the bytes yet");
        }
    });
}

/// Grants what earlier versions only noted, and finishes every deletion that was granted. One that fails keeps no other
/// from being finished; the first failure is returned, and the next call tries again.
pub async fn resume(vault: &Vault) -> ApiResult<()> {
    let mut failures = Vec::new();
    if vault.config.delete_on_withdrawal {
        failures.extend(grant_noted(vault).await.err());
    }
    let due = sqlx::query_scalar::<_, String>(
        "SELECT recording FROM recordings WHERE deletion_granted_ms IS NOT NULL AND deleted_ms IS NULL",
    )
    .fetch_all(vault.db.pool())
    .await?;
    let mut recordings = Vec::with_capacity(due.len());
    for id in due {
        match id.parse::<RecordingId>() {
            Ok(recording) => recordings.push(recording),
            Err(error) => failures.push(ApiError::internal(error)),
        }
    }
    // The shares of all before the bytes of any: without its share nobody reads a recording, and bytes may take long.
    for recording in &recordings {
        if let Err(error) = destroy_shares(vault, *recording).await {
            tracing::error!(%recording, code = error.code, "cannot destroy the shares yet");
            failures.push(error);
        }
    }
    for recording in &recordings {
        if let Err(error) = destroy_bytes(vault, *recording).await {
            tracing::error!(%recording, code = error.code, "cannot delete the bytes yet");
            failures.push(error);
        }
    }
    match failures.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Finishes deletions, again and again; does not return.
pub async fn resume_forever(vault: Arc<Vault>) {
    const PERIOD: Duration = Duration::from_secs(5);
    loop {
        tokio::time::sleep(PERIOD).await;
        if let Err(error) = resume(&vault).await {
            tracing::error!(code = error.code, "a deletion is not finished yet");
        }
    }
}

/// Withdrawals that delete, by people of recordings where that was requested and not granted. An earlier version noted such
/// a request from anybody with a pass of the visit.
async fn grant_noted(vault: &Vault) -> ApiResult<()> {
    let rows = sqlx::query(
        "SELECT recordings.recording AS recording, on_withdrawal, statement, wish FROM recordings \
         JOIN withdrawals USING (visit, group_id, round) \
         WHERE deletion_requested_ms IS NOT NULL AND deletion_granted_ms IS NULL \
         AND (withdrawals.request = recordings.request OR EXISTS (SELECT 1 FROM people \
           WHERE people.recording = recordings.recording AND people.participant = withdrawals.participant)) \
         ORDER BY received_ms",
    )
    .fetch_all(vault.db.pool())
    .await?;
    for row in rows {
        let wish: Option<&str> = row.try_get("wish")?;
        let wish = match wish {
            Some("delete") => Some(WithdrawalWish::Delete),
            Some(_) => Some(WithdrawalWish::Keep),
            None => None,
        };
        if effect_of(row.try_get("on_withdrawal")?, wish) != Effect::Deletes {
            continue;
        }
        let id: &str = row.try_get("recording")?;
        let basis = Basis::Withdrawal(Jws::from_text(row.try_get::<&str, _>("statement")?));
        let mut tx = vault.db.write().await?;
        let now_ms = vault.now_ms();
        let recording = id.parse().map_err(ApiError::internal)?;
        grant(&mut tx, recording, &basis, Actor::Vault, now_ms).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Destroys shares and wrapped keys in rows, pages and write-ahead log, then signs the deletion record.
async fn destroy_shares(vault: &Vault, recording: RecordingId) -> ApiResult<()> {
    let _alone = vault.deleting.lock().await;
    let Some((row, basis)) = granted(vault, recording).await? else {
        return Ok(());
    };
    if row.shares_destroyed_ms.is_some() {
        return Ok(());
    }
    log_once(vault, Action::SharesDestroying, recording, &basis).await?;
    let mut tx = vault.db.write().await?;
    sqlx::query("UPDATE tracks SET share = NULL WHERE recording = ?")
        .bind(recording.to_string())
        .execute(&mut *tx)
        .await?;
    // Their hashes stand in receipts, and stay.
    sqlx::query(
        "UPDATE envelopes SET envelope = '' \
         WHERE track IN (SELECT track FROM tracks WHERE recording = ?)",
    )
    .bind(recording.to_string())
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    vault.db.forget_overwritten().await?;
    let now_ms = vault.now_ms();
    let record = deletion_record(vault, recording, &basis, now_ms);
    let mut tx = vault.db.write().await?;
    sqlx::query("UPDATE recordings SET shares_destroyed_ms = ?, deletion = ? WHERE recording = ?")
        .bind(now_ms as i64)
        .bind(record.as_str())
        .bind(recording.to_string())
        .execute(&mut *tx)
        .await?;
    let event = audit::Event::new(now_ms, Actor::Vault, Action::SharesDestroyed, recording);
    audit::append(&mut tx, event.on(basis.hash())).await?;
    tx.commit().await?;
    tracing::info!(%recording, "shares destroyed");
    Ok(())
}

/// Deletes what staging folder and store hold.
async fn destroy_bytes(vault: &Vault, recording: RecordingId) -> ApiResult<()> {
    // Outside the lock: whoever writes may take a while to notice.
    let Some((row, basis)) = granted(vault, recording).await? else {
        return Ok(());
    };
    if row.shares_destroyed_ms.is_none() || row.deleted_ms.is_some() {
        return Ok(());
    }
    log_once(vault, Action::BytesDestroying, recording, &basis).await?;
    for part in vault.db.parts(recording).await? {
        let mut tracks = hold_all(vault, recording, part.part).await?;
        for track in &tracks {
            vault.store.delete(&key_of(&track.row)).await?;
        }
        destroy_all(vault, &mut tracks)?;
        sqlx::query(
            "UPDATE tracks SET upload = 'removed', upload_meta = NULL, acknowledged = 0, stored_bytes = 0 \
             WHERE recording = ? AND part = ?",
        )
        .bind(recording.to_string())
        .bind(part.part)
        .execute(vault.db.pool())
        .await?;
    }
    vault.store.delete_rest(recording).await?;
    vault.staging.sync_folder().await?;
    let _alone = vault.deleting.lock().await;
    let now_ms = vault.now_ms();
    let mut tx = vault.db.write().await?;
    if row_in(&mut tx, recording).await?.deleted_ms.is_none() {
        sqlx::query("UPDATE recordings SET deleted_ms = ? WHERE recording = ?")
            .bind(now_ms as i64)
            .bind(recording.to_string())
            .execute(&mut *tx)
            .await?;
        let event = audit::Event::new(now_ms, Actor::Vault, Action::BytesDestroyed, recording);
        audit::append(&mut tx, event.on(basis.hash())).await?;
        tracing::info!(%recording, "bytes deleted");
    }
    Ok(tx.commit().await?)
}

async fn granted(
    vault: &Vault,
    recording: RecordingId,
) -> ApiResult<Option<(RecordingRow, Basis)>> {
    let row = vault.db.recording(recording).await?;
    Ok(row.and_then(|row| {
        let basis = Basis::of_stored(row.deletion_basis.as_deref()?);
        Some((row, basis))
    }))
}

fn deletion_record(
    vault: &Vault,
    recording: RecordingId,
    basis: &Basis,
    at_ms: u64,
) -> Jws<DeletionClaims> {
    let (withdrawal, order) = match basis {
        Basis::Withdrawal(statement) => (Some(statement.clone()), None),
        Basis::Order(order) => (None, Some(order.clone())),
    };
    vault.key().sign(&DeletionClaims {
        v: VERSION,
        recording,
        withdrawal,
        order,
        at_ms,
    })
}

/// An intent that a crash may make the vault state again.
async fn log_once(
    vault: &Vault,
    action: Action,
    recording: RecordingId,
    basis: &Basis,
) -> ApiResult<()> {
    let mut tx = vault.db.write().await?;
    let event = audit::Event::new(vault.now_ms(), Actor::Vault, action, recording);
    let event = event.on(basis.hash());
    if !audit::has(&mut tx, &event).await? {
        audit::append(&mut tx, event).await?;
    }
    Ok(tx.commit().await?)
}

fn unknown(recording: RecordingId) -> ApiError {
    ApiError::not_found(format!("the vault knows no recording {recording}"))
}
