//! The clinic document: what the clinic's pinned root key says about everybody else.
//!
//! Pages, vault and tool pin the root public key and nothing else. The document names the authority's keys, the
//! recipients of recordings with their roles, the vault's receipt key, and retired recipients.

use crate::bytes::{B64, Hash32};
use crate::jws::{Claims, Jws, JwsError, PublicKey};
use serde::{Deserialize, Serialize};

/// The pinned root public key.
pub type RootKey = PublicKey;

/// A public-key suite that a recording's track secret can be wrapped to (RFC 9180).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WrapSuite {
    /// HPKE base mode, X-Wing (MLKEM768-X25519), HKDF-SHA256, AES-256-GCM.
    XWing,
    /// HPKE base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
    X25519,
}

/// What a recipient of recordings is for.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RecipientRole {
    ResponsibleClinician,
    Archive,
    Supervisor,
    QualityReviewer,
    AiProcessor,
    Legal,
    Researcher,
}

/// Somebody who can open recordings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// [`Recipient::fingerprint_of`] suite and public key.
    pub fingerprint: Hash32,
    pub suite: WrapSuite,
    /// The KEM's serialised public key.
    pub public_key: B64,
    pub role: RecipientRole,
}

impl Recipient {
    /// SHA-256 over `sealed-visit recipient v1`, a zero byte, the suite's name, a zero byte, the public key.
    pub fn fingerprint_of(suite: WrapSuite, public_key: &[u8]) -> Hash32 {
        let name: &[u8] = match suite {
            WrapSuite::XWing => b"x-wing\0",
            WrapSuite::X25519 => b"x25519\0",
        };
        crate::hash::labelled("sealed-visit recipient v1", &[name, public_key])
    }
}

/// A recipient as requests, grants and statements name it.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecipientRef {
    pub fingerprint: Hash32,
    pub role: RecipientRole,
}

/// Claims of the clinic document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClinicClaims {
    pub v: u32,
    /// Grows by one with every document; a lower one than seen before is refused by whoever remembers.
    pub number: u64,
    /// Valid from, milliseconds since the Unix epoch.
    pub not_before_ms: u64,
    /// Valid until, milliseconds since the Unix epoch.
    pub not_after_ms: u64,
    /// The clinic's name as people are shown it.
    pub name: String,
    /// Contact for questions about recordings, shown to participants.
    pub contact: String,
    pub authorities: Vec<PublicKey>,
    pub vault: PublicKey,
    pub recipients: Vec<Recipient>,
    /// Fingerprints of recipients that must not be used any more.
    #[serde(default)]
    pub retired: Vec<Hash32>,
}

impl Claims for ClinicClaims {
    const TYP: &'static str = "sv-clinic+jwt";
}

/// Why the clinic document, or a key it should list, was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClinicError {
    #[error("the clinic document is refused: {0}")]
    Signature(#[from] JwsError),
    #[error(
        "the clinic's document is not valid at {now_ms} (from {not_before_ms} to {not_after_ms})"
    )]
    NotValidNow {
        now_ms: u64,
        not_before_ms: u64,
        not_after_ms: u64,
    },
    #[error("recipient {fingerprint} does not match its public key")]
    FingerprintMismatch { fingerprint: Hash32 },
    #[error("recipient {fingerprint} is not in the clinic's document")]
    UnlistedRecipient { fingerprint: Hash32 },
    #[error("recipient {fingerprint} is retired")]
    RetiredRecipient { fingerprint: Hash32 },
    #[error("recipient {fingerprint} has another role in the clinic's document")]
    RecipientRole { fingerprint: Hash32 },
    #[error("key {kid} is not an authority of this clinic")]
    UnknownAuthority { kid: String },
}

/// A clinic document whose signature by the root key was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClinicDocument {
    claims: ClinicClaims,
    hash: Hash32,
}

impl ClinicDocument {
    /// Checks the root's signature and the recipients' fingerprints. Time is checked by [`Self::check_time`].
    pub fn verify(jws: &Jws<ClinicClaims>, root: &RootKey) -> Result<Self, ClinicError> {
        let claims = jws.verify(root)?;
        for recipient in &claims.recipients {
            if Recipient::fingerprint_of(recipient.suite, &recipient.public_key.0)
                != recipient.fingerprint
            {
                return Err(ClinicError::FingerprintMismatch {
                    fingerprint: recipient.fingerprint,
                });
            }
        }
        Ok(Self {
            claims,
            hash: jws.hash(),
        })
    }

    pub fn check_time(&self, now_ms: u64) -> Result<(), ClinicError> {
        let ClinicClaims {
            not_before_ms,
            not_after_ms,
            ..
        } = self.claims;
        if (not_before_ms..not_after_ms).contains(&now_ms) {
            Ok(())
        } else {
            Err(ClinicError::NotValidNow {
                now_ms,
                not_before_ms,
                not_after_ms,
            })
        }
    }

    pub fn claims(&self) -> &ClinicClaims {
        &self.claims
    }

    /// SHA-256 of the signed document.
    pub fn hash(&self) -> Hash32 {
        self.hash
    }

    /// The authority key with this thumbprint.
    pub fn authority(&self, kid: &str) -> Result<&PublicKey, ClinicError> {
        self.claims
            .authorities
            .iter()
            .find(|key| key.thumbprint() == kid)
            .ok_or_else(|| ClinicError::UnknownAuthority {
                kid: kid.chars().take(64).collect(),
            })
    }

    /// The listed, unretired recipient that a request names, with the role it names.
    pub fn recipient(&self, wanted: &RecipientRef) -> Result<&Recipient, ClinicError> {
        let fingerprint = wanted.fingerprint;
        if self.claims.retired.contains(&fingerprint) {
            return Err(ClinicError::RetiredRecipient { fingerprint });
        }
        let recipient = self
            .claims
            .recipients
            .iter()
            .find(|recipient| recipient.fingerprint == fingerprint)
            .ok_or(ClinicError::UnlistedRecipient { fingerprint })?;
        if recipient.role != wanted.role {
            return Err(ClinicError::RecipientRole { fingerprint });
        }
        Ok(recipient)
    }
}
