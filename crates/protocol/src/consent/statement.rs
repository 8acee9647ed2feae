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

/// What a statement says.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementKind {
    /// Agrees to be recorded, as the request says.
    Grant,
    /// Does not agree. No grant follows in the same round.
    Refusal,
    /// Takes consent back. It counts whatever its number, and the round is dead from then on.
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
    /// What was recorded is kept, unless the terms delete it.
    Keep,
    /// The recording is deleted. Under terms that keep it, the clinic decides.
    Delete,
}

/// One person's decision on the two layers. A device may stand for several people.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// `self`, or an opaque label for another person at this device.
    pub person: String,
    /// The person themselves, or somebody they decide for.
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
        /// The person who answers.
        Myself,
        /// A represented person: whom (a participant, if present), in what capacity, on what basis; codes, no text.
        Represented {
            /// The represented person, if that one is a participant of the visit; else absent.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            whom: Option<ParticipantId>,
            /// In what capacity, as a code such as `parent`, `guardian`, `proxy`.
            capacity: String,
            /// What allows it, as a code such as `parent_of_minor`, `court_order`, `power_of_attorney`.
            basis: String,
        },
    }
}

/// Claims of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementClaims {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The visit.
    pub visit: VisitId,
    /// The MLS group that the request was made in.
    pub group_id: B64,
    /// The round that it answers.
    pub round: RoundId,
    /// Hash of the signed request that was shown.
    pub request: Hash32,
    /// Grows with every statement of this participant in the visit, over all rounds and groups.
    pub seq: u64,
    /// Grant, refusal or withdrawal.
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
    /// A withdrawal's wish for the recording; absent otherwise, and where the person did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<WithdrawalWish>,
    /// When it was signed, by the author's clock, milliseconds since the Unix epoch. No rule compares it.
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
    /// The author's pass key did not sign it, or it cannot be read.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// The author's pass is refused.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// It is for another visit or group than this one.
    #[error("the statement is for another visit or group")]
    OtherGroup,
    /// It is for another round than the open one.
    #[error("the statement is for round {got}, the open round is {expected}")]
    OtherRound {
        /// The open round.
        expected: RoundId,
        /// The statement's round.
        got: RoundId,
    },
    /// It is for this round, and for another request than the one at hand: not what was asked.
    #[error("the statement answers another request of this round")]
    OtherRequest,
    /// Its number is above 2^32.
    #[error("a statement's number is at most {MAX_SEQ}")]
    OutOfNumbers,
    /// Its author is a recorder, which has no say.
    #[error("a recorder cannot make statements")]
    ByRecorder,
    /// A grant without answers, or with one that does not agree to both layers.
    #[error("a grant needs an answer of everybody at the device, agreeing to both layers")]
    IncompleteGrant,
    /// The signed document has more than 16,384 bytes; it was not parsed.
    #[error("a statement has at most {MAX_BYTES} bytes")]
    TooLong,
    /// It says that its author interpreted, who is no interpreter, or is among those interpreted for.
    #[error("only an interpreter can sign that it interpreted, and for others")]
    NotAnInterpreter,
    /// A grant does not name the request's text of each layer in its language (cut to 35 characters).
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

    /// What the author signed.
    pub fn claims(&self) -> &StatementClaims {
        &self.claims
    }

    /// The signed document.
    pub fn jws(&self) -> &Jws<StatementClaims> {
        &self.jws
    }

    /// The author's pass, verified.
    pub fn author(&self) -> &Pass {
        &self.author
    }

    /// Its author.
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
