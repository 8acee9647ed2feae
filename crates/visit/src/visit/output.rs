//! What comes out of the state machine: messages to send, key changes, the state to show, and answers.

use super::state::VisitState;
use sealed_visit_protocol::bytes::base64url;
use sealed_visit_protocol::consent::{PlaceClaims, StatementClaims};
use sealed_visit_protocol::wire::ClientMessage;
use sealed_visit_protocol::{Jws, ParticipantId, Role, RoundId};
use serde::Serialize;
use zeroize::Zeroizing;

/// One output, to be carried out in order. Tagged by `t` in its serialized form.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(optional_fields = nullable))]
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Output {
    /// Send this to the relay.
    Send {
        /// The message.
        message: Box<ClientMessage>,
    },
    /// Close the connection to the relay and make a new one: the relay left something out.
    Reconnect,
    /// The state changed: the whole of it.
    State {
        /// The state as it is now. It replaces the one before.
        state: Box<VisitState>,
    },
    /// Something happened once.
    Event {
        /// What happened.
        event: VisitEvent,
    },
    /// A new epoch's base key, for receiving at once and for sending when told.
    InstallEpoch {
        /// The epoch.
        epoch: u64,
        /// Handed over apart, so that it never stands in a text that cannot be wiped.
        #[serde(skip)]
        base_key: BaseKey,
        /// This member's leaf, which names its own frames.
        own_leaf: u8,
        /// Who sends from which leaf. A recorder sends nothing, and is not among them.
        leaves: Vec<LeafOf>,
    },
    /// Send with this epoch's key from now on.
    UseEpoch {
        /// An epoch that was installed before.
        epoch: u64,
    },
    /// Forget an epoch's key at this time (milliseconds since the Unix epoch).
    RetireEpoch {
        /// The epoch.
        epoch: u64,
        /// When.
        at_ms: u64,
    },
    /// Forget at once what this leaf sent with in earlier epochs: its member was removed.
    DropLeaf {
        /// The last epoch that the leaf was in; its keys of earlier ones go too.
        epoch: u64,
        /// The leaf. Its number may belong to somebody else from the next epoch on.
        leaf: u8,
    },
    /// Forget every key: this member is in no group any more.
    ClearKeys,
    /// Closed: every outbound frame is dropped.
    Gate {
        /// True lets frames out, encrypted.
        open: bool,
    },
    /// Call with `tick` at or after this time (milliseconds since the Unix epoch). A later timer replaces it.
    Timer {
        /// When. There is one timer at most.
        at_ms: u64,
    },
    /// A command succeeded.
    Done {
        /// As in [`super::Input::Command`].
        id: u32,
        /// The signed open statement, for [`super::Command::SignOpen`]; absent for every other command.
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<String>,
    },
    /// A command failed; nothing changed.
    Failed {
        /// As in [`super::Input::Command`].
        id: u32,
        /// Why.
        error: CommandError,
    },
    /// Keep this in the place of what was kept before, in one record with the pass key, before anything that follows is
    /// sent: a later run takes it back in [`super::Config`].
    Remember {
        /// The whole memory.
        #[serde(serialize_with = "as_text")]
        #[cfg_attr(feature = "typescript", ts(type = "string"))]
        memory: Box<super::VisitMemory>,
    },
    /// The visit is over for this participant, by its own click, by its own clock or by the members' word: pass key and
    /// memory are needed no more. No server's word leads to this.
    Forget,
    /// This member's answer, signed, to keep.
    Signed {
        /// The signed statement.
        statement: Jws<StatementClaims>,
        /// For a grant: withdrawals from it, signed ahead, with the wish to delete and with the wish to keep. Whoever has
        /// one can withdraw after the visit, when the pass key is gone.
        withdrawals: Vec<Jws<StatementClaims>>,
    },
    /// A withdrawal from the open round, signed: for the vault, which takes it from anybody, and for the manifest of the
    /// part that it ends.
    Withdrawal {
        /// The signed statement.
        statement: Jws<StatementClaims>,
        /// This member's own.
        mine: bool,
    },
    /// The host's signed confirmation of a place: for the manifest of the part that is being recorded.
    Place {
        /// The round in which the place was stated.
        round: RoundId,
        /// Who stated it.
        participant: ParticipantId,
        /// The confirmation, signed by a clinician.
        place: Jws<PlaceClaims>,
    },
    /// Bytes from another member's `send`.
    Message {
        /// The member that sent them, as MLS authenticates it.
        from: ParticipantId,
        /// The bytes, as sent.
        #[serde(with = "base64url")]
        #[cfg_attr(feature = "typescript", ts(as = "sealed_visit_protocol::B64"))]
        data: Vec<u8>,
    },
}

/// What one input leads to. What must come first stands apart, so that no rule can put anything before it.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    /// The sending gate closes before anything else that the input caused.
    closes_gate: bool,
    /// The memory is kept before anything that follows from it leaves the device.
    memory: Option<Box<super::VisitMemory>>,
    rest: Vec<Output>,
}

impl Outputs {
    pub(super) fn push(&mut self, output: Output) {
        self.rest.push(output);
    }

    pub(super) fn close_gate(&mut self) {
        self.closes_gate = true;
    }

