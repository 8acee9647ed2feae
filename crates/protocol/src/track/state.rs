//! Verification of a track as its bytes arrive.

use super::{
    CheckpointClaims, Header, HeaderError, MAGIC, RECORD_PREFIX_BYTES, RecordType, first_head,
    next_head,
};
use crate::bytes::Hash32;
use crate::hash::sha256;
use crate::jws::{Jws, JwsError};
use sha2::{Digest as _, Sha256};

/// Why the bytes of a track are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrackError {
    /// The first eight bytes are not [`MAGIC`].
    #[error("not a track file, or of an unknown version")]
    BadMagic,
    /// A record begins with another type than the one that must follow here.
    #[error("expected a {expected:?} record at offset {offset}, got type {got:#04x}")]
    UnexpectedRecord {
        /// The type that must follow.
        expected: RecordType,
        /// The byte that stands there.
        got: u8,
        /// Where it stands in the file.
        offset: u64,
    },
    /// A record's length is above its type's limit.
    #[error("a {kind:?} record of {size_bytes} bytes is too long")]
    RecordTooLong {
        /// The record's type.
        kind: RecordType,
        /// The length that it states.
        size_bytes: u64,
    },
    /// The header is refused.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The header's hash is not the one given to [`TrackState::expecting`].
    #[error("the header is not the one of the open statement")]
    OtherHeader,
    /// The recording key did not sign a checkpoint, or it cannot be read.
    #[error("checkpoint {index}: {error}")]
    Checkpoint {
        /// Index of the segment before it.
        index: u64,
        /// Why.
        error: JwsError,
    },
    /// A checkpoint is signed and does not fit: something before it was altered, or it is of another track.
    #[error("checkpoint {index} does not match the segment before it ({what})")]
    CheckpointDiffers {
        /// Index of the segment before it.
        index: u64,
        /// What differs, in words.
        what: &'static str,
    },
    /// Bytes came after an error. Use [`TrackState::rewound`] to go on from what is verified.
    #[error("the track was refused before")]
    Poisoned,
}

/// Something that was completed by the bytes just given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrackEvent {
    /// The header is complete, and accepted.
    Header(Box<Header>),
    /// A segment and its checkpoint are verified; the file is good up to `verified_bytes`.
    Segment {
        /// The checkpoint, verified.
        checkpoint: CheckpointClaims,
        /// Bytes of the file up to the end of this checkpoint.
        verified_bytes: u64,
        /// Where the segment stands.
        segment: SegmentRef,
    },
}

/// Where a segment's sealed bytes stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentRef {
    /// Its number in the track, from 0.
    pub index: u64,
    /// Where its sealed bytes begin in the file, after type and length.
    pub offset: u64,
    /// Length of its sealed bytes.
    pub size_bytes: u64,
    /// SHA-256 of the sealed bytes.
    pub hash: Hash32,
    /// Chain head before the segment: part of its context.
    pub head_before: Hash32,
}

/// A verifier fed with a track's bytes from the start, in pieces of any size.
#[derive(Debug, Clone)]
pub struct TrackState {
    offset: u64,
    stage: Stage,
    header: Option<Header>,
    head: Option<Hash32>,
    segments: u64,
    verified_bytes: u64,
    media_end_us: u64,
    last_at_ms: u64,
    index: Sha256,
    expected_header: Option<Hash32>,
}

#[derive(Debug, Clone)]
enum Stage {
    Magic {
        got: Vec<u8>,
    },
    Prefix {
        expected: RecordType,
        got: Vec<u8>,
        segment: Option<SegmentRef>,
    },
    Body {
        kind: RecordType,
        left: usize,
        got: Vec<u8>,
        hasher: Sha256,
        segment: Option<SegmentRef>,
    },
    Poisoned,
}

impl Default for TrackState {
    fn default() -> Self {
        Self::new()
    }
}

impl TrackState {
    /// A verifier that takes whatever header comes.
    pub fn new() -> Self {
        Self {
            offset: 0,
            stage: Stage::Magic { got: Vec::new() },
            header: None,
            head: None,
            segments: 0,
            verified_bytes: 0,
            media_end_us: 0,
            last_at_ms: 0,
            index: Sha256::new(),
            expected_header: None,
        }
    }

