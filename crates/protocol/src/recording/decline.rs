//! The clinic declines a deletion: somebody wished for it under terms that keep a recording, and the clinic decided to keep
//! it. Signed by the clinic's root key, as the order to delete is. It names the wishes that it answers: a later wish is not
//! declined by an earlier decision, whoever shows it again.

use crate::VERSION;
use crate::bytes::Hash32;
use crate::clinic::RootKey;
use crate::id::RecordingId;
use crate::jws::{Claims, Jws, JwsError};
use serde::{Deserialize, Serialize};

/// Claims of a decision not to delete, signed by the clinic's root key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclineClaims {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The recording that is kept.
    pub recording: RecordingId,
    /// Hashes of the withdrawals whose wish is declined.
    pub withdrawals: Vec<Hash32>,
    /// When it was signed.
    pub at_ms: u64,
}

impl Claims for DeclineClaims {
    const TYP: &'static str = "sv-decline+jwt";
}

impl DeclineClaims {
    /// A decision on these withdrawals, to be signed by the clinic's root key.
    pub fn new(recording: RecordingId, withdrawals: Vec<Hash32>, at_ms: u64) -> Self {
        Self {
            v: VERSION,
            recording,
            withdrawals,
            at_ms,
        }
    }

    /// The decision's claims, if the root signed it.
    pub fn verify(jws: &Jws<Self>, root: &RootKey) -> Result<Self, JwsError> {
        jws.verify(root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jws::SigningKey;
    use crate::recording::WipeClaims;

    #[test]
    fn a_decision_is_the_roots_alone_and_no_order_to_delete() {
        let [root, other] = [3, 4].map(|byte| SigningKey::from_seed(&[byte; 32]));
        let recording = RecordingId::from_bytes([1; 16]);
        let claims = DeclineClaims::new(recording, vec![Hash32([2; 32])], 5);
        let jws = root.sign(&claims);
        assert_eq!(DeclineClaims::verify(&jws, &root.public()), Ok(claims));
        assert!(matches!(
            DeclineClaims::verify(&jws, &other.public()),
            Err(JwsError::BadSignature { .. })
        ));
        let as_order = Jws::<WipeClaims>::from_text(jws.as_str());
        assert!(WipeClaims::verify(&as_order, &root.public()).is_err());
    }
}
