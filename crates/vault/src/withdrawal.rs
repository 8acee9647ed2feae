//! `POST /v1/withdrawals`: a participant's signed withdrawal, straight from the page.
//!
//! No bearer token: the signature is the authority. It is recorded whatever a manifest says, also when the vault knows
//! no recording of its round yet: none may be opened any more then. The pass may have expired: who has left may still
//! withdraw. Outsiders cannot end a recording, and no number of withdrawals fills the disk.

use crate::audit::{self, Action, Actor};
use crate::db::Tx;
use crate::deletion::{self, Basis, Effect};
use crate::error::{ApiError, ApiResult, pass_refused};
use crate::extract::Text;
use crate::{Vault, last_words};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse as _;
use sealed_visit_protocol::RecordingId;
use sealed_visit_protocol::bytes::to_base64url;
use sealed_visit_protocol::consent::{
    Statement, StatementClaims, StatementError, StatementKind, WithdrawalWish,
};
use sealed_visit_protocol::jws::Jws;
use sealed_visit_protocol::recording::AuditHeadClaims;
use serde_json::json;
use sqlx::Row as _;
use std::sync::Arc;

pub async fn post(State(vault): State<Arc<Vault>>, Text(body): Text) -> ApiResult {
    let recorded = record(&vault, &Jws::from_text(body.trim())).await?;
    for recording in &recorded.granted {
        deletion::carry_out(&vault, *recording).await;
    }
    let mut recordings = Vec::with_capacity(recorded.affected.len());
    for recording in recorded.affected {
        let row = vault.db.recording(recording).await?;
        recordings.push(json!({
            "recording": recording,
            "deletion": row.as_ref().map(deletion::state_of),
        }));
    }
    let answer = json!({ "recordings": recordings, "audit_head": recorded.audit_head });
    Ok(Json(answer).into_response())
}

/// What a withdrawal did.
pub struct Recorded {
    /// The recordings of its round.
    pub affected: Vec<RecordingId>,
    /// Those whose deletion it granted: the caller carries that out.
    pub granted: Vec<RecordingId>,
    pub audit_head: Jws<AuditHeadClaims>,
}

/// Verifies a withdrawal and records it, once, with what it means for the recordings of its round.
pub async fn record(vault: &Vault, jws: &Jws<StatementClaims>) -> ApiResult<Recorded> {
    let statement = verify(vault, jws).await?;
    let now_ms = vault.now_ms();
    let mut tx = vault.db.write().await?;
    let affected = affected_recordings(&mut tx, &statement).await?;
    last_words::note(&mut tx, jws).await?;
    let is_news = match &affected[..] {
        [] => is_news_of_unknown(&mut tx, &statement).await?,
        affected => affected.iter().any(|one| one.is_news),
    };
    if is_news || has_room(&mut tx, &statement).await? {
        insert(&mut tx, &statement, now_ms).await?;
    }
    let mut granted = Vec::new();
    if is_news && affected.is_empty() {
        // Nothing happened to any recording: made-up rounds must not fill the log.
        forget_older_unknown_rounds(&mut tx, &statement).await?;
    }
    for one in affected.iter().filter(|one| one.is_news) {
        let Affected {
            recording, effect, ..
        } = *one;
        let action = Action::Withdrawn;
        log(&mut tx, &statement, action, recording, now_ms).await?;
        if effect != Effect::Keeps && deletion::request(&mut tx, recording, now_ms).await? {
            let action = Action::DeletionRequested;
            log(&mut tx, &statement, action, recording, now_ms).await?;
        }
        if effect == Effect::Deletes && vault.config.delete_on_withdrawal {
            let basis = Basis::Withdrawal(jws.clone());
            let actor = actor_of(&statement);
            if deletion::grant(&mut tx, recording, &basis, actor, now_ms).await? {
                granted.push(recording);
            }
        }
        tracing::info!(%recording, ?effect, "withdrawn");
    }
    let audit_head = audit::signed_head(&mut tx, vault.key(), now_ms).await?;
    tx.commit().await?;
    Ok(Recorded {
        affected: affected.into_iter().map(|one| one.recording).collect(),
        granted,
        audit_head,
    })
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

/// Whether a withdrawal from a round of which the vault knows no recording is its author's first under its request, or the
/// first with the wish to delete.
async fn is_news_of_unknown(tx: &mut Tx, statement: &Statement) -> ApiResult<bool> {
    let claims = statement.claims();
    let wishes: Vec<Option<String>> = sqlx::query_scalar(
        "SELECT wish FROM withdrawals WHERE visit = ? AND group_id = ? AND round = ? AND participant = ? AND request = ?",
    )
    .bind(claims.visit.to_string())
    .bind(to_base64url(&claims.group_id.0))
    .bind(claims.round.to_string())
    .bind(statement.participant().to_string())
    .bind(claims.request.to_string())
    .fetch_all(&mut **tx)
    .await?;
    let deletes = |wish: &Option<String>| wish.as_deref() == Some("delete");
    Ok(wishes.is_empty() || (wishes_deletion(claims) && !wishes.iter().any(deletes)))
}

fn wishes_deletion(claims: &StatementClaims) -> bool {
    claims.wish == Some(WithdrawalWish::Delete)
}

/// Further ones are kept as evidence, a few of each author and round.
async fn has_room(tx: &mut Tx, statement: &Statement) -> ApiResult<bool> {
    const ENOUGH: i64 = 8;
    let claims = statement.claims();
    let known: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM withdrawals WHERE visit = ? AND group_id = ? AND round = ? AND participant = ?",
    )
    .bind(claims.visit.to_string())
    .bind(to_base64url(&claims.group_id.0))
    .bind(claims.round.to_string())
    .bind(statement.participant().to_string())
    .fetch_one(&mut **tx)
    .await?;
    Ok(known < ENOUGH)
}

