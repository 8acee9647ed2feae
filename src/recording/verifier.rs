//! Says how far a recording is good, and why not further.
//!
//! Needs the clinic's document (verified under its pinned root key) and no secret at all. Everything that the
//! parts' documents claim is checked against the tracks' own bytes; what cannot be checked is listed as a problem,
//! never left out. A part without an end is no problem but a state: any prefix of a track is good on its own.

use sealed_visit_protocol::clinic::ClinicDocument;
use sealed_visit_protocol::consent::{Purpose, Request};
use sealed_visit_protocol::recording::{
    ClosingClaims, EndReason, EnvelopeClaims, Gap, ManifestClaims, OpenClaims, OpenError,
    OpenStatement, ReceiptClaims, TrackSummary,
};
use sealed_visit_protocol::track::{Header, TrackKind, TrackState};
use sealed_visit_protocol::{Hash32, Jws, ParticipantId, RecordingId, TrackId, VisitId};
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

/// Verifies one part: begin with its open statement, hand in what there is, ask for the report.
pub struct PartVerifier {
    clinic: ClinicDocument,
    open: OpenStatement,
    tracks: Vec<VerifiedTrack>,
    manifest: Option<Jws<ManifestClaims>>,
    closing: Option<Jws<ClosingClaims>>,
    receipt: Option<Jws<ReceiptClaims>>,
    problems: Vec<Problem>,
}

struct VerifiedTrack {
    header: Header,
    state: TrackState,
    unverified_bytes: u64,
    seen: bool,
    envelope: Option<Jws<EnvelopeClaims>>,
}

impl PartVerifier {
    /// Verifies the open statement: recorder, roster, every grant, recipients, headers. Nothing else can be
    /// judged without it.
    pub fn new(open: &Jws<OpenClaims>, clinic: &ClinicDocument) -> Result<Self, OpenError> {
        let open = OpenStatement::verify(open, clinic)?;
        let mut problems = Vec::new();
        if open.claims().clinic != clinic.hash() {
            problems.push(Problem {
                code: "other-clinic-document",
                message:
                    "the open statement was made under another clinic document than the one given"
                        .into(),
                track: None,
            });
        }
        let tracks = open
            .headers()
            .iter()
            .map(|header| VerifiedTrack {
                header: header.clone(),
                state: TrackState::expecting(header.hash()),
                unverified_bytes: 0,
                seen: false,
                envelope: None,
            })
            .collect();
        Ok(Self {
            clinic: clinic.clone(),
            open,
            tracks,
            manifest: None,
            closing: None,
            receipt: None,
            problems,
        })
    }

    /// The verified open statement.
    pub fn open_statement(&self) -> &OpenStatement {
        &self.open
    }

    /// Hands in a track's verified state: of a [`TrackState`] that was fed with its bytes, or of a
    /// [`super::TrackEnd`]. `error` is what stopped it.
    pub fn track(&mut self, track: TrackId, state: TrackState, error: Option<String>) {
        let Some(known) = self
            .tracks
            .iter_mut()
            .find(|known| known.header.claims().track == track)
        else {
            let message = "a track that the open statement does not name".to_owned();
            return self.problem("unknown-track", Some(track), message);
        };
        known.unverified_bytes = state.offset() - state.verified_bytes();
        known.seen = true;
        let headless = state
            .header()
            .is_none_or(|header| header.hash() != known.header.hash());
        if !headless {
            known.state = state;
        }
        if let Some(error) = error {
            self.problem("track-altered", Some(track), error);
        } else if headless {
            self.problem(
                "track-without-header",
                Some(track),
                "the file ends inside its header".into(),
            );
        }
    }

    /// Hands in a track's envelope.
    pub fn envelope(&mut self, envelope: Jws<EnvelopeClaims>) {
        let track = envelope.unverified_claims().map(|claims| claims.track).ok();
        let known = self
            .tracks
            .iter_mut()
            .find(|known| Some(known.header.claims().track) == track);
        let Some(known) = known else {
            return self.problem(
                "unknown-envelope",
                track,
                "an envelope of no track of this part".into(),
            );
        };
        match EnvelopeClaims::verify(&envelope, &known.header, None) {
            Ok(_) => known.envelope = Some(envelope),
            Err(error) => self.problem("envelope-invalid", track, error.to_string()),
        }
    }

