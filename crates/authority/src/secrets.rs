//! Keyed hashes of link secrets, credentials and passcodes: HMAC-SHA256 (RFC 2104) over a labelled SHA-256.
//!
//! The key lies in a file of its own. Whoever gets the database without it cannot try passcodes, which are short, nor
//! check a secret that they found elsewhere.

use crate::files;
use crate::passcode::normalized;
use crate::visit::GivenPasscode;
use anyhow::{Context as _, bail};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sealed_visit_protocol::bytes::from_base64url;
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::{Hash32, ParticipantId};
use sha2::Sha256;
use std::path::Path;
use zeroize::Zeroizing;

pub(crate) struct Hasher {
    key: Zeroizing<[u8; 32]>,
}

impl Hasher {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self {
            key: Zeroizing::new(key),
        }
    }

    /// Reads the key; makes one when there is none and `may_create` says that nothing was hashed under another.
    pub(crate) fn open(
        path: &Path,
        may_create: bool,
        fresh: impl FnOnce() -> [u8; 32],
    ) -> anyhow::Result<Self> {
        if !path.try_exists()? {
            if !may_create {
                bail!(
                    "{} is missing: without it no link of the visits in the database works; put it back from a backup",
                    path.display()
                );
            }
            files::create_secret(path, &Hash32(fresh()).to_string())?;
        }
        let text = Zeroizing::new(files::read_secret(path)?);
        let key = from_base64url(text.trim())
            .and_then(|bytes| bytes.try_into().ok())
            .with_context(|| format!("{} is not a key file", path.display()))?;
        Ok(Self::new(key))
    }

    /// Tells whether a database was written under this key, and gives nothing of it away.
    pub(crate) fn fingerprint(&self) -> Hash32 {
        self.keyed(b"sealed-visit hash key v1")
    }

    /// Of a link's secret or a credential: 32 random bytes.
    pub(crate) fn secret(&self, secret: &str) -> Hash32 {
        self.over_plain(plain_secret(secret))
    }

    /// Of a passcode. What else protects it is the link's secret, which is needed first, and the count of tries.
    pub(crate) fn passcode(&self, participant: ParticipantId, passcode: &str) -> Hash32 {
        self.over_plain(plain_passcode(participant, &normalized(passcode)))
    }

    /// Of a passcode as somebody typed it; also as earlier versions hashed it.
    pub(crate) fn given(&self, participant: ParticipantId, passcode: &str) -> GivenPasscode {
        if normalized(passcode).is_empty() {
            return GivenPasscode::None;
        }
        let exact = self.over_plain(plain_passcode(participant, passcode.trim()));
        GivenPasscode::Typed([self.passcode(participant, passcode), exact])
    }

    /// Over a hash without a key, as earlier versions stored it.
    pub(crate) fn over_plain(&self, plain: Hash32) -> Hash32 {
        self.keyed(&plain.0)
    }

    fn keyed(&self, message: &[u8]) -> Hash32 {
        const BLOCK_BYTES: usize = 64;
        let mut block = Zeroizing::new([0u8; BLOCK_BYTES]);
        block[..self.key.len()].copy_from_slice(&self.key[..]);
        let mut mac = Hmac::<Sha256>::new(&(*block).into());
        mac.update(message);
        Hash32(mac.finalize().into_bytes().into())
    }
}

fn plain_secret(secret: &str) -> Hash32 {
    sha256(format!("sealed-visit secret v1\0{secret}").as_bytes())
}

fn plain_passcode(participant: ParticipantId, passcode: &str) -> Hash32 {
    sha256(format!("sealed-visit passcode v1\0{participant}\0{passcode}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_without_the_key_says_nothing_about_a_passcode() {
        let participant = ParticipantId::from_bytes([1; 16]);
        let (one, other) = (Hasher::new([1; 32]), Hasher::new([2; 32]));
        let hash = one.passcode(participant, "4711");
        assert_eq!(hash, one.passcode(participant, "4711"));
        assert_ne!(hash, other.passcode(participant, "4711"));
        assert_ne!(hash, plain_passcode(participant, "4711"));
        assert_ne!(hash, one.secret("4711"));
    }

    #[test]
    fn agrees_with_rfc_4231() {
        // Test case 2, with its key padded as HMAC pads it.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let hash = Hasher::new(key).keyed(b"what do ya want for nothing?");
        let hex: String = hash.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let wanted = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex, wanted);
    }

    #[test]
    fn the_key_is_made_once_and_its_loss_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hash.key");
        let made = Hasher::open(&path, true, || [5; 32]).unwrap();
        let again = Hasher::open(&path, true, || [6; 32]).unwrap();
        assert_eq!(made.fingerprint(), again.fingerprint());
        std::fs::remove_file(&path).unwrap();
        let lost = Hasher::open(&path, false, || [7; 32]).err().unwrap();
        assert!(lost.to_string().contains("is missing"), "{lost}");
        assert!(!path.exists());
    }
}
