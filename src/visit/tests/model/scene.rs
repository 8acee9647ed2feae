//! One state of the model: every page's machine, the relay, and what is under way between them.
//!
//! Cheap to clone: machines and messages are shared until a step changes them.

use super::check::{Broken, Ghost};
use super::step::{Step, What};
use crate::group::testing::{NOW_MS, World};
use crate::group::tests::evil::{Evil, EvilWaiting};
use crate::visit::app_message::AppMessage;
use crate::visit::tests::consent::{asked_of, grant, refusal};
use crate::visit::tests::sim::as_kept;
use crate::visit::{
    Command, Config, Indicator, Input, Output, Phase, Visit, VisitMemory, VisitState,
};
use sealed_visit_protocol::consent::StatementKind;
use sealed_visit_protocol::wire::{ClientMessage, RelayMessage, WelcomeFor};
use sealed_visit_protocol::{B64, ParticipantId, Pass, Role};
use sealed_visit_relay::admission::Admitted;
use sealed_visit_relay::visit::{Delivery, To, Visit as RelayVisit};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Nobody speaks while so much is still under way from its page.
const MAX_UNDER_WAY: usize = 4;

/// The number of the one without rules.
pub(super) const EVIL: u64 = 90;

/// Who is there, how far the visit has come, and who lies.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub name: &'static str,
    /// The people; the first is the host. The recorder comes last, by itself.
    pub people: &'static [Role],
    pub begin: Begin,
    /// The relay drops, repeats, reorders, and lets bytes that are no commit take the epoch.
    pub lies: bool,
    /// The relay tells different members of different commits.
    pub forks: bool,
    /// One more clinician, without rules.
    pub evil: bool,
    /// The host also locks, turns away and removes.
    pub hosting: bool,
    /// The last of the people comes when everything has begun.
    pub late: bool,
    /// The one without rules was never let in.
    pub stranger: bool,
}

/// What has happened before the exploration begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Begin {
    /// Everybody has opened the page; nobody was let in yet.
    Waiting,
    Live,
    Asked,
    Agreed,
    Recording,
    /// Everybody agreed, was asked anew, and all but the host refused.
    Refused,
}

#[derive(Clone)]
pub struct Scene {
    pub setting: Setting,
    pub world: Arc<World>,
    pub now_ms: u64,
    pub relay: Arc<RelayVisit>,
    pub pages: Vec<Page>,
    pub evil: Option<EvilPage>,
    pub ghost: Ghost,
    runs: u64,
}

/// One participant's page: the machine, the connection, and what a frame engine would know.
#[derive(Clone)]
pub struct Page {
    pub machine: Arc<Visit>,
    pub admitted: Arc<Admitted>,
    pub connected: bool,
    /// The relay took its hello.
    pub present: bool,
    pub inbox: VecDeque<Arc<Letter>>,
    pub outbox: VecDeque<Arc<Sent>>,
    /// Base keys by epoch, as installed.
    pub keys: BTreeMap<u64, [u8; 16]>,
    pub sending_with: Option<u64>,
    pub gate_open: bool,
    pub timer_ms: Option<u64>,
    /// Counts the page's loads.
    pub run: u32,
    pub beats: u32,
    /// What a browser keeps over a reload.
    pub memory: Option<Arc<VisitMemory>>,
}

/// Somebody without rules.
#[derive(Clone)]
pub struct EvilPage {
    pub admitted: Arc<Admitted>,
    /// None: it has lost its place.
    pub member: Option<Arc<Evil>>,
    welcome: Option<B64>,
    /// The group in which most had agreed: its id, how many, and its context.
    pub(super) old: Option<Arc<(Vec<u8>, usize, mls_rs::ExtensionList)>>,
    /// How often it has replaced the group.
    pub(super) replaced: u32,
    /// How often it has turned somebody away in the host's name.
    pub(super) denials: u32,
}

/// Under way to a page.
#[derive(Clone)]
pub struct Letter {
    pub message: RelayMessage,
    pub tag: Tag,
}

/// Under way to the relay.
#[derive(Clone)]
pub struct Sent {
    pub message: ClientMessage,
    pub tag: Tag,
}

