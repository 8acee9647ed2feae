//! The state that people are shown: one snapshot, computed from the group, never from a server's word.

use sealed_visit_protocol::clinic::RecipientRef;
use sealed_visit_protocol::consent::{ConsentText, Purpose, StatementKind, Terms};
use sealed_visit_protocol::{ParticipantId, Role, RoundId, VisitId};
use serde::Serialize;

/// Everything a page shows about the visit.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VisitState {
    /// How far this member has come.
    pub phase: Phase,
    /// Why it ended; none before.
    pub end_reason: Option<EndReason>,
    /// The end is this member's own decision, its clock's or the members' word, and not a server's alone: credentials are
    /// needed no more.
    pub end_is_final: bool,
    /// The visit's id.
    pub visit: VisitId,
    /// This participant.
    pub me: Me,
    /// The clinic, from its signed document.
    pub clinic: ClinicView,
    /// The group's epoch; none while this member's place in a group is not confirmed.
    pub epoch: Option<u64>,
    /// The clinician who is host; while none is here, who commits at the moment.
    pub host: Option<ParticipantId>,
    /// Everybody in the group, this member and a recorder included; empty while its place is not confirmed.
    pub roster: Vec<Member>,
    /// Who waits to be let in; not who comes back with the key of before, which needs no click.
    pub waiting: Vec<WaitingView>,
    /// Nobody new is let in.
    pub locked: bool,
    /// Who can see and hear this.
    pub label: Label,
    /// Digits of the current epoch, for people to compare aloud; none while this member's place is not confirmed.
    pub safety_code: Option<String>,
    /// The safety code was compared, and nobody but a recorder has come since with a key that was not here then.
    pub verified: bool,
    /// Whether this is recorded.
    pub indicator: Indicator,
    /// The open consent round, also while this participant is asked in the waiting room; none without one.
    pub consent: Option<ConsentView>,
    /// Whether this member's sound and picture go out.
    pub sending: Sending,
    /// What went wrong or was refused, the oldest first; at most 20.
    pub problems: Vec<Problem>,
}

/// How far a member has come.
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
    /// Over for this member; see [`VisitState::end_reason`].
    Ended,
}

/// Why a visit ended for a member.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The person left.
    Left,
    /// A clinician ended the visit for all, or the relay says that it is over and not why.
    EndedByHost,
    /// The visit's time is over: the last pass has expired.
    TimeOver,
    /// Nobody was connected for long.
    Empty,
    /// A commit removed this member.
    Removed,
    /// A clinician turned this participant away. The person can ask again.
    Denied,
    /// The same participant joined from another page.
    Replaced,
    /// The relay did not accept this member, or it could not go on.
    Failed,
}

/// This participant, from its pass.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Me {
    /// Its id.
    pub participant: ParticipantId,
    /// Its role.
    pub role: Role,
    /// Its display name.
    pub name: String,
    /// This member is the host now.
    pub host: bool,
}

/// What the clinic says of itself in its signed document.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClinicView {
    /// Its name.
    pub name: String,
    /// Contact for questions about recordings.
    pub contact: String,
}

/// A member of the group.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its id.
    pub participant: ParticipantId,
    /// Its role, from the pass.
    pub role: Role,
    /// Opened from the pass's commitment; none until the member told it.
    pub name: Option<String>,
    /// Its leaf, which names its frames.
    pub leaf: u8,
    /// Whether it is connected, by the relay's word; always true for this member.
    pub connected: bool,
    /// Whether it is this member.
    pub is_me: bool,
}

/// Somebody who waits to be let in.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitingView {
    /// Who.
    pub participant: ParticipantId,
    /// As what, from the verified pass.
    pub role: Role,
    /// The host asked this person for consent while it waits.
    pub asked: bool,
    /// The answer, once it has come; for the host who asked.
    pub answer: Option<StatementKind>,
}

/// Who can see and hear this, from the roster alone.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Label {
    /// No server is in the roster: only those listed there can see and hear this.
    EndToEnd,
    /// A declared server is in the roster, and can see and hear this.
    ServerPresent,
}

