//! A track's immutable header, and the claims of its checkpoints.

use crate::bytes::Hash32;
use crate::hash::sha256;
use crate::id::{ParticipantId, RecordingId, TrackId, VisitId};
use crate::jws::{Claims, PublicKey};
use crate::tagged_enum;
use serde::{Deserialize, Serialize};

tagged_enum! {
    /// What a track holds.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    pub enum TrackKind("TrackKind", tag = "kind") {
        /// What a person would have watched: everybody's picture and sound in one file.
        Mixed,
        /// One participant's media.
        Participant { participant: ParticipantId },
        /// Marks, pauses, roster changes: JSON lines.
        Events,
    }
}

/// The header. It holds no key material.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderClaims {
    pub v: u32,
    pub visit: VisitId,
    pub recording: RecordingId,
    pub part: u32,
    pub track: TrackId,
    pub content: TrackKind,
    /// e.g. `video/webm;codecs="vp8,opus"` or `application/x-ndjson`.
    pub media_type: String,
    /// How segments are sealed: `cobblestone-256`.
    pub suite: String,
    /// Sorted fingerprints of everybody who can open the track.
    pub recipients: Vec<Hash32>,
    /// Whether opening needs the vault's share.
    pub share_required: bool,
    /// Signs this track's checkpoints and envelope.
    pub recording_key: PublicKey,
}

impl HeaderClaims {
    pub const SUITE: &'static str = "cobblestone-256";
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    #[error("the header is not the expected JSON")]
    Malformed,
    #[error("expected header version 1, got {0}: a newer program is needed")]
    UnknownVersion(u64),
    #[error("unknown sealing suite")]
    UnknownSuite,
    #[error("a track needs recipients, sorted and without duplicates")]
    Recipients,
    #[error("the header has {size_bytes} bytes, more than allowed")]
    TooLong { size_bytes: usize },
}

/// A parsed header with its exact bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    claims: HeaderClaims,
    bytes: Vec<u8>,
    hash: Hash32,
}

impl Header {
    pub fn new(claims: HeaderClaims) -> Result<Self, HeaderError> {
        Self::parse(&serde_json::to_vec(&claims).map_err(|_| HeaderError::Malformed)?)
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        #[derive(Deserialize)]
        struct Version {
            v: u64,
        }
        if bytes.len() > super::MAX_SMALL_RECORD_BYTES {
            return Err(HeaderError::TooLong {
                size_bytes: bytes.len(),
            });
        }
        let tree = crate::json::Tree::parse(bytes).map_err(|_| HeaderError::Malformed)?;
        if !tree.has_plain_numbers() {
            return Err(HeaderError::Malformed);
        }
        let version: Version = tree.read().map_err(|_| HeaderError::Malformed)?;
        if version.v != u64::from(crate::VERSION) {
            return Err(HeaderError::UnknownVersion(version.v));
        }
        let claims: HeaderClaims = tree.read().map_err(|_| HeaderError::Malformed)?;
        if claims.suite != HeaderClaims::SUITE {
            return Err(HeaderError::UnknownSuite);
        }
        if claims.recipients.is_empty() || !claims.recipients.is_sorted_by(|a, b| a < b) {
            return Err(HeaderError::Recipients);
        }
        Ok(Self {
            claims,
            bytes: bytes.to_vec(),
            hash: sha256(bytes),
        })
    }

    pub fn claims(&self) -> &HeaderClaims {
        &self.claims
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the header's bytes.
    pub fn hash(&self) -> Hash32 {
        self.hash
    }
}

/// Claims of a checkpoint, signed by the recording key after every segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointClaims {
    pub v: u32,
    pub track: TrackId,
    /// Index of the segment before it, from 0.
    pub index: u64,
    /// Offset in the file at which the segment's record ends, and this checkpoint's begins.
    pub end: u64,
    /// Chain head after the segment.
    pub head: Hash32,
    /// Media time at the end of the segment, microseconds since the part's start.
    pub media_end_us: u64,
    /// The recorder's wall clock, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl Claims for CheckpointClaims {
    const TYP: &'static str = "sv-checkpoint+jwt";
}