/// What is inside an encrypted message; the model looks on as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tag {
    None,
    Hello,
    Confirm,
    Request,
    Texts,
    Statement,
    Stop,
    Resuming,
    Agree,
    /// The recorder's run and its count.
    Beat(u32, u32),
    Leaving,
    Data,
}

impl Tag {
    fn of(message: &AppMessage) -> Self {
        match message {
            AppMessage::Hello { .. } => Tag::Hello,
            AppMessage::Confirm { .. } => Tag::Confirm,
            AppMessage::Request { .. } => Tag::Request,
            AppMessage::Texts { .. } => Tag::Texts,
            AppMessage::Statement { .. } => Tag::Statement,
            AppMessage::RecorderStop { .. } => Tag::Stop,
            AppMessage::Resuming { .. } => Tag::Resuming,
            AppMessage::AgreeResume => Tag::Agree,
            AppMessage::Leaving => Tag::Leaving,
            _ => Tag::Data,
        }
    }
}

// Setting the scene.
impl Scene {
    pub fn new(setting: Setting) -> Self {
        let mut scene = Self {
            setting,
            world: Arc::new(World::new(1)),
            now_ms: NOW_MS,
            relay: Arc::default(),
            pages: Vec::new(),
            evil: None,
            ghost: Ghost::default(),
            runs: 0,
        };
        for role in setting.people.iter().copied().chain([Role::Recorder]) {
            scene.open(role);
        }
        scene.begin();
        scene
    }

    fn begin(&mut self) {
        let begin = self.setting.begin;
        self.calm();
        if begin == Begin::Waiting {
            if self.setting.evil {
                self.let_evil_in();
            }
            return;
        }
        while self.enabled(What::Admit, 0) {
            self.must(What::Admit, 0);
        }
        let people = self.setting.people.len() - usize::from(self.setting.late);
        if self.setting.stranger {
            let admitted = Arc::new(self.admitted(EVIL, Role::Clinician));
            self.evil = Some(EvilPage::outside(admitted));
        } else if self.setting.evil {
            self.let_evil_in();
        }
        if begin >= Begin::Asked {
            self.must(What::Ask, 0);
        }
        if begin >= Begin::Agreed {
            (0..people).for_each(|page| self.must(What::Grant, page));
        }
        if begin == Begin::Refused {
            self.ask_anew();
            (1..people).for_each(|page| self.must(What::Refuse, page));
            return;
        }
        if begin >= Begin::Recording {
            self.must(What::Start, 0);
            self.must(What::Beat, self.recorder());
        }
        if self.setting.late {
            self.must(What::Connect, people);
        }
    }

    fn must(&mut self, what: What, page: usize) {
        let page = page as u8;
        let done = self.apply(Step { what, page });
        assert!(matches!(done, Ok(true)), "{what:?} {page}: {done:?}");
        self.calm();
    }

    /// Delivers everything, with a second for keys to be switched.
    fn calm(&mut self) {
        let until_ms = self.now_ms + 1_500;
        self.run_until(until_ms, false)
            .unwrap_or_else(|broken| panic!("the scene is broken from the start: {broken:?}"));
    }

    fn open(&mut self, role: Role) {
        let n = self.pages.len() as u64;
        let admitted = Arc::new(self.admitted(n, role));
        let machine = Arc::new(self.machine(n, role));
        self.pages.push(Page {
            machine,
            admitted,
            connected: false,
            present: false,
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            keys: BTreeMap::new(),
            sending_with: None,
            gate_open: false,
            timer_ms: None,
            run: 0,
            beats: 0,
            memory: None,
        });
        let is_late = self.setting.late && n as usize + 1 == self.setting.people.len();
        if !is_late {
            self.must(What::Connect, n as usize);
        }
    }

    fn admitted(&self, n: u64, role: Role) -> Admitted {
        let jws = self.world.pass(n, role);
        let pass = Pass::verify_for(&jws, self.world.policy.clinic(), self.world.visit).unwrap();
        Admitted {
            visit: self.world.visit,
            participant: pass.participant(),
            role,
            pass,
        }
    }

