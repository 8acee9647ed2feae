//! AES-128-GCM and AES-256-GCM (SP 800-38D), by whichever implementation is fast here: [`lanes`] in WebAssembly,
//! [`native`] elsewhere. Both are there everywhere, to be compared.

#![warn(missing_docs)]

pub mod lanes;
pub mod native;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use lanes::{Aes128Gcm, Aes256Gcm};
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub use native::{Aes128Gcm, Aes256Gcm};

/// Length of a nonce.
pub const NONCE_BYTES: usize = 12;
/// Length of a tag.
pub const TAG_BYTES: usize = 16;

/// The tag does not belong to this nonce, data and ciphertext under this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAuthentic;