    /// A verifier that accepts only the track with this header.
    pub fn expecting(header_hash: Hash32) -> Self {
        Self {
            expected_header: Some(header_hash),
            ..Self::new()
        }
    }

    /// The header; none until it is complete.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Bytes fed so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes up to the end of the last valid checkpoint (or of the header).
    pub fn verified_bytes(&self) -> u64 {
        self.verified_bytes
    }

    /// How many segments are verified.
    pub fn segments(&self) -> u64 {
        self.segments
    }

    /// Chain head; all zero before a header was seen.
    pub fn head(&self) -> Hash32 {
        self.head.unwrap_or(Hash32([0; 32]))
    }

    /// SHA-256 over the segment index so far.
    pub fn index_hash(&self) -> Hash32 {
        Hash32(self.index.clone().finalize().into())
    }

    /// Media time at the last valid checkpoint, microseconds since the part began; 0 before the first.
    pub fn media_end_us(&self) -> u64 {
        self.media_end_us
    }

    /// Recorder's wall clock at the last valid checkpoint.
    pub fn last_at_ms(&self) -> u64 {
        self.last_at_ms
    }

    /// The state as it was at [`Self::verified_bytes`]: what came after the last valid checkpoint (or the header)
    /// is forgotten, a refusal included, and bytes are taken from there again.
    pub fn rewound(&self) -> Self {
        let stage = match self.header {
            Some(_) => expect(RecordType::Segment, None),
            None => Stage::Magic { got: Vec::new() },
        };
        Self {
            offset: self.verified_bytes,
            stage,
            ..self.clone()
        }
    }

