//! What ends a part: the recorder's manifest, or the vault's closing record, and the vault's receipt for both.

use crate::bytes::Hash32;
use crate::consent::{PlaceClaims, StatementClaims};
use crate::id::{RecordingId, TrackId};
use crate::jws::{Claims, Jws, JwsError, PublicKey};
use crate::recording::AuditHeadClaims;
use crate::track::{Header, TrackState};
use serde::{Deserialize, Serialize};

/// Why a part ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndReason {
    /// The visit ended, or the host stopped the recording.
    Stopped,
    /// Somebody went off the record; another part may follow.
    Paused,
    /// Somebody withdrew.
    Withdrawn,
    /// The recorder was removed without a word of why.
    Removed,
    /// The recorder could not go on: device, storage, capture.
    Failed,
    /// Closed by the vault: the recorder stopped unexpectedly.
    Unfinished,
}

/// A hole in a track's media time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Where it begins: media time, microseconds since the part began.
    pub from_us: u64,
    /// Where it ends; not before `from_us`. What is missing at the end reaches past the track's `media_end_us`.
    pub to_us: u64,
    /// A code, e.g. `frozen`, `no_sound`, `asleep`.
    pub reason: String,
}

/// One track's end state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackSummary {
    /// The track.
    pub track: TrackId,
    /// SHA-256 of the header's bytes ([`Header::hash`]).
    pub header_hash: Hash32,
    /// How many segments it has.
    pub segments: u64,
    /// Length of the track file up to the end of the last checkpoint.
    pub length_bytes: u64,
    /// Chain head after the last segment.
    pub head: Hash32,
    /// SHA-256 over each segment's end offset (8 bytes, big-endian) and SHA-256, in order.
    pub index_hash: Hash32,
    /// Media time at its last checkpoint, microseconds since the part began; 0 without one.
    pub media_end_us: u64,
    /// Holes in its media time.
    #[serde(default)]
    pub gaps: Vec<Gap>,
}

impl TrackSummary {
    /// Whether the summary describes exactly this verified track.
    pub fn describes(&self, header: &Header, state: &TrackState) -> bool {
        self.track == header.claims().track
            && self.header_hash == header.hash()
            && self.segments == state.segments()
            && self.length_bytes == state.verified_bytes()
            && self.head == state.head()
            && self.index_hash == state.index_hash()
            && self.media_end_us == state.media_end_us()
    }
}

/// Claims of the manifest, signed by the recording key when a part ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestClaims {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The recording that the part belongs to.
    pub recording: RecordingId,
    /// The part's number.
    pub part: u32,
    /// Hash of the signed open statement.
    pub open: Hash32,
    /// Every track of the open statement, each once.
    pub tracks: Vec<TrackSummary>,
    /// The recorder's clock at media time 0, milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// The recorder's clock at the end, milliseconds since the Unix epoch; not before `started_ms`.
    pub ended_ms: u64,
    /// Why the part ended. A recorder never writes [`EndReason::Unfinished`].
    pub reason: EndReason,
    /// The statement, when the part ended by withdrawal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<Jws<StatementClaims>>,
    /// Places that the host confirmed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Jws<PlaceClaims>>,
    /// Number of marks in the sealed events track.
    #[serde(default)]
    pub marks: u64,
}

impl Claims for ManifestClaims {
    const TYP: &'static str = "sv-manifest+jwt";
}

/// Why a manifest was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The recording key did not sign it, or it cannot be read.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// It names another open statement, recording or part.
    #[error("the manifest is for another part")]
    OtherPart,
    /// It names other tracks than the part has, or one of them twice.
    #[error("the manifest does not name every track once")]
    OtherTracks,
    /// What was verified of this track is not what the manifest says: bytes are missing, or something was altered.
    #[error("track {0} is not as the manifest says")]
    TrackDiffers(TrackId),
}

impl ManifestClaims {
    /// Verifies a manifest against the open statement's hash and the verified tracks of its part.
    pub fn verify(
        jws: &Jws<ManifestClaims>,
        recording_key: &PublicKey,
        open: Hash32,
        tracks: &[(&Header, &TrackState)],
    ) -> Result<Self, ManifestError> {
        let claims = jws.verify(recording_key)?;
        let same_part = tracks.iter().all(|(header, _)| {
            (header.claims().recording, header.claims().part) == (claims.recording, claims.part)
        });
        if claims.open != open || !same_part {
            return Err(ManifestError::OtherPart);
        }
        if claims.tracks.len() != tracks.len() {
            return Err(ManifestError::OtherTracks);
        }
        for (header, state) in tracks {
            let track = header.claims().track;
            let summary = claims
                .tracks
                .iter()
                .find(|summary| summary.track == track)
                .ok_or(ManifestError::OtherTracks)?;
            if !summary.describes(header, state) {
                return Err(ManifestError::TrackDiffers(track));
            }
        }
        Ok(claims)
    }
}

/// The vault's closing record for a part without a manifest, signed by the vault's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosingClaims {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The recording that the part belongs to.
    pub recording: RecordingId,
    /// The part's number.
    pub part: u32,
    /// Hash of the signed open statement.
    pub open: Hash32,
    /// What the vault holds of each track of the open statement.
    pub tracks: Vec<TrackSummary>,
    /// [`EndReason::Withdrawn`] if the vault holds a withdrawal, or else [`EndReason::Unfinished`].
    pub reason: EndReason,
    /// Recorder's wall clock at the last valid checkpoint; without one, the vault's time when the part was opened.
    pub stopped_ms: u64,
    /// The vault's clock when it closed the part, milliseconds since the Unix epoch.
    pub closed_ms: u64,
    /// The statement, if somebody withdrew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<Jws<StatementClaims>>,
}

impl Claims for ClosingClaims {
    const TYP: &'static str = "sv-closing+jwt";
}

/// Claims of a receipt, signed by the vault's key: these bytes are durable here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptClaims {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The recording that the part belongs to.
    pub recording: RecordingId,
    /// The part's number.
    pub part: u32,
    /// Hash of the signed open statement.
    pub open: Hash32,
    /// What the vault holds of each track of the open statement.
    pub tracks: Vec<TrackReceipt>,
    /// Hash of the signed manifest or closing record that ended the part.
    pub ended_by: Hash32,
    /// True if a manifest ended the part, false if a closing record did.
    pub finished: bool,
    /// The audit log's signed head, including the part's end: the receipt reveals its removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_head: Option<Jws<AuditHeadClaims>>,
    /// The vault's clock, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl Claims for ReceiptClaims {
    const TYP: &'static str = "sv-receipt+jwt";
}

/// What a receipt says of one track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackReceipt {
    /// The track.
    pub track: TrackId,
    /// Length of the track file up to the end of its last checkpoint.
    pub length_bytes: u64,
    /// How many segments it has.
    pub segments: u64,
    /// Chain head after the last segment.
    pub head: Hash32,
    /// Hash of the signed envelope that is stored beside the track.
    pub envelope: Hash32,
}
