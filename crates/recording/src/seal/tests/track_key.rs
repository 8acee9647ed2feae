use crate::seal::track_key::*;

fn key(secret: u8, share: Option<u8>, hash: u8) -> TrackKey {
    let share = share.map(|byte| ShredShare::new([byte; 32]));
    derive_track_key(&TrackSecret::new([secret; 32]), share.as_ref(), &[hash; 32])
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn the_key_is_what_another_implementation_derives() {
    // Python: HKDF(SHA256(), 32, salt=v, info=b"sealed-visit track key v1\0" + bytes([3])*32).derive(s)
    assert_eq!(
        hex::encode(key(1, Some(2), 3).expose()),
        "4bb7fb8ede331cee1f96c70e13bb91d2fd88a0904babaaff9b1cf45df2014a0c"
    );
    assert_eq!(
        hex::encode(key(1, None, 3).expose()),
        "b24431c560523ca48d250c8f0542000491d131838511f1f54c407d8a67b8651a"
    );
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn secret_share_and_header_each_change_the_key() {
    let keys = [
        key(1, Some(2), 3),
        key(9, Some(2), 3),
        key(1, Some(9), 3),
        key(1, None, 3),
        key(1, Some(2), 9),
    ];
    for (i, a) in keys.iter().enumerate() {
        for b in &keys[i + 1..] {
            assert_ne!(a.expose(), b.expose());
        }
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn secrets_of_another_length_are_refused() {
    for have_bytes in [0, 31, 33] {
        assert_eq!(
            ShredShare::try_from(vec![0; have_bytes].as_slice()).unwrap_err(),
            TrackKeyError::WrongLength {
                what: "shred share",
                have_bytes
            }
        );
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn debug_output_is_redacted() {
    assert_eq!(
        format!("{:?}", TrackSecret::new([7; 32])),
        "TrackSecret(redacted)"
    );
    assert_eq!(
        format!("{:?}", ShredShare::new([7; 32])),
        "ShredShare(redacted)"
    );
    assert_eq!(format!("{:?}", key(1, None, 1)), "TrackKey(redacted)");
}
