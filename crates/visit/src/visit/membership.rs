//! A member's place in the group: asked for, found, kept, lost.

use super::commits::{Pending, Want};
use super::consent::round_of;
use super::output::{CommandError, ErrorCode, VisitEvent};
use super::refusal::RefusedCommit;
use super::state::{EndReason, NotSending, ProblemCode};
use super::{Outside, Role, Stage, Visit};
use crate::group::{Group, GroupError, Joiner};
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::consent::{Change, Round};
use sealed_visit_protocol::sorted::SortedSet;
use sealed_visit_protocol::wire::{ClientMessage, GroupInfo};
use sealed_visit_protocol::{B64, Hash32, ParticipantId};
use std::sync::Arc;

/// A newcomer takes the inviter's word alone after this long, if nobody else speaks.
const INVITER_ALONE_AFTER_MS: u64 = 3_000;

/// A newcomer to whom nobody proves the epoch for this long asks again to be let in: the inviter may be gone, and everybody
/// else may be a newcomer who waits for the same.
const UNPROVED_AFTER_MS: u64 = 10_000;

/// A host who waits, and sees nobody in the group to let it in, starts a new one after this long.
const HOST_ALONE_AFTER_MS: u64 = 1_500;

/// A host who waits, and is let in by nobody of those who are there, starts a new one after this long: they may all
/// wait for the host themselves.
const HOST_UNANSWERED_AFTER_MS: u64 = 8_000;

/// Who waits asks again after this long: whoever was asked may have gone before it could act.
pub(super) const ASK_AGAIN_AFTER_MS: u64 = 5_000;

/// A commit that the relay neither orders nor rejects for this long is withheld.
const WITHHELD_AFTER_MS: u64 = 2_000;

/// A member's place in the group.
#[derive(Clone)]
pub(super) struct Membership {
    pub(super) group: Group,
    /// The round that is open in this epoch.
    pub(super) round: Option<Arc<Round>>,
    /// Another member proved this epoch, or this member made the group: keys may be used.
    pub(super) confirmed: bool,
    /// Who let this member in, as long as the epoch is unconfirmed.
    pub(super) invited_by: Option<ParticipantId>,
    /// When this member entered the group.
    since_ms: u64,
    /// Who proved to have the current epoch's keys.
    pub(super) confirmed_by: SortedSet<ParticipantId>,
    pub(super) pending: Option<Pending>,
    pub(super) wants: Vec<Want>,
    /// The relay is further than this group: no commit before this epoch is reached.
    pub(super) behind_until: Option<u64>,
    pub(super) refused: Option<RefusedCommit>,
    /// Said goodbye; to be removed.
    pub(super) leaving: SortedSet<ParticipantId>,
    /// Commands that are answered when their commit is ordered, and whether their effect is remembered beyond the group.
    pub(super) unanswered: Vec<(u32, bool)>,
    /// What this member comes with, until it is live.
    pub(super) outside: Option<Box<Outside>>,
}

impl Membership {
    fn new(
        group: Group,
        confirmed: bool,
        invited_by: Option<ParticipantId>,
        since_ms: u64,
    ) -> Self {
        Self {
            round: round_of(&group),
            group,
            confirmed,
            invited_by,
            since_ms,
            confirmed_by: SortedSet::new(),
            pending: None,
            wants: Vec::new(),
            behind_until: None,
            refused: None,
            leaving: SortedSet::new(),
            unanswered: Vec::new(),
            outside: None,
        }
    }

    pub(super) fn recorder(&self) -> Option<ParticipantId> {
        let mut roster = self.group.roster().iter();
        roster
            .find(|entry| entry.role == Role::Recorder)
            .map(|entry| entry.participant)
    }

    pub(super) fn has(&self, participant: ParticipantId) -> bool {
        self.group.member(participant).is_some()
    }

    pub(super) fn commit_withheld_since(&self) -> Option<u64> {
        self.pending.as_ref().map(|pending| pending.sent_ms)
    }

    fn is_wanted(&self, matches: impl Fn(&Want) -> bool) -> bool {
        let pending = self.pending.iter().flat_map(|pending| &pending.wants);
        self.wants.iter().chain(pending).any(matches)
    }

