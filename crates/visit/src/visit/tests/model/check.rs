//! What must hold in every state. Nothing here asks the code under test for its opinion.

use super::ghost::Seen;
use super::scene::{Scene, Tag};
use super::step::What;
use crate::group::Group;
use crate::visit::{EndReason, Indicator, Phase, Stage, Visit, VisitEvent};
use sealed_visit_protocol::consent::{ConsentState, RequestClaims, StatementClaims, StatementKind};
use sealed_visit_protocol::{Jws, ParticipantId, Role, RoundId};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// As in the machine: a heartbeat says that it records for this long.
const FRESH_MS: u64 = 3_000;

/// Messages flow again: so much later everybody is live.
const HEALED_AFTER_MS: u64 = 60_000;

/// A promise that was broken.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Stable name of the promise.
    pub rule: &'static str,
    pub what: String,
}

thread_local! {
    /// Epochs whose grants were found in order. An epoch's authenticator covers roster and context.
    static IN_ORDER: RefCell<HashSet<[u8; 32]>> = RefCell::default();
    /// The round that is open in each epoch.
    static OPEN: RefCell<HashMap<[u8; 32], Option<RoundId>>> = RefCell::default();
}

impl Scene {
    /// What must hold on a page after it took an input.
    pub fn check(&mut self, page: usize, events: &[VisitEvent]) -> Result<(), Broken> {
        self.remember(page)?;
        let machine = self.pages[page].machine.clone();
        if let Some(group) = group_of(&machine) {
            self.check_grants(page, group)?;
            self.check_door(page, group)?;
            self.check_group(page, &machine, group)?;
        }
        if matches!(machine.stage, Stage::Ended(EndReason::Denied, _))
            && self.ghost.denied & 1 << page == 0
        {
            let what = format!("page {page} is turned away, and not by the host");
            return Err(self.broken("denied", what));
        }
        self.check_indicator(page, &machine)?;
        self.check_sending(page)?;
        self.check_events(page, &machine, events)
    }

    pub fn broken(&self, rule: &'static str, what: impl Into<String>) -> Broken {
        Broken {
            rule,
            what: what.into(),
        }
    }

    /// Honest members never fork, and whoever uses an epoch's keys is not alone in it, unless it made the group.
    fn remember(&mut self, page: usize) -> Result<(), Broken> {
        let machine = self.pages[page].machine.clone();
        if self.pages[page].admitted.role == Role::Recorder
            && let Some(group) = group_of(&machine)
        {
            let key = *group.frame_base_key().expect("a key");
            if !self.ghost.recorder_keys.contains(&key) {
                Arc::make_mut(&mut self.ghost.recorder_keys).insert(key);
            }
        }
        let Some(member) = machine.member().filter(|member| member.confirmed) else {
            self.ghost.seen.entry(page).or_default().open = None;
            return Ok(());
        };
        if let Some(round) = &member.round
            && !self.ghost.rounds.contains(&round.id())
        {
            self.ghost.rounds.push(round.id());
        }
        let group = &member.group;
        let proof = group.epoch_proof().expect("a proof");
        let open = open_round(&proof, group);
        let seen = self.ghost.seen.entry(page).or_default();
        if seen.open != open {
            seen.over.extend(std::mem::replace(&mut seen.open, open));
        }
        let bit = 1u16 << page;
        let epoch = (group.group_id().to_vec(), group.epoch());
        let known = self.ghost.epochs.get(&epoch).cloned().unwrap_or_default();
        if !self.ghost.forked && known.iter().any(|(other, _)| *other != proof) {
            return Err(self.broken(
                "fork",
                format!(
                    "page {page} is in another epoch {} than the others",
                    epoch.1
                ),
            ));
        }
        match known.iter().find(|(of, _)| *of == proof) {
            Some((_, pages)) if pages & bit != 0 => return Ok(()),
            Some(_) => {}
            None if epoch.1 > 0 && !self.made_by(page, group) => {
                // The first to use it: the committer, or somebody that follows an earlier epoch of its own.
                let before = self.ghost.epochs.get(&(epoch.0.clone(), epoch.1 - 1));
                let followed = before.is_some_and(|ways| ways.iter().any(|(_, by)| by & bit != 0));
                if !followed {
                    return Err(self.broken(
                        "proof",
                        format!(
                            "page {page} uses epoch {}, which nobody else has proved",
                            epoch.1
                        ),
                    ));
                }
            }
            None => {}
        }
        let ways = Arc::make_mut(&mut self.ghost.epochs)
            .entry(epoch)
            .or_default();
        match ways.iter_mut().find(|(of, _)| *of == proof) {
            Some((_, pages)) => *pages |= bit,
            None => ways.push((proof, bit)),
        }
        Ok(())
    }

