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
    Clinician,
    Patient,
    Guest,
    Representative,
    Interpreter,
    /// The declared recorder: joins through the consent gate only.
    Recorder,
    /// A deployment's server that must see the visit; a declared member like any other.
    Server,
}

/// Claims of a visit pass. The names are the registered ones where JWT has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassClaims {
    pub v: u32,
    pub visit: VisitId,
    pub sub: ParticipantId,
    pub role: Role,
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
    #[error(transparent)]
    Clinic(#[from] ClinicError),
    #[error(transparent)]
    Jws(#[from] JwsError),
    #[error("the pass is for visit {got}, this is visit {expected}")]
    OtherVisit { expected: VisitId, got: VisitId },
    #[error("the pass expired at {exp_s}, it is {now_s}")]
    Expired { exp_s: u64, now_s: u64 },
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

    pub fn jws(&self) -> &Jws<PassClaims> {
        &self.jws
    }

    pub fn visit(&self) -> VisitId {
        self.claims.visit
    }

    pub fn participant(&self) -> ParticipantId {
        self.claims.sub
    }

    pub fn role(&self) -> Role {
        self.claims.role
    }

    pub fn key(&self) -> &PublicKey {
        &self.claims.cnf.jwk
    }

    pub fn name_commitment(&self) -> Hash32 {
        self.claims.name
    }

    /// Expiry, seconds since the Unix epoch.
    pub fn expires_s(&self) -> u64 {
        self.claims.exp
    }
}
