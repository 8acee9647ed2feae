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
        Participant {
            /// Whose.
            participant: ParticipantId,
        },
        /// Marks, who is there, and what is missing: JSON lines.
        Events,
    }
}

/// The header. It holds no key material.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderClaims {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The visit that is recorded.
    pub visit: VisitId,
    /// The recording that the track belongs to.
    pub recording: RecordingId,
    /// The number of its part.
    pub part: u32,
    /// The track.
    pub track: TrackId,
    /// What the track holds.
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
    /// The one sealing suite of this version.
    pub const SUITE: &'static str = "cobblestone-256";
}

/// Why a track's header was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Not JSON as expected.
    #[error("the header is not the expected JSON")]
    Malformed,
    /// Of this major version: a newer program is needed.
    #[error("expected header version 1, got {0}: a newer program is needed")]
    UnknownVersion(u64),
    /// Segments are sealed in a way that this version does not know.
    #[error("unknown sealing suite")]
    UnknownSuite,
    /// There are no recipients, or they do not ascend strictly.
    #[error("a track needs recipients, sorted and without duplicates")]
    Recipients,
    /// Longer than [`MAX_SMALL_RECORD_BYTES`](super::MAX_SMALL_RECORD_BYTES); it was not parsed.
    #[error("the header has {size_bytes} bytes, more than allowed")]
    TooLong {
        /// Its length.
        size_bytes: usize,
    },
}

/// A parsed header with its exact bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    claims: HeaderClaims,
    bytes: Vec<u8>,
    hash: Hash32,
}

impl Header {
    /// Serializes a header once, and checks it as [`Self::parse`] does.
    pub fn new(claims: HeaderClaims) -> Result<Self, HeaderError> {
        Self::parse(&serde_json::to_vec(&claims).map_err(|_| HeaderError::Malformed)?)
    }

    /// Parses and checks a header, and keeps its exact bytes.
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

    /// What the header says.
    pub fn claims(&self) -> &HeaderClaims {
        &self.claims
    }

    /// The exact bytes: in the file, in the open statement, and under the hash.
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
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The track.
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
