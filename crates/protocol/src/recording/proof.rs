//! Proof of possession for the vault: to begin a part, or to renew its upload capability, one must hold its key. The
//! text of an open statement is no secret (readers get it), so it alone opens nothing.

use crate::VERSION;
use crate::bytes::Hash32;
use crate::id::ProofId;
use crate::jws::{Claims, Jws, JwsError, PublicKey, SigningKey};
use serde::{Deserialize, Serialize};

/// A proof is good for this long before and after the time that it states.
pub const PROOF_WINDOW_MS: u64 = 120_000;

/// Claims of a proof, signed by the part's recording key when it is opened, by its renewal key afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultProofClaims {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// Thumbprint of the vault's public key: a proof for one vault is none for another.
    pub aud: String,
    /// Hash of the open statement.
    pub open: Hash32,
    /// Random; good once.
    pub id: ProofId,
    /// When it was made, by the signer's clock, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Named when the part is opened: the key of this device that will renew the capability once the recording key is
    /// gone. It can sign nothing else that anybody believes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_key: Option<PublicKey>,
}

impl Claims for VaultProofClaims {
    const TYP: &'static str = "sv-vault-proof+jwt";
}

/// Why a proof was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The part's key did not sign it, or it cannot be read.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// It was made for another vault, which has the thumbprint in `aud`.
    #[error("the proof is for another vault")]
    OtherVault,
    /// It is about another open statement than the one beside it.
    #[error("the proof is for another open statement")]
    OtherStatement,
    /// The signer's clock and the vault's differ by so many milliseconds: correct the clock, and make a new proof.
    #[error("the proof is {0} ms away from the vault's time, more than {PROOF_WINDOW_MS}")]
    Time(u64),
}

impl VaultProofClaims {
    /// A proof for this vault and the open statement of this hash. `id` must be random.
    pub fn new(
        vault: &PublicKey,
        open: Hash32,
        id: ProofId,
        at_ms: u64,
        renewal_key: Option<PublicKey>,
    ) -> Self {
        Self {
            v: VERSION,
            aud: vault.thumbprint(),
            open,
            id,
            at_ms,
            renewal_key,
        }
    }

    /// Signs it: with the recording key to open a part, with the renewal key afterwards.
    pub fn sign(&self, key: &SigningKey) -> Jws<Self> {
        key.sign(self)
    }

    /// Everything but that its id is new, which the vault must remember for twice [`PROOF_WINDOW_MS`].
    pub fn verify(
        jws: &Jws<Self>,
        key: &PublicKey,
        vault: &PublicKey,
        open: Hash32,
        now_ms: u64,
    ) -> Result<Self, ProofError> {
        let claims = jws.verify(key)?;
        if claims.aud != vault.thumbprint() {
            return Err(ProofError::OtherVault);
        }
        if claims.open != open {
            return Err(ProofError::OtherStatement);
        }
        let away = claims.at_ms.abs_diff(now_ms);
        if away > PROOF_WINDOW_MS {
            return Err(ProofError::Time(away));
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_for_one_key_one_vault_one_statement_and_a_short_time() {
        let [part, vault, other] = [1, 2, 3].map(|byte| SigningKey::from_seed(&[byte; 32]));
        let [open, elsewhere] = [4, 5].map(|byte| Hash32([byte; 32]));
        let now_ms = 1_780_000_000_000;
        let id = ProofId::from_bytes([6; 16]);
        let jws = VaultProofClaims::new(&vault.public(), open, id, now_ms, None).sign(&part);
        let verify = |key: &SigningKey, vault: &SigningKey, open, now_ms| {
            VaultProofClaims::verify(&jws, &key.public(), &vault.public(), open, now_ms).map(|_| ())
        };
        for now_ms in [now_ms - PROOF_WINDOW_MS, now_ms, now_ms + PROOF_WINDOW_MS] {
            assert_eq!(verify(&part, &vault, open, now_ms), Ok(()));
        }
        for far_ms in [
            now_ms - PROOF_WINDOW_MS - 1,
            now_ms + PROOF_WINDOW_MS + 1,
            0,
        ] {
            assert!(matches!(
                verify(&part, &vault, open, far_ms),
                Err(ProofError::Time(_))
            ));
        }
        assert!(matches!(
            verify(&other, &vault, open, now_ms),
            Err(ProofError::Jws(_))
        ));
        assert_eq!(
            verify(&part, &other, open, now_ms),
            Err(ProofError::OtherVault)
        );
        assert_eq!(
            verify(&part, &vault, elsewhere, now_ms),
            Err(ProofError::OtherStatement)
        );
    }
}
