//! Random and mutated frames while a call goes on: no panic, no frame accepted that was not sent, and the call goes on.
//! (`fuzz/targets` has more of them, and everything else that comes from strangers.)
//!
//! `SEALED_VISIT_MUTATIONS` raises the count, `SEALED_VISIT_SEED` replays another run.

use std::collections::HashSet;

use super::{hostile::Random, *};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const DEFAULT_MUTATIONS: u64 = 30_000;
const DEFAULT_SEED: u64 = 9605;

#[test]
fn survives_random_and_mutated_frames() {
    let mutations = setting("SEALED_VISIT_MUTATIONS", DEFAULT_MUTATIONS);
    let seed = setting("SEALED_VISIT_SEED", DEFAULT_SEED);
    let mut random = Random::seeded(seed);
    let mut forwarded = 0;
    let codecs = [Codec::Opus, Codec::Vp8, Codec::Vp9];
    let mut calls: Vec<_> = codecs
        .into_iter()
        .map(|codec| (codec, Call::new(codec, 1)))
        .collect();
    let mut genuine: Vec<Vec<Vec<u8>>> = vec![Vec::new(); codecs.len()];
    let mut payloads: HashSet<Vec<u8>> = HashSet::new();
    let mut buffer = FrameBuffer::new();

    for n in 0..mutations {
        let which = random.below(codecs.len());
        let (codec, call) = &mut calls[which];
        if n % 50 == 0 {
            let len = 10 + random.below(120);
            let mut payload = encoder_output(*codec, len, random.below(2) == 0);
            payload[3..10].copy_from_slice(&n.to_be_bytes()[1..]);
            genuine[which].push(call.sent(&payload));
            payloads.insert(payload);
        }
        let frame = mutated(&mut random, &genuine[which]);
        buffer.load(&frame);
        let now_ms = n / 100;
        let outcome = call.bob.decrypt(call.incoming, now_ms, &mut buffer);
        if let Outcome::Forward(_) = outcome {
            forwarded += 1;
            let was_sent = payloads.remove(buffer.bytes());
            assert!(
                was_sent,
                "seed {seed}, frame {n}: accepted twice or never sent"
            );
        }
        if n % 16 == 0 {
            while call.bob.next_released(now_ms, &mut buffer).is_some() {}
        }
    }
    // The mutator leaves some frames as they are: those must get through.
    assert!(
        forwarded > mutations / 200,
        "seed {seed}: only {forwarded} frames got through"
    );
    // And after all that, a call goes on as if nothing had been.
    for (codec, call) in &mut calls {
        let payload = encoder_output(*codec, 500, true);
        let frame = call.sent(&payload);
        assert_eq!(
            call.received(mutations, &frame),
            Outcome::Forward(payload),
            "seed {seed}"
        );
    }
}

fn mutated(random: &mut Random, genuine: &[Vec<u8>]) -> Vec<u8> {
    let recent = genuine.len().saturating_sub(8);
    let mut frame = match genuine.get(recent..) {
        Some(recent) if !recent.is_empty() => recent[random.below(recent.len())].clone(),
        _ => Vec::new(),
    };
    match random.below(8) {
        0 => {}
        1 => frame = (0..random.below(80)).map(|_| random.next() as u8).collect(),
        2 => frame.truncate(random.below(frame.len() + 1)),
        3 => frame.extend((0..random.below(40)).map(|_| random.next() as u8)),
        4 => drop(frame.drain(..random.below(frame.len() + 1))),
        5 => {
            // The head holds codec, key id and counter: aim there.
            let head = frame.len().min(20);
            for _ in 0..=random.below(4) {
                if head > 0 {
                    frame[random.below(head)] = random.next() as u8;
                }
            }
        }
        6 => {
            let other = &genuine.get(random.below(genuine.len().max(1)));
            if let Some(other) = other {
                let cut = random.below(frame.len().min(other.len()) + 1);
                frame.truncate(cut);
                frame.extend_from_slice(&other[cut..]);
            }
        }
        _ => {
            if !frame.is_empty() {
                let bit = random.below(frame.len() * 8);
                frame[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
    frame
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}
