//! Seeded mutators: whatever comes in, nothing panics, and nothing comes out that did not go in.

use super::*;
use sealed_visit_recording::seal::cobblestone;
use sealed_visit_recording::seal::key_file;

/// xorshift64*: small, seeded, the same everywhere.
struct Mutator(u64);

impl Mutator {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// One to four changes: a bit, a byte, a cut, a repeat, a removal, a length field.
    fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(out.len());
            let to = (at + 1 + self.below(64)).min(out.len());
            match self.below(6) {
                _ if out.is_empty() => out.push(self.next() as u8),
                0 => out[at] ^= 1 << self.below(8),
                1 => out[at] = self.next() as u8,
                2 => out.truncate(at),
                3 => {
                    let repeated = out[at..to].to_vec();
                    out.splice(at..at, repeated);
                }
                4 => drop(out.drain(at..to)),
                _ => out[at..to].fill(if self.below(2) == 0 { 0xff } else { 0 }),
            }
        }
        out
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn a_mutated_track_opens_to_a_prefix_of_what_was_recorded() {
    let keys = clinic_keys();
    let world = world(&keys);
    let part = record_sizes(&world, 0, true, &[40, 0, 200, 17_000]);
    let track = &part.tracks[0];
    let mut mutator = Mutator(0x5EA1_ED01);
    for round in 0..2_000 {
        let file = mutator.mutate(&track.file);
        let key =
            unwrap_track_key(&track.envelope, &track.header, &keys[1], Some(&track.share)).unwrap();
        let mut opener = TrackOpener::new(track.header.clone(), key);
        let piece_bytes = 1 + mutator.below(20_000);
        let mut slices: Vec<Vec<u8>> = vec![];
        for piece in file.chunks(piece_bytes) {
            if opener
                .feed(piece, |segment| slices.push(segment.plaintext.to_vec()))
                .is_err()
            {
                break;
            }
        }
        let end = opener.finish();
        assert!(track.slices.starts_with(&slices), "round {round}");
        assert_eq!(end.state.segments() as usize, slices.len(), "round {round}");
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn mutated_documents_are_refused_or_are_the_same() {
    let keys = clinic_keys();
    let world = world(&keys);
    let part = record_sizes(&world, 0, true, &[10]);
    let track = &part.tracks[0];
    let mut mutator = Mutator(0x5EA1_ED02);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    for round in 0..2_000 {
        let open = text(mutator.mutate(part.open.as_str().as_bytes()));
        if PartVerifier::new(&Jws::from_text(open.clone()), &world.clinic).is_ok() {
            assert_eq!(open, part.open.as_str(), "round {round}");
        }
        let envelope = text(mutator.mutate(track.envelope.as_str().as_bytes()));
        let manifest = text(mutator.mutate(part.manifest.as_str().as_bytes()));
        let opened = unwrap_track_key(
            &Jws::from_text(envelope.clone()),
            &track.header,
            &keys[1],
            Some(&track.share),
        );
        assert!(
            opened.is_err() || envelope == track.envelope.as_str(),
            "round {round}"
        );
        let mut verifier = PartVerifier::new(&part.open, &world.clinic).unwrap();
        verifier.envelope(track.header.claims().track, Jws::from_text(envelope));
        verifier.manifest(Jws::from_text(manifest.clone()));
        let ended = verifier.report().ending != Ending::Open;
        assert!(
            !ended || manifest == part.manifest.as_str(),
            "round {round}"
        );
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn mutated_messages_wraps_and_keys_never_panic() {
    let key = [7; 32];
    let plaintext: Vec<u8> = (0..40_000).map(|i| (i % 253) as u8).collect();
    let sealed = cobblestone::seal(&key, b"context", &[9; 24], &plaintext).unwrap();
    let mut mutator = Mutator(0x5EA1_ED03);
    for round in 0..1_000 {
        let altered = mutator.mutate(&sealed);
        let mut released = vec![];
        let mut opener = cobblestone::Opener::new(&key, b"context");
        let piece_bytes = 1 + mutator.below(40_000);
        let fed = altered
            .chunks(piece_bytes)
            .try_for_each(|piece| opener.push(piece, &mut released));
        let whole = fed.and_then(|()| opener.finish(&mut released)).is_ok();
        assert!(plaintext.starts_with(&released), "round {round}");
        assert_eq!(whole, altered == sealed, "round {round}");
    }
    for private in clinic_keys() {
        let wrap = private
            .public_key()
            .wrap(b"info", &[1; 32], &mut system_rng())
            .unwrap();
        let content = key_file::encode(&private);
        for round in 0..300 {
            let altered = mutator.mutate(&wrap);
            assert!(
                private.unwrap(b"info", &altered).is_err() || altered == wrap,
                "round {round}"
            );
            // A key file inside its JWE is authentic; here only that nothing panics.
            let _ = key_file::decode(&mutator.mutate(&content));
        }
    }
}