    pub(super) fn wants_add(&self, participant: ParticipantId) -> bool {
        self.is_wanted(|want| want.add.contains(&participant))
    }

    pub(super) fn wants_removal(&self, participant: ParticipantId) -> bool {
        self.is_wanted(|want| want.remove.contains(&participant))
    }

    pub(super) fn wants_change(&self, change: &Change) -> bool {
        self.is_wanted(|want| want.consent.contains(change))
    }
}

impl Visit {
    pub(super) fn on_ready(&mut self, group: Option<GroupInfo>, seq: u64) {
        let (same_group, ahead) = match (&self.stage, &group) {
            (Stage::Member(member), Some(info)) => (
                member.group.group_id() == info.group_id.0,
                member.group.epoch() > info.epoch,
            ),
            _ => (false, false),
        };
        if same_group && ahead {
            // It said that it had ordered a commit, and had not.
            self.problem(ProblemCode::MessagesMissing, None);
        }
        let same_group = same_group && !ahead;
        if same_group {
            self.link.may_be_lost();
            return self.resend_pending();
        }
        self.skip_history(seq);
        match &self.stage {
            // The key package went to the relay on a connection that is gone.
            Stage::Connecting(_)
            | Stage::Waiting { .. }
            | Stage::Member(_)
            | Stage::Creating { .. } => {
                if matches!(self.stage, Stage::Member(_)) {
                    self.give_up_group();
                }
                // Who waited for a group lets those who were in it come first.
                let waited =
                    matches!(self.stage, Stage::Waiting { .. }) && self.link.group_id.is_some();
                if group.is_none() && self.is_clinician() && !waited {
                    self.create_group(None);
                } else {
                    self.ask_to_join();
                }
            }
            Stage::Ended(..) => {}
        }
        self.link.group_id = group.map(|info| info.group_id);
    }

    pub(super) fn ask_to_join(&mut self) {
        match Joiner::new(self.identity.clone(), self.policy.clone()) {
            Ok((joiner, key_package)) => {
                self.stage = Stage::Waiting {
                    joiner: Box::new(joiner),
                    key_package: key_package.clone(),
                    since_ms: self.now_ms,
                    said_ms: self.now_ms,
                    outside: self.take_outside(),
                };
                self.send(ClientMessage::KeyPackage {
                    key_package: B64(key_package),
                });
            }
            Err(_) => self.end(EndReason::Failed),
        }
    }

    /// With the key package that was published already.
    pub(super) fn ask_again(&mut self) {
        let now_ms = self.now_ms;
        if let Stage::Waiting {
            key_package,
            said_ms,
            ..
        } = &mut self.stage
        {
            *said_ms = now_ms;
            let key_package = B64(key_package.clone());
            self.send(ClientMessage::KeyPackage { key_package });
        }
    }

    pub(super) fn create_group(&mut self, replaces: Option<B64>) {
        let group_id = self.entropy.bytes16();
        match Group::create_after(
            self.memory.legacy.clone(),
            self.identity.clone(),
            self.policy.clone(),
            &group_id,
            self.now_ms,
        ) {
            Ok(group) => {
                self.stage = Stage::Creating {
                    group: Box::new(group),
                    replaces,
                    said_ms: self.now_ms,
                    outside: self.take_outside(),
                };
                self.say_creation();
            }
            Err(_) => self.end(EndReason::Failed),
        }
    }

    fn say_creation(&mut self) {
        let now_ms = self.now_ms;
        let Stage::Creating {
            group,
            replaces,
            said_ms,
            ..
        } = &mut self.stage
        else {
            return;
        };
        *said_ms = now_ms;
        let message = ClientMessage::CreateGroup {
            group_id: B64(group.group_id().to_vec()),
            replaces: replaces.clone(),
        };
        self.send(message);
    }

    /// What the relay neither started nor refused is asked for again.
    pub(super) fn keep_creating(&mut self) {
        if let Stage::Creating { said_ms, .. } = self.stage
            && self.link.ready
            && self.now_ms >= said_ms + ASK_AGAIN_AFTER_MS
        {
            self.say_creation();
        }
    }

    pub(super) fn asks_for_group_at(&self) -> Option<u64> {
        match self.stage {
            Stage::Creating { said_ms, .. } => Some(said_ms + ASK_AGAIN_AFTER_MS),
            _ => None,
        }
    }

