//! Messages between a participant and the relay: JSON text frames over one WebSocket.
//!
//! The relay sees ciphertext, order, opaque ids and passes. It orders handshake and application messages in one
//! log for each visit (`seq`), accepts one commit for each epoch, and lets a participant who comes back read what it
//! missed.

use crate::bytes::{B64, Hash32};
use crate::id::{ParticipantId, VisitId};
use crate::jws::{Claims, Jws};
use crate::pass::{PassClaims, Role};
use crate::tagged_enum;
use serde::{Deserialize, Serialize};

tagged_enum! {
    /// From a participant to the relay.
    #[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
    #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
    #[serde(tag = "t", rename_all = "snake_case")]
    #[non_exhaustive]
    pub enum ClientMessage("ClientMessage", tag = "t") {
        /// Answers the challenge. With `after_seq` the relay sends what came later in the log.
        Hello {
            /// The protocol's version, [`crate::VERSION`]. The relay refuses another as [`RelayErrorCode::Malformed`].
            v: u32,
            /// The participant's pass. It must not have expired.
            pass: Jws<PassClaims>,
            /// Signed by the pass key over this connection's challenge.
            proof: Jws<HelloClaims>,
            /// The last entry of the log that the participant has. Absent when it has none: then nothing is sent of the
            /// log so far.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            after_seq: Option<u64>,
        },
        /// Asks to be let into the group; replaces an earlier one of the same participant.
        KeyPackage {
            /// An MLS key package whose leaf is signed by the pass key; at most 16 KiB.
            key_package: B64,
        },
        /// Starts a group. Refused while another is current, unless `replaces` names that one.
        CreateGroup {
            /// The new group's id: one that this visit never used, at most 64 bytes.
            group_id: B64,
            /// The group that is current, to be left for the new one. Absent for the visit's first group, which only a
            /// clinician starts.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            replaces: Option<B64>,
        },
        /// A commit that leads from `epoch` to the next, and the welcomes for whom it adds.
        Commit {
            /// The current group.
            group_id: B64,
            /// The epoch that the commit leaves.
            epoch: u64,
            /// The MLS commit. The relay cannot read it.
            commit: B64,
            /// One for each participant that the commit adds; the relay passes it on once the commit is ordered.
            #[serde(default)]
            welcomes: Vec<WelcomeFor>,
            /// Whom the commit removes, by the committer's word: the relay cannot read it. It stops serving them.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            removed: Vec<ParticipantId>,
        },
        /// An MLS application message of `epoch`.
        App {
            /// The current group.
            group_id: B64,
            /// The epoch it is encrypted in. An older one is ordered too, a later one refused.
            epoch: u64,
            /// The MLS message, at most 256 KiB.
            data: B64,
        },
        /// Bytes for one participant, member or waiting; neither ordered nor kept.
        Direct {
            /// Who gets it. If that participant is not connected, it is dropped without a word.
            to: ParticipantId,
            /// The bytes, at most 256 KiB. The relay does not look inside.
            data: B64,
        },
        /// A signed refusal of a commit.
        Refusal {
            /// The refusal, signed by the sender's pass key.
            refusal: Jws<RefusalClaims>,
        },
        /// Offers the media connection on which this participant sends.
        PublishOffer {
            /// The session description (SDP) of the offer, at most 256 KiB. A later one renegotiates.
            sdp: String,
            /// What is sent in which media section.
            tracks: Vec<PublishedTrack>,
        },
        /// Wants to receive everybody's tracks; answered by a `SubscribeOffer`.
        Subscribe {},
        /// Answers a `SubscribeOffer` of the same generation.
        SubscribeAnswer {
            /// Of the offer that this answers. An answer to an offer that was replaced is ignored.
            generation: u32,
            /// The session description (SDP) of the answer, at most 512 KiB.
            sdp: String,
        },
        /// Leaves for good; the group's membership is changed by a commit, not by this.
        Leave {},
        /// Ends the visit for all. Only a clinician whom the visit itself let in can do that.
        End {},
        /// Asks for a `Pong`, so that both ends know that the connection lives.
        Ping {},
    }
}

