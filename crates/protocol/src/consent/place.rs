//! The host's signed confirmation of the place that somebody stated. Evidence, not a switch: no rule asks for it.

use crate::bytes::B64;
use crate::clinic::ClinicDocument;
use crate::id::{ParticipantId, RoundId, VisitId};
use crate::jws::{Claims, Jws, JwsError};
use crate::pass::{Pass, PassClaims, PassError, Role};
use serde::{Deserialize, Serialize};

/// Claims of a confirmed place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceClaims {
    pub v: u32,
    pub visit: VisitId,
    pub group_id: B64,
    pub round: RoundId,
    /// Who stated it.
    pub participant: ParticipantId,
    /// As in that participant's statement.
    pub place: String,
    pub at_ms: u64,
    /// The host's pass, which names the key that signed this.
    pub pass: Jws<PassClaims>,
}

impl Claims for PlaceClaims {
    const TYP: &'static str = "sv-place+jwt";
}

/// Why a confirmation was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    #[error(transparent)]
    Jws(#[from] JwsError),
    #[error(transparent)]
    Pass(#[from] PassError),
    #[error("a place is confirmed by a clinician, not by a {0:?}")]
    NotTheHost(Role),
    #[error("the confirmation is for another visit or group")]
    OtherGroup,
}

/// A confirmation whose signature and pass were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    jws: Jws<PlaceClaims>,
    claims: PlaceClaims,
}

impl Place {
    pub fn verify(
        jws: &Jws<PlaceClaims>,
        clinic: &ClinicDocument,
        visit: VisitId,
        group_id: &[u8],
    ) -> Result<Self, PlaceError> {
        let unverified = jws.unverified_claims()?;
        let host = Pass::verify_for(&unverified.pass, clinic, visit)?;
        let claims = jws.verify(host.key())?;
        if host.role() != Role::Clinician {
            return Err(PlaceError::NotTheHost(host.role()));
        }
        if claims.visit != visit || claims.group_id.0 != group_id {
            return Err(PlaceError::OtherGroup);
        }
        Ok(Self {
            jws: jws.clone(),
            claims,
        })
    }

    pub fn claims(&self) -> &PlaceClaims {
        &self.claims
    }

    pub fn jws(&self) -> &Jws<PlaceClaims> {
        &self.jws
    }
}