    pub(super) fn on_group_created(&mut self, info: GroupInfo, by: ParticipantId) {
        self.link.group_id = Some(info.group_id.clone());
        if self.is_by_a_stranger(&info, by) {
            return self.stay_with_the_host(info);
        }
        self.remember_replaced(&info.group_id);
        match &self.stage {
            Stage::Creating { group, .. }
                if by == self.me && group.group_id() == info.group_id.0 =>
            {
                let group = (**group).clone();
                self.become_member(Membership::new(group, true, None, self.now_ms));
            }
            Stage::Member(member) if member.group.group_id() != info.group_id.0 => {
                self.leave_for_new_group();
            }
            Stage::Creating { .. } => self.ask_to_join(),
            _ => {}
        }
    }

    /// Whether somebody who never was in the visit made another group, while a clinician is here who was. No relay that
    /// keeps its rules starts such a group.
    fn is_by_a_stranger(&self, info: &GroupInfo, by: ParticipantId) -> bool {
        #[cfg(test)]
        if breaks(Rule::StrangersGroups) {
            return false;
        }
        let in_another = self
            .member()
            .is_some_and(|member| member.group.group_id() != info.group_id.0);
        in_another
            && !self.memory.legacy.knows(by)
            && (self.is_clinician() || self.another_known_clinician_is_here())
    }

    /// Does not follow a stranger: a clinician takes the visit back, everybody else waits for that.
    fn stay_with_the_host(&mut self, info: GroupInfo) {
        self.problem(ProblemCode::WelcomeRefused, None);
        if self.is_clinician() {
            self.give_up_group();
            self.create_group(Some(info.group_id));
        }
    }

    /// Gives up the present group, keeps who belonged to it, and asks to be let into the next.
    pub(super) fn leave_for_new_group(&mut self) {
        self.give_up_group();
        self.ask_to_join();
    }

    pub(super) fn give_up_group(&mut self) {
        self.remember_roster(None);
        self.keys.clear(&mut self.out);
        self.link.epoch_changed();
        self.leave_recording();
        self.interrupt_commands();
        self.event(VisitEvent::Rejoining);
    }

    /// What is kept of consent and recording when a group is left.
    pub(super) fn leave_recording(&mut self) {
        let round = match self.member() {
            // What an unproved welcome said is nobody's word.
            Some(member) if member.confirmed => member.round.clone(),
            _ => self.recording.left_round.take(),
        };
        self.recording.group_left(round);
    }

    /// The own place in the group cannot be kept: ask for a new leaf.
    pub(super) fn lose_group(&mut self) {
        self.leave_for_new_group();
    }

    pub(super) fn remember_roster(&mut self, without: Option<ParticipantId>) {
        // What an unproved welcome said of the others is nobody's word.
        let Some(member) = self.member().filter(|member| member.confirmed) else {
            return;
        };
        self.regroup = member
            .group
            .roster()
            .iter()
            .filter(|entry| entry.role != Role::Recorder && Some(entry.participant) != without)
            .map(|entry| (entry.participant, *entry.pass.key()))
            .collect();
    }

    pub(super) fn on_welcome(&mut self, _: &[u8], _: u64, from: ParticipantId, welcome: &[u8]) {
        let Stage::Waiting { joiner, .. } = &self.stage else {
            return;
        };
        match joiner.as_ref().clone().join(welcome) {
            Ok(group) if self.contradicts_memory(&group) => {
                self.problem(ProblemCode::WelcomeRefused, Some(from));
                if self.is_clinician() {
                    self.create_group(self.link.group_id.clone());
                } else {
                    self.ask_to_join();
                }
            }
            Ok(group) => {
                self.become_member(Membership::new(group, false, Some(from), self.now_ms));
            }
            // It answers what an earlier page of this participant asked. A new key package would only make the next
            // welcome late as well: ask again with the same.
            Err(GroupError::OtherKeyPackage) => self.ask_again(),
            Err(_) => {
                self.problem(ProblemCode::WelcomeRefused, Some(from));
                self.ask_to_join();
            }
        }
    }