    fn machine(&mut self, n: u64, role: Role) -> Visit {
        self.runs += 1;
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&self.runs.to_be_bytes());
        let (display_name, name_salt) = self.world.name(n);
        Visit::new(
            Config {
                root: self.world.root.public(),
                clinic_document: self.world.document.clone(),
                pass: self.world.pass(n, role),
                seed: self.world.key(n).seed(),
                display_name,
                name_salt,
                entropy: Zeroizing::new(entropy),
                memories: self
                    .pages
                    .get(n as usize)
                    .and_then(|page| page.memory.as_deref().cloned())
                    .into_iter()
                    .collect(),
            },
            self.now_ms,
        )
        .unwrap()
    }

    /// The host lets the one without rules in.
    fn let_evil_in(&mut self) {
        let waiting = EvilWaiting::new(&self.world.identity(EVIL, Role::Clinician));
        let admitted = Arc::new(self.admitted(EVIL, Role::Clinician));
        let relay = Arc::make_mut(&mut self.relay);
        let mut deliveries = relay.connect(admitted.participant, None).unwrap();
        let key_package = B64(waiting.key_package.clone());
        deliveries.extend(
            relay
                .handle(&admitted, ClientMessage::KeyPackage { key_package })
                .unwrap(),
        );
        self.evil = Some(EvilPage::outside(admitted));
        self.deliver(deliveries, Tag::None);
        self.settle().unwrap();
        let participant = self.evil.as_ref().unwrap().admitted.participant;
        let command = Command::Admit { participant };
        self.feed(0, Input::Command { id: 0, command }).unwrap();
        self.settle().unwrap();
        let evil = self.evil.as_mut().unwrap();
        let welcome = evil.welcome.take().expect("a welcome");
        evil.member = Some(Arc::new(waiting.join(&welcome.0)));
        self.calm();
    }
}

