//! Frames of the next epoch wait for its key: still encrypted, few, and not for long.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A call in epoch 1 whose sender is in epoch 2 already.
fn sender_ahead() -> Call {
    let mut call = Call::new(Codec::Vp9, 1);
    enter(&mut call.alice, 0, 2);
    call.alice.send_in_epoch(Epoch(2)).unwrap();
    call
}

fn ticket(outcome: Outcome<Vec<u8>>) -> Ticket {
    match outcome {
        Outcome::Wait(ticket) => ticket,
        other => panic!("must wait: {other:?}"),
    }
}

#[test]
fn releases_waiting_frames_in_order_when_the_key_comes() {
    let mut call = sender_ahead();
    let mut tickets = Vec::new();
    for n in 0..5 {
        let frame = call.sent(&[n; 100]);
        tickets.push(ticket(call.received(u64::from(n), &frame)));
    }
    assert_eq!(released(&mut call.bob, 100), None);
    enter(&mut call.bob, 1, 2);
    for (n, ticket) in (0..5).zip(tickets) {
        assert_eq!(
            released(&mut call.bob, 249),
            Some((ticket, Outcome::Forward(vec![n; 100])))
        );
    }
    assert_eq!(released(&mut call.bob, 249), None);
    let stats = call.bobs_stats();
    assert_eq!(
        (stats.waited, stats.decrypted, stats.dropped.total()),
        (5, 5, 0)
    );
}

#[test]
fn has_later_frames_queue_behind_those_that_are_due() {
    let mut call = sender_ahead();
    let [first, second, third] = [1, 2, 3].map(|n| call.sent(&[n]));
    let first = ticket(call.received(0, &first));
    enter(&mut call.bob, 1, 2);
    let second = ticket(call.received(1, &second));
    assert_eq!(
        released(&mut call.bob, 2),
        Some((first, Outcome::Forward(vec![1])))
    );
    assert_eq!(
        released(&mut call.bob, 2),
        Some((second, Outcome::Forward(vec![2])))
    );
    assert_eq!(call.received(3, &third), Outcome::Forward(vec![3]));
}

#[test]
fn does_not_hold_up_frames_of_the_present_epoch() {
    let mut call = Call::new(Codec::Vp9, 1);
    let present = call.sent(b"present");
    enter(&mut call.alice, 0, 2);
    call.alice.send_in_epoch(Epoch(2)).unwrap();
    let next = call.sent(b"next");
    ticket(call.received(0, &next));
    assert_eq!(
        call.received(1, &present),
        Outcome::Forward(b"present".to_vec())
    );
}

#[test]
fn gives_up_after_250_ms() {
    let mut call = sender_ahead();
    let [early, late] = [1, 2].map(|n| call.sent(&[n]));
    let early = ticket(call.received(1_000, &early));
    let late = ticket(call.received(1_100, &late));
    assert_eq!(released(&mut call.bob, 1_249), None);
    let too_long = Outcome::Drop(DropReason::WaitedTooLong);
    assert_eq!(
        released(&mut call.bob, 1_250),
        Some((early, too_long.clone()))
    );
    assert_eq!(released(&mut call.bob, 1_250), None);
    assert_eq!(released(&mut call.bob, 5_000), Some((late, too_long)));
    enter(&mut call.bob, 1, 2);
    assert_eq!(released(&mut call.bob, 5_000), None);
}

#[test]
fn holds_at_most_64_frames_a_track() {
    let mut call = sender_ahead();
    for _ in 0..WAIT_LIMIT_FRAMES {
        let frame = call.sent(b"frame");
        ticket(call.received(0, &frame));
    }
    let frame = call.sent(b"one too many");
    assert_eq!(
        call.received(0, &frame),
        Outcome::Drop(DropReason::QueueFull)
    );

    // Another track has a queue of its own.
    let other = call.bob.open_receive_track("camera", leaf(0), Codec::Vp9);
    ticket(decrypted(&mut call.bob, other, 0, &frame));
}

#[test]
fn holds_at_most_8_mib_a_track() {
    let mut call = sender_ahead();
    let frame = call.sent(&vec![0; 3 * 1024 * 1024]);
    ticket(call.received(0, &frame));
    ticket(call.received(0, &frame));
    assert_eq!(
        call.received(0, &frame),
        Outcome::Drop(DropReason::QueueFull)
    );
}

#[test]
fn has_only_frames_of_the_next_epoch_and_the_announced_leaf_wait() {
    let mut call = Call::new(Codec::Vp9, 1);
    enter(&mut call.alice, 0, 3);
    call.alice.send_in_epoch(Epoch(3)).unwrap();
    let after_next = call.sent(b"frame");
    assert_eq!(
        call.received(0, &after_next),
        Outcome::Drop(DropReason::NoKey)
    );

    let mut carol = member(2, 2);
    let track = carol.open_send_track("camera", 0, Codec::Vp9).unwrap();
    let carols = encrypted(&mut carol, track, b"frame").unwrap();
    assert_eq!(call.received(0, &carols), Outcome::Drop(DropReason::NoKey));
}

#[test]
fn drops_a_waiting_frame_whose_sender_is_not_in_the_epoch_that_came() {
    let mut call = sender_ahead();
    let frame = call.sent(b"frame");
    let ticket = ticket(call.received(0, &frame));
    let without_alice = [leaf(1), leaf(2)];
    call.bob
        .install_epoch(Epoch(2), &base_key(2), leaf(1), &without_alice)
        .unwrap();
    assert_eq!(
        released(&mut call.bob, 1),
        Some((ticket, Outcome::Drop(DropReason::NoKey)))
    );
}

#[test]
fn drops_a_forged_waiting_frame_when_the_key_comes_and_nothing_else() {
    let mut call = sender_ahead();
    let genuine = call.sent(b"genuine");
    let mut forged = genuine.clone();
    *forged.last_mut().unwrap() ^= 1;
    let forged = ticket(call.received(0, &forged));
    let genuine = ticket(call.received(0, &genuine));
    enter(&mut call.bob, 1, 2);
    let not_authentic = Outcome::Drop(DropReason::NotAuthentic);
    assert_eq!(released(&mut call.bob, 1), Some((forged, not_authentic)));
    let expected = Outcome::Forward(b"genuine".to_vec());
    assert_eq!(released(&mut call.bob, 1), Some((genuine, expected)));
}

#[test]
fn forgets_waiting_frames_with_the_keys_and_with_the_track() {
    let mut call = sender_ahead();
    let frame = call.sent(b"frame");
    let first = ticket(call.received(0, &frame));
    call.bob.clear();
    assert_eq!(
        released(&mut call.bob, 1),
        Some((first, Outcome::Drop(DropReason::NoKey)))
    );

    let mut call = sender_ahead();
    let frame = call.sent(b"frame");
    ticket(call.received(0, &frame));
    call.bob.close_track(call.incoming).unwrap();
    enter(&mut call.bob, 1, 2);
    assert_eq!(released(&mut call.bob, 1), None);
}
