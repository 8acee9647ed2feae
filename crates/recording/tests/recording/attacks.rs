use super::*;
use sealed_visit_protocol::consent::StatementKind;
use sealed_visit_protocol::track::TrackError;

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn nothing_is_sealed_without_everybodys_grant() {
    let world = world(&clinic_keys());
    let start = |alter: &dyn Fn(&mut OpenClaims)| {
        let draft = draft(&world, 0, false);
        let mut claims = world.open_claims(0, draft.recording_key(), draft.open_tracks(), None);
        alter(&mut claims);
        let open = world.recorder.key.sign(&claims);
        draft
            .start(&open, &[], START_MS, &mut system_rng())
            .map(|_| ())
    };
    assert_eq!(start(&|_| {}), Ok(()));
    let refused = |alter: &dyn Fn(&mut OpenClaims)| {
        assert!(matches!(start(alter), Err(RecordError::OpenStatement(_))));
    };
    refused(&|claims| claims.grants.truncate(1));
    refused(&|claims| claims.grants[1] = world.statement(&world.patient, StatementKind::Refusal));
    refused(&|claims| {
        claims
            .grants
            .push(world.statement(&world.patient, StatementKind::Withdrawal))
    });
    refused(&|claims| claims.recipients.truncate(1));
    refused(&|claims| claims.roster.truncate(2));
    refused(&|claims| claims.pass = world.clinician.pass.clone());
    refused(&|claims| claims.part = 1);

    // A valid statement, but of another draft: its recording key and headers are not ours.
    let other = draft(&world, 0, false);
    let open = world.open(0, other.recording_key(), other.open_tracks(), None);
    let ours = draft(&world, 0, false);
    assert_eq!(
        ours.start(&open, &[], START_MS, &mut system_rng())
            .map(|_| ()),
        Err(RecordError::OtherDraft("the recording key"))
    );
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn shares_must_be_there_exactly_when_the_header_says_so() {
    let world = world(&clinic_keys());
    let start = |share_required, alter: &dyn Fn(&mut Vec<ShareGrant>)| {
        let draft = draft(&world, 0, share_required);
        let open = world.open(0, draft.recording_key(), draft.open_tracks(), None);
        let mut shares = shares_for(&draft);
        alter(&mut shares);
        draft
            .start(&open, &shares, START_MS, &mut system_rng())
            .map(|_| ())
    };
    assert_eq!(start(true, &|_| {}), Ok(()));
    assert!(matches!(
        start(true, &|shares| shares.truncate(1)),
        Err(RecordError::ShareMissing(_))
    ));
    assert!(matches!(
        start(true, &|shares| shares[0].share = B64(vec![])),
        Err(RecordError::ShareMissing(_))
    ));
    assert!(matches!(
        start(true, &|shares| shares[0].share = B64(vec![1; 31])),
        Err(RecordError::Share { .. })
    ));
    assert!(matches!(
        start(false, &|_| {}),
        Err(RecordError::ShareUnexpected(_))
    ));
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn a_retired_or_swapped_recipient_stops_the_draft() {
    let keys = clinic_keys();
    let world = world(&keys);
    let other = super::world(&[PrivateKey::derive(Suite::X25519, &[9; 32])]);
    let plan = PartPlan {
        visit: world.visit,
        recording: world.recording,
        part: 0,
        tracks: &plans(),
        recipients: &other.recipients,
        clinic: &world.clinic,
        share_required: true,
    };
    assert!(matches!(
        PartDraft::new(plan, &mut system_rng()),
        Err(RecordError::Clinic(_))
    ));
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn the_key_needs_recipient_and_share_and_their_own_envelope() {
    let keys = clinic_keys();
    let world = world(&keys);
    let part = record(&world, 0, true);
    let [track, other] = &part.tracks[..] else {
        panic!()
    };
    let share = Some(track.share.as_slice());
    let error = |result: Result<_, OpenTrackError>| {
        result
            .map(|_: sealed_visit_recording::seal::track_key::TrackKey| ())
            .unwrap_err()
    };

    assert_eq!(
        error(unwrap_track_key(
            &track.envelope,
            &track.header,
            &keys[0],
            None
        )),
        OpenTrackError::ShareNeeded
    );
    let wrong = error(unwrap_track_key(
        &track.envelope,
        &track.header,
        &keys[0],
        Some(&[0; 32]),
    ));
    assert!(matches!(wrong, OpenTrackError::Envelope(_)));
    let stranger = PrivateKey::derive(Suite::XWing, &[8; 32]);
    assert_eq!(
        error(unwrap_track_key(
            &track.envelope,
            &track.header,
            &stranger,
            share
        )),
        OpenTrackError::NotARecipient
    );
    let swapped = error(unwrap_track_key(
        &other.envelope,
        &track.header,
        &keys[0],
        share,
    ));
    assert!(matches!(swapped, OpenTrackError::Envelope(_)));
    // The recording key's owner could sign anything; wraps of another track still do not open here.
    let mut claims = track.envelope.unverified_claims().unwrap();
    claims.keys = other.envelope.unverified_claims().unwrap().keys;
    let forger = sealed_visit_protocol::SigningKey::from_seed(&[1; 32]);
    let mut header = track.header.claims().clone();
    header.recording_key = forger.public();
    let header = Header::new(header).unwrap();
    claims.header_hash = header.hash();
    let forged = error(unwrap_track_key(
        &forger.sign(&claims),
        &header,
        &keys[0],
        share,
    ));
    assert!(matches!(forged, OpenTrackError::Unwrap(_)));
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn any_altered_byte_stops_the_track_and_releases_only_what_came_before() {
    let keys = clinic_keys();
    let world = world(&keys);
    let part = record(&world, 0, true);
    let track = &part.tracks[0];
    for at in (0..track.file.len())
        .step_by(613)
        .chain(0..40)
        .chain(track.ends[0]..track.ends[0] + 80)
    {
        let mut file = track.file.clone();
        file[at] ^= 0x04;
        let (slices, end) = open_track(track, &keys[1], &file, 4_096);
        let before = track
            .ends
            .iter()
            .filter(|end| **end <= at)
            .count()
            .saturating_sub(1);
        assert!(
            slices == track.slices[..before],
            "byte {at}: {} of {before} slices",
            slices.len()
        );
        // A length that grew makes the rest one torn record; everything else is an error.
        let torn = end.error.is_none() && end.unverified_bytes > 0;
        assert!(end.error.is_some() || torn, "byte {at}");
        let files = [file, part.tracks[1].file.clone()];
        let report = verify(&world, &part, Some(&files), true);
        assert!(!report.problems.is_empty(), "byte {at}");
        assert!(!report_recording(vec![report]).complete, "byte {at}");
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn segments_cannot_be_reordered_repeated_dropped_or_moved() {
    let keys = clinic_keys();
    let world = world(&keys);
    let part = record(&world, 0, true);
    let (track, other) = (&part.tracks[0], &part.tracks[1]);
    let piece = |track: &MadeTrack, index: usize| {
        track.file[track.ends[index]..track.ends[index + 1]].to_vec()
    };
    let head = track.file[..track.ends[0]].to_vec();
    let build = |pieces: &[Vec<u8>]| [head.clone(), pieces.concat()].concat();
    let cases = [
        ("reordered", build(&[piece(track, 1), piece(track, 0)]), 0),
        ("repeated", build(&[piece(track, 0), piece(track, 0)]), 1),
        ("dropped", build(&[piece(track, 0), piece(track, 2)]), 1),
        ("of another track", build(&[piece(other, 0)]), 0),
        (
            "another header",
            [other.file[..other.ends[0]].to_vec(), piece(track, 0)].concat(),
            0,
        ),
    ];
    for (name, file, good) in cases {
        let (slices, end) = open_track(track, &keys[0], &file, 1 << 20);
        assert!(slices == track.slices[..good], "{name}");
        assert!(
            matches!(end.error, Some(OpenTrackError::Track(_))),
            "{name}: {:?}",
            end.error
        );
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn an_opener_gives_nothing_more_after_an_error() {
    let keys = clinic_keys();
    let world = world(&keys);
    let part = record(&world, 0, false);
    let track = &part.tracks[0];
    let key = unwrap_track_key(&track.envelope, &track.header, &keys[0], None).unwrap();
    let mut opener = TrackOpener::new(track.header.clone(), key);
    opener.feed(&track.file[..track.ends[1]], |_| {}).unwrap();
    let mut bad = track.file[track.ends[1]..track.ends[2]].to_vec();
    bad[0] = b'X';
    assert!(matches!(
        opener.feed(&bad, |_| panic!()),
        Err(OpenTrackError::Track(TrackError::UnexpectedRecord { .. }))
    ));
    let rest = &track.file[track.ends[1]..];
    assert_eq!(
        opener.feed(rest, |_| panic!()),
        Err(OpenTrackError::Poisoned)
    );
    assert_eq!(opener.finish().state.segments(), 1);
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn a_truncated_or_extended_track_is_told_from_its_manifest() {
    let world = world(&clinic_keys());
    let part = record(&world, 0, true);
    let with = |file: Vec<u8>, ended| {
        verify(
            &world,
            &part,
            Some(&[file, part.tracks[1].file.clone()]),
            ended,
        )
    };
    let file = &part.tracks[0].file;
    let shorter = file[..part.tracks[0].ends[4]].to_vec();

    let report = with(shorter.clone(), true);
    assert_eq!(codes(&report), ["track-truncated"]);
    assert_eq!(report.tracks[0].segments, 4);
    let whole = report_recording(vec![report]);
    assert!(
        whole.ok && !whole.complete,
        "what is there is genuine, but not all is there"
    );

    assert_eq!(
        codes(&with(shorter, false)),
        Vec::<&str>::new(),
        "without an end a prefix is fine"
    );
    let longer = [file.as_slice(), b"S\0\0"].concat();
    assert_eq!(codes(&with(longer, true)), ["bytes-after-end"]);
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn documents_of_another_part_are_not_believed() {
    let world = world(&clinic_keys());
    let [one, mut two] = [0, 1].map(|part| record(&world, part, true));
    two.manifest = one.manifest.clone();
    let report = verify(&world, &two, None, true);
    assert_eq!(codes(&report), ["manifest-invalid"]);
    assert_eq!(report.ending, Ending::Open);

    let foreign = super::world(&[PrivateKey::derive(Suite::X25519, &[9; 32])]);
    let report = PartVerifier::new(&one.open, &foreign.clinic);
    assert!(report.is_err(), "recipients that this clinic never listed");
}
