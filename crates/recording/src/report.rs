//! What is found out about a recording, as data.

use super::problem::{Problem, ProblemClass, ProblemCode};
use sealed_visit_protocol::consent::Purpose;
use sealed_visit_protocol::recording::{EndReason, Gap, PreviousPart};
use sealed_visit_protocol::track::TrackKind;
use sealed_visit_protocol::{Hash32, ParticipantId, RecordingId, TrackId, VisitId};
use serde::Serialize;

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
    /// The chain head before the first segment, and after each good one.
    #[serde(skip)]
    pub heads: Vec<Hash32>,
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
    /// Hash of the consent request: all parts of a recording stand on the same one.
    #[serde(skip)]
    pub request: Hash32,
    /// The part that the open statement says came before.
    #[serde(skip)]
    pub previous: Option<PreviousPart>,
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
    /// And nothing is missing: every part is whole, with a signed end.
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
    let mut problems = judge_parts(&parts);
    let last = parts.last().map(|part| part.ending);
    let ends_in_pause = matches!(
        last,
        Some(
            Ending::Finished {
                reason: EndReason::Paused,
                ..
            } | Ending::ClosedByVault {
                reason: EndReason::Paused,
                ..
            }
        )
    );
    if ends_in_pause {
        problems.push(problem(
            ProblemCode::EndsInPause,
            "the last part here ends in a pause: another may have followed".to_owned(),
        ));
    }
    let pauses = parts
        .windows(2)
        .map(|pair| PauseBetweenParts {
            after_part: pair[0].part,
            from_ms: pair[0].ended_ms(),
            to_ms: pair[1].started_ms,
        })
        .collect();
    let all = || {
        let of_parts = parts.iter().flat_map(|part| &part.problems);
        of_parts.chain(&problems)
    };
    let ok = all().all(|problem| problem.code.class() == ProblemClass::Missing);
    RecordingReport {
        v: 1,
        ok,
        complete: all().next().is_none() && parts.iter().all(|part| part.ending != Ending::Open),
        media_us: parts.iter().map(longest_us).sum(),
        parts,
        pauses,
        problems,
    }
}

/// Whether the parts, in order, are one whole recording from part 0 on.
fn judge_parts(parts: &[PartReport]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if parts.is_empty() {
        let message = "there is no part here".to_owned();
        problems.push(problem(ProblemCode::NoPart, message));
    }
    for (index, part) in parts.iter().enumerate() {
        let number = part.part;
        let before = index.checked_sub(1).map(|index| &parts[index]);
        let identity = |part: &PartReport| (part.recording, part.visit, part.request);
        if identity(part) != identity(&parts[0]) {
            let message = format!("part {number} belongs to another recording");
            problems.push(problem(ProblemCode::OtherRecording, message));
        }
        if before.is_some_and(|before| before.part == number) {
            let message = format!("part {number} is here twice");
            problems.push(problem(ProblemCode::PartTwice, message));
            continue;
        }
        match &part.previous {
            None if number > 0 => {
                // One problem for all of them: a number can be as large as its author likes.
                let first = before.map_or(0, |before| before.part + 1);
                if first < number {
                    let message = match number - 1 {
                        last if last == first => format!("part {first} is not here"),
                        last => format!("parts {first} to {last} are not here"),
                    };
                    problems.push(problem(ProblemCode::PartMissing, message));
                }
                let message = format!("part {number} does not name the part before it");
                problems.push(problem(ProblemCode::PreviousMissing, message));
            }
            None => {}
            Some(previous) => problems.extend(judge_previous(part, previous, &parts[..index])),
        }
    }
    if parts
        .first()
        .is_some_and(|first| first.part > 0 && first.previous.is_some())
    {
        let message = "part 0 is not here".to_owned();
        problems.push(problem(ProblemCode::PartMissing, message));
    }
    problems
}

/// Whether the part before this one is the one that it names, and holds at least as much as the recorder knew of it. A number in
/// between may never have been recorded: an attempt to begin a part takes one.
fn judge_previous(
    part: &PartReport,
    previous: &PreviousPart,
    earlier: &[PartReport],
) -> Vec<Problem> {
    let number = part.part;
    let named = earlier.iter().rfind(|one| one.part == previous.part);
    let is_its = |named: &PartReport, track| named.tracks.iter().any(|known| known.track == track);
    let names_its_tracks = named.is_none_or(|named| {
        let mut heads = previous.heads.iter();
        heads.all(|(track, _)| is_its(named, *track))
    });
    let is_skipped = earlier
        .iter()
        .any(|one| one.part > previous.part && !is_empty(one));
    if previous.part >= number || is_skipped || !names_its_tracks {
        let message = format!("part {number} names another part as the one before it");
        return vec![problem(ProblemCode::PreviousDiffers, message)];
    }
    match named {
        Some(named) => judge_heads(number, previous, named),
        None if previous.part > 0 => {
            let message = format!("part {} is not here", previous.part);
            vec![problem(ProblemCode::PartMissing, message)]
        }
        None => Vec::new(),
    }
}

/// The chain of every track must pass through the head that the next part names: a track that was cut further back, and whose
/// cut end was then signed, looks whole by itself.
fn judge_heads(number: u32, previous: &PreviousPart, named: &PartReport) -> Vec<Problem> {
    let cut = named.tracks.iter().filter(|track| {
        let mut heads = previous.heads.iter().filter(|(id, _)| *id == track.track);
        heads.clone().count() == 0 || !heads.all(|(_, head)| track.heads.contains(head))
    });
    cut.map(|track| Problem {
        code: ProblemCode::PreviousHeadMissing,
        message: format!(
            "part {} does not reach the place that part {number} names as already recorded",
            named.part
        ),
        track: Some(track.track),
    })
    .collect()
}

/// A part that the vault opened and that never got a segment: the recorder did not get the vault's answer, and took the next number.
/// After a while the vault closes it.
fn is_empty(part: &PartReport) -> bool {
    !matches!(part.ending, Ending::Finished { .. })
        && part.tracks.iter().all(|track| track.segments == 0)
}

fn problem(code: ProblemCode, message: String) -> Problem {
    Problem {
        code,
        message,
        track: None,
    }
}

fn longest_us(part: &PartReport) -> u64 {
    part.tracks
        .iter()
        .map(|track| track.media_end_us)
        .max()
        .unwrap_or(0)
}
