//! What must not be called genuine and complete, whoever signed it.

use super::{codes, draft, followed, record, verify};
use sealed_visit_protocol::consent::StatementKind;
use sealed_visit_protocol::recording::{
    ClosingClaims, EndReason, Gap, ManifestClaims, OpenClaims, OpenTrack, PreviousPart,
    ReceiptClaims, TrackReceipt, TrackSummary,
};
use sealed_visit_protocol::track::{Header, MAGIC, TrackState};
use sealed_visit_protocol::{B64, Jws, RecordingId, Role, SigningKey, TrackId, VERSION};
use sealed_visit_recording::*;
use sealed_visit_testing::recording::{START_MS, World};

/// A part of a recorder that signs whatever it likes; its tracks hold a header each and nothing else.
struct Signed {
    world: World,
    key: SigningKey,
    open: Jws<OpenClaims>,
    headers: Vec<Header>,
}

impl Signed {
    fn new() -> Self {
        let world = super::world(&super::clinic_keys());
        let key = SigningKey::from_seed(&[5; 32]);
        let honest = draft(&world, 0, true).open_tracks();
        let tracks: Vec<OpenTrack> = honest
            .into_iter()
            .map(|OpenTrack { track, header }| {
                let mut said: serde_json::Value = serde_json::from_slice(&header.0).unwrap();
                said["recording_key"] = serde_json::to_value(key.public()).unwrap();
                let header = B64(serde_json::to_vec(&said).unwrap());
                OpenTrack { track, header }
            })
            .collect();
        let headers = tracks
            .iter()
            .map(|track| Header::parse(&track.header.0).unwrap());
        let headers = headers.collect();
        let open = world.open(0, key.public(), tracks, None);
        Self {
            world,
            key,
            open,
            headers,
        }
    }

    fn ids(&self) -> Vec<TrackId> {
        self.headers
            .iter()
            .map(|header| header.claims().track)
            .collect()
    }

    fn file(&self, index: usize) -> Vec<u8> {
        let header = &self.open.unverified_claims().unwrap().tracks[index]
            .header
            .0;
        let length = u32::try_from(header.len()).unwrap().to_be_bytes();
        [&MAGIC[..], b"H", &length, header].concat()
    }

    fn state(&self, index: usize) -> TrackState {
        let mut state = TrackState::expecting(self.headers[index].hash());
        state.feed(&self.file(index), |_| {}).unwrap();
        state
    }

    fn end(&self, index: usize) -> TrackEnd {
        followed(&self.headers[index], &self.file(index))
    }

    fn summary(&self, index: usize) -> TrackSummary {
        let state = self.state(index);
        TrackSummary {
            track: self.ids()[index],
            header_hash: self.headers[index].hash(),
            segments: state.segments(),
            length_bytes: state.verified_bytes(),
            head: state.head(),
            index_hash: state.index_hash(),
            media_end_us: state.media_end_us(),
            gaps: Vec::new(),
        }
    }

    fn manifest(&self) -> ManifestClaims {
        ManifestClaims {
            v: VERSION,
            recording: self.world.recording,
            part: 0,
            open: self.open.hash(),
            tracks: vec![self.summary(0), self.summary(1)],
            started_ms: START_MS,
            ended_ms: START_MS + 1,
            reason: EndReason::Stopped,
            withdrawal: None,
            places: Vec::new(),
            marks: 0,
        }
    }

    fn closing(&self, tracks: Vec<TrackSummary>) -> ClosingClaims {
        ClosingClaims {
            v: VERSION,
            recording: self.world.recording,
            part: 0,
            open: self.open.hash(),
            tracks,
            reason: EndReason::Unfinished,
            stopped_ms: START_MS,
            closed_ms: START_MS,
            withdrawal: None,
        }
    }

    fn verifier(&self) -> PartVerifier {
        let mut verifier = PartVerifier::new(&self.open, &self.world.clinic).unwrap();
        for (index, track) in self.ids().into_iter().enumerate() {
            verifier.track(track, self.end(index));
        }
        verifier
    }

    /// The problems but for the envelopes, of which there are none here.
    fn judge(&self, hand_in: impl FnOnce(&mut PartVerifier)) -> Vec<&'static str> {
        let mut verifier = self.verifier();
        hand_in(&mut verifier);
        let report = verifier.report();
        let codes = codes(&report).into_iter();
        codes.filter(|code| *code != "envelope-missing").collect()
    }

    fn judge_manifest(&self, alter: impl FnOnce(&mut ManifestClaims)) -> Vec<&'static str> {
        let mut claims = self.manifest();
        alter(&mut claims);
        self.judge(|verifier| verifier.manifest(self.key.sign(&claims)))
    }
}

