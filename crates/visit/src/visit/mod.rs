//! The visit: one sans-IO state machine over the group, the relay and the people.
//!
//! Inputs ([`Input`]) go into [`Visit::handle`] with the time; outputs ([`Output`]) come back, to be carried out in
//! order. Everything the machine shows ([`VisitState`]) is computed from the group's roster and from signed
//! documents, never from a server's word.
//!
//! Invariants, each with tests that try to break it:
//! - a frame key leaves this machine only for an epoch whose roster passed the gate, and, for who joined, after
//!   another member proved the same epoch;
//! - while a withdrawal is known and the recorder is still in the group, the sending gate is closed;
//! - a commit is followed only after the relay ordered it, and a refused one never.
//!
//! | file | what |
//! |---|---|
//! | `input`, `output`, `state` | the shapes that cross the boundary |
//! | `rules` | what follows from the state after every input, and when something follows next |
//! | `link` | the relay: hello, order, catching up, what was sent and not yet heard back |
//! | `membership` | asking to join, joining, losing one's place |
//! | `admission` | who waits, and who is let in |
//! | `commits` | what is wanted, under way, ordered |
//! | `refusal` | refused commits and unreadable messages: leaving for a new group |
//! | `consent` | the host's request, everybody's statements |
//! | `signing` | what this member signs |
//! | `recorder`, `recording` | the recorder's coming and going; what is remembered of it |
//! | `memory` | what outlives groups, page loads and workers |
//! | `withdrawal` | from the statement to an epoch without the recorder |
//! | `meeting` | who is host, the lock |
//! | `outside` | asking somebody who waits, while a recording is under way |
//! | `keys` | when an epoch's key is installed, used, retired |
//! | `view` | the snapshot |

mod admission;
mod app_message;
mod command;
mod commits;
mod consent;
mod input;
mod keys;
mod link;
mod meeting;
mod membership;
mod memory;
mod output;
mod outside;
mod recorder;
mod recording;
mod refusal;
mod rules;
mod signing;
mod state;
mod view;
mod withdrawal;

pub use input::{Command, ConsentRequest, GivenAnswer, Input, OpenPart, TextBody};
pub use memory::VisitMemory;
pub use output::{
    BaseKey, CommandError, ErrorCode, LeafOf, Output, Outputs, RecorderLeft, VisitEvent,
};
pub use state::{
    AnswerOf, ClinicView, ConsentView, EndReason, Indicator, Label, Me, Member, NotSending, Phase,
    Problem, ProblemCode, Sending, TextView, VisitState, WaitingView,
};

use crate::group::{Group, Identity, Joiner, Policy};
use admission::Waiter;
use app_message::AppMessage;
use link::Link;
use membership::Membership;
use recording::RecordingMemory;
use sealed_visit_protocol::clinic::{ClinicClaims, ClinicError};
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::pass::{PassClaims, PassError, name_commitment};
use sealed_visit_protocol::sorted::{SortedMap, SortedSet};
use sealed_visit_protocol::{
    B64, ClinicDocument, Hash32, Jws, ParticipantId, Pass, PublicKey, Role, RootKey, SigningKey,
};
use zeroize::Zeroizing;

/// How many problems are kept for showing.
const MAX_PROBLEMS: usize = 20;

/// What a participant brings to a visit.
pub struct Config {
    /// The pinned root key.
    pub root: RootKey,
    /// The clinic document, signed by the root. It must be valid now, and no older than one seen in this visit.
    pub clinic_document: Jws<ClinicClaims>,
    /// This participant's pass, which must not have expired.
    pub pass: Jws<PassClaims>,
    /// Seed of the pass key.
    pub seed: Zeroizing<[u8; 32]>,
    /// The name that the others are shown. The pass holds a commitment to it.
    pub display_name: String,
    /// The salt of that commitment ([`name_commitment`]).
    pub name_salt: [u8; 16],
    /// 32 random bytes from which this run's identifiers are made.
    pub entropy: Zeroizing<[u8; 32]>,
    /// What earlier runs of this participant handed out to be kept ([`Output::Remember`]), the latest last. Several, where
    /// two pages of one participant were open at once.
    pub memories: Vec<VisitMemory>,
}

