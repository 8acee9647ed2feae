//! The open round: who said what, and whether that is consent.
//!
//! One question, "has everyone agreed?", with one answer. The group's gate, the screen, the vault and the clinic tool all ask
//! [`Answers`]; none of them judges a statement by itself. The only difference is what they know: the gate judges what the
//! group's context holds, a screen also what its member has heard and the context does not hold yet. [`Answers::hear`] adds a
//! statement by the same rule ([`may_follow`]) by which the context takes it.
//!
//! Invariants: what an author said with growing numbers counts the same in whatever order it arrives. A withdrawal by anybody, in
//! the roster or gone, leaves nobody's grant standing.

use super::request::Request;
use super::state::{ConsentState, StateError};
use super::statement::{Statement, StatementClaims, StatementKind};
use super::verdict::{RosterEntry, Verdict};
use crate::clinic::ClinicDocument;
use crate::id::{ParticipantId, RoundId, VisitId};
use crate::pass::Role;
use crate::sorted::SortedMap;

/// The open round of a [`ConsentState`], with every signature verified once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    request: Request,
    statements: SortedMap<ParticipantId, Statement>,
    said: SortedMap<ParticipantId, u64>,
}

impl Round {
    /// The state's open round, if there is one.
    pub fn open_in(
        state: &ConsentState,
        clinic: &ClinicDocument,
        visit: VisitId,
        group_id: &[u8],
    ) -> Result<Option<Self>, StateError> {
        let Some(request) = state.request(clinic, visit, group_id)? else {
            return Ok(None);
        };
        let mut statements = SortedMap::new();
        for author in state.statements().keys() {
            if let Some(statement) = state.statement_of(*author, clinic, visit, group_id)? {
                statements.insert(*author, statement);
            }
        }
        Ok(Some(Self {
            request,
            statements,
            said: state.said().clone(),
        }))
    }

    /// The request that opened it.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Its id.
    pub fn id(&self) -> RoundId {
        self.request.claims().round
    }

    /// The statement of an author that the state holds.
    pub fn statement_of(&self, author: ParticipantId) -> Option<&Statement> {
        self.statements.get(&author)
    }

    /// Everybody's answers as the state holds them.
    pub fn answers(&self) -> Answers<'_> {
        Answers {
            request: &self.request,
            statements: self
                .statements
                .iter()
                .map(|(author, statement)| (*author, statement))
                .collect(),
            said: self.said.clone(),
        }
    }
}

/// The statement of each author that counts, of those known so far.
#[derive(Debug, Clone)]
pub struct Answers<'a> {
    request: &'a Request,
    statements: SortedMap<ParticipantId, &'a Statement>,
    said: SortedMap<ParticipantId, u64>,
}

/// How one member of a roster stands to the open request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// A recorder gives no consent: it is what the others are asked about.
    NotAsked,
    /// Has not answered.
    Waiting,
    /// Agreed, in a way that counts.
    Granted,
    /// Did not agree.
    Refused,
    /// Took consent back.
    Withdrawn,
    /// Granted, in a way that does not count yet.
    Incomplete(Gap),
}

/// What a grant lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gap {
    /// It was signed with a pass key, or in a role, that the member is not here with. A person who lost the key also lost the
    /// memory of what was said later.
    OtherPass,
    /// It does not answer exactly this request: other texts, or not everybody at the device agreed to both layers.
    OtherTerms,
    /// It agrees to words in a language that the person does not speak, and no interpreter has signed for that person.
    Interpreter,
}

impl Standing {
    /// What the member has answered, as far as it need not answer again.
    pub fn answer(self) -> Option<StatementKind> {
        match self {
            Standing::Granted | Standing::Incomplete(Gap::Interpreter) => {
                Some(StatementKind::Grant)
            }
            Standing::Refused => Some(StatementKind::Refusal),
            Standing::Withdrawn => Some(StatementKind::Withdrawal),
            Standing::NotAsked
            | Standing::Waiting
            | Standing::Incomplete(Gap::OtherPass | Gap::OtherTerms) => None,
        }
    }

    /// Whether this member stands in nobody's way: it agreed, or it is not asked.
    pub fn allows(self) -> bool {
        matches!(self, Standing::NotAsked | Standing::Granted)
    }
}