#[test]
fn a_manifest_names_every_track_of_the_part_exactly_once() {
    let signed = Signed::new();
    assert_eq!(signed.judge_manifest(|_| {}), Vec::<&str>::new());
    let differ = ["end-tracks-differ"];
    assert_eq!(
        signed.judge_manifest(|claims| claims.tracks.clear()),
        differ
    );
    assert_eq!(
        signed.judge_manifest(|claims| claims.tracks.truncate(1)),
        differ
    );
    let twice = |claims: &mut ManifestClaims| claims.tracks[1] = claims.tracks[0].clone();
    assert_eq!(signed.judge_manifest(twice), differ);
    let more = |claims: &mut ManifestClaims| claims.tracks.push(claims.tracks[0].clone());
    assert_eq!(signed.judge_manifest(more), differ);
    let stranger =
        |claims: &mut ManifestClaims| claims.tracks[1].track = TrackId::from_bytes([9; 16]);
    assert_eq!(signed.judge_manifest(stranger), differ);
}

#[test]
fn so_does_a_closing_record() {
    let signed = Signed::new();
    for tracks in [vec![], vec![signed.summary(0)], vec![signed.summary(1); 2]] {
        let closing = signed.world.vault.sign(&signed.closing(tracks));
        let codes = signed.judge(|verifier| verifier.closing(closing));
        assert_eq!(codes, ["end-tracks-differ"]);
    }
}

#[test]
fn an_empty_manifest_does_not_make_truncated_files_complete() {
    let signed = Signed::new();
    let mut claims = signed.manifest();
    claims.tracks.clear();
    let mut verifier = signed.verifier();
    verifier.manifest(signed.key.sign(&claims));
    let report = report_recording(vec![verifier.report()]);
    assert!(!report.ok && !report.complete);
}

#[test]
fn a_closing_record_beside_a_manifest_is_judged_too() {
    let signed = Signed::new();
    let manifest = signed.key.sign(&signed.manifest());
    let both = |closing: Jws<ClosingClaims>| {
        signed.judge(|verifier| {
            verifier.manifest(manifest.clone());
            verifier.closing(closing);
        })
    };
    let tracks = vec![signed.summary(0), signed.summary(1)];
    let claims = signed.closing(tracks);
    assert_eq!(both(signed.world.vault.sign(&claims)), Vec::<&str>::new());
    assert_eq!(both(signed.key.sign(&claims)), ["closing-invalid"]);
    let mut more = claims.clone();
    more.tracks[0].segments = 7;
    assert_eq!(both(signed.world.vault.sign(&more)), ["end-differs"]);
}

#[test]
fn a_withdrawal_in_a_manifest_is_one_of_the_parts_own_round() {
    let signed = Signed::new();
    let world = &signed.world;
    let judged = |statement| signed.judge_manifest(|claims| claims.withdrawal = Some(statement));
    let genuine = world.statement(&world.patient, StatementKind::Withdrawal);
    assert_eq!(judged(genuine), Vec::<&str>::new());
    let grant = world.statement(&world.patient, StatementKind::Grant);
    assert_eq!(judged(grant), ["withdrawal-invalid"]);
    assert_eq!(
        judged(Jws::from_text(String::from("a.b.c"))),
        ["withdrawal-invalid"]
    );
}

#[test]
fn times_and_gaps_of_a_manifest_can_be() {
    let signed = Signed::new();
    let invalid = ["end-times-invalid"];
    assert_eq!(signed.judge_manifest(|claims| claims.ended_ms = 0), invalid);
    let gap = |from_us: u64, to_us: u64| {
        signed.judge_manifest(|claims| {
            claims.tracks[0].gaps.push(Gap {
                from_us,
                to_us,
                reason: "frozen".into(),
            });
        })
    };
    assert_eq!(gap(5, 9), invalid, "it begins after the end");
    assert_eq!(gap(0, 9), Vec::<&str>::new(), "the end is missing");
}

#[test]
fn documents_listed_under_another_recording_or_part_are_told() {
    let signed = Signed::new();
    let listed = |recording, part| signed.judge(|verifier| verifier.listed_as(recording, part));
    assert_eq!(listed(signed.world.recording, 0), Vec::<&str>::new());
    assert_eq!(listed(signed.world.recording, 1), ["listed-elsewhere"]);
    assert_eq!(
        listed(RecordingId::from_bytes([1; 16]), 0),
        ["listed-elsewhere"]
    );
}

