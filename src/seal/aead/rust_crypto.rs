//! The `aes-gcm` crate: on x86-64 and ARM it runs on the processor's AES instructions.

use aes_gcm::{AeadInOut, KeyInit};
use sealed_visit_aes::{NONCE_BYTES, NotAuthentic, TAG_BYTES};

/// AES-256-GCM with its key schedule, which wipes itself.
pub struct Aes256Gcm(aes_gcm::Aes256Gcm);

impl Aes256Gcm {
    /// Expands the key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(aes_gcm::Aes256Gcm::new(key.into()))
    }

    /// Encrypts `data` in place and returns the tag.
    ///
    /// # Panics
    /// If `data` is longer than AES-GCM allows (64 GiB).
    pub fn seal(&self, nonce: &[u8; NONCE_BYTES], aad: &[u8], data: &mut [u8]) -> [u8; TAG_BYTES] {
        self.0
            .encrypt_inout_detached(nonce.into(), aad, data.into())
            .expect("a chunk is shorter than 64 GiB")
            .into()
    }

    /// Verifies, then decrypts `data` in place; data that is not authentic stays as it is.
    pub fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), NotAuthentic> {
        self.0
            .decrypt_inout_detached(nonce.into(), aad, data.into(), tag.into())
            .map_err(|_| NotAuthentic)
    }
}
