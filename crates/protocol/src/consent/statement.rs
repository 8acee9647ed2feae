//! A participant's signed answer: grant, refusal or withdrawal.

use super::request::{Layer, Request};
use crate::bytes::{B64, Hash32};
use crate::clinic::ClinicDocument;
use crate::id::{ParticipantId, RoundId, VisitId};
use crate::jws::{Claims, Jws, JwsError};
use crate::pass::{Pass, PassClaims, PassError, Role};
use crate::tagged_enum;
use serde::{Deserialize, Serialize};

/// The longest statement: everybody's go into one commit.
const MAX_BYTES: usize = 16 * 1024;

#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementKind {
    Grant,
    Refusal,
    Withdrawal,
}

/// The highest number of a statement. A higher one would leave no number for what its author says next.
pub const MAX_SEQ: u64 = 1 << 32;

/// The highest number that a member takes for its own on somebody else's word: it leaves enough for itself.
pub const MAX_TOLD_SEQ: u64 = 1 << 31;

/// What somebody who withdraws wishes for what was recorded until then.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithdrawalWish {
    Keep,
    Delete,
}

/// One person's decision on the two layers. A device may stand for several people.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// `self`, or an opaque label for another person at this device.
    pub person: String,
    pub on_behalf_of: OnBehalfOf,
    /// Agreed to the use of the health information.
    pub information: bool,
    /// Agreed to being recorded.
    pub recording: bool,
}

tagged_enum! {
    /// For whom an answer is given.
    #[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
    #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    pub enum OnBehalfOf("OnBehalfOf", tag = "kind") {
        Myself,
        /// A represented person: whom (a participant, if present), in what capacity, on what basis; codes, no text.
        Represented {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            whom: Option<ParticipantId>,
            capacity: String,
            basis: String,
        },
    }
}

/// Claims of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementClaims {
    pub v: u32,
    pub visit: VisitId,
    pub group_id: B64,
    pub round: RoundId,
    /// Hash of the signed request that was shown.
    pub request: Hash32,
    /// Grows with every statement of this participant in the visit, over all rounds and groups.
    pub seq: u64,
    pub kind: StatementKind,
    /// Everybody at this device; for a grant at least one, and all agree to both layers.
    #[serde(default)]
    pub answers: Vec<Answer>,
    /// The texts that were shown: their hashes, from the request.
    #[serde(default)]
    pub texts: Vec<Hash32>,
    /// BCP 47 tag of the language they were shown in.
    #[serde(default)]
    pub language: String,
    /// BCP 47 tag of the person's own language, where no text is in it: an interpreter has to sign, too.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub spoken: String,
    /// An interpreter's: for whom it put the words into their language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interpreted_for: Vec<ParticipantId>,
    /// The place stated: an ISO 3166 code such as `US-CA`; empty when none was stated.
    #[serde(default)]
    pub place: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<WithdrawalWish>,
    pub at_ms: u64,
    /// The author's pass, which names the key that signed this.
    pub pass: Jws<PassClaims>,
}

impl Claims for StatementClaims {
    const TYP: &'static str = "sv-statement+jwt";
}

/// Why a statement was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    #[error(transparent)]
    Jws(#[from] JwsError),
    #[error(transparent)]
    Pass(#[from] PassError),
    #[error("the statement is for another visit or group")]
    OtherGroup,
    #[error("the statement is for round {got}, the open round is {expected}")]
    OtherRound { expected: RoundId, got: RoundId },
    #[error("the statement answers another request of this round")]
    OtherRequest,
    #[error("a statement's number is at most {MAX_SEQ}")]
    OutOfNumbers,
    #[error("a recorder cannot make statements")]
    ByRecorder,
    #[error("a grant needs an answer of everybody at the device, agreeing to both layers")]
    IncompleteGrant,
    #[error("a statement has at most {MAX_BYTES} bytes")]
    TooLong,
    #[error("only an interpreter can sign that it interpreted, and for others")]
    NotAnInterpreter,
    #[error("the texts shown are not those of the request in language {0}")]
    OtherTexts(String),
}

/// A statement whose signature and pass were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    jws: Jws<StatementClaims>,
    claims: StatementClaims,
    author: Pass,
}

impl Statement {
    /// Checks signature, pass, visit and group.
    pub fn verify(
        jws: &Jws<StatementClaims>,
        clinic: &ClinicDocument,
        visit: VisitId,
        group_id: &[u8],
    ) -> Result<Self, StatementError> {
        if jws.as_str().len() > MAX_BYTES {
            return Err(StatementError::TooLong);
        }
        let unverified = jws.unverified_claims()?;
        let author = Pass::verify_for(&unverified.pass, clinic, visit)?;
        let claims = jws.verify(author.key())?;
        if claims.visit != visit || claims.group_id.0 != group_id {
            return Err(StatementError::OtherGroup);
        }
        if author.role() == Role::Recorder {
            return Err(StatementError::ByRecorder);
        }
        if claims.seq > MAX_SEQ {
            return Err(StatementError::OutOfNumbers);
        }
        let interprets = !claims.interpreted_for.is_empty();
        if interprets && author.role() != Role::Interpreter
            || claims.interpreted_for.contains(&author.participant())
        {
            return Err(StatementError::NotAnInterpreter);
        }
        Ok(Self {
            jws: jws.clone(),
            claims,
            author,
        })
    }

    /// Checks that the statement answers exactly this request, and that a grant is whole.
    pub fn answers(&self, request: &Request) -> Result<(), StatementError> {
        let asked = request.claims();
        let claims = &self.claims;
        if claims.round != asked.round {
            return Err(StatementError::OtherRound {
                expected: asked.round,
                got: claims.round,
            });
        }
        if claims.request != request.hash() {
            return Err(StatementError::OtherRequest);
        }
        if claims.kind != StatementKind::Grant {
            return Ok(());
        }
        if claims.answers.is_empty()
            || !claims
                .answers
                .iter()
                .all(|answer| answer.information && answer.recording)
        {
            return Err(StatementError::IncompleteGrant);
        }
        for layer in [Layer::Information, Layer::Recording] {
            let shown = asked
                .text(layer, &claims.language)
                .is_some_and(|text| claims.texts.contains(&text.hash));
            if !shown {
                return Err(StatementError::OtherTexts(
                    claims.language.chars().take(35).collect(),
                ));
            }
        }
        Ok(())
    }

    pub fn claims(&self) -> &StatementClaims {
        &self.claims
    }

    pub fn jws(&self) -> &Jws<StatementClaims> {
        &self.jws
    }

    pub fn author(&self) -> &Pass {
        &self.author
    }

    pub fn participant(&self) -> ParticipantId {
        self.author.participant()
    }

    /// Agreed to words in a language that is not the person's own.
    pub fn needs_interpreter(&self) -> bool {
        self.claims.kind == StatementKind::Grant && !self.claims.spoken.is_empty()
    }

    /// Agreed, and signed that it put the words into this person's language.
    pub fn interprets_for(&self, participant: ParticipantId) -> bool {
        self.claims.kind == StatementKind::Grant
            && self.claims.interpreted_for.contains(&participant)
    }
}
