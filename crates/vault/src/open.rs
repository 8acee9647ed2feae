//! `POST /v1/recordings`: an open statement in, shares and an upload capability out.
//!
//! Input: the signed open statement, as text, with a proof of possession ([`crate::proof`]). Output: [`VaultAnswer`].
//! Invariants: one statement a part, for good;
//! all parts of a recording stand on one visit and one consent request; a round that anybody withdrew from opens
//! nothing new; a track's share is handed out again only until the track's envelope is durable, so that a stored
//! statement is no key to the share.

use crate::audit::{self, Action};
use crate::db::{PartRow, Tx};
use crate::error::{ApiError, ApiResult, pass_refused};
use crate::extract::Text;
use crate::proof::{self, Shown};
use crate::quota::Repeated;
use crate::{Vault, capability, deletion, last_words, quota};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use sealed_visit_protocol::bytes::{B64, to_base64url};
use sealed_visit_protocol::consent::{RequestClaims, WithdrawalPolicy};
use sealed_visit_protocol::jws::Jws;
use sealed_visit_protocol::recording::{
    AuditHeadClaims, OpenClaims, OpenStatement, ShareGrant, VaultAnswer,
};
use sealed_visit_protocol::{PublicKey, RecordingId, TrackId, VERSION};
use sqlx::Row as _;
use std::sync::Arc;

pub async fn post(
    State(vault): State<Arc<Vault>>,
    request: HeaderMap,
    Text(body): Text,
) -> ApiResult {
    let statement = verify(&vault, &Jws::from_text(body.trim())).await?;
    let claims = statement.claims();
    let (recording, part) = (claims.recording, claims.part);
    let mut tx = vault.db.write().await?;
    let known = known_part(&mut tx, &statement).await?;
    let shown = proof::require(&vault, &mut tx, &request, &statement, known.as_ref()).await?;
    refuse_deleted(&mut tx, claims).await?;
    let answer = match known {
        // Of a finished part the capability still fetches the receipt, should its answer have been lost.
        Some(_) => {
            tx = quota::count(&vault, tx, Repeated::Renewal, recording, part).await?;
            let grants = match &shown {
                Shown::Recorder { renewal_key } => {
                    set_renewal_key(&mut tx, claims, *renewal_key).await?;
                    shares_again(&vault, &mut tx, &statement).await?
                }
                Shown::Device | Shown::Reader(_) => no_shares(&vault, &statement),
            };
            let shares_out = grants.iter().any(|grant| !grant.share.0.is_empty());
            let action = if shares_out {
                check_show_time(&vault, &statement)?;
                Action::PartOpenedAgain
            } else {
                Action::CapabilityRenewed
            };
            log(&vault, &mut tx, &statement, &shown, action).await?;
            (StatusCode::OK, grants)
        }
        None => {
            check_show_time(&vault, &statement)?;
            quota::refuse_part(&vault, &mut tx, claims, statement.recorder().participant()).await?;
            refuse_withdrawn(&mut tx, claims).await?;
            refuse_other_previous(&mut tx, claims).await?;
            for grant in &claims.grants {
                last_words::refuse_overridden(&mut tx, grant).await?;
            }
            insert_recording(&vault, &mut tx, &statement).await?;
            let grants = insert_part(&vault, &mut tx, &statement).await?;
            last_words::note_open(&mut tx, claims).await?;
            if let Shown::Recorder { renewal_key } = &shown {
                set_renewal_key(&mut tx, claims, *renewal_key).await?;
            }
            log(&vault, &mut tx, &statement, &shown, Action::PartOpened).await?;
            tracing::info!(%recording, part, tracks = grants.len(), "part opened");
            (StatusCode::CREATED, grants)
        }
    };
    let audit_head = audit::signed_head(&mut tx, vault.key(), vault.now_ms()).await?;
    // What the answer hands out exists on the disk first.
    tx.commit().await?;
    Ok(respond(&vault, &statement, answer, audit_head))
}

