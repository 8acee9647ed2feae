//! Compact JWS (RFC 7515) with EdDSA over Ed25519 (RFC 8037), one `typ` per kind of document (RFC 8725
//! section 3.11).
//!
//! Inputs: claims and a key, or a compact serialization. Output: claims whose signature, `typ`, `alg` and major
//! version were checked. There is no way to sign bytes that are not the claims of a named document.

use crate::bytes::{Hash32, from_base64url, to_base64url};
use crate::hash::sha256;
use crate::json;
use ed25519_dalek::Signer as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;
use zeroize::Zeroizing;

/// Larger documents are refused before they are parsed. An open statement with 62 members stays below it.
pub const MAX_JWS_BYTES: usize = 1 << 20;

/// Why a signed document was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// Not a compact JWS as this project writes it: number of parts, base64url, header members, length of the signature
    /// or form of a number. Says which.
    #[error("not a compact JWS: {0}")]
    Malformed(&'static str),
    /// Longer than [`MAX_JWS_BYTES`]; it was not parsed.
    #[error("the document has {size_bytes} bytes, more than {MAX_JWS_BYTES}")]
    TooLarge {
        /// Length of the compact serialization.
        size_bytes: usize,
    },
    /// A document of another kind.
    #[error("expected a document of type {expected}, got {got}")]
    WrongType {
        /// The `typ` that belongs here.
        expected: &'static str,
        /// The `typ` of the header, cut to 32 characters.
        got: String,
    },
    /// Another `alg` than EdDSA. Holds that of the header, cut to 16 characters.
    #[error("expected algorithm EdDSA, got {0}")]
    WrongAlgorithm(String),
    /// Of another major version: a newer program is needed.
    #[error("expected format version 1 of {typ}, got {got}: a newer program is needed")]
    UnknownVersion {
        /// Kind of the document.
        typ: &'static str,
        /// Its `v`.
        got: u64,
    },
    /// The payload is not JSON, names a member twice, lacks one, or has one that is not of the expected type.
    #[error("the claims of {typ} are not as expected: {detail}")]
    Claims {
        /// Kind of the document.
        typ: &'static str,
        /// What is wrong. It holds none of the document's text, which may be a person's.
        detail: String,
    },
    /// The signature, or the `kid`, is not the key's: the document is forged, altered, or by another signer.
    #[error("the signature of {typ} does not verify under key {kid}")]
    BadSignature {
        /// Kind of the document.
        typ: &'static str,
        /// Thumbprint of the key that it was checked against.
        kid: String,
    },
    /// Not a point of the curve, one of small order, or a JWK of another kind of key.
    #[error("not an Ed25519 public key")]
    BadKey,
}

/// Claims of one kind of signed document.
pub trait Claims: Serialize + DeserializeOwned {
    /// The `typ` header, e.g. `sv-pass+jwt`.
    const TYP: &'static str;
}

/// An Ed25519 public key (RFC 8032), serialized as the `x` member of its JWK.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Jwk", into = "Jwk")]
pub struct PublicKey([u8; 32]);

/// The JWK form of a public key (RFC 8037 section 2).
#[derive(Clone, Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: Hash32,
}

impl TryFrom<Jwk> for PublicKey {
    type Error = JwsError;

    fn try_from(jwk: Jwk) -> Result<Self, JwsError> {
        if jwk.kty != "OKP" || jwk.crv != "Ed25519" {
            return Err(JwsError::BadKey);
        }
        Self::from_bytes(jwk.x.0)
    }
}

impl From<PublicKey> for Jwk {
    fn from(key: PublicKey) -> Self {
        Self {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            x: Hash32(key.0),
        }
    }
}

impl PublicKey {
    /// Checks that the bytes are a point of the curve that is not of small order.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, JwsError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).map_err(|_| JwsError::BadKey)?;
        if key.is_weak() {
            return Err(JwsError::BadKey);
        }
        Ok(Self(bytes))
    }

    /// Parses the JWK's `x`: 32 bytes in base64url.
    pub fn parse(x: &str) -> Result<Self, JwsError> {
        Self::from_bytes(Hash32::parse(x).ok_or(JwsError::BadKey)?.0)
    }

    /// The key's encoding (RFC 8032 section 5.1.2).
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The JWK thumbprint (RFC 7638), used as `kid`.
    pub fn thumbprint(&self) -> String {
        let json = format!(
            r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
            to_base64url(&self.0)
        );
        sha256(json.as_bytes()).to_string()
    }

    fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        ed25519_dalek::VerifyingKey::from_bytes(&self.0).is_ok_and(|key| {
            key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature))
                .is_ok()
        })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", to_base64url(&self.0))
    }
}