    pub(super) fn remember(&mut self, memory: super::VisitMemory) {
        self.memory = Some(Box::new(memory));
    }

    /// All of them, in the order in which they are carried out.
    pub fn in_order(self) -> Vec<Output> {
        let mut outputs = self.rest;
        if let Some(memory) = self.memory {
            outputs.insert(0, Output::Remember { memory });
        }
        if self.closes_gate {
            outputs.insert(0, Output::Gate { open: false });
        }
        outputs
    }
}

impl IntoIterator for Outputs {
    type Item = Output;
    type IntoIter = std::vec::IntoIter<Output>;

    fn into_iter(self) -> Self::IntoIter {
        self.in_order().into_iter()
    }
}

/// JSON inside JSON: JavaScript's numbers do not hold all of ours, and nobody there needs to look inside.
fn as_text<S: serde::Serializer>(
    memory: &super::VisitMemory,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = serde_json::to_string(memory).map_err(serde::ser::Error::custom)?;
    serializer.serialize_str(&text)
}

/// A leaf and who sits there.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LeafOf {
    /// The leaf's index, which names the frames sent from it.
    pub leaf: u8,
    /// Who sits there.
    pub participant: ParticipantId,
}

/// An SFrame base key on its way to the frame engine. Never serialized.
#[derive(Clone)]
pub struct BaseKey(pub Zeroizing<[u8; 16]>);

impl std::fmt::Debug for BaseKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BaseKey(redacted)")
    }
}

/// Something that happened once. Tagged by `e` in its serialized form.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(optional_fields = nullable))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "e", rename_all = "snake_case")]
pub enum VisitEvent {
    /// The group's keys are confirmed; media may flow.
    Live,
    /// Somebody is new in the roster. Who comes back with a new leaf is not.
    Joined {
        /// Who.
        participant: ParticipantId,
    },
    /// Somebody is no longer in the roster.
    Left {
        /// Who.
        participant: ParticipantId,
    },
    /// Host: somebody asks to be let in, and waits to be admitted or denied.
    AdmissionRequested {
        /// Who.
        participant: ParticipantId,
        /// As what, from the verified pass.
        role: Role,
    },
    /// A round opened, or this member came into one that it has not answered: [`VisitState::consent`] has it.
    ConsentRequested {
        /// The round.
        round: RoundId,
    },
    /// Somebody answered the open request, or an answer reached the group: see [`VisitState::consent`].
    ConsentAnswered,
    /// A recorder is in the roster now.
    RecorderJoined,
    /// A recorder left the roster. To a recorder itself: it must stop.
    RecorderLeft {
        /// Why.
        why: RecorderLeft,
    },
    /// Recording goes on in so many milliseconds unless somebody objects.
    Resuming {
        /// How long from now, in milliseconds.
        in_ms: u64,
    },
    /// Somebody withdrew. Who it was is known to the members, and not told to the recorder's page in words.
    Withdrawn {
        /// Whose withdrawal it is.
        participant: ParticipantId,
    },
    /// A member tried something that this group refuses.
    CommitRefused {
        /// Who it was; absent where that could not be authenticated.
        #[serde(skip_serializing_if = "Option::is_none")]
        offender: Option<ParticipantId>,
        /// Which rule it broke: a stable code.
        code: String,
    },
    /// A member lost its place and asks to come back.
    Rejoining,
    /// The visit is over for this member.
    Ended {
        /// Why.
        reason: super::state::EndReason,
    },
}

/// Why a recorder is no longer in the group.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecorderLeft {
    /// Somebody went off the record. The round stays open, and another part may follow.
    Paused,
    /// The host stopped recording, and the round with it.
    Stopped,
    /// Somebody withdrew.
    Withdrawn,
    /// It was removed, and nobody said why.
    Removed,
}

/// Why a command failed: a stable code, and words for a developer.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{code:?}: {message}")]
pub struct CommandError {
    /// Why, for programs.
    pub code: ErrorCode,
    /// Why, for developers: English words of no stable form.
    pub message: String,
}

impl CommandError {
    /// Out of line: every place that says why something failed is in what everybody downloads.
    #[cold]
    #[inline(never)]
    pub(super) fn new(code: ErrorCode, message: &str) -> Self {
        Self {
            code,
            message: message.to_owned(),
        }
    }
}

/// Codes of failed commands.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The visit is not in a state in which this is possible.
    NotLive,
    /// Only the host may do this.
    NotTheHost,
    /// Only the recorder may do this.
    NotTheRecorder,
    /// Nobody of that id waits or is a member.
    UnknownParticipant,
    /// There is no open consent round.
    NoRound,
    /// Not everybody has agreed.
    NotAgreed,
    /// The recorder has not asked to be let in yet.
    RecorderNotReady,
    /// A recorder is in the visit: ask the joiner, or pause first.
    RecordingInProgress,
    /// Whoever paused has not agreed to go on.
    PauserMustAgree,
    /// A pass or document was refused.
    Refused,
    /// The answer does not fit the request.
    BadAnswer,
    /// The request for consent is not valid.
    BadRequest,
    /// The visit is locked.
    Locked,
    /// The group was left before the commit was ordered.
    Interrupted,
}
