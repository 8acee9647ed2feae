//! What leaves: encrypted, or nothing.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn carries_frames_of_every_codec_and_edge_size() {
    for codec in [Codec::Opus, Codec::Vp8, Codec::Vp9] {
        for key_frame in [true, false] {
            let mut call = Call::new(codec, 1);
            for len in [
                0, 1, 2, 3, 9, 10, 11, 15, 16, 17, 31, 32, 33, 127, 128, 129, 1200, 70_000,
            ] {
                let payload = encoder_output(codec, len, key_frame);
                if codec.clear_len(&payload).is_err() {
                    let sent = encrypted(&mut call.alice, call.outgoing, &payload);
                    assert_eq!(sent, Err(DropReason::Malformed), "{codec:?}, {len} bytes");
                    continue;
                }
                let frame = call.sent(&payload);
                assert!(
                    frame.len() <= len + 50,
                    "{len} bytes became {}",
                    frame.len()
                );
                assert_eq!(
                    call.received(0, &frame),
                    Outcome::Forward(payload),
                    "{codec:?}, {len}"
                );
            }
        }
    }
}

#[test]
fn leaves_exactly_the_codecs_clear_bytes_readable() {
    for (codec, key_frame, clear) in [
        (Codec::Opus, false, 0),
        (Codec::Vp9, true, 0),
        (Codec::Vp8, true, 10),
        (Codec::Vp8, false, 3),
    ] {
        let mut call = Call::new(codec, 1);
        let payload = encoder_output(codec, 2_000, key_frame);
        let frame = call.sent(&payload);
        assert_eq!(frame[..clear], payload[..clear]);
        let readable = |window: &[u8]| payload[clear..].windows(8).any(|theirs| theirs == window);
        assert!(
            !frame[clear..].windows(8).any(readable),
            "{codec:?} shows payload"
        );
    }
}

#[test]
fn tells_layer_and_capture_time_to_the_receiver() {
    let mut call = Call::new(Codec::Vp9, 1);
    let mut buffer = FrameBuffer::new();
    buffer.load(b"frame");
    let capture_time_us = 1_790_000_000_000_000;
    assert_eq!(
        call.alice
            .encrypt(call.outgoing, capture_time_us, &mut buffer),
        Outcome::Forward(())
    );
    let expected = Decrypted {
        capture_time_us,
        layer: 2,
    };
    assert_eq!(
        call.bob.decrypt(call.incoming, 0, &mut buffer),
        Outcome::Forward(expected)
    );
}

#[test]
fn drops_every_frame_before_there_is_a_key() {
    let mut engine = FrameEngine::new();
    let track = engine.open_send_track("camera", 0, Codec::Vp9).unwrap();
    assert_eq!(
        encrypted(&mut engine, track, b"frame"),
        Err(DropReason::NoKey)
    );
    enter(&mut engine, 0, 1);
    assert_eq!(
        encrypted(&mut engine, track, b"frame"),
        Err(DropReason::NoKey)
    );
    engine.send_in_epoch(Epoch(1)).unwrap();
    assert!(encrypted(&mut engine, track, b"frame").is_ok());
    engine.clear();
    assert_eq!(
        encrypted(&mut engine, track, b"frame"),
        Err(DropReason::NoKey)
    );
    let stats = engine.track_stats(track).unwrap();
    assert_eq!(
        (stats.encrypted, stats.dropped.of(DropReason::NoKey)),
        (1, 3)
    );
}

#[test]
fn encrypts_nothing_behind_a_closed_gate() {
    let mut call = Call::new(Codec::Opus, 7);
    call.sent(b"before");
    call.alice.set_sending(false);
    let before = call.alice.encrypted_per_epoch().clone();
    for _ in 0..100 {
        let sent = encrypted(&mut call.alice, call.outgoing, b"after");
        assert_eq!(sent, Err(DropReason::Gated));
    }
    // Not even a new key opens the gate.
    enter(&mut call.alice, 0, 8);
    call.alice.send_in_epoch(Epoch(8)).unwrap();
    assert_eq!(
        encrypted(&mut call.alice, call.outgoing, b"after"),
        Err(DropReason::Gated)
    );
    assert_eq!(*call.alice.encrypted_per_epoch(), before);

    call.alice.set_sending(true);
    call.sent(b"again");
    let counts: Vec<_> = call
        .alice
        .encrypted_per_epoch()
        .clone()
        .into_iter()
        .collect();
    assert_eq!(counts, [(Epoch(7), 1), (Epoch(8), 1)]);
}

