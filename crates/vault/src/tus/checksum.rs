//! The checksum extension: a PATCH whose body does not have the checksum it names is forgotten (460).

use crate::error::{ApiError, ApiResult};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// SHA-1 is here because tus wants every server to have it; it guards against accidents only. What guards a track is
/// its signed chain.
pub const ALGORITHMS: &str = "sha256,sha1";

pub struct Checksum {
    expected: Vec<u8>,
    hasher: Hasher,
}

enum Hasher {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Checksum {
    /// From `Upload-Checksum: algorithm base64`, if it stands there.
    pub fn from_headers(headers: &HeaderMap) -> ApiResult<Option<Self>> {
        let Some(value) = headers.get("Upload-Checksum") else {
            return Ok(None);
        };
        let refused = |why: &str| ApiError::bad_request("checksum", why);
        let text = value
            .to_str()
            .map_err(|_| refused("Upload-Checksum is not ASCII"))?;
        let (algorithm, digest) = text
            .trim()
            .split_once(' ')
            .ok_or_else(|| refused("Upload-Checksum needs an algorithm and a digest"))?;
        let (hasher, size) = match algorithm {
            "sha1" => (Hasher::Sha1(Sha1::new()), 20),
            "sha256" => (Hasher::Sha256(Sha256::new()), 32),
            _ => return Err(refused("the checksum algorithm is not sha256 or sha1")),
        };
        let expected = STANDARD
            .decode(digest.trim())
            .ok()
            .filter(|digest| digest.len() == size)
            .ok_or_else(|| refused("the digest is not base64, or of the wrong length"))?;
        Ok(Some(Self { expected, hasher }))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.hasher {
            Hasher::Sha1(hasher) => hasher.update(bytes),
            Hasher::Sha256(hasher) => hasher.update(bytes),
        }
    }

    pub fn check(self) -> ApiResult<()> {
        let got = match self.hasher {
            Hasher::Sha1(hasher) => hasher.finalize().to_vec(),
            Hasher::Sha256(hasher) => hasher.finalize().to_vec(),
        };
        if got == self.expected {
            return Ok(());
        }
        // tus 1.0 gives this status its meaning.
        let status = StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST);
        Err(ApiError::new(
            status,
            "checksum_mismatch",
            "the body does not have the checksum that Upload-Checksum names",
        ))
    }
}
