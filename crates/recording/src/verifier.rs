//! Says how far a recording is good, and why not further.
//!
//! Needs the clinic's document (verified under its pinned root key) and no secret at all. Everything that the
//! parts' documents claim is checked against the tracks' own bytes; what cannot be checked is listed as a problem,
//! never left out. A part without an end is no problem but a state: any prefix of a track is good on its own.

use super::opener::TrackEnd;
use super::problem::{Problem, ProblemCode};
use super::report::{Ending, PartReport, ReceiptState, StatedPlace};
use super::verified_track::VerifiedTrack;
use sealed_visit_protocol::clinic::ClinicDocument;
use sealed_visit_protocol::consent::{
    Place, PlaceClaims, Request, Statement, StatementClaims, StatementKind,
};
use sealed_visit_protocol::recording::{
    ClosingClaims, EnvelopeClaims, EnvelopeError, Gap, ManifestClaims, OpenClaims, OpenError,
    OpenStatement, ReceiptClaims, TrackSummary,
};
use sealed_visit_protocol::{Jws, ParticipantId, RecordingId, TrackId};

/// Verifies one part: begin with its open statement, hand in what there is, ask for the report.
pub struct PartVerifier {
    clinic: ClinicDocument,
    open: OpenStatement,
    tracks: Vec<VerifiedTrack>,
    manifest: Option<Jws<ManifestClaims>>,
    closing: Option<Jws<ClosingClaims>>,
    receipt: Option<Jws<ReceiptClaims>>,
    /// Of the manifest, once it was verified.
    places: Vec<Jws<PlaceClaims>>,
    problems: Vec<Problem>,
}

impl PartVerifier {
    /// Verifies the open statement: recorder, roster, every grant, recipients, headers. Nothing else can be
    /// judged without it.
    pub fn new(open: &Jws<OpenClaims>, clinic: &ClinicDocument) -> Result<Self, OpenError> {
        let open = OpenStatement::verify(open, clinic)?;
        let mut problems = Vec::new();
        if open.claims().clinic != clinic.hash() {
            problems.push(Problem {
                code: ProblemCode::OtherClinicDocument,
                message: "the part was recorded under another clinic document than the one given"
                    .into(),
                track: None,
            });
        }
        if let Err(error) = clinic.check_time(open.claims().at_ms) {
            problems.push(Problem {
                code: ProblemCode::ClinicDocumentNotValid,
                message: error.to_string(),
                track: None,
            });
        }
        let tracks = open.headers().iter().map(VerifiedTrack::expected).collect();
        Ok(Self {
            clinic: clinic.clone(),
            open,
            tracks,
            manifest: None,
            closing: None,
            receipt: None,
            places: Vec::new(),
            problems,
        })
    }

    /// The verified open statement.
    pub fn open_statement(&self) -> &OpenStatement {
        &self.open
    }

    /// Whether the clinic document given is the one under which the part was recorded, and was valid then. Nothing is to be
    /// decrypted under another.
    pub fn may_open(&self) -> bool {
        self.open.claims().clinic == self.clinic.hash()
            && self.clinic.check_time(self.open.claims().at_ms).is_ok()
    }

    /// Says under which recording and part the documents were found.
    pub fn listed_as(&mut self, recording: RecordingId, part: u32) {
        let claims = self.open.claims();
        let (signed_recording, signed_part) = (claims.recording, claims.part);
        if (recording, part) != (signed_recording, signed_part) {
            let message = format!(
                "listed as part {part} of recording {recording}, signed as part {signed_part} of {signed_recording}"
            );
            self.problem(ProblemCode::ListedElsewhere, None, message);
        }
    }

    /// Hands in how far a track is good: of a [`super::TrackFollower`] or a [`super::TrackOpener`] that was fed with its bytes.
    pub fn track(&mut self, track: TrackId, end: TrackEnd) {
        let Some(known) = self.listed(track) else {
            return;
        };
        let TrackEnd {
            state,
            error,
            heads,
            ..
        } = end;
        known.unverified_bytes = state.offset() - state.verified_bytes();
        known.seen = true;
        known.error = error.map(|error| error.to_string());
        if state
            .header()
            .is_some_and(|header| header.hash() == known.header.hash())
        {
            known.state = state;
            known.heads.extend(heads);
        }
    }

    /// Says that a track is listed, and that its bytes are not here.
    pub fn track_not_here(&mut self, track: TrackId) {
        self.listed(track);
    }

    /// A track of this part that was not listed before; otherwise a problem.
    fn listed(&mut self, track: TrackId) -> Option<&mut VerifiedTrack> {
        let position = self
            .tracks
            .iter()
            .position(|known| known.header.claims().track == track);
        let Some(position) = position else {
            let message = "a track that the open statement does not name".to_owned();
            self.problem(ProblemCode::UnknownTrack, Some(track), message);
            return None;
        };
        if std::mem::replace(&mut self.tracks[position].listed, true) {
            let message = "the track stands here twice".to_owned();
            self.problem(ProblemCode::TrackTwice, Some(track), message);
            return None;
        }
        Some(&mut self.tracks[position])
    }

