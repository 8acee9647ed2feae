//! The wipe order: the clinic tells devices to let go of spools for which they have no receipt, because a deletion was
//! granted, or a device is no longer the clinic's. Signed by the clinic's root key; obeyed by the package's pages when
//! they next load, and written into the vault's audit log.

use crate::VERSION;
use crate::id::RecordingId;
use crate::jws::{Claims, Jws, JwsError};
use crate::{PublicKey, clinic::RootKey};
use serde::{Deserialize, Serialize};

/// Why a spool goes before it is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WipeReason {
    /// Somebody asked for the recording to be deleted, and the clinic granted it.
    DeletionGranted,
    /// The device is lost, or no longer to be trusted.
    DeviceWithdrawn,
}

/// Claims of a wipe order, signed by the clinic's root key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WipeClaims {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// Named one by one: an order for everything cannot be given by accident.
    pub recordings: Vec<RecordingId>,
    /// Why they go.
    pub reason: WipeReason,
    /// When it was signed.
    pub at_ms: u64,
}

impl Claims for WipeClaims {
    const TYP: &'static str = "sv-wipe+jwt";
}

impl WipeClaims {
    /// An order for these recordings, to be signed by the clinic's root key.
    pub fn new(recordings: Vec<RecordingId>, reason: WipeReason, at_ms: u64) -> Self {
        Self {
            v: VERSION,
            recordings,
            reason,
            at_ms,
        }
    }

    /// The order's claims, if the root signed it.
    pub fn verify(jws: &Jws<Self>, root: &RootKey) -> Result<Self, JwsError> {
        let root: &PublicKey = root;
        jws.verify(root)
    }

    /// Whether it names this recording.
    pub fn covers(&self, recording: RecordingId) -> bool {
        self.recordings.contains(&recording)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jws::SigningKey;

    fn order() -> WipeClaims {
        let recordings = vec![RecordingId::from_bytes([1; 16])];
        WipeClaims::new(recordings, WipeReason::DeletionGranted, 5)
    }

    #[test]
    fn covers_the_recordings_it_names_and_no_other() {
        assert!(order().covers(RecordingId::from_bytes([1; 16])));
        assert!(!order().covers(RecordingId::from_bytes([2; 16])));
    }

    #[test]
    fn is_the_roots_alone_to_give() {
        let [root, other] = [3, 4].map(|byte| SigningKey::from_seed(&[byte; 32]));
        let jws = root.sign(&order());
        assert_eq!(WipeClaims::verify(&jws, &root.public()), Ok(order()));
        assert!(matches!(
            WipeClaims::verify(&jws, &other.public()),
            Err(JwsError::BadSignature { .. })
        ));
    }
}
