//! The suite against `mls-rs-crypto-rustcrypto`, and against the numbers of RFC 9180. Groups of members of both kinds
//! are in the other tests: `evil` is built on the other one.

use super::super::client::SUITE;
use super::super::crypto::{Crypto, Suite};
use mls_rs::crypto::{HpkeCiphertext, HpkeContextR as _, HpkeContextS as _, HpkePsk};
use mls_rs::{CipherSuite, CipherSuiteProvider, CryptoProvider};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;

fn ours() -> Suite {
    Crypto.cipher_suite_provider(SUITE).unwrap()
}

fn theirs() -> impl CipherSuiteProvider {
    RustCryptoProvider::default()
        .cipher_suite_provider(SUITE)
        .unwrap()
}

#[test]
fn provides_one_suite_only() {
    assert_eq!(Crypto.supported_cipher_suites(), [SUITE]);
    for other in CipherSuite::all().filter(|other| *other != SUITE) {
        assert!(Crypto.cipher_suite_provider(other).is_none());
    }
}

#[test]
fn hashes_macs_derives_and_seals_as_the_other_implementation() {
    let (ours, theirs) = (ours(), theirs());
    assert_eq!(ours.kdf_extract_size(), theirs.kdf_extract_size());
    assert_eq!(ours.aead_key_size(), theirs.aead_key_size());
    assert_eq!(ours.aead_nonce_size(), theirs.aead_nonce_size());
    for len in [1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 1000] {
        let data: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
        let (key, nonce) = ([9; 16], [4; 12]);
        assert_eq!(ours.hash(&data).unwrap(), theirs.hash(&data).ok().unwrap());
        assert_eq!(
            ours.mac(&data, b"data").unwrap(),
            theirs.mac(&data, b"data").ok().unwrap()
        );
        for salt in [&b""[..], b"salt", &data] {
            assert_eq!(
                ours.kdf_extract(salt, &data).unwrap(),
                theirs.kdf_extract(salt, &data).ok().unwrap()
            );
        }
        assert_eq!(
            ours.kdf_expand(&[5; 32], &data, len).unwrap(),
            theirs.kdf_expand(&[5; 32], &data, len).ok().unwrap()
        );
        for aad in [None, Some(&b""[..]), Some(&data[..])] {
            let sealed = ours.aead_seal(&key, &data, aad, &nonce).unwrap();
            assert_eq!(
                sealed,
                theirs.aead_seal(&key, &data, aad, &nonce).ok().unwrap()
            );
            assert_eq!(
                *ours.aead_open(&key, &sealed, aad, &nonce).unwrap(),
                data[..]
            );
            for position in [0, len, sealed.len() - 1] {
                let mut changed = sealed.clone();
                changed[position] ^= 1;
                assert!(ours.aead_open(&key, &changed, aad, &nonce).is_err());
            }
        }
    }
}

#[test]
fn opens_what_the_other_implementation_sealed_and_back() {
    let (ours, theirs) = (ours(), theirs());
    let (secret, public) = ours.kem_generate().unwrap();
    let psk = || HpkePsk {
        id: b"id",
        value: &[8; 32],
    };
    let sealed = theirs.hpke_seal(&public, b"info", Some(b"aad"), b"text");
    let sealed = sealed.ok().unwrap();
    let opened = ours.hpke_open(&sealed, &secret, &public, b"info", Some(b"aad"));
    assert_eq!(**opened.unwrap(), *b"text");
    for (info, aad) in [(&b"other"[..], &b"aad"[..]), (b"info", b"other")] {
        assert!(
            ours.hpke_open(&sealed, &secret, &public, info, Some(aad))
                .is_err()
        );
    }
    let sealed = theirs.hpke_seal_psk(&public, b"", None, b"text", psk());
    let opened = ours.hpke_open_psk(&sealed.ok().unwrap(), &secret, &public, b"", None, psk());
    assert_eq!(**opened.unwrap(), *b"text");

    let (secret, public) = theirs.kem_generate().ok().unwrap();
    let sealed = ours
        .hpke_seal(&public, b"info", Some(b"aad"), b"text")
        .unwrap();
    let opened = theirs.hpke_open(&sealed, &secret, &public, b"info", Some(b"aad"));
    assert_eq!(**opened.ok().unwrap(), *b"text");

    let (enc, mut sender) = ours.hpke_setup_s(&public, b"info").unwrap();
    let receiver = theirs.hpke_setup_r(&enc, &secret, &public, b"info");
    let mut receiver = receiver.ok().unwrap();
    for message in [&b"one"[..], b"two"] {
        let sealed = sender.seal(None, message).unwrap();
        assert_eq!(**receiver.open(None, &sealed).ok().unwrap(), *message);
    }
    assert_eq!(
        sender.export(b"label", 40).unwrap(),
        receiver.export(b"label", 40).ok().unwrap()
    );
}

#[test]
fn signatures_of_one_verify_with_the_other() {
    let (ours, theirs) = (ours(), theirs());
    let (secret, public) = ours.signature_key_generate().unwrap();
    let signature = ours.sign(&secret, b"data").unwrap();
    assert_eq!(signature, theirs.sign(&secret, b"data").ok().unwrap());
    assert!(theirs.verify(&public, &signature, b"data").is_ok());
    assert!(ours.verify(&public, &signature, b"data").is_ok());
    assert!(ours.verify(&public, &signature, b"date").is_err());
    assert!(ours.verify(&public, &signature[..63], b"data").is_err());
    assert_eq!(ours.signature_key_derive_public(&secret).unwrap(), public);

    let mut mixed = secret.to_vec();
    mixed[63] ^= 1;
    assert!(ours.sign(&mixed.into(), b"data").is_err());
}

/// RFC 9180 appendix A.1.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode.
#[test]
fn agrees_with_rfc_9180_appendix_a_1_1() {
    let hex = |text: &str| hex::decode(text).unwrap();
    let ours = ours();
    let (secret, public) = ours
        .kem_derive(&hex(
            "6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037",
        ))
        .unwrap();
    assert_eq!(
        *secret,
        hex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8")
    );
    assert_eq!(
        *public,
        hex("3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d")
    );
    let sealed = HpkeCiphertext {
        kem_output: hex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"),
        ciphertext: hex(
            "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a",
        ),
    };
    let info = hex("4f6465206f6e2061204772656369616e2055726e");
    let opened = ours.hpke_open(&sealed, &secret, &public, &info, Some(b"Count-0"));
    assert_eq!(**opened.unwrap(), *b"Beauty is truth, truth beauty");
}

/// RFC 9180 section 7.1.4: the points of small order give zeros.
#[test]
fn refuses_keys_that_give_no_secret() {
    let ours = ours();
    let one = [&[1][..], &[0; 31]].concat();
    for weak in [vec![0; 32], one] {
        assert!(ours.hpke_seal(&weak.into(), b"", None, b"text").is_err());
    }
    for short in [0, 31, 33] {
        let key = vec![9; short].into();
        assert!(ours.kem_public_key_validate(&key).is_err());
        assert!(ours.hpke_seal(&key, b"", None, b"text").is_err());
    }
}