    fn made_by(&self, page: usize, group: &Group) -> bool {
        group.epoch() == 0 && group.me().participant() == self.pages[page].admitted.participant
    }

    /// Invariant 1: a recorder in the roster, and everybody else in it clicked "I agree" to exactly this.
    fn check_grants(&self, page: usize, group: &Group) -> Result<(), Broken> {
        let Some(recorder) = group
            .roster()
            .iter()
            .find(|entry| entry.role == Role::Recorder)
        else {
            return Ok(());
        };
        let proof = group.epoch_proof().expect("a proof");
        if IN_ORDER.with_borrow(|known| known.contains(&proof)) {
            return Ok(());
        }
        let fail = |what: String| {
            Err(self.broken(
                "grants",
                format!("page {page} holds a roster with a recorder, and {what}"),
            ))
        };
        let Some(asked) = request_in(group.consent()) else {
            return fail("nobody was asked".into());
        };
        if asked.recorder != recorder.participant {
            return fail("another recorder was asked for".into());
        }
        for entry in group.roster() {
            if entry.role == Role::Recorder {
                continue;
            }
            let said = group.consent().statements().get(&entry.participant);
            let held = self.page_of(entry.participant);
            let held = held
                .map(|index| &self.pages[index].held[..])
                .unwrap_or_default();
            let by_a_lost_key = |jws: &Jws<StatementClaims>| {
                let mut others = held.iter().filter(|key| *key != entry.pass.key());
                others.any(|key| jws.verify(key).is_ok())
            };
            if said.is_some_and(by_a_lost_key) {
                let what = format!("leaf {} counts on a grant of a lost key", entry.leaf);
                return Err(self.broken("lost-key", what));
            }
            let said = said.and_then(|jws| jws.verify(entry.pass.key()).ok());
            let granted = said
                .is_some_and(|said| said.kind == StatementKind::Grant && said.round == asked.round);
            let clicked = held.is_empty()
                || self
                    .ghost
                    .granted
                    .contains(&(*entry.pass.key(), asked.round));
            if !granted || !clicked {
                return fail(format!("leaf {} has not granted", entry.leaf));
            }
        }
        IN_ORDER.with_borrow_mut(|known| known.insert(proof));
        Ok(())
    }

    /// Nobody comes back into a group that it left for another, nor goes live among clinicians it never met while one that
    /// it met is here.
    fn check_group(&mut self, page: usize, machine: &Visit, group: &Group) -> Result<(), Broken> {
        let id = group.group_id().to_vec();
        let Seen { lived, met, .. } = self.ghost.seen.entry(page).or_default();
        let is_last = lived.last() == Some(&id);
        if !is_last && lived.contains(&id) {
            return Err(self.broken(
                "used",
                format!("page {page} is in a group that it had left"),
            ));
        }
        if machine.member().is_none_or(|member| !member.confirmed) {
            return Ok(());
        }
        if !is_last {
            lived.push(id);
        }
        let me = self.pages[page].admitted.participant;
        let here: BTreeSet<ParticipantId> = group
            .roster()
            .iter()
            .filter(|entry| entry.role == Role::Clinician)
            .map(|entry| entry.participant)
            .collect();
        let is_among_strangers = !here.is_empty() && met.is_disjoint(&here);
        let is_awaited = met
            .iter()
            .any(|id| *id != me && machine.peers.get(id).is_some_and(|peer| peer.connected));
        met.extend(here.iter().copied());
        if !is_last && is_among_strangers && is_awaited && !here.contains(&me) {
            return Err(self.broken(
                "stranger",
                format!("page {page} is live among strangers, and a clinician it met is here"),
            ));
        }
        Ok(())
    }

    /// What a page signs has a higher number than everything that it signed before.
    pub fn check_numbers(
        &mut self,
        page: usize,
        signed: &[Jws<StatementClaims>],
    ) -> Result<(), Broken> {
        for jws in signed {
            let seq = jws.unverified_claims().expect("its own claims").seq;
            let of_page = &mut self.ghost.seen.entry(page).or_default().signed;
            let is_new = of_page.insert((seq, jws.hash()));
            if is_new
                && of_page
                    .iter()
                    .any(|(other, hash)| *other >= seq && *hash != jws.hash())
            {
                let what = format!("page {page} signs number {seq}, which is none of its next");
                return Err(self.broken("numbers", what));
            }
        }
        Ok(())
    }

