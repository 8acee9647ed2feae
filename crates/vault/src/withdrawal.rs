//! `POST /v1/withdrawals`: a participant's signed withdrawal, straight from the page.
//!
//! No bearer token: the signature is the authority. It is recorded whatever a manifest says, also when the vault knows
//! no recording of its round yet: none may be opened any more then. The pass may have expired: who has left may still
//! withdraw.

use crate::Vault;
use crate::audit::{self, Action, Actor};
use crate::db::Tx;
use crate::error::{ApiError, ApiResult, pass_refused};
use crate::extract::Text;
use axum::extract::State;
use axum::response::IntoResponse as _;
use http::StatusCode;
use sealed_visit_protocol::RecordingId;
use sealed_visit_protocol::bytes::to_base64url;
use sealed_visit_protocol::consent::{
    Statement, StatementClaims, StatementError, StatementKind, WithdrawalWish,
};
use sealed_visit_protocol::jws::Jws;
use sqlx::Row as _;
use std::sync::Arc;

pub async fn post(State(vault): State<Arc<Vault>>, Text(body): Text) -> ApiResult {
    record(&vault, &Jws::from_text(body.trim())).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Verifies a withdrawal and records it, once, with what it means for the recordings of its round.
pub async fn record(vault: &Vault, jws: &Jws<StatementClaims>) -> ApiResult<()> {
    let statement = verify(vault, jws).await?;
    let claims = statement.claims();
    let now_ms = vault.now_ms();
    let mut tx = vault.db.write().await?;
    refuse_flood(&mut tx, &statement).await?;
    let inserted = sqlx::query(
        "INSERT INTO withdrawals (hash, visit, group_id, round, participant, statement, wish, received_ms) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING",
    )
    .bind(jws.hash().to_string())
    .bind(claims.visit.to_string())
    .bind(to_base64url(&claims.group_id.0))
    .bind(claims.round.to_string())
    .bind(statement.participant().to_string())
    .bind(jws.as_str())
    .bind(claims.wish.map(|wish| match wish {
        WithdrawalWish::Keep => "keep",
        WithdrawalWish::Delete => "delete",
    }))
    .bind(now_ms as i64)
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(());
    }
    let affected = affected_recordings(&mut tx, &statement).await?;
    if affected.is_empty() {
        log(&mut tx, &statement, Action::Withdrawn, None, now_ms).await?;
    }
    for Affected { recording, deleted } in affected {
        log(
            &mut tx,
            &statement,
            Action::Withdrawn,
            Some(recording),
            now_ms,
        )
        .await?;
        if deleted {
            request_deletion(&mut tx, &statement, recording, now_ms).await?;
        }
        tracing::info!(%recording, deleted, "withdrawn");
    }
    Ok(tx.commit().await?)
}

async fn verify(vault: &Vault, jws: &Jws<StatementClaims>) -> ApiResult<Statement> {
    let clinic = vault.clinic.current().await;
    let unverified = jws.unverified_claims()?;
    let statement = Statement::verify(jws, &clinic, unverified.visit, &unverified.group_id.0)
        .map_err(|error| match error {
            StatementError::Jws(error) => ApiError::from(error),
            StatementError::Pass(error) => pass_refused(error),
            other => ApiError::forbidden("statement_refused", other.to_string()),
        })?;
    if statement.claims().kind != StatementKind::Withdrawal {
        return Err(ApiError::unprocessable(
            "not_a_withdrawal",
            "the statement is a grant or a refusal, not a withdrawal",
        ));
    }
    Ok(statement)
}

/// One is enough, a second may change the wish; nobody needs to fill the vault's disk with them.
async fn refuse_flood(tx: &mut Tx, statement: &Statement) -> ApiResult<()> {
    const ENOUGH: i64 = 8;
    let claims = statement.claims();
    let known: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM withdrawals WHERE visit = ? AND participant = ? AND hash <> ?",
    )
    .bind(claims.visit.to_string())
    .bind(statement.participant().to_string())
    .bind(statement.jws().hash().to_string())
    .fetch_one(&mut **tx)
    .await?;
    if known >= ENOUGH {
        return Err(ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "enough_withdrawals",
            "the vault has recorded several withdrawals of this participant already",
        ));
    }
    Ok(())
}

struct Affected {
    recording: RecordingId,
    /// What the consent text, or the person, says about what was recorded until now.
    deleted: bool,
}

async fn affected_recordings(tx: &mut Tx, statement: &Statement) -> ApiResult<Vec<Affected>> {
    let claims = statement.claims();
    let rows = sqlx::query(
        "SELECT recording, on_withdrawal FROM recordings WHERE visit = ? AND group_id = ? AND round = ?",
    )
    .bind(claims.visit.to_string())
    .bind(to_base64url(&claims.group_id.0))
    .bind(claims.round.to_string())
    .fetch_all(&mut **tx)
    .await?;
    let wished = claims.wish == Some(WithdrawalWish::Delete);
    let mut affected = Vec::with_capacity(rows.len());
    for row in rows {
        let id: &str = row.try_get("recording")?;
        let policy: &str = row.try_get("on_withdrawal")?;
        affected.push(Affected {
            recording: id.parse().map_err(ApiError::internal)?,
            deleted: wished || policy == "delete",
        });
    }
    Ok(affected)
}

async fn request_deletion(
    tx: &mut Tx,
    statement: &Statement,
    recording: RecordingId,
    now_ms: u64,
) -> ApiResult<()> {
    sqlx::query(
        "UPDATE recordings SET deletion_requested_ms = COALESCE(deletion_requested_ms, ?) WHERE recording = ?",
    )
    .bind(now_ms as i64)
    .bind(recording.to_string())
    .execute(&mut **tx)
    .await?;
    log(
        tx,
        statement,
        Action::DeletionRequested,
        Some(recording),
        now_ms,
    )
    .await
}

async fn log(
    tx: &mut Tx,
    statement: &Statement,
    action: Action,
    recording: Option<RecordingId>,
    at_ms: u64,
) -> ApiResult<()> {
    let event = audit::Event {
        at_ms,
        actor: Actor::Participant {
            participant: statement.participant().to_string(),
        },
        action,
        recording,
        part: None,
        document: Some(statement.jws().hash()),
    };
    audit::append(tx, event).await
}
