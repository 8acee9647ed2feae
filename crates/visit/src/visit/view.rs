//! The snapshot: computed from the group, and from nothing that a server says except who is connected.

use super::admission::Waiter;
use super::membership::Membership;
use super::output::RecorderLeft;
use super::outside::Asking;
use super::state::{
    AnswerOf, ClinicView, ConsentView, Indicator, Label, Me, Member, Phase, Sending, TextView,
    VisitState, WaitingView,
};
use super::{Role, Stage, Visit};
use crate::group::RosterMember;
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::ParticipantId;
use sealed_visit_protocol::consent::{Purpose, Request, StatementKind};

impl Visit {
    pub(super) fn view(&self) -> VisitState {
        let member = self.member().filter(|member| member.confirmed);
        let reason = self.not_sending();
        VisitState {
            phase: self.phase(),
            end_reason: match self.stage {
                Stage::Ended(reason, _) => Some(reason),
                _ => None,
            },
            end_is_final: self.end_is_final,
            visit: self.policy.visit(),
            me: Me {
                participant: self.me,
                role: self.role,
                name: self.name.clone(),
                host: self.member().is_some() && self.is_host(),
            },
            clinic: ClinicView {
                name: self.policy.clinic().claims().name.clone(),
                contact: self.policy.clinic().claims().contact.clone(),
            },
            epoch: member.map(|member| member.group.epoch()),
            host: self.acting(),
            roster: member
                .map(|member| self.roster_view(member))
                .unwrap_or_default(),
            waiting: self.waiting_view(),
            locked: self.is_locked(),
            label: member.map_or(Label::EndToEnd, label),
            safety_code: member.and_then(|member| member.group.safety_code().ok()),
            verified: member.is_some_and(|member| self.is_verified(member)),
            indicator: self.indicator(),
            consent: self.consent_view(),
            sending: Sending {
                open: reason.is_none(),
                reason,
            },
            problems: self.problems.clone(),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match &self.stage {
            Stage::Connecting(_) => Phase::Connecting,
            Stage::Creating { .. } => Phase::Rekeying,
            Stage::Waiting { .. } if !self.regroup.is_empty() => Phase::Rekeying,
            Stage::Waiting { .. } => Phase::Waiting,
            Stage::Member(member) if member.confirmed && member.refused.is_none() => Phase::Live,
            Stage::Member(_) => Phase::Rekeying,
            Stage::Ended(..) => Phase::Ended,
        }
    }

    fn roster_view(&self, member: &Membership) -> Vec<Member> {
        let show = |entry: &crate::group::RosterMember| {
            let is_me = entry.participant == self.me;
            let peer = self.peers.get(&entry.participant);
            Member {
                participant: entry.participant,
                role: entry.role,
                name: if is_me {
                    Some(self.name.clone())
                } else {
                    peer.and_then(|peer| peer.name.clone())
                },
                leaf: entry.leaf,
                connected: is_me || peer.is_some_and(|peer| peer.connected),
                is_me,
            }
        };
        member.group.roster().iter().map(show).collect()
    }

    fn waiting_view(&self) -> Vec<WaitingView> {
        // Whoever comes back with its key is let in without a click. With another key, it is somebody to decide about.
        let comes_back = |id: &ParticipantId, waiter: &Waiter| {
            let member = self.member().and_then(|member| member.group.member(*id));
            let is_new = |entry: &RosterMember| *entry.pass.key() != waiter.key;
            #[cfg(test)]
            let is_new = |entry: &RosterMember| is_new(entry) && !breaks(Rule::NewKeysAreShown);
            member.is_some_and(|entry| entry.role == Role::Recorder || !is_new(entry))
        };
        self.waiting
            .iter()
            .filter(|(participant, waiter)| !comes_back(participant, waiter))
            .map(|(participant, waiter)| {
                let asked = self.asked.get(participant);
                WaitingView {
                    participant: *participant,
                    role: waiter.role,
                    asked: asked.is_some(),
                    answer: asked.and_then(|asked| asked.answer),
                }
            })
            .collect()
    }

    /// A mark survives as long as nobody is here with a key that was not here when it was made.
    fn is_verified(&self, member: &Membership) -> bool {
        self.verified.as_ref().is_some_and(|keys| {
            member
                .group
                .roster()
                .iter()
                .filter(|entry| entry.role != Role::Recorder)
                .all(|entry| keys.get(&entry.participant) == Some(entry.pass.key()))
        })
    }

    fn indicator(&self) -> Indicator {
        let round = self.open_round();
        let purpose = round.map(|round| round.request().claims().purpose);
        let memory = &self.recording;
        // A recorder that is not provably gone is shown, also while keys are being changed.
        let recorder = self.member().and_then(Membership::recorder);
        #[cfg(test)]
        let recorder = recorder
            .filter(|_| !breaks(Rule::RosterIsShown) || memory.heartbeat_is_fresh(self.now_ms));
        if recorder.is_some() {
            return match purpose {
                Some(purpose) if memory.heartbeat_is_fresh(self.now_ms) => Indicator::Recording {
                    purpose,
                    since_ms: memory.since_ms,
                },
                purpose => Indicator::RecorderPresent { purpose },
            };
        }
        match memory.left {
            Some((RecorderLeft::Paused, by)) => Indicator::Paused {
                purpose: purpose.unwrap_or(Purpose::Other),
                by_me: self.has_paused(by),
            },
            Some((RecorderLeft::Withdrawn, by)) if by == self.me => Indicator::StoppedByYou,
            Some(_) => Indicator::Stopped,
            None => Indicator::NotRecorded,
        }
    }

    /// Whether this is the person to agree to resuming; of a host, whether nobody else is to be asked.
    fn has_paused(&self, by: ParticipantId) -> bool {
        let held_by = &self.recording.held_by;
        let is_held_by_others = held_by.iter().any(|id| *id != self.me);
        (by == self.me || held_by.contains(&self.me)) && !(self.is_host() && is_held_by_others)
    }

    fn consent_view(&self) -> Option<ConsentView> {
        if let (Stage::Waiting { .. }, Some(asking)) = (&self.stage, self.asking()) {
            return Some(self.asked_outside_view(asking));
        }
        let request = self.open_round()?.request();
        let member = self.member()?;
        let asked: Vec<ParticipantId> = member
            .group
            .roster()
            .iter()
            .filter(|entry| entry.role != Role::Recorder)
            .map(|entry| entry.participant)
            .collect();
        let answers: Vec<AnswerOf> = asked
            .iter()
            .filter_map(|id| {
                self.last_statement_of(*id).map(|claims| AnswerOf {
                    participant: *id,
                    answer: claims.kind,
                    place: claims.place.clone(),
                    place_confirmed: self.recording.is_confirmed(*id, &claims.place),
                })
            })
            .collect();
        let sees_languages = self.is_host() || self.role == Role::Interpreter;
        let host = request.host().participant();
        let host_name = if host == self.me {
            Some(self.name.clone())
        } else {
            self.peers.get(&host).and_then(|peer| peer.name.clone())
        };
        Some(ConsentView {
            my_answer: self.answer_of(self.me),
            all_agreed: self.everyone_agrees(),
            someone_refused: answers
                .iter()
                .any(|answer| answer.answer != StatementKind::Grant),
            answered: answers.len(),
            asked: asked.len(),
            interpreter_needed: if sees_languages {
                self.interpreter_needed()
            } else {
                Vec::new()
            },
            by_participant: if self.is_host() { answers } else { Vec::new() },
            ..self.request_view(request, host_name)
        })
    }

    /// What somebody is asked who still waits. How the others answered is not known out here.
    fn asked_outside_view(&self, asking: &Asking) -> ConsentView {
        let mine = asking.answer.as_ref().map(|answer| answer.claims().kind);
        ConsentView {
            my_answer: mine,
            someone_refused: mine == Some(StatementKind::Refusal),
            ..self.request_view(&asking.request, Some(asking.host_name.clone()))
        }
    }

    /// The request itself, unanswered.
    fn request_view(&self, request: &Request, host_name: Option<String>) -> ConsentView {
        let claims = request.claims();
        let round = claims.round;
        let words = self.recording.words_of(round);
        ConsentView {
            round,
            purpose: claims.purpose,
            host: request.host().participant(),
            host_name,
            recorder: claims.recorder,
            recipients: claims.recipients.clone(),
            terms: claims.terms.clone(),
            texts: claims
                .texts
                .iter()
                .map(|text| TextView {
                    reference: text.clone(),
                    text: self.recording.text_of(round, text).map(str::to_owned),
                })
                .collect(),
            note: words.map(|words| words.note.clone()).unwrap_or_default(),
            emergency: words
                .filter(|_| self.is_clinician())
                .map(|words| words.emergency.clone())
                .unwrap_or_default(),
            interpreter_needed: Vec::new(),
            my_answer: None,
            all_agreed: false,
            someone_refused: false,
            answered: 0,
            asked: 0,
            by_participant: Vec::new(),
            asked_again: claims.again_after.is_some(),
        }
    }
}

fn label(member: &Membership) -> Label {
    if member
        .group
        .roster()
        .iter()
        .any(|entry| entry.role == Role::Server)
    {
        Label::ServerPresent
    } else {
        Label::EndToEnd
    }
}
