//! What goes into the state machine: the relay's messages, the page's commands, and the passing of time.

use sealed_visit_protocol::clinic::RecipientRef;
use sealed_visit_protocol::consent::{
    Answer, ConsentText, Layer, Purpose, StatementKind, Terms, Tick, WithdrawalWish,
};
use sealed_visit_protocol::recording::{OpenTrack, PreviousPart};
use sealed_visit_protocol::tagged_enum;
use sealed_visit_protocol::wire::RelayMessage;
use sealed_visit_protocol::{B64, ParticipantId, PublicKey, RecordingId, RoundId};
use serde::{Deserialize, Serialize};

tagged_enum! {
    /// One input. Tagged by `t` in its serialised form.
    #[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
    #[derive(Debug, Clone, Serialize)]
    #[serde(tag = "t", rename_all = "snake_case")]
    pub enum Input("Input", tag = "t") {
        /// A message from the relay, in the order it arrived. Media signalling is not for this machine.
        Relay { message: RelayMessage },
        /// The connection to the relay is lost; the embedder makes a new one, which begins with a challenge.
        RelayClosed,
        /// The time asked for by [`super::Output::Timer`] has come.
        Tick,
        /// A command of the person or the embedder; answered by `done` or `failed` with the same id.
        Command { id: u32, command: Command },
    }
}

tagged_enum! {
    /// A command. Tagged by `c` in its serialised form.
    #[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(optional_fields = nullable))]
    #[derive(Debug, Clone, Serialize)]
    #[serde(tag = "c", rename_all = "snake_case")]
    pub enum Command("Command", tag = "c") {
        /// Host: lets somebody in who waits.
        Admit { participant: ParticipantId },
        /// Host: while a recording is under way, asks somebody who waits for consent, and lets them in when they agree.
        AskWaiting { participant: ParticipantId },
        /// Host: takes the recorder out and lets somebody in who waits, by one commit.
        PauseAndAdmit { participant: ParticipantId },
        /// Host: turns somebody away who waits.
        Deny { participant: ParticipantId },
        /// Host: removes a member; keys change.
        Remove { participant: ParticipantId },
        /// Host: asks everybody for consent, by a new round.
        RequestConsent(Box<ConsentRequest>),
        /// Host: keeps newcomers out, or lets them ask again. Who was in the visit can come back.
        Lock { locked: bool },
        /// Host: makes another clinician of the roster the host.
        HandOver { participant: ParticipantId },
        /// Host: confirms the place that somebody stated. Evidence, not a switch.
        ConfirmPlace { participant: ParticipantId },
        /// Agrees to, or refuses, the open request.
        Answer(GivenAnswer),
        /// Takes a grant back. Sending stops before this call returns.
        Withdraw {
            #[serde(default)]
            wish: Option<WithdrawalWish>,
        },
        /// Host: adds the waiting recorder of the open round, at first or again after a pause.
        StartRecorder,
        /// Anybody: takes the recorder out of the group; the round stays open.
        Pause,
        /// Whoever paused: agrees that recording goes on.
        AgreeResume,
        /// Host: takes the recorder out and asks for no more.
        StopRecording,
        /// Sends bytes to all members; never recorded or stored.
        Send {
            data: B64,
        },
        /// Marks the safety code as compared by voice.
        MarkVerified,
        /// Leaves the visit.
        Leave,
        /// Host: ends the visit for all.
        End,
        /// Recorder: signs the open statement of a part.
        SignOpen { open: OpenPart },
        /// Recorder: tells the members what it is doing, once a second.
        Heartbeat {
            part: u32,
            segments: u64,
            sealed_media_us: u64,
        },
    }
}

/// A person's answer to the open request.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GivenAnswer {
    pub kind: StatementKind,
    #[serde(default)]
    pub answers: Vec<Answer>,
    /// Of the texts that were shown.
    #[serde(default)]
    pub language: String,
    /// The person's own language, where no text is in it.
    #[serde(default)]
    #[cfg_attr(feature = "typescript", ts(optional, as = "Option<_>"))]
    pub spoken: String,
    /// Interpreter: for whom it put the words into their language.
    #[serde(default)]
    #[cfg_attr(feature = "typescript", ts(optional, as = "Option<_>"))]
    pub interpreted_for: Vec<ParticipantId>,
    #[serde(default)]
    pub place: String,
}

/// What the host asks for.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConsentRequest {
    pub purpose: Purpose,
    pub recipients: Vec<RecipientRef>,
    pub texts: Vec<TextBody>,
    pub terms: Terms,
    #[serde(default)]
    pub checklist: Vec<Tick>,
    pub recorder: ParticipantId,
    #[serde(default)]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub again_after: Option<RoundId>,
    /// Reason, or the purpose in words when it is `other`. Stays inside the encryption.
    #[serde(default)]
    #[cfg_attr(feature = "typescript", ts(optional, as = "Option<_>"))]
    pub note: String,
    /// Number to call back in an emergency. Stays inside the encryption.
    #[serde(default)]
    #[cfg_attr(feature = "typescript", ts(optional, as = "Option<_>"))]
    pub emergency: String,
}

/// A consent text with its words.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextBody {
    pub layer: Layer,
    /// BCP 47 tag.
    pub language: String,
    pub version: String,
    pub text: String,
}

impl TextBody {
    /// How the request names this text.
    pub fn reference(&self) -> ConsentText {
        ConsentText {
            layer: self.layer,
            language: self.language.clone(),
            version: self.version.clone(),
            hash: sealed_visit_protocol::hash::sha256(self.text.as_bytes()),
        }
    }
}

/// What the recording module knows of a part; the rest of the open statement comes from the group.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenPart {
    pub recording: RecordingId,
    pub part: u32,
    pub recording_key: PublicKey,
    pub tracks: Vec<OpenTrack>,
    #[serde(default)]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub previous: Option<PreviousPart>,
}
