//! What a hostile network does costs one frame each, and no state.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const NOT_AUTHENTIC: Outcome<Vec<u8>> = Outcome::Drop(DropReason::NotAuthentic);

#[test]
fn drops_a_frame_with_any_single_bit_changed_and_accepts_the_original_after_it() {
    for (codec, key_frame) in [
        (Codec::Opus, false),
        (Codec::Vp8, true),
        (Codec::Vp8, false),
    ] {
        let mut call = Call::new(codec, 1);
        // Some frames in, so that the header has counter bytes too.
        (0..20).for_each(|_| drop(call.sent(&encoder_output(codec, 40, key_frame))));
        let payload = encoder_output(codec, 40, key_frame);
        let frame = call.sent(&payload);
        for bit in 0..frame.len() * 8 {
            let mut altered = frame.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            match call.received(0, &altered) {
                // A changed key id may name another leaf or epoch, or us.
                Outcome::Drop(
                    DropReason::NotAuthentic
                    | DropReason::NoKey
                    | DropReason::Malformed
                    | DropReason::Reflected,
                ) => {}
                // Or the next epoch, where it waits and comes to nothing.
                Outcome::Wait(_) => {
                    let (_, outcome) = released(&mut call.bob, 1_000).unwrap();
                    assert_eq!(outcome, Outcome::Drop(DropReason::WaitedTooLong));
                }
                other => panic!("{codec:?}, bit {bit}: {other:?}"),
            }
        }
        assert_eq!(call.received(0, &frame), Outcome::Forward(payload));
    }
}

#[test]
fn drops_a_frame_truncated_or_extended_anywhere() {
    let mut call = Call::new(Codec::Vp8, 1);
    let payload = encoder_output(Codec::Vp8, 40, true);
    let frame = call.sent(&payload);
    for len in 0..frame.len() {
        let outcome = call.received(0, &frame[..len]);
        assert!(
            matches!(outcome, Outcome::Drop(_)),
            "{len} bytes: {outcome:?}"
        );
        match call.received(0, &frame[frame.len() - len..]) {
            Outcome::Drop(_) => {}
            // What happens to look like a key id of the next epoch waits, and comes to nothing.
            Outcome::Wait(_) => {
                let (_, outcome) = released(&mut call.bob, 1_000).unwrap();
                assert_eq!(outcome, Outcome::Drop(DropReason::WaitedTooLong));
            }
            Outcome::Forward(_) => panic!("accepted the last {len} bytes of a frame"),
        }
    }
    for extra in [1, 16, 1_000] {
        let extended = [&frame[..], &vec![0; extra]].concat();
        assert_eq!(call.received(0, &extended), NOT_AUTHENTIC);
    }
    assert_eq!(call.received(0, &frame), Outcome::Forward(payload));
    assert_eq!(call.bobs_stats().decrypted, 1);
}

#[test]
fn accepts_reordered_frames_once_each() {
    let mut call = Call::new(Codec::Opus, 1);
    let mut frames: Vec<_> = (0..200).map(|n| (n, call.sent(&[n]))).collect();
    let mut order = Random::seeded(7);
    for i in (1..frames.len()).rev() {
        frames.swap(i, order.below(i + 1));
    }
    for (n, frame) in &frames {
        assert_eq!(call.received(0, frame), Outcome::Forward(vec![*n]));
    }
    for (_, frame) in &frames {
        assert_eq!(
            call.received(0, frame),
            Outcome::Drop(DropReason::Duplicate)
        );
    }
    let stats = call.bobs_stats();
    assert_eq!(
        (stats.decrypted, stats.dropped.of(DropReason::Duplicate)),
        (200, 200)
    );
}

#[test]
fn drops_frames_more_than_a_window_behind() {
    let window = crate::sframe::REPLAY_WINDOW_FRAMES;
    let mut call = Call::new(Codec::Opus, 1);
    let frames: Vec<_> = (0..=window).map(|_| call.sent(b"frame")).collect();
    assert!(matches!(
        call.received(0, &frames[window]),
        Outcome::Forward(_)
    ));
    assert_eq!(
        call.received(0, &frames[0]),
        Outcome::Drop(DropReason::TooOld)
    );
    assert!(matches!(call.received(0, &frames[1]), Outcome::Forward(_)));
}

