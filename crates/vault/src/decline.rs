//! `POST /v1/deletions/declined`: the clinic's decision to keep a recording whose deletion somebody wished for, signed by
//! its root key. Opening works again from then on; the wish stays on record, in the withdrawals and in the audit log.
//!
//! Only a wish can be declined. Where the consent said that a withdrawal deletes, or that the person decides, the clinic has
//! promised it. The decision names every wish that it answers, so that it answers no later one: another wish for the
//! first time after it blocks the recording again.

use crate::Vault;
use crate::audit::{self, Action, Actor};
use crate::db::{RecordingRow, Tx, withdrawals_of};
use crate::deletion::{self, Effect};
use crate::error::{ApiError, ApiResult};
use crate::extract::Text;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse as _;
use sealed_visit_protocol::consent::StatementClaims;
use sealed_visit_protocol::jws::Jws;
use sealed_visit_protocol::recording::DeclineClaims;
use serde_json::json;
use std::sync::Arc;

pub async fn post(State(vault): State<Arc<Vault>>, Text(body): Text) -> ApiResult {
    let decision = Jws::<DeclineClaims>::from_text(body.trim());
    let claims = DeclineClaims::verify(&decision, vault.clinic.root())?;
    let now_ms = vault.now_ms();
    let mut tx = vault.db.write().await?;
    let row = deletion::row_in(&mut tx, claims.recording).await?;
    deletion::refuse_granted(&row)?;
    let stands = row.deletion_declined_ms.is_some();
    // A decision that stands is taken again, and changes nothing.
    if !stands || row.deletion_decline.as_deref() != Some(decision.as_str()) {
        check(&mut tx, &row, &claims).await?;
    }
    if !stands {
        write(&mut tx, &decision, &claims, now_ms).await?;
        tracing::info!(recording = %claims.recording, "deletion declined");
    }
    let row = deletion::row_in(&mut tx, claims.recording).await?;
    tx.commit().await?;
    let answer = json!({ "recording": claims.recording, "deletion": deletion::state_of(&row) });
    Ok(Json(answer).into_response())
}

async fn check(tx: &mut Tx, row: &RecordingRow, claims: &DeclineClaims) -> ApiResult<()> {
    if row.deletion_requested_ms.is_none() {
        return Err(ApiError::conflict(
            "deletion_not_requested",
            "nobody has asked for the deletion of this recording",
        ));
    }
    for statement in withdrawals_of(&mut **tx, row).await? {
        let statement = Jws::<StatementClaims>::from_text(&statement);
        let wish = statement.unverified_claims()?.wish;
        match deletion::effect_of(&row.on_withdrawal, wish) {
            Effect::Keeps => {}
            Effect::Deletes => {
                return Err(ApiError::forbidden(
                    "deletion_promised",
                    "under the terms of the consent, this withdrawal deletes the recording; the clinic cannot decline",
                ));
            }
            Effect::Asks if claims.withdrawals.contains(&statement.hash()) => {}
            Effect::Asks => {
                return Err(ApiError::conflict(
                    "wish_not_named",
                    format!(
                        "the decision does not name the withdrawal {}, which asks for deletion",
                        statement.hash()
                    ),
                ));
            }
        }
    }
    Ok(())
}

async fn write(
    tx: &mut Tx,
    decision: &Jws<DeclineClaims>,
    claims: &DeclineClaims,
    now_ms: u64,
) -> ApiResult<()> {
    sqlx::query(
        "UPDATE recordings SET deletion_declined_ms = ?, deletion_decline = ? WHERE recording = ?",
    )
    .bind(now_ms as i64)
    .bind(decision.as_str())
    .bind(claims.recording.to_string())
    .execute(&mut **tx)
    .await?;
    let event = audit::Event::new(
        now_ms,
        Actor::Clinic,
        Action::DeletionDeclined,
        claims.recording,
    );
    audit::append(tx, event.on(decision.hash())).await
}