    /// While the visit is locked, nobody comes in who never was in it.
    fn check_door(&mut self, page: usize, group: &Group) -> Result<(), Broken> {
        if !group.meeting().locked {
            self.ghost.seen.entry(page).or_default().locked = None;
            return Ok(());
        }
        let pages_of = |is_there: &dyn Fn(ParticipantId) -> bool| {
            let pages = self.pages.iter().enumerate();
            pages
                .filter(|(_, page)| page.admitted.role != Role::Recorder)
                .filter(|(_, page)| is_there(page.admitted.participant))
                .fold(0u16, |bits, (index, _)| bits | 1 << index)
        };
        let (group_id, known) = (
            group.group_id().to_vec(),
            pages_of(&|participant| group.knows(participant)),
        );
        let inside = pages_of(&|participant| group.member(participant).is_some());
        match &mut self.ghost.seen.entry(page).or_default().locked {
            Some((of, by_then)) if *of == group_id && inside & !*by_then != 0 => Err(self.broken(
                "door",
                format!("page {page} sees somebody new in a locked visit"),
            )),
            Some((of, _)) if *of == group_id => Ok(()),
            locked => {
                *locked = Some((group_id, known));
                Ok(())
            }
        }
    }

    /// Invariant 2: the indicator follows the roster, and "Recording" a heartbeat.
    fn check_indicator(&self, page: usize, machine: &Visit) -> Result<(), Broken> {
        let Some(state) = machine.shown.as_ref() else {
            return Ok(());
        };
        let says = matches!(
            state.indicator,
            Indicator::Recording { .. } | Indicator::RecorderPresent { .. }
        );
        let is_in = machine.member().is_some_and(|member| {
            let mut roster = member.group.roster().iter();
            roster.any(|entry| entry.role == Role::Recorder)
        });
        if says != is_in {
            return Err(self.broken(
                "indicator",
                format!(
                    "page {page} shows {:?}, a recorder is in its roster: {is_in}",
                    state.indicator
                ),
            ));
        }
        let recorder = page == self.recorder();
        if let (Indicator::Recording { .. }, false) = (state.indicator, recorder) {
            let fresh = self
                .ghost
                .beats
                .get(&page)
                .is_some_and(|(_, at_ms)| self.now_ms < at_ms + FRESH_MS);
            if !fresh {
                return Err(self.broken(
                    "heartbeat",
                    format!("page {page} shows a recording without a newer heartbeat for 3 s"),
                ));
            }
        }
        Ok(())
    }

    /// Invariant 3: nothing of who withdrew, and nothing unshown, is encrypted to a recorder.
    fn check_sending(&self, page: usize) -> Result<(), Broken> {
        let this = &self.pages[page];
        let Some(key) = this
            .sending_with
            .filter(|_| this.gate_open)
            .and_then(|epoch| this.keys.get(&epoch))
        else {
            return Ok(());
        };
        if !self.ghost.recorder_keys.contains(key) {
            return Ok(());
        }
        if self.ghost.withdrawn & 1 << page != 0 {
            return Err(self.broken(
                "withdrawal",
                format!("page {page} withdrew and sends under a key that the recorder has"),
            ));
        }
        let round = this.machine.member().and_then(|member| {
            let proof = member.group.epoch_proof().expect("a proof");
            open_round(&proof, &member.group)
        });
        let seen = self.ghost.seen.get(&page);
        if round.is_some_and(|round| seen.is_some_and(|seen| seen.over.contains(&round))) {
            return Err(self.broken(
                "dead",
                format!("page {page} sends to a recorder in a round that it saw end"),
            ));
        }
        let shown = this.machine.shown.as_ref().is_some_and(|state| {
            matches!(
                state.indicator,
                Indicator::Recording { .. } | Indicator::RecorderPresent { .. }
            )
        });
        if !shown {
            return Err(self.broken(
                "unshown",
                format!("page {page} sends under a key that a recorder has, and does not show it"),
            ));
        }
        Ok(())
    }

    fn check_events(
        &self,
        page: usize,
        machine: &Visit,
        events: &[VisitEvent],
    ) -> Result<(), Broken> {
        if page == self.recorder() {
            return Ok(());
        }
        let is_in = machine
            .member()
            .and_then(|member| member.recorder())
            .is_some();
        // Of several in one input the last one counts.
        let said = events.iter().rev().find_map(|event| match event {
            VisitEvent::RecorderJoined => Some(true),
            VisitEvent::RecorderLeft { .. } => Some(false),
            _ => None,
        });
        if said.is_some_and(|said| said != is_in) {
            return Err(self.broken(
                "events",
                format!("page {page} is told {events:?}, a recorder is in its roster: {is_in}"),
            ));
        }
        Ok(())
    }

