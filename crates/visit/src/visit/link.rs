//! The relay: hello, the ordered log, catching up after a lost connection, and application messages that were sent
//! and not yet heard back.
//!
//! An application message counts as delivered when its echo comes in the epoch it was encrypted in; one that lost
//! the race against a commit is encrypted again. So nothing said is lost to an epoch change.

use super::app_message::AppMessage;
use super::membership::Membership;
use super::output::VisitEvent;
use super::state::{EndReason, ProblemCode};
use super::{Output, Role, Stage, Visit};
use crate::group::Processed;
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::wire::{
    ClientMessage, EndedBy, HelloClaims, RelayErrorCode, RelayMessage,
};
use sealed_visit_protocol::{B64, Hash32, ParticipantId};
use std::collections::VecDeque;

/// More unconfirmed messages than this mean that the relay does not echo: the oldest are forgotten.
const MAX_OUTBOX: usize = 256;

/// What was said and not echoed for this long is said again.
const SAY_AGAIN_AFTER_MS: u64 = 5_000;

#[derive(Clone, Default)]
pub(super) struct Link {
    /// The hello was accepted on this connection.
    pub(super) ready: bool,
    /// Last log entry seen.
    pub(super) last_seq: Option<u64>,
    /// Entries up to here are history that arrives after a reconnection.
    catch_up_to: u64,
    /// Said, and not yet heard back in its epoch.
    pub(super) outbox: VecDeque<Outgoing>,
    heartbeats: u64,
    /// The epoch in which the relay last refused what a member may do.
    not_allowed_in: Option<u64>,
    /// The group that is current at the relay.
    pub(super) group_id: Option<B64>,
}

#[derive(Clone)]
pub(super) struct Outgoing {
    pub(super) message: AppMessage,
    /// Hash of the ciphertext that is under way.
    pub(super) sent: Option<Hash32>,
    sent_ms: u64,
    /// The connection on which it was sent is gone, or silent: it is said again.
    may_be_lost: bool,
}

impl Link {
    pub(super) fn caught_up(&self) -> bool {
        self.ready && self.last_seq.unwrap_or(0) >= self.catch_up_to
    }

    pub(super) fn say_again_at_ms(&self) -> Option<u64> {
        let sent = self
            .outbox
            .iter()
            .filter(|outgoing| outgoing.sent.is_some());
        sent.map(|outgoing| outgoing.sent_ms + SAY_AGAIN_AFTER_MS)
            .min()
    }

    pub(super) fn next_heartbeat(&mut self) -> u64 {
        self.heartbeats += 1;
        self.heartbeats
    }

    /// Everything under way must be encrypted again.
    pub(super) fn epoch_changed(&mut self) {
        // Proofs belong to one epoch; whoever needs one says it again.
        self.outbox
            .retain(|outgoing| !matches!(outgoing.message, AppMessage::Confirm { .. }));
        self.outbox
            .iter_mut()
            .for_each(|outgoing| outgoing.sent = None);
    }

    pub(super) fn may_be_lost(&mut self) {
        self.outbox
            .iter_mut()
            .for_each(|outgoing| outgoing.may_be_lost = outgoing.sent.is_some());
    }

    pub(super) fn forget_outbox(&mut self) {
        self.outbox.clear();
    }
}

impl Visit {
    #[inline(never)]
    pub(super) fn send(&mut self, message: ClientMessage) {
        self.out.push(Output::Send {
            message: Box::new(message),
        });
    }

    /// Queues an application message; it goes out when it can.
    pub(super) fn say(&mut self, message: AppMessage) {
        if self.link.outbox.len() == MAX_OUTBOX {
            self.link.outbox.pop_front();
        }
        self.link.outbox.push_back(Outgoing {
            message,
            sent: None,
            sent_ms: 0,
            may_be_lost: false,
        });
    }

    pub(super) fn say_hello(&mut self) {
        let Some(member) = self.member() else { return };
        let Ok(proof) = member.group.epoch_proof().map(Hash32) else {
            return;
        };
        self.link
            .outbox
            .retain(|outgoing| !matches!(outgoing.message, AppMessage::Hello { .. }));
        self.say(AppMessage::Hello {
            name: self.name.clone(),
            salt: B64(self.salt.to_vec()),
            proof,
        });
    }

