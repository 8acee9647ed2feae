//! The `aes-gcm` crate: on x86-64 and ARM it runs on the processor's AES instructions.

use aes_gcm::{AeadInOut, KeyInit};
use zeroize::ZeroizeOnDrop;

use super::{NONCE_BYTES, NotAuthentic, TAG_BYTES};

macro_rules! cipher {
    ($(#[$about:meta])* $name:ident, $key_bytes:literal) => {
        $(#[$about])*
        pub struct $name(aes_gcm::$name);

        impl $name {
            /// Expands the key.
            pub fn new(key: &[u8; $key_bytes]) -> Self {
                Self(aes_gcm::$name::new(key.into()))
            }

            /// Encrypts `data` in place and returns the tag.
            ///
            /// # Panics
            /// If `data` is longer than AES-GCM allows (64 GiB).
            pub fn seal(
                &self,
                nonce: &[u8; NONCE_BYTES],
                aad: &[u8],
                data: &mut [u8],
            ) -> [u8; TAG_BYTES] {
                self.0
                    .encrypt_inout_detached(nonce.into(), aad, data.into())
                    .expect("no frame or chunk has 64 GiB")
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

        /// Key schedule and hash key wipe themselves.
        impl ZeroizeOnDrop for $name {}
    };
}

cipher!(
    /// AES-128-GCM.
    Aes128Gcm, 16
);
cipher!(
    /// AES-256-GCM.
    Aes256Gcm, 32
);
