//! The state that people are shown: one snapshot, computed from the group, never from a server's word.

use sealed_visit_protocol::clinic::RecipientRef;
use sealed_visit_protocol::consent::{ConsentText, Purpose, StatementKind, Terms};
use sealed_visit_protocol::{ParticipantId, Role, RoundId, VisitId};
use serde::Serialize;

/// Everything a page shows about the visit.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VisitState {
    pub phase: Phase,
    pub end_reason: Option<EndReason>,
    /// The end is this member's own decision, its clock's or the members' word, and not a server's alone: credentials are
    /// needed no more.
    pub end_is_final: bool,
    pub visit: VisitId,
    pub me: Me,
    pub clinic: ClinicView,
    pub epoch: Option<u64>,
    /// The clinician who is host; while none is here, who commits at the moment.
    pub host: Option<ParticipantId>,
    pub roster: Vec<Member>,
    pub waiting: Vec<WaitingView>,
    /// Nobody new is let in.
    pub locked: bool,
    pub label: Label,
    pub safety_code: Option<String>,
    pub verified: bool,
    pub indicator: Indicator,
    pub consent: Option<ConsentView>,
    pub sending: Sending,
    pub problems: Vec<Problem>,
}

#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// No connection to the relay yet.
    Connecting,
    /// Waits to be let in.
    Waiting,
    /// In the group, keys confirmed.
    Live,
    /// In a group whose keys are not confirmed, or left for a new one.
    Rekeying,
    Ended,
}

#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    Left,
    EndedByHost,
    /// The visit's time is over: the last pass has expired.
    TimeOver,
    /// Nobody was connected for long.
    Empty,
    Removed,
    Denied,
    /// The same participant joined from another page.
    Replaced,
    Failed,
}

#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Me {
    pub participant: ParticipantId,
    pub role: Role,
    pub name: String,
    /// This member is the host now.
    pub host: bool,
}

#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClinicView {
    pub name: String,
    pub contact: String,
}

#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    pub participant: ParticipantId,
    pub role: Role,
    /// Opened from the pass's commitment; none until the member told it.
    pub name: Option<String>,
    pub leaf: u8,
    pub connected: bool,
    pub is_me: bool,
}

#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitingView {
    pub participant: ParticipantId,
    pub role: Role,
    /// The host asked this person for consent while it waits.
    pub asked: bool,
    pub answer: Option<StatementKind>,
}

/// Who can see and hear this, from the roster alone.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Label {
    EndToEnd,
    ServerPresent,
}

/// The recording indicator. A recorder in the roster is never shown as absent.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Indicator {
    NotRecorded,
    /// In the roster, with a heartbeat of the last three seconds.
    Recording {
        purpose: Purpose,
        since_ms: u64,
    },
    /// In the roster, without one.
    RecorderPresent {
        purpose: Option<Purpose>,
    },
    Paused {
        purpose: Purpose,
        by_me: bool,
    },
    StoppedByYou,
    Stopped,
}

/// The open consent round.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsentView {
    pub round: RoundId,
    pub purpose: Purpose,
    pub host: ParticipantId,
    pub host_name: Option<String>,
    pub recorder: ParticipantId,
    pub recipients: Vec<RecipientRef>,
    pub terms: Terms,
    pub texts: Vec<TextView>,
    pub note: String,
    /// Number to call back in an emergency; for clinicians only.
    pub emergency: String,
    /// Who agreed to words in another language than the own, and for whom no interpreter has signed yet. For the host and
    /// for interpreters only.
    pub interpreter_needed: Vec<ParticipantId>,
    pub my_answer: Option<StatementKind>,
    pub all_agreed: bool,
    pub someone_refused: bool,
    pub answered: usize,
    pub asked: usize,
    /// For the host only: who answered what.
    pub by_participant: Vec<AnswerOf>,
    pub asked_again: bool,
}

#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TextView {
    #[serde(flatten)]
    pub reference: ConsentText,
    /// The words, when a text with exactly this hash has arrived.
    pub text: Option<String>,
}

#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerOf {
    pub participant: ParticipantId,
    pub answer: StatementKind,
    /// The place stated.
    pub place: String,
    /// The host confirmed exactly this place.
    pub place_confirmed: bool,
}

#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sending {
    pub open: bool,
    pub reason: Option<NotSending>,
}

#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotSending {
    NotLive,
    /// A withdrawal is known, and the recorder is still in the group; or the person withdrew while this member was in none.
    Withdrawn,
    /// A commit was refused; a new group is being made.
    RefusedCommit,
}

/// Something a person should know about, in a code that pages turn into words.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub code: ProblemCode,
    pub at_ms: u64,
    pub participant: Option<ParticipantId>,
}

#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemCode {
    /// A commit broke a rule of the group and was not followed.
    CommitRefused,
    /// Somebody without a valid pass asked to be let in.
    GhostRefused,
    /// A welcome led into a group that this member must not enter.
    WelcomeRefused,
    /// A request named a key that the clinic's document does not list.
    KeySwapped,
    /// A message did not decrypt or verify.
    MessageRefused,
    /// The relay is not reachable.
    RelayUnreachable,
    /// The relay left out messages; they are asked for again.
    MessagesMissing,
    /// The relay holds back the commit that would end the recording.
    CommitWithheld,
    /// A recorder is in the visit and says nothing.
    RecorderSilent,
}