impl<'a> Answers<'a> {
    /// Adds a verified statement, or says why it does not count beside what is known.
    pub fn hear(&mut self, statement: &'a Statement) -> Result<(), StateError> {
        statement.answers(self.request)?;
        let author = statement.participant();
        let before = self.statements.get(&author).map(|before| before.claims());
        may_follow(before, self.said.get(&author).copied(), statement.claims())?;
        let said = self.said.get_or_insert(author, 0);
        *said = statement.claims().seq.max(*said);
        self.statements.insert(author, statement);
        Ok(())
    }

    /// Whether [`Self::hear`] would take it.
    pub fn would_hear(&self, statement: &Statement) -> bool {
        let author = statement.participant();
        let before = self.statements.get(&author).map(|before| before.claims());
        let last = self.said.get(&author).copied();
        statement.answers(self.request).is_ok()
            && may_follow(before, last, statement.claims()).is_ok()
    }

    /// The statement of an author that counts, of whatever kind.
    pub fn statement_of(&self, author: ParticipantId) -> Option<&'a Statement> {
        self.statements.get(&author).copied()
    }

    /// How this member stands to the request.
    pub fn standing_of(&self, entry: &RosterEntry) -> Standing {
        if entry.role == Role::Recorder {
            return Standing::NotAsked;
        }
        let Some(statement) = self.statement_of(entry.participant) else {
            return Standing::Waiting;
        };
        match statement.claims().kind {
            StatementKind::Refusal => return Standing::Refused,
            StatementKind::Withdrawal => return Standing::Withdrawn,
            StatementKind::Grant => {}
        }
        let author = statement.author();
        if author.role() != entry.role || *author.key() != entry.key {
            Standing::Incomplete(Gap::OtherPass)
        } else if statement.answers(self.request).is_err() {
            Standing::Incomplete(Gap::OtherTerms)
        } else if statement.needs_interpreter() && !self.is_interpreted(entry.participant) {
            Standing::Incomplete(Gap::Interpreter)
        } else {
            Standing::Granted
        }
    }

    /// Whether everybody in this roster has agreed, and else what is missing.
    pub fn judge(&self, roster: &[RosterEntry]) -> Result<(), Verdict> {
        // A round that somebody withdrew from is over, also where the context does not say so yet.
        let withdrawn = |said: &&Statement| said.claims().kind == StatementKind::Withdrawal;
        if self.statements.values().any(withdrawn) {
            return Err(Verdict::NoRound);
        }
        for entry in roster {
            match self.standing_of(entry) {
                standing if standing.allows() => {}
                Standing::Incomplete(Gap::Interpreter) => {
                    return Err(Verdict::NotInterpreted(entry.participant));
                }
                _ => return Err(Verdict::NotGranted(entry.participant)),
            }
        }
        Ok(())
    }

    /// An interpreter's signature counts also when the interpreter has left.
    fn is_interpreted(&self, participant: ParticipantId) -> bool {
        self.statements.values().any(|statement| {
            statement.interprets_for(participant) && statement.answers(self.request).is_ok()
        })
    }
}

/// Whether a statement counts after what its author said before in this round, and after the highest number that the author
/// used in the visit.
///
/// Numbers grow, so that nothing older counts again. Of a grant and a refusal with one number the refusal counts, whichever comes
/// first; a withdrawal counts in any case; and no grant follows a refusal or a withdrawal.
pub(super) fn may_follow(
    before: Option<&StatementClaims>,
    last: Option<u64>,
    got: &StatementClaims,
) -> Result<(), StateError> {
    let kind_before = before.map(|before| before.kind);
    if kind_before == Some(StatementKind::Withdrawal) {
        return Err(StateError::DeadRound(got.round));
    }
    if got.kind == StatementKind::Withdrawal {
        return Ok(());
    }
    let unsays = got.kind == StatementKind::Refusal
        && before
            .is_some_and(|before| before.kind == StatementKind::Grant && before.seq == got.seq);
    if let Some(last) = last.filter(|last| got.seq <= *last && !unsays) {
        return Err(StateError::OldStatement { last, got: got.seq });
    }
    if kind_before == Some(StatementKind::Refusal) && got.kind == StatementKind::Grant {
        return Err(StateError::GrantAfterRefusal);
    }
    Ok(())
}