    /// Hands in an envelope that was found with this track.
    pub fn envelope(&mut self, track: TrackId, envelope: Jws<EnvelopeClaims>) {
        let known = self
            .tracks
            .iter_mut()
            .find(|known| known.header.claims().track == track);
        let Some(known) = known else {
            return self.problem(
                ProblemCode::EnvelopeElsewhere,
                Some(track),
                "an envelope of no track of this part".into(),
            );
        };
        match EnvelopeClaims::verify(&envelope, &known.header, None) {
            Ok(_) => known.envelopes.push(envelope),
            Err(EnvelopeError::OtherTrack) => self.problem(
                ProblemCode::EnvelopeElsewhere,
                Some(track),
                "the envelope belongs to another track".into(),
            ),
            Err(error) => {
                self.problem(ProblemCode::EnvelopeInvalid, Some(track), error.to_string());
            }
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
        self.judge_tracks(&summaries);
        let receipt = self.judge_receipt();
        let places = self.judge_places();
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
            places,
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
            request: claims.request.hash(),
            previous: claims.previous.clone(),
        }
    }

    fn judge_ending(&mut self, started_ms: &mut u64) -> (Ending, Vec<TrackSummary>) {
        let open = self.open.jws().hash();
        let part = (self.open.claims().recording, self.open.claims().part);
        let mut ends = Vec::new();
        if let Some(manifest) = self.manifest.clone() {
            match manifest.verify(&self.open.claims().recording_key) {
                Ok(claims) if claims.open == open && (claims.recording, claims.part) == part => {
                    *started_ms = claims.started_ms;
                    if claims.ended_ms < claims.started_ms {
                        let message = "the manifest ends before it begins".to_owned();
                        self.problem(ProblemCode::EndTimesInvalid, None, message);
                    }
                    self.judge_withdrawal(claims.withdrawal.as_ref());
                    self.judge_coverage(&claims.tracks);
                    self.places = claims.places;
                    let ending = Ending::Finished {
                        reason: claims.reason,
                        ended_ms: claims.ended_ms,
                    };
                    ends.push((ending, claims.tracks));
                }
                Ok(_) => self.problem(
                    ProblemCode::ManifestElsewhere,
                    None,
                    "the manifest is for another part".into(),
                ),
                Err(error) => self.problem(ProblemCode::ManifestInvalid, None, error.to_string()),
            }
        }
        // With a manifest, it is a part that the vault closed before its device sent more. It is verified too.
        if let Some(closing) = self.closing.clone() {
            match closing.verify(&self.clinic.claims().vault) {
                Ok(claims) if claims.open == open && (claims.recording, claims.part) == part => {
                    self.judge_withdrawal(claims.withdrawal.as_ref());
                    self.judge_coverage(&claims.tracks);
                    if let Some((_, signed)) = ends.first() {
                        self.judge_earlier_end(&claims.tracks, signed);
                    }
                    let ending = Ending::ClosedByVault {
                        reason: claims.reason,
                        stopped_ms: claims.stopped_ms,
                    };
                    ends.push((ending, claims.tracks));
                }
                Ok(_) => self.problem(
                    ProblemCode::ClosingElsewhere,
                    None,
                    "the closing record is for another part".into(),
                ),
                Err(error) => self.problem(ProblemCode::ClosingInvalid, None, error.to_string()),
            }
        }
        ends.into_iter()
            .next()
            .unwrap_or((Ending::Open, Vec::new()))
    }

    /// A closing record beside a manifest covers no more than the manifest does.
    fn judge_earlier_end(&mut self, earlier: &[TrackSummary], signed: &[TrackSummary]) {
        let covers_more = earlier.iter().find(|summary| {
            let same = signed.iter().find(|signed| signed.track == summary.track);
            // A track missing from the manifest is reported as such.
            same.is_some_and(|signed| {
                signed.segments < summary.segments
                    || (signed.segments == summary.segments && signed.head != summary.head)
            })
        });
        if let Some(track) = covers_more.map(|summary| summary.track) {
            let message = "the vault closed the part with other bytes than the manifest has";
            self.problem(ProblemCode::EndDiffers, Some(track), message.to_owned());
        }
    }

    /// Every track of the open statement exactly once, and nothing else; gaps that begin in the media.
    fn judge_coverage(&mut self, summaries: &[TrackSummary]) {
        let mut named: Vec<TrackId> = summaries.iter().map(|summary| summary.track).collect();
        let mut opened: Vec<TrackId> = self
            .tracks
            .iter()
            .map(|known| known.header.claims().track)
            .collect();
        named.sort();
        opened.sort();
        if named != opened {
            let message = "the signed end does not name every track of the part once".to_owned();
            self.problem(ProblemCode::EndTracksDiffer, None, message);
        }
        for summary in summaries {
            // What is missing at the end reaches past it.
            let is_gap =
                |gap: &Gap| gap.from_us <= gap.to_us && gap.from_us <= summary.media_end_us;
            if !summary.gaps.iter().all(is_gap) {
                let message =
                    "a gap begins after the track ended, or ends before it begins".to_owned();
                self.problem(ProblemCode::EndTimesInvalid, Some(summary.track), message);
            }
        }
    }

