//! What may happen next: what a network and a relay can do, what whoever keeps no rules can do, and what a person would find
//! a button for.

use super::scene::{MAX_UNDER_WAY, Page, Scene};
use super::step::{Reuse, Step, What};
use crate::visit::{Indicator, Phase, VisitState};
use sealed_visit_protocol::consent::StatementKind;
use sealed_visit_protocol::wire::{ClientMessage, RelayMessage};
use sealed_visit_protocol::{B64, ParticipantId, Role};

/// In the order in which an undecided explorer tries them: what is likely first.
const EVERYTHING: &[What] = &[
    What::Hear,
    What::Relay,
    What::Time,
    What::Ask,
    What::Grant,
    What::Refuse,
    What::Withdraw,
    What::Start,
    What::Beat,
    What::Pause,
    What::Agree,
    What::Stop,
    What::Admit,
    What::AskWaiting,
    What::PauseAdmit,
    What::Deny,
    What::Remove,
    What::Lock,
    What::HandOver,
    What::Leave,
    What::Cut,
    What::Connect,
    What::Crash,
    What::LoseKey,
    What::SecondPage,
    What::TakeOver,
    What::Restore,
    What::Drop,
    What::Lose,
    What::Twice,
    What::Swap,
    What::Overtake,
    What::Replay,
    What::Garbage,
    What::Fork,
    What::EvilRecorder,
    What::EvilEverybody,
    What::EvilContext,
    What::EvilDoor,
    What::EvilLead,
    What::EvilUsed,
    What::EvilNew,
    What::EvilReplace,
    What::EvilDeny,
];

impl Scene {
    pub fn recorder(&self) -> usize {
        self.pages.len() - 1
    }

    pub fn shown(&self, page: usize) -> Option<&VisitState> {
        self.pages[page].machine.shown.as_ref()
    }