/// Why a visit cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The clinic document is refused or not valid now: get the present one.
    #[error(transparent)]
    Clinic(#[from] ClinicError),
    /// The pass is refused, has expired, or is not bound to the seed's key: get another.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// Name and salt are not those of the pass's commitment.
    #[error("the pass is bound to another display name")]
    OtherName,
    /// The clinic document is older than one that this participant took part under: get the present one.
    #[error("the clinic's document has number {got}; in this visit, number {seen} was seen")]
    OlderClinicDocument {
        /// The highest number seen in this visit.
        seen: u64,
        /// The number of the document at hand.
        got: u64,
    },
}

/// One participant's side of one visit.
#[derive(Clone)]
pub struct Visit {
    identity: Identity,
    policy: Policy,
    me: ParticipantId,
    role: Role,
    name: String,
    salt: [u8; 16],
    entropy: Entropy,
    now_ms: u64,
    link: Link,
    stage: Stage,
    peers: SortedMap<ParticipantId, Peer>,
    waiting: SortedMap<ParticipantId, Waiter>,
    /// Who belonged to a group that was left: let back in without a click.
    regroup: SortedMap<ParticipantId, PublicKey>,
    /// Who the host let in: may come back with the same key.
    admitted: SortedMap<ParticipantId, PublicKey>,
    denied: SortedSet<ParticipantId>,
    memory: VisitMemory,
    /// The memory as it was last handed out.
    kept: Option<VisitMemory>,
    end_is_final: bool,
    /// Whose messages could not be read.
    garbled: refusal::Garbled,
    /// Key packages serve once: these did.
    used_key_packages: SortedSet<Hash32>,
    /// Host: who was asked for consent while waiting.
    asked: SortedMap<ParticipantId, outside::Asked>,
    recording: RecordingMemory,
    keys: keys::KeySchedule,
    problems: Vec<Problem>,
    /// Keys of the members when their safety code was compared.
    verified: Option<SortedMap<ParticipantId, PublicKey>>,
    gate_open: bool,
    shown: Option<VisitState>,
    timer_ms: Option<u64>,
    out: Outputs,
}

#[derive(Clone)]
enum Stage {
    /// Nothing heard from the relay yet.
    Connecting(Box<Outside>),
    /// Asked the relay to start this group.
    Creating {
        group: Box<Group>,
        replaces: Option<B64>,
        said_ms: u64,
        outside: Box<Outside>,
    },
    /// Published a key package.
    Waiting {
        joiner: Box<Joiner>,
        key_package: Vec<u8>,
        since_ms: u64,
        said_ms: u64,
        outside: Box<Outside>,
    },
    Member(Box<Membership>),
    Ended(EndReason, Box<Outside>),
}

/// What is known as long as this member is not live in a group.
#[derive(Clone, Default)]
struct Outside {
    /// How often the relay refused to start a group for this member.
    refused_creations: u32,
    /// The host says that the visit is locked.
    locked_out: bool,
    /// What the host asks while this member waits.
    asking: Option<outside::Asking>,
    /// The person withdrew.
    has_withdrawn: bool,
}

#[derive(Clone, Default)]
struct Peer {
    connected: bool,
    name: Option<String>,
}

/// Makes identifiers from random bytes that came in once.
#[derive(Clone)]
struct Entropy {
    seed: Zeroizing<[u8; 32]>,
    count: u64,
}

impl Entropy {
    fn bytes16(&mut self) -> [u8; 16] {
        self.count += 1;
        let mut input = Zeroizing::new(self.seed.to_vec());
        input.extend_from_slice(&self.count.to_be_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&sha256(&input).0[..16]);
        id
    }
}

impl Visit {
    /// Checks the clinic document against the pinned root, and the pass against the document and the time.
    pub fn new(config: Config, now_ms: u64) -> Result<Self, ConfigError> {
        let clinic = ClinicDocument::verify(&config.clinic_document, &config.root)?;
        clinic.check_time(now_ms)?;
        let pass = Pass::verify(&config.pass, &clinic)?;
        pass.check_time(now_ms)?;
        let key = SigningKey::from_seed(&config.seed);
        if pass.name_commitment() != name_commitment(&config.name_salt, &config.display_name) {
            return Err(ConfigError::OtherName);
        }
        let policy = Policy::new(clinic, pass.visit());
        let identity = Identity::new(&config.pass, key, &policy)
            .map_err(|_| ConfigError::Pass(PassError::OtherKey))?;
        let mut memory = VisitMemory::merged(config.memories);
        let (seen, got) = (memory.clinic_number, policy.clinic().claims().number);
        if got < seen {
            return Err(ConfigError::OlderClinicDocument { seen, got });
        }
        memory.clinic_number = got;
        let mut recording = RecordingMemory::default();
        recording.remember_declined(memory.signed(), &policy, pass.participant(), now_ms);
        if memory.ends_in_a_withdrawal() {
            recording.left = Some((RecorderLeft::Withdrawn, pass.participant()));
        }
        Ok(Self {
            me: pass.participant(),
            role: pass.role(),
            identity,
            policy,
            name: config.display_name,
            salt: config.name_salt,
            entropy: Entropy {
                seed: config.entropy,
                count: 0,
            },
            now_ms,
            link: Link::default(),
            stage: Stage::Connecting(Box::default()),
            peers: SortedMap::new(),
            waiting: SortedMap::new(),
            regroup: SortedMap::new(),
            admitted: SortedMap::new(),
            denied: SortedSet::new(),
            memory,
            kept: None,
            end_is_final: false,
            garbled: refusal::Garbled::default(),
            used_key_packages: SortedSet::new(),
            asked: SortedMap::new(),
            recording,
            keys: keys::KeySchedule::default(),
            problems: Vec::new(),
            verified: None,
            gate_open: false,
            shown: None,
            timer_ms: None,
            out: Outputs::default(),
        })
    }

