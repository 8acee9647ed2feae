//! Withdrawal.
//!
//! Invariant: from the moment a withdrawal is known here until an epoch without the recorder is installed,
//! [`Visit::withdrawal_is_pending`] holds, and the sending gate is closed.

use super::app_message::AppMessage;
use super::command::Answered;
use super::commits::Want;
use super::output::CommandError;
use super::recording::Heard;
use super::{Role, Stage, Visit};
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::consent::{Change, StatementKind, WithdrawalWish};

/// When the author of a withdrawal does not remove the recorder, the next live member does after this long, and so on.
const REMOVE_FOR_ANOTHER_AFTER_MS: u64 = 400;

impl Visit {
    /// Stops sending at once: the gate follows from the statement being known here.
    pub(super) fn withdraw(
        &mut self,
        command: Option<u32>,
        wish: Option<WithdrawalWish>,
    ) -> Result<Answered, CommandError> {
        if matches!(self.stage, Stage::Waiting { .. }) && self.asking.is_some() {
            self.refuse_outside()?;
            return Ok(Answered::Now(None));
        }
        self.require_member()?;
        let round = self.require_round()?;
        let statement =
            self.make_statement(&round.request, StatementKind::Withdrawal, |claims| {
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
        Ok(Answered::Later)
    }

    pub(super) fn open_withdrawal(&self) -> Option<&Heard> {
        let round = self.open_round()?.id();
        self.recording.heard.values().find(|heard| {
            let claims = heard.statement.claims();
            claims.round == round && claims.kind == StatementKind::Withdrawal
        })
    }

    /// Who came back into a round that it withdrew from says so again.
    pub(super) fn say_own_withdrawal(&mut self) {
        let own = self
            .open_withdrawal()
            .map(|heard| &heard.statement)
            .filter(|statement| statement.participant() == self.me)
            .map(|statement| statement.jws().clone());
        if let Some(statement) = own {
            self.say(AppMessage::Statement { statement });
        }
    }

    /// A withdrawal is known, and the recorder can still derive the keys of this epoch.
    pub(super) fn withdrawal_is_pending(&self) -> bool {
        #[cfg(test)]
        if breaks(Rule::WithdrawnIsSilent) {
            return false;
        }
        self.member()
            .is_some_and(|member| member.recorder().is_some())
            && (self.open_withdrawal().is_some() || self.is_recorded_on_a_dead_grant())
    }

    /// Removes the recorder when somebody has withdrawn: the author at once, others when the author does not.
    pub(super) fn settle_withdrawal(&mut self) {
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
