//! Recordings: sealed as they are made, verified and opened as they are read.
//!
//! The formats and what can be checked without a key are `sealed-visit-protocol`'s (`recording`, `track`); the
//! ciphers are [`crate::seal`]'s. This module puts them together:
//!
//! ```text
//! PartDraft ── open statement, shares ──► PartRecorder ── seal, seal, ... ──► manifest
//! envelope, private key, share ──► track key ──► TrackOpener ── bytes ──► verified plaintext
//! open statements, tracks, manifests, receipts ──► RecordingVerifier ──► how far it is good, and why not further
//! ```
//!
//! Inputs: bytes, times, randomness. Outputs: bytes to be kept, signed documents, verdicts. Invariants: nothing is
//! sealed without a verified open statement; no segment is sealed twice; nothing leaves [`TrackOpener`] that was
//! not authenticated by both its checkpoint and its cipher.

#![warn(missing_docs)]

mod error;
mod events;
mod opener;
mod part;
mod problem;
mod renewal;
mod report;
pub mod seal;
mod sealer;
mod verified_track;
mod verifier;

pub use error::{OpenTrackError, RecordError};
pub use events::{Event, EventLine, MEDIA_TYPE as EVENTS_MEDIA_TYPE, encode_events, parse_events};
pub use opener::{OpenedSegment, TrackEnd, TrackFollower, TrackOpener, unwrap_track_key};
pub use part::{PartDraft, PartEnd, PartPlan, PartRecorder, TrackPlan};
pub use problem::{Problem, ProblemClass, ProblemCode};
pub use renewal::RenewalKey;
pub use report::{
    Ending, PartReport, PauseBetweenParts, ReceiptState, RecordingReport, StatedPlace, TrackReport,
    report_recording,
};
pub use sealer::SealedSegment;
pub use verifier::PartVerifier;