    /// Hands in the recorder's manifest.
    pub fn manifest(&mut self, manifest: Jws<ManifestClaims>) {
        self.manifest = Some(manifest);
    }

    /// Hands in the vault's closing record.
    pub fn closing(&mut self, closing: Jws<ClosingClaims>) {
        self.closing = Some(closing);
    }

    /// Hands in the vault's receipt.
    pub fn receipt(&mut self, receipt: Jws<ReceiptClaims>) {
        self.receipt = Some(receipt);
    }

    /// Judges all that was handed in.
    pub fn report(mut self) -> PartReport {
        let mut started_ms = self.open.claims().at_ms;
        let (ending, summaries) = self.judge_ending(&mut started_ms);
        for summary in &summaries {
            self.judge_summary(summary);
        }
        self.judge_missing();
        let receipt = self.judge_receipt();
        let claims = self.open.claims();
        let purpose = Request::verify(
            &claims.request,
            &self.clinic,
            claims.visit,
            &claims.group_id.0,
        )
        .map(|request| request.claims().purpose)
        .ok();
        let tracks = self
            .tracks
            .iter()
            .map(|track| track.report(&summaries))
            .collect();
        PartReport {
            recording: claims.recording,
            visit: claims.visit,
            part: claims.part,
            purpose,
            granted_by: self.open.granted_by(),
            recipients: claims
                .recipients
                .iter()
                .map(|recipient| recipient.fingerprint)
                .collect(),
            started_ms,
            ending,
            tracks,
            receipt,
            problems: self.problems,
        }
    }

    fn judge_ending(&mut self, started_ms: &mut u64) -> (Ending, Vec<TrackSummary>) {
        let open = self.open.jws().hash();
        let part = (self.open.claims().recording, self.open.claims().part);
        if let Some(manifest) = self.manifest.clone() {
            match manifest.verify(&self.open.claims().recording_key) {
                Ok(claims) if claims.open == open && (claims.recording, claims.part) == part => {
                    *started_ms = claims.started_ms;
                    let ending = Ending::Finished {
                        reason: claims.reason,
                        ended_ms: claims.ended_ms,
                    };
                    return (ending, claims.tracks);
                }
                Ok(_) => self.problem(
                    "manifest-of-another-part",
                    None,
                    "the manifest is for another part".into(),
                ),
                Err(error) => self.problem("manifest-invalid", None, error.to_string()),
            }
        }
        if let Some(closing) = self.closing.clone() {
            match closing.verify(&self.clinic.claims().vault) {
                Ok(claims) if claims.open == open && (claims.recording, claims.part) == part => {
                    let ending = Ending::ClosedByVault {
                        reason: claims.reason,
                        stopped_ms: claims.stopped_ms,
                    };
                    return (ending, claims.tracks);
                }
                Ok(_) => self.problem(
                    "closing-of-another-part",
                    None,
                    "the closing record is for another part".into(),
                ),
                Err(error) => self.problem("closing-invalid", None, error.to_string()),
            }
        }
        (Ending::Open, Vec::new())
    }

    /// A signed summary against what the bytes show.
    fn judge_summary(&mut self, summary: &TrackSummary) {
        let track = Some(summary.track);
        let Some(known) = self
            .tracks
            .iter()
            .find(|known| known.header.claims().track == summary.track)
        else {
            return self.problem(
                "manifest-differs",
                track,
                "names a track that the open statement does not".into(),
            );
        };
        if !known.seen {
            return;
        }
        let (segments, unverified) = (known.state.segments(), known.unverified_bytes);
        if summary.describes(&known.header, &known.state) {
            if unverified > 0 {
                let message = format!("{unverified} bytes after the end that was signed");
                self.problem("bytes-after-end", track, message);
            }
        } else if segments < summary.segments {
            let message = format!(
                "good up to segment {segments} of the {} that were signed",
                summary.segments
            );
            self.problem("track-truncated", track, message);
        } else {
            self.problem(
                "manifest-differs",
                track,
                "the track is not as its signed summary says".into(),
            );
        }
    }

