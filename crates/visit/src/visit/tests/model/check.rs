//! What must hold in every state, and what the model remembers in order to know: who clicked what, who could ever
//! derive which key, which epochs there ever were. Nothing here asks the code under test for its opinion.

use super::scene::{Scene, Tag};
use super::step::What;
use crate::group::Group;
use crate::visit::{EndReason, Indicator, Phase, Stage, Visit, VisitEvent};
use sealed_visit_protocol::consent::{ConsentState, RequestClaims, StatementKind};
use sealed_visit_protocol::wire::RelayMessage;
use sealed_visit_protocol::{B64, Jws, ParticipantId, Role, RoundId};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
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

/// By group and number: the authenticator's hash, and the pages that used it. Several, where the relay forked.
type Epochs = BTreeMap<(Vec<u8>, u64), Vec<([u8; 32], u16)>>;

/// What the model knows and no machine does.
#[derive(Clone, Default)]
pub struct Ghost {
    /// Whoever ever clicked "I agree", in which round.
    granted: Arc<BTreeSet<(usize, RoundId)>>,
    /// Withdrew or refused, and did not agree to anything since.
    withdrawn: u16,
    /// Left by a click.
    left: u16,
    /// Turned away by the host's click.
    denied: u16,
    /// Every key that a recorder's page ever could derive.
    recorder_keys: Arc<BTreeSet<[u8; 16]>>,
    /// Every epoch that an honest member ever used: its authenticator's hash, and by whom.
    epochs: Arc<Epochs>,
    /// The newest heartbeat that reached a page, and when.
    beats: BTreeMap<usize, ((u32, u32), u64)>,
    /// Rounds in the order in which they were opened.
    pub rounds: Vec<RoundId>,
    /// Groups in the order in which the relay opened them.
    pub groups: Vec<B64>,
    pub relay_epoch: u64,
    pub last_seq: u64,
    /// Who waits at the relay.
    pub waiting: BTreeMap<ParticipantId, B64>,
    tags: Arc<BTreeMap<u64, Tag>>,
    /// The relay told members different things.
    pub forked: bool,
    /// Where a page saw the visit locked: in which group, and who had been in it by then.
    locked: BTreeMap<usize, (Vec<u8>, u16)>,
    /// Groups that a page was live in, the last one last.
    lived: BTreeMap<usize, Vec<Vec<u8>>>,
    /// Clinicians that a page was live with.
    met: BTreeMap<usize, BTreeSet<ParticipantId>>,
    /// Counts commands.
    pub commands: u32,
    /// The last one that was refused.
    pub failed: Option<u32>,
}

/// What people decided.
pub type Decisions = (Arc<BTreeSet<(usize, RoundId)>>, u16, u16);

impl Ghost {
    /// What the relay says; entries of its log keep what the model knows about their inside.
    pub fn relay_says(&mut self, message: &RelayMessage, tag: Tag) -> Tag {
        match message {
            RelayMessage::GroupCreated { seq, group, .. } => {
                if *seq > self.last_seq {
                    self.groups.push(group.group_id.clone());
                    self.relay_epoch = 0;
                    self.last_seq = *seq;
                }
                Tag::None
            }
            RelayMessage::Commit { seq, .. } => {
                if *seq > self.last_seq {
                    self.relay_epoch += 1;
                    self.last_seq = *seq;
                }
                Tag::None
            }
            RelayMessage::Refusal { seq, .. } => {
                self.last_seq = self.last_seq.max(*seq);
                Tag::None
            }
            RelayMessage::App { seq, .. } => {
                self.last_seq = self.last_seq.max(*seq);
                *Arc::make_mut(&mut self.tags).entry(*seq).or_insert(tag)
            }
            _ => Tag::None,
        }
    }

    /// The relay has lost its log, and so has whoever counts by it.
    pub fn relay_forgot(&mut self) {
        (self.relay_epoch, self.last_seq) = (0, 0);
        self.waiting.clear();
        self.tags = Arc::default();
        // The next group may have an old one's id: two epochs of one number.
        self.forked = true;
    }

