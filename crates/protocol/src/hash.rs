//! SHA-256 (FIPS 180-4) with a label in front, so that no two uses of the hash can be confused.

use crate::bytes::Hash32;
use sha2::{Digest as _, Sha256};

/// Plain SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Hash32 {
    Hash32(Sha256::digest(bytes).into())
}

/// SHA-256 over `label`, a zero byte, and the parts, each of a fixed or self-delimiting length.
pub(crate) fn labelled(label: &str, parts: &[&[u8]]) -> Hash32 {
    let mut hasher = Sha256::new();
    hasher.update(label.as_bytes());
    hasher.update([0]);
    for part in parts {
        hasher.update(part);
    }
    Hash32(hasher.finalize().into())
}
