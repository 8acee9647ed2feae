//! The newest statement that the vault knows of each participant of a visit: grants from open statements, and withdrawals.
//!
//! Sequence numbers run over the whole visit. So a grant whose author has said anything later, in whatever round or group,
//! is overridden: an open statement that stands on it is refused, although the group may have been led to believe it.

use crate::db::{Db, Tx};
use crate::error::{ApiError, ApiResult};
use sealed_visit_protocol::consent::{StatementClaims, StatementKind};
use sealed_visit_protocol::jws::Jws;
use sealed_visit_protocol::recording::OpenClaims;
use sealed_visit_protocol::{ParticipantId, Role};
use sqlx::Row as _;

/// Remembers a verified statement, if it is its author's newest.
pub async fn note(tx: &mut Tx, jws: &Jws<StatementClaims>) -> ApiResult<()> {
    let claims = jws.unverified_claims()?;
    let author = author_of(&claims)?;
    sqlx::query(
        "INSERT INTO last_words (visit, participant, seq, kind) VALUES (?, ?, ?, ?) \
         ON CONFLICT (visit, participant) DO UPDATE SET seq = excluded.seq, kind = excluded.kind \
         WHERE excluded.seq > seq OR (excluded.seq = seq AND excluded.kind <> 'grant')",
    )
    .bind(claims.visit.to_string())
    .bind(author.to_string())
    .bind(sortable(claims.seq))
    .bind(kind_text(claims.kind))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Refuses a grant that its author has overridden.
pub async fn refuse_overridden(tx: &mut Tx, jws: &Jws<StatementClaims>) -> ApiResult<()> {
    let claims = jws.unverified_claims()?;
    let author = author_of(&claims)?;
    let row = sqlx::query("SELECT * FROM last_words WHERE visit = ? AND participant = ?")
        .bind(claims.visit.to_string())
        .bind(author.to_string())
        .fetch_optional(&mut **tx)
        .await?;
    let Some(row) = row else { return Ok(()) };
    let (seq, kind): (&str, &str) = (row.try_get("seq")?, row.try_get("kind")?);
    // Under one number, whatever is no grant counts.
    let known = (seq, kind != "grant");
    if known > (sortable(claims.seq).as_str(), false) {
        return Err(ApiError::forbidden(
            "grant_overridden",
            format!(
                "participant {author} made a statement after this grant (number {})",
                claims.seq
            ),
        ));
    }
    Ok(())
}

/// The participants named by an open statement, except the recorder: its roster and the authors of its grants.
pub fn people_of(claims: &OpenClaims) -> ApiResult<Vec<ParticipantId>> {
    let mut people = Vec::new();
    for pass in &claims.roster {
        let pass = pass.unverified_claims()?;
        if pass.role != Role::Recorder {
            people.push(pass.sub);
        }
    }
    for grant in &claims.grants {
        people.push(author_of(&grant.unverified_claims()?)?);
    }
    people.sort();
    people.dedup();
    Ok(people)
}

/// Remembers what an accepted open statement says about people.
pub async fn note_open(tx: &mut Tx, claims: &OpenClaims) -> ApiResult<()> {
    for grant in &claims.grants {
        note(tx, grant).await?;
    }
    for participant in people_of(claims)? {
        sqlx::query(
            "INSERT INTO people (recording, participant) VALUES (?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(claims.recording.to_string())
        .bind(participant.to_string())
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Fills in what earlier versions did not keep, from the documents that they did keep.
pub async fn backfill(db: &Db) -> ApiResult<()> {
    const DONE: &str = "people_known";
    if db.meta(DONE).await?.is_some() {
        return Ok(());
    }
    let mut tx = db.write().await?;
    let opens = sqlx::query("SELECT recording, part, open FROM parts ORDER BY opened_ms")
        .fetch_all(&mut *tx)
        .await?;
    for row in opens {
        let claims =
            Jws::<OpenClaims>::from_text(row.try_get::<&str, _>("open")?).unverified_claims()?;
        note_open(&mut tx, &claims).await?;
        sqlx::query("UPDATE parts SET recorder = ? WHERE recording = ? AND part = ?")
            .bind(claims.pass.unverified_claims()?.sub.to_string())
            .bind(row.try_get::<&str, _>("recording")?)
            .bind(row.try_get::<i64, _>("part")?)
            .execute(&mut *tx)
            .await?;
    }
    let withdrawals = sqlx::query("SELECT hash, statement FROM withdrawals")
        .fetch_all(&mut *tx)
        .await?;
    for row in withdrawals {
        let jws = Jws::<StatementClaims>::from_text(row.try_get::<&str, _>("statement")?);
        note(&mut tx, &jws).await?;
        sqlx::query("UPDATE withdrawals SET request = ? WHERE hash = ?")
            .bind(jws.unverified_claims()?.request.to_string())
            .bind(row.try_get::<&str, _>("hash")?)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    db.set_meta(DONE, "1").await
}

fn author_of(claims: &StatementClaims) -> ApiResult<ParticipantId> {
    Ok(claims.pass.unverified_claims()?.sub)
}

/// All 64 bits, in the order of the numbers.
fn sortable(seq: u64) -> String {
    format!("{seq:020}")
}

fn kind_text(kind: StatementKind) -> &'static str {
    match kind {
        StatementKind::Grant => "grant",
        StatementKind::Refusal => "refusal",
        StatementKind::Withdrawal => "withdrawal",
    }
}