// What may happen.
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
                if self.enabled(*what, page) {
                    let page = page as u8;
                    steps.push(Step { what: *what, page });
                }
            }
        }
        steps
    }

    pub fn enabled(&self, what: What, at: usize) -> bool {
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
            What::EvilNew | What::EvilUsed | What::EvilReplace => at == 0 && self.can_replace(what),
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

    /// What a person would find a button for.
    fn sensible(&self, what: What, at: usize, state: &VisitState) -> bool {
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
        let asked_outside = state.phase == Phase::Waiting
            && matches!(what, What::Grant | What::Refuse)
            && self.setting.late;
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
                    host && self.setting.late
                        && recorder_in
                        && waiting.any(|entry| entry.role != Role::Recorder && !entry.asked)
                }
                What::PauseAdmit => {
                    host && self.setting.late && recorder_in && self.to_admit(state).is_some()
                }
                What::Deny => host && self.setting.hosting && self.to_admit(state).is_some(),
                What::Remove => host && self.setting.hosting && self.to_remove(at, state).is_some(),
                What::Lock => host && self.setting.hosting,
                What::HandOver => host && self.other_clinician(at, state).is_some(),
                _ => false,
            }
    }

    /// A patient is not sent away: somebody has to be there for whom the visit is.
    fn to_remove(&self, at: usize, state: &VisitState) -> Option<ParticipantId> {
        let others = state.roster.iter().rev();
        others
            .filter(|entry| !matches!(entry.role, Role::Recorder | Role::Patient))
            .map(|entry| entry.participant)
            .find(|id| *id != self.pages[at].admitted.participant)
    }

    fn other_clinician(&self, at: usize, state: &VisitState) -> Option<ParticipantId> {
        let me = self.pages[at].admitted.participant;
        let mut roster = state.roster.iter();
        roster
            .find(|entry| entry.role == Role::Clinician && entry.participant != me)
            .map(|entry| entry.participant)
    }

    fn to_admit(&self, state: &VisitState) -> Option<ParticipantId> {
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

// What happens.
impl Scene {
    /// Takes one step. False: it cannot happen here, and nothing did.
    pub fn apply(&mut self, step: Step) -> Result<bool, Broken> {
        let page = usize::from(step.page);
        if !self.enabled(step.what, page) {
            return Ok(false);
        }
        match step.what {
            What::Hear => self.hear(page)?,
            What::Relay => self.relay_hears(page)?,
            What::Time => self.time(page)?,
            What::Cut => self.cut(page)?,
            What::Connect => self.connect(page)?,
            What::Crash => self.crash(page)?,
            What::Drop => drop(self.pages[page].inbox.pop_front()),
            What::Lose => drop(self.pages[page].outbox.pop_front()),
            What::Twice => {
                let first = self.pages[page].inbox[0].clone();
                self.pages[page].inbox.push_front(first);
                self.hear(page)?;
            }
            What::Replay => {
                let first = self.pages[page].inbox[0].clone();
                self.pages[page].inbox.push_back(first);
                self.hear(page)?;
            }
            What::Swap => self.pages[page].inbox.swap(0, 1),
            What::Overtake => self.pages[page].outbox.swap(0, 1),
            What::Garbage => self.garbage(page)?,
            What::Fork => self.fork(page),
            What::EvilNew | What::EvilUsed | What::EvilReplace => self.replace_group(step.what)?,
            What::EvilDeny => self.deny(page),
            What::EvilLead => self.lead(),
            What::EvilRecorder | What::EvilEverybody | What::EvilContext | What::EvilDoor => {
                self.evil_strikes(step.what);
            }
            _ => self.person(step.what, page)?,
        }
        Ok(true)
    }

    fn hear(&mut self, page: usize) -> Result<(), Broken> {
        let Some(letter) = self.pages[page].inbox.pop_front() else {
            return Ok(());
        };
        let message = letter.message.clone();
        // What comes out of order is not heard, and comes again.
        if let (Tag::Beat(run, count), RelayMessage::App { seq, .. }) = (letter.tag, &message) {
            let last = self.pages[page].machine.link.last_seq;
            if last.is_none_or(|last| *seq <= last + 1) {
                self.ghost.heard_beat(page, (run, count), self.now_ms);
            }
        }
        self.feed(page, Input::Relay { message })
    }

    fn relay_hears(&mut self, page: usize) -> Result<(), Broken> {
        let Some(sent) = self.pages[page].outbox.pop_front() else {
            return Ok(());
        };
        let admitted = self.pages[page].admitted.clone();
        let who = admitted.participant;
        let relay = Arc::make_mut(&mut self.relay);
        let outcome = match sent.message.clone() {
            ClientMessage::Hello { after_seq, .. } => {
                self.pages[page].present = true;
                relay.connect(who, after_seq)
            }
            message => relay.handle(&admitted, message),
        };
        if let ClientMessage::KeyPackage { key_package } = &sent.message {
            self.ghost.waiting.insert(who, key_package.clone());
        }
        if let ClientMessage::Leave {} = &sent.message {
            self.ghost.waiting.remove(&who);
        }
        match outcome {
            Ok(deliveries) => self.deliver(deliveries, sent.tag),
            Err(denied) => self.pages[page].inbox.push_back(Arc::new(Letter {
                message: RelayMessage::Error {
                    code: denied.code,
                    detail: denied.detail.into(),
                },
                tag: Tag::None,
            })),
        }
        Ok(())
    }

    pub fn deliver(&mut self, deliveries: Vec<Delivery>, tag: Tag) {
        let messages = deliveries.into_iter().flat_map(|Delivery { to, parcel }| {
            let messages = self.relay.messages_of(parcel);
            messages.into_iter().map(move |message| (to, message))
        });
        for (to, message) in messages.collect::<Vec<_>>() {
            let tag = self.ghost.relay_says(&message, tag);
            if let Some(evil) = &mut self.evil {
                let who = evil.admitted.participant;
                if is_for(to, who) {
                    evil.hear(&message);
                }
            }
            let letter = Arc::new(Letter { message, tag });
            for page in self.pages.iter_mut().filter(|page| page.present) {
                if is_for(to, page.admitted.participant) {
                    page.inbox.push_back(letter.clone());
                }
            }
        }
    }

    /// Everybody whose clock is read is at least at this time from now on.
    fn time(&mut self, page: usize) -> Result<(), Broken> {
        if let Some(at_ms) = self.pages[page].timer_ms.take() {
            self.now_ms = self.now_ms.max(at_ms);
        }
        self.feed(page, Input::Tick)
    }

    fn connect(&mut self, page: usize) -> Result<(), Broken> {
        self.pages[page].connected = true;
        let message = RelayMessage::Challenge {
            v: 1,
            nonce: B64(vec![7; 32]),
        };
        self.feed(page, Input::Relay { message })
    }

    pub(super) fn lose_connection(&mut self, page: usize) {
        let this = &mut self.pages[page];
        (this.connected, this.present) = (false, false);
        this.inbox.clear();
        this.outbox.clear();
        let who = this.admitted.participant;
        self.ghost.waiting.remove(&who);
        let deliveries = Arc::make_mut(&mut self.relay).disconnect(who);
        self.deliver(deliveries, Tag::None);
    }

    fn cut(&mut self, page: usize) -> Result<(), Broken> {
        self.lose_connection(page);
        self.feed(page, Input::RelayClosed)
    }

    fn crash(&mut self, page: usize) -> Result<(), Broken> {
        self.lose_connection(page);
        let role = self.pages[page].admitted.role;
        let machine = Arc::new(self.machine(page as u64, role));
        let this = &mut self.pages[page];
        this.machine = machine;
        this.keys.clear();
        (this.sending_with, this.gate_open, this.timer_ms) = (None, false, None);
        this.run += 1;
        this.beats = 0;
        self.ghost.crashed(page);
        self.connect(page)
    }

    fn garbage(&mut self, page: usize) -> Result<(), Broken> {
        let admitted = self.pages[page].admitted.clone();
        let message = ClientMessage::Commit {
            group_id: self.ghost.groups.last().cloned().unwrap_or_default(),
            epoch: self.ghost.relay_epoch,
            commit: B64(b"no commit at all".to_vec()),
            welcomes: Vec::new(),
            removed: Vec::new(),
        };
        if let Ok(deliveries) = Arc::make_mut(&mut self.relay).handle(&admitted, message) {
            self.deliver(deliveries, Tag::None);
        }
        Ok(())
    }

    /// The commit is ordered for its author and for whom it adds, and for nobody else.
    fn fork(&mut self, page: usize) {
        let Some(sent) = self.pages[page].outbox.pop_front() else {
            return;
        };
        let ClientMessage::Commit {
            group_id,
            epoch,
            commit,
            welcomes,
            ..
        } = sent.message.clone()
        else {
            return;
        };
        self.ghost.forked = true;
        let from = self.pages[page].admitted.participant;
        let mut letters = vec![(
            from,
            RelayMessage::Commit {
                seq: self.ghost.last_seq + 1,
                group_id: group_id.clone(),
                epoch,
                from,
                commit,
            },
        )];
        for WelcomeFor { to, welcome } in welcomes {
            letters.push((
                to,
                RelayMessage::Welcome {
                    group_id: group_id.clone(),
                    epoch: epoch + 1,
                    from,
                    welcome,
                },
            ));
        }
        for (to, message) in letters {
            let to_page = self
                .pages
                .iter_mut()
                .find(|page| page.admitted.participant == to && page.connected);
            if let Some(to_page) = to_page {
                let tag = Tag::None;
                to_page.inbox.push_back(Arc::new(Letter { message, tag }));
            }
        }
    }

    fn evil_strikes(&mut self, what: What) {
        let adds = self.evil_adds(what);
        let Some(evil) = self.evil.as_mut() else {
            return;
        };
        let Some(member) = evil.member.take() else {
            return;
        };
        let packages: Vec<&[u8]> = adds.iter().map(|(_, package)| package.as_slice()).collect();
        let (commit, welcome) =
            member.add(&self.world.policy, &packages, what == What::EvilContext);
        let message = ClientMessage::Commit {
            group_id: B64(member.group_id().to_vec()),
            epoch: member.epoch(),
            commit: B64(commit),
            welcomes: adds
                .iter()
                .zip(std::iter::repeat(welcome.unwrap_or_default()))
                .map(|((to, _), welcome)| WelcomeFor {
                    to: *to,
                    welcome: B64(welcome),
                })
                .collect(),
            removed: Vec::new(),
        };
        let admitted = evil.admitted.clone();
        if let Ok(deliveries) = Arc::make_mut(&mut self.relay).handle(&admitted, message) {
            self.deliver(deliveries, Tag::None);
        }
    }

    fn person(&mut self, what: What, page: usize) -> Result<(), Broken> {
        let recorder = self.pages[self.recorder()].admitted.participant;
        let round = self
            .shown(page)
            .and_then(|state| state.consent.as_ref())
            .map(|consent| consent.round);
        let command = match what {
            What::Ask => Command::RequestConsent(Box::new(asked_of(&self.world, recorder))),
            What::Grant => grant(),
            What::Refuse => refusal(),
            What::Withdraw => Command::Withdraw { wish: None },
            What::Start => Command::StartRecorder,
            What::Pause => Command::Pause,
            What::Agree => Command::AgreeResume,
            What::Stop => Command::StopRecording,
            What::Leave => Command::Leave,
            What::Admit => {
                let Some(participant) = self.shown(page).and_then(|state| self.to_admit(state))
                else {
                    return Ok(());
                };
                Command::Admit { participant }
            }
            What::AskWaiting | What::PauseAdmit => {
                let Some(participant) = self.shown(page).and_then(|state| self.to_admit(state))
                else {
                    return Ok(());
                };
                match what {
                    What::AskWaiting => Command::AskWaiting { participant },
                    _ => Command::PauseAndAdmit { participant },
                }
            }
            What::Deny | What::Remove | What::HandOver => {
                let state = self.shown(page);
                let whom = state.and_then(|state| match what {
                    What::Deny => self.to_admit(state),
                    What::Remove => self.to_remove(page, state),
                    _ => self.other_clinician(page, state),
                });
                let Some(participant) = whom else {
                    return Ok(());
                };
                if what == What::HandOver {
                    Command::HandOver { participant }
                } else {
                    self.ghost.sent_away(self.page_of(participant));
                    match what {
                        What::Deny => {
                            self.ghost.denied(self.page_of(participant));
                            Command::Deny { participant }
                        }
                        _ => Command::Remove { participant },
                    }
                }
            }
            What::Lock => Command::Lock {
                locked: self.shown(page).is_some_and(|state| !state.locked),
            },
            What::Beat => {
                self.pages[page].beats += 1;
                Command::Heartbeat {
                    part: 0,
                    segments: 0,
                    sealed_media_us: 0,
                }
            }
            _ => return Ok(()),
        };
        // Before the command, since a withdrawal counts from the click; undone if the machine refuses it.
        let before = self.ghost.decisions();
        self.ghost.decides(what, page, round);
        self.ghost.commands += 1;
        let id = self.ghost.commands;
        self.feed(page, Input::Command { id, command })?;
        if self.ghost.failed == Some(id) {
            self.ghost.undo(before);
        }
        Ok(())
    }

    fn page_of(&self, participant: ParticipantId) -> Option<usize> {
        let mut pages = self.pages.iter();
        pages.position(|page| page.admitted.participant == participant)
    }

    pub(super) fn feed(&mut self, page: usize, input: Input) -> Result<(), Broken> {
        let now_ms = self.now_ms;
        let this = &mut self.pages[page];
        let outputs = Arc::make_mut(&mut this.machine).handle(input, now_ms);
        let mut events = Vec::new();
        let mut reconnect = false;
        for output in outputs {
            match output {
                Output::Send { message } => {
                    let tag = this.tag(&message);
                    if this.connected {
                        let message = *message;
                        this.outbox.push_back(Arc::new(Sent { message, tag }));
                    }
                }
                Output::Event { event } => events.push(event),
                Output::InstallEpoch {
                    epoch, base_key, ..
                } => {
                    this.keys.insert(epoch, *base_key.0);
                }
                Output::UseEpoch { epoch } => this.sending_with = Some(epoch),
                Output::ClearKeys => {
                    this.keys.clear();
                    this.sending_with = None;
                }
                Output::Gate { open } => this.gate_open = open,
                Output::Reconnect => reconnect = true,
                Output::Remember { memory } => this.memory = Some(Arc::new(as_kept(&memory))),
                Output::Failed { id, .. } => {
                    // The newest command is answered last.
                    self.ghost.failed = Some(id);
                }
                Output::Timer { at_ms } => this.timer_ms = Some(at_ms),
                _ => {}
            }
        }
        self.check(page, &events)?;
        if reconnect {
            self.cut(page)?;
        }
        Ok(())
    }

    /// Delivers until nothing is under way.
    pub fn settle(&mut self) -> Result<(), Broken> {
        for _ in 0..3_000 {
            let busy = (0..self.pages.len())
                .find(|page| self.enabled(What::Relay, *page) || self.enabled(What::Hear, *page));
            let Some(page) = busy else { return Ok(()) };
            self.relay_hears(page)?;
            if self.enabled(What::Hear, page) {
                self.hear(page)?;
            }
        }
        Err(self.broken("rest", "the visit does not settle"))
    }

    /// Lets time pass with everything delivered; the host lets in who waits.
    pub fn run_until(&mut self, until_ms: u64, admit: bool) -> Result<(), Broken> {
        loop {
            self.settle()?;
            for page in 0..if admit { self.pages.len() } else { 0 } {
                if self.enabled(What::Connect, page) {
                    self.connect(page)?;
                    self.settle()?;
                }
            }
            for page in 0..if admit { self.pages.len() } else { 0 } {
                let is_closed = self
                    .shown(page)
                    .is_some_and(|state| state.locked && self.to_admit(state).is_some());
                for what in [What::Lock, What::PauseAdmit, What::Admit] {
                    if self.enabled(what, page) && (what != What::Lock || is_closed) {
                        let page = page as u8;
                        self.apply(Step { what, page })?;
                        self.settle()?;
                    }
                }
            }
            let next = (0..self.pages.len())
                .filter(|page| self.enabled(What::Time, *page))
                .min_by_key(|page| self.pages[*page].timer_ms)
                .filter(|page| self.pages[*page].timer_ms.is_some_and(|at| at <= until_ms));
            let Some(page) = next else { break };
            self.time(page)?;
        }
        self.now_ms = self.now_ms.max(until_ms);
        Ok(())
    }
}

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

fn is_for(to: To, who: ParticipantId) -> bool {
    match to {
        To::One(one) => one == who,
        To::Others(but) => but != who,
        To::All => true,
    }
}

impl Page {
    fn tag(&self, message: &ClientMessage) -> Tag {
        let ClientMessage::App { data, .. } = message else {
            return Tag::None;
        };
        let hash = sealed_visit_protocol::hash::sha256(&data.0);
        let outbox = &self.machine.link.outbox;
        match outbox.iter().find(|outgoing| outgoing.sent == Some(hash)) {
            Some(outgoing) => Tag::of(&outgoing.message),
            // A heartbeat is forgotten as soon as it is said.
            None => Tag::Beat(self.run, self.beats),
        }
    }
}

impl EvilPage {
    fn outside(admitted: Arc<Admitted>) -> Self {
        Self {
            admitted,
            member: None,
            welcome: None,
            old: None,
            replaced: 0,
            denials: 0,
        }
    }

    fn hear(&mut self, message: &RelayMessage) {
        match message {
            RelayMessage::Welcome { welcome, .. } => self.welcome = Some(welcome.clone()),
            RelayMessage::Commit { commit, .. } => {
                if let Some(member) = &mut self.member {
                    Arc::make_mut(member).try_follow(&commit.0);
                    let (count, context) = member.answered();
                    if count > 0 && self.old.as_ref().is_none_or(|old| old.1 <= count) {
                        self.old = Some(Arc::new((member.group_id().to_vec(), count, context)));
                    }
                }
            }
            RelayMessage::GroupCreated { .. } => self.member = None,
            _ => {}
        }
    }
}
