use super::*;
use sealed_visit_protocol::VERSION;
use sealed_visit_protocol::recording::{ClosingClaims, ReceiptClaims, TrackReceipt};

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn every_recipient_opens_every_track_with_the_share() {
    let keys = clinic_keys();
    let world = world(&keys);
    for share_required in [true, false] {
        let part = record(&world, 0, share_required);
        for track in &part.tracks {
            for key in &keys {
                for piece_bytes in [1 << 20, 1_000, 17] {
                    let (slices, end) = open_track(track, key, &track.file, piece_bytes);
                    assert!(slices == track.slices);
                    assert_eq!((end.error, end.unverified_bytes), (None, 0));
                }
            }
        }
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn a_finished_part_verifies_without_any_secret() {
    let world = world(&clinic_keys());
    let part = record(&world, 0, true);
    let report = verify(&world, &part, None, true);
    assert_eq!(codes(&report), Vec::<&str>::new());
    assert_eq!(
        report.ending,
        Ending::Finished {
            reason: EndReason::Stopped,
            ended_ms: report.ended_ms()
        }
    );
    for (track, made) in report.tracks.iter().zip(&part.tracks) {
        assert_eq!(track.segments, SLICE_SIZES.len() as u64);
        assert_eq!(track.verified_bytes, made.file.len() as u64);
        assert_eq!(track.media_end_us, 1_500_000);
    }
    let whole = report_recording(vec![report]);
    assert!(whole.ok && whole.complete);
    assert_eq!(whole.media_us, 1_500_000);
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn any_prefix_opens_and_verifies_to_its_last_checkpoint() {
    let keys = clinic_keys();
    let world = world(&keys);
    let part = record(&world, 0, true);
    let track = &part.tracks[0];
    let whole = track.file.len();
    let cuts = (0..whole).step_by(997).chain(
        track
            .ends
            .iter()
            .flat_map(|end| [end - 1, *end, (*end + 1).min(whole)]),
    );
    for cut in cuts {
        let good = track.ends.iter().filter(|end| **end <= cut).count();
        let (slices, end) = open_track(track, &keys[1], &track.file[..cut], 8_192);
        assert_eq!(end.error, None, "cut at {cut}");
        assert!(
            slices == track.slices[..good.saturating_sub(1)],
            "cut at {cut}"
        );
        let verified = good.checked_sub(1).map_or(0, |last| track.ends[last]);
        assert_eq!(end.state.verified_bytes(), verified as u64, "cut at {cut}");
        assert_eq!(
            end.unverified_bytes,
            (cut - verified) as u64,
            "cut at {cut}"
        );
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn where_people_said_to_be_is_told_and_what_the_host_confirmed() {
    let mut world = world(&clinic_keys());
    let told = |world: &World| {
        let report = verify(world, &record(world, 0, true), None, true);
        let confirmed = report.places.iter().map(|stated| stated.confirmed);
        (codes(&report), confirmed.collect::<Vec<_>>())
    };
    assert_eq!(told(&world), (vec![], vec![false, true]));
    world.places.clear();
    assert_eq!(told(&world), (vec![], vec![false, false]));
    // Nobody confirms their own.
    world.places = vec![world.place(&world.patient, &world.patient)];
    assert_eq!(told(&world), (vec!["place-invalid"], vec![false, false]));
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn parts_make_one_recording_with_a_stated_gap() {
    let world = world(&clinic_keys());
    let parts: Vec<MadePart> = (0..3).map(|part| record(&world, part, true)).collect();
    let report = |index: usize, ended| verify(&world, &parts[index], None, ended);
    let whole = report_recording(vec![report(2, true), report(0, true), report(1, false)]);
    assert!(whole.ok && !whole.complete, "part 1 has no end");
    assert_eq!(whole.parts[1].ending, Ending::Open);
    let started = |part: u64| START_MS + 2_500 + part * 60_000;
    let pauses: Vec<_> = whole
        .pauses
        .iter()
        .map(|pause| (pause.after_part, pause.from_ms, pause.to_ms))
        .collect();
    // Part 1 has no manifest: its end is its last checkpoint.
    assert_eq!(pauses[0].1, started(0) + 1_600);
    assert_eq!(pauses[1], (1, started(1) + 1_500, started(2)));

    let missing = report_recording(vec![report(0, true), report(2, true)]);
    assert!(missing.ok && !missing.complete);
    assert_eq!(missing.problems[0].code.as_str(), "part-missing");
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn an_unfinished_part_closed_by_the_vault_is_complete_as_it_stands() {
    let world = world(&clinic_keys());
    let part = record(&world, 0, true);
    let mut verifier = PartVerifier::new(&part.open, &world.clinic).unwrap();
    let (mut summaries, mut receipts) = (vec![], vec![]);
    for track in &part.tracks {
        let end = followed(&track.header, &track.file[..track.ends[3]]);
        let state = &end.state;
        summaries.push(sealed_visit_protocol::recording::TrackSummary {
            track: track.header.claims().track,
            header_hash: track.header.hash(),
            segments: state.segments(),
            length_bytes: state.verified_bytes(),
            head: state.head(),
            index_hash: state.index_hash(),
            media_end_us: state.media_end_us(),
            gaps: vec![],
        });
        receipts.push(TrackReceipt {
            track: track.header.claims().track,
            length_bytes: state.verified_bytes(),
            segments: state.segments(),
            head: state.head(),
            envelope: track.envelope.hash(),
        });
        verifier.track(track.header.claims().track, end);
        verifier.envelope(track.header.claims().track, track.envelope.clone());
    }
    let closing = world.vault.sign(&ClosingClaims {
        v: VERSION,
        recording: world.recording,
        part: 0,
        open: part.open.hash(),
        tracks: summaries,
        reason: EndReason::Unfinished,
        stopped_ms: START_MS + 3_250,
        closed_ms: START_MS + 90_000_000,
        withdrawal: None,
    });
    let mut receipt = ReceiptClaims {
        v: VERSION,
        recording: world.recording,
        part: 0,
        open: part.open.hash(),
        tracks: receipts,
        ended_by: closing.hash(),
        finished: false,
        audit_head: None,
        at_ms: START_MS + 90_000_000,
    };
    verifier.closing(closing);
    verifier.receipt(world.vault.sign(&receipt));
    let report = verifier.report();
    assert_eq!(codes(&report), Vec::<&str>::new());
    assert_eq!(report.receipt, ReceiptState::Valid);
    assert!(matches!(
        report.ending,
        Ending::ClosedByVault {
            reason: EndReason::Unfinished,
            ..
        }
    ));
    assert!(report_recording(vec![report]).complete);

    // A receipt for other bytes is not believed; one for more of the same says that something is missing.
    let judge = |receipt: &ReceiptClaims| {
        let mut verifier = PartVerifier::new(&part.open, &world.clinic).unwrap();
        for track in &part.tracks {
            let end = followed(&track.header, &track.file[..track.ends[3]]);
            verifier.track(track.header.claims().track, end);
            verifier.envelope(track.header.claims().track, track.envelope.clone());
        }
        verifier.manifest(part.manifest.clone());
        verifier.receipt(world.vault.sign(receipt));
        verifier.report()
    };
    receipt.ended_by = part.manifest.hash();
    receipt.finished = true;
    receipt.tracks[0].head = sealed_visit_protocol::Hash32([0; 32]);
    let report = judge(&receipt);
    assert_eq!(report.receipt, ReceiptState::Invalid);
    assert!(codes(&report).contains(&"receipt-differs"));
    receipt.tracks[0].segments += 1;
    let report = judge(&receipt);
    assert_eq!(report.receipt, ReceiptState::CoversMore);
    assert!(codes(&report).contains(&"receipt-covers-more"));
    let whole = report_recording(vec![report]);
    assert!(whole.ok && !whole.complete);
    let forged = world.recorder.key.sign(&receipt);
    let mut verifier = PartVerifier::new(&part.open, &world.clinic).unwrap();
    verifier.receipt(forged);
    assert_eq!(verifier.report().receipt, ReceiptState::Invalid);
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn no_salt_and_no_key_comes_twice() {
    let world = world(&clinic_keys());
    let mut salts = std::collections::BTreeSet::new();
    let mut count = 0;
    for part in 0..2 {
        for track in record(&world, part, true).tracks {
            for end in &track.ends[..track.ends.len() - 1] {
                assert_eq!(track.file[*end], b'S');
                salts.insert(track.file[end + 5..end + 5 + 24].to_vec());
                count += 1;
            }
        }
    }
    assert_eq!((salts.len(), count), (24, 24));
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn the_sealer_refuses_what_it_cannot_keep() {
    let world = world(&clinic_keys());
    let draft = draft(&world, 0, false);
    let open = world.open(0, draft.recording_key(), draft.open_tracks(), None);
    let track = draft.open_tracks()[0].track;
    let mut rng = system_rng();
    let mut recorder = draft.start(&open, &[], START_MS, &mut rng).unwrap();

    let too_long = vec![0; 16 << 20];
    assert!(matches!(
        recorder.seal(track, &too_long, 1, 1, &mut rng),
        Err(RecordError::SliceTooLong { .. })
    ));
    let max_bytes = match recorder.seal(track, &too_long, 1, 1, &mut rng) {
        Err(RecordError::SliceTooLong { max_bytes, .. }) => max_bytes,
        other => panic!("{other:?}"),
    };
    // The longest slice fits, one byte more does not; and a refusal has used up nothing.
    assert!(
        recorder
            .seal(track, &too_long[..max_bytes + 1], 1, 1, &mut rng)
            .is_err()
    );
    let sealed = recorder
        .seal(track, &too_long[..max_bytes], 5, 1, &mut rng)
        .unwrap();
    assert_eq!(sealed.index, 0);
    assert_eq!(
        recorder.seal(track, b"", 4, 1, &mut rng),
        Err(RecordError::MediaTimeBackwards {
            media_end_us: 4,
            last_us: 5
        })
    );
    let unknown = TrackId::from_bytes([0; 16]);
    assert_eq!(
        recorder.seal(unknown, b"", 9, 1, &mut rng),
        Err(RecordError::UnknownTrack(unknown))
    );
    assert!(matches!(
        recorder.gap(track, 9, 8, "asleep"),
        Err(RecordError::GapBackwards { .. })
    ));
    for reason in ["", "a patient's name", "Frozen", &"x".repeat(33)] {
        assert_eq!(
            recorder.gap(track, 1, 2, reason),
            Err(RecordError::GapReason)
        );
    }
    recorder.gap(track, 1, 2, "asleep").unwrap();
    let manifest = recorder.finish(PartEnd {
        reason: EndReason::Paused,
        ended_ms: 3,
        withdrawal: None,
        places: Vec::new(),
    });
    assert_eq!(
        manifest.unverified_claims().unwrap().tracks[0].gaps[0].reason,
        "asleep"
    );
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn events_come_back_as_they_went_in() {
    let lines = vec![
        EventLine {
            at_us: 0,
            event: Event::Roster { people: vec![] },
        },
        EventLine {
            at_us: 5_000_000,
            event: Event::Mark {
                text: "here".into(),
            },
        },
    ];
    let bytes = encode_events(&lines);
    assert_eq!(parse_events(&bytes), lines);
    let newer = [
        bytes.as_slice(),
        b"{\"at_us\":6,\"event\":\"hologram\",\"x\":1}\nnot json\n",
    ]
    .concat();
    let parsed = parse_events(&newer);
    assert_eq!(parsed.len(), 3);
    assert_eq!(parsed[2].event, Event::Unknown);
}

/// What a page says of few pictures is sealed as it was said, not as an unknown line.
#[test]
fn a_line_of_every_event_reads_back_as_it_was_written() {
    for line in [
        r#"{"at_us":1,"event":"mark","text":"here"}"#,
        r#"{"at_us":2,"event":"missing","participant":"AAAAAAAAAAAAAAAAAAAAAA","what":"sound"}"#,
        r#"{"at_us":3,"event":"few_pictures","participant":"AAAAAAAAAAAAAAAAAAAAAA","pictures_per_s":2.5,"cause":"line"}"#,
    ] {
        let parsed: EventLine = serde_json::from_str(line).unwrap();
        assert_ne!(parsed.event, Event::Unknown, "{line}");
        assert_eq!(serde_json::to_string(&parsed).unwrap(), line);
    }
}