    pub(super) fn say_confirm(&mut self) {
        let Some(member) = self.member() else { return };
        let Ok(proof) = member.group.epoch_proof().map(Hash32) else {
            return;
        };
        self.say(AppMessage::Confirm { proof });
    }

    pub(super) fn send_app_messages(&mut self) {
        if !self.link.caught_up() {
            return;
        }
        let Stage::Member(member) = &mut self.stage else {
            return;
        };
        if !member.confirmed || member.refused.is_some() {
            return;
        }
        let says_again = true;
        #[cfg(test)]
        let says_again = says_again && !breaks(Rule::SaidAgain);
        let now_ms = self.now_ms;
        let mut messages = Vec::new();
        let Ok(proof) = member.group.epoch_proof().map(Hash32) else {
            return;
        };
        for outgoing in self
            .link
            .outbox
            .iter_mut()
            .filter(|outgoing| outgoing.sent.is_none() || (says_again && outgoing.may_be_lost))
        {
            outgoing.may_be_lost = false;
            outgoing.sent_ms = now_ms;
            if let AppMessage::Hello { proof: said, .. } = &mut outgoing.message {
                *said = proof;
            }
            let Ok(data) = member.group.encrypt(&outgoing.message.to_bytes()) else {
                continue;
            };
            outgoing.sent = Some(sha256(&data));
            messages.push(ClientMessage::App {
                group_id: B64(member.group.group_id().to_vec()),
                epoch: member.group.epoch(),
                data: B64(data),
            });
        }
        // A heartbeat is not said twice: the next one comes within a second.
        self.link
            .outbox
            .retain(|outgoing| !matches!(outgoing.message, AppMessage::Heartbeat { .. }));
        messages.into_iter().for_each(|message| self.send(message));
    }

    pub(super) fn on_relay_closed(&mut self) {
        self.link.ready = false;
        for peer in self.peers.values_mut() {
            peer.connected = false;
        }
        self.waiting.clear();
        if !matches!(self.stage, Stage::Ended(..)) {
            self.problem(ProblemCode::RelayUnreachable, None);
        }
    }

    pub(super) fn on_relay(&mut self, message: RelayMessage) {
        if matches!(self.stage, Stage::Ended(..)) {
            return;
        }
        if log_seq(&message).is_some_and(|seq| !self.is_next(seq)) {
            return;
        }
        match message {
            RelayMessage::Challenge { nonce, .. } => self.on_challenge(nonce),
            RelayMessage::Ready {
                group,
                present,
                waiting,
                seq,
                ..
            } => {
                self.link.ready = true;
                self.link.catch_up_to = seq;
                self.clear_problem(ProblemCode::RelayUnreachable);
                for participant in present {
                    self.peers
                        .get_or_insert(participant, super::Peer::default())
                        .connected = true;
                }
                self.waiting.clear();
                for entry in waiting {
                    self.on_waiting(entry);
                }
                self.on_ready(group, seq);
            }
            RelayMessage::Presence {
                participant,
                present,
            } => self.on_presence(participant, present),
            RelayMessage::Waiting { waiting } => self.on_waiting(waiting),
            RelayMessage::GroupCreated { group, by, .. } => {
                self.on_group_created(group, by);
            }
            RelayMessage::Commit {
                group_id,
                epoch,
                from,
                commit,
                ..
            } => {
                self.on_commit(&group_id.0, epoch, from, &commit.0);
            }
            RelayMessage::CommitRejected {
                group_id,
                epoch,
                current_epoch,
            } => {
                self.on_commit_rejected(&group_id.0, epoch, current_epoch);
            }
            RelayMessage::Welcome {
                group_id,
                epoch,
                from,
                welcome,
            } => {
                self.on_welcome(&group_id.0, epoch, from, &welcome.0);
            }
            RelayMessage::App {
                group_id,
                epoch,
                from,
                data,
                ..
            } => {
                self.on_app(&group_id.0, epoch, from, &data.0);
            }
            RelayMessage::Direct { from, data } => self.on_direct(from, &data.0),
            RelayMessage::Ended { reason } => self.on_ended(match reason {
                EndedBy::Host => EndReason::EndedByHost,
                EndedBy::Time => EndReason::TimeOver,
                EndedBy::Empty => EndReason::Empty,
            }),
            RelayMessage::Error { code, .. } => self.on_relay_error(code),
            _ => {}
        }
    }