/// Verifies the statement under the clinic document in force.
async fn verify(vault: &Vault, jws: &Jws<OpenClaims>) -> ApiResult<OpenStatement> {
    let clinic = vault.clinic.current().await;
    clinic.check_time(vault.now_ms()).map_err(|error| {
        tracing::error!(%error, "recordings are refused");
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "clinic_document_not_valid",
            error.to_string(),
        )
    })?;
    let statement = OpenStatement::verify(jws, &clinic)
        .inspect_err(|error| tracing::warn!(%error, "refused an open statement"))?;
    let claims = statement.claims();
    if claims
        .previous
        .as_ref()
        .is_some_and(|previous| previous.part >= claims.part)
    {
        return Err(ApiError::unprocessable(
            "previous_part",
            "the previous part must have a lower number",
        ));
    }
    Ok(statement)
}

fn check_show_time(vault: &Vault, statement: &OpenStatement) -> ApiResult<()> {
    statement
        .recorder()
        .check_time(vault.now_ms())
        .map_err(pass_refused)
}

/// The part's row if this very statement opened it before; another statement for it is refused.
async fn known_part(tx: &mut Tx, statement: &OpenStatement) -> ApiResult<Option<PartRow>> {
    let claims = statement.claims();
    let row = sqlx::query("SELECT * FROM parts WHERE recording = ? AND part = ?")
        .bind(claims.recording.to_string())
        .bind(claims.part)
        .fetch_optional(&mut **tx)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let part = crate::db::part_row(row)?;
    if part.open_hash != statement.jws().hash().to_string() {
        return Err(ApiError::conflict(
            "part_exists",
            format!(
                "part {} of recording {} was opened by another statement",
                claims.part, claims.recording
            ),
        ));
    }
    Ok(Some(part))
}

/// A withdrawal of anybody in this statement, or of somebody who was shown its request, ended the round.
async fn refuse_withdrawn(tx: &mut Tx, claims: &OpenClaims) -> ApiResult<()> {
    let round = request_of(claims)?.round;
    let withdrawn = sqlx::query(
        "SELECT participant, request FROM withdrawals WHERE visit = ? AND group_id = ? AND round = ?",
    )
    .bind(claims.visit.to_string())
    .bind(to_base64url(&claims.group_id.0))
    .bind(round.to_string())
    .fetch_all(&mut **tx)
    .await?;
    let request = claims.request.hash().to_string();
    let people = last_words::people_of(claims)?;
    for row in withdrawn {
        let participant: &str = row.try_get("participant")?;
        let is_here = people
            .iter()
            .any(|person| person.to_string() == participant);
        if is_here || row.try_get::<Option<&str>, _>("request")? == Some(request.as_str()) {
            return Err(ApiError::forbidden(
                "round_withdrawn",
                format!(
                    "someone withdrew from consent round {round}: nothing more can be recorded under it"
                ),
            ));
        }
    }
    Ok(())
}

/// The part before must have the tracks that are named as its own, if it is here. Whether their chain heads are its is for
/// readers to judge: its bytes may still be on their way, and a vault that cut them would not tell.
async fn refuse_other_previous(tx: &mut Tx, claims: &OpenClaims) -> ApiResult<()> {
    let Some(previous) = &claims.previous else {
        return Ok(());
    };
    let known: Vec<String> =
        sqlx::query_scalar("SELECT track FROM tracks WHERE recording = ? AND part = ?")
            .bind(claims.recording.to_string())
            .bind(previous.part)
            .fetch_all(&mut **tx)
            .await?;
    let is_its = |track: &TrackId| known.contains(&track.to_string());
    if !known.is_empty() && !previous.heads.iter().all(|(track, _)| is_its(track)) {
        return Err(ApiError::unprocessable(
            "previous_tracks",
            format!("part {} has no such track", previous.part),
        ));
    }
    Ok(())
}