    /// The one without rules is in this epoch, and said so.
    pub fn proved(&mut self, group_id: Vec<u8>, epoch: u64, proof: [u8; 32]) {
        let ways = Arc::make_mut(&mut self.epochs)
            .entry((group_id, epoch))
            .or_default();
        ways.push((proof, 1 << 15));
    }

    pub fn heard_beat(&mut self, page: usize, beat: (u32, u32), now_ms: u64) {
        let newest = self.beats.entry(page).or_insert((beat, now_ms));
        if beat > newest.0 {
            *newest = (beat, now_ms);
        }
    }

    pub fn decides(&mut self, what: What, page: usize, round: Option<RoundId>) {
        match (what, round) {
            (What::Grant, Some(round)) => {
                Arc::make_mut(&mut self.granted).insert((page, round));
                self.withdrawn &= !(1 << page);
            }
            (What::Withdraw | What::Refuse, _) => self.withdrawn |= 1 << page,
            (What::Leave, _) => self.left |= 1 << page,
            _ => {}
        }
    }

    /// The host turned somebody away, or took it out: it need not be live.
    pub fn sent_away(&mut self, page: Option<usize>) {
        self.left |= page.map_or(0, |page| 1 << page);
    }

    pub fn denied(&mut self, page: Option<usize>) {
        self.denied |= page.map_or(0, |page| 1 << page);
    }

    pub fn decisions(&self) -> Decisions {
        (self.granted.clone(), self.withdrawn, self.left)
    }

    pub fn undo(&mut self, before: Decisions) {
        (self.granted, self.withdrawn, self.left) = before;
    }

    /// A page that is loaded anew knows of its own withdrawals, and nothing else.
    pub fn crashed(&mut self, page: usize) {
        self.beats.remove(&page);
    }
}

thread_local! {
    /// Epochs whose grants were found in order. An epoch's authenticator covers roster and context.
    static IN_ORDER: RefCell<HashSet<[u8; 32]>> = RefCell::default();
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
        if matches!(machine.stage, Stage::Ended(EndReason::Denied))
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
            return Ok(());
        };
        if let Some(round) = &member.round
            && !self.ghost.rounds.contains(&round.id())
        {
            self.ghost.rounds.push(round.id());
        }
        let group = &member.group;
        let proof = group.epoch_proof().expect("a proof");
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
            let said = group
                .consent()
                .statements()
                .get(&entry.participant)
                .and_then(|jws| jws.verify(entry.pass.key()).ok());
            let granted = said
                .is_some_and(|said| said.kind == StatementKind::Grant && said.round == asked.round);
            let clicked = self
                .pages
                .iter()
                .position(|page| page.admitted.participant == entry.participant)
                .is_none_or(|index| self.ghost.granted.contains(&(index, asked.round)));
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
        let lived = self.ghost.lived.entry(page).or_default();
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
        let met = self.ghost.met.entry(page).or_default();
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

    /// While the visit is locked, nobody comes in who never was in it.
    fn check_door(&mut self, page: usize, group: &Group) -> Result<(), Broken> {
        if !group.meeting().locked {
            self.ghost.locked.remove(&page);
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
        match self.ghost.locked.get(&page) {
            Some((of, by_then)) if *of == group_id && inside & !by_then != 0 => Err(self.broken(
                "door",
                format!("page {page} sees somebody new in a locked visit"),
            )),
            Some((of, _)) if *of == group_id => Ok(()),
            _ => {
                self.ghost.locked.insert(page, (group_id, known));
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
        let waits = self
            .pages
            .iter()
            .position(|page| !page.machine.unanswered.is_empty());
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

fn request_in(state: &ConsentState) -> Option<RequestClaims> {
    let value: serde_json::Value = serde_json::from_slice(&state.to_bytes()).ok()?;
    let text = value.get("request")?.as_str()?.to_owned();
    Jws::<RequestClaims>::from_text(text)
        .unverified_claims()
        .ok()
}