tagged_enum! {
    /// From the relay to a participant.
    #[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
    #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
    #[serde(tag = "t", rename_all = "snake_case")]
    #[non_exhaustive]
    pub enum RelayMessage("RelayMessage", tag = "t") {
        /// First message on a connection: 32 random bytes.
        Challenge {
            /// The protocol's version, [`crate::VERSION`].
            v: u32,
            /// What the hello's proof must be signed over.
            nonce: B64,
        },
        /// The hello was accepted. Log entries after `after_seq` follow at once.
        Ready {
            /// Who the relay takes this connection for, from the pass.
            participant: ParticipantId,
            /// The current group. Absent until somebody creates the visit's first.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            group: Option<GroupInfo>,
            /// Participants with a live connection.
            present: Vec<ParticipantId>,
            /// Everybody who asked to be let in and is still connected.
            waiting: Vec<Waiting>,
            /// The last entry of the log.
            seq: u64,
        },
        /// A participant's connection was accepted, or has ended.
        Presence {
            /// Whose connection.
            participant: ParticipantId,
            /// True if it is connected now.
            present: bool,
        },
        /// Somebody asks to be let in.
        Waiting {
            /// Who, with a pass and a key package that the receiver must verify: the relay's word is not enough.
            waiting: Waiting,
        },
        /// A group was created, and is current from here on.
        GroupCreated {
            /// Place in the log.
            seq: u64,
            /// The new group.
            group: GroupInfo,
            /// Who created it.
            by: ParticipantId,
        },
        /// The commit that was ordered for its epoch; there is one at most.
        Commit {
            /// Place in the log.
            seq: u64,
            /// The group.
            group_id: B64,
            /// The epoch that the commit leaves.
            epoch: u64,
            /// Who sent it, by the relay's word. Whose it is, MLS says.
            from: ParticipantId,
            /// The MLS commit, as sent.
            commit: B64,
        },
        /// Another commit took the epoch: process it, and build yours again.
        CommitRejected {
            /// The group of the rejected commit.
            group_id: B64,
            /// The epoch that the rejected commit would have left.
            epoch: u64,
            /// The group's epoch now.
            current_epoch: u64,
        },
        /// A way into the group, for this participant. Neither part of the log nor to be trusted before the roster is
        /// verified.
        Welcome {
            /// The group.
            group_id: B64,
            /// The epoch that it leads into.
            epoch: u64,
            /// Who sent it, by the relay's word.
            from: ParticipantId,
            /// The MLS Welcome, as sent.
            welcome: B64,
        },
        /// An MLS application message, in order with commits.
        App {
            /// Place in the log.
            seq: u64,
            /// The group.
            group_id: B64,
            /// The epoch it is encrypted in; it may be older than the current one.
            epoch: u64,
            /// Who sent it, by the relay's word. Whose it is, MLS says.
            from: ParticipantId,
            /// The MLS message, as sent.
            data: B64,
        },
        /// Bytes from one participant to this one; not part of the log.
        Direct {
            /// Who sent them, by the relay's word.
            from: ParticipantId,
            /// The bytes, as sent.
            data: B64,
        },
        /// A member's refusal of a commit.
        Refusal {
            /// Place in the log.
            seq: u64,
            /// Signed by the pass key of who refuses.
            refusal: Jws<RefusalClaims>,
        },
        /// Answers a `PublishOffer`.
        PublishAnswer {
            /// The session description (SDP) of the answer.
            sdp: String,
        },
        /// The relay's offer of everything there is to receive; a later generation replaces an earlier.
        SubscribeOffer {
            /// Grows with every offer to this participant; the answer repeats it.
            generation: u32,
            /// The session description (SDP) of the offer.
            sdp: String,
            /// Whose track comes in which media section.
            tracks: Vec<OfferedTrack>,
        },
        /// What the line carries: the relay's estimate for the direction towards this participant, bits per second.
        LineQuality {
            /// What the line is estimated to carry.
            down_bps: u64,
            /// Packets lost on it, from 0 to 100.
            loss_percent: u8,
            /// What the line does to the pictures that this participant receives.
            #[serde(default)]
            picture: PictureOnLine,
            /// Whose lines are too slow for this participant's picture in full: it was asked to send less.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            slow_for: Vec<ParticipantId>,
            /// What it was asked to send at most, bits per second.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            up_limit_bps: Option<u64>,
        },
        /// The visit is over for everybody. A relay that gives no reason was told so by the host.
        Ended {
            /// What ended it.
            #[serde(default, skip_serializing_if = "EndedBy::is_host")]
            reason: EndedBy,
        },
        /// A message or the connection was refused.
        Error {
            /// Why, for programs.
            code: RelayErrorCode,
            /// Why, for developers: English words of no stable form.
            detail: String,
        },
        /// Answers a `Ping`.
        Pong {},
    }
}