/// An Ed25519 signing key. It signs documents of this crate and nothing else.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Makes the key from its 32-byte seed (RFC 8032 section 5.1.5), which should be random.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed, for storing the key where only its owner can read it.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key that verifies what this key signs.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs the claims as a document of their type.
    pub fn sign<C: Claims>(&self, claims: &C) -> Jws<C> {
        let header = Header {
            alg: "EdDSA".into(),
            typ: C::TYP.into(),
            kid: self.public().thumbprint(),
        };
        // Serializing these plain structures cannot fail: their keys are strings and they hold no maps of floats.
        let header = serde_json::to_vec(&header).unwrap_or_default();
        let payload = serde_json::to_vec(claims).unwrap_or_default();
        let mut text = format!("{}.{}", to_base64url(&header), to_base64url(&payload));
        let signature = self.0.sign(text.as_bytes()).to_bytes();
        text.push('.');
        text.push_str(&to_base64url(&signature));
        Jws::from_text(text)
    }
}

impl Clone for SigningKey {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(kid {})", self.public().thumbprint())
    }
}

/// With each of the [`Header`]'s present, there are no others.
const HEADER_MEMBERS: usize = 3;

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// A compact JWS that should hold claims `C`; untrusted until [`Jws::verify`].
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Jws<C> {
    text: String,
    #[serde(skip)]
    claims: PhantomData<fn() -> C>,
}

impl<C> Clone for Jws<C> {
    fn clone(&self) -> Self {
        Self::from_text(self.text.clone())
    }
}

impl<C> PartialEq for Jws<C> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<C> Eq for Jws<C> {}

impl<C> fmt::Debug for Jws<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jws({} bytes)", self.text.len())
    }
}

impl<C> fmt::Display for Jws<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<C> Jws<C> {
    /// Wraps a compact serialization without looking at it.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            claims: PhantomData,
        }
    }

    /// The compact serialization.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// SHA-256 over the compact serialization: how other documents name this one.
    pub fn hash(&self) -> Hash32 {
        sha256(self.text.as_bytes())
    }
}

impl<C: Claims> Jws<C> {
    /// Checks type, algorithm, version, `kid` and signature, and returns the claims.
    pub fn verify(&self, key: &PublicKey) -> Result<C, JwsError> {
        let parsed = self.parse()?;
        let kid = key.thumbprint();
        if parsed.kid != kid || !key.verify(parsed.signed, &parsed.signature) {
            return Err(JwsError::BadSignature { typ: C::TYP, kid });
        }
        Ok(parsed.claims)
    }

    /// The `kid` header, to choose a key with. Unverified.
    pub fn unverified_kid(&self) -> Result<String, JwsError> {
        Ok(self.parse()?.kid)
    }

    /// The claims before any signature was checked: for finding the key that must have signed them, no more.
    pub fn unverified_claims(&self) -> Result<C, JwsError> {
        Ok(self.parse()?.claims)
    }

    fn parse(&self) -> Result<Parsed<'_, C>, JwsError> {
        let document = Document::parse(&self.text, C::TYP)?;
        let claims = document.claims.read();
        Ok(Parsed {
            claims: claims.map_err(|error| claims_error(C::TYP, &error))?,
            signed: document.signed,
            signature: document.signature,
            kid: document.kid,
        })
    }
}

struct Parsed<'a, C> {
    signed: &'a [u8],
    signature: [u8; 64],
    claims: C,
    kid: String,
}

/// A document whose header and version are as expected, its claims not yet read.
struct Document<'a> {
    signed: &'a [u8],
    signature: [u8; 64],
    claims: json::Tree,
    kid: String,
}

