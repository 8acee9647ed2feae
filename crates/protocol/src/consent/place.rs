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
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The visit.
    pub visit: VisitId,
    /// The MLS group that the request was made in.
    pub group_id: B64,
    /// The round in which it was stated.
    pub round: RoundId,
    /// Who stated it.
    pub participant: ParticipantId,
    /// As in that participant's statement.
    pub place: String,
    /// When it was confirmed, by the host's clock, milliseconds since the Unix epoch. Of one
    /// participant's places, a member keeps the one confirmed last.
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
    /// The author's pass key did not sign it, or it cannot be read.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// The author's pass is refused.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// It was signed by a participant of this role, not by a clinician.
    #[error("a place is confirmed by a clinician, not by a {0:?}")]
    NotTheHost(Role),
    /// It is for another visit or group than this one.
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
    /// Checks signature, pass, role, visit and group. The round, and whether anybody stated this place, are for the
    /// caller.
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

    /// What the host signed.
    pub fn claims(&self) -> &PlaceClaims {
        &self.claims
    }

    /// The signed document.
    pub fn jws(&self) -> &Jws<PlaceClaims> {
        &self.jws
    }
}
