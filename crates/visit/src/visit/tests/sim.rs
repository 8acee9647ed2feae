//! A visit in memory: real state machines, the relay's real ordering code, and a network that a test controls.

use crate::group::Identity;
use crate::group::testing::{NOW_MS, World};
use crate::visit::{
    Command, Config, ConfigError, ErrorCode, Input, Output, Visit, VisitEvent, VisitMemory,
    VisitState,
};
use sealed_visit_protocol::consent::{PlaceClaims, StatementClaims};
use sealed_visit_protocol::wire::{ClientMessage, RelayMessage};
use sealed_visit_protocol::{B64, Jws, ParticipantId, Pass, Role};
use sealed_visit_relay::admission::Admitted;
use sealed_visit_relay::visit::{Delivery, To, Visit as RelayVisit};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use zeroize::Zeroizing;

/// A memory as a browser gives it back: read from the text that was kept.
pub fn as_kept(memory: &VisitMemory) -> VisitMemory {
    sealed_visit_protocol::json::from_slice(&serde_json::to_vec(memory).unwrap()).unwrap()
}

/// One participant's page: the machine, what a frame engine would know, and what a person would have seen.
pub struct Page {
    pub visit: Visit,
    pub admitted: Admitted,
    pub connected: bool,
    /// A test speaks with this participant's pass; the machine is not asked any more.
    pub is_key_only: bool,
    pub inbox: VecDeque<RelayMessage>,
    pub events: Vec<VisitEvent>,
    pub done: BTreeSet<u32>,
    pub failed: BTreeMap<u32, ErrorCode>,
    pub results: BTreeMap<u32, String>,
    pub messages: Vec<Vec<u8>>,
    /// Its own answers, with the withdrawals that were signed ahead.
    pub signed: Vec<(Jws<StatementClaims>, Vec<Jws<StatementClaims>>)>,
    /// What this page would hand to the vault, or put into a manifest.
    pub withdrawals: Vec<(Jws<StatementClaims>, bool)>,
    /// What the page keeps over a reload, beside its pass key; none once it was told to forget.
    pub memory: Option<VisitMemory>,
    pub has_forgotten: bool,
    /// Confirmed places, as a recorder would put them into its manifest.
    pub places: Vec<Jws<PlaceClaims>>,
    /// Base keys by epoch, as installed and not yet retired.
    pub keys: BTreeMap<u64, [u8; 16]>,
    pub sending_with: Option<u64>,
    pub gate_open: bool,
    timer_ms: Option<u64>,
    retire: Vec<(u64, u64)>,
}

pub struct Sim {
    pub world: World,
    pub relay: RelayVisit,
    pub now_ms: u64,
    pub pages: Vec<Page>,
    /// Messages to the relay that a test holds back.
    pub hold: Option<fn(&ClientMessage) -> bool>,
    pub held: Vec<(usize, ClientMessage)>,
    next_command: u32,
    /// Counts the machines: each draws its ids from another number.
    pub runs: u8,
}

impl Sim {
    pub fn new(seed: u64) -> Self {
        Self {
            world: World::new(seed),
            relay: RelayVisit::default(),
            now_ms: NOW_MS,
            pages: Vec::new(),
            hold: None,
            held: Vec::new(),
            next_command: 0,
            runs: 0,
        }
    }

    /// A visit with these roles, everybody admitted and live.
    pub fn live(roles: &[Role]) -> Self {
        let mut sim = Self::new(1);
        for role in roles {
            sim.open(*role);
        }
        sim.settle();
        for index in 1..roles.len() {
            let participant = sim.id(index);
            let done = sim.command(0, Command::Admit { participant });
            sim.settle();
            assert!(
                sim.pages[0].done.contains(&done),
                "{:?}",
                sim.pages[0].failed
            );
        }
        sim.pass_ms(1_500);
        sim
    }

    pub fn id(&self, page: usize) -> ParticipantId {
        self.pages[page].admitted.participant
    }

    /// The group that a page is in.
    pub fn group_id(&self, page: usize) -> B64 {
        let member = self.pages[page].visit.member().unwrap();
        B64(member.group.group_id().to_vec())
    }

    pub fn state(&self, page: usize) -> VisitState {
        self.pages[page].visit.state()
    }

    /// Opens a page for the next participant and connects it.
    pub fn open(&mut self, role: Role) -> usize {
        let n = self.pages.len() as u64;
        let jws = self.world.pass(n, role);
        let pass = Pass::verify_for(&jws, self.world.policy.clinic(), self.world.visit).unwrap();
        let visit = self.machine(n, role);
        self.pages.push(Page {
            visit,
            admitted: Admitted {
                visit: self.world.visit,
                participant: pass.participant(),
                role,
                pass,
            },
            connected: false,
            is_key_only: false,
            inbox: VecDeque::new(),
            events: Vec::new(),
            done: BTreeSet::new(),
            failed: BTreeMap::new(),
            results: BTreeMap::new(),
            messages: Vec::new(),
            signed: Vec::new(),
            withdrawals: Vec::new(),
            memory: None,
            has_forgotten: false,
            places: Vec::new(),
            keys: BTreeMap::new(),
            sending_with: None,
            gate_open: false,
            timer_ms: None,
            retire: Vec::new(),
        });
        self.connect(n as usize);
        n as usize
    }