/// The recording indicator. A recorder in the roster is never shown as absent.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Indicator {
    /// No recorder is in the roster, and none has left since the last request.
    NotRecorded,
    /// In the roster, with a heartbeat of the last three seconds.
    Recording {
        /// What for.
        purpose: Purpose,
        /// Since when this member has seen the recorder in the roster, milliseconds since the Unix epoch.
        since_ms: u64,
    },
    /// In the roster, without one.
    RecorderPresent {
        /// What for; none while no round is open.
        purpose: Option<Purpose>,
    },
    /// No recorder is in the roster: somebody went off the record. Recording may go on later.
    Paused {
        /// What for; `other` while no round is open.
        purpose: Purpose,
        /// It was this participant who went off the record.
        by_me: bool,
    },
    /// No recorder is in the roster: this participant withdrew.
    StoppedByYou,
    /// No recorder is in the roster: the host stopped it, somebody else withdrew, or it was removed.
    Stopped,
}

/// The open consent round.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsentView {
    /// The round's id.
    pub round: RoundId,
    /// What the recording would be for.
    pub purpose: Purpose,
    /// The clinician who signed the request.
    pub host: ParticipantId,
    /// That clinician's display name; none until it was told.
    pub host_name: Option<String>,
    /// The participant that would record.
    pub recorder: ParticipantId,
    /// To whom the recording would be sealed.
    pub recipients: Vec<RecipientRef>,
    /// What else people agree to.
    pub terms: Terms,
    /// The texts to show.
    pub texts: Vec<TextView>,
    /// The host's reason, in words; empty when there is none or it has not arrived.
    pub note: String,
    /// Number to call back in an emergency; for clinicians only.
    pub emergency: String,
    /// Who agreed to words in another language than the own, and for whom no interpreter has signed yet. For the host and
    /// for interpreters only.
    pub interpreter_needed: Vec<ParticipantId>,
    /// What this participant has answered; none while an answer is due.
    pub my_answer: Option<StatementKind>,
    /// Whether everybody in the roster has agreed, so that the recorder may be added.
    pub all_agreed: bool,
    /// Whether somebody refused or withdrew; in the waiting room, only whether this participant refused.
    pub someone_refused: bool,
    /// How many of the roster have an answer that need not be given again; 0 in the waiting room.
    pub answered: usize,
    /// How many of the roster are asked: all but a recorder; 0 in the waiting room.
    pub asked: usize,
    /// For the host only: who answered what.
    pub by_participant: Vec<AnswerOf>,
    /// Whether the host asks again after a refusal.
    pub asked_again: bool,
}

/// A consent text of the request.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TextView {
    /// How the request names it.
    #[serde(flatten)]
    pub reference: ConsentText,
    /// The words, when a text with exactly this hash has arrived.
    pub text: Option<String>,
}

/// What one participant answered.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerOf {
    /// Who.
    pub participant: ParticipantId,
    /// What.
    pub answer: StatementKind,
    /// The place stated.
    pub place: String,
    /// The host confirmed exactly this place.
    pub place_confirmed: bool,
}

/// Whether this member's frames go out.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sending {
    /// True if they do.
    pub open: bool,
    /// Why they do not; none if they do.
    pub reason: Option<NotSending>,
}

/// Why a member sends nothing.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotSending {
    /// It is not live in a group, has no key to send with yet, or is a recorder, which never sends.
    NotLive,
    /// A withdrawal is known, and the recorder is still in the group; or the person withdrew while this member was in none; or
    /// the person paused, and a recorder came back without the person's agreement.
    Withdrawn,
    /// A commit was refused; a new group is being made.
    RefusedCommit,
}

/// Something a person should know about, in a code that pages turn into words.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Which problem.
    pub code: ProblemCode,
    /// When it was noticed first, by this device's clock, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Whom it is about, where that is known.
    pub participant: Option<ParticipantId>,
}

/// What went wrong, or was refused.
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