#[test]
fn a_track_that_stands_here_twice_is_told() {
    let signed = Signed::new();
    let twice = |verifier: &mut PartVerifier| verifier.track(signed.ids()[0], signed.end(0));
    assert_eq!(signed.judge(twice), ["track-twice"]);
}

#[test]
fn swapped_envelopes_fail_verifying_as_they_fail_opening() {
    let world = super::world(&super::clinic_keys());
    let part = record(&world, 0, true);
    let mut verifier = PartVerifier::new(&part.open, &world.clinic).unwrap();
    for (track, other) in [(0, 1), (1, 0)] {
        let envelope = part.tracks[other].envelope.clone();
        verifier.envelope(part.ids()[track], envelope);
    }
    let codes = codes(&verifier.report());
    assert_eq!(codes[..2], ["envelope-elsewhere"; 2]);
}

#[test]
fn nothing_is_opened_under_another_clinic_document_or_one_that_was_not_valid() {
    let signed = Signed::new();
    assert!(signed.verifier().may_open());
    let judge = |alter: fn(&mut sealed_visit_protocol::clinic::ClinicClaims)| {
        let mut claims = signed.world.clinic.claims().clone();
        alter(&mut claims);
        let document = signed.world.root.sign(&claims);
        let root = signed.world.root.public();
        let clinic = sealed_visit_protocol::ClinicDocument::verify(&document, &root).unwrap();
        let verifier = PartVerifier::new(&signed.open, &clinic).unwrap();
        (verifier.may_open(), codes(&verifier.report())[0])
    };
    assert_eq!(
        judge(|claims| claims.number += 1),
        (false, "other-clinic-document")
    );
    // The same document, recorded under it outside of its time, by its own hash.
    let mut claims = signed.world.clinic.claims().clone();
    claims.not_after_ms = START_MS;
    let document = signed.world.root.sign(&claims);
    let clinic =
        sealed_visit_protocol::ClinicDocument::verify(&document, &signed.world.root.public());
    let clinic = clinic.unwrap();
    let mut open = signed.open.unverified_claims().unwrap();
    open.clinic = clinic.hash();
    let open = signed.world.recorder.key.sign(&open);
    let verifier = PartVerifier::new(&open, &clinic).unwrap();
    assert!(!verifier.may_open());
    assert_eq!(codes(&verifier.report())[0], "clinic-document-not-valid");
}

#[test]
fn bytes_that_are_altered_and_not_cut_off_are_called_altered() {
    let world = super::world(&super::clinic_keys());
    let part = record(&world, 0, true);
    let mut file = part.tracks[0].file.clone();
    // The length of the last record but one grows: the rest looks torn, and all bytes are here.
    let at = part.tracks[0].ends[5] + 3;
    file[at] = 0xff;
    let files = [file, part.tracks[1].file.clone()];
    let report = verify(&world, &part, Some(&files), true);
    assert_eq!(codes(&report), ["track-altered"]);
    assert!(!report_recording(vec![report]).ok);
}

#[test]
fn a_segment_that_does_not_decrypt_is_not_good() {
    let keys = super::clinic_keys();
    let world = super::world(&keys);
    let part = record(&world, 0, true);
    // The chain and the checkpoints are as signed; the key is another track's.
    let (track, other) = (&part.tracks[0], &part.tracks[1]);
    let key = unwrap_track_key(&other.envelope, &other.header, &keys[0], Some(&other.share));
    let mut opener = TrackOpener::new(track.header.clone(), key.unwrap());
    let mut given = 0;
    assert!(opener.feed(&track.file, |_| given += 1).is_err());
    let end = opener.finish();
    assert_eq!((given, end.state.segments()), (0, 0));
    assert!(end.error.is_some());
}

#[test]
fn what_stops_an_opener_after_the_signed_end_keeps_the_recording_from_being_complete() {
    let world = super::world(&super::clinic_keys());
    let part = record(&world, 0, true);
    let mut verifier = PartVerifier::new(&part.open, &world.clinic).unwrap();
    for (track, error) in part
        .tracks
        .iter()
        .zip([Some(OpenTrackError::Poisoned), None])
    {
        let id = track.header.claims().track;
        // An opener gives back the state of the good part, and none of the bytes of a segment that did not decrypt.
        let mut end = followed(&track.header, &track.file);
        end.error = error;
        verifier.track(id, end);
        verifier.envelope(id, track.envelope.clone());
    }
    verifier.manifest(part.manifest.clone());
    assert_eq!(codes(&verifier.report()), ["bytes-after-end"]);
}

