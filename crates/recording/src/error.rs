//! Why a recording could not be made or opened. No message holds a key, a plaintext or a name.

use sealed_visit_protocol::TrackId;
use sealed_visit_protocol::clinic::ClinicError;
use sealed_visit_protocol::recording::{EnvelopeError, OpenError};
use sealed_visit_protocol::track::{HeaderError, TrackError};
use thiserror::Error;

use crate::seal::cobblestone::CobblestoneError;
use crate::seal::hpke::HpkeError;
use crate::seal::track_key::TrackKeyError;

/// Why a part could not be begun, continued or ended.
#[non_exhaustive]
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// A recipient is not listed, retired, or has another role.
    #[error(transparent)]
    Clinic(#[from] ClinicError),
    /// A recipient's public key cannot be wrapped to.
    #[error(transparent)]
    Recipient(#[from] HpkeError),
    /// A header could not be made: no recipients, or not sorted.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The open statement does not verify: no recording begins.
    #[error("the open statement is refused: {0}")]
    OpenStatement(#[from] OpenError),
    /// The open statement is valid, but not for what was drafted here.
    #[error("the open statement is not for this draft: {0} differs")]
    OtherDraft(&'static str),
    /// The vault's answer has no share for a track that needs one.
    #[error("no share for track {0}, which needs one")]
    ShareMissing(TrackId),
    /// The vault's answer has a share for a track that needs none.
    #[error("a share for track {0}, which needs none")]
    ShareUnexpected(TrackId),
    /// The vault's share is not 32 bytes.
    #[error("track {track}: {error}")]
    Share {
        /// The track it is for.
        track: TrackId,
        /// What is wrong with it.
        error: TrackKeyError,
    },
    /// No track of this part has that id.
    #[error("no track {0} in this part")]
    UnknownTrack(TrackId),
    /// A slice is longer than a segment can be.
    #[error("{size_bytes} bytes are more than a segment holds ({max_bytes})")]
    SliceTooLong {
        /// Length given.
        size_bytes: usize,
        /// Longest one taken.
        max_bytes: usize,
    },
    /// Media time ran backwards.
    #[error("media time {media_end_us} us is before the last checkpoint's, {last_us} us")]
    MediaTimeBackwards {
        /// Time given.
        media_end_us: u64,
        /// Time of the last checkpoint.
        last_us: u64,
    },
    /// A gap ends before it begins.
    #[error("a gap from {from_us} us to {to_us} us ends before it begins")]
    GapBackwards {
        /// Where it begins.
        from_us: u64,
        /// Where it ends.
        to_us: u64,
    },
    /// A gap's reason is a short code: lower-case letters, digits, underscores.
    #[error(
        "a gap's reason must be a code of at most 32 lower-case letters, digits and underscores"
    )]
    GapReason,
    /// Sealing failed before; the track takes no more.
    #[error("track {0} failed before and takes no more")]
    Poisoned(TrackId),
    /// A cipher refused.
    #[error(transparent)]
    Seal(#[from] CobblestoneError),
    /// A record does not fit its frame.
    #[error(transparent)]
    Track(#[from] TrackError),
}

/// Why a track could not be opened, or not further.
#[non_exhaustive]
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OpenTrackError {
    /// The envelope is not this track's, or not signed by its recording key.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The private key belongs to none of the recipients.
    #[error("this key is not among the recipients")]
    NotARecipient,
    /// The track needs the vault's share.
    #[error("this track needs the vault's share")]
    ShareNeeded,
    /// The share is not one.
    #[error(transparent)]
    Share(#[from] TrackKeyError),
    /// The wrap does not open.
    #[error(transparent)]
    Unwrap(#[from] HpkeError),
    /// The file is altered, or not the track it should be.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// A segment whose checkpoint is valid does not open.
    #[error("segment {index} does not open: {error}")]
    Segment {
        /// Counted from 0.
        index: u64,
        /// What the cipher says.
        error: CobblestoneError,
    },
    /// An opener was used again after it had failed.
    #[error("this track failed before and opens no further")]
    Poisoned,
}

impl RecordError {
    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Clinic(_) => "recording-recipient-refused",
            Self::Recipient(_) => "recording-recipient-key",
            Self::Header(_) => "recording-header",
            Self::OpenStatement(_) => "recording-open-refused",
            Self::OtherDraft(_) => "recording-other-draft",
            Self::ShareMissing(_) | Self::ShareUnexpected(_) | Self::Share { .. } => {
                "recording-share"
            }
            Self::UnknownTrack(_) => "recording-unknown-track",
            Self::SliceTooLong { .. } => "recording-slice-too-long",
            Self::MediaTimeBackwards { .. } => "recording-time-backwards",
            Self::GapBackwards { .. } | Self::GapReason => "recording-gap",
            Self::Poisoned(_) => "recording-poisoned",
            Self::Seal(_) | Self::Track(_) => "recording-seal-failed",
        }
    }
}

impl OpenTrackError {
    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Envelope(_) => "opening-envelope-refused",
            Self::NotARecipient => "opening-not-a-recipient",
            Self::ShareNeeded | Self::Share(_) => "opening-share",
            Self::Unwrap(_) => "opening-unwrap",
            Self::Track(_) => "opening-track-altered",
            Self::Segment { .. } => "opening-segment-altered",
            Self::Poisoned => "opening-poisoned",
        }
    }
}
