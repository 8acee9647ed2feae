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
    pub from_us: u64,
    pub to_us: u64,
    /// A code, e.g. `frozen`, `device_changed`, `asleep`.
    pub reason: String,
}

/// One track's end state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackSummary {
    pub track: TrackId,
    pub header_hash: Hash32,
    pub segments: u64,
    /// Length of the track file up to the end of the last checkpoint.
    pub length_bytes: u64,
    /// Chain head after the last segment.
    pub head: Hash32,
    /// SHA-256 over each segment's end offset (8 bytes, big-endian) and SHA-256, in order.
    pub index_hash: Hash32,
    pub media_end_us: u64,
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
    pub v: u32,
    pub recording: RecordingId,
    pub part: u32,
    /// Hash of the signed open statement.
    pub open: Hash32,
    pub tracks: Vec<TrackSummary>,
    pub started_ms: u64,
    pub ended_ms: u64,
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

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    #[error(transparent)]
    Jws(#[from] JwsError),
    #[error("the manifest is for another part")]
    OtherPart,
    #[error("the manifest does not name every track once")]
    OtherTracks,
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
    pub v: u32,
    pub recording: RecordingId,
    pub part: u32,
    pub open: Hash32,
    pub tracks: Vec<TrackSummary>,
    pub reason: EndReason,
    /// Recorder's wall clock at the last valid checkpoint.
    pub stopped_ms: u64,
    pub closed_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<Jws<StatementClaims>>,
}

impl Claims for ClosingClaims {
    const TYP: &'static str = "sv-closing+jwt";
}

/// Claims of a receipt, signed by the vault's key: these bytes are durable here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptClaims {
    pub v: u32,
    pub recording: RecordingId,
    pub part: u32,
    pub open: Hash32,
    pub tracks: Vec<TrackReceipt>,
    /// Hash of the signed manifest or closing record that ended the part.
    pub ended_by: Hash32,
    pub finished: bool,
    /// The audit log's signed head, including the part's end: the receipt reveals its removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_head: Option<Jws<AuditHeadClaims>>,
    pub at_ms: u64,
}

impl Claims for ReceiptClaims {
    const TYP: &'static str = "sv-receipt+jwt";
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackReceipt {
    pub track: TrackId,
    pub length_bytes: u64,
    pub segments: u64,
    pub head: Hash32,
    /// Hash of the signed envelope that is stored beside the track.
    pub envelope: Hash32,
}
