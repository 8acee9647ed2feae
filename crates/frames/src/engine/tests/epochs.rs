//! Keys come, change and die.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const NO_KEY: Outcome<Vec<u8>> = Outcome::Drop(DropReason::NoKey);

#[test]
fn opens_frames_of_a_retired_epoch_for_two_seconds() {
    let mut call = Call::new(Codec::Opus, 1);
    let frames: Vec<_> = (0..3).map(|_| call.sent(b"old")).collect();
    enter(&mut call.bob, 1, 2);
    call.bob.retire_epoch(Epoch(1), 12_000).unwrap();
    // Retiring again does not prolong the old key's life.
    call.bob.retire_epoch(Epoch(1), 13_000).unwrap();
    assert_eq!(
        call.received(10_000, &frames[0]),
        Outcome::Forward(b"old".to_vec())
    );
    assert_eq!(
        call.received(11_999, &frames[1]),
        Outcome::Forward(b"old".to_vec())
    );
    assert_eq!(call.received(12_000, &frames[2]), NO_KEY);
    assert_eq!(call.bob.live_epochs().collect::<Vec<_>>(), [Epoch(2)]);
}

#[test]
fn sends_nothing_in_a_retired_epoch() {
    let mut call = Call::new(Codec::Opus, 1);
    call.alice.retire_epoch(Epoch(1), 2_000).unwrap();
    assert_eq!(
        encrypted(&mut call.alice, call.outgoing, b"frame"),
        Err(DropReason::NoKey)
    );
    let refused = call.alice.send_in_epoch(Epoch(1));
    assert_eq!(refused, Err(FramesError::UnknownEpoch { epoch: Epoch(1) }));
    assert_eq!(call.alice.sending_epoch(), None);
}

#[test]
fn destroys_a_removed_leafs_keys_at_once_and_nobody_elses() {
    let mut call = Call::new(Codec::Opus, 1);
    let mut carol = member(2, 1);
    let carols = carol.open_send_track("camera", 0, Codec::Opus).unwrap();
    let from_carol = call.bob.open_receive_track("camera", leaf(2), Codec::Opus);

    let alices_frame = call.sent(b"late");
    call.bob.remove_leaf(leaf(0), Epoch(2));
    assert_eq!(call.received(0, &alices_frame), NO_KEY);
    let carols_frame = encrypted(&mut carol, carols, b"still here").unwrap();
    let received = decrypted(&mut call.bob, from_carol, 0, &carols_frame);
    assert_eq!(received, Outcome::Forward(b"still here".to_vec()));
}

#[test]
fn keeps_the_keys_of_whoever_takes_a_removed_leafs_place() {
    let mut call = Call::new(Codec::Opus, 1);
    let old = call.sent(b"old member");
    enter(&mut call.bob, 1, 2);
    call.bob.remove_leaf(leaf(0), Epoch(2));
    enter(&mut call.alice, 0, 2);
    call.alice.send_in_epoch(Epoch(2)).unwrap();
    let new = call.sent(b"new member");
    assert_eq!(call.received(0, &old), NO_KEY);
    assert_eq!(
        call.received(0, &new),
        Outcome::Forward(b"new member".to_vec())
    );
}

#[test]
fn opens_nothing_of_whoever_is_not_in_the_epoch() {
    let mut call = Call::new(Codec::Opus, 1);
    let mut dave = FrameEngine::new();
    // Dave knows the base key, as a removed member knows old ones, but is not among the leaves.
    let everybody = [leaf(1), leaf(9)];
    dave.install_epoch(Epoch(1), &base_key(1), leaf(9), &everybody)
        .unwrap();
    dave.send_in_epoch(Epoch(1)).unwrap();
    let track = dave.open_send_track("camera", 0, Codec::Opus).unwrap();
    let frame = encrypted(&mut dave, track, b"ghost").unwrap();
    assert_eq!(call.received(0, &frame), NO_KEY);
}

#[test]
fn lives_with_at_most_three_epochs() {
    let mut call = Call::new(Codec::Opus, 1);
    let first = call.sent(b"first");
    for epoch in 2..=MAX_LIVE_EPOCHS as u64 {
        assert_eq!(enter(&mut call.bob, 1, epoch), []);
    }
    assert_eq!(enter(&mut call.bob, 1, 4), [Epoch(1)]);
    assert_eq!(
        call.bob.live_epochs().collect::<Vec<_>>(),
        [2, 3, 4].map(Epoch)
    );
    assert_eq!(call.received(0, &first), NO_KEY);
    // Bob was sending in the evicted epoch: he sends nothing until told where.
    assert_eq!(call.bob.sending_epoch(), None);
}

