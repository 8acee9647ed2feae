//! The key by which a device renews a part's upload capability, once the recording key is gone.
//!
//! It is drawn with the part, named to the vault when the part is opened, and spooled on the device beside what it lets
//! the device finish: the upload. All that it signs is proofs for the vault; it seals, opens and ends nothing.

use hpke::rand_core::CryptoRng;
use sealed_visit_protocol::recording::{OpenClaims, VaultProofClaims};
use sealed_visit_protocol::{Jws, ProofId, PublicKey, SigningKey};
use zeroize::Zeroizing;

/// A device's renewal key for one part.
#[derive(Debug)]
pub struct RenewalKey(SigningKey);

impl RenewalKey {
    /// Draws a key.
    pub fn draw(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        Self::from_seed(&seed)
    }

    /// The key that was spooled.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_seed(seed))
    }

    /// What is spooled.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        self.0.seed()
    }

    /// Sent to the vault when the part begins.
    pub fn public(&self) -> PublicKey {
        self.0.public()
    }

    /// A fresh proof for the vault, with this key, that the sender of the statement made the part.
    pub fn prove(
        &self,
        open: &Jws<OpenClaims>,
        vault: &PublicKey,
        at_ms: u64,
        rng: &mut impl CryptoRng,
    ) -> Jws<VaultProofClaims> {
        prove(&self.0, open, vault, at_ms, None, rng)
    }
}

/// A proof by any key of the part.
pub(super) fn prove(
    key: &SigningKey,
    open: &Jws<OpenClaims>,
    vault: &PublicKey,
    at_ms: u64,
    renewal_key: Option<PublicKey>,
    rng: &mut impl CryptoRng,
) -> Jws<VaultProofClaims> {
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    let id = ProofId::from_bytes(id);
    VaultProofClaims::new(vault, open.hash(), id, at_ms, renewal_key).sign(key)
}