#[test]
fn counts_all_tracks_and_layers_with_one_counter() {
    let mut alice = member(0, 1);
    let tracks = [
        ("microphone", 0, Codec::Opus),
        ("camera", 0, Codec::Vp9),
        ("camera", 1, Codec::Vp9),
    ]
    .map(|(id, layer, codec)| alice.open_send_track(id, layer, codec).unwrap());
    let mut seen = std::collections::HashSet::new();
    for _ in 0..100 {
        for track in tracks {
            let frame = encrypted(&mut alice, track, b"same payload").unwrap();
            let header = ::sframe::header::SframeHeader::deserialize(&frame).unwrap();
            assert!(
                seen.insert((header.key_id(), header.counter())),
                "a nonce repeats"
            );
        }
    }
    assert_eq!(seen.len(), 300);
}

#[test]
fn drops_frames_after_the_codec_changed_to_an_unprotected_one() {
    let mut call = Call::new(Codec::Vp9, 1);
    let error = call
        .alice
        .set_track_codec(call.outgoing, "video/AV1")
        .unwrap_err();
    assert_eq!(error.code(), "frames-unsupported-codec");
    let sent = encrypted(&mut call.alice, call.outgoing, b"frame");
    assert_eq!(sent, Err(DropReason::UnsupportedCodec));
    call.alice
        .set_track_codec(call.outgoing, "video/VP9")
        .unwrap();
    let frame = call.sent(b"frame");

    call.bob
        .set_track_codec(call.incoming, "video/H264")
        .unwrap_err();
    assert_eq!(
        call.received(0, &frame),
        Outcome::Drop(DropReason::UnsupportedCodec)
    );
    call.bob
        .set_track_codec(call.incoming, "video/VP9")
        .unwrap();
    assert_eq!(
        call.received(0, &frame),
        Outcome::Forward(b"frame".to_vec())
    );
}

#[test]
fn drops_frames_that_are_too_large() {
    let mut call = Call::new(Codec::Vp9, 1);
    let frame = vec![0; MAX_FRAME_BYTES + 1];
    let sent = encrypted(&mut call.alice, call.outgoing, &frame);
    assert_eq!(sent, Err(DropReason::TooLarge));
    assert_eq!(
        call.received(0, &frame),
        Outcome::Drop(DropReason::TooLarge)
    );
}

#[test]
fn drops_frames_on_handles_that_are_not_open_in_that_direction() {
    let mut call = Call::new(Codec::Vp9, 1);
    let nowhere = TrackHandle(99);
    assert_eq!(
        encrypted(&mut call.alice, nowhere, b"frame"),
        Err(DropReason::UnknownTrack)
    );
    assert_eq!(
        encrypted(&mut call.bob, call.incoming, b"frame"),
        Err(DropReason::UnknownTrack)
    );
    let frame = call.sent(b"frame");
    let unknown = Outcome::Drop(DropReason::UnknownTrack);
    assert_eq!(
        decrypted(&mut call.alice, call.outgoing, 0, &frame),
        unknown
    );
    assert_eq!(decrypted(&mut call.bob, nowhere, 0, &frame), unknown);
    let closed = call.bob.close_track(call.incoming).unwrap();
    assert_eq!(closed.dropped.total(), 1);
    assert_eq!(call.received(0, &frame), unknown);
    assert_eq!(
        call.bob.close_track(call.incoming),
        Err(FramesError::UnknownTrack {
            track: call.incoming
        })
    );
}

#[test]
fn refuses_layers_that_the_trailer_cannot_carry() {
    let mut engine = FrameEngine::new();
    assert!(
        engine
            .open_send_track("camera", MAX_LAYER, Codec::Vp9)
            .is_ok()
    );
    let refused = engine.open_send_track("camera", MAX_LAYER + 1, Codec::Vp9);
    assert_eq!(
        refused,
        Err(FramesError::LayerOutOfRange {
            layer: MAX_LAYER + 1
        })
    );
}

#[test]
fn tells_no_secret_in_debug_output_or_errors() {
    let key = base_key(0x1122_3344_5566_7788);
    let mut engine = FrameEngine::new();
    let leaves = [leaf(0)];
    engine
        .install_epoch(Epoch(1), &key, leaf(0), &leaves)
        .unwrap();
    let error = engine
        .install_epoch(Epoch(2), &key, leaf(0), &leaves)
        .unwrap_err();
    let text = format!("{error} {error:?}");
    for secret in [hex::encode(key), format!("{key:?}"), "11223344".into()] {
        assert!(!text.contains(&secret), "{text}");
    }
}
