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

use super::output::CommandError;
use super::signing::Question;
use super::{Stage, Visit};
use crate::group::Legacy;
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::consent::{Statement, StatementClaims, StatementKind, WithdrawalWish};
use sealed_visit_protocol::sorted::SortedSet;
use sealed_visit_protocol::{B64, Hash32, Jws, ParticipantId, Role, RoundId, VERSION};
use serde::{Deserialize, Serialize};

/// Memory of a visit. Opaque ids, numbers and signed statements: nothing secret.
///
/// Everything in it only grows, so two memories of one participant merge into one that knows what either knew
/// ([`VisitMemory::merged`]). How the meeting is run is the exception: there, what was learned last counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitMemory {
    /// The major version of its form, [`VERSION`].
    pub v: u32,
    /// Every group that this member was in.
    groups: SortedSet<B64>,
    /// Those among them that were left for another.
    former: SortedSet<B64>,
    /// Roles, lock, dead rounds, sequence numbers.
    pub(super) legacy: Legacy,
    /// When host and lock were learned.
    meeting_ms: u64,
    /// This member's last statement.
    last: Option<Said>,
    /// What this member refused or withdrew, and what it agreed to as a member, in the order of the text. What it agrees to
    /// outside, of whoever asks there, is not in it, and hides nothing.
    #[serde(rename = "declined")]
    signed: Vec<Jws<StatementClaims>>,
    /// The highest number of a clinic document that this member took part under.
    pub(super) clinic_number: u64,
}

/// A statement, as far as it must be remembered: enough to sign, without the request at hand, that it no longer holds.
///
/// Ordered by what outweighs what: the higher number and, at the same number, whatever is not a grant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Said {
    seq: u64,
    kind: StatementKind,
    round: RoundId,
    group_id: B64,
    request: Hash32,
}

impl Said {
    fn of(claims: &StatementClaims) -> Self {
        Self {
            seq: claims.seq,
            kind: claims.kind,
            round: claims.round,
            group_id: claims.group_id.clone(),
            request: claims.request,
        }
    }
}

impl Default for VisitMemory {
    fn default() -> Self {
        Self {
            v: VERSION,
            groups: SortedSet::new(),
            former: SortedSet::new(),
            legacy: Legacy::default(),
            meeting_ms: 0,
            last: None,
            signed: Vec::new(),
            clinic_number: 0,
        }
    }
}

impl VisitMemory {
    /// One memory of those that several runs of the same participant kept, in any order.
    pub(super) fn merged(kept: Vec<Self>) -> Self {
        let mut memory = Self::default();
        kept.into_iter().for_each(|other| memory.merge(other));
        memory
    }

    fn merge(&mut self, other: Self) {
        let meeting_of = |memory: &Self| {
            let meeting = memory.legacy.meeting();
            (memory.meeting_ms, meeting.locked, meeting.host)
        };
        let is_newer = meeting_of(self) < meeting_of(&other);
        self.legacy.merge(&other.legacy, is_newer);
        self.meeting_ms = self.meeting_ms.max(other.meeting_ms);
        self.groups.extend(other.groups.iter().cloned());
        self.former.extend(other.former.iter().cloned());
        self.last = self.last.take().max(other.last);
        other.signed.iter().for_each(|jws| self.keep(jws));
        self.clinic_number = self.clinic_number.max(other.clinic_number);
    }

    fn keep(&mut self, jws: &Jws<StatementClaims>) {
        let known = self.signed.binary_search_by_key(&jws.as_str(), Jws::as_str);
        if let Err(position) = known {
            self.signed.insert(position, jws.clone());
        }
    }

    /// What this member refused or withdrew; and what it agreed to.
    pub(super) fn signed(&self) -> &[Jws<StatementClaims>] {
        &self.signed
    }

    /// What this member agreed to in the group that it is in, or was in last, as long as the round is not over.
    fn stands(&self) -> Option<Said> {
        let signed = self.signed.iter();
        signed
            .filter_map(|jws| jws.unverified_claims().ok())
            .filter(|said| {
                said.kind == StatementKind::Grant
                    && !self.former.contains(&said.group_id)
                    && !self.legacy.is_dead(said.round)
            })
            .map(|claims| Said::of(&claims))
            .max()
    }

    /// The round of it: those who are in the group have the grant.
    pub(super) fn stands_in_group(&self) -> Option<RoundId> {
        self.stands().map(|said| said.round)
    }

