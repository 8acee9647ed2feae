//! The vault's signing key, and the keys derived from it.
//!
//! The file holds the Ed25519 seed in base64url, readable by its owner only. The key signs receipts, closing
//! records and upload capabilities; its public half stands in the clinic document.

use crate::private;
use anyhow::{Context as _, bail};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sealed_visit_protocol::SigningKey;
use sealed_visit_protocol::bytes::{from_base64url, to_base64url};
use sha2::Sha256;
use std::io::Write as _;
use std::path::Path;
use zeroize::{Zeroize as _, Zeroizing};

/// Makes a key and writes it to a new file; an existing file is never overwritten.
pub fn create(path: &Path) -> anyhow::Result<SigningKey> {
    let mut seed = Zeroizing::new([0u8; 32]);
    getrandom::fill(&mut seed[..])
        .map_err(|error| anyhow::anyhow!("no randomness from the system: {error}"))?;
    let text = Zeroizing::new(format!("{}\n", to_base64url(&seed[..])));
    let mut file = private::create_new(path)
        .with_context(|| format!("cannot make the key file {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(SigningKey::from_seed(&seed))
}

/// Reads a key file.
pub fn read(path: &Path) -> anyhow::Result<SigningKey> {
    let text = Zeroizing::new(private::read_secret(path, "key file")?);
    let Some(mut bytes) = from_base64url(text.trim()) else {
        bail!("the key file {} is not base64url", path.display());
    };
    let seed = <[u8; 32]>::try_from(bytes.as_slice()).map(Zeroizing::new);
    bytes.zeroize();
    let Ok(seed) = seed else {
        bail!("the key file {} does not hold 32 bytes", path.display());
    };
    Ok(SigningKey::from_seed(&seed))
}

/// The key of signed download URLs: HMAC-SHA256 of a label under the seed, so that a restart keeps URLs valid.
pub fn url_key(key: &SigningKey) -> Zeroizing<[u8; 32]> {
    let mut mac = hmac_sha256(&key.seed());
    mac.update(b"sealed-visit vault download url v1");
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// HMAC-SHA256 (RFC 2104) under a key shorter than its block, which is padded with zeros.
pub fn hmac_sha256(key: &[u8; 32]) -> Hmac<Sha256> {
    const BLOCK_BYTES: usize = 64;
    let mut block = Zeroizing::new([0u8; BLOCK_BYTES]);
    block[..key.len()].copy_from_slice(key);
    Hmac::<Sha256>::new(&(*block).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_created_and_never_overwrites() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.key");
        let created = create(&path).unwrap();
        assert_eq!(read(&path).unwrap().public(), created.public());
        assert!(create(&path).is_err());
        assert_eq!(read(&path).unwrap().public(), created.public());
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "only the owner may read it");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&path).is_err(), "others may have read it");
    }

    #[test]
    fn refuses_a_file_that_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.key");
        for text in ["", "not base64url!", "AAAA"] {
            std::fs::write(&path, text).unwrap();
            crate::private::file(&path).unwrap();
            assert!(read(&path).is_err(), "{text:?}");
        }
    }
}
