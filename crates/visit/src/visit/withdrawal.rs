//! Withdrawal.
//!
//! Invariant: from the moment a withdrawal is known here until an epoch without the recorder is installed,
//! [`Visit::withdrawal_is_pending`] holds, and the sending gate is closed.

use super::app_message::AppMessage;
use super::command::Answered;
use super::commits::Want;
use super::consent::no_round;
use super::output::{CommandError, RecorderLeft, VisitEvent};
use super::recording::Heard;
use super::{Output, Role, Stage, Visit};
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::consent::{
    Change, Statement, StatementClaims, StatementKind, WithdrawalWish,
};

/// When the author of a withdrawal does not remove the recorder, the next live member does after this long, and so on.
const REMOVE_FOR_ANOTHER_AFTER_MS: u64 = 400;

impl Visit {
    /// Stops sending at once: the gate follows from the statement being known here.
    pub(super) fn withdraw(
        &mut self,
        command: Option<u32>,
        wish: Option<WithdrawalWish>,
    ) -> Result<Answered, CommandError> {
        if !self.is_live() {
            return self.withdraw_away(wish);
        }
        let round = self.require_round()?;
        let statement =
            self.make_statement(round.request(), StatementKind::Withdrawal, |claims| {
                claims.wish = wish
            })?;
        let jws = statement.jws().clone();
        self.hear(statement);
        self.say(AppMessage::Statement {
            statement: jws.clone(),
        });
        let member = self.require_member()?;
        let remove = member.recorder().into_iter().collect();
        let want = Want {
            remove,
            consent: vec![Change::Statement(jws)],
            command,
            ..Want::default()
        };
        member.wants.insert(0, want);
        Ok(Answered::LaterAndKept)
    }

    /// Withdraws while this member has no place in the group, or none that is proved yet.
    fn withdraw_away(&mut self, wish: Option<WithdrawalWish>) -> Result<Answered, CommandError> {
        let kind = StatementKind::Withdrawal;
        let asking = match &self.stage {
            Stage::Waiting { .. } => self.asking(),
            _ => None,
        };
        let Some(asking) = asking else {
            return self.decline_away(kind, wish);
        };
        let round = asking.request.claims().round;
        let said_outside = asking.answer.is_some();
        // Whoever asks outside does not get the withdrawal in the place of those whom it concerns.
        if self.memory.stands_in_group().is_some() {
            let _ = self.refuse_outside();
            return self.decline_away(kind, wish);
        }
        let granted = self.memory.granted();
        if granted.is_none_or(|granted| said_outside && granted == round)
            && !self.memory.ends_in_a_withdrawal()
        {
            self.refuse_outside()?;
        } else {
            self.decline_away(kind, wish)?;
            let _ = self.refuse_outside();
        }
        Ok(Answered::Now(None))
    }

    /// Says no, while this member has no place in the group, to the round that was open when it had one, or to what it
    /// granted last. The statement is signed and remembered now; it is said as soon as there is somebody to hear it.
    pub(super) fn decline_away(
        &mut self,
        kind: StatementKind,
        wish: Option<WithdrawalWish>,
    ) -> Result<Answered, CommandError> {
        if matches!(self.stage, Stage::Ended(..)) {
            self.require_member()?;
        }
        let withdraws = kind == StatementKind::Withdrawal;
        let left = self.recording.left_round.clone();
        let left = left.filter(|left| !self.memory.legacy.is_dead(left.id()));
        let statement = match left {
            Some(left) if self.recording.has_declined(self.me, left.id()) => {
                return Ok(Answered::Now(None));
            }
            Some(left) if self.memory.granted() != Some(left.id()) => {
                let fill = |claims: &mut StatementClaims| claims.wish = wish.filter(|_| withdraws);
                Some(self.make_statement(left.request(), kind, fill)?)
            }
            None if !withdraws && self.memory.granted().is_none() => None,
            _ => self.take_back_last_grant(wish).transpose()?,
        };
        match statement {
            Some(statement) => self.keep_declined(statement),
            // It has said so already.
            None if withdraws && self.memory.ends_in_a_withdrawal() => {}
            None => return Err(no_round()),
        }
        Ok(Answered::Now(None))
    }

