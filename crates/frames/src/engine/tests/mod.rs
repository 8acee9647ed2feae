//! The engine's laws, each with tests that try to break it.

mod epochs;
mod hostile;
mod mutated;
mod sending;
mod waiting;

use super::*;
use crate::codec::Codec;

/// A base key that stands for `epoch`.
fn base_key(epoch: u64) -> [u8; 16] {
    let mut key = [0x42; 16];
    key[..8].copy_from_slice(&epoch.to_be_bytes());
    key
}

fn leaf(index: u32) -> Leaf {
    Leaf::new(index).unwrap()
}

/// An engine of the member at `own_leaf`, in `epoch` with leaves 0 to 3, and sending.
fn member(own_leaf: u32, epoch: u64) -> FrameEngine {
    let mut engine = FrameEngine::new();
    enter(&mut engine, own_leaf, epoch);
    engine.send_in_epoch(Epoch(epoch)).unwrap();
    engine
}

/// Installs `epoch` with leaves 0 to 3.
fn enter(engine: &mut FrameEngine, own_leaf: u32, epoch: u64) -> Vec<Epoch> {
    let leaves = [0, 1, 2, 3].map(leaf);
    engine
        .install_epoch(Epoch(epoch), &base_key(epoch), leaf(own_leaf), &leaves)
        .unwrap()
}

/// Alice at leaf 0 sends one track to Bob at leaf 1.
struct Call {
    alice: FrameEngine,
    bob: FrameEngine,
    outgoing: TrackHandle,
    incoming: TrackHandle,
}

impl Call {
    fn new(codec: Codec, epoch: u64) -> Self {
        let (mut alice, mut bob) = (member(0, epoch), member(1, epoch));
        let outgoing = alice.open_send_track("camera", 2, codec).unwrap();
        let incoming = bob.open_receive_track("camera", leaf(0), codec);
        Self {
            alice,
            bob,
            outgoing,
            incoming,
        }
    }

    /// What Alice sends for `payload`.
    fn sent(&mut self, payload: &[u8]) -> Vec<u8> {
        encrypted(&mut self.alice, self.outgoing, payload).unwrap()
    }

    /// What becomes at Bob's of `frame`.
    fn received(&mut self, now_ms: u64, frame: &[u8]) -> Outcome<Vec<u8>> {
        decrypted(&mut self.bob, self.incoming, now_ms, frame)
    }

    fn bobs_stats(&self) -> &TrackStats {
        self.bob.track_stats(self.incoming).unwrap()
    }
}

fn encrypted(
    engine: &mut FrameEngine,
    track: TrackHandle,
    payload: &[u8],
) -> Result<Vec<u8>, DropReason> {
    let mut buffer = FrameBuffer::new();
    buffer.load(payload);
    match engine.encrypt(track, 1_000, &mut buffer) {
        Outcome::Forward(()) => Ok(buffer.bytes().to_vec()),
        Outcome::Drop(reason) => {
            assert!(buffer.bytes().is_empty(), "a dropped frame is gone");
            Err(reason)
        }
        Outcome::Wait(_) => panic!("a frame that is sent waits"),
    }
}

fn decrypted(
    engine: &mut FrameEngine,
    track: TrackHandle,
    now_ms: u64,
    frame: &[u8],
) -> Outcome<Vec<u8>> {
    let mut buffer = FrameBuffer::new();
    buffer.load(frame);
    let outcome = engine.decrypt(track, now_ms, &mut buffer);
    with_bytes(outcome, &buffer)
}

fn released(engine: &mut FrameEngine, now_ms: u64) -> Option<(Ticket, Outcome<Vec<u8>>)> {
    let mut buffer = FrameBuffer::new();
    let released = engine.next_released(now_ms, &mut buffer)?;
    Some((released.ticket, with_bytes(released.outcome, &buffer)))
}

fn with_bytes(outcome: Outcome<Decrypted>, buffer: &FrameBuffer) -> Outcome<Vec<u8>> {
    match outcome {
        Outcome::Forward(_) => Outcome::Forward(buffer.bytes().to_vec()),
        Outcome::Drop(reason) => {
            assert!(buffer.bytes().is_empty(), "a dropped frame is gone");
            Outcome::Drop(reason)
        }
        Outcome::Wait(ticket) => {
            assert!(buffer.bytes().is_empty(), "a waiting frame is the engine's");
            Outcome::Wait(ticket)
        }
    }
}

/// The bytes of a frame as an encoder of `codec` might make it, `len` long.
fn encoder_output(codec: Codec, len: usize, key_frame: bool) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..len).map(|i| (i * 31 + len) as u8).collect();
    if let (Codec::Vp8, Some(tag)) = (codec, frame.first_mut()) {
        *tag = *tag & 0xfe | u8::from(!key_frame);
    }
    frame
}