/// What ended a visit.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// A clinician ended it for all.
    #[default]
    Host,
    /// The last pass has expired.
    Time,
    /// Nobody was connected for long.
    Empty,
}

impl EndedBy {
    fn is_host(&self) -> bool {
        *self == Self::Host
    }
}

/// The group that is current in a visit.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupInfo {
    /// The MLS group's id.
    pub group_id: B64,
    /// Its epoch, as the relay counts the commits it has ordered.
    pub epoch: u64,
    /// Counts from 0; grows when a group is left for a new one.
    pub generation: u32,
}

/// Somebody who asks to be let in.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Who, by the relay's word.
    pub participant: ParticipantId,
    /// In what role, by the relay's word; the pass decides.
    pub role: Role,
    /// The participant's pass, to be verified under the clinic document.
    pub pass: Jws<PassClaims>,
    /// The MLS key package to add. It serves once.
    pub key_package: B64,
}

/// A Welcome and who gets it.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WelcomeFor {
    /// A participant that the commit adds.
    pub to: ParticipantId,
    /// The MLS Welcome.
    pub welcome: B64,
}

/// What a track carries.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// What a track shows.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaSource {
    /// A microphone.
    Microphone,
    /// A camera.
    Camera,
    /// A shared screen.
    Screen,
}

/// What a slow line towards a participant does to the pictures of the others. Sound goes on in any case.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureOnLine {
    /// Nothing: they come as they are sent.
    #[default]
    Full,
    /// Their senders were asked to send less.
    Lowered,
    /// The line cannot carry all of them.
    Withheld,
}

/// A track as its sender announces it.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedTrack {
    /// The media section of the offer.
    pub mid: String,
    /// Chosen by the sender, unique among its tracks; also in every frame's authenticated trailer.
    pub track: String,
    /// Sound or pictures.
    pub kind: MediaKind,
    /// Where it comes from, by its sender's word.
    pub source: MediaSource,
}

/// A track as the relay offers it.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedTrack {
    /// The media section of the relay's offer.
    pub mid: String,
    /// Whose track it is, by the relay's word. The frames' authentication says whose they are.
    pub participant: ParticipantId,
    /// As its sender named it ([`PublishedTrack::track`]).
    pub track: String,
    /// Sound or pictures.
    pub kind: MediaKind,
    /// Where it comes from, by its sender's word.
    pub source: MediaSource,
}

/// Why the relay refused a message or a connection.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RelayErrorCode {
    /// The pass does not verify, is expired, or the proof is not by its key.
    NotAdmitted,
    /// The same participant connected again; this connection is closed.
    ReplacedByAnother,
    /// Not allowed in this state or for this role.
    NotAllowed,
    /// A message that cannot be read, or of an unknown version.
    Malformed,
    /// A message, or too many of them.
    TooMuch,
    /// A media description that the relay cannot serve.
    Media,
    /// The visit is over.
    VisitOver,
}

/// Proof that whoever connects holds the pass's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloClaims {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The visit, as in the pass.
    pub visit: VisitId,
    /// The participant, as in the pass.
    pub participant: ParticipantId,
    /// The challenge of this connection: a proof is good for no other.
    pub nonce: B64,
}

impl Claims for HelloClaims {
    const TYP: &'static str = "sv-hello+jwt";
}

/// A member's signed word that it will not follow a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalClaims {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The visit.
    pub visit: VisitId,
    /// The group whose commit is refused.
    pub group_id: B64,
    /// The epoch that the commit would leave.
    pub epoch: u64,
    /// SHA-256 of the refused commit.
    pub commit: Hash32,
    /// Who is held to have committed. Where the commit does not tell, whom the relay named.
    pub offender: ParticipantId,
    /// Which rule it breaks: a stable code.
    pub code: String,
    /// When it was refused, by the clock of who refuses, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The pass of who refuses, which names the key that signed this.
    pub pass: Jws<PassClaims>,
}

impl Claims for RefusalClaims {
    const TYP: &'static str = "sv-refusal+jwt";
}
