//! Waiting, joining, admitting, commits, and what happens when one is refused.
//!
//! Whoever commits does so through [`Want`]s: each is atomic, is tried again when another commit wins the epoch, and
//! is dropped when it has become true. One commit is under way at a time.

use super::output::{CommandError, ErrorCode, VisitEvent};
use super::round::Round;
use super::state::{EndReason, NotSending, ProblemCode};
use super::{Role, Stage, Visit};
use crate::group::{
    Changes, CommitSummary, Group, GroupError, Joiner, KeyPackageInfo, MeetingChange, Processed,
    Refused, Staged, inspect_key_package,
};
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::consent::Change;
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::sorted::{SortedMap, SortedSet};
use sealed_visit_protocol::wire::{ClientMessage, GroupInfo, RefusalClaims, Waiting, WelcomeFor};
use sealed_visit_protocol::{B64, Hash32, ParticipantId, PublicKey};
use std::sync::Arc;

/// A refused epoch is left after this long.
const LEAVE_REFUSED_AFTER_MS: u64 = 2_000;

/// A newcomer takes the inviter's word alone after this long, if nobody else speaks.
const INVITER_ALONE_AFTER_MS: u64 = 3_000;

/// Each further candidate waits this much longer before it acts in another's stead.
const STEP_IN_AFTER_MS: u64 = 1_500;

/// A host who waits, and sees nobody in the group to let it in, starts a new one after this long.
const HOST_ALONE_AFTER_MS: u64 = 1_500;

/// A host who waits, and is let in by nobody of those who are there, starts a new one after this long: they may all
/// wait for the host themselves.
const HOST_UNANSWERED_AFTER_MS: u64 = 8_000;

/// Who waits asks again after this long: whoever was asked may have gone before it could act.
const ASK_AGAIN_AFTER_MS: u64 = 5_000;

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
}

/// Something that this member wants committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Want {
    pub(super) add: Vec<ParticipantId>,
    pub(super) remove: Vec<ParticipantId>,
    pub(super) consent: Vec<Change>,
    pub(super) meeting: Vec<MeetingChange>,
    /// The command that is answered when it is done.
    pub(super) command: Option<u32>,
}

impl Want {
    fn is_empty(&self) -> bool {
        self.add.is_empty()
            && self.remove.is_empty()
            && self.consent.is_empty()
            && self.meeting.is_empty()
    }
}

#[derive(Clone)]
pub(super) struct Pending {
    staged: Staged,
    hash: Hash32,
    pub(super) wants: Vec<Want>,
    message: ClientMessage,
    sent_ms: u64,
    /// When it was last said.
    said_ms: u64,
}

#[derive(Clone)]
pub(super) struct RefusedCommit {
    at_ms: u64,
    pub(super) offender: Option<ParticipantId>,
    /// This member asked for the new group.
    pub(super) acted: bool,
}

/// Somebody who waits, with the key that its verified pass names.
#[derive(Clone)]
pub(super) struct Waiter {
    pub(super) role: Role,
    pub(super) key: PublicKey,
    pub(super) key_package: Vec<u8>,
    key_package_id: Hash32,
}

