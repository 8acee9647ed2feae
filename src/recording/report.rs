//! What is found out about a recording, as data.

use sealed_visit_protocol::consent::Purpose;
use sealed_visit_protocol::recording::{EndReason, Gap};
use sealed_visit_protocol::track::TrackKind;
use sealed_visit_protocol::{Hash32, ParticipantId, RecordingId, TrackId, VisitId};
use serde::Serialize;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Stable, for programs: e.g. `track-altered`.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// The track it concerns, if one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track: Option<TrackId>,
}

/// How a part ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Ending {
    /// The recorder signed a manifest.
    Finished {
        /// Why the part ended.
        reason: EndReason,
        /// Recorder's wall clock.
        ended_ms: u64,
    },
    /// The vault closed the part at its last valid checkpoint.
    ClosedByVault {
        /// Why.
        reason: EndReason,
        /// Recorder's wall clock at the last checkpoint.
        stopped_ms: u64,
    },
    /// Neither: good up to the last checkpoint of each track.
    Open,
}

/// What the vault's receipt says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// There is none here.
    Missing,
    /// Signed by the clinic's vault, over exactly these bytes.
    Valid,
    /// Signed by the clinic's vault, over more than is here.
    CoversMore,
    /// There is one, and it is about something else; see the problems.
    Invalid,
}

/// The place that somebody stated with a grant. Evidence: no verdict depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatedPlace {
    /// Who.
    pub participant: ParticipantId,
    /// An ISO 3166 code.
    pub place: String,
    /// The host signed that it is so.
    pub confirmed: bool,
}

/// One track of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrackReport {
    /// Its id.
    pub track: TrackId,
    /// What it holds.
    pub content: TrackKind,
    /// What its plaintext is.
    pub media_type: String,
    /// Whether opening needs the vault's share.
    pub share_required: bool,
    /// Verified segments.
    pub segments: u64,
    /// Bytes up to the last good checkpoint.
    pub verified_bytes: u64,
    /// Bytes after it.
    pub unverified_bytes: u64,
    /// Media time at the last good checkpoint, from the part's start.
    pub media_end_us: u64,
    /// Recorder's wall clock there; 0 without a segment.
    pub last_at_ms: u64,
    /// Stated holes.
    pub gaps: Vec<Gap>,
    /// Whether a valid envelope was there.
    pub envelope: bool,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// Which recording.
    pub recording: RecordingId,
    /// Which visit.
    pub visit: VisitId,
    /// Counts from 0.
    pub part: u32,
    /// What everybody agreed to.
    pub purpose: Option<Purpose>,
    /// Whose grants it stands on.
    pub granted_by: Vec<ParticipantId>,
    /// Where they said to be, and whether the host confirmed it.
    pub places: Vec<StatedPlace>,
    /// Fingerprints of who can open it.
    pub recipients: Vec<Hash32>,
    /// Wall clock at media time 0: of the manifest, or else of the open statement.
    pub started_ms: u64,
    /// How it ended.
    pub ending: Ending,
    /// Its tracks.
    pub tracks: Vec<TrackReport>,
    /// The vault's receipt.
    pub receipt: ReceiptState,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl PartReport {
    /// Recorder's wall clock at the end, as far as known.
    pub fn ended_ms(&self) -> u64 {
        match self.ending {
            Ending::Finished { ended_ms, .. } => ended_ms,
            Ending::ClosedByVault { stopped_ms, .. } => stopped_ms,
            Ending::Open => self
                .tracks
                .iter()
                .map(|track| track.last_at_ms)
                .max()
                .unwrap_or(self.started_ms),
        }
    }
}

/// The time between two parts in which nothing was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PauseBetweenParts {
    /// The part before it.
    pub after_part: u32,
    /// Recorder's wall clock at its end.
    pub from_ms: u64,
    /// Recorder's wall clock at the next part's start.
    pub to_ms: u64,
}

/// All parts as one recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordingReport {
    /// Version of this report's form.
    pub v: u32,
    /// No alteration was found: everything here is what the recorder sealed.
    pub ok: bool,
    /// And nothing is missing: every part has a signed end, and all of it is here.
    pub complete: bool,
    /// Sum over the parts of the longest track's media time.
    pub media_us: u64,
    /// In order.
    pub parts: Vec<PartReport>,
    /// Between the parts.
    pub pauses: Vec<PauseBetweenParts>,
    /// What concerns no single part.
    pub problems: Vec<Problem>,
}

/// Puts the parts' reports together.
pub fn report_recording(mut parts: Vec<PartReport>) -> RecordingReport {
    parts.sort_by_key(|part| part.part);
    let mut problems = Vec::new();
    let mut problem = |code, message| {
        problems.push(Problem {
            code,
            message,
            track: None,
        })
    };
    if parts.is_empty() {
        problem("no-part", "there is no part here".to_owned());
    }
    for (index, part) in parts.iter().enumerate() {
        if (part.recording, part.visit) != (parts[0].recording, parts[0].visit) {
            problem(
                "other-recording",
                format!("part {} belongs to another recording", part.part),
            );
        }
        if index > 0 && part.part == parts[index - 1].part {
            problem("part-twice", format!("part {} is here twice", part.part));
        }
        let expected = if index == 0 {
            0
        } else {
            parts[index - 1].part + 1
        };
        for missing in expected..part.part {
            problem("part-missing", format!("part {missing} is not here"));
        }
    }
    let pauses = parts
        .windows(2)
        .map(|pair| PauseBetweenParts {
            after_part: pair[0].part,
            from_ms: pair[0].ended_ms(),
            to_ms: pair[1].started_ms,
        })
        .collect();
    let ok = problems
        .iter()
        .all(|problem: &Problem| is_absence(problem.code))
        && !parts.is_empty()
        && parts
            .iter()
            .flat_map(|part| &part.problems)
            .all(|problem| is_absence(problem.code));
    let nothing_wrong = problems.is_empty() && parts.iter().all(|part| part.problems.is_empty());
    let all_ended = parts.iter().all(|part| part.ending != Ending::Open);
    RecordingReport {
        v: 1,
        ok,
        complete: ok && nothing_wrong && all_ended,
        media_us: parts.iter().map(longest_us).sum(),
        parts,
        pauses,
        problems,
    }
}

fn longest_us(part: &PartReport) -> u64 {
    part.tracks
        .iter()
        .map(|track| track.media_end_us)
        .max()
        .unwrap_or(0)
}

/// Problems that say that something is not here, as opposed to altered.
fn is_absence(code: &str) -> bool {
    matches!(
        code,
        "part-missing"
            | "receipt-covers-more"
            | "track-missing"
            | "track-truncated"
            | "track-without-header"
            | "envelope-missing"
    )
}
