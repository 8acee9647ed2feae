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
    /// The treating clinician.
    ResponsibleClinician,
    /// The clinic's record archive.
    Archive,
    /// Whoever supervises the clinician.
    Supervisor,
    /// Whoever reviews the quality of care.
    QualityReviewer,
    /// A service that processes recordings by AI, for instance into a note.
    AiProcessor,
    /// The clinic's legal team.
    Legal,
    /// Whoever uses recordings for research.
    Researcher,
}

/// Somebody who can open recordings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// [`Recipient::fingerprint_of`] suite and public key.
    pub fingerprint: Hash32,
    /// The suite that a track secret is wrapped with for this recipient.
    pub suite: WrapSuite,
    /// The KEM's serialized public key.
    pub public_key: B64,
    /// What this recipient is for. A request must name the same role.
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
    /// [`Recipient::fingerprint_of`] the recipient's suite and public key.
    pub fingerprint: Hash32,
    /// The role that people are told. It must be the one in the clinic document ([`ClinicDocument::recipient`]).
    pub role: RecipientRole,
}

/// Claims of the clinic document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClinicClaims {
    /// The format's major version, [`crate::VERSION`].
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
    /// Keys that sign passes. A pass names one of them by its thumbprint.
    pub authorities: Vec<PublicKey>,
    /// The key with which the vault signs receipts, closing records, deletion records and heads of its audit log.
    pub vault: PublicKey,
    /// Everybody to whom a recording may be sealed. If a fingerprint is listed twice, the first entry counts.
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
    /// The document is not signed by the pinned root key, or cannot be read.
    #[error("the clinic document is refused: {0}")]
    Signature(#[from] JwsError),
    /// The time is outside of the document's validity: get a newer document, or check the clock.
    #[error(
        "the clinic's document is not valid at {now_ms} (from {not_before_ms} to {not_after_ms})"
    )]
    NotValidNow {
        /// The time that was checked, milliseconds since the Unix epoch.
        now_ms: u64,
        /// The first instant at which the document is valid, milliseconds since the Unix epoch.
        not_before_ms: u64,
        /// The first instant at which it is no longer valid, milliseconds since the Unix epoch.
        not_after_ms: u64,
    },
    /// A listed fingerprint is not the one of the listed suite and public key: the whole document is refused.
    #[error("recipient {fingerprint} does not match its public key")]
    FingerprintMismatch {
        /// The fingerprint as listed.
        fingerprint: Hash32,
    },
    /// A request names a recipient that the document does not list: nothing may be sealed to that key.
    #[error("recipient {fingerprint} is not in the clinic's document")]
    UnlistedRecipient {
        /// The fingerprint as requested.
        fingerprint: Hash32,
    },
    /// A request names a recipient to which nothing more may be sealed.
    #[error("recipient {fingerprint} is retired")]
    RetiredRecipient {
        /// The fingerprint as requested.
        fingerprint: Hash32,
    },
    /// A request names a listed recipient with another role than the document's.
    #[error("recipient {fingerprint} has another role in the clinic's document")]
    RecipientRole {
        /// The fingerprint as requested.
        fingerprint: Hash32,
    },
    /// A pass was signed by a key that is not one of the document's authorities.
    #[error("key {kid} is not an authority of this clinic")]
    UnknownAuthority {
        /// Thumbprint that the pass names as its signer's, cut to 64 characters.
        kid: String,
    },
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

    /// Checks that a time (milliseconds since the Unix epoch) is from `not_before_ms` to just before `not_after_ms`.
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

    /// What the root key signed.
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