    /// Whether this entry of the log is the one to take now. One that was taken is not taken again; where one is
    /// missing, the connection is made anew, and the relay asked for what came after the last.
    fn is_next(&mut self, seq: u64) -> bool {
        let expected = self.link.last_seq.map_or(seq, |last| last + 1);
        if seq == expected {
            self.link.last_seq = Some(seq);
        } else if seq > expected && self.link.ready {
            self.problem(ProblemCode::MessagesMissing, None);
            self.reconnect();
        }
        seq == expected
    }

    pub(super) fn reconnect(&mut self) {
        self.out.push(Output::Reconnect);
        self.on_relay_closed();
    }

    /// What the relay does not echo for long is said again.
    pub(super) fn resend_unheard(&mut self) {
        let now_ms = self.now_ms;
        if self.link.caught_up() {
            self.link
                .outbox
                .iter_mut()
                .filter(|outgoing| now_ms >= outgoing.sent_ms + SAY_AGAIN_AFTER_MS)
                .for_each(|outgoing| outgoing.may_be_lost = outgoing.sent.is_some());
        }
    }

    /// What came before joining is not for this member.
    pub(super) fn skip_history(&mut self, seq: u64) {
        self.link.last_seq = Some(seq);
        self.link.catch_up_to = seq;
    }

    fn on_challenge(&mut self, nonce: B64) {
        let proof = self.identity.key().sign(&HelloClaims {
            v: sealed_visit_protocol::VERSION,
            visit: self.policy.visit(),
            participant: self.me,
            nonce,
        });
        let after_seq = self.member().and(self.link.last_seq);
        self.send(ClientMessage::Hello {
            v: sealed_visit_protocol::VERSION,
            pass: self.identity.pass().jws().clone(),
            proof,
            after_seq,
        });
    }

    fn on_presence(&mut self, participant: ParticipantId, present: bool) {
        self.peers
            .get_or_insert(participant, super::Peer::default())
            .connected = present;
        if !present {
            self.waiting.remove(&participant);
        }
    }

    fn on_relay_error(&mut self, code: RelayErrorCode) {
        match code {
            RelayErrorCode::ReplacedByAnother => self.end(EndReason::Replaced),
            RelayErrorCode::VisitOver => self.on_ended(EndReason::EndedByHost),
            RelayErrorCode::NotAdmitted => self.end(EndReason::Failed),
            // Another group is current than the one to be replaced, or somebody is there to ask: hear which.
            RelayErrorCode::NotAllowed if matches!(self.stage, Stage::Creating { .. }) => {
                if let Some(outside) = self.outside_mut() {
                    outside.refused_creations += 1;
                }
                self.reconnect();
            }
            RelayErrorCode::NotAllowed if self.link.ready => self.on_not_allowed(),
            // The log no longer reaches back to where this member was.
            RelayErrorCode::TooMuch if self.member().is_some() && !self.link.caught_up() => {
                self.lose_group();
            }
            _ => {}
        }
    }

    /// The relay's order is not the one that this member lives by: hear it anew. If that changes nothing, the relay was
    /// told that this member is none: ask for another leaf.
    fn on_not_allowed(&mut self) {
        let Some(epoch) = self.member().map(|member| member.group.epoch()) else {
            return;
        };
        if self.link.not_allowed_in.replace(epoch) == Some(epoch) {
            self.lose_group();
        } else {
            self.reconnect();
        }
    }

