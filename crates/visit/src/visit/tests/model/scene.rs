//! One state of the model: every page's machine, the relay, and what is under way between them.
//!
//! Cheap to clone: machines and messages are shared until a step changes them.

use super::ghost::{Ghost, Known};
use super::step::{Step, What};
use crate::group::Identity;
use crate::group::testing::{NOW_MS, World};
use crate::group::tests::evil::{Evil, EvilWaiting, LeftOut};
use crate::visit::app_message::AppMessage;
use crate::visit::{Command, Config, Input, Visit, VisitMemory};
use sealed_visit_protocol::wire::{ClientMessage, RelayMessage};
use sealed_visit_protocol::{B64, PublicKey, Role};
use sealed_visit_relay::admission::Admitted;
use sealed_visit_relay::visit::Visit as RelayVisit;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Nobody speaks while so much is still under way from its page.
pub(super) const MAX_UNDER_WAY: usize = 4;

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
    /// Browsers lose their pass keys, and pages come back with an older memory.
    pub loses: bool,
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
    /// What a browser keeps over a reload, beside the pass key.
    pub record: Record,
    /// The pass keys that it had, the present one last.
    pub held: Arc<Vec<PublicKey>>,
    /// Loaded beside the page and not connected, or a backup: what was remembered then, and what had been decided.
    pub second: Option<Arc<Second>>,
    /// It came back with an older memory.
    pub is_older: bool,
    /// What a page before knew and this one does not, until it is loaded the next time.
    pub elsewhere: Option<Arc<Known>>,
}

/// What each run of a page remembered last, as the worker keeps it: a run drops what it took over, and nothing else.
#[derive(Clone, Default)]
pub struct Record {
    others: Vec<Arc<VisitMemory>>,
    own: Option<Arc<VisitMemory>>,
    taken_over: Vec<Arc<VisitMemory>>,
}

impl From<Vec<Arc<VisitMemory>>> for Record {
    fn from(others: Vec<Arc<VisitMemory>>) -> Self {
        Self {
            others,
            ..Self::default()
        }
    }
}

impl Record {
    pub(super) fn all(&self) -> Vec<Arc<VisitMemory>> {
        self.others.iter().chain(&self.own).cloned().collect()
    }

    /// A run begins that read this much of what is kept.
    pub(super) fn load(&mut self, read: Vec<Arc<VisitMemory>>) {
        self.others = self.all();
        (self.own, self.taken_over) = (None, read);
    }

    pub(super) fn remember(&mut self, memory: VisitMemory) {
        self.own = Some(Arc::new(memory));
        let taken_over = &self.taken_over;
        self.others.retain(|other| !taken_over.contains(other));
    }
}

/// An older memory, with what the model knows of its time.
pub struct Second {
    pub(super) memories: Vec<Arc<VisitMemory>>,
    pub(super) known: Known,
}

/// Somebody without rules.
#[derive(Clone)]
pub struct EvilPage {
    pub admitted: Arc<Admitted>,
    /// None: it has lost its place.
    pub member: Option<Arc<Evil>>,
    welcome: Option<B64>,
    /// Of every group that it was in, when most had agreed.
    pub(super) old: Arc<Vec<OldGroup>>,
    /// What its group's context leaves out of the one that it repeats.
    pub(super) left_out: LeftOut,
    /// How often it has replaced the group.
    pub(super) replaced: u32,
    /// How often it has turned somebody away in the host's name.
    pub(super) denials: u32,
}

