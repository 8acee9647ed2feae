//! The `aes-gcm` crate: on x86-64 and ARM it runs on the processor's AES instructions.

use aes_gcm::{AeadInOut, KeyInit};
use zeroize::ZeroizeOnDrop;

use super::{KEY_BYTES, NONCE_BYTES, NotAuthentic, TAG_BYTES};

/// AES-128-GCM with its key schedule.
pub struct Aes128Gcm(aes_gcm::Aes128Gcm);

impl Aes128Gcm {
    /// Expands the key.
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(aes_gcm::Aes128Gcm::new(key.into()))
    }

    /// Encrypts `data` in place and returns the tag.
    ///
    /// # Panics
    /// If `data` is longer than AES-GCM allows (64 GiB).
    pub fn seal(&self, nonce: &[u8; NONCE_BYTES], aad: &[u8], data: &mut [u8]) -> [u8; TAG_BYTES] {
        self.0
            .encrypt_inout_detached(nonce.into(), aad, data.into())
            .expect("a frame is shorter than 64 GiB")
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

impl ZeroizeOnDrop for Aes128Gcm {}