impl<'a> Document<'a> {
    // Apart from `Jws::parse`, which is compiled once for every kind of document.
    fn parse(text: &'a str, typ: &'static str) -> Result<Self, JwsError> {
        if text.len() > MAX_JWS_BYTES {
            return Err(JwsError::TooLarge {
                size_bytes: text.len(),
            });
        }
        let (signed, signature) = text
            .rsplit_once('.')
            .ok_or(JwsError::Malformed("expected three parts"))?;
        let (header, payload) = signed
            .split_once('.')
            .ok_or(JwsError::Malformed("expected three parts"))?;
        let header =
            from_base64url(header).ok_or(JwsError::Malformed("the header is not base64url"))?;
        let header = json::Tree::parse(&header)
            .ok()
            .filter(|header| header.members() == Some(HEADER_MEMBERS))
            .and_then(|header| header.read::<Header>().ok())
            .ok_or(JwsError::Malformed("unexpected header members"))?;
        if header.alg != "EdDSA" {
            return Err(JwsError::WrongAlgorithm(
                header.alg.chars().take(16).collect(),
            ));
        }
        if header.typ != typ {
            return Err(JwsError::WrongType {
                expected: typ,
                got: header.typ.chars().take(32).collect(),
            });
        }
        let signature = from_base64url(signature)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(JwsError::Malformed("expected a signature of 64 bytes"))?;
        let payload =
            from_base64url(payload).ok_or(JwsError::Malformed("the payload is not base64url"))?;
        let claims = json::Tree::parse(&payload).map_err(|error| claims_error(typ, &error))?;
        if !claims.has_plain_numbers() {
            return Err(JwsError::Malformed("a number is not from 0 to 2^53 - 1"));
        }
        let version: Version = claims.read().map_err(|error| claims_error(typ, &error))?;
        if version.v != u64::from(crate::VERSION) {
            return Err(JwsError::UnknownVersion {
                typ,
                got: version.v,
            });
        }
        Ok(Self {
            signed: signed.as_bytes(),
            signature,
            claims,
            kid: header.kid,
        })
    }
}

/// What was wrong, without the text that stood there (it may be a person's).
fn claims_error(typ: &'static str, error: &json::Error) -> JwsError {
    JwsError::Claims {
        typ,
        detail: error.to_string(),
    }
}

#[derive(Deserialize)]
struct Version {
    v: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note {
        v: u32,
        text: String,
    }
    impl Claims for Note {
        const TYP: &'static str = "sv-test-note+jwt";
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Other {
        v: u32,
        text: String,
    }
    impl Claims for Other {
        const TYP: &'static str = "sv-test-other+jwt";
    }

    fn note() -> Note {
        Note {
            v: 1,
            text: "hello".into(),
        }
    }

    #[test]
    fn verifies_what_it_signed() {
        let key = SigningKey::from_seed(&[1; 32]);
        let jws = key.sign(&note());
        assert_eq!(jws.verify(&key.public()).unwrap(), note());
        assert_eq!(jws.unverified_kid().unwrap(), key.public().thumbprint());
    }