    fn on_app(&mut self, group_id: &[u8], epoch: u64, from: ParticipantId, data: &[u8]) {
        let me = self.me;
        let Stage::Member(member) = &mut self.stage else {
            return;
        };
        if member.group.group_id() != group_id || member.group.epoch() != epoch {
            return;
        }
        if from == me {
            let hash = sha256(data);
            self.link
                .outbox
                .retain(|outgoing| outgoing.sent != Some(hash));
            return;
        }
        match member.group.process(data) {
            Ok(Processed::Application { from, data, .. }) => {
                if let Some(message) = AppMessage::from_bytes(&data) {
                    self.on_app_message(from, message);
                }
            }
            // A commit must come as one; whoever sends it otherwise wants to slip past the order.
            Ok(Processed::Commit(_)) => self.problem(ProblemCode::MessageRefused, None),
            // Of this epoch, and not for this member: its author is in another epoch of that number, or wants it to
            // seem so. Nobody can tell which of the two was misled: both leave.
            Err(_) => {
                self.problem(ProblemCode::MessageRefused, Some(from));
                if !self.garbled.too_often(from, self.now_ms) {
                    self.leave_epoch(None);
                }
            }
        }
    }

    fn on_app_message(&mut self, from: ParticipantId, message: AppMessage) {
        match message {
            AppMessage::Hello { name, salt, proof } => {
                self.learn_name(from, name, &salt);
                self.on_proof(from, proof);
            }
            AppMessage::Confirm { proof } => self.on_proof(from, proof),
            AppMessage::Request { request, words } => self.on_request(from, request, words),
            AppMessage::Texts {
                round,
                words,
                places,
            } => {
                self.learn_words(from, round, words);
                for place in places {
                    self.on_place(place);
                }
            }
            AppMessage::Place { place } => self.on_place(place),
            AppMessage::Statement { statement } => self.on_statement(statement),
            AppMessage::RecorderStop { why } => self.on_recorder_stop(from, why),
            AppMessage::Resuming { in_ms } => self.event(VisitEvent::Resuming { in_ms }),
            AppMessage::AgreeResume => self.recording.agreed_to_resume(from),
            AppMessage::Heartbeat { count, .. } => self.on_heartbeat(from, count),
            AppMessage::Leaving => self.on_leaving(from),
            AppMessage::Ending => self.on_ending(from),
            AppMessage::Data { data } => self.out.push(Output::Message { from, data: data.0 }),
        }
    }

    fn learn_name(&mut self, from: ParticipantId, name: String, salt: &B64) {
        let commitment = self.member().and_then(|member| {
            let roster = member.group.roster();
            let entry = roster.iter().find(|entry| entry.participant == from)?;
            Some(entry.pass.name_commitment())
        });
        let opened = <[u8; 16]>::try_from(salt.as_slice())
            .ok()
            .map(|salt| sealed_visit_protocol::pass::name_commitment(&salt, &name));
        if commitment.is_some() && commitment == opened {
            self.peers.get_or_insert(from, super::Peer::default()).name = Some(name);
        }
    }

    /// The relay stops serving the visit; it can do that at any time. Its word ends this run and nothing else: pass key
    /// and memory are kept until the pass has expired.
    fn on_ended(&mut self, reason: EndReason) {
        if self.identity.pass().check_time(self.now_ms).is_err() {
            self.end_for_good(reason);
        } else {
            self.end(reason);
        }
    }

    fn on_ending(&mut self, from: ParticipantId) {
        let by_a_clinician = self
            .member()
            .and_then(|member| member.group.member(from))
            .is_some_and(|entry| entry.role == Role::Clinician);
        if by_a_clinician {
            self.end_for_good(EndReason::EndedByHost);
        }
    }

    /// Somebody says goodbye: remembered until a commit takes them out.
    fn on_leaving(&mut self, from: ParticipantId) {
        if let Some(Membership { leaving, .. }) = self.member_mut() {
            leaving.insert(from);
        }
    }
}

/// The place of an entry in the relay's log.
fn log_seq(message: &RelayMessage) -> Option<u64> {
    match message {
        RelayMessage::GroupCreated { seq, .. }
        | RelayMessage::Commit { seq, .. }
        | RelayMessage::App { seq, .. }
        | RelayMessage::Refusal { seq, .. } => Some(*seq),
        _ => None,
    }
}