#[test]
fn a_recording_that_ends_in_a_pause_or_skips_a_part_is_not_complete() {
    let world = super::world(&super::clinic_keys());
    let part = record(&world, 0, true);
    let judged = |alter: &dyn Fn(&mut PartReport)| {
        let mut report = verify(&world, &part, None, true);
        alter(&mut report);
        let report = report_recording(vec![report]);
        let codes: Vec<_> = report
            .problems
            .iter()
            .map(|problem| problem.code.as_str())
            .collect();
        (report.ok, report.complete, codes)
    };
    assert_eq!(judged(&|_| {}), (true, true, vec![]));
    let paused = judged(&|report| {
        report.ending = Ending::Finished {
            reason: EndReason::Paused,
            ended_ms: START_MS,
        };
    });
    assert_eq!(paused, (true, false, vec!["ends-in-pause"]));
    let later = judged(&|report| report.part = 1);
    assert_eq!(
        later,
        (true, false, vec!["part-missing", "previous-missing"])
    );
    let after = |number: u32, previous: u32| {
        judged(&|report| {
            report.part = number;
            let heads = Vec::new();
            report.previous = Some(PreviousPart {
                part: previous,
                heads,
            });
        })
    };
    assert_eq!(
        after(1, 3),
        (false, false, vec!["previous-differs", "part-missing"])
    );
    assert_eq!(after(2, 0), (true, false, vec!["part-missing"]));
    assert_eq!(
        after(5, 3),
        (true, false, vec!["part-missing", "part-missing"])
    );
}

#[test]
fn any_number_of_parts_that_are_not_here_is_one_problem() {
    let world = super::world(&super::clinic_keys());
    let part = record(&world, 0, true);
    let whole = verify(&world, &part, None, true);
    let mut last = whole.clone();
    last.part = u32::MAX;
    let report = report_recording(vec![whole, last]);
    let messages: Vec<_> = report.problems.iter().map(|one| &*one.message).collect();
    assert_eq!(
        messages,
        [
            "parts 1 to 4294967294 are not here",
            "part 4294967295 does not name the part before it"
        ]
    );
}

#[test]
fn parts_on_different_requests_are_not_one_recording() {
    let world = super::world(&super::clinic_keys());
    let part = record(&world, 0, true);
    let first = verify(&world, &part, None, true);
    let mut second = first.clone();
    second.part = 1;
    second.request = sealed_visit_protocol::Hash32([9; 32]);
    let report = report_recording(vec![first, second]);
    assert_eq!(report.problems[0].code, ProblemCode::OtherRecording);
    assert!(!report.ok);
}

#[test]
fn a_track_that_is_listed_without_bytes_is_judged_too() {
    let signed = Signed::new();
    let stranger = TrackId::from_bytes([9; 16]);
    let unknown = signed.judge(|verifier| verifier.track_not_here(stranger));
    assert_eq!(unknown, ["unknown-track"]);
    let twice = signed.judge(|verifier| verifier.track_not_here(signed.ids()[0]));
    assert_eq!(twice, ["track-twice"]);
    let mut verifier = PartVerifier::new(&signed.open, &signed.world.clinic).unwrap();
    verifier.track_not_here(signed.ids()[0]);
    assert_eq!(codes(&verifier.report()), ["track-missing"; 2]);
}

#[test]
fn a_track_that_is_not_here_is_missing_even_if_nothing_was_recorded_in_it() {
    let signed = Signed::new();
    let manifest = signed.key.sign(&signed.manifest());
    let tracks = [0, 1].map(|index| {
        let state = signed.state(index);
        TrackReceipt {
            track: signed.ids()[index],
            length_bytes: state.verified_bytes(),
            segments: 0,
            head: state.head(),
            envelope: manifest.hash(),
        }
    });
    let receipt = signed.world.vault.sign(&ReceiptClaims {
        v: VERSION,
        recording: signed.world.recording,
        part: 0,
        open: signed.open.hash(),
        tracks: tracks.to_vec(),
        ended_by: manifest.hash(),
        finished: true,
        audit_head: None,
        at_ms: START_MS,
    });
    let mut verifier = PartVerifier::new(&signed.open, &signed.world.clinic).unwrap();
    // The first track's file ends inside its header; the second one's is not here.
    let torn = followed(&signed.headers[0], &signed.file(0)[..40]);
    verifier.track(signed.ids()[0], torn);
    verifier.manifest(manifest);
    verifier.receipt(receipt);
    let report = verifier.report();
    let expected = [
        "track-without-header",
        "envelope-missing",
        "track-missing",
        "receipt-covers-more",
        "receipt-covers-more",
    ];
    assert_eq!(codes(&report), expected);
    assert!(report_recording(vec![report]).ok);
}