    /// The withdrawal that ended the part is for its own round, by somebody whose grant the part stands on, or who was shown
    /// the very request: whoever joins while a part runs grants it, too, and no open statement says so.
    fn judge_withdrawal(&mut self, withdrawal: Option<&Jws<StatementClaims>>) {
        let Some(jws) = withdrawal else { return };
        let claims = self.open.claims();
        let asked = claims.request.unverified_claims().ok();
        let verified = Statement::verify(jws, &self.clinic, claims.visit, &claims.group_id.0);
        let problem = match verified {
            Err(error) => Some(error.to_string()),
            Ok(statement) => {
                let said = statement.claims();
                let is_of_round = asked.is_some_and(|asked| asked.round == said.round);
                let takes_part = said.request == claims.request.hash()
                    || self.open.granted_by().contains(&statement.participant());
                let is_genuine =
                    said.kind == StatementKind::Withdrawal && is_of_round && takes_part;
                (!is_genuine).then(|| "it is not a withdrawal from this part's round".to_owned())
            }
        };
        if let Some(message) = problem {
            self.problem(ProblemCode::WithdrawalInvalid, None, message);
        }
    }

    /// Each track's bytes, against the summary that was signed if there is one, and its envelopes.
    fn judge_tracks(&mut self, summaries: &[TrackSummary]) {
        let mut found = Vec::new();
        for known in &self.tracks {
            let track = known.header.claims().track;
            let summary = summaries.iter().find(|summary| summary.track == track);
            found.extend(known.judge_bytes(summary).map(|problem| (track, problem)));
            if known.seen && known.envelopes.is_empty() {
                let message = "no valid envelope: nobody can open this track".to_owned();
                found.push((track, (ProblemCode::EnvelopeMissing, message)));
            }
        }
        for (track, (code, message)) in found {
            self.problem(code, Some(track), message);
        }
    }

    fn judge_receipt(&mut self) -> ReceiptState {
        let Some(receipt) = self.receipt.clone() else {
            return ReceiptState::Missing;
        };
        let claims = match receipt.verify(&self.clinic.claims().vault) {
            Ok(claims) => claims,
            Err(error) => {
                self.problem(ProblemCode::ReceiptInvalid, None, error.to_string());
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
            let names_once = claims.tracks.len() == self.tracks.len();
            self.tracks
                .iter()
                .find_map(|known| known.differs_from_receipt(&claims))
                .or_else(|| {
                    (!names_once).then(|| "the receipt names a track twice, or another".to_owned())
                })
        };
        if let Some(message) = differs {
            self.problem(ProblemCode::ReceiptDiffers, None, message);
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
            self.problem(ProblemCode::ReceiptCoversMore, Some(*track), message);
        }
        match shorter.is_empty() {
            true => ReceiptState::Valid,
            false => ReceiptState::CoversMore,
        }
    }

    /// The places in the grants, which the open statement verified, and the host's word for them in the manifest.
    fn judge_places(&mut self) -> Vec<StatedPlace> {
        let claims = self.open.claims();
        let (visit, group_id) = (claims.visit, claims.group_id.0.clone());
        let stated: Vec<(ParticipantId, String)> = claims
            .grants
            .iter()
            .filter_map(|jws| {
                let grant = jws.unverified_claims().ok()?;
                let author = grant.pass.unverified_claims().ok()?.sub;
                (!grant.place.is_empty()).then_some((author, grant.place))
            })
            .collect();
        let round = claims
            .request
            .unverified_claims()
            .map(|asked| asked.round)
            .ok();
        let mut confirmed: Vec<PlaceClaims> = Vec::new();
        for jws in std::mem::take(&mut self.places) {
            match Place::verify(&jws, &self.clinic, visit, &group_id) {
                Ok(place) if Some(place.claims().round) == round => {
                    confirmed.push(place.claims().clone());
                }
                Ok(_) => self.problem(
                    ProblemCode::PlaceInvalid,
                    None,
                    "a confirmed place is of another consent round".into(),
                ),
                Err(error) => self.problem(ProblemCode::PlaceInvalid, None, error.to_string()),
            }
        }
        let is_confirmed = |participant: ParticipantId, place: &str| {
            confirmed
                .iter()
                .any(|claims| claims.participant == participant && claims.place == place)
        };
        stated
            .into_iter()
            .map(|(participant, place)| StatedPlace {
                participant,
                confirmed: is_confirmed(participant, &place),
                place,
            })
            .collect()
    }

    fn problem(&mut self, code: ProblemCode, track: Option<TrackId>, message: String) {
        self.problems.push(Problem {
            code,
            message,
            track,
        });
    }
}