    /// The round that this member agreed to, if it has not taken that back since and the round is not over.
    pub(super) fn granted(&self) -> Option<RoundId> {
        let last = self.last.as_ref();
        let last = last
            .filter(|said| said.kind == StatementKind::Grant && !self.legacy.is_dead(said.round))
            .map(|said| said.round);
        self.stands_in_group().or(last)
    }

    /// Whether the last thing that this member said is that it withdraws.
    pub(super) fn ends_in_a_withdrawal(&self) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|said| said.kind == StatementKind::Withdrawal)
    }

    /// Groups that were left, and rounds that are over.
    #[cfg(test)]
    pub(super) fn gone(&self) -> (impl Iterator<Item = &B64>, impl Iterator<Item = &RoundId>) {
        (self.former.iter(), self.legacy.dead_rounds())
    }

    /// This member is in this group now.
    fn enter(&mut self, group_id: &[u8]) {
        let group_id = B64(group_id.to_vec());
        self.replaced_by(&group_id);
        self.groups.insert(group_id);
    }

    /// Another group than those that this member was in is current.
    fn replaced_by(&mut self, group_id: &B64) {
        let left = self.groups.iter().filter(|known| *known != group_id);
        self.former.extend(left.cloned());
    }
}

impl Visit {
    /// What the confirmed epoch says, once for each epoch.
    pub(super) fn remember_epoch(&mut self) {
        let Stage::Member(member) = &self.stage else {
            return;
        };
        let legacy = member.group.legacy();
        self.memory.enter(member.group.group_id());
        self.memory
            .legacy
            .absorb(&legacy, |participant| member.has(participant));
        self.memory.meeting_ms = self.now_ms;
        let round = member.round.as_ref();
        let own = round.and_then(|round| round.statement_of(self.me));
        if let Some(own) = own.filter(|own| own.claims().kind == StatementKind::Grant) {
            self.memory.keep(own.jws());
        }
        // There is always room for the round that this member has spoken in.
        if let Some(said) = &self.memory.last
            && legacy.is_dead(said.round)
        {
            self.memory.legacy.bury(said.round);
        }
    }

    /// A new group is current at the relay.
    pub(super) fn remember_replaced(&mut self, group_id: &B64) {
        self.memory.replaced_by(group_id);
    }

    /// What this member has signed and is about to say.
    pub(super) fn remember_own(&mut self, statement: &Statement) {
        let said = Said::of(statement.claims());
        self.memory.legacy.hear(self.me, said.seq);
        if said.kind != StatementKind::Grant {
            self.memory.keep(statement.jws());
        }
        if said.kind == StatementKind::Withdrawal {
            self.memory.legacy.bury(said.round);
        }
        self.memory.last = self.memory.last.take().max(Some(said));
    }

    /// This member agreed to this as a member.
    pub(super) fn remember_agreed(&mut self, statement: &Statement) {
        self.memory.keep(statement.jws());
    }

    /// A withdrawal from what this member agreed to in its group, or else granted last; none where it granted nothing, or has
    /// taken it back.
    pub(super) fn take_back_last_grant(
        &self,
        wish: Option<WithdrawalWish>,
    ) -> Option<Result<Statement, CommandError>> {
        let granted = self.memory.stands().or(self.memory.last.clone());
        let granted = granted.filter(|said| said.kind == StatementKind::Grant)?;
        let question = Question {
            group_id: &granted.group_id,
            round: granted.round,
            request: granted.request,
        };
        let seq = self.statement_seq_of(self.me);
        let kind = StatementKind::Withdrawal;
        Some(self.sign_statement(&question, kind, seq, |claims| claims.wish = wish))
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
        let is_taken_back = |said: &Said| {
            (said.round != round.id() || said.kind != StatementKind::Grant)
                && granted.is_some_and(|granted| granted.seq <= said.seq)
        };
        self.role != Role::Recorder
            && (self.memory.legacy.is_dead(round.id())
                || self.recording.has_declined(self.me, round.id())
                || self.memory.last.as_ref().is_some_and(is_taken_back))
    }

    /// Says so once more.
    pub(super) fn take_back_dead_grant(&mut self) {
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
    pub(super) fn hand_out_memory(&mut self) {
        if self.kept.as_ref() == Some(&self.memory) {
            return;
        }
        self.kept = Some(self.memory.clone());
        self.out.remember(self.memory.clone());
    }
}

#[cfg(test)]
mod tests;
