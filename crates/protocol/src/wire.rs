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
            v: u32,
            pass: Jws<PassClaims>,
            proof: Jws<HelloClaims>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            after_seq: Option<u64>,
        },
        /// Asks to be let into the group; replaces an earlier one of the same participant.
        KeyPackage {
            key_package: B64,
        },
        /// Starts a group. Refused while another is current, unless `replaces` names that one.
        CreateGroup {
            group_id: B64,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            replaces: Option<B64>,
        },
        /// A commit that leads from `epoch` to the next, and the welcomes for whom it adds.
        Commit {
            group_id: B64,
            epoch: u64,
            commit: B64,
            #[serde(default)]
            welcomes: Vec<WelcomeFor>,
            /// Whom the commit removes, by the committer's word: the relay cannot read it. It stops serving them.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            removed: Vec<ParticipantId>,
        },
        /// An MLS application message of `epoch`.
        App {
            group_id: B64,
            epoch: u64,
            data: B64,
        },
        /// Bytes for one participant, member or waiting; neither ordered nor kept.
        Direct {
            to: ParticipantId,
            data: B64,
        },
        /// A signed refusal of a commit.
        Refusal {
            refusal: Jws<RefusalClaims>,
        },
        /// Offers the media connection on which this participant sends.
        PublishOffer {
            sdp: String,
            tracks: Vec<PublishedTrack>,
        },
        /// Wants to receive everybody's tracks; answered by a `SubscribeOffer`.
        Subscribe {},
        /// Answers a `SubscribeOffer` of the same generation.
        SubscribeAnswer {
            generation: u32,
            sdp: String,
        },
        /// Leaves for good; the group's membership is changed by a commit, not by this.
        Leave {},
        /// Ends the visit for all; honoured from a clinician only.
        End {},
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
            v: u32,
            nonce: B64,
        },
        /// The hello was accepted. Log entries after `after_seq` follow at once.
        Ready {
            participant: ParticipantId,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            group: Option<GroupInfo>,
            /// Participants with a live connection.
            present: Vec<ParticipantId>,
            /// Everybody who asked to be let in and is still connected.
            waiting: Vec<Waiting>,
            /// The last entry of the log.
            seq: u64,
        },
        Presence {
            participant: ParticipantId,
            present: bool,
        },
        Waiting {
            waiting: Waiting,
        },
        GroupCreated {
            seq: u64,
            group: GroupInfo,
            by: ParticipantId,
        },
        Commit {
            seq: u64,
            group_id: B64,
            epoch: u64,
            from: ParticipantId,
            commit: B64,
        },
        /// Another commit took the epoch: process it, and build yours again.
        CommitRejected {
            group_id: B64,
            epoch: u64,
            current_epoch: u64,
        },
        Welcome {
            group_id: B64,
            epoch: u64,
            from: ParticipantId,
            welcome: B64,
        },
        App {
            seq: u64,
            group_id: B64,
            epoch: u64,
            from: ParticipantId,
            data: B64,
        },
        Direct {
            from: ParticipantId,
            data: B64,
        },
        Refusal {
            seq: u64,
            refusal: Jws<RefusalClaims>,
        },
        PublishAnswer {
            sdp: String,
        },
        /// The relay's offer of everything there is to receive; a later generation replaces an earlier.
        SubscribeOffer {
            generation: u32,
            sdp: String,
            tracks: Vec<OfferedTrack>,
        },
        /// What the line carries: the relay's estimate for the direction towards this participant, bits per second.
        LineQuality {
            down_bps: u64,
            loss_percent: u8,
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
            #[serde(default, skip_serializing_if = "EndedBy::is_host")]
            reason: EndedBy,
        },
        Error {
            code: RelayErrorCode,
            detail: String,
        },
        Pong {},
    }
}

/// What ended a visit.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
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

#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupInfo {
    pub group_id: B64,
    pub epoch: u64,
    /// Counts from 0; grows when a group is left for a new one.
    pub generation: u32,
}

#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub participant: ParticipantId,
    pub role: Role,
    pub pass: Jws<PassClaims>,
    pub key_package: B64,
}

#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WelcomeFor {
    pub to: ParticipantId,
    pub welcome: B64,
}

#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    Audio,
    Video,
}

/// What a track shows.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaSource {
    Microphone,
    Camera,
    Screen,
}

/// What a slow line towards a participant does to the pictures of the others. Sound goes on in any case.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureOnLine {
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
    pub kind: MediaKind,
    pub source: MediaSource,
}

/// A track as the relay offers it.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedTrack {
    /// The media section of the relay's offer.
    pub mid: String,
    pub participant: ParticipantId,
    pub track: String,
    pub kind: MediaKind,
    pub source: MediaSource,
}

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
    pub v: u32,
    pub visit: VisitId,
    pub participant: ParticipantId,
    pub nonce: B64,
}

impl Claims for HelloClaims {
    const TYP: &'static str = "sv-hello+jwt";
}

/// A member's signed word that it will not follow a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalClaims {
    pub v: u32,
    pub visit: VisitId,
    pub group_id: B64,
    /// The epoch that the commit would leave.
    pub epoch: u64,
    pub commit: Hash32,
    pub offender: ParticipantId,
    pub code: String,
    pub at_ms: u64,
    pub pass: Jws<PassClaims>,
}

impl Claims for RefusalClaims {
    const TYP: &'static str = "sv-refusal+jwt";
}