    fn judge_missing(&mut self) {
        let missing: Vec<_> = self
            .tracks
            .iter()
            .map(|known| {
                (
                    known.header.claims().track,
                    known.seen,
                    known.envelope.is_some(),
                )
            })
            .collect();
        for (track, seen, envelope) in missing {
            if !seen {
                self.problem(
                    "track-missing",
                    Some(track),
                    "the open statement names a track that is not here".into(),
                );
            } else if !envelope {
                self.problem(
                    "envelope-missing",
                    Some(track),
                    "no valid envelope: nobody can open this track".into(),
                );
            }
        }
    }

    fn judge_receipt(&mut self) -> ReceiptState {
        let Some(receipt) = self.receipt.clone() else {
            return ReceiptState::Missing;
        };
        let claims = match receipt.verify(&self.clinic.claims().vault) {
            Ok(claims) => claims,
            Err(error) => {
                self.problem("receipt-invalid", None, error.to_string());
                return ReceiptState::Invalid;
            }
        };
        let ended_by = match (&self.manifest, &self.closing) {
            (Some(manifest), _) if claims.finished => Some(manifest.hash()),
            (_, Some(closing)) if !claims.finished => Some(closing.hash()),
            _ => None,
        };
        let open = self.open.claims();
        let same_part = (claims.recording, claims.part, claims.open)
            == (open.recording, open.part, self.open.jws().hash());
        let differs = if !same_part {
            Some("the receipt is for another part".to_owned())
        } else if ended_by != Some(claims.ended_by) {
            Some(
                "the receipt is for another manifest or closing record than the one here"
                    .to_owned(),
            )
        } else {
            self.tracks
                .iter()
                .find_map(|known| known.differs_from_receipt(&claims))
        };
        if let Some(message) = differs {
            self.problem("receipt-differs", None, message);
            return ReceiptState::Invalid;
        }
        let shorter: Vec<_> = self
            .tracks
            .iter()
            .filter(|known| known.is_shorter_than(&claims))
            .map(|known| known.header.claims().track)
            .collect();
        for track in &shorter {
            let message = "the vault's receipt is for more of this track than is here".to_owned();
            self.problem("receipt-covers-more", Some(*track), message);
        }
        match shorter.is_empty() {
            true => ReceiptState::Valid,
            false => ReceiptState::CoversMore,
        }
    }

    fn problem(&mut self, code: &'static str, track: Option<TrackId>, message: String) {
        self.problems.push(Problem {
            code,
            message,
            track,
        });
    }
}

impl VerifiedTrack {
    fn report(&self, summaries: &[TrackSummary]) -> TrackReport {
        let said = self.header.claims();
        let gaps = summaries
            .iter()
            .find(|summary| summary.track == said.track)
            .map(|summary| summary.gaps.clone())
            .unwrap_or_default();
        TrackReport {
            track: said.track,
            content: said.content.clone(),
            media_type: said.media_type.clone(),
            share_required: said.share_required,
            segments: self.state.segments(),
            verified_bytes: self.state.verified_bytes(),
            unverified_bytes: self.unverified_bytes,
            media_end_us: self.state.media_end_us(),
            last_at_ms: self.state.last_at_ms(),
            gaps,
            envelope: self.envelope.is_some(),
        }
    }

    fn differs_from_receipt(&self, receipt: &ReceiptClaims) -> Option<String> {
        let track = self.header.claims().track;
        let Some(said) = receipt.tracks.iter().find(|said| said.track == track) else {
            return Some(format!("the receipt does not name track {track}"));
        };
        let same = (said.length_bytes, said.segments, said.head)
            == (
                self.state.verified_bytes(),
                self.state.segments(),
                self.state.head(),
            );
        if !same && !self.is_shorter_than(receipt) {
            return Some(format!("the receipt is for other bytes of track {track}"));
        }
        let envelope = self.envelope.as_ref().map(Jws::hash);
        let other = envelope.is_some_and(|envelope| envelope != said.envelope);
        other.then(|| format!("the receipt is for another envelope of track {track}"))
    }

    fn is_shorter_than(&self, receipt: &ReceiptClaims) -> bool {
        let track = self.header.claims().track;
        let said = receipt.tracks.iter().find(|said| said.track == track);
        said.is_some_and(|said| self.state.segments() < said.segments)
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
