//! Visit passes: JWTs by the visit authority, bound to the holder's signature key (RFC 7519, RFC 7800).
//!
//! A pass says who may be in a visit, as what. The same key signs the holder's MLS leaf and its statements.

use crate::bytes::Hash32;
use crate::clinic::{ClinicDocument, ClinicError};
use crate::id::{ParticipantId, VisitId};
use crate::jws::{Claims, Jws, JwsError, PublicKey};
use serde::{Deserialize, Serialize};

/// What a participant is in the visit. It never changes within a visit.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Can be host: admits people, asks for consent, starts the recorder, ends the visit.
    Clinician,
    /// The person the visit is for.
    Patient,
    /// Somebody else who takes part, such as a relative.
    Guest,
    /// Somebody who stands for the patient, such as a parent, a guardian or a health care agent.
    Representative,
    /// An interpreter: alone in signing for whom it put the consent texts into their language.
    Interpreter,
    /// The declared recorder: joins through the consent gate only.
    Recorder,
    /// A deployment's server that must see the visit; a declared member like any other.
    Server,
}

/// Claims of a visit pass. The names are the registered ones where JWT has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassClaims {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The one visit that the pass is for.
    pub visit: VisitId,
    /// The participant.
    pub sub: ParticipantId,
    /// What the participant is in this visit.
    pub role: Role,
    /// The pass key (RFC 7800): whoever uses the pass must hold it.
    pub cnf: Confirmation,
    /// [`name_commitment`]; opened inside the group only.
    pub name: Hash32,
    /// Issued at, seconds since the Unix epoch.
    pub iat: u64,
    /// Expiry, seconds since the Unix epoch: two hours past the booked end.
    pub exp: u64,
}

impl Claims for PassClaims {
    const TYP: &'static str = "sv-pass+jwt";
}

/// RFC 7800 proof-of-possession key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The pass key, which also signs the MLS leaf and every statement.
    pub jwk: PublicKey,
}

/// The salted commitment to a display name: SHA-256 over a label, the 16-byte salt and the name in UTF-8.
pub fn name_commitment(salt: &[u8; 16], name: &str) -> Hash32 {
    crate::hash::labelled("sealed-visit name v1", &[salt, name.as_bytes()])
}

/// Why a pass was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PassError {
    /// The clinic document names no authority with the thumbprint that the pass gives for its signer.
    #[error(transparent)]
    Clinic(#[from] ClinicError),
    /// The pass is not signed by the authority it names, or cannot be read.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// The pass is for another visit.
    #[error("the pass is for visit {got}, this is visit {expected}")]
    OtherVisit {
        /// The visit that was asked for.
        expected: VisitId,
        /// The visit in the pass.
        got: VisitId,
    },
    /// The pass has expired: get a new one from the authority.
    #[error("the pass expired at {exp_s}, it is {now_s}")]
    Expired {
        /// Expiry, seconds since the Unix epoch.
        exp_s: u64,
        /// The time that was checked, seconds since the Unix epoch.
        now_s: u64,
    },
    /// The key at hand is not the pass key.
    #[error("the pass is not bound to the key that uses it")]
    OtherKey,
}

/// A pass whose signature by an authority of the clinic was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    jws: Jws<PassClaims>,
    claims: PassClaims,
}

impl Pass {
    /// Checks the authority's signature. Expiry is checked only where a pass is shown: [`Self::check_time`].
    pub fn verify(jws: &Jws<PassClaims>, clinic: &ClinicDocument) -> Result<Self, PassError> {
        let authority = clinic.authority(&jws.unverified_kid()?)?;
        Ok(Self {
            jws: jws.clone(),
            claims: jws.verify(authority)?,
        })
    }

    /// [`Self::verify`], and that the pass is for this visit.
    pub fn verify_for(
        jws: &Jws<PassClaims>,
        clinic: &ClinicDocument,
        visit: VisitId,
    ) -> Result<Self, PassError> {
        let pass = Self::verify(jws, clinic)?;
        if pass.claims.visit != visit {
            return Err(PassError::OtherVisit {
                expected: visit,
                got: pass.claims.visit,
            });
        }
        Ok(pass)
    }

    /// Checks that the pass has not expired at this time (milliseconds since the Unix epoch). `iat` is not compared.
    pub fn check_time(&self, now_ms: u64) -> Result<(), PassError> {
        let now_s = now_ms / 1000;
        if now_s < self.claims.exp {
            Ok(())
        } else {
            Err(PassError::Expired {
                exp_s: self.claims.exp,
                now_s,
            })
        }
    }

    /// The signed pass, as it is shown to others.
    pub fn jws(&self) -> &Jws<PassClaims> {
        &self.jws
    }

    /// The visit that the pass is for.
    pub fn visit(&self) -> VisitId {
        self.claims.visit
    }

    /// The participant it belongs to.
    pub fn participant(&self) -> ParticipantId {
        self.claims.sub
    }

    /// What the participant is in the visit.
    pub fn role(&self) -> Role {
        self.claims.role
    }

    /// The pass key.
    pub fn key(&self) -> &PublicKey {
        &self.claims.cnf.jwk
    }

    /// The commitment to the display name ([`name_commitment`]).
    pub fn name_commitment(&self) -> Hash32 {
        self.claims.name
    }

    /// Expiry, seconds since the Unix epoch.
    pub fn expires_s(&self) -> u64 {
        self.claims.exp
    }
}
