//! What a member remembers of the visit beyond any one group, page load and worker.
//!
//! A group's context can be replaced: a clinician makes a new group, a relay leads back into an old one. What was said is
//! not undone by that. So each member keeps for itself what must not come back, hands it to the embedder whenever it
//! changes ([`super::Output::Remember`]), and gets it back in [`super::Config`]. The embedder keeps it in the same record as
//! the pass key: the two are only ever lost together, and what an older key signed does not count for a newer one.
//!
//! Invariants:
//! - a group that was left for another is not entered again;
//! - whoever finds an own grant in the group that it has taken back, or that belongs to a round that is over, sends
//!   nothing while a recorder is there, and withdraws;
//! - what this member signs has a higher sequence number than everything it signed before.

use super::Visit;
use crate::group::Legacy;
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::consent::{Statement, StatementClaims, StatementKind};
use sealed_visit_protocol::sorted::SortedSet;
use sealed_visit_protocol::{B64, Jws, ParticipantId, Role, RoundId, VERSION};
use serde::{Deserialize, Serialize};

/// Memory of a visit. Opaque ids, numbers and signed statements: nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitMemory {
    pub v: u32,
    /// The group that this member was in last.
    group: Option<B64>,
    /// Groups that were left for another.
    former: SortedSet<B64>,
    /// Roles, lock, dead rounds, sequence numbers.
    pub(super) legacy: Legacy,
    /// This member's last statement.
    last: Option<Said>,
    /// What this member withdrew.
    pub(super) withdrawals: Vec<Jws<StatementClaims>>,
    /// The highest number of a clinic document that this member took part under.
    pub(super) clinic_number: u64,
}

/// A statement, as far as it must be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    round: RoundId,
    seq: u64,
    kind: StatementKind,
}

impl Default for VisitMemory {
    fn default() -> Self {
        Self {
            v: VERSION,
            group: None,
            former: SortedSet::new(),
            legacy: Legacy::default(),
            last: None,
            withdrawals: Vec::new(),
            clinic_number: 0,
        }
    }
}

impl VisitMemory {
    /// One memory of those that several runs of the same participant kept, the latest last.
    pub(super) fn merged(kept: Vec<Self>) -> Self {
        let mut memory = Self::default();
        for other in kept {
            memory.former.extend(other.former.iter().cloned());
            memory.group = other.group.or(memory.group);
            memory.legacy.absorb(&other.legacy);
            memory.last = memory
                .last
                .into_iter()
                .chain(other.last)
                .max_by_key(|said| said.seq);
            for jws in other.withdrawals {
                memory.withdraw(&jws);
            }
            memory.clinic_number = memory.clinic_number.max(other.clinic_number);
        }
        memory
    }

    fn withdraw(&mut self, jws: &Jws<StatementClaims>) {
        if !self.withdrawals.contains(jws) {
            self.withdrawals.push(jws.clone());
        }
    }

    /// This member is in this group now.
    fn enter(&mut self, group_id: &[u8]) {
        if let Some(left) = self.group.replace(group_id.into())
            && left.0 != group_id
        {
            self.former.insert(left);
        }
    }

    /// The relay has another group than the one that this member was in last.
    fn replaced_by(&mut self, group_id: &B64) {
        if let Some(left) = self.group.take_if(|known| known != group_id) {
            self.former.insert(left);
        }
    }
}

impl Visit {
    /// What the confirmed epoch says, once for each epoch.
    pub(super) fn remember_epoch(&mut self) {
        let Some(member) = self.member() else { return };
        // Whoever makes a group writes its first context: what it says of people who are not there is that person's word.
        let mut legacy = member.group.legacy();
        legacy.forget_absent(|participant| member.has(participant));
        let group_id = member.group.group_id().to_vec();
        self.memory.enter(&group_id);
        self.memory.legacy.absorb(&legacy);
    }

    /// A new group is current at the relay.
    pub(super) fn remember_replaced(&mut self, group_id: &B64) {
        self.memory.replaced_by(group_id);
    }

    /// What this member has signed and is about to say.
    pub(super) fn remember_own(&mut self, statement: &Statement) {
        let StatementClaims {
            round, seq, kind, ..
        } = *statement.claims();
        self.memory.last = Some(Said { round, seq, kind });
        self.memory.legacy.hear(self.me, seq);
        if kind == StatementKind::Withdrawal {
            self.memory.withdraw(statement.jws());
            self.memory.legacy.bury(round);
        }
    }

    /// Whether this member was in that group and left it for another.
    pub(super) fn is_former(&self, group_id: &[u8]) -> bool {
        #[cfg(test)]
        if breaks(Rule::UsedGroupIds) {
            return false;
        }
        self.memory.former.contains(&group_id.into())
    }

    /// A recorder is in the group on a grant of this member's that it has taken back, or whose round is over. The others
    /// may not have heard of it, where a relay forked them; or they revive what is dead.
    pub(super) fn is_recorded_on_a_dead_grant(&self) -> bool {
        #[cfg(test)]
        if breaks(Rule::DeadRounds) || breaks(Rule::WithdrawalIsKept) {
            return false;
        }
        let Some(member) = self.member().filter(|member| member.recorder().is_some()) else {
            return false;
        };
        let Some(round) = member.round.as_ref() else {
            return false;
        };
        let granted = round.statement_of(self.me).map(Statement::claims);
        let is_taken_back = |said: Said| {
            (said.round != round.id() || said.kind != StatementKind::Grant)
                && granted.is_some_and(|granted| granted.seq <= said.seq)
        };
        self.role != Role::Recorder
            && (self.memory.legacy.is_dead(round.id())
                || self.memory.last.is_some_and(is_taken_back))
    }

    /// Says so once more.
    pub(super) fn settle_dead_grants(&mut self) {
        let is_live = self.member().is_some_and(|member| member.confirmed);
        if is_live && self.open_withdrawal().is_none() && self.is_recorded_on_a_dead_grant() {
            // Without a command: nobody waits for an answer.
            let _ = self.withdraw(None, None);
        }
    }

    /// Whether somebody's role is another than this member knows.
    pub(super) fn changed_role(&self, participant: ParticipantId, role: Role) -> bool {
        let known = self.memory.legacy.role_of(participant);
        known.is_some_and(|known| known != role)
    }

    /// Whether another clinician who was in the visit with this member is here, in a group or asking for one.
    pub(super) fn another_known_clinician_is_here(&self) -> bool {
        let mut clinicians = self.memory.legacy.clinicians();
        clinicians.any(|id| *id != self.me && self.peers.get(id).is_some_and(|peer| peer.connected))
    }

    /// Hands the memory out before anything that follows from it leaves the device.
    pub(super) fn settle_memory(&mut self) {
        if self.kept.as_ref() == Some(&self.memory) {
            return;
        }
        self.kept = Some(self.memory.clone());
        let memory = Box::new(self.memory.clone());
        self.out.insert(0, super::Output::Remember { memory });
    }
}
