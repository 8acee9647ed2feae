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
    /// One input. Tagged by `t` in its serialized form.
    #[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
    #[derive(Debug, Clone, Serialize)]
    #[serde(tag = "t", rename_all = "snake_case")]
    pub enum Input("Input", tag = "t") {
        /// A message from the relay, in the order it arrived. Media signalling is not for this machine.
        Relay {
            /// The message, unverified.
            message: RelayMessage,
        },
        /// The connection to the relay is lost; the embedder makes a new one, which begins with a challenge.
        RelayClosed,
        /// The time asked for by [`super::Output::Timer`] has come.
        Tick,
        /// A command of the person or the embedder; answered by `done` or `failed` with the same id.
        Command {
            /// Chosen by the embedder; the answer repeats it.
            id: u32,
            /// What is to be done.
            command: Command,
        },
    }
}

tagged_enum! {
    /// A command. Tagged by `c` in its serialized form.
    #[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(optional_fields = nullable))]
    #[derive(Debug, Clone, Serialize)]
    #[serde(tag = "c", rename_all = "snake_case")]
    pub enum Command("Command", tag = "c") {
        /// Host: lets somebody in who waits.
        Admit {
            /// Somebody who waits.
            participant: ParticipantId,
        },
        /// Host: while a recording is under way, asks somebody who waits for consent, and lets them in when they agree.
        AskWaiting {
            /// Somebody who waits.
            participant: ParticipantId,
        },
        /// Host: takes the recorder out and lets somebody in who waits, by one commit.
        PauseAndAdmit {
            /// Somebody who waits.
            participant: ParticipantId,
        },
        /// Host: turns somebody away who waits.
        Deny {
            /// Somebody who waits.
            participant: ParticipantId,
        },
        /// Host: removes a member; keys change.
        Remove {
            /// A member.
            participant: ParticipantId,
        },
        /// Host: asks everybody for consent, by a new round.
        RequestConsent(Box<ConsentRequest>),
        /// Host: keeps newcomers out, or lets them ask again. Who was in the visit can come back.
        Lock {
            /// True to keep newcomers out.
            locked: bool,
        },
        /// Host: makes another clinician of the roster the host. A clinician who is not host can take over, by naming itself.
        HandOver {
            /// A clinician of the roster. A clinician who is not host can name only itself, to take over.
            participant: ParticipantId,
        },
        /// Host: confirms the place that somebody stated. Evidence, not a switch.
        ConfirmPlace {
            /// Who stated the place.
            participant: ParticipantId,
        },
        /// Agrees to, or refuses, the open request.
        Answer(GivenAnswer),
        /// Takes a grant back. Sending stops before this call returns.
        Withdraw {
            /// What the person wants for the recording; none where they do not say.
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
            /// The bytes, which the others get as [`super::Output::Message`].
            data: B64,
        },
        /// Marks the safety code as compared by voice.
        MarkVerified,
        /// Leaves the visit.
        Leave,
        /// Host: ends the visit for all.
        End,
        /// Recorder: signs the open statement of a part.
        SignOpen {
            /// What the recording module knows of the part. The answer to the command is the signed statement.
            open: OpenPart,
        },
        /// Recorder: tells the members what it is doing, once a second.
        Heartbeat {
            /// Number of the part that is being recorded.
            part: u32,
            /// How many segments are sealed.
            segments: u64,
            /// How much media is sealed, in microseconds.
            sealed_media_us: u64,
        },
    }
}

/// A person's answer to the open request.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GivenAnswer {
    /// Grant, refusal or withdrawal.
    pub kind: StatementKind,
    /// The answers of everybody at this device. A grant needs one at least, and all must agree to both layers.
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
    /// The place stated: an ISO 3166 code such as `US-CA`; empty when none is stated.
    #[serde(default)]
    pub place: String,
}

/// What the host asks for.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConsentRequest {
    /// What the recording is for.
    pub purpose: Purpose,
    /// To whom it is sealed. Each must be in the clinic document with this role; the order does not matter.
    pub recipients: Vec<RecipientRef>,
    /// The texts to show: both layers in every language that occurs.
    pub texts: Vec<TextBody>,
    /// How long the recording is kept, and what follows from a withdrawal.
    pub terms: Terms,
    /// What the host ticked before asking.
    #[serde(default)]
    pub checklist: Vec<Tick>,
    /// The participant that is to record.
    pub recorder: ParticipantId,
    /// When asked again after a refusal: the round that was refused.
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
    /// Which of the two things the text is about.
    pub layer: Layer,
    /// BCP 47 tag.
    pub language: String,
    /// Version of the text, as its writer names it.
    pub version: String,
    /// The words. The request names them by their hash.
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
    /// The recording: one for all parts of a round.
    pub recording: RecordingId,
    /// Number of the part, from 0.
    pub part: u32,
    /// The key drawn for this part, which will sign its envelopes, checkpoints and manifest.
    pub recording_key: PublicKey,
    /// Its tracks, from 1 to 64, with their headers.
    pub tracks: Vec<OpenTrack>,
    /// The part before; absent for the first.
    #[serde(default)]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub previous: Option<PreviousPart>,
}
