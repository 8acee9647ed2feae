//! Makes a WebM that was recorded live seekable: known length, duration, and an index (cues).
//!
//! A browser's MediaRecorder writes WebM for streaming: sizes unknown, no duration, no cues, so that players can
//! neither tell its length nor jump in it. This copies the frames as they are, nothing decoded, into
//!
//! ```text
//! EBML header, Segment { SeekHead, Info (with Duration), Tracks, Cues, Cluster* }
//! ```
//!
//! Formats: EBML ([RFC 8794](https://www.rfc-editor.org/rfc/rfc8794)), Matroska
//! ([RFC 9559](https://www.rfc-editor.org/rfc/rfc9559)). Input: a file that may end anywhere, as an unfinished
//! recording does; a torn last frame is left out. Invariant: nothing in the input makes this panic, or keep more in
//! memory than the places of clusters and key frames.

mod ebml;
mod ids;
mod scan;
#[cfg(test)]
mod tests;
mod write;

use scan::Scan;
use std::io::{Read, Seek, Write};
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

/// Reads `input` and writes its seekable form.
pub fn make_seekable(
    input: &mut (impl Read + Seek),
    output: &mut impl Write,
) -> Result<Indexed, WebmError> {
    let mut scan = Scan::new(input)?;
    scan.run()?;
    let parts = scan.parts;
    if parts.clusters.is_empty() {
        return Err(WebmError::Empty);
    }
    let indexed = Indexed {
        duration_ms: parts.duration_ticks().saturating_mul(parts.scale_ns) / 1_000_000,
        cues: parts.cues.len(),
        torn_bytes: parts.torn_bytes,
    };
    write::write(&parts, input, output)?;
    Ok(indexed)
}

/// What a live file turned out to hold.
struct Parts {
    ebml: Vec<u8>,
    /// Children of Info but Duration.
    info: Vec<u8>,
    scale_ns: u64,
    tracks: Vec<u8>,
    clusters: Vec<Cluster>,
    cues: Vec<Cue>,
    timing: Vec<TrackTiming>,
    torn_bytes: u64,
}

#[derive(Default)]
struct Cluster {
    timestamp: u64,
    /// Whole children to be copied: offset and length in the input.
    ranges: Vec<(u64, u64)>,
    size_bytes: u64,
}

struct Cue {
    time: u64,
    track: u64,
    cluster: usize,
}

struct TrackTiming {
    number: u64,
    is_video: bool,
    last: Option<u64>,
    step: u64,
}

impl Parts {
    /// End of the frame that ends last, a track's last frame being as long as the one before it.
    fn duration_ticks(&self) -> u64 {
        let end = |track: &TrackTiming| track.last.map(|last| last.saturating_add(track.step));
        self.timing.iter().filter_map(end).max().unwrap_or(0)
    }
}

impl Cluster {
    fn keep(&mut self, offset: u64, length: u64) {
        self.size_bytes += length;
        match self.ranges.last_mut() {
            Some((start, so_far)) if *start + *so_far == offset => *so_far += length,
            _ => self.ranges.push((offset, length)),
        }
    }
}