    /// Feeds bytes; `on_event` hears of each header and verified segment in order.
    ///
    /// After an error the state keeps what it had verified, and takes no more bytes.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        mut on_event: impl FnMut(TrackEvent),
    ) -> Result<(), TrackError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.step(rest) {
                Ok(taken) => {
                    self.offset += taken as u64;
                    rest = &rest[taken..];
                    self.complete(&mut on_event)
                        .inspect_err(|_| self.stage = Stage::Poisoned)?;
                }
                Err(error) => {
                    self.stage = Stage::Poisoned;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Takes as many bytes as the current stage wants.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, TrackError> {
        match &mut self.stage {
            Stage::Poisoned => Err(TrackError::Poisoned),
            Stage::Magic { got } => Ok(take(got, bytes, MAGIC.len())),
            Stage::Prefix { got, .. } => Ok(take(got, bytes, RECORD_PREFIX_BYTES)),
            Stage::Body {
                kind,
                left,
                got,
                hasher,
                ..
            } => {
                let taken = bytes.len().min(*left);
                match kind {
                    // A segment is opaque: hash it, keep nothing.
                    RecordType::Segment => hasher.update(&bytes[..taken]),
                    RecordType::Header | RecordType::Checkpoint => {
                        got.extend_from_slice(&bytes[..taken])
                    }
                }
                *left -= taken;
                Ok(taken)
            }
        }
    }

    /// Moves on when the current stage has all it wants.
    fn complete(&mut self, on_event: &mut impl FnMut(TrackEvent)) -> Result<(), TrackError> {
        match &mut self.stage {
            Stage::Magic { got } if got.len() == MAGIC.len() => {
                if got[..] != MAGIC {
                    return Err(TrackError::BadMagic);
                }
                self.stage = expect(RecordType::Header, None);
            }
            Stage::Prefix {
                expected,
                got,
                segment,
            } if got.len() == RECORD_PREFIX_BYTES => {
                let (expected, segment) = (*expected, *segment);
                let size = u32::from_be_bytes([got[1], got[2], got[3], got[4]]) as usize;
                if RecordType::from_byte(got[0]) != Some(expected) {
                    let offset = self.offset - RECORD_PREFIX_BYTES as u64;
                    return Err(TrackError::UnexpectedRecord {
                        expected,
                        got: got[0],
                        offset,
                    });
                }
                if size > expected.max_bytes() {
                    return Err(TrackError::RecordTooLong {
                        kind: expected,
                        size_bytes: size as u64,
                    });
                }
                self.stage = Stage::Body {
                    kind: expected,
                    left: size,
                    got: Vec::new(),
                    hasher: Sha256::new(),
                    segment,
                };
                if size == 0 {
                    return self.complete(on_event);
                }
            }
            Stage::Body {
                kind,
                left: 0,
                got,
                hasher,
                segment,
            } => {
                let (kind, segment) = (*kind, *segment);
                let body = std::mem::take(got);
                let hash = Hash32(std::mem::take(hasher).finalize().into());
                self.record(kind, body, hash, segment, on_event)?;
            }
            Stage::Magic { .. } | Stage::Prefix { .. } | Stage::Body { .. } | Stage::Poisoned => {}
        }
        Ok(())
    }

    fn record(
        &mut self,
        kind: RecordType,
        body: Vec<u8>,
        hash: Hash32,
        segment: Option<SegmentRef>,
        on_event: &mut impl FnMut(TrackEvent),
    ) -> Result<(), TrackError> {
        match kind {
            RecordType::Header => {
                if self
                    .expected_header
                    .is_some_and(|expected| expected != sha256(&body))
                {
                    return Err(TrackError::OtherHeader);
                }
                let header = Header::parse(&body)?;
                self.head = Some(first_head(&header.hash()));
                self.header = Some(header.clone());
                self.verified_bytes = self.offset;
                self.stage = expect(RecordType::Segment, None);
                on_event(TrackEvent::Header(Box::new(header)));
            }
            RecordType::Segment => {
                let size_bytes = self.offset - self.verified_bytes - RECORD_PREFIX_BYTES as u64;
                let segment = SegmentRef {
                    index: self.segments,
                    offset: self.offset - size_bytes,
                    size_bytes,
                    hash,
                    head_before: self.head(),
                };
                self.stage = expect(RecordType::Checkpoint, Some(segment));
            }
            RecordType::Checkpoint => {
                let (Some(segment), Some(header)) = (segment, &self.header) else {
                    return Err(TrackError::Poisoned);
                };
                let segment_end = segment.offset + segment.size_bytes;
                let head = next_head(&segment.head_before, &segment.hash);
                let checkpoint = verify_checkpoint(&body, header, &segment, segment_end, head)?;
                if checkpoint.media_end_us < self.media_end_us {
                    return Err(TrackError::CheckpointDiffers {
                        index: segment.index,
                        what: "media time",
                    });
                }
                self.index.update(segment_end.to_be_bytes());
                self.index.update(segment.hash.as_slice());
                self.head = Some(head);
                self.segments += 1;
                self.media_end_us = checkpoint.media_end_us;
                self.last_at_ms = checkpoint.at_ms;
                self.verified_bytes = self.offset;
                self.stage = expect(RecordType::Segment, None);
                on_event(TrackEvent::Segment {
                    checkpoint,
                    verified_bytes: self.verified_bytes,
                    segment,
                });
            }
        }
        Ok(())
    }
}

fn verify_checkpoint(
    body: &[u8],
    header: &Header,
    segment: &SegmentRef,
    segment_end: u64,
    head: Hash32,
) -> Result<CheckpointClaims, TrackError> {
    let index = segment.index;
    let text = std::str::from_utf8(body).map_err(|_| TrackError::Checkpoint {
        index,
        error: JwsError::Malformed("not text"),
    })?;
    let claims = Jws::<CheckpointClaims>::from_text(text)
        .verify(&header.claims().recording_key)
        .map_err(|error| TrackError::Checkpoint { index, error })?;
    let differs = |what| Err(TrackError::CheckpointDiffers { index, what });
    if claims.track != header.claims().track {
        return differs("track");
    }
    if claims.index != index {
        return differs("index");
    }
    if claims.end != segment_end {
        return differs("offset");
    }
    if claims.head != head {
        return differs("chain head");
    }
    Ok(claims)
}

fn expect(expected: RecordType, segment: Option<SegmentRef>) -> Stage {
    Stage::Prefix {
        expected,
        got: Vec::with_capacity(RECORD_PREFIX_BYTES),
        segment,
    }
}

fn take(got: &mut Vec<u8>, bytes: &[u8], wanted: usize) -> usize {
    let taken = bytes.len().min(wanted - got.len());
    got.extend_from_slice(&bytes[..taken]);
    taken
}