    #[test]
    fn thumbprint_is_the_one_of_rfc_8037_appendix_a_3() {
        let key = PublicKey::parse("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        assert_eq!(
            key.thumbprint(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn refuses_another_key_another_type_and_another_version() {
        let key = SigningKey::from_seed(&[1; 32]);
        let other = SigningKey::from_seed(&[2; 32]);
        let jws = key.sign(&note());
        assert!(matches!(
            jws.verify(&other.public()),
            Err(JwsError::BadSignature { .. })
        ));
        let as_other = Jws::<Other>::from_text(jws.as_str());
        assert!(matches!(
            as_other.verify(&key.public()),
            Err(JwsError::WrongType { .. })
        ));
        let newer = key.sign(&Note {
            v: 2,
            text: String::new(),
        });
        assert!(matches!(
            newer.verify(&key.public()),
            Err(JwsError::UnknownVersion { got: 2, .. })
        ));
    }

    #[test]
    fn refuses_any_flipped_bit() {
        let key = SigningKey::from_seed(&[1; 32]);
        let text = key.sign(&note()).as_str().as_bytes().to_vec();
        for position in 0..text.len() {
            for bit in 0..8 {
                let mut changed = text.clone();
                changed[position] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(changed) else {
                    continue;
                };
                assert!(
                    Jws::<Note>::from_text(changed)
                        .verify(&key.public())
                        .is_err(),
                    "byte {position}"
                );
            }
        }
    }

    #[test]
    fn refuses_none_and_unknown_header_members() {
        let key = SigningKey::from_seed(&[1; 32]);
        let payload = to_base64url(br#"{"v":1,"text":""}"#);
        for header in [
            r#"{"alg":"none","typ":"sv-test-note+jwt","kid":""}"#,
            r#"{"alg":"EdDSA","typ":"sv-test-note+jwt","kid":"","crit":["b64"]}"#,
        ] {
            let text = format!(
                "{}.{payload}.{}",
                to_base64url(header.as_bytes()),
                to_base64url(&[0; 64])
            );
            assert!(Jws::<Note>::from_text(text).verify(&key.public()).is_err());
        }
    }

    /// A signature over these very bytes, as a careless signer would make it.
    fn signed(key: &SigningKey, header: &str, payload: &str) -> Jws<Note> {
        let signed = format!(
            "{}.{}",
            to_base64url(header.as_bytes()),
            to_base64url(payload.as_bytes())
        );
        let signature = key.0.sign(signed.as_bytes()).to_bytes();
        Jws::from_text(format!("{signed}.{}", to_base64url(&signature)))
    }

    fn header(kid: &str) -> String {
        format!(r#"{{"alg":"EdDSA","typ":"sv-test-note+jwt","kid":"{kid}"}}"#)
    }

    #[test]
    fn the_kid_is_the_thumbprint_of_the_key_that_signed() {
        let [key, other] = [1, 2].map(|seed| SigningKey::from_seed(&[seed; 32]));
        let payload = r#"{"v":1,"text":""}"#;
        let honest = signed(&key, &header(&key.public().thumbprint()), payload);
        assert!(honest.verify(&key.public()).is_ok());
        for kid in ["", &other.public().thumbprint()] {
            let jws = signed(&key, &header(kid), payload);
            let refused = jws.verify(&key.public());
            assert!(matches!(refused, Err(JwsError::BadSignature { .. })));
        }
    }

    #[test]
    fn every_number_is_an_integer_that_all_parsers_read_alike() {
        let key = SigningKey::from_seed(&[1; 32]);
        let verified = |number: &str| {
            let payload = format!(r#"{{"v":1,"text":"","newer":{{"list":[{number}]}}}}"#);
            signed(&key, &header(&key.public().thumbprint()), &payload).verify(&key.public())
        };
        for number in ["0", "9007199254740991"] {
            assert!(verified(number).is_ok(), "{number}");
        }
        for number in [
            "9007199254740992",
            "18446744073709551616",
            "-1",
            "-0",
            "1.0",
            "1e3",
            "1e999",
            "01",
            "+1",
            "NaN",
        ] {
            assert!(verified(number).is_err(), "{number}");
        }
        for version in ["1.0", "1e0", "true", "\"1\"", "null"] {
            let payload = format!(r#"{{"v":{version},"text":""}}"#);
            let jws = signed(&key, &header(&key.public().thumbprint()), &payload);
            assert!(jws.verify(&key.public()).is_err(), "{version}");
        }
    }

    #[test]
    fn a_document_nests_up_to_127_levels_and_has_up_to_1_mib() {
        let key = SigningKey::from_seed(&[1; 32]);
        let kid = header(&key.public().thumbprint());
        let nested = |levels: usize| {
            let (open, close) = ("[".repeat(levels), "]".repeat(levels));
            let payload = format!(r#"{{"v":1,"text":"","newer":{open}{close}}}"#);
            signed(&key, &kid, &payload).verify(&key.public())
        };
        // The payload's own object is the first level.
        assert!(nested(126).is_ok());
        assert!(nested(127).is_err());

        let long = |text_bytes: usize| {
            let payload = format!(r#"{{"v":1,"text":"{}"}}"#, "a".repeat(text_bytes));
            signed(&key, &kid, &payload)
        };
        let overhead = long(0).as_str().len();
        let mut text_bytes = (MAX_JWS_BYTES - overhead) * 3 / 4;
        while long(text_bytes + 1).as_str().len() <= MAX_JWS_BYTES {
            text_bytes += 1;
        }
        // base64url has no text of every length; spaces cannot pad it. The longest that fits is taken.
        assert!(long(text_bytes).verify(&key.public()).is_ok());
        let refused = long(text_bytes + 1).verify(&key.public());
        assert!(matches!(refused, Err(JwsError::TooLarge { .. })));
    }

    #[test]
    fn base64url_has_one_text_for_each_value() {
        let key = SigningKey::from_seed(&[1; 32]);
        let text = key.sign(&note()).as_str().to_owned();
        assert_eq!(text.len() - text.rfind('.').unwrap(), 87);
        // The last character of 64 bytes has four bits that nothing uses.
        let last = text.chars().last().unwrap();
        for character in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars()
        {
            let other = format!("{}{character}", &text[..text.len() - 1]);
            let verified = Jws::<Note>::from_text(other).verify(&key.public());
            assert_eq!(verified.is_ok(), character == last, "{character}");
        }
        for padded in [format!("{text}=="), format!("{text}\n"), format!(" {text}")] {
            assert!(
                Jws::<Note>::from_text(padded)
                    .verify(&key.public())
                    .is_err()
            );
        }
    }
}