#[test]
fn a_tracks_bytes_have_one_problem_at_most() {
    let world = super::world(&super::clinic_keys());
    let part = record(&world, 0, true);
    let judged = |alter: &dyn Fn(&mut Vec<u8>)| {
        let mut files = [part.tracks[0].file.clone(), part.tracks[1].file.clone()];
        alter(&mut files[0]);
        codes(&verify(&world, &part, Some(&files), true))
    };
    let ends = &part.tracks[0].ends;
    assert_eq!(judged(&|file| file[ends[2] + 20] ^= 1), ["track-altered"]);
    assert_eq!(judged(&|file| file[ends[2]] = b'C'), ["track-altered"]);
    assert_eq!(judged(&|file| file[0] = b'X'), ["track-altered"]);
    assert_eq!(
        judged(&|file| file.truncate(ends[3] + 9)),
        ["track-truncated"]
    );
    assert_eq!(judged(&|file| file.truncate(20)), ["track-without-header"]);
    for more in [&b"x"[..], b"more than a prefix"] {
        assert_eq!(judged(&|file| file.extend(more)), ["bytes-after-end"]);
    }
}

#[test]
fn a_closing_record_beside_a_manifest_names_every_track_too() {
    let signed = Signed::new();
    let codes = signed.judge(|verifier| {
        verifier.manifest(signed.key.sign(&signed.manifest()));
        let closing = signed.closing(vec![signed.summary(0)]);
        verifier.closing(signed.world.vault.sign(&closing));
    });
    assert_eq!(codes, ["end-tracks-differ"]);
}

#[test]
fn nothing_in_a_manifest_of_another_part_is_judged() {
    let signed = Signed::new();
    let codes = signed.judge_manifest(|claims| {
        claims.part = 1;
        claims.places = vec![
            signed
                .world
                .place(&signed.world.patient, &signed.world.patient),
        ];
    });
    assert_eq!(codes, ["manifest-of-another-part"]);
}

#[test]
fn whoever_joined_during_a_part_can_end_it_by_withdrawing() {
    let signed = Signed::new();
    let world = &signed.world;
    let late = world.member(0x24, Role::Guest);
    let withdrawal = world.statement(&late, StatementKind::Withdrawal);
    let judged = |statement| signed.judge_manifest(|claims| claims.withdrawal = Some(statement));
    assert_eq!(judged(withdrawal.clone()), Vec::<&str>::new());
    // Whoever does not know the request took no part.
    let mut claims = withdrawal.unverified_claims().unwrap();
    claims.request = signed.open.hash();
    assert_eq!(judged(late.key.sign(&claims)), ["withdrawal-invalid"]);
}

#[test]
fn a_grant_of_somebody_outside_the_roster_must_be_genuine_and_counts_for_nobody() {
    let signed = Signed::new();
    let world = &signed.world;
    let late = world.member(0x24, Role::Guest);
    let with = |alter: &dyn Fn(&mut OpenClaims)| {
        let mut claims = signed.open.unverified_claims().unwrap();
        alter(&mut claims);
        let open = world.recorder.key.sign(&claims);
        PartVerifier::new(&open, &world.clinic).map(|verifier| verifier.report().granted_by.len())
    };
    let grant = world.statement(&late, StatementKind::Grant);
    assert_eq!(with(&|claims| claims.grants.push(grant.clone())), Ok(3));
    let refusal = world.statement(&late, StatementKind::Refusal);
    assert!(with(&|claims| claims.grants.push(refusal.clone())).is_err());
    // In place of a member's own it is worth nothing.
    assert!(with(&|claims| claims.grants[1] = grant.clone()).is_err());
    // A second grant of a member replaces its first, if its number is higher.
    let mut again = world
        .statement(&world.patient, StatementKind::Grant)
        .unverified_claims()
        .unwrap();
    again.seq += 1;
    let again = world.patient.key.sign(&again);
    assert_eq!(with(&|claims| claims.grants.push(again.clone())), Ok(2));
    assert!(with(&|claims| claims.grants.insert(1, again.clone())).is_err());
}