impl Membership {
    fn new(
        group: Group,
        confirmed: bool,
        invited_by: Option<ParticipantId>,
        since_ms: u64,
    ) -> Self {
        Self {
            round: Round::open_in(&group).map(Arc::new),
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

// Joining.
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
            Stage::Connecting
            | Stage::Waiting { .. }
            | Stage::Member(_)
            | Stage::Creating { .. } => {
                if matches!(self.stage, Stage::Member(_)) {
                    self.give_up_group();
                }
                if group.is_none() && self.is_clinician() {
                    self.create_group(None);
                } else {
                    self.ask_to_join();
                }
            }
            Stage::Ended(_) => {}
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
                };
                self.send(ClientMessage::KeyPackage {
                    key_package: B64(key_package),
                });
            }
            Err(_) => self.end(EndReason::Failed),
        }
    }

    /// With the key package that was published already.
    fn ask_again(&mut self) {
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

    fn create_group(&mut self, replaces: Option<B64>) {
        let group_id = self.entropy.bytes16();
        match Group::create_after(
            self.legacy.clone(),
            self.identity.clone(),
            self.policy.clone(),
            &group_id,
            self.now_ms,
        ) {
            Ok(group) => {
                self.stage = Stage::Creating {
                    group: Box::new(group),
                };
                self.send(ClientMessage::CreateGroup {
                    group_id: B64(group_id.to_vec()),
                    replaces,
                });
            }
            Err(_) => self.end(EndReason::Failed),
        }
    }

    pub(super) fn on_group_created(&mut self, info: GroupInfo, by: ParticipantId) {
        self.link.group_id = Some(info.group_id.clone());
        match &self.stage {
            Stage::Creating { group } if by == self.me && group.group_id() == info.group_id.0 => {
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

    /// Gives up the present group, keeps who belonged to it, and asks to be let into the next.
    fn leave_for_new_group(&mut self) {
        self.give_up_group();
        self.ask_to_join();
    }

    fn give_up_group(&mut self) {
        self.remember_roster(None);
        self.keys.clear(&mut self.out);
        self.link.epoch_changed();
        self.recording.group_left();
        self.interrupt_commands();
        self.event(VisitEvent::Rejoining);
    }

    /// The own place in the group cannot be kept: ask for a new leaf.
    pub(super) fn lose_group(&mut self) {
        self.leave_for_new_group();
    }

    fn remember_roster(&mut self, without: Option<ParticipantId>) {
        let Some(member) = self.member() else { return };
        let legacy = member.group.legacy();
        self.regroup = member
            .group
            .roster()
            .iter()
            .filter(|entry| entry.role != Role::Recorder && Some(entry.participant) != without)
            .map(|entry| (entry.participant, *entry.pass.key()))
            .collect();
        self.legacy = legacy;
    }

    pub(super) fn on_welcome(&mut self, _: &[u8], _: u64, from: ParticipantId, welcome: &[u8]) {
        let Stage::Waiting { joiner, .. } = &self.stage else {
            return;
        };
        match joiner.as_ref().clone().join(welcome) {
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

    fn become_member(&mut self, membership: Membership) {
        let confirmed = membership.confirmed;
        // Who was let in while this member was still outside waits no more.
        self.waiting
            .retain(|participant, _| !membership.has(*participant));
        self.recording.entered_group(
            membership.recorder(),
            membership.round.as_ref().map(|round| round.id()),
            self.now_ms,
        );
        self.stage = Stage::Member(Box::new(membership));
        self.asking = None;
        self.locked_out = false;
        if confirmed {
            self.go_live();
        }
    }

    fn go_live(&mut self) {
        self.install_current_epoch(None);
        self.event(VisitEvent::Live);
        self.tell_of_open_round();
        self.say_hello();
        self.say_own_withdrawal();
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
    pub(super) fn settle_confirmation(&mut self) {
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
        }
    }

    /// What follows while waiting: asking again, and a host that finds nobody to let it in starts anew.
    pub(super) fn settle_waiting(&mut self) {
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
        let unanswered = self.now_ms >= since_ms + HOST_UNANSWERED_AFTER_MS;
        let somebody = self
            .peers
            .iter()
            .any(|(id, peer)| peer.connected && *id != self.me && !self.waiting.contains_key(id));
        if !somebody || unanswered {
            let replaces = self.link.group_id.clone();
            self.create_group(replaces);
        }
    }
}

// Admitting.
impl Visit {
    pub(super) fn on_waiting(&mut self, entry: Waiting) {
        let participant = entry.participant;
        if participant == self.me {
            return;
        }
        self.peers
            .get_or_insert(participant, super::Peer::default())
            .connected = true;
        let genuine = inspect_key_package(&self.policy, &entry.key_package.0)
            .ok()
            .filter(|info| info.participant == participant)
            .filter(|info| info.pass.check_time(self.now_ms).is_ok());
        let Some(KeyPackageInfo { pass, id, .. }) = genuine else {
            self.problem(ProblemCode::GhostRefused, Some(participant));
            return;
        };
        // It asked again while the answer was under way.
        let has_served = self.used_key_packages.contains(&id);
        #[cfg(test)]
        let has_served = has_served && !breaks(Rule::ServesOnce);
        if has_served {
            return;
        }
        let role = pass.role();
        let waiter = Waiter {
            role,
            key: *pass.key(),
            key_package: entry.key_package.0,
            key_package_id: id,
        };
        let news = self.waiting.insert(participant, waiter).is_none();
        self.ask_again_outside(participant);
        if self.is_locked_out(participant) {
            self.tell_lock(participant);
        }
        if news && self.is_host() && role != Role::Recorder && !self.may_return(participant) {
            self.event(VisitEvent::AdmissionRequested { participant, role });
        }
    }

    /// Whether somebody who waits comes back to a place it had, with the key it had.
    fn may_return(&self, participant: ParticipantId) -> bool {
        let Some(waiter) = self.waiting.get(&participant) else {
            return false;
        };
        let in_roster = self
            .member()
            .and_then(|member| member.group.member(participant));
        let known = in_roster
            .map(|entry| entry.pass.key())
            .or_else(|| self.regroup.get(&participant))
            .or_else(|| self.admitted.get(&participant));
        known == Some(&waiter.key) && !self.denied.contains(&participant)
    }

    /// Lets back in who may come back, and takes out who said goodbye.
    pub(super) fn settle_admissions(&mut self) {
        if self.acting() != Some(self.me) {
            return;
        }
        let returning: Vec<ParticipantId> = self
            .waiting
            .iter()
            .filter(|(participant, waiter)| match self.member() {
                Some(member) if waiter.role == Role::Recorder => {
                    // Only a recorder whose leaf is still there: it crashed, and was not paused.
                    member.has(**participant)
                }
                _ => true,
            })
            .map(|(participant, _)| *participant)
            .filter(|participant| self.may_return(*participant))
            .collect();
        let returning: Vec<ParticipantId> = returning
            .into_iter()
            .filter(|id| !self.is_locked_out(*id) && self.fits_recorder(*id))
            .collect();
        let Some(member) = self.member_mut() else {
            return;
        };
        for participant in returning {
            if !member.wants_add(participant) {
                member.wants.push(Want {
                    add: vec![participant],
                    ..Want::default()
                });
            }
        }
        let leaving: Vec<ParticipantId> = member.leaving.iter().copied().collect();
        for participant in leaving {
            if !member.has(participant) {
                member.leaving.remove(&participant);
            } else if !member.wants_removal(participant) {
                member.wants.push(Want {
                    remove: vec![participant],
                    ..Want::default()
                });
            }
        }
    }

    /// While a recorder is in the group, only who is in the roster, or has granted, can come in.
    fn fits_recorder(&self, participant: ParticipantId) -> bool {
        self.member().is_none_or(|member| {
            member.recorder().is_none() || member.has(participant) || self.agrees(participant)
        })
    }

    pub(super) fn admit(
        &mut self,
        id: u32,
        participant: ParticipantId,
    ) -> Result<(), CommandError> {
        self.require_host()?;
        self.waiting_person(participant)?;
        let fits = self.fits_recorder(participant);
        let member = self.require_member()?;
        if !fits {
            return Err(CommandError::new(
                ErrorCode::RecordingInProgress,
                "a recorder is in the visit: ask for consent first, or pause",
            ));
        }
        member.wants.push(Want {
            add: vec![participant],
            command: Some(id),
            ..Want::default()
        });
        self.let_in(participant);
        Ok(())
    }

    /// Somebody who waits and is no recorder: that one is added by `start_recorder` only.
    pub(super) fn waiting_person(
        &self,
        participant: ParticipantId,
    ) -> Result<&Waiter, CommandError> {
        let entry = self.waiting.get(&participant).ok_or_else(|| {
            CommandError::new(
                ErrorCode::UnknownParticipant,
                "nobody of that id waits to be let in",
            )
        })?;
        if entry.role == Role::Recorder {
            return Err(CommandError::new(
                ErrorCode::NotAgreed,
                "a recorder is added by start_recorder only",
            ));
        }
        if self.is_locked_out(participant) {
            return Err(CommandError::new(
                ErrorCode::Locked,
                "the visit is locked: unlock it first",
            ));
        }
        Ok(entry)
    }

    /// The host's decision: this person, with this key, may come in, and come back.
    pub(super) fn let_in(&mut self, participant: ParticipantId) {
        if let Some(waiter) = self.waiting.get(&participant) {
            self.admitted.insert(participant, waiter.key);
        }
        self.denied.remove(&participant);
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

// Committing.
impl Visit {
    /// Builds and sends a commit of everything that is wanted and not yet true.
    pub(super) fn flush_commits(&mut self) {
        if !self.link.caught_up() {
            return;
        }
        let now_ms = self.now_ms;
        let waiting: SortedMap<ParticipantId, Vec<u8>> = self
            .waiting
            .iter()
            .map(|(id, waiter)| (*id, waiter.key_package.clone()))
            .collect();
        let Stage::Member(member) = &mut self.stage else {
            return;
        };
        if !member.confirmed || member.pending.is_some() || member.refused.is_some() {
            return;
        }
        if member
            .behind_until
            .is_some_and(|epoch| member.group.epoch() < epoch)
        {
            return;
        }
        let mut done = Vec::new();
        let mut failed = Vec::new();
        let wants = drop_what_is_true(
            std::mem::take(&mut member.wants),
            &member.group,
            &waiting,
            &mut done,
        );
        if !wants.is_empty()
            && let Some((staged, wants)) =
                stage_together(&mut member.group, wants, &waiting, now_ms, &mut failed)
        {
            let message = commit_message(&member.group, &staged, &wants);
            let hash = sha256(&staged.commit);
            self.out.push(super::Output::Send {
                message: Box::new(message.clone()),
            });
            member.pending = Some(Pending {
                staged,
                hash,
                wants,
                message,
                sent_ms: now_ms,
                said_ms: now_ms,
            });
        }
        #[cfg(test)]
        if breaks(Rule::OrderedFirst) {
            self.follow_own_commit_at_once();
        }
        for id in done {
            self.done(id);
        }
        for (id, error) in failed {
            self.failed(id, error);
        }
    }

    #[cfg(test)]
    fn follow_own_commit_at_once(&mut self) {
        let pending = self.member().and_then(|member| member.pending.as_ref());
        if let Some(ClientMessage::Commit {
            group_id,
            epoch,
            commit,
            ..
        }) = pending.map(|pending| pending.message.clone())
        {
            self.on_commit(&group_id.0, epoch, self.me, &commit.0);
        }
    }

    fn resend_pending(&mut self) {
        let now_ms = self.now_ms;
        let pending = self.member_mut().and_then(|member| member.pending.as_mut());
        if let Some(pending) = pending {
            pending.said_ms = now_ms;
            let message = pending.message.clone();
            self.send(message);
        }
    }

    /// A commit that the relay keeps back is said again: it is ordered once, or rejected.
    pub(super) fn settle_withheld(&mut self) {
        let again_at = self.commit_again_at_ms();
        if self.link.caught_up() && again_at.is_some_and(|at_ms| self.now_ms >= at_ms) {
            self.resend_pending();
        }
    }

    fn commit_again_at_ms(&self) -> Option<u64> {
        let pending = self.member()?.pending.as_ref()?;
        Some(pending.said_ms + ASK_AGAIN_AFTER_MS)
    }

    pub(super) fn on_commit(
        &mut self,
        group_id: &[u8],
        epoch: u64,
        from: ParticipantId,
        commit: &[u8],
    ) {
        let me = self.me;
        let Stage::Member(member) = &mut self.stage else {
            return;
        };
        if member.group.group_id() != group_id
            || epoch < member.group.epoch()
            || member.refused.is_some()
        {
            return;
        }
        if epoch > member.group.epoch() {
            return self.lose_group();
        }
        let before = member.group.roster().to_vec();
        let was = member.group.meeting();
        let own = member
            .pending
            .take_if(|pending| from == me && pending.hash == sha256(commit));
        let mut done = Vec::new();
        let outcome = match own {
            Some(pending) => match member.group.merge(pending.staged) {
                Ok(summary) => {
                    done.extend(pending.wants.iter().filter_map(|want| want.command));
                    Ok(summary)
                }
                Err(_) => return self.lose_group(),
            },
            None => match member.group.process(commit) {
                Ok(Processed::Commit(summary)) => {
                    // Another commit won: what was under way is wanted again.
                    if let Some(pending) = member.pending.take() {
                        member.wants.splice(0..0, pending.wants);
                    }
                    Ok(summary)
                }
                Ok(Processed::Application { .. }) => {
                    return self.problem(ProblemCode::MessageRefused, Some(from));
                }
                Err(refused) => Err(refused),
            },
        };
        match outcome {
            Ok(summary) => {
                member.round = Round::open_in(&member.group).map(Arc::new);
                let removed_leaves: Vec<u8> = before
                    .iter()
                    .filter(|old| {
                        summary.removed.contains(&old.participant)
                            || summary.rejoined.contains(&old.participant)
                    })
                    .map(|old| old.leaf)
                    .collect();
                let changed = member.group.meeting() != was;
                for id in done {
                    self.done(id);
                }
                self.on_new_epoch(summary, removed_leaves);
                if changed {
                    self.tell_lock_to_all();
                }
            }
            Err(refused) => self.on_refused_commit(refused, from, epoch, commit),
        }
    }

    fn on_new_epoch(&mut self, summary: CommitSummary, removed_leaves: Vec<u8>) {
        if summary.self_removed {
            // Let in once more, for a key package that was published twice: the new leaf is nobody's.
            if summary.rejoined.contains(&self.me) {
                return self.lose_group();
            }
            return self.on_removed();
        }
        // Who asked once more since, from a page loaded anew, waits still.
        self.waiting
            .retain(|_, waiter| !summary.used.contains(&waiter.key_package_id));
        self.used_key_packages.extend(summary.used.iter().copied());
        for participant in summary.added.iter().chain(&summary.rejoined) {
            self.regroup.remove(participant);
            self.asked.remove(participant);
        }
        let Some(member) = self.member_mut() else {
            return;
        };
        member.confirmed_by.clear();
        member.behind_until = None;
        member.confirmed_by.insert(summary.from);
        let confirmed = member.confirmed;
        self.link.epoch_changed();
        self.recording_epoch(&summary);
        if !confirmed {
            return;
        }
        self.install_current_epoch(Some(&removed_leaves));
        for participant in &summary.added {
            self.event(VisitEvent::Joined {
                participant: *participant,
            });
        }
        for participant in &summary.removed {
            self.event(VisitEvent::Left {
                participant: *participant,
            });
        }
        if summary.added.is_empty() && summary.rejoined.is_empty() {
            self.say_confirm();
        } else {
            self.say_hello();
            if summary.from == self.me {
                self.say_words();
            }
        }
    }

    fn on_removed(&mut self) {
        if self.role == Role::Recorder {
            let why = self.recording.why_removed();
            self.keys.clear(&mut self.out);
            self.link.forget_outbox();
            self.event(VisitEvent::RecorderLeft { why });
            // It may be let in again after a pause, as another part.
            self.ask_to_join();
        } else {
            self.end(EndReason::Removed);
        }
    }

    pub(super) fn on_commit_rejected(&mut self, group_id: &[u8], epoch: u64, current_epoch: u64) {
        let Some(member) = self.member_mut() else {
            return;
        };
        if member.group.group_id() != group_id {
            return;
        }
        // A late word about a commit that was replaced already changes nothing.
        if member.group.epoch() == epoch
            && let Some(pending) = member.pending.take()
        {
            member.wants.splice(0..0, pending.wants);
            member.behind_until = Some(current_epoch);
            // The commit that won was ordered before: it should have come before this word.
            if current_epoch > epoch && member.refused.is_none() {
                self.problem(ProblemCode::MessagesMissing, None);
                self.reconnect();
            }
        }
    }
}

// Refused commits.
impl Visit {
    fn on_refused_commit(
        &mut self,
        refused: Refused,
        from: ParticipantId,
        epoch: u64,
        commit: &[u8],
    ) {
        // Whose it was cannot be told: a clinician is not left behind on the relay's word alone.
        let is_host = || {
            let mut roster = self.member().into_iter().flat_map(|m| m.group.roster());
            roster.any(|entry| entry.participant == from && entry.role == Role::Clinician)
        };
        let offender = match refused.offender {
            None if !is_host() && self.garbled.too_often(from, self.now_ms) => Some(from),
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
    fn regroup_at_ms(&self) -> Option<u64> {
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
    pub(super) fn settle_refused(&mut self) {
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
        self.remember_roster(offender);
        self.denied.extend(offender);
        self.keys.clear(&mut self.out);
        self.link.epoch_changed();
        self.recording.group_left();
        self.create_group(Some(replaces));
    }

    pub(super) fn membership_deadlines(&self) -> Vec<Option<u64>> {
        let (alone, again) = match self.stage {
            Stage::Waiting {
                since_ms, said_ms, ..
            } => {
                let alone = [HOST_ALONE_AFTER_MS, HOST_UNANSWERED_AFTER_MS]
                    .map(|after| since_ms + after)
                    .into_iter()
                    .find(|at_ms| *at_ms > self.now_ms);
                (
                    alone.filter(|_| self.is_clinician()),
                    Some(said_ms + ASK_AGAIN_AFTER_MS),
                )
            }
            _ => (None, None),
        };
        let withheld = self
            .member()
            .and_then(Membership::commit_withheld_since)
            .map(|sent_ms| sent_ms + WITHHELD_AFTER_MS);
        let commit_again = self.commit_again_at_ms();
        let inviter_alone = self
            .member()
            .filter(|member| !member.confirmed)
            .map(|member| member.since_ms + INVITER_ALONE_AFTER_MS);
        vec![
            alone,
            again,
            self.regroup_at_ms(),
            withheld,
            commit_again,
            inviter_alone,
        ]
    }

    pub(super) fn settle_problems(&mut self) {
        let since = self.member().and_then(Membership::commit_withheld_since);
        if since.is_some_and(|sent_ms| self.now_ms >= sent_ms + WITHHELD_AFTER_MS)
            && self.link.ready
        {
            self.problem(ProblemCode::CommitWithheld, None);
        } else if since.is_none() {
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
        let Some(member) = self.member() else {
            return Some(NotSending::NotLive);
        };
        if !member.confirmed || self.keys.sending().is_none() || self.role == Role::Recorder {
            Some(NotSending::NotLive)
        } else if member.refused.is_some() {
            Some(NotSending::RefusedCommit)
        } else if self.withdrawal_is_pending() {
            Some(NotSending::Withdrawn)
        } else {
            None
        }
    }
}

fn drop_what_is_true(
    wants: Vec<Want>,
    group: &Group,
    waiting: &SortedMap<ParticipantId, Vec<u8>>,
    done: &mut Vec<u32>,
) -> Vec<Want> {
    let policy = group.policy();
    let mut left = Vec::with_capacity(wants.len());
    for mut want in wants {
        want.add
            .retain(|participant| waiting.contains_key(participant));
        want.remove
            .retain(|participant| group.member(*participant).is_some());
        want.consent.retain(|change| {
            group
                .consent()
                .apply(change, policy.clinic(), policy.visit(), group.group_id())
                .is_ok()
        });
        let meeting = group.meeting();
        want.meeting.retain(|change| match *change {
            MeetingChange::Lock { locked } => meeting.locked != locked,
            MeetingChange::Host { participant } => meeting.host != Some(participant),
        });
        if want.is_empty() {
            done.extend(want.command);
        } else {
            left.push(want);
        }
    }
    left
}

/// Stages everything in one commit; where that is refused, finds the wants that are at fault and fails them.
fn stage_together(
    group: &mut Group,
    wants: Vec<Want>,
    waiting: &SortedMap<ParticipantId, Vec<u8>>,
    now_ms: u64,
    failed: &mut Vec<(u32, CommandError)>,
) -> Option<(Staged, Vec<Want>)> {
    if let Ok(staged) = group.stage(&changes_of(&wants, waiting), now_ms) {
        return Some((staged, wants));
    }
    let mut good: Vec<Want> = Vec::new();
    let mut best = None;
    for want in wants {
        good.push(want);
        match group.stage(&changes_of(&good, waiting), now_ms) {
            Ok(staged) => best = Some(staged),
            Err(error) => {
                if let Some(id) = good.pop().and_then(|want| want.command) {
                    let code = match error.code() {
                        "recorder_without_grant" | "recorder_without_interpreter" => {
                            ErrorCode::NotAgreed
                        }
                        "locked" => ErrorCode::Locked,
                        _ => ErrorCode::Refused,
                    };
                    failed.push((id, CommandError::new(code, error.to_string())));
                }
            }
        }
    }
    best.map(|staged| (staged, good))
}

fn changes_of(wants: &[Want], waiting: &SortedMap<ParticipantId, Vec<u8>>) -> Changes {
    let mut changes = Changes::default();
    let mut added = SortedSet::new();
    for want in wants {
        for participant in want
            .add
            .iter()
            .filter(|participant| added.insert(**participant))
        {
            changes.add.extend(waiting.get(participant).cloned());
        }
        for participant in &want.remove {
            if !changes.remove.contains(participant) {
                changes.remove.push(*participant);
            }
        }
        for change in &want.consent {
            if !changes.consent.contains(change) {
                changes.consent.push(change.clone());
            }
        }
        changes.meeting.extend(&want.meeting);
    }
    changes
}

fn commit_message(group: &Group, staged: &Staged, wants: &[Want]) -> ClientMessage {
    let added: SortedSet<ParticipantId> = wants
        .iter()
        .flat_map(|want| want.add.iter().copied())
        .collect();
    let welcomes = staged
        .welcome
        .iter()
        .flat_map(|welcome| {
            added.iter().map(|to| WelcomeFor {
                to: *to,
                welcome: B64(welcome.clone()),
            })
        })
        .collect();
    ClientMessage::Commit {
        group_id: B64(group.group_id().to_vec()),
        epoch: group.epoch(),
        commit: B64(staged.commit.clone()),
        welcomes,
        removed: staged.summary().removed.clone(),
    }
}
