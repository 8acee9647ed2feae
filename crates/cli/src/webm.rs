//! Makes a WebM that was recorded live seekable: known length, duration, and an index (cues).
//!
//! A browser's MediaRecorder writes WebM for streaming: sizes unknown, no duration, no cues, so that players can
//! neither tell its length nor jump in it. This copies the frames as they are, nothing decoded, into
//!
//! ```text
//! EBML header, Segment { SeekHead, Info (with Duration), Tracks, Cluster*, Cues }
//! ```
//!
//! Formats: EBML ([RFC 8794](https://www.rfc-editor.org/rfc/rfc8794)), Matroska
//! ([RFC 9559](https://www.rfc-editor.org/rfc/rfc9559)). Input: a file that may end anywhere, as an unfinished
//! recording does; a torn last frame is left out. It is read once, as it comes. Invariant: nothing in the input makes this
//! panic, or keep more in memory than one element and the places of clusters and key frames.

mod ebml;
mod ids;
mod stream;
#[cfg(test)]
mod tests;

pub use stream::Indexer;
use thiserror::Error;

/// Why a file could not be indexed; it stays as it was.
#[derive(Debug, Error)]
pub enum WebmError {
    #[error("not a WebM file: {0}")]
    NotWebm(&'static str),
    #[error("the file holds several WebM files, one after the other")]
    SeveralFiles,
    #[error("there is no frame in it")]
    Empty,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What the seekable file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indexed {
    pub duration_ms: u64,
    /// Places that a player can jump to.
    pub cues: usize,
    /// Bytes of a torn last frame that were left out.
    pub torn_bytes: u64,
}