/// A group that somebody without rules was in.
#[derive(Clone)]
pub struct OldGroup {
    pub(super) id: Vec<u8>,
    pub(super) answered: usize,
    pub(super) context: mls_rs::ExtensionList,
    /// What there is to leave out.
    pub(super) holds: LeftOut,
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
    pub(super) fn of(message: &AppMessage) -> Self {
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

    pub(super) fn begin(&mut self) {
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
            let identity = self.world.identity(EVIL, Role::Clinician);
            let admitted = Arc::new(self.admitted(&identity));
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

    pub(super) fn must(&mut self, what: What, page: usize) {
        let page = page as u8;
        let done = self.apply(Step { what, page });
        assert!(matches!(done, Ok(true)), "{what:?} {page}: {done:?}");
        self.calm();
    }

    /// Delivers everything, with a second for keys to be switched.
    pub(super) fn calm(&mut self) {
        let until_ms = self.now_ms + 1_500;
        self.run_until(until_ms, false)
            .unwrap_or_else(|broken| panic!("the scene is broken from the start: {broken:?}"));
    }

    pub(super) fn open(&mut self, role: Role) {
        let n = self.pages.len() as u64;
        let identity = self.world.identity(n, role);
        let admitted = Arc::new(self.admitted(&identity));
        let machine = Arc::new(self.machine(n, &identity, &[]));
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
            record: Record::default(),
            held: Arc::new(vec![*identity.pass().key()]),
            second: None,
            is_older: false,
            elsewhere: None,
        });
        let is_late = self.setting.late && n as usize + 1 == self.setting.people.len();
        if !is_late {
            self.must(What::Connect, n as usize);
        }
    }

    pub(super) fn admitted(&self, identity: &Identity) -> Admitted {
        let pass = identity.pass().clone();
        Admitted {
            visit: self.world.visit,
            participant: pass.participant(),
            role: pass.role(),
            pass,
        }
    }

    /// Who a page is now, with the pass key that it has now.
    pub(super) fn identity(&self, page: usize) -> Identity {
        let (n, this) = (page as u64, &self.pages[page]);
        match this.held.len() as u64 - 1 {
            0 => self.world.identity(n, this.admitted.role),
            lost => self
                .world
                .identity_with_new_key(n, this.admitted.role, lost),
        }
    }

    pub(super) fn machine(
        &mut self,
        n: u64,
        identity: &Identity,
        memories: &[Arc<VisitMemory>],
    ) -> Visit {
        self.runs += 1;
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&self.runs.to_be_bytes());
        let (display_name, name_salt) = self.world.name(n);
        Visit::new(
            Config {
                root: self.world.root.public(),
                clinic_document: self.world.document.clone(),
                pass: identity.pass().jws().clone(),
                seed: identity.key().seed(),
                display_name,
                name_salt,
                entropy: Zeroizing::new(entropy),
                memories: memories.iter().map(|memory| (**memory).clone()).collect(),
            },
            self.now_ms,
        )
        .unwrap()
    }

    /// The host lets the one without rules in.
    pub(super) fn let_evil_in(&mut self) {
        let identity = self.world.identity(EVIL, Role::Clinician);
        let waiting = EvilWaiting::new(&identity);
        let admitted = Arc::new(self.admitted(&identity));
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

impl Page {
    pub(super) fn tag(&self, message: &ClientMessage) -> Tag {
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
    pub(super) fn outside(admitted: Arc<Admitted>) -> Self {
        Self {
            admitted,
            member: None,
            welcome: None,
            old: Arc::default(),
            left_out: LeftOut::default(),
            replaced: 0,
            denials: 0,
        }
    }

    pub(super) fn hear(&mut self, message: &RelayMessage) {
        match message {
            RelayMessage::Welcome { welcome, .. } => self.welcome = Some(welcome.clone()),
            RelayMessage::Commit { commit, .. } => {
                if let Some(member) = &mut self.member {
                    Arc::make_mut(member).try_follow(&commit.0);
                    let (answered, context) = member.answered();
                    let group = OldGroup {
                        id: member.group_id().to_vec(),
                        answered,
                        context,
                        holds: member.holds(),
                    };
                    let old = Arc::make_mut(&mut self.old);
                    match old.iter_mut().find(|known| known.id == group.id) {
                        Some(best) if best.answered <= answered => *best = group,
                        Some(_) => {}
                        None => old.push(group),
                    }
                }
            }
            RelayMessage::GroupCreated { .. } => self.member = None,
            _ => {}
        }
    }
}