    /// Whether this is a group that an honest member of the same visit would not lead into.
    fn contradicts_memory(&self, group: &Group) -> bool {
        let roster = group.roster();
        self.is_former(group.group_id())
            || roster
                .iter()
                .any(|entry| self.changed_role(entry.participant, entry.role))
            || self.is_without_the_host(group)
            || self.is_around_the_lock(group)
    }

    /// Whether there are clinicians in it, none of whom this member knows, while one whom it knows is here.
    fn is_without_the_host(&self, group: &Group) -> bool {
        #[cfg(test)]
        if breaks(Rule::StrangersGroups) {
            return false;
        }
        let mut roster = group.roster().iter();
        roster.any(|entry| entry.role == Role::Clinician && entry.participant != self.me)
            && self.another_known_clinician_is_here()
            && !self.has_a_known_clinician(group)
    }

    /// Another one than this member itself.
    fn has_a_known_clinician(&self, group: &Group) -> bool {
        let mut others = group
            .roster()
            .iter()
            .filter(|entry| entry.participant != self.me);
        others.any(|entry| {
            entry.role == Role::Clinician && self.memory.legacy.knows(entry.participant)
        })
    }

    /// Whether this is another group than a locked one that this member comes from, made to get around the lock: it is
    /// neither locked, nor is a clinician in it who could have unlocked it.
    fn is_around_the_lock(&self, group: &Group) -> bool {
        self.memory.legacy.is_locked()
            && !group.meeting().locked
            && !self.has_a_known_clinician(group)
    }

    pub(super) fn become_member(&mut self, mut membership: Membership) {
        let confirmed = membership.confirmed;
        let mut outside = self.take_outside();
        (outside.refused_creations, outside.locked_out) = (0, false);
        membership.outside = Some(outside);
        // Who was let in while this member was still outside waits no more.
        self.waiting
            .retain(|participant, _| !membership.has(*participant));
        self.recording.entered_group(
            self.me,
            membership.recorder(),
            membership.round.as_ref().map(|round| round.id()),
            self.now_ms,
        );
        self.stage = Stage::Member(Box::new(membership));
        if confirmed {
            self.go_live();
        }
    }

    pub(super) fn go_live(&mut self) {
        self.remember_epoch();
        self.install_current_epoch(None);
        self.event(VisitEvent::Live);
        self.tell_of_open_round();
        self.say_hello();
        self.say_declined();
    }

    /// Somebody says which epoch it is in.
    pub(super) fn on_proof(&mut self, from: ParticipantId, proof: Hash32) {
        let Some(member) = self.member_mut() else {
            return;
        };
        if member.group.epoch_proof().ok() != Some(proof.0) {
            if !member.confirmed {
                // A welcome into a fork: this group is not the others'.
                self.problem(ProblemCode::WelcomeRefused, Some(from));
                self.lose_group();
            }
            return;
        }
        member.confirmed_by.insert(from);
    }

    /// Goes live once somebody proved to be in the epoch of the welcome. The inviter's word counts where there is nobody
    /// else to ask, or where nobody else answers: they may all have come back at the same time.
    pub(super) fn go_live_once_proved(&mut self) {
        let Some(member) = self.member().filter(|member| !member.confirmed) else {
            return;
        };
        let is_inviter = |id: ParticipantId| Some(id) == member.invited_by;
        #[cfg(test)]
        if breaks(Rule::NewcomerWaitsForProof) {
            self.member_mut()
                .into_iter()
                .for_each(|member| member.confirmed = true);
            return self.go_live();
        }
        let by_another = member.confirmed_by.iter().any(|id| !is_inviter(*id));
        let by_inviter = member.confirmed_by.iter().any(|id| is_inviter(*id));
        let others = member.group.roster().iter().any(|entry| {
            let id = entry.participant;
            let is_connected = self.peers.get(&id).is_some_and(|peer| peer.connected);
            id != self.me && !is_inviter(id) && is_connected && entry.role != Role::Recorder
        });
        let long_enough = self.now_ms >= member.since_ms + INVITER_ALONE_AFTER_MS;
        if by_another || (by_inviter && (!others || long_enough)) {
            if let Some(member) = self.member_mut() {
                member.confirmed = true;
            }
            self.go_live();
        } else if self.now_ms >= member.since_ms + UNPROVED_AFTER_MS && self.link.caught_up() {
            self.lose_group();
        }
    }

