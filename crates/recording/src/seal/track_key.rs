//! From a wrapped secret and the vault's share to the key of one track.
//!
//! ```text
//! track key = HKDF-SHA-256(ikm = s, salt = v, info = label || header hash, 32 bytes)
//! ```
//!
//! *s* is drawn by the recorder and leaves it only wrapped to recipients; *v* is drawn by the vault, which never
//! sees *s*. Without both nothing can be read, so destroying *v* makes every copy that was not opened
//! unreadable. A track that needs no share has an empty *v*, and its header, whose hash is bound here, says so:
//! a share can be neither left out nor added.
//!
//! Standard: [RFC 5869](https://www.rfc-editor.org/rfc/rfc5869). Invariant: secrets are wiped when dropped, and
//! never printed.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What the derivation binds before the header hash; ends with a zero byte like every label of the formats.
pub const TRACK_KEY_LABEL: &[u8] = b"sealed-visit track key v1\0";

/// Why bytes are no secret of this kind.
#[non_exhaustive]
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TrackKeyError {
    /// Secrets, shares and keys have 32 bytes.
    #[error("{what} has {have_bytes} bytes instead of 32")]
    WrongLength {
        /// Which kind of secret was expected.
        what: &'static str,
        /// Length given.
        have_bytes: usize,
    },
}

macro_rules! secret_32 {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes over 32 uniformly random bytes.
            pub fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes, for a cipher or a wrap; do not copy them further.
            pub fn expose(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = TrackKeyError;

            fn try_from(bytes: &[u8]) -> Result<Self, TrackKeyError> {
                bytes.try_into().map(Self).map_err(|_| TrackKeyError::WrongLength {
                    what: $what,
                    have_bytes: bytes.len(),
                })
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

secret_32!(
    /// *s*: made by the recorder, wrapped for each recipient.
    TrackSecret,
    "track secret"
);
secret_32!(
    /// *v*: made by the vault, handed out when a recording opens.
    ShredShare,
    "shred share"
);
secret_32!(
    /// What a track's segments are sealed under.
    TrackKey,
    "track key"
);

/// Derives the key of the track whose header has the SHA-256 hash `header_hash`.
pub fn derive_track_key(
    secret: &TrackSecret,
    share: Option<&ShredShare>,
    header_hash: &[u8; 32],
) -> TrackKey {
    let salt: &[u8] = share.map_or(&[], |share| share.expose());
    let hkdf = Hkdf::<Sha256>::new(Some(salt), secret.expose());
    let mut key = TrackKey([0; 32]);
    hkdf.expand_multi_info(&[TRACK_KEY_LABEL, header_hash], &mut key.0)
        .expect("32 bytes are a valid HKDF-SHA-256 output length");
    key
}
