//! SFrame with keys from MLS: [RFC 9605], suite AES_128_GCM_SHA256_128, section 5.2.
//!
//! Header encoding, key ids and derivation labels come from the `sframe` crate; it runs here on a
//! back end of ours (`aead`), because its own rebuild the AES key schedule for every frame.
//!
//! In: one base key per MLS epoch, a leaf, and frames. Out: an [`EncryptionKey`] that never uses a
//! counter twice, and a [`DecryptionKey`] that changes no state before a frame is authentic.
//!
//! [RFC 9605]: https://www.rfc-editor.org/rfc/rfc9605.html

pub mod aead;
mod buffer;
mod key;
mod kid;
#[cfg(test)]
mod vectors;

pub use buffer::{FrameBuffer, HEADROOM_BYTES};
pub use key::{DecryptionKey, EncryptionKey, FrameHead, OpenError, REPLAY_WINDOW_FRAMES};
pub use kid::{Epoch, Kid, Leaf, LeafOutOfRange, MAX_LEAVES};

use ::sframe::CipherSuite;

/// The one suite in use: SFrame cipher suite 4, AES_128_GCM_SHA256_128.
pub const SUITE: CipherSuite = CipherSuite::AesGcm128Sha256;
/// Length of an epoch's base key: the suite's key length, as section 5.2 exports it.
pub const BASE_KEY_BYTES: usize = 16;
/// Length of the authentication tag that ends each frame.
pub const TAG_BYTES: usize = 16;