    /// Everything that may happen now.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for page in 0..self.pages.len() {
            for what in EVERYTHING {
                if *what != What::EvilUsed && self.enabled(*what, page) {
                    let page = page as u8;
                    steps.push(Step { what: *what, page });
                }
            }
        }
        let ways = 0..self.used_ids().len() * Reuse::WAYS;
        let uses = ways.filter(|way| self.enabled(What::EvilUsed, *way));
        steps.extend(uses.map(|way| Step {
            what: What::EvilUsed,
            page: way as u8,
        }));
        steps
    }

    pub fn enabled(&self, what: What, at: usize) -> bool {
        if what == What::EvilUsed {
            return self.can_replace() && self.can_reuse(Reuse::of(at));
        }
        let Some(page) = self.pages.get(at) else {
            return false;
        };
        let gone = page.machine.phase() == Phase::Ended;
        let lies = self.setting.lies;
        match what {
            What::Hear => !page.inbox.is_empty() && !gone,
            What::Relay => !page.outbox.is_empty(),
            What::Time => page.timer_ms.is_some() && !gone,
            What::Cut => page.connected && !gone,
            What::Connect => !page.connected && !gone,
            What::Crash => !gone,
            What::LoseKey => !gone && self.may_lose() && page.held.len() == 1,
            What::SecondPage => !gone && self.may_lose() && page.second.is_none(),
            What::TakeOver | What::Restore => !gone && page.second.is_some(),
            What::Twice => lies && !page.inbox.is_empty() && !gone,
            // Whoever gets no answer to a hello makes a new connection: that is [`What::Cut`].
            What::Drop => {
                lies && !gone
                    && page
                        .inbox
                        .front()
                        .is_some_and(|letter| !matches!(letter.message, RelayMessage::Ready { .. }))
            }
            What::Replay => lies && page.inbox.len() > 1 && page.inbox.len() < 6 && !gone,
            What::Swap => lies && page.inbox.len() > 1 && !gone,
            What::Lose => {
                lies && page
                    .outbox
                    .front()
                    .is_some_and(|sent| !matches!(sent.message, ClientMessage::Hello { .. }))
            }
            What::Overtake => lies && page.outbox.len() > 1,
            What::Garbage => lies && at == 0 && !self.ghost.groups.is_empty(),
            What::Fork => {
                self.setting.forks
                    && page.outbox.front().is_some_and(|sent| {
                        matches!(&sent.message, ClientMessage::Commit { group_id, epoch, .. }
                            if Some(group_id) == self.ghost.groups.last()
                                && *epoch == self.ghost.relay_epoch)
                    })
            }
            What::EvilNew | What::EvilReplace => at == 0 && self.can_replace(),
            What::EvilDeny => !gone && self.can_deny(at),
            What::EvilLead => at == 0 && self.can_lead(),
            What::EvilDoor if !self.setting.hosting => false,
            What::EvilRecorder | What::EvilEverybody | What::EvilContext | What::EvilDoor => {
                at == 0 && self.evil_can_commit() && !self.evil_adds(what).is_empty()
            }
            _ => {
                let recorder = at == self.recorder();
                !gone
                    && page.connected
                    && page.outbox.len() < MAX_UNDER_WAY
                    && recorder == (what == What::Beat)
                    && self
                        .shown(at)
                        .is_some_and(|state| self.sensible(what, at, state))
            }
        }
    }

    /// One browser in a schedule loses its key, or brings an older memory back: each is bad enough.
    fn may_lose(&self) -> bool {
        let has_lost = |page: &Page| page.held.len() > 1 || page.second.is_some() || page.is_older;
        self.setting.loses && !self.pages.iter().any(has_lost)
    }

    /// What a person would find a button for.
    pub(super) fn sensible(&self, what: What, at: usize, state: &VisitState) -> bool {
        let consent = state.consent.as_ref();
        let recorder_in = matches!(
            state.indicator,
            Indicator::Recording { .. } | Indicator::RecorderPresent { .. }
        );
        let host = state.me.host;
        let unanswered = consent.is_some_and(|consent| consent.my_answer.is_none());
        let rejoins = !matches!(state.phase, Phase::Live | Phase::Ended);
        if what == What::Withdraw && rejoins {
            return self.pages[at].machine.memory.granted().is_some();
        }
        let may_come = self.setting.late || self.setting.loses;
        let asked_outside =
            state.phase == Phase::Waiting && matches!(what, What::Grant | What::Refuse) && may_come;
        (state.phase == Phase::Live || asked_outside)
            && match what {
                What::Ask => {
                    host && !recorder_in && consent.is_none() && self.ghost.rounds.len() < 4
                }
                What::Grant => unanswered,
                What::Refuse => unanswered && !host,
                What::Withdraw => {
                    consent.is_some_and(|consent| consent.my_answer == Some(StatementKind::Grant))
                }
                What::Start => {
                    let waits = |of: &crate::visit::ConsentView| {
                        state
                            .waiting
                            .iter()
                            .any(|entry| entry.participant == of.recorder)
                    };
                    host && consent.is_some_and(|consent| consent.all_agreed && waits(consent))
                }
                What::Leave => at >= 2,
                What::Beat => true,
                What::Pause => recorder_in,
                What::Agree => matches!(state.indicator, Indicator::Paused { by_me: true, .. }),
                What::Stop => host && recorder_in,
                What::Admit => host && self.to_admit(state).is_some() && !state.locked,
                What::AskWaiting => {
                    let mut waiting = state.waiting.iter();
                    host && may_come
                        && recorder_in
                        && waiting.any(|entry| entry.role != Role::Recorder && !entry.asked)
                }
                What::PauseAdmit => {
                    host && may_come && recorder_in && self.to_admit(state).is_some()
                }
                What::Deny => host && self.setting.hosting && self.to_admit(state).is_some(),
                What::Remove => host && self.setting.hosting && self.to_remove(at, state).is_some(),
                What::Lock => host && self.setting.hosting,
                What::HandOver => host && self.other_clinician(at, state).is_some(),
                _ => false,
            }
    }

    /// A patient is not sent away: somebody has to be there for whom the visit is.
    pub(super) fn to_remove(&self, at: usize, state: &VisitState) -> Option<ParticipantId> {
        let others = state.roster.iter().rev();
        others
            .filter(|entry| !matches!(entry.role, Role::Recorder | Role::Patient))
            .map(|entry| entry.participant)
            .find(|id| *id != self.pages[at].admitted.participant)
    }

    pub(super) fn other_clinician(&self, at: usize, state: &VisitState) -> Option<ParticipantId> {
        let me = self.pages[at].admitted.participant;
        let mut roster = state.roster.iter();
        roster
            .find(|entry| entry.role == Role::Clinician && entry.participant != me)
            .map(|entry| entry.participant)
    }

    pub(super) fn to_admit(&self, state: &VisitState) -> Option<ParticipantId> {
        state
            .waiting
            .iter()
            .find(|entry| entry.role != Role::Recorder)
            .map(|entry| entry.participant)
    }

    pub(super) fn evil_can_commit(&self) -> bool {
        self.evil
            .as_ref()
            .and_then(|evil| evil.member.as_ref())
            .is_some_and(|evil| {
                let current = self.ghost.groups.last().map(|id| id.0.as_slice());
                Some(evil.group_id()) == current && evil.epoch() == self.ghost.relay_epoch
            })
    }

    /// Whom an attack would add: who waits at the relay and has no leaf.
    pub(super) fn evil_adds(&self, what: What) -> Vec<(ParticipantId, B64)> {
        let Some(evil) = self.evil.as_ref().and_then(|evil| evil.member.as_ref()) else {
            return Vec::new();
        };
        let recorder = self.pages[self.recorder()].admitted.participant;
        let adds: Vec<_> = self
            .ghost
            .waiting
            .iter()
            .filter(|(id, _)| !evil.has(&self.world.policy, **id))
            .filter(|(id, _)| match what {
                What::EvilRecorder => **id == recorder,
                What::EvilContext | What::EvilDoor => **id != recorder,
                _ => true,
            })
            .map(|(id, key_package)| (*id, key_package.clone()))
            .collect();
        let enough = if what == What::EvilEverybody { 2 } else { 1 };
        if adds.len() < enough {
            Vec::new()
        } else {
            adds
        }
    }
}
