//! Who may begin a part or renew its capability: a client that proves a key, or the clinic's own sign-in.
//!
//! | shown | opens a part | renews its capability | gets shares again |
//! |---|---|---|---|
//! | proof by the recording key that the open statement names | yes | yes | while no envelope is stored |
//! | proof by the renewal key that was named at the opening | no | yes | no |
//! | a reader's token: the clinic authorizes a device that lost its key | no | yes | no |
//!
//! The text of an open statement alone does nothing: every reader has it. A proof is short-lived, for this vault and this
//! statement, and good once. The header `Vault-Time` gives the vault's time to a device whose clock is wrong.

use crate::Vault;
use crate::audit::Actor;
use crate::db::{PartRow, Tx};
use crate::error::{ApiError, ApiResult};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sealed_visit_protocol::jws::{Jws, JwsError};
use sealed_visit_protocol::recording::{
    OpenStatement, PROOF_WINDOW_MS, ProofError, VaultProofClaims,
};
use sealed_visit_protocol::{ProofId, PublicKey};

/// The request header that carries the proof.
pub const VAULT_PROOF: HeaderName = HeaderName::from_static("vault-proof");
/// The vault's time in milliseconds since the Unix epoch, in answers to a proof with another one.
pub const VAULT_TIME: HeaderName = HeaderName::from_static("vault-time");

/// What was shown.
pub enum Shown {
    /// Holds the recording key; this key will renew.
    Recorder { renewal_key: Option<PublicKey> },
    /// Holds the key that was named at the opening.
    Device,
    /// The clinic, by this reader's label.
    Reader(String),
}

impl Shown {
    pub fn actor(&self, statement: &OpenStatement) -> Actor {
        match self {
            Shown::Recorder { .. } => Actor::Participant {
                participant: statement.recorder().participant().to_string(),
            },
            Shown::Device => Actor::Recorder,
            Shown::Reader(label) => Actor::Reader {
                label: label.clone(),
            },
        }
    }
}

/// Checks what a request shows for this statement; `known` is the part's row once it is open. Uses a proof up with the
/// transaction.
pub async fn require(
    vault: &Vault,
    tx: &mut Tx,
    request: &HeaderMap,
    statement: &OpenStatement,
    known: Option<&PartRow>,
) -> ApiResult<Shown> {
    let Some(proof) = request.get(VAULT_PROOF) else {
        if known.is_some()
            && let Ok(label) = vault.readers.require(request)
        {
            return Ok(Shown::Reader(label));
        }
        return Err(refused(
            "proof_needed",
            "an open statement needs a proof of possession of the recorder's key",
        ));
    };
    let text = proof
        .to_str()
        .map_err(|_| refused("proof_refused", "the proof is no JWS"))?;
    let jws = Jws::<VaultProofClaims>::from_text(text.trim());
    let now_ms = vault.now_ms();
    let verify = |key: &PublicKey| {
        let vault = vault.key().public();
        VaultProofClaims::verify(&jws, key, &vault, statement.jws().hash(), now_ms)
    };
    let renewal_key = known.and_then(|part| PublicKey::parse(part.renewal_key.as_deref()?).ok());
    let (claims, shown) = match (verify(&statement.claims().recording_key), renewal_key) {
        (Err(ProofError::Jws(JwsError::BadSignature { .. })), Some(key)) => (
            verify(&key).map_err(|error| explain(&error, now_ms))?,
            Shown::Device,
        ),
        (Ok(claims), _) => {
            let renewal_key = claims.renewal_key;
            (claims, Shown::Recorder { renewal_key })
        }
        (Err(error), _) => return Err(explain(&error, now_ms)),
    };
    use_up(tx, claims.id, now_ms).await?;
    Ok(shown)
}

async fn use_up(tx: &mut Tx, id: ProofId, now_ms: u64) -> ApiResult<()> {
    sqlx::query("DELETE FROM proofs WHERE expires_ms < ?")
        .bind(now_ms as i64)
        .execute(&mut **tx)
        .await?;
    let inserted = sqlx::query(
        "INSERT INTO proofs (id, expires_ms) VALUES (?, ?) ON CONFLICT (id) DO NOTHING",
    )
    .bind(id.to_string())
    // A proof from the future stays good for longer.
    .bind((now_ms + 2 * PROOF_WINDOW_MS) as i64)
    .execute(&mut **tx)
    .await?;
    match inserted.rows_affected() {
        0 => Err(refused("proof_used", "the proof was used before")),
        _ => Ok(()),
    }
}

fn explain(error: &ProofError, now_ms: u64) -> ApiError {
    match error {
        ProofError::Time(_) => refused("proof_time", error.to_string())
            .with_header(VAULT_TIME, HeaderValue::from(now_ms)),
        _ => refused("proof_refused", error.to_string()),
    }
}

fn refused(code: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, code, message)
}