    fn keep_declined(&mut self, statement: Statement) {
        #[cfg(test)]
        if breaks(Rule::DeclinedAway) {
            return;
        }
        self.remember_own(&statement);
        if statement.claims().kind == StatementKind::Withdrawal {
            // Whoever is never let in again has withdrawn all the same.
            self.out.push(Output::Withdrawal {
                statement: statement.jws().clone(),
                mine: true,
            });
            self.event(VisitEvent::Withdrawn {
                participant: self.me,
            });
            self.recording.left = Some((RecorderLeft::Withdrawn, self.me));
            if let Some(outside) = self.outside_mut() {
                outside.has_withdrawn = true;
            }
        }
        let at_ms = self.now_ms;
        self.recording.hear(Heard { statement, at_ms });
    }

    pub(super) fn open_withdrawal(&self) -> Option<&Heard> {
        let round = self.open_round()?.id();
        self.recording.heard().find(|heard| {
            let claims = heard.statement.claims();
            claims.round == round && claims.kind == StatementKind::Withdrawal
        })
    }

    /// Whoever comes into a round that it has said no to says so again.
    pub(super) fn say_declined(&mut self) {
        if let Some(outside) = self.outside_mut() {
            outside.has_withdrawn = false;
        }
        let Some(round) = self.open_round() else {
            return;
        };
        let own = self.recording.heard_from(self.me, round.id());
        let Some(said) = own.max_by_key(|said| said.claims().kind) else {
            return;
        };
        let (kind, statement) = (said.claims().kind, said.jws().clone());
        let held = round.statement_of(self.me).map(|held| held.claims().kind);
        if kind == StatementKind::Grant || held == Some(kind) {
            return;
        }
        if kind == StatementKind::Withdrawal {
            self.tell_recorder_to_stop(self.me, RecorderLeft::Withdrawn);
        }
        self.say(AppMessage::Statement { statement });
    }

    /// A withdrawal is known, or this member is off the record, and the recorder can still derive the keys of this epoch.
    pub(super) fn withdrawal_is_pending(&self) -> bool {
        #[cfg(test)]
        if breaks(Rule::WithdrawnIsSilent) {
            return false;
        }
        self.member()
            .is_some_and(|member| member.recorder().is_some())
            && (self.open_withdrawal().is_some()
                || self.is_recorded_on_a_dead_grant()
                || self.is_recorded_off_the_record())
    }

    /// Removes the recorder when somebody has withdrawn: the author at once, others when the author does not.
    pub(super) fn remove_recorder(&mut self) {
        if self.removal_at_ms().is_none_or(|at_ms| self.now_ms < at_ms) {
            return;
        }
        let Some(withdrawal) = self
            .open_withdrawal()
            .map(|heard| heard.statement.jws().clone())
        else {
            return;
        };
        let change = Change::Statement(withdrawal);
        let Some(member) = self.member_mut() else {
            return;
        };
        let Some(recorder) = member.recorder() else {
            return;
        };
        if !member.wants_change(&change) {
            let want = Want {
                remove: vec![recorder],
                consent: vec![change],
                ..Want::default()
            };
            member.wants.insert(0, want);
        }
    }

    /// When this member removes the recorder because of a withdrawal.
    pub(super) fn removal_at_ms(&self) -> Option<u64> {
        let heard = self.open_withdrawal()?;
        let member = self.member()?;
        member.recorder()?;
        let author = heard.statement.participant();
        if author == self.me {
            return Some(heard.at_ms);
        }
        let rank = member
            .group
            .roster()
            .iter()
            .filter(|entry| {
                let id = entry.participant;
                id != author
                    && !matches!(entry.role, Role::Recorder | Role::Server)
                    && (id == self.me || self.peers.get(&id).is_some_and(|peer| peer.connected))
            })
            .position(|entry| entry.participant == self.me)? as u64;
        Some(heard.at_ms + (rank + 1) * REMOVE_FOR_ANOTHER_AFTER_MS)
    }
}
