//! The deletion record: the vault states that it has destroyed a recording's shares, and on whose word. A device that
//! still holds a spool of that recording lets go of it.

use crate::consent::StatementClaims;
use crate::id::RecordingId;
use crate::jws::{Claims, Jws, JwsError, PublicKey};
use crate::recording::WipeClaims;
use serde::{Deserialize, Serialize};

/// Claims of a deletion record, signed by the vault's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionClaims {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The recording whose shares were destroyed.
    pub recording: RecordingId,
    /// The withdrawal that granted it, under the terms of the consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<Jws<StatementClaims>>,
    /// Or the clinic's order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Jws<WipeClaims>>,
    /// When the shares were gone.
    pub at_ms: u64,
}

impl Claims for DeletionClaims {
    const TYP: &'static str = "sv-deletion+jwt";
}

/// Why a deletion record was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeletionError {
    /// The vault did not sign it, or it cannot be read: keep the spool.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// It is about another recording: keep the spool.
    #[error("the deletion record is for another recording")]
    OtherRecording,
    /// It names both a withdrawal and an order, or neither: keep the spool.
    #[error("a deletion record names either a withdrawal or an order")]
    NoBasis,
}

impl DeletionClaims {
    /// The record's claims, if the vault signed them for this recording.
    pub fn verify(
        jws: &Jws<Self>,
        vault: &PublicKey,
        recording: RecordingId,
    ) -> Result<Self, DeletionError> {
        let claims = jws.verify(vault)?;
        if claims.recording != recording {
            return Err(DeletionError::OtherRecording);
        }
        if claims.withdrawal.is_some() == claims.order.is_some() {
            return Err(DeletionError::NoBasis);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jws::SigningKey;

    #[test]
    fn only_the_vault_states_a_deletion_and_for_one_recording_on_one_basis() {
        let [vault, other] = [1, 2].map(|byte| SigningKey::from_seed(&[byte; 32]));
        let [recording, elsewhere] = [3, 4].map(|byte| RecordingId::from_bytes([byte; 16]));
        let claims = DeletionClaims {
            v: 1,
            recording,
            withdrawal: None,
            order: Some(Jws::from_text("a.b.c")),
            at_ms: 5,
        };
        let verify = |jws: &Jws<DeletionClaims>, recording| {
            DeletionClaims::verify(jws, &vault.public(), recording)
        };
        assert_eq!(verify(&vault.sign(&claims), recording), Ok(claims.clone()));
        assert_eq!(
            verify(&vault.sign(&claims), elsewhere),
            Err(DeletionError::OtherRecording)
        );
        assert!(matches!(
            verify(&other.sign(&claims), recording),
            Err(DeletionError::Jws(_))
        ));
        let baseless = DeletionClaims {
            order: None,
            ..claims.clone()
        };
        assert_eq!(
            verify(&vault.sign(&baseless), recording),
            Err(DeletionError::NoBasis)
        );
        let twofold = DeletionClaims {
            withdrawal: Some(Jws::from_text("d.e.f")),
            ..claims
        };
        assert_eq!(
            verify(&vault.sign(&twofold), recording),
            Err(DeletionError::NoBasis)
        );
    }
}