    fn machine(&mut self, n: u64, role: Role) -> Visit {
        self.try_machine(n, role).unwrap()
    }

    /// The page starts from what it kept, with its first key.
    pub fn try_machine(&mut self, n: u64, role: Role) -> Result<Visit, ConfigError> {
        let identity = self.world.identity(n, role);
        self.machine_of(n, &identity)
    }

    fn machine_of(&mut self, n: u64, identity: &Identity) -> Result<Visit, ConfigError> {
        self.runs += 1;
        let (display_name, name_salt) = self.world.name(n);
        Visit::new(
            Config {
                root: self.world.root.public(),
                clinic_document: self.world.document.clone(),
                pass: identity.pass().jws().clone(),
                seed: identity.key().seed(),
                display_name,
                name_salt,
                entropy: Zeroizing::new([self.runs; 32]),
                memories: self
                    .pages
                    .get(n as usize)
                    .and_then(|page| page.memory.clone())
                    .into_iter()
                    .collect(),
            },
            self.now_ms,
        )
    }

    /// The page comes back on another device: with another key, and without its memory.
    pub fn lose_key(&mut self, page: usize, identity: &Identity) {
        self.disconnect(page);
        self.pages[page].memory = None;
        let visit = self.machine_of(page as u64, identity).unwrap();
        let this = &mut self.pages[page];
        (this.visit, this.admitted.pass) = (visit, identity.pass().clone());
        this.keys.clear();
        (this.sending_with, this.gate_open, this.timer_ms) = (None, false, None);
        self.connect(page);
    }

    /// The page is loaded anew: everything but identity and memory is gone.
    pub fn reload(&mut self, page: usize) {
        self.disconnect(page);
        let role = self.pages[page].admitted.role;
        let visit = self.machine(page as u64, role);
        let this = &mut self.pages[page];
        this.visit = visit;
        this.keys.clear();
        (this.sending_with, this.gate_open, this.timer_ms) = (None, false, None);
        self.connect(page);
    }

    pub fn connect(&mut self, page: usize) {
        self.pages[page].connected = true;
        let challenge = RelayMessage::Challenge {
            v: 1,
            nonce: B64(vec![7; 32]),
        };
        self.feed(page, Input::Relay { message: challenge });
    }

    pub fn disconnect(&mut self, page: usize) {
        if std::mem::replace(&mut self.pages[page].connected, false) {
            self.pages[page].inbox.clear();
            let who = self.id(page);
            let deliveries = self.relay.disconnect(who);
            self.deliver(deliveries);
            self.feed(page, Input::RelayClosed);
        }
    }

    pub fn command(&mut self, page: usize, command: Command) -> u32 {
        self.next_command += 1;
        let id = self.next_command;
        self.feed(page, Input::Command { id, command });
        id
    }

    /// Gives a command and lets everything settle; panics when it failed.
    pub fn must(&mut self, page: usize, command: Command) -> u32 {
        let id = self.command(page, command);
        self.settle();
        let this = &self.pages[page];
        assert!(
            this.done.contains(&id),
            "page {page}: {:?}",
            this.failed.get(&id)
        );
        id
    }

    pub fn feed(&mut self, page: usize, input: Input) {
        if self.pages[page].is_key_only {
            return;
        }
        let outputs = self.pages[page].visit.handle(input, self.now_ms);
        for output in outputs {
            self.carry_out(page, output);
        }
    }

    fn carry_out(&mut self, page: usize, output: Output) {
        let this = &mut self.pages[page];
        match output {
            Output::Send { message } => {
                if self.hold.is_some_and(|hold| hold(&message)) {
                    self.held.push((page, *message));
                } else {
                    self.relay_hears(page, *message);
                }
            }
            Output::Event { event } => this.events.push(event),
            Output::InstallEpoch {
                epoch, base_key, ..
            } => {
                this.keys.insert(epoch, *base_key.0);
            }
            Output::UseEpoch { epoch } => {
                assert!(
                    this.keys.contains_key(&epoch),
                    "sends with an epoch it was not given"
                );
                this.sending_with = Some(epoch);
            }
            Output::RetireEpoch { epoch, at_ms } => this.retire.push((at_ms, epoch)),
            Output::ClearKeys => {
                this.keys.clear();
                this.sending_with = None;
            }
            Output::Gate { open } => this.gate_open = open,
            Output::Timer { at_ms } => this.timer_ms = Some(at_ms),
            Output::Done { id, result } => {
                assert!(this.done.insert(id), "command {id} answered twice");
                this.results.extend(result.map(|result| (id, result)));
            }
            Output::Failed { id, error } => {
                assert!(
                    this.failed.insert(id, error.code).is_none(),
                    "command {id} answered twice"
                );
            }
            Output::Message { data, .. } => this.messages.push(data),
            Output::Signed {
                statement,
                withdrawals,
            } => this.signed.push((statement, withdrawals)),
            Output::Withdrawal { statement, mine } => this.withdrawals.push((statement, mine)),
            Output::Remember { memory } => this.memory = Some(as_kept(&memory)),
            Output::Forget => this.has_forgotten = true,
            Output::Place { place, .. } => this.places.push(place),
            Output::Reconnect => {
                self.disconnect(page);
                self.connect(page);
            }
            Output::State { .. } | Output::DropLeaf { .. } => {}
        }
    }

