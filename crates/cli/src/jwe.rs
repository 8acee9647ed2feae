//! Files protected by a passphrase: compact JWE (RFC 7516) with `PBES2-HS512+A256KW` (RFC 7518, section 4.8) and
//! `A256GCM`. Any JOSE library opens them.
//!
//! Inputs: plaintext, content type, passphrase, randomness. Invariant: the work factor of a file is bounded before
//! it is spent, and the content type is checked, so that a root key is never taken for a recipient's.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut as _, Aes256Gcm, KeyInit as _};
use aes_kw::KwAes256;
use sealed_visit_protocol::bytes::{from_base64url, to_base64url};
use serde::{Deserialize, Serialize};
use sha2::Sha512;
use thiserror::Error;
use zeroize::Zeroizing;

const ALG: &str = "PBES2-HS512+A256KW";
const ENC: &str = "A256GCM";
/// PBKDF2 rounds of a new file: some three times what OWASP's 2023 advice for HMAC-SHA-512 asks (210,000).
const NEW_ROUNDS: u32 = 600_000;
/// RFC 7518 recommends at least 1,000; more than the upper bound is an attack on our time.
const ROUNDS: std::ops::RangeInclusive<u32> = 1_000..=10_000_000;
const KEY_BYTES: usize = 32;
const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// Why a protected file could not be made or opened.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum JweError {
    #[error("not a compact JWE of the expected kind: {0}")]
    Malformed(&'static str),
    #[error("protected with {0}, which this tool does not use")]
    Algorithm(String),
    #[error("the file holds {got}, not {expected}")]
    ContentType { expected: &'static str, got: String },
    #[error("a work factor of {0} rounds is refused")]
    WorkFactor(u32),
    #[error("the passphrase is wrong, or the file is damaged")]
    WrongPassphrase,
    #[error("the passphrase is right, but the file was altered or damaged")]
    Altered,
    #[error("the system gives no randomness")]
    NoRandomness,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    enc: String,
    cty: String,
    p2s: String,
    p2c: u32,
}

/// Protects `plaintext` with a passphrase.
pub fn protect(
    plaintext: &[u8],
    content_type: &'static str,
    passphrase: &str,
) -> Result<String, JweError> {
    protect_with_rounds(plaintext, content_type, passphrase, NEW_ROUNDS)
}

fn protect_with_rounds(
    plaintext: &[u8],
    content_type: &'static str,
    passphrase: &str,
    rounds: u32,
) -> Result<String, JweError> {
    let salt: [u8; 16] = random()?;
    let iv: [u8; IV_BYTES] = random()?;
    let content_key = Zeroizing::new(random::<KEY_BYTES>()?);
    let header = Header {
        alg: ALG.into(),
        enc: ENC.into(),
        cty: content_type.into(),
        p2s: to_base64url(&salt),
        p2c: rounds,
    };
    // Texts and a number: serializing them into memory cannot fail.
    let header = to_base64url(&serde_json::to_vec(&header).unwrap_or_default());

    let wrapping = KwAes256::new(&(*wrapping_key(passphrase, &salt, rounds)).into());
    let mut wrapped = [0; KEY_BYTES + 8];
    wrapping
        .wrap_key(content_key.as_slice(), &mut wrapped)
        .map_err(|_| JweError::Malformed("wrapping"))?;
    let mut ciphertext = plaintext.to_vec();
    let tag = Aes256Gcm::new(&(*content_key).into())
        .encrypt_inout_detached(
            &iv.into(),
            header.as_bytes(),
            InOutBuf::from(ciphertext.as_mut_slice()),
        )
        .map_err(|_| JweError::Malformed("encrypting"))?;
    let parts = [
        to_base64url(&wrapped),
        to_base64url(&iv),
        to_base64url(&ciphertext),
        to_base64url(&tag),
    ];
    Ok(format!("{header}.{}", parts.join(".")))
}

/// Opens what [`protect`] made, or another JOSE library with the same algorithms, with the first of the `passphrases`
/// that fits.
pub fn unprotect(
    jwe: &str,
    content_type: &'static str,
    passphrases: &[Zeroizing<String>],
) -> Result<Zeroizing<Vec<u8>>, JweError> {
    let parts: Vec<&str> = jwe.trim().split('.').collect();
    let [header, wrapped, iv, ciphertext, tag] = parts[..] else {
        return Err(JweError::Malformed("expected five parts"));
    };
    let parsed = read_header(header)?;
    parsed.expect(content_type)?;
    let salt = from_base64url(&parsed.p2s).ok_or(JweError::Malformed("p2s"))?;
    if salt.len() < 8 {
        return Err(JweError::Malformed("p2s is shorter than 8 bytes"));
    }
    if !ROUNDS.contains(&parsed.p2c) {
        return Err(JweError::WorkFactor(parsed.p2c));
    }
    let wrapped: [u8; KEY_BYTES + 8] = fixed(wrapped, "encrypted key")?;
    let iv: [u8; IV_BYTES] = fixed(iv, "iv")?;
    let tag: [u8; TAG_BYTES] = fixed(tag, "tag")?;
    let mut plaintext =
        Zeroizing::new(from_base64url(ciphertext).ok_or(JweError::Malformed("ciphertext"))?);

    let mut content_key = Zeroizing::new([0; KEY_BYTES]);
    let fits = passphrases.iter().any(|passphrase| {
        KwAes256::new(&(*wrapping_key(passphrase, &salt, parsed.p2c)).into())
            .unwrap_key(&wrapped, content_key.as_mut_slice())
            .is_ok()
    });
    if !fits {
        return Err(JweError::WrongPassphrase);
    }
    Aes256Gcm::new(&(*content_key).into())
        .decrypt_inout_detached(
            &iv.into(),
            header.as_bytes(),
            InOutBuf::from(plaintext.as_mut_slice()),
            &tag.into(),
        )
        .map_err(|_| JweError::Altered)?;
    Ok(plaintext)
}

/// Checks that a file says to be a protected one with this content; its passphrase is not needed for that.
pub fn check(jwe: &str, content_type: &'static str) -> Result<(), JweError> {
    let (header, _) = jwe
        .trim()
        .split_once('.')
        .ok_or(JweError::Malformed("expected five parts"))?;
    read_header(header)?.expect(content_type)
}

impl Header {
    fn expect(&self, content_type: &'static str) -> Result<(), JweError> {
        if self.cty == content_type {
            return Ok(());
        }
        Err(JweError::ContentType {
            expected: content_type,
            got: self.cty.chars().take(64).collect(),
        })
    }
}

/// What kind of content a protected file says it has.
pub fn content_type(jwe: &str) -> Result<String, JweError> {
    let (header, _) = jwe
        .trim()
        .split_once('.')
        .ok_or(JweError::Malformed("expected five parts"))?;
    Ok(read_header(header)?.cty)
}

fn read_header(header: &str) -> Result<Header, JweError> {
    let bytes = from_base64url(header).ok_or(JweError::Malformed("header"))?;
    let header: Header =
        serde_json::from_slice(&bytes).map_err(|_| JweError::Malformed("header"))?;
    if header.alg != ALG || header.enc != ENC {
        let name = format!("{} and {}", header.alg, header.enc);
        return Err(JweError::Algorithm(name.chars().take(64).collect()));
    }
    Ok(header)
}

/// RFC 7518, section 4.8.1.1: the salt is the algorithm's name, a zero byte, and `p2s`.
fn wrapping_key(passphrase: &str, p2s: &[u8], rounds: u32) -> Zeroizing<[u8; KEY_BYTES]> {
    let salt = [ALG.as_bytes(), &[0], p2s].concat();
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    pbkdf2::pbkdf2_hmac::<Sha512>(passphrase.as_bytes(), &salt, rounds, key.as_mut_slice());
    key
}

fn fixed<const N: usize>(text: &str, what: &'static str) -> Result<[u8; N], JweError> {
    from_base64url(text)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(JweError::Malformed(what))
}

fn random<const N: usize>() -> Result<[u8; N], JweError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| JweError::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "test+json";

    fn typed(passphrase: &str) -> [Zeroizing<String>; 1] {
        [Zeroizing::new(passphrase.to_owned())]
    }

    fn protected() -> String {
        protect_with_rounds(b"a secret", TYPE, "correct horse", 1_000).unwrap()
    }

    #[test]
    fn opens_what_it_protected_and_only_with_the_passphrase() {
        let jwe = protected();
        assert_eq!(
            *unprotect(&jwe, TYPE, &typed("correct horse")).unwrap(),
            b"a secret"
        );
        assert_eq!(
            unprotect(&jwe, TYPE, &typed("correct horsE")),
            Err(JweError::WrongPassphrase)
        );
        assert_ne!(jwe, protected(), "salt, key and iv are fresh");
    }

    #[test]
    fn any_altered_character_is_refused() {
        let jwe = protected();
        for at in 0..jwe.len() {
            let mut altered = jwe.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert!(
                unprotect(&altered, TYPE, &typed("correct horse")).is_err(),
                "character {at}"
            );
        }
    }

    #[test]
    fn refuses_another_content_type_and_costly_work_factors() {
        let jwe = protected();
        assert!(matches!(
            unprotect(&jwe, "other+json", &typed("correct horse")),
            Err(JweError::ContentType { .. })
        ));
        for rounds in [999, 10_000_001, u32::MAX] {
            let header = format!(
                r#"{{"alg":"{ALG}","enc":"{ENC}","cty":"{TYPE}","p2s":"AAAAAAAAAAAAAAAA","p2c":{rounds}}}"#
            );
            let (_, rest) = jwe.split_once('.').unwrap();
            let costly = format!("{}.{rest}", to_base64url(header.as_bytes()));
            assert_eq!(
                unprotect(&costly, TYPE, &typed("correct horse")),
                Err(JweError::WorkFactor(rounds))
            );
        }
    }

    #[test]
    fn refuses_other_algorithms() {
        let jwe = protected();
        let (_, rest) = jwe.split_once('.').unwrap();
        let header = format!(r#"{{"alg":"dir","enc":"{ENC}","cty":"{TYPE}","p2s":"","p2c":1}}"#);
        let other = format!("{}.{rest}", to_base64url(header.as_bytes()));
        assert!(matches!(
            unprotect(&other, TYPE, &typed("")),
            Err(JweError::Algorithm(_))
        ));
    }

    /// Made with Python: `cryptography`'s PBKDF2HMAC, aes_key_wrap and AESGCM, after RFC 7518.
    #[test]
    fn opens_what_another_implementation_protected() {
        let jwe = include_str!("../tests/python.jwe");
        assert_eq!(
            *unprotect(jwe, TYPE, &typed("correct horse battery")).unwrap(),
            b"made elsewhere"
        );
    }
}
