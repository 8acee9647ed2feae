//! The framing of a track file, and its verification without opening it.
//!
//! ```text
//! track   = magic header (segment checkpoint)*
//! magic   = "SVTRACK" 0x01
//! record  = type (1 byte) length (4 bytes, big-endian) body
//! header  = record 'H'; the body is JSON, HeaderClaims
//! segment = record 'S'; the body is one complete C2SP chunked-encryption message (Cobblestone-256)
//! checkpoint = record 'C'; the body is a compact JWS, CheckpointClaims, by the recording key
//! ```
//!
//! Inputs: bytes in pieces of any size. Output: how far the file is good. Invariant: what [`TrackState`] calls
//! verified ends with a checkpoint whose signature, offset and chain head were checked.

mod header;
mod state;

pub use header::{CheckpointClaims, Header, HeaderClaims, HeaderError, TrackKind};
pub use state::{SegmentRef, TrackError, TrackEvent, TrackState};

use crate::bytes::Hash32;
use crate::hash::{labelled, sha256};

/// First bytes of every track file; the last byte is the major version.
pub const MAGIC: [u8; 8] = *b"SVTRACK\x01";

/// A segment holds at most this many bytes; 250 ms of media are far below it.
pub const MAX_SEGMENT_BYTES: usize = 16 << 20;

/// A header or checkpoint holds at most this many bytes.
pub const MAX_SMALL_RECORD_BYTES: usize = 64 << 10;

/// Bytes before a record's body: type and length.
pub const RECORD_PREFIX_BYTES: usize = 5;

/// What a record of a track file is, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordType {
    /// The header, once, right after the magic.
    Header,
    /// One sealed slice.
    Segment,
    /// The recorder's signature over everything up to the segment before it.
    Checkpoint,
}

impl RecordType {
    /// The byte with which such a record begins.
    pub const fn byte(self) -> u8 {
        match self {
            RecordType::Header => b'H',
            RecordType::Segment => b'S',
            RecordType::Checkpoint => b'C',
        }
    }

    /// The type that begins with this byte, if there is one.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'H' => Some(RecordType::Header),
            b'S' => Some(RecordType::Segment),
            b'C' => Some(RecordType::Checkpoint),
            _ => None,
        }
    }

    /// The longest body of such a record, in bytes.
    pub const fn max_bytes(self) -> usize {
        match self {
            RecordType::Segment => MAX_SEGMENT_BYTES,
            RecordType::Header | RecordType::Checkpoint => MAX_SMALL_RECORD_BYTES,
        }
    }
}

/// Appends a record to `out`. Bodies longer than the type allows are the caller's mistake and refused.
pub fn write_record(out: &mut Vec<u8>, kind: RecordType, body: &[u8]) -> Result<(), TrackError> {
    write_record_prefix(out, kind, body.len() as u64)?;
    out.extend_from_slice(body);
    Ok(())
}

/// Appends what stands before a record's body, for a body that the caller appends in place.
pub fn write_record_prefix(
    out: &mut Vec<u8>,
    kind: RecordType,
    body_bytes: u64,
) -> Result<(), TrackError> {
    if body_bytes > kind.max_bytes() as u64 {
        return Err(TrackError::RecordTooLong {
            kind,
            size_bytes: body_bytes,
        });
    }
    out.push(kind.byte());
    out.extend_from_slice(&(body_bytes as u32).to_be_bytes());
    Ok(())
}

/// The chain head before the first segment.
pub fn first_head(header_hash: &Hash32) -> Hash32 {
    labelled("sealed-visit chain v1", &[header_hash.as_slice()])
}

/// The chain head after a segment: label, head before, SHA-256 of the segment's sealed bytes.
pub fn next_head(head: &Hash32, segment_hash: &Hash32) -> Hash32 {
    labelled(
        "sealed-visit chain v1",
        &[head.as_slice(), segment_hash.as_slice()],
    )
}

/// SHA-256 of a segment's sealed bytes.
pub fn segment_hash(segment: &[u8]) -> Hash32 {
    sha256(segment)
}

/// The Cobblestone context of a segment: label, zero byte, header hash, index (8 bytes, big-endian), head before.
pub fn segment_context(header_hash: &Hash32, index: u64, head: &Hash32) -> Vec<u8> {
    let mut context = b"sealed-visit segment v1\0".to_vec();
    context.extend_from_slice(header_hash.as_slice());
    context.extend_from_slice(&index.to_be_bytes());
    context.extend_from_slice(head.as_slice());
    context
}