    /// Invariant 5: from here, messages flow again, nobody lies, and everybody connects. Everybody is live at last.
    pub fn heal(&self) -> Result<(), Broken> {
        let mut scene = self.clone();
        (scene.setting.lies, scene.setting.forks) = (false, false);
        if let Some(evil) = scene.evil.take() {
            let relay = Arc::make_mut(&mut scene.relay);
            let deliveries = relay.disconnect(evil.admitted.participant);
            scene.deliver(deliveries, Tag::None);
        }
        for page in 0..scene.pages.len() {
            if scene.enabled(What::Connect, page) {
                scene.apply(super::step::Step {
                    what: What::Connect,
                    page: page as u8,
                })?;
            }
        }
        let until_ms = scene.now_ms + HEALED_AFTER_MS;
        let mut last = Ok(());
        while scene.now_ms < until_ms {
            scene.run_until(scene.now_ms + 2_000, true)?;
            last = scene.check_live();
            if last.is_ok() {
                return Ok(());
            }
        }
        last
    }

    /// Everybody who did not leave is live, in one epoch, and sends.
    fn check_live(&self) -> Result<(), Broken> {
        let mut epoch = None;
        for (index, page) in self.pages.iter().enumerate() {
            if self.ghost.left & 1 << index != 0 || index == self.recorder() {
                continue;
            }
            let fail = |what: &str| {
                Err(self.broken(
                    "live",
                    format!("page {index} {what}: {:?}", summary(&page.machine)),
                ))
            };
            let Some(member) = page.machine.member().filter(|member| member.confirmed) else {
                return fail("is not in the group");
            };
            if page.machine.phase() != Phase::Live || !page.gate_open {
                return fail("is not live");
            }
            let here = (
                member.group.group_id().to_vec(),
                member.group.epoch_proof().expect("a proof"),
            );
            if epoch.get_or_insert(here.clone()) != &here {
                return fail("is in another epoch than the others");
            }
        }
        self.check_answered()?;
        self.check_heard()
    }

    /// Whatever somebody clicked was done, or the click was answered with why not.
    fn check_answered(&self) -> Result<(), Broken> {
        let waits = self.pages.iter().position(|page| {
            let member = page.machine.member();
            member.is_some_and(|member| !member.unanswered.is_empty())
        });
        waits.map_or(Ok(()), |page| {
            Err(self.broken("answers", format!("page {page} waits for an answer")))
        })
    }

    /// What somebody answered is known to the host.
    fn check_heard(&self) -> Result<(), Broken> {
        let hosts =
            (0..self.recorder()).find(|page| self.shown(*page).is_some_and(|state| state.me.host));
        let host_page = hosts.unwrap_or(0);
        let Some(host) = self
            .shown(host_page)
            .and_then(|state| state.consent.as_ref())
        else {
            return Ok(());
        };
        for page in (0..self.recorder()).filter(|page| *page != host_page) {
            let who = self.pages[page].admitted.participant;
            let Some(own) = self.shown(page).and_then(|state| state.consent.as_ref()) else {
                continue;
            };
            let known = host.by_participant.iter().find(|of| of.participant == who);
            if own.round == host.round && own.my_answer != known.map(|of| of.answer) {
                return Err(self.broken(
                    "live",
                    format!(
                        "page {page} answered {:?}, the host knows {known:?}",
                        own.my_answer
                    ),
                ));
            }
        }
        Ok(())
    }
}

fn summary(machine: &Visit) -> String {
    format!(
        "{:?}, {:?}, problems {:?}",
        machine.phase(),
        machine.member().map(|member| member.group.epoch()),
        machine
            .problems
            .iter()
            .map(|problem| problem.code)
            .collect::<Vec<_>>()
    )
}

/// The group that a page holds, whatever it thinks of it.
fn group_of(machine: &Visit) -> Option<&Group> {
    match &machine.stage {
        Stage::Member(member) => Some(&member.group),
        Stage::Creating { group, .. } => Some(group),
        _ => None,
    }
}

fn open_round(proof: &[u8; 32], group: &Group) -> Option<RoundId> {
    OPEN.with_borrow_mut(|known| {
        let open = || request_in(group.consent()).map(|asked| asked.round);
        *known.entry(*proof).or_insert_with(open)
    })
}

fn request_in(state: &ConsentState) -> Option<RequestClaims> {
    let value: serde_json::Value = serde_json::from_slice(&state.to_bytes()).ok()?;
    let text = value.get("request")?.as_str()?.to_owned();
    Jws::<RequestClaims>::from_text(text)
        .unverified_claims()
        .ok()
}