    /// Takes one input at a time (milliseconds since the Unix epoch) and returns what is to be done.
    pub fn handle(&mut self, input: Input, now_ms: u64) -> Outputs {
        // A clock that jumps back must not bring a timer back.
        self.now_ms = self.now_ms.max(now_ms);
        match input {
            Input::Relay { message } => self.on_relay(message),
            Input::RelayClosed => self.on_relay_closed(),
            Input::Tick => self.timer_ms = None,
            Input::Command { id, command } => self.on_command(id, command),
        }
        self.run_rules();
        std::mem::take(&mut self.out)
    }

    /// What is shown now.
    pub fn state(&self) -> VisitState {
        self.view()
    }

    #[inline(never)]
    fn event(&mut self, event: VisitEvent) {
        self.out.push(Output::Event { event });
    }

    #[inline(never)]
    fn problem(&mut self, code: ProblemCode, participant: Option<ParticipantId>) {
        if self
            .problems
            .iter()
            .any(|known| known.code == code && known.participant == participant)
        {
            return;
        }
        if self.problems.len() == MAX_PROBLEMS {
            self.problems.remove(0);
        }
        self.problems.push(Problem {
            code,
            at_ms: self.now_ms,
            participant,
        });
    }

    fn clear_problem(&mut self, code: ProblemCode) {
        self.problems.retain(|problem| problem.code != code);
    }

    fn member(&self) -> Option<&Membership> {
        match &self.stage {
            Stage::Member(member) => Some(member),
            _ => None,
        }
    }

    fn member_mut(&mut self) -> Option<&mut Membership> {
        match &mut self.stage {
            Stage::Member(member) => Some(member),
            _ => None,
        }
    }

    /// What is known outside of a group; none once this member is live in one.
    fn outside(&self) -> Option<&Outside> {
        match &self.stage {
            Stage::Connecting(outside)
            | Stage::Creating { outside, .. }
            | Stage::Waiting { outside, .. }
            | Stage::Ended(_, outside) => Some(outside),
            Stage::Member(member) => member.outside.as_deref(),
        }
    }

    fn outside_mut(&mut self) -> Option<&mut Outside> {
        match &mut self.stage {
            Stage::Connecting(outside)
            | Stage::Creating { outside, .. }
            | Stage::Waiting { outside, .. }
            | Stage::Ended(_, outside) => Some(outside),
            Stage::Member(member) => member.outside.as_deref_mut(),
        }
    }

    /// For the next stage; nothing, where this member was live.
    fn take_outside(&mut self) -> Box<Outside> {
        Box::new(self.outside_mut().map(std::mem::take).unwrap_or_default())
    }

    /// What the host asks somebody who is not live yet.
    fn asking(&self) -> Option<&outside::Asking> {
        self.outside()?.asking.as_ref()
    }

    /// Ends by this member's own decision or by the members' word: nothing of the visit is needed any more.
    fn end_for_good(&mut self, reason: EndReason) {
        self.end(reason);
        self.end_is_final = true;
        self.out.push(Output::Forget);
    }

    fn end(&mut self, reason: EndReason) {
        if !matches!(self.stage, Stage::Ended(..)) {
            self.interrupt_commands();
            self.stage = Stage::Ended(reason, self.take_outside());
            self.keys.clear(&mut self.out);
            self.event(VisitEvent::Ended { reason });
        }
    }
}

// They use the relay's ordering code, which is not for WebAssembly.
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
