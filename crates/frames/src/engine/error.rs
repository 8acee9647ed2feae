//! What a caller can do wrong with the engine. Frames never end here: they have outcomes.

use thiserror::Error;

use crate::{
    codec::UnsupportedCodec,
    sframe::{BASE_KEY_BYTES, Epoch, Leaf, LeafOutOfRange},
};

use super::TrackHandle;

/// A call that the engine refused, leaving everything as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FramesError {
    /// The codec cannot be protected.
    #[error(transparent)]
    UnsupportedCodec(#[from] UnsupportedCodec),
    /// The leaf does not fit a key id.
    #[error(transparent)]
    LeafOutOfRange(#[from] LeafOutOfRange),
    /// The base key has the wrong length.
    #[error("a base key has {BASE_KEY_BYTES} bytes, not {size_bytes}")]
    BaseKeyLength {
        /// Length of what was given.
        size_bytes: usize,
    },
    /// An epoch not after the newest one.
    #[error("epoch {epoch} cannot follow epoch {newest}: epochs are installed in order, once")]
    EpochOrder {
        /// The epoch to be installed.
        epoch: Epoch,
        /// The newest epoch installed.
        newest: Epoch,
    },
    /// This engine used the same base key before; its counters would start again.
    #[error("the base key of epoch {epoch} was installed before: nonces would repeat")]
    BaseKeyReused {
        /// The epoch to be installed.
        epoch: Epoch,
    },
    /// The own leaf is not among the epoch's leaves.
    #[error("own leaf {leaf} is not among the leaves of epoch {epoch}")]
    NotAMember {
        /// The epoch to be installed.
        epoch: Epoch,
        /// The own leaf.
        leaf: Leaf,
    },
    /// The epoch has no live keys.
    #[error("epoch {epoch} has no live keys")]
    UnknownEpoch {
        /// The epoch in question.
        epoch: Epoch,
    },
    /// No open track has this handle.
    #[error("no open track has handle {}", track.0)]
    UnknownTrack {
        /// The handle in question.
        track: TrackHandle,
    },
    /// Another open sending track has the same tag: rename one of the two.
    #[error("this track's id has the same tag as another sending track's: choose another id")]
    TrackTagTaken,
    /// A layer number that the trailer cannot carry.
    #[error("layer {layer} does not fit a frame: at most {}", super::MAX_LAYER)]
    LayerOutOfRange {
        /// The layer in question.
        layer: u8,
    },
}

impl FramesError {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnsupportedCodec(_) => "frames-unsupported-codec",
            Self::LeafOutOfRange(_) => "frames-leaf-out-of-range",
            Self::BaseKeyLength { .. } => "frames-base-key-length",
            Self::EpochOrder { .. } => "frames-epoch-order",
            Self::BaseKeyReused { .. } => "frames-base-key-reused",
            Self::NotAMember { .. } => "frames-not-a-member",
            Self::UnknownEpoch { .. } => "frames-unknown-epoch",
            Self::UnknownTrack { .. } => "frames-unknown-track",
            Self::TrackTagTaken => "frames-track-tag-taken",
            Self::LayerOutOfRange { .. } => "frames-layer-out-of-range",
        }
    }
}