#[test]
fn moves_no_replay_window_for_a_forged_counter() {
    let mut call = Call::new(Codec::Opus, 1);
    let genuine = call.sent(b"genuine");
    // The same key id with the highest counter there is, and any payload.
    let header = ::sframe::header::SframeHeader::new(1, u64::MAX);
    let forged = [Vec::from(&header), vec![7; 60]].concat();
    assert_eq!(call.received(0, &forged), NOT_AUTHENTIC);
    assert_eq!(
        call.received(0, &genuine),
        Outcome::Forward(b"genuine".to_vec())
    );
}

#[test]
fn drops_and_reports_a_track_that_carries_somebody_elses_frames() {
    let mut call = Call::new(Codec::Opus, 1);
    let mut carol = member(2, 1);
    let carols = carol.open_send_track("camera", 0, Codec::Opus).unwrap();
    let from_carol = call.bob.open_receive_track("camera", leaf(2), Codec::Opus);
    let frame = encrypted(&mut carol, carols, b"carol").unwrap();

    assert_eq!(
        call.received(0, &frame),
        Outcome::Drop(DropReason::WrongSender)
    );
    assert_eq!(call.bobs_stats().last_wrong_sender, Some(leaf(2)));
    // The misrouted copy cost nothing where the frame belongs.
    let received = decrypted(&mut call.bob, from_carol, 0, &frame);
    assert_eq!(received, Outcome::Forward(b"carol".to_vec()));
}

#[test]
fn accuses_nobody_for_a_forged_key_id() {
    let mut call = Call::new(Codec::Opus, 1);
    let kid = crate::sframe::Kid::new(leaf(2), Epoch(1)).value();
    let forged = [
        Vec::from(&::sframe::header::SframeHeader::new(kid, 0)),
        vec![7; 60],
    ]
    .concat();
    assert_eq!(call.received(0, &forged), NOT_AUTHENTIC);
    assert_eq!(call.bobs_stats().last_wrong_sender, None);
}

#[test]
fn drops_frames_moved_between_tracks_of_one_sender() {
    let mut call = Call::new(Codec::Vp9, 1);
    let screen = call.alice.open_send_track("screen", 0, Codec::Vp9).unwrap();
    let screen_at_bob = call.bob.open_receive_track("screen", leaf(0), Codec::Vp9);
    let frame = encrypted(&mut call.alice, screen, b"screen").unwrap();
    assert_eq!(
        call.received(0, &frame),
        Outcome::Drop(DropReason::WrongTrack)
    );
    let received = decrypted(&mut call.bob, screen_at_bob, 0, &frame);
    assert_eq!(received, Outcome::Forward(b"screen".to_vec()));
}

#[test]
fn drops_own_frames_sent_back() {
    let mut call = Call::new(Codec::Opus, 1);
    let at_alice = call
        .alice
        .open_receive_track("camera", leaf(1), Codec::Opus);
    let frame = call.sent(b"frame");
    let received = decrypted(&mut call.alice, at_alice, 0, &frame);
    assert_eq!(received, Outcome::Drop(DropReason::Reflected));
}

#[test]
fn drops_frames_without_our_trailer() {
    let mut call = Call::new(Codec::Opus, 1);
    // A member that speaks plain SFrame with the right key.
    let kid = crate::sframe::Kid::new(leaf(0), Epoch(1));
    let mut key = crate::sframe::EncryptionKey::derive(&base_key(1), kid);
    for payload in [&b""[..], b"short", b"long enough, but of another version"] {
        let mut buffer = FrameBuffer::new();
        buffer.load(payload);
        key.encrypt(0, &mut buffer).unwrap();
        let received = call.received(0, buffer.bytes());
        assert_eq!(received, Outcome::Drop(DropReason::UnknownTrailer));
    }
}

#[test]
fn passes_nothing_on_with_a_wrong_key() {
    let mut call = Call::new(Codec::Opus, 1);
    let mut eve = FrameEngine::new();
    eve.install_epoch(Epoch(1), &[9; 16], leaf(1), &[0, 1].map(leaf))
        .unwrap();
    let track = eve.open_receive_track("camera", leaf(0), Codec::Opus);
    for _ in 0..1_000 {
        let frame = call.sent(b"secret");
        assert_eq!(decrypted(&mut eve, track, 0, &frame), NOT_AUTHENTIC);
    }
}

/// A small seeded generator (xorshift64*): tests replay from their seed alone.
pub(super) struct Random(u64);

impl Random {
    pub fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 33) as usize) % bound
    }
}