    /// When silence says something about an epoch that nobody has proved.
    pub(super) fn judges_proofs_at(&self) -> Option<u64> {
        let unproved = self.member().filter(|member| !member.confirmed)?;
        let since_ms = unproved.since_ms;
        self.soonest(&[
            Some(since_ms + INVITER_ALONE_AFTER_MS),
            Some(since_ms + UNPROVED_AFTER_MS),
        ])
    }

    /// The relay does not let a clinician who never was inside replace the group of one who is: it asks more seldom then.
    fn unanswered_after_ms(&self) -> u64 {
        let refused = self
            .outside()
            .map_or(0, |outside| outside.refused_creations);
        HOST_UNANSWERED_AFTER_MS << refused.min(6)
    }

    /// What follows while waiting: asking again, and a host that finds nobody to let it in starts anew.
    pub(super) fn keep_asking(&mut self) {
        let now_ms = self.now_ms;
        let Stage::Waiting {
            since_ms, said_ms, ..
        } = self.stage
        else {
            return;
        };
        if self.link.ready && now_ms >= said_ms + ASK_AGAIN_AFTER_MS {
            self.ask_again();
        }
        if !self.is_clinician() || !self.link.ready || self.now_ms < since_ms + HOST_ALONE_AFTER_MS
        {
            return;
        }
        let unanswered = self.now_ms >= since_ms + self.unanswered_after_ms();
        let somebody = self
            .peers
            .iter()
            .any(|(id, peer)| peer.connected && *id != self.me && !self.waiting.contains_key(id));
        if !somebody || unanswered {
            let replaces = self.link.group_id.clone();
            self.create_group(replaces);
        }
    }

    pub(super) fn asks_next_at(&self) -> Option<u64> {
        let Stage::Waiting {
            since_ms, said_ms, ..
        } = self.stage
        else {
            return None;
        };
        let again = Some(said_ms + ASK_AGAIN_AFTER_MS);
        if !self.is_clinician() {
            return again;
        }
        let alone = Some(since_ms + HOST_ALONE_AFTER_MS);
        self.soonest(&[again, alone, Some(since_ms + self.unanswered_after_ms())])
    }

    /// When a commit that is under way has been withheld.
    pub(super) fn commit_withheld_at(&self) -> Option<u64> {
        let since = self.member().and_then(Membership::commit_withheld_since);
        since.map(|sent_ms| sent_ms + WITHHELD_AFTER_MS)
    }

    pub(super) fn report_commit_problems(&mut self) {
        let withheld_at = self.commit_withheld_at();
        if withheld_at.is_some_and(|at_ms| self.now_ms >= at_ms) && self.link.ready {
            self.problem(ProblemCode::CommitWithheld, None);
        } else if withheld_at.is_none() {
            self.clear_problem(ProblemCode::CommitWithheld);
        }
        if self
            .member()
            .is_some_and(|member| member.confirmed && member.refused.is_none())
        {
            self.clear_problem(ProblemCode::WelcomeRefused);
        }
    }

    /// Why nothing may be sent now, if so.
    pub(super) fn not_sending(&self) -> Option<NotSending> {
        let not_live = if self.outside().is_some_and(|outside| outside.has_withdrawn) {
            NotSending::Withdrawn
        } else {
            NotSending::NotLive
        };
        let Some(member) = self.member() else {
            return Some(not_live);
        };
        if !member.confirmed || self.keys.sending().is_none() || self.role == Role::Recorder {
            Some(not_live)
        } else if member.refused.is_some() {
            Some(NotSending::RefusedCommit)
        } else if self.withdrawal_is_pending() {
            Some(NotSending::Withdrawn)
        } else {
            None
        }
    }

    /// In a group whose keys may be used.
    pub(super) fn is_live(&self) -> bool {
        self.member().is_some_and(|member| member.confirmed)
    }

    pub(super) fn require_member(&mut self) -> Result<&mut Membership, CommandError> {
        match &mut self.stage {
            Stage::Member(member) if member.confirmed => Ok(member),
            _ => Err(CommandError::new(
                ErrorCode::NotLive,
                "the visit is not live",
            )),
        }
    }
}