/// Nothing is added to a recording whose deletion was granted, and no part where it was requested.
async fn refuse_deleted(tx: &mut Tx, claims: &OpenClaims) -> ApiResult<()> {
    let row = sqlx::query("SELECT * FROM recordings WHERE recording = ?")
        .bind(claims.recording.to_string())
        .fetch_optional(&mut **tx)
        .await?;
    match row {
        Some(row) => deletion::refuse_granted(&crate::db::recording_row(row)?),
        None => Ok(()),
    }
}

async fn insert_recording(vault: &Vault, tx: &mut Tx, statement: &OpenStatement) -> ApiResult<()> {
    let claims = statement.claims();
    let request_hash = claims.request.hash().to_string();
    let row = sqlx::query("SELECT * FROM recordings WHERE recording = ?")
        .bind(claims.recording.to_string())
        .fetch_optional(&mut **tx)
        .await?;
    if let Some(row) = row {
        let known = crate::db::recording_row(row)?;
        deletion::refuse_requested(&known)?;
        if known.visit != claims.visit.to_string() {
            return Err(ApiError::forbidden(
                "other_visit",
                format!("recording {} belongs to another visit", claims.recording),
            ));
        }
        if known.request != request_hash {
            return Err(ApiError::forbidden(
                "other_request",
                format!(
                    "recording {} belongs to another consent request",
                    claims.recording
                ),
            ));
        }
        return Ok(());
    }
    let request = request_of(claims)?;
    sqlx::query(
        "INSERT INTO recordings (recording, visit, group_id, round, request, on_withdrawal, opened_ms) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(claims.recording.to_string())
    .bind(claims.visit.to_string())
    .bind(to_base64url(&claims.group_id.0))
    .bind(request.round.to_string())
    .bind(request_hash)
    .bind(match request.terms.on_withdrawal {
        WithdrawalPolicy::Keep => "keep",
        WithdrawalPolicy::Delete => "delete",
        WithdrawalPolicy::Ask => "ask",
    })
    .bind(vault.now_ms() as i64)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn insert_part(
    vault: &Vault,
    tx: &mut Tx,
    statement: &OpenStatement,
) -> ApiResult<Vec<ShareGrant>> {
    let claims = statement.claims();
    let now_ms = vault.now_ms() as i64;
    sqlx::query(
        "INSERT INTO parts (recording, part, open, open_hash, recorder, state, opened_ms, last_byte_ms) \
         VALUES (?, ?, ?, ?, ?, 'open', ?, ?)",
    )
    .bind(claims.recording.to_string())
    .bind(claims.part)
    .bind(statement.jws().as_str())
    .bind(statement.jws().hash().to_string())
    .bind(statement.recorder().participant().to_string())
    .bind(now_ms)
    .bind(now_ms)
    .execute(&mut **tx)
    .await?;
    let mut grants = Vec::with_capacity(statement.headers().len());
    for (position, header) in statement.headers().iter().enumerate() {
        let track = header.claims().track;
        refuse_known_track(tx, track).await?;
        let (share, stored) = if header.claims().share_required {
            let (share, stored) = vault.share_key.draw(track)?;
            (Some(share), Some(stored))
        } else {
            (None, None)
        };
        sqlx::query(
            "INSERT INTO tracks (track, recording, part, position, header_hash, share) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(track.to_string())
        .bind(claims.recording.to_string())
        .bind(claims.part)
        .bind(position as i64)
        .bind(header.hash().to_string())
        .bind(stored)
        .execute(&mut **tx)
        .await?;
        grants.push(grant(vault, claims.recording, claims.part, track, share));
    }
    Ok(grants)
}

async fn refuse_known_track(tx: &mut Tx, track: TrackId) -> ApiResult<()> {
    let known: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM tracks WHERE track = ?")
        .bind(track.to_string())
        .fetch_one(&mut **tx)
        .await?;
    if known > 0 {
        return Err(ApiError::forbidden(
            "track_exists",
            format!("track {track} belongs to another part already"),
        ));
    }
    Ok(())
}

/// The first key that a recorder names stays: what renews later was there at the opening.
async fn set_renewal_key(
    tx: &mut Tx,
    claims: &OpenClaims,
    key: Option<PublicKey>,
) -> ApiResult<()> {
    sqlx::query(
        "UPDATE parts SET renewal_key = COALESCE(renewal_key, ?) WHERE recording = ? AND part = ?",
    )
    .bind(key.map(|key| to_base64url(key.as_bytes())))
    .bind(claims.recording.to_string())
    .bind(claims.part)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn no_shares(vault: &Vault, statement: &OpenStatement) -> Vec<ShareGrant> {
    let claims = statement.claims();
    let tracks = claims.tracks.iter().map(|track| track.track);
    let grants = tracks.map(|track| grant(vault, claims.recording, claims.part, track, None));
    grants.collect()
}

/// The shares of a part that is open already: of those tracks whose envelope has not come yet.
async fn shares_again(
    vault: &Vault,
    tx: &mut Tx,
    statement: &OpenStatement,
) -> ApiResult<Vec<ShareGrant>> {
    let claims = statement.claims();
    let mut grants = Vec::with_capacity(claims.tracks.len());
    for header in statement.headers() {
        let track = header.claims().track;
        let share: Option<Option<Vec<u8>>> = sqlx::query_scalar(
            "SELECT share FROM tracks WHERE track = ? \
             AND NOT EXISTS (SELECT 1 FROM envelopes WHERE envelopes.track = tracks.track)",
        )
        .bind(track.to_string())
        .fetch_optional(&mut **tx)
        .await?;
        let share = match share.flatten() {
            Some(stored) => Some(vault.share_key.open_share(track, &stored)?),
            None => None,
        };
        grants.push(grant(vault, claims.recording, claims.part, track, share));
    }
    Ok(grants)
}

fn grant(
    vault: &Vault,
    recording: RecordingId,
    part: u32,
    track: TrackId,
    share: Option<Vec<u8>>,
) -> ShareGrant {
    ShareGrant {
        track,
        share: B64(share.unwrap_or_default()),
        create_url: vault.config.url(&crate::tus::uploads_path(recording, part)),
    }
}

fn respond(
    vault: &Vault,
    statement: &OpenStatement,
    (status, tracks): (StatusCode, Vec<ShareGrant>),
    audit_head: Jws<AuditHeadClaims>,
) -> Response {
    let claims = statement.claims();
    let expires_ms = vault.now_ms() + vault.config.capability_lifetime.as_millis() as u64;
    let ids = claims.tracks.iter().map(|track| track.track).collect();
    let answer = VaultAnswer {
        v: VERSION,
        recording: claims.recording,
        part: claims.part,
        tracks,
        capability: capability::issue(vault.key(), claims.recording, claims.part, ids, expires_ms),
        capability_expires_ms: expires_ms,
        audit_head: Some(audit_head),
    };
    let mut response = (status, Json(answer)).into_response();
    response.headers_mut().insert(
        http::header::CACHE_CONTROL,
        http::HeaderValue::from_static("no-store"),
    );
    response
}

async fn log(
    vault: &Vault,
    tx: &mut Tx,
    statement: &OpenStatement,
    shown: &Shown,
    action: Action,
) -> ApiResult<()> {
    let claims = statement.claims();
    let actor = shown.actor(statement);
    let event = audit::Event::new(vault.now_ms(), actor, action, claims.recording);
    let document = statement.jws().hash();
    audit::append(tx, event.in_part(claims.part).on(document)).await
}

/// The consent request of a verified statement.
fn request_of(claims: &OpenClaims) -> ApiResult<RequestClaims> {
    Ok(claims.request.unverified_claims()?)
}