/// Withdrawals from rounds of which the vault knows no recording: of each author the newest ones are kept. Nobody but the
/// author of one can push it out, and a grant stays overridden all the same ([`last_words`]).
async fn forget_older_unknown_rounds(tx: &mut Tx, statement: &Statement) -> ApiResult<()> {
    const KEPT: i64 = 64;
    sqlx::query(
        "DELETE FROM withdrawals WHERE hash IN ( \
           SELECT hash FROM withdrawals AS old WHERE visit = ? AND participant = ? AND NOT EXISTS ( \
             SELECT 1 FROM recordings WHERE recordings.visit = old.visit \
             AND recordings.group_id = old.group_id AND recordings.round = old.round) \
           ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
    )
    .bind(statement.claims().visit.to_string())
    .bind(statement.participant().to_string())
    .bind(KEPT)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn insert(tx: &mut Tx, statement: &Statement, now_ms: u64) -> ApiResult<()> {
    let claims = statement.claims();
    sqlx::query(
        "INSERT INTO withdrawals \
         (hash, visit, group_id, round, participant, request, statement, wish, received_ms) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING",
    )
    .bind(statement.jws().hash().to_string())
    .bind(claims.visit.to_string())
    .bind(to_base64url(&claims.group_id.0))
    .bind(claims.round.to_string())
    .bind(statement.participant().to_string())
    .bind(claims.request.to_string())
    .bind(statement.jws().as_str())
    .bind(claims.wish.map(|wish| match wish {
        WithdrawalWish::Keep => "keep",
        WithdrawalWish::Delete => "delete",
    }))
    .bind(now_ms as i64)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

struct Affected {
    recording: RecordingId,
    /// What the consent text, or the person, says about what was recorded until now.
    effect: Effect,
    /// Its author has withdrawn from this recording for the first time, or for the first time with the wish to delete.
    /// Nothing else changes anything, and what changes something is never refused. A withdrawal that names a request which
    /// its author was not shown changed nothing then, and takes nothing away from a later one.
    is_news: bool,
}

/// The recordings of the round, if its author takes part in them: is named in an open statement, or was shown the very
/// request that they stand on, as somebody who joined during a part was. The request travels inside the group, and sealed
/// to those whom the host asks in the waiting room; a mere pass holder does not know it.
async fn affected_recordings(tx: &mut Tx, statement: &Statement) -> ApiResult<Vec<Affected>> {
    let claims = statement.claims();
    let rows = sqlx::query(
        "SELECT recording, on_withdrawal, takes_part, COUNT(withdrawals.hash) AS earlier, \
           COUNT(CASE WHEN wish = 'delete' THEN 1 END) AS earlier_wishes FROM ( \
             SELECT *, is_named OR request = ?1 AS takes_part FROM ( \
               SELECT *, EXISTS (SELECT 1 FROM people WHERE people.recording = recordings.recording \
                 AND participant = ?2) AS is_named \
               FROM recordings WHERE visit = ?3 AND group_id = ?4 AND round = ?5)) AS known \
         LEFT JOIN withdrawals ON withdrawals.visit = ?3 AND withdrawals.group_id = ?4 AND withdrawals.round = ?5 \
           AND withdrawals.participant = ?2 AND (is_named OR withdrawals.request = known.request) \
         GROUP BY recording",
    )
    .bind(claims.request.to_string())
    .bind(statement.participant().to_string())
    .bind(claims.visit.to_string())
    .bind(to_base64url(&claims.group_id.0))
    .bind(claims.round.to_string())
    .fetch_all(&mut **tx)
    .await?;
    let mut affected = Vec::with_capacity(rows.len());
    for row in &rows {
        let id: &str = row.try_get("recording")?;
        if row.try_get("takes_part")? {
            let earlier: i64 = row.try_get("earlier")?;
            let earlier_wishes: i64 = row.try_get("earlier_wishes")?;
            affected.push(Affected {
                recording: id.parse().map_err(ApiError::internal)?,
                is_news: earlier == 0 || (wishes_deletion(claims) && earlier_wishes == 0),
                effect: deletion::effect_of(row.try_get("on_withdrawal")?, claims.wish),
            });
        }
    }
    if affected.is_empty() && !rows.is_empty() {
        return Err(ApiError::forbidden(
            "not_in_recording",
            "the signer of this withdrawal is not in the recordings of this round",
        ));
    }
    Ok(affected)
}

fn actor_of(statement: &Statement) -> Actor {
    Actor::Participant {
        participant: statement.participant().to_string(),
    }
}

async fn log(
    tx: &mut Tx,
    statement: &Statement,
    action: Action,
    recording: RecordingId,
    at_ms: u64,
) -> ApiResult<()> {
    let event = audit::Event::new(at_ms, actor_of(statement), action, recording);
    audit::append(tx, event.on(statement.jws().hash())).await
}
