//! Seals one track: slices in, records out.

use hpke::rand_core::CryptoRng;
use sealed_visit_protocol::recording::{Gap, TrackSummary};
use sealed_visit_protocol::track::{
    CheckpointClaims, Header, MAGIC, MAX_SEGMENT_BYTES, RECORD_PREFIX_BYTES, RecordType,
    first_head, next_head, segment_context, segment_hash, write_record, write_record_prefix,
};
use sealed_visit_protocol::{Hash32, SigningKey, VERSION};
use sha2::{Digest, Sha256};

use super::RecordError;
use crate::seal::cobblestone::{self, SALT_BYTES};
use crate::seal::track_key::TrackKey;

/// What to append to the track's file for one slice: the segment's record and its checkpoint's.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSegment {
    /// Counted from 0.
    pub index: u64,
    /// Offset in the file at which `bytes` begin.
    pub offset: u64,
    /// Both records; made to be flushed together before anything else happens to the slice.
    pub bytes: Vec<u8>,
    /// Chain head after the segment.
    pub head: Hash32,
}

impl SealedSegment {
    /// Length of the track's file with this segment.
    pub fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

impl std::fmt::Debug for SealedSegment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "SealedSegment({} at {}, {} bytes)",
            self.index,
            self.offset,
            self.bytes.len()
        )
    }
}

/// One track while it is recorded. Every call moves on: the same index, head and salt never come twice.
pub(super) struct TrackSealer {
    header: Header,
    key: TrackKey,
    next_index: u64,
    offset: u64,
    head: Hash32,
    index_hash: Sha256,
    media_end_us: u64,
    gaps: Vec<Gap>,
    poisoned: bool,
}

impl TrackSealer {
    /// A sealer, and the first bytes of the track's file: magic and header.
    pub(super) fn new(header: Header, key: TrackKey) -> Result<(Self, Vec<u8>), RecordError> {
        let mut start = MAGIC.to_vec();
        write_record(&mut start, RecordType::Header, header.bytes())?;
        let sealer = Self {
            next_index: 0,
            offset: start.len() as u64,
            head: first_head(&header.hash()),
            index_hash: Sha256::new(),
            media_end_us: 0,
            gaps: Vec::new(),
            poisoned: false,
            header,
            key,
        };
        Ok((sealer, start))
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Seals a slice that ends at `media_end_us`, and signs its checkpoint at `at_ms`.
    pub(super) fn seal(
        &mut self,
        slice: &[u8],
        media_end_us: u64,
        at_ms: u64,
        recording_key: &SigningKey,
        rng: &mut impl CryptoRng,
    ) -> Result<SealedSegment, RecordError> {
        let track = self.header.claims().track;
        if self.poisoned {
            return Err(RecordError::Poisoned(track));
        }
        let sealed_bytes = cobblestone::sealed_len(slice.len() as u64);
        if sealed_bytes > MAX_SEGMENT_BYTES as u64 {
            return Err(RecordError::SliceTooLong {
                size_bytes: slice.len(),
                max_bytes: MAX_SLICE_BYTES,
            });
        }
        if media_end_us < self.media_end_us {
            return Err(RecordError::MediaTimeBackwards {
                media_end_us,
                last_us: self.media_end_us,
            });
        }
        // From here on a failure leaves the index used: it must not be sealed again under another salt.
        self.poisoned = true;
        let index = self.next_index;
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);
        let context = segment_context(&self.header.hash(), index, &self.head);
        // In place: a segment is the largest thing here, and its checkpoint stands behind it.
        let mut bytes = Vec::with_capacity(
            2 * RECORD_PREFIX_BYTES + sealed_bytes as usize + CHECKPOINT_BYTES_ABOUT,
        );
        write_record_prefix(&mut bytes, RecordType::Segment, sealed_bytes)?;
        cobblestone::seal_onto(&mut bytes, self.key.expose(), &context, &salt, slice)?;

        let hash = segment_hash(&bytes[RECORD_PREFIX_BYTES..]);
        let head = next_head(&self.head, &hash);
        let end = self.offset + bytes.len() as u64;
        let checkpoint = recording_key.sign(&CheckpointClaims {
            v: VERSION,
            track,
            index,
            end,
            head,
            media_end_us,
            at_ms,
        });
        write_record(
            &mut bytes,
            RecordType::Checkpoint,
            checkpoint.as_str().as_bytes(),
        )?;

        let segment = SealedSegment {
            index,
            offset: self.offset,
            bytes,
            head,
        };
        self.index_hash.update(end.to_be_bytes());
        self.index_hash.update(hash.as_slice());
        self.head = head;
        self.next_index += 1;
        self.offset = segment.end();
        self.media_end_us = media_end_us;
        self.poisoned = false;
        Ok(segment)
    }

    /// States a hole in the media time.
    pub(super) fn gap(&mut self, gap: Gap) -> Result<(), RecordError> {
        if gap.to_us < gap.from_us {
            return Err(RecordError::GapBackwards {
                from_us: gap.from_us,
                to_us: gap.to_us,
            });
        }
        let is_code = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if gap.reason.is_empty() || gap.reason.len() > 32 || !gap.reason.bytes().all(is_code) {
            return Err(RecordError::GapReason);
        }
        self.gaps.push(gap);
        Ok(())
    }

    pub(super) fn summary(&self) -> TrackSummary {
        TrackSummary {
            track: self.header.claims().track,
            header_hash: self.header.hash(),
            segments: self.next_index,
            length_bytes: self.offset,
            head: self.head,
            index_hash: Hash32(self.index_hash.clone().finalize().into()),
            media_end_us: self.media_end_us,
            gaps: self.gaps.clone(),
        }
    }

    pub(super) fn segments(&self) -> u64 {
        self.next_index
    }

    pub(super) fn head(&self) -> Hash32 {
        self.head
    }

    pub(super) fn media_end_us(&self) -> u64 {
        self.media_end_us
    }
}

/// Room for a signed checkpoint; a longer one costs a copy.
const CHECKPOINT_BYTES_ABOUT: usize = 1_024;

/// The longest slice whose sealed form fits [`MAX_SEGMENT_BYTES`].
const MAX_SLICE_BYTES: usize = {
    let mut slice_bytes = MAX_SEGMENT_BYTES;
    while cobblestone::sealed_len(slice_bytes as u64) > MAX_SEGMENT_BYTES as u64 {
        slice_bytes -= 1;
    }
    slice_bytes
};
