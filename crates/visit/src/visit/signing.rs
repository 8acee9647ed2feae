//! What this member signs: its statements, with the number that comes next, and the withdrawals that go with a grant.

use super::Visit;
use super::input::GivenAnswer;
use super::output::{CommandError, ErrorCode, Output};
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::consent::{
    Layer, Request, Statement, StatementClaims, StatementError, StatementKind, WithdrawalWish,
};
use sealed_visit_protocol::{B64, Hash32, ParticipantId, RoundId, VERSION};

/// The request that a statement answers, as far as the statement names it.
pub(super) struct Question<'a> {
    pub(super) group_id: &'a B64,
    pub(super) round: RoundId,
    pub(super) request: Hash32,
}

impl Visit {
    /// Whoever swaps the words, or holds them back, gets no agreement to them.
    pub(super) fn require_words(
        &self,
        request: &Request,
        language: &str,
    ) -> Result<(), CommandError> {
        let claims = request.claims();
        let unread = [Layer::Information, Layer::Recording]
            .iter()
            .filter_map(|layer| claims.text(*layer, language))
            .any(|text| self.recording.text_of(claims.round, text).is_none());
        if unread {
            return Err(CommandError::new(
                ErrorCode::BadAnswer,
                "the words that the request names have not arrived",
            ));
        }
        Ok(())
    }

    /// The person gets what it signed, and the means to take it back later.
    pub(super) fn hand_out(
        &mut self,
        request: &Request,
        statement: &Statement,
    ) -> Result<(), CommandError> {
        let mut withdrawals = Vec::new();
        if statement.claims().kind == StatementKind::Grant {
            let seq = statement.claims().seq + 1;
            for wish in [WithdrawalWish::Delete, WithdrawalWish::Keep] {
                let kind = StatementKind::Withdrawal;
                let later = self.make_statement_with(request, kind, seq, |claims| {
                    claims.wish = Some(wish);
                })?;
                withdrawals.push(later.jws().clone());
            }
        }
        self.out.push(Output::Signed {
            statement: statement.jws().clone(),
            withdrawals,
        });
        Ok(())
    }

    /// Makes and checks a statement of the own participant.
    pub(super) fn make_statement(
        &self,
        request: &Request,
        kind: StatementKind,
        fill: impl FnOnce(&mut StatementClaims),
    ) -> Result<Statement, CommandError> {
        let seq = self.statement_seq_of(self.me);
        self.make_statement_with(request, kind, seq, fill)
    }

    pub(super) fn make_statement_with(
        &self,
        request: &Request,
        kind: StatementKind,
        seq: u64,
        fill: impl FnOnce(&mut StatementClaims),
    ) -> Result<Statement, CommandError> {
        let claims = request.claims();
        let question = Question {
            group_id: &claims.group_id,
            round: claims.round,
            request: request.hash(),
        };
        let statement = self.sign_statement(&question, kind, seq, fill)?;
        statement.answers(request).map_err(bad_answer)?;
        Ok(statement)
    }

    /// Signs a statement of the own participant.
    pub(super) fn sign_statement(
        &self,
        question: &Question<'_>,
        kind: StatementKind,
        seq: u64,
        fill: impl FnOnce(&mut StatementClaims),
    ) -> Result<Statement, CommandError> {
        let visit = self.policy.visit();
        let mut statement = StatementClaims {
            v: VERSION,
            visit,
            group_id: question.group_id.clone(),
            round: question.round,
            request: question.request,
            seq,
            kind,
            answers: Vec::new(),
            texts: Vec::new(),
            language: String::new(),
            spoken: String::new(),
            interpreted_for: Vec::new(),
            place: String::new(),
            wish: None,
            at_ms: self.now_ms,
            pass: self.identity.pass().jws().clone(),
        };
        fill(&mut statement);
        let jws = self.identity.key().sign(&statement);
        Statement::verify(&jws, self.policy.clinic(), visit, &question.group_id.0)
            .map_err(bad_answer)
    }

    /// The sequence number of somebody's next statement: they grow over the whole visit.
    pub(super) fn statement_seq_of(&self, participant: ParticipantId) -> u64 {
        #[cfg(test)]
        if breaks(Rule::NumbersGrow) {
            return 0;
        }
        let known = self.memory.legacy.last_seq_of(participant);
        known.map_or(0, |seq| seq.saturating_add(1))
    }
}

fn bad_answer(error: StatementError) -> CommandError {
    CommandError::new(ErrorCode::BadAnswer, &error.to_string())
}

/// What a person was shown, and decided.
pub(super) fn shown(request: &Request, claims: &mut StatementClaims, given: GivenAnswer) {
    claims.texts = [Layer::Information, Layer::Recording]
        .iter()
        .filter_map(|layer| request.claims().text(*layer, &given.language))
        .map(|text| text.hash)
        .collect();
    claims.answers = given.answers;
    claims.language = given.language;
    claims.spoken = given.spoken;
    claims.interpreted_for = given.interpreted_for;
    claims.place = given.place;
}
