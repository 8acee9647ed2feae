//! Commits: what is wanted, what is under way, what was ordered.
//!
//! Whoever commits does so through [`Want`]s: each is atomic, is tried again when another commit wins the epoch, and
//! is dropped when it has become true. One commit is under way at a time.

use super::consent::round_of;
use super::membership::ASK_AGAIN_AFTER_MS;
use super::output::{CommandError, ErrorCode, VisitEvent};
use super::state::{EndReason, ProblemCode};
use super::{Role, Stage, Visit};
use crate::group::{Changes, CommitSummary, Group, MeetingChange, Processed, Staged};
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::consent::Change;
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::sorted::{SortedMap, SortedSet};
use sealed_visit_protocol::wire::{ClientMessage, WelcomeFor};
use sealed_visit_protocol::{B64, Hash32, ParticipantId};

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
    pub(super) sent_ms: u64,
    /// When it was last said.
    said_ms: u64,
}

impl Visit {
    /// Builds and sends a commit of everything that is wanted and not yet true.
    pub(super) fn send_commits(&mut self) {
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
    pub(super) fn follow_own_commit_at_once(&mut self) {
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

    pub(super) fn resend_pending(&mut self) {
        let now_ms = self.now_ms;
        let pending = self.member_mut().and_then(|member| member.pending.as_mut());
        if let Some(pending) = pending {
            pending.said_ms = now_ms;
            let message = pending.message.clone();
            self.send(message);
        }
    }

    /// A commit that the relay keeps back is said again: it is ordered once, or rejected.
    pub(super) fn resend_withheld_commit(&mut self) {
        let again_at = self.commit_again_at_ms();
        if self.link.caught_up() && again_at.is_some_and(|at_ms| self.now_ms >= at_ms) {
            self.resend_pending();
        }
    }

    pub(super) fn commit_again_at_ms(&self) -> Option<u64> {
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
                member.round = round_of(&member.group);
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

    pub(super) fn on_new_epoch(&mut self, summary: CommitSummary, removed_leaves: Vec<u8>) {
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
        self.remember_epoch();
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

    pub(super) fn on_removed(&mut self) {
        if self.role == Role::Recorder {
            let why = self.recording.why_removed();
            self.keys.clear(&mut self.out);
            self.link.forget_outbox();
            self.interrupt_commands();
            self.event(VisitEvent::RecorderLeft { why });
            // It may be let in again after a pause, as another part.
            self.ask_to_join();
        } else {
            self.end_for_good(EndReason::Removed);
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

fn drop_what_is_true(
    wants: Vec<Want>,
    group: &Group,
    waiting: &SortedMap<ParticipantId, Vec<u8>>,
    done: &mut Vec<u32>,
) -> Vec<Want> {
    let policy = group.policy();
    // Of several clicks the last one counts, whatever was true before them.
    let mut meeting = group.meeting();
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
        want.meeting.retain(|change| {
            let before = meeting;
            meeting = before.with(*change);
            before != meeting
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
                    failed.push((id, CommandError::new(code, &error.to_string())));
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