    pub fn relay_hears(&mut self, page: usize, message: ClientMessage) {
        if !self.pages[page].connected {
            return;
        }
        let admitted = self.pages[page].admitted.clone();
        let outcome = match message {
            ClientMessage::Hello { after_seq, .. } => {
                self.relay.connect(admitted.participant, after_seq)
            }
            message => self.relay.handle(&admitted, message),
        };
        match outcome {
            Ok(deliveries) => self.deliver(deliveries),
            Err(denied) => {
                let message = RelayMessage::Error {
                    code: denied.code,
                    detail: denied.detail.into(),
                };
                self.pages[page].inbox.push_back(message);
            }
        }
    }

    fn deliver(&mut self, deliveries: Vec<Delivery>) {
        let messages = deliveries.into_iter().flat_map(|Delivery { to, parcel }| {
            let messages = self.relay.messages_of(parcel);
            messages.into_iter().map(move |message| (to, message))
        });
        for (to, message) in messages.collect::<Vec<_>>() {
            for page in self.pages.iter_mut().filter(|page| page.connected) {
                let who = page.admitted.participant;
                let meant = match to {
                    To::One(one) => one == who,
                    To::Others(but) => but != who,
                    To::All => true,
                };
                if meant {
                    page.inbox.push_back(message.clone());
                }
            }
        }
    }

    /// Delivers until nothing is under way.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let Some(page) = (0..self.pages.len()).find(|page| !self.pages[*page].inbox.is_empty())
            else {
                return;
            };
            if let Some(message) = self.pages[page].inbox.pop_front() {
                self.feed(page, Input::Relay { message });
            }
        }
        panic!("the visit does not settle");
    }

    /// Lets time pass, with timers, heartbeats of a live recorder, and deliveries.
    pub fn pass_ms(&mut self, duration_ms: u64) {
        let end_ms = self.now_ms + duration_ms;
        self.settle();
        while self.now_ms < end_ms {
            let next = self
                .pages
                .iter()
                .filter_map(|page| page.timer_ms)
                .min()
                .unwrap_or(end_ms);
            self.now_ms = next.clamp(self.now_ms + 1, end_ms);
            for page in 0..self.pages.len() {
                let now_ms = self.now_ms;
                let this = &mut self.pages[page];
                let gone: Vec<u64> = this
                    .retire
                    .iter()
                    .filter(|(at_ms, _)| *at_ms <= now_ms)
                    .map(|(_, epoch)| *epoch)
                    .collect();
                this.retire.retain(|(at_ms, _)| *at_ms > now_ms);
                for epoch in gone {
                    this.keys.remove(&epoch);
                }
                if this.timer_ms.is_some_and(|at_ms| at_ms <= now_ms) {
                    this.timer_ms = None;
                    self.feed(page, Input::Tick);
                }
            }
            self.settle();
        }
    }

    /// Everybody who is live has the same epoch, roster, safety code, and a key that the others can decrypt.
    pub fn assert_agreed(&self) {
        let live: Vec<_> = self
            .pages
            .iter()
            .map(|page| (page, page.visit.state()))
            .filter(|(_, state)| state.phase == crate::visit::Phase::Live)
            .collect();
        for (page, state) in &live {
            let (_, first) = &live[0];
            assert_eq!(state.epoch, first.epoch);
            assert_eq!(state.safety_code, first.safety_code);
            assert_eq!(state.roster.len(), live.len(), "{:?}", state.roster);
            if let Some(epoch) = page.sending_with {
                for (other, _) in &live {
                    assert_eq!(
                        other.keys.get(&epoch),
                        page.keys.get(&epoch),
                        "epoch {epoch}"
                    );
                }
            }
        }
    }
}

impl Sim {
    /// As [`Self::assert_agreed`], for a recorder that waits outside.
    pub fn assert_agreed_without_recorder(&self) {
        let states: Vec<VisitState> = self
            .pages
            .iter()
            .filter(|page| page.admitted.role != Role::Recorder)
            .map(|page| page.visit.state())
            .collect();
        assert!(
            states
                .iter()
                .all(|state| state.safety_code == states[0].safety_code)
        );
    }
}
