//! The consent state that the group's context carries, and the one function that changes it.
//!
//! Invariant: a round that was withdrawn from, or replaced, is dead for good. A participant's sequence numbers grow over
//! the whole visit, whatever rounds and groups they were used in, so an older grant never counts once its author has said
//! something later. No grant follows a refusal in the same round. Where an author used one number for a grant and a refusal,
//! the refusal counts, whichever comes first. A withdrawal always counts, whatever its number.

use super::request::{Request, RequestClaims, RequestError};
use super::round::may_follow;
use super::statement::{Statement, StatementClaims, StatementError, StatementKind};
use crate::clinic::ClinicDocument;
use crate::id::{ParticipantId, RoundId, VisitId};
use crate::jws::Jws;
use crate::sorted::{SortedMap, SortedSet};
use crate::tagged_enum;
use serde::{Deserialize, Serialize};

tagged_enum! {
    /// A signed document that changes the state; carried by value in a custom proposal.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
    #[serde(tag = "kind", content = "jws", rename_all = "snake_case")]
    pub enum Change("Change", tag = "kind", content = "jws") {
        /// Opens a round; one that is open is dead then.
        Request(Jws<RequestClaims>),
        /// Answers the open round.
        Statement(Jws<StatementClaims>),
    }
}

/// Why a change was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The request is refused.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The statement is refused, or does not answer the open request.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// This round ended before: ask again in a new one.
    #[error("round {0} is over")]
    DeadRound(RoundId),
    /// A request for the round that is open: nothing of an open round changes.
    #[error("round {0} is open already")]
    SameRound(RoundId),
    /// A statement came, and nobody is asking.
    #[error("no consent round is open")]
    NoRound,
    /// The author has said something later.
    #[error("a statement with sequence number {got} came after {last}")]
    OldStatement {
        /// The highest number that the author used in the visit.
        last: u64,
        /// The statement's number.
        got: u64,
    },
    /// The author has refused in this round: ask again in a new one.
    #[error("a grant cannot follow a refusal in the same round")]
    GrantAfterRefusal,
    /// Not the one serialization of a consent state of this version.
    #[error("the consent state in the group's context cannot be read")]
    Unreadable,
}

/// What the group's context says about consent. Serialised as JSON with sorted maps, so that equal states have
/// equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConsentState {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The open round's request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<Jws<RequestClaims>>,
    /// Each participant's highest statement of the open round.
    #[serde(default, skip_serializing_if = "SortedMap::is_empty")]
    statements: SortedMap<ParticipantId, Jws<StatementClaims>>,
    #[serde(default, skip_serializing_if = "SortedSet::is_empty")]
    dead_rounds: SortedSet<RoundId>,
    /// The highest sequence number that each participant has used in the visit.
    #[serde(default, skip_serializing_if = "SortedMap::is_empty")]
    said: SortedMap<ParticipantId, u64>,
}

impl ConsentState {
    /// What a visit's first group starts from: nothing was asked or said.
    pub fn new() -> Self {
        Self {
            v: crate::VERSION,
            ..Self::default()
        }
    }

    /// What a new group starts from: no open round, and everything that must not come back.
    pub fn after(dead_rounds: SortedSet<RoundId>, said: SortedMap<ParticipantId, u64>) -> Self {
        Self {
            dead_rounds,
            said,
            ..Self::new()
        }
    }

    /// The one serialization of this state, as the group's context carries it.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a state, and refuses bytes that are not what [`Self::to_bytes`] makes. Its documents are not verified yet.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let state: Self = crate::json::from_slice(bytes).map_err(|_| StateError::Unreadable)?;
        if state.v != crate::VERSION || state.to_bytes() != bytes {
            return Err(StateError::Unreadable);
        }
        Ok(state)
    }

    /// The state after this change, or why the change is refused.
    pub fn apply(
        &self,
        change: &Change,
        clinic: &ClinicDocument,
        visit: VisitId,
        group_id: &[u8],
    ) -> Result<Self, StateError> {
        match change {
            Change::Request(jws) => self.open(Request::verify(jws, clinic, visit, group_id)?),
            Change::Statement(jws) => {
                let request = self
                    .request(clinic, visit, group_id)?
                    .ok_or(StateError::NoRound)?;
                let statement = Statement::verify(jws, clinic, visit, group_id)?;
                self.record(&request, statement, clinic, visit, group_id)
            }
        }
    }

    /// The open round's request, verified.
    pub fn request(
        &self,
        clinic: &ClinicDocument,
        visit: VisitId,
        group_id: &[u8],
    ) -> Result<Option<Request>, StateError> {
        let verified = self
            .request
            .as_ref()
            .map(|jws| Request::verify(jws, clinic, visit, group_id));
        Ok(verified.transpose()?)
    }

    /// A participant's current statement in the open round, verified.
    pub fn statement_of(
        &self,
        participant: ParticipantId,
        clinic: &ClinicDocument,
        visit: VisitId,
        group_id: &[u8],
    ) -> Result<Option<Statement>, StateError> {
        let verified = self
            .statements
            .get(&participant)
            .map(|jws| Statement::verify(jws, clinic, visit, group_id));
        let statement = verified.transpose()?;
        Ok(statement.filter(|statement| statement.participant() == participant))
    }

    /// The signed statements of the open round, by participant.
    pub fn statements(&self) -> &SortedMap<ParticipantId, Jws<StatementClaims>> {
        &self.statements
    }

    /// Whether a request is open for answers.
    pub fn has_open_round(&self) -> bool {
        self.request.is_some()
    }

    /// Rounds that are over for good.
    pub fn dead_rounds(&self) -> &SortedSet<RoundId> {
        &self.dead_rounds
    }

    /// Each participant's highest sequence number in the visit.
    pub fn said(&self) -> &SortedMap<ParticipantId, u64> {
        &self.said
    }

    /// Whether this round is over for good.
    pub fn is_dead(&self, round: RoundId) -> bool {
        self.dead_rounds.contains(&round)
    }

    fn open(&self, request: Request) -> Result<Self, StateError> {
        let round = request.claims().round;
        if self.dead_rounds.contains(&round) {
            return Err(StateError::DeadRound(round));
        }
        let mut next = self.clone();
        if let Some(old) = self.open_round() {
            if old == round {
                return Err(StateError::SameRound(round));
            }
            next.dead_rounds.insert(old);
        }
        next.request = Some(request.jws().clone());
        next.statements.clear();
        Ok(next)
    }

    fn record(
        &self,
        request: &Request,
        statement: Statement,
        clinic: &ClinicDocument,
        visit: VisitId,
        group_id: &[u8],
    ) -> Result<Self, StateError> {
        statement.answers(request)?;
        let author = statement.participant();
        let got = statement.claims();
        let before = self.statement_of(author, clinic, visit, group_id)?;
        may_follow(
            before.as_ref().map(Statement::claims),
            self.said.get(&author).copied(),
            got,
        )?;
        let mut next = self.clone();
        let said = next.said.get_or_insert(author, got.seq);
        *said = got.seq.max(*said);
        if got.kind == StatementKind::Withdrawal {
            next.dead_rounds.insert(request.claims().round);
            next.request = None;
            next.statements.clear();
        } else {
            next.statements.insert(author, statement.jws().clone());
        }
        Ok(next)
    }

    fn open_round(&self) -> Option<RoundId> {
        self.request
            .as_ref()
            .and_then(|jws| jws.unverified_claims().ok())
            .map(|claims| claims.round)
    }
}
