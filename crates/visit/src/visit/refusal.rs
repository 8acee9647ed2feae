//! Commits that break a rule, and messages that cannot be read: what everybody leaves for a new group, and how much of
//! it is put up with.
//!
//! Whoever cannot read a message of its own epoch leaves as well: a relay may have led its author into another epoch
//! of the same number. A member could abuse that, by garbage, to keep everybody from a quiet visit: so it counts for
//! whom this happens, and how often.

use super::output::VisitEvent;
use super::state::ProblemCode;
use super::{Role, Visit};
use crate::group::Refused;
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::sorted::SortedMap;
use sealed_visit_protocol::wire::{ClientMessage, RefusalClaims};
use sealed_visit_protocol::{B64, ParticipantId};

/// A refused epoch is left after this long.
const LEAVE_REFUSED_AFTER_MS: u64 = 2_000;

/// Each further candidate waits this much longer before it acts in another's stead.
const STEP_IN_AFTER_MS: u64 = 1_500;

/// So often the group is left because of what somebody sent, in [`PERIOD_MS`].
const FORGIVEN: u32 = 3;

const PERIOD_MS: u64 = 10 * 60 * 1000;

#[derive(Clone)]
pub(super) struct RefusedCommit {
    at_ms: u64,
    pub(super) offender: Option<ParticipantId>,
    /// This member asked for the new group.
    pub(super) acted: bool,
}

/// Whose messages could not be read, how often, and since when.
#[derive(Clone, Default)]
pub(super) struct Garbled(SortedMap<ParticipantId, (u32, u64)>);

impl Garbled {
    /// Counts one more by `from`, and says whether it is one too many.
    pub(super) fn too_often(&mut self, from: ParticipantId, now_ms: u64) -> bool {
        let (count, since_ms) = self.0.get_or_insert(from, (0, now_ms));
        if now_ms >= *since_ms + PERIOD_MS {
            (*count, *since_ms) = (0, now_ms);
        }
        *count += 1;
        *count > FORGIVEN
    }
}

impl Visit {
    pub(super) fn on_refused_commit(
        &mut self,
        refused: Refused,
        from: ParticipantId,
        epoch: u64,
        commit: &[u8],
    ) {
        // Whose it was cannot be told: a clinician is not left behind on the relay's word alone.
        let is_clinician = || {
            let sender = self.member().and_then(|member| member.group.member(from));
            sender.is_some_and(|sender| sender.role == Role::Clinician)
        };
        let offender = match refused.offender {
            None if !is_clinician() && self.garbled.too_often(from, self.now_ms) => Some(from),
            offender => offender,
        };
        let now_ms = self.now_ms;
        self.event(VisitEvent::CommitRefused {
            offender,
            code: refused.code.into(),
        });
        self.problem(ProblemCode::CommitRefused, offender);
        self.leave_epoch(offender);
        let Some(member) = self.member() else {
            return;
        };
        let group_id = B64(member.group.group_id().to_vec());
        let refusal = self.identity.key().sign(&RefusalClaims {
            v: sealed_visit_protocol::VERSION,
            visit: self.policy.visit(),
            group_id,
            epoch,
            commit: sha256(commit),
            offender: offender.unwrap_or(from),
            code: refused.code.into(),
            at_ms: now_ms,
            pass: self.identity.pass().jws().clone(),
        });
        self.send(ClientMessage::Refusal { refusal });
    }

    /// Nothing more is sent in this epoch; a new group follows, without the offender.
    pub(super) fn leave_epoch(&mut self, offender: Option<ParticipantId>) {
        let at_ms = self.now_ms;
        if let Some(member) = self.member_mut().filter(|member| member.refused.is_none()) {
            member.refused = Some(RefusedCommit {
                at_ms,
                offender,
                acted: false,
            });
            member.pending = None;
            self.interrupt_commands();
        }
    }

    /// When this member starts the new group, if nobody else did.
    pub(super) fn regroup_at_ms(&self) -> Option<u64> {
        let member = self.member()?;
        let refused = member.refused.as_ref().filter(|refused| !refused.acted)?;
        let mut candidates: Vec<_> = member
            .group
            .roster()
            .iter()
            .filter(|entry| {
                let id = entry.participant;
                Some(id) != refused.offender
                    && !matches!(entry.role, Role::Recorder | Role::Server)
                    && (id == self.me || self.peers.get(&id).is_some_and(|peer| peer.connected))
            })
            .collect();
        candidates.sort_by_key(|entry| (entry.role != Role::Clinician, entry.leaf));
        let rank = candidates
            .iter()
            .position(|entry| entry.participant == self.me)? as u64;
        Some(refused.at_ms + LEAVE_REFUSED_AFTER_MS + rank * STEP_IN_AFTER_MS)
    }

    /// Leaves an epoch that stays refused: a new group, from the passes, without the offender.
    pub(super) fn leave_refused_epoch(&mut self) {
        #[cfg(test)]
        if breaks(Rule::RefusedIsLeft) {
            return;
        }
        if !self.link.ready || self.regroup_at_ms().is_none_or(|at_ms| self.now_ms < at_ms) {
            return;
        }
        let Some(member) = self.member_mut() else {
            return;
        };
        let replaces = B64(member.group.group_id().to_vec());
        let offender = member.refused.as_ref().and_then(|refused| refused.offender);
        if let Some(refused) = &mut member.refused {
            refused.acted = true;
        }
        self.interrupt_commands();
        self.remember_roster(offender);
        self.denied.extend(offender);
        self.keys.clear(&mut self.out);
        self.link.epoch_changed();
        self.leave_recording();
        self.create_group(Some(replaces));
    }
}
