//! AES-256-GCM (SP 800-38D), by whichever implementation is fast here: on 128-bit lanes in WebAssembly, which has
//! no AES instruction; the `aes-gcm` crate elsewhere, which uses the processor's.

#[cfg(any(not(all(target_arch = "wasm32", target_feature = "simd128")), test))]
pub(super) mod rust_crypto;

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub use rust_crypto::Aes256Gcm;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use sealed_visit_aes::Aes256Gcm;

pub use sealed_visit_aes::{NONCE_BYTES, TAG_BYTES};
