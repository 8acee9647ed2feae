//! What a recipient's key file holds once its passphrase has opened it.
//!
//! The file is a compact JWE ([RFC 7516](https://www.rfc-editor.org/rfc/rfc7516)) with `PBES2-HS512+A256KW` and
//! `A256GCM`; its plaintext is this JSON. The clinic tool makes and opens the JWE natively, a playback worker opens
//! it with WebCrypto; both come here with the plaintext. Both use a passphrase in Unicode Normalization Form C and try
//! the older forms of it: `docs/FORMAT.md`, "Key files".
//!
//! ```json
//! {"v":1,"suite":"x-wing","private_key":"<32 bytes, base64url>"}
//! ```

use sealed_visit_protocol::bytes::{from_base64url, to_base64url};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use super::hpke::{HpkeError, PrivateKey, Suite};

/// The JWE's content type.
pub const CONTENT_TYPE: &str = "sealed-visit-key+json";

/// Why a key file's content is refused.
#[non_exhaustive]
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KeyFileError {
    /// Not the JSON above.
    #[error("the key file does not hold the expected JSON")]
    Malformed,
    /// Made by a later version.
    #[error("expected key file version 1, got {0}: a newer program is needed")]
    UnknownVersion(u64),
    /// Suite or key is unknown.
    #[error(transparent)]
    Key(#[from] HpkeError),
}

#[derive(Serialize, Deserialize)]
struct Content {
    v: u64,
    suite: String,
    private_key: String,
}

/// A private key as the JWE's plaintext.
pub fn encode(private: &PrivateKey) -> Zeroizing<Vec<u8>> {
    let mut content = Content {
        v: 1,
        suite: private.suite().name().to_owned(),
        private_key: to_base64url(private.expose()),
    };
    // Two texts and a number: serializing them into memory cannot fail.
    let json = serde_json::to_vec(&content).unwrap_or_default();
    content.private_key.zeroize();
    Zeroizing::new(json)
}

/// The private key in a JWE's plaintext.
pub fn decode(plaintext: &[u8]) -> Result<PrivateKey, KeyFileError> {
    // The parser's own message may quote what it read, so it is not passed on.
    let mut content: Content =
        serde_json::from_slice(plaintext).map_err(|_| KeyFileError::Malformed)?;
    let bytes = from_base64url(&content.private_key).map(Zeroizing::new);
    content.private_key.zeroize();
    if content.v != 1 {
        return Err(KeyFileError::UnknownVersion(content.v));
    }
    let bytes = bytes.ok_or(KeyFileError::Malformed)?;
    Ok(PrivateKey::from_bytes(
        Suite::from_name(&content.suite)?,
        &bytes,
    )?)
}
