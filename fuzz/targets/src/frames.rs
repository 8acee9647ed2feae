//! SFrame frames (RFC 9605) at a receiver. Input: a byte for the codec, a byte for the time, the frame.
//!
//! Law: what is passed on was sent, once.

use sealed_visit_frames::codec::Codec;
use sealed_visit_frames::engine::{FrameEngine, Outcome, TrackHandle};
use sealed_visit_frames::sframe::{Epoch, FrameBuffer, Leaf};
use std::cell::RefCell;
use std::collections::HashSet;

const CODECS: [Codec; 3] = [Codec::Opus, Codec::Vp8, Codec::Vp9];
const SENT: usize = 200;

struct Call {
    receiver: FrameEngine,
    incoming: TrackHandle,
    /// What was sent and not yet passed on.
    payloads: HashSet<Vec<u8>>,
    now_ms: u64,
}

thread_local! {
    static CALLS: RefCell<Vec<Call>> = RefCell::new(CODECS.map(Call::new).into());
}

pub fn seeds() -> Vec<Vec<u8>> {
    let frames_of = |(index, codec): (usize, Codec)| {
        sent(codec)
            .into_iter()
            .map(move |(_, frame)| [&[index as u8, 1], frame.as_slice()].concat())
    };
    CODECS.into_iter().enumerate().flat_map(frames_of).collect()
}

pub fn run(input: &[u8]) -> bool {
    let [codec, later_ms, frame @ ..] = input else {
        return false;
    };
    CALLS.with_borrow_mut(|calls| {
        let call = &mut calls[usize::from(*codec) % CODECS.len()];
        call.now_ms += u64::from(*later_ms) / 64;
        let mut buffer = FrameBuffer::new();
        buffer.load(frame);
        let outcome = call
            .receiver
            .decrypt(call.incoming, call.now_ms, &mut buffer);
        let passed = matches!(outcome, Outcome::Forward(_));
        if passed {
            let was_sent = call.payloads.remove(buffer.bytes());
            assert!(
                was_sent,
                "a frame was passed on that was never sent, or twice"
            );
        } else {
            assert!(
                buffer.bytes().is_empty(),
                "a frame that is not passed on is gone"
            );
        }
        while let Some(released) = call.receiver.next_released(call.now_ms, &mut buffer) {
            assert!(
                !matches!(released.outcome, Outcome::Forward(_)),
                "a frame of an epoch that never came was passed on"
            );
        }
        passed
    })
}

impl Call {
    fn new(codec: Codec) -> Self {
        let mut receiver = engine(1);
        let incoming = receiver.open_receive_track("camera", leaf(0), codec);
        Self {
            receiver,
            incoming,
            payloads: sent(codec)
                .into_iter()
                .map(|(payload, _)| payload)
                .collect(),
            now_ms: 0,
        }
    }
}

/// Payloads and their frames, the same every time.
fn sent(codec: Codec) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut sender = engine(0);
    let track = sender.open_send_track("camera", 2, codec).expect("a track");
    let mut buffer = FrameBuffer::new();
    (0..SENT)
        .map(|n| {
            let len = 12 + (n * 7) % 120;
            let mut payload: Vec<u8> = (0..len).map(|i| (i * 31 + n * 3) as u8).collect();
            // VP8 has its key frame flag in the first byte's lowest bit.
            payload[0] = payload[0] & 0xfe | u8::from(n % 10 != 0);
            payload[3..11].copy_from_slice(&(n as u64).to_be_bytes());
            buffer.load(&payload);
            let outcome = sender.encrypt(track, 1_000 * n as u64, &mut buffer);
            assert!(
                matches!(outcome, Outcome::Forward(())),
                "what is sent leaves"
            );
            (payload, buffer.bytes().to_vec())
        })
        .collect()
}

fn engine(own_leaf: u32) -> FrameEngine {
    let mut engine = FrameEngine::new();
    let leaves = [0, 1, 2, 3].map(leaf);
    engine
        .install_epoch(Epoch(1), &[0x42; 16], leaf(own_leaf), &leaves)
        .expect("a first epoch");
    engine.send_in_epoch(Epoch(1)).expect("an installed epoch");
    engine
}

fn leaf(index: u32) -> Leaf {
    Leaf::new(index).expect("a small index")
}
