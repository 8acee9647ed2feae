use ::hpke::Kem;
use ::hpke::aead::{Aead, AesGcm128, AesGcm256, ChaCha20Poly1305};
use ::hpke::kem::{X25519HkdfSha256, XWing};
use serde::Deserialize;

use super::FixedRng;
use crate::seal::hpke::*;

#[derive(Deserialize)]
struct Vector {
    mode: u8,
    kem_id: u16,
    kdf_id: u16,
    aead_id: u16,
    info: Hex,
    #[serde(rename = "ikmR")]
    ikm_r: Hex,
    #[serde(rename = "ikmE")]
    ikm_e: Hex,
    #[serde(rename = "skRm")]
    sk_r: Hex,
    #[serde(rename = "pkRm")]
    pk_r: Hex,
    enc: Hex,
    encryptions: Vec<Encryption>,
}

#[derive(Deserialize)]
struct Encryption {
    aad: Hex,
    ct: Hex,
    pt: Hex,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Hex(Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        hex::decode(text).map(Self)
    }
}

fn check<K: Kem, A: Aead>(suite: Suite, vector: &Vector) {
    let private = PrivateKey::derive(suite, &vector.ikm_r.0);
    let mut scalar = vector.sk_r.0.clone();
    if suite == Suite::X25519 {
        // The library writes X25519 scalars clamped (RFC 7748, section 5), the vectors do not: same key.
        scalar[0] &= 248;
        scalar[31] = scalar[31] & 127 | 64;
    }
    assert_eq!(private.expose().as_slice(), scalar);
    assert_eq!(private.public_key().as_bytes(), vector.pk_r.0);
    let public = PublicKey::from_bytes(suite, &vector.pk_r.0).unwrap();
    assert_eq!(public, private.public_key());

    let Encryption { aad, ct, pt } = &vector.encryptions[0];
    let want = [vector.enc.0.as_slice(), &ct.0].concat();
    let wrap = seal::<K, A>(
        &public,
        &vector.info.0,
        &aad.0,
        &pt.0,
        &mut FixedRng(&vector.ikm_e.0),
    )
    .unwrap();
    assert_eq!(wrap, want);
    let opened = open::<K, A>(&private, &vector.info.0, &aad.0, &want).unwrap();
    assert_eq!(*opened, pt.0);
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn derives_seals_and_opens_as_the_published_vectors() {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../../../../../tests/vectors/hpke-base.json")).unwrap();
    assert_eq!(vectors.len(), 4);
    for vector in vectors {
        assert_eq!((vector.mode, vector.kdf_id), (0, 1));
        match (vector.kem_id, vector.aead_id) {
            (0x0020, 1) => check::<X25519HkdfSha256, AesGcm128>(Suite::X25519, &vector),
            (0x0020, 2) => check::<X25519HkdfSha256, AesGcm256>(Suite::X25519, &vector),
            (0x0020, 3) => check::<X25519HkdfSha256, ChaCha20Poly1305>(Suite::X25519, &vector),
            (0x647a, 3) => check::<XWing, ChaCha20Poly1305>(Suite::XWing, &vector),
            other => panic!("no suite for {other:?}"),
        }
    }
}

/// Made with Python's `cryptography` 50: `Suite(kem, HKDF_SHA256, AES_256_GCM).encrypt(secret, key, info)`.
#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn opens_what_another_implementation_wrapped() {
    #[derive(Deserialize)]
    struct Wrapped {
        suite: String,
        private_key: Hex,
        public_key: Hex,
        info: Hex,
        plaintext: Hex,
        wrap: Hex,
    }
    let wraps: Vec<Wrapped> = serde_json::from_str(include_str!(
        "../../../../../tests/vectors/hpke-python-wraps.json"
    ))
    .unwrap();
    assert_eq!(wraps.len(), 2);
    for wrap in wraps {
        let suite = Suite::from_name(&wrap.suite).unwrap();
        let private = PrivateKey::from_bytes(suite, &wrap.private_key.0).unwrap();
        assert_eq!(private.public_key().as_bytes(), wrap.public_key.0);
        assert_eq!(
            *private.unwrap(&wrap.info.0, &wrap.wrap.0).unwrap(),
            wrap.plaintext.0
        );
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn wraps_open_only_with_their_key_and_info_and_unaltered() {
    for suite in Suite::ALL {
        let private = PrivateKey::generate(suite, &mut system_rng());
        let other = PrivateKey::generate(suite, &mut system_rng());
        let wrap = private
            .public_key()
            .wrap(b"info", &[7; 32], &mut system_rng())
            .unwrap();
        assert_eq!(wrap.len(), suite.enc_bytes() + 32 + 16);
        assert_eq!(*private.unwrap(b"info", &wrap).unwrap(), [7; 32]);

        let refused = Err(HpkeError::DoesNotOpen(suite));
        assert_eq!(other.unwrap(b"info", &wrap), refused);
        assert_eq!(private.unwrap(b"infO", &wrap), refused);
        for at in [0, suite.enc_bytes() - 1, suite.enc_bytes(), wrap.len() - 1] {
            let mut altered = wrap.clone();
            altered[at] ^= 1;
            assert!(
                private.unwrap(b"info", &altered).is_err(),
                "{suite} byte {at}"
            );
        }
        for length in [0, 1, suite.enc_bytes(), suite.enc_bytes() + 15] {
            let error = private.unwrap(b"info", &wrap[..length]).unwrap_err();
            assert!(
                matches!(error, HpkeError::WrapTooShort { have_bytes, .. } if have_bytes == length)
            );
        }
        assert!(private.unwrap(b"info", &wrap[..wrap.len() - 1]).is_err());
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn two_wraps_of_the_same_secret_differ() {
    for suite in Suite::ALL {
        let public = PrivateKey::generate(suite, &mut system_rng()).public_key();
        let wraps = [0, 1].map(|_| public.wrap(b"", b"secret", &mut system_rng()).unwrap());
        assert_ne!(wraps[0], wraps[1]);
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn keys_of_the_wrong_length_or_suite_are_refused() {
    for suite in Suite::ALL {
        for length in [0, 31, 33, 1215, 1217] {
            assert!(PublicKey::from_bytes(suite, &vec![9; length]).is_err());
        }
    }
    let x25519 = PrivateKey::derive(Suite::X25519, &[1; 32]).public_key();
    assert!(PublicKey::from_bytes(Suite::XWing, x25519.as_bytes()).is_err());
    assert!(PrivateKey::from_bytes(Suite::XWing, &[0; 31]).is_err());
    assert!(Suite::from_name("x448").is_err());
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn an_ml_kem_key_with_unreduced_coefficients_is_refused() {
    // FIPS 203, section 7.2: the encapsulation key check.
    assert!(PublicKey::from_bytes(Suite::XWing, &[0xff; 1216]).is_err());
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn fingerprints_tell_keys_and_suites_apart_and_read_aloud() {
    let a = PrivateKey::derive(Suite::X25519, &[1; 32]).public_key();
    let b = PrivateKey::derive(Suite::X25519, &[2; 32]).public_key();
    assert_ne!(a.fingerprint(), b.fingerprint());
    assert_eq!(hex::encode(Suite::X25519.id()), "48504b45002000010002");
    assert_eq!(hex::encode(Suite::XWing.id()), "48504b45647a00010002");
    let spoken = a.fingerprint().to_string();
    let groups: Vec<&str> = spoken.split(' ').collect();
    assert_eq!(groups.len(), 6);
    assert!(
        groups
            .iter()
            .all(|group| group.len() == 5 && group.bytes().all(|b| b.is_ascii_digit()))
    );
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn private_keys_are_never_printed() {
    let private = PrivateKey::derive(Suite::XWing, &[1; 32]);
    let printed = format!("{private:?}");
    assert_eq!(printed, "PrivateKey(x-wing, redacted)");
}