#[test]
fn never_holds_two_epochs_with_the_same_low_bits() {
    let mut call = Call::new(Codec::Opus, 5);
    let old = call.sent(b"old");
    assert_eq!(enter(&mut call.bob, 1, 5 + 256), [Epoch(5)]);
    assert_eq!(
        call.received(0, &old),
        Outcome::Drop(DropReason::NotAuthentic)
    );
}

#[test]
fn goes_from_low_bits_255_to_0() {
    let mut call = Call::new(Codec::Opus, 255);
    enter(&mut call.alice, 0, 256);
    call.alice.send_in_epoch(Epoch(256)).unwrap();
    let frame = call.sent(b"wrapped");
    let Outcome::Wait(ticket) = call.received(0, &frame) else {
        panic!("must wait")
    };
    enter(&mut call.bob, 1, 256);
    let expected = Outcome::Forward(b"wrapped".to_vec());
    assert_eq!(released(&mut call.bob, 10), Some((ticket, expected)));
}

#[test]
fn refuses_epochs_out_of_order() {
    let mut engine = member(0, 5);
    for epoch in [0, 4, 5] {
        let refused = engine
            .install_epoch(Epoch(epoch), &[epoch as u8; 16], leaf(0), &[leaf(0)])
            .unwrap_err();
        assert_eq!(
            refused,
            FramesError::EpochOrder {
                epoch: Epoch(epoch),
                newest: Epoch(5)
            }
        );
    }
}

#[test]
fn never_takes_a_base_key_twice_so_no_counter_starts_again() {
    let mut engine = member(0, 5);
    let leaves = [leaf(0)];
    let again = |engine: &mut FrameEngine, epoch| {
        engine.install_epoch(Epoch(epoch), &base_key(5), leaf(0), &leaves)
    };
    let refused = |epoch| {
        Err(FramesError::BaseKeyReused {
            epoch: Epoch(epoch),
        })
    };
    assert_eq!(again(&mut engine, 6), refused(6));
    engine.retire_epoch(Epoch(5), 2_000).unwrap();
    engine.next_released(5_000, &mut FrameBuffer::new());
    assert_eq!(engine.live_epochs().count(), 0);
    assert_eq!(again(&mut engine, 7), refused(7));
    engine.clear();
    assert_eq!(again(&mut engine, 5), refused(5));
}

#[test]
fn starts_again_from_any_epoch_after_clear() {
    let mut call = Call::new(Codec::Opus, 100);
    let old = call.sent(b"old group");
    for engine in [&mut call.alice, &mut call.bob] {
        engine.clear();
    }
    assert_eq!(call.received(0, &old), NO_KEY);
    enter(&mut call.alice, 0, 1);
    enter(&mut call.bob, 1, 1);
    call.alice.send_in_epoch(Epoch(1)).unwrap();
    let new = call.sent(b"new group");
    assert_eq!(
        call.received(0, &new),
        Outcome::Forward(b"new group".to_vec())
    );
}

#[test]
fn refuses_wrong_key_lengths_and_strangers() {
    let mut engine = FrameEngine::new();
    for size_bytes in [0, 15, 17, 32] {
        let refused = engine.install_epoch(Epoch(1), &vec![1; size_bytes], leaf(0), &[leaf(0)]);
        assert_eq!(refused, Err(FramesError::BaseKeyLength { size_bytes }));
    }
    let refused = engine.install_epoch(Epoch(1), &[1; 16], leaf(0), &[leaf(1)]);
    assert_eq!(
        refused,
        Err(FramesError::NotAMember {
            epoch: Epoch(1),
            leaf: leaf(0)
        })
    );
    // A refused call leaves no trace: the same key is still good.
    assert_eq!(
        engine.install_epoch(Epoch(1), &[1; 16], leaf(0), &[leaf(0)]),
        Ok(vec![])
    );
}

#[test]
fn gives_every_leaf_and_epoch_another_key() {
    let mut frames = std::collections::HashSet::new();
    for epoch in 1..4 {
        for own_leaf in 0..4 {
            let mut engine = member(own_leaf, epoch);
            let track = engine.open_send_track("camera", 0, Codec::Opus).unwrap();
            let frame = encrypted(&mut engine, track, &[0; 64]).unwrap();
            // Header of two bytes of key id, without counter bytes, then 64 bytes of keystream.
            frames.insert(frame[frame.len() - 92..frame.len() - 28].to_vec());
        }
    }
    assert_eq!(frames.len(), 12);
}
