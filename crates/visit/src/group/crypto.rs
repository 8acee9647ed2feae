//! The cryptography of the one MLS suite in use, MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519 (RFC 9420 section
//! 17.1): X25519 (RFC 7748), AES-128-GCM, SHA-256, HKDF (RFC 5869), HMAC, Ed25519 (RFC 8032). HPKE (RFC 9180) and the
//! DH-based KEM are `mls-rs-crypto-hpke`'s.
//!
//! `mls-rs-crypto-rustcrypto` does the same and brings the curves of NIST and ChaCha20-Poly1305 to everybody who
//! joins; it is what this is tested against. Stricter than it in two places: an X25519 result of zeros is refused
//! (RFC 9180 section 7.1.4), and signatures are verified as those of all other documents here.

use super::client::SUITE;
use hkdf::SimpleHkdf;
use hkdf::hmac::{KeyInit, Mac, SimpleHmac};
use mls_rs::crypto::{
    HpkeCiphertext, HpkePsk, HpkePublicKey, HpkeSecretKey, SignaturePublicKey, SignatureSecretKey,
};
use mls_rs::error::IntoAnyError;
use mls_rs::{CipherSuite, CipherSuiteProvider, CryptoProvider};
use mls_rs_crypto_hpke::context::{ContextR, ContextS};
use mls_rs_crypto_hpke::dhkem::DhKem;
use mls_rs_crypto_hpke::hpke::Hpke;
use mls_rs_crypto_traits::{AeadId, AeadType, DhType, KdfId, KdfType, KemId, SamplingMethod};
use sealed_visit_aes::Aes128Gcm;
use sha2::{Digest as _, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

const HASH_BYTES: usize = 32;
const KEY_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// Provides [`SUITE`] and no other.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Crypto;

/// What failed. It holds no bytes: the library's errors are written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CryptoError {
    Key,
    Length,
    Aead,
    Signature,
    Hpke,
    Random,
}

impl IntoAnyError for CryptoError {}

impl CryptoProvider for Crypto {
    type CipherSuiteProvider = Suite;

    fn supported_cipher_suites(&self) -> Vec<CipherSuite> {
        vec![SUITE]
    }

    fn cipher_suite_provider(&self, suite: CipherSuite) -> Option<Suite> {
        (suite == SUITE).then(Suite::new)
    }
}

/// The suite. It holds no keys.
#[derive(Clone)]
pub(super) struct Suite {
    hpke: Hpke<DhKem<X25519, HkdfSha256>, HkdfSha256, AesGcm>,
}

impl Suite {
    fn new() -> Self {
        let kem_id = KemId::DhKemX25519Sha256;
        let kem = DhKem::new(X25519, HkdfSha256, kem_id as u16, kem_id.n_secret());
        Self {
            hpke: Hpke::new(kem, HkdfSha256, Some(AesGcm)),
        }
    }
}

impl CipherSuiteProvider for Suite {
    type Error = CryptoError;
    type HpkeContextS = ContextS<HkdfSha256, AesGcm>;
    type HpkeContextR = ContextR<HkdfSha256, AesGcm>;

    fn cipher_suite(&self) -> CipherSuite {
        SUITE
    }

    fn hash(&self, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(Sha256::digest(data).to_vec())
    }

    fn mac(&self, key: &[u8], data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mac = <SimpleHmac<Sha256> as KeyInit>::new_from_slice(key);
        let mac = mac.map_err(|_| CryptoError::Length)?;
        Ok(mac.chain_update(data).finalize().into_bytes().to_vec())
    }

    fn aead_seal(
        &self,
        key: &[u8],
        data: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        AesGcm.seal(key, data, aad, nonce)
    }

    fn aead_open(
        &self,
        key: &[u8],
        ciphertext: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        AesGcm.open(key, ciphertext, aad, nonce).map(Zeroizing::new)
    }

    fn aead_key_size(&self) -> usize {
        KEY_BYTES
    }

    fn aead_nonce_size(&self) -> usize {
        NONCE_BYTES
    }

    fn kdf_extract(&self, salt: &[u8], ikm: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        HkdfSha256.extract(salt, ikm).map(Zeroizing::new)
    }

    fn kdf_expand(
        &self,
        prk: &[u8],
        info: &[u8],
        len: usize,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        HkdfSha256.expand(prk, info, len).map(Zeroizing::new)
    }

    fn kdf_extract_size(&self) -> usize {
        HASH_BYTES
    }

    fn hpke_seal(
        &self,
        remote_key: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        let sealed = self.hpke.seal(remote_key, info, None, aad, plaintext);
        sealed.map_err(|_| CryptoError::Hpke)
    }

    fn hpke_seal_psk(
        &self,
        remote_key: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        plaintext: &[u8],
        psk: HpkePsk<'_>,
    ) -> Result<HpkeCiphertext, CryptoError> {
        let sealed = self.hpke.seal(remote_key, info, Some(psk), aad, plaintext);
        sealed.map_err(|_| CryptoError::Hpke)
    }

    fn hpke_open(
        &self,
        ciphertext: &HpkeCiphertext,
        local_secret: &HpkeSecretKey,
        local_public: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        self.hpke
            .open(ciphertext, local_secret, local_public, info, None, aad)
            .map_err(|_| CryptoError::Hpke)
    }

    fn hpke_open_psk(
        &self,
        ciphertext: &HpkeCiphertext,
        local_secret: &HpkeSecretKey,
        local_public: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        psk: HpkePsk<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        self.hpke
            .open(ciphertext, local_secret, local_public, info, Some(psk), aad)
            .map_err(|_| CryptoError::Hpke)
    }

    fn hpke_setup_s(
        &self,
        remote_key: &HpkePublicKey,
        info: &[u8],
    ) -> Result<(Vec<u8>, Self::HpkeContextS), CryptoError> {
        let context = self.hpke.setup_sender(remote_key, info, None);
        context.map_err(|_| CryptoError::Hpke)
    }

    fn hpke_setup_r(
        &self,
        enc: &[u8],
        local_secret: &HpkeSecretKey,
        local_public: &HpkePublicKey,
        info: &[u8],
    ) -> Result<Self::HpkeContextR, CryptoError> {
        self.hpke
            .setup_receiver(enc, local_secret, local_public, info, None)
            .map_err(|_| CryptoError::Hpke)
    }

    fn kem_derive(&self, ikm: &[u8]) -> Result<(HpkeSecretKey, HpkePublicKey), CryptoError> {
        self.hpke.derive(ikm).map_err(|_| CryptoError::Hpke)
    }

    fn kem_generate(&self) -> Result<(HpkeSecretKey, HpkePublicKey), CryptoError> {
        X25519.generate()
    }

    fn kem_public_key_validate(&self, key: &HpkePublicKey) -> Result<(), CryptoError> {
        X25519.public_key_validate(key)
    }

    fn random_bytes(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        getrandom::fill(out).map_err(|_| CryptoError::Random)
    }

    fn signature_key_generate(
        &self,
    ) -> Result<(SignatureSecretKey, SignaturePublicKey), CryptoError> {
        let mut seed = Zeroizing::new([0; 32]);
        self.random_bytes(&mut *seed)?;
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        let public = key.verifying_key().to_bytes().to_vec().into();
        Ok((key.to_keypair_bytes().to_vec().into(), public))
    }

    fn signature_key_derive_public(
        &self,
        secret_key: &SignatureSecretKey,
    ) -> Result<SignaturePublicKey, CryptoError> {
        let key = signing_key(secret_key)?;
        Ok(key.verifying_key().to_bytes().to_vec().into())
    }

    fn sign(&self, secret_key: &SignatureSecretKey, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        use ed25519_dalek::Signer as _;
        Ok(signing_key(secret_key)?.sign(data).to_bytes().to_vec())
    }

    fn verify(
        &self,
        public_key: &SignaturePublicKey,
        signature: &[u8],
        data: &[u8],
    ) -> Result<(), CryptoError> {
        let key = array(public_key).ok_or(CryptoError::Key)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&key).map_err(|_| CryptoError::Key)?;
        let signature = array(signature).ok_or(CryptoError::Signature)?;
        key.verify_strict(data, &ed25519_dalek::Signature::from_bytes(&signature))
            .map_err(|_| CryptoError::Signature)
    }
}

/// Seed and public key, which must belong together.
fn signing_key(secret_key: &SignatureSecretKey) -> Result<ed25519_dalek::SigningKey, CryptoError> {
    let keypair = Zeroizing::new(array(secret_key).ok_or(CryptoError::Key)?);
    ed25519_dalek::SigningKey::from_keypair_bytes(&keypair).map_err(|_| CryptoError::Key)
}

fn array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

// --- The parts that HPKE is made of -------------------------------------------------------------

#[derive(Debug, Clone, Copy)]
pub(super) struct X25519;

impl DhType for X25519 {
    type Error = CryptoError;

    fn dh(
        &self,
        secret_key: &HpkeSecretKey,
        public_key: &HpkePublicKey,
    ) -> Result<Vec<u8>, CryptoError> {
        let shared = secret(secret_key)?.diffie_hellman(&public(public_key)?);
        if !shared.was_contributory() {
            return Err(CryptoError::Key);
        }
        Ok(shared.as_bytes().to_vec())
    }

    fn generate(&self) -> Result<(HpkeSecretKey, HpkePublicKey), CryptoError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(|_| CryptoError::Random)?;
        let secret = HpkeSecretKey::from(bytes.to_vec());
        let public = self.to_public(&secret)?;
        Ok((secret, public))
    }

    fn to_public(&self, secret_key: &HpkeSecretKey) -> Result<HpkePublicKey, CryptoError> {
        let public = PublicKey::from(&secret(secret_key)?);
        Ok(public.as_bytes().to_vec().into())
    }

    fn bitmask_for_rejection_sampling(&self) -> SamplingMethod {
        SamplingMethod::HpkeWithoutBitmask
    }

    fn secret_key_size(&self) -> usize {
        32
    }

    fn public_key_size(&self) -> usize {
        32
    }

    fn public_key_validate(&self, key: &HpkePublicKey) -> Result<(), CryptoError> {
        public(key).map(|_| ())
    }
}

fn secret(key: &HpkeSecretKey) -> Result<StaticSecret, CryptoError> {
    array(key).map(StaticSecret::from).ok_or(CryptoError::Key)
}

fn public(key: &HpkePublicKey) -> Result<PublicKey, CryptoError> {
    array::<32>(key)
        .map(PublicKey::from)
        .ok_or(CryptoError::Key)
}

#[derive(Debug, Clone, Copy)]
pub(super) struct HkdfSha256;

impl KdfType for HkdfSha256 {
    type Error = CryptoError;

    fn kdf_id(&self) -> u16 {
        KdfId::HkdfSha256 as u16
    }

    fn expand(&self, prk: &[u8], info: &[u8], len: usize) -> Result<Vec<u8>, CryptoError> {
        let mut out = vec![0; len];
        SimpleHkdf::<Sha256>::from_prk(prk)
            .map_err(|_| CryptoError::Length)?
            .expand(info, &mut out)
            .map_err(|_| CryptoError::Length)?;
        Ok(out)
    }

    fn extract(&self, salt: &[u8], ikm: &[u8]) -> Result<Vec<u8>, CryptoError> {
        if ikm.is_empty() {
            return Err(CryptoError::Length);
        }
        Ok(SimpleHkdf::<Sha256>::extract(Some(salt), ikm).0.to_vec())
    }

    fn extract_size(&self) -> usize {
        HASH_BYTES
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct AesGcm;

impl AeadType for AesGcm {
    type Error = CryptoError;

    fn aead_id(&self) -> u16 {
        AeadId::Aes128Gcm as u16
    }

    fn seal(
        &self,
        key: &[u8],
        data: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let mut sealed = Vec::with_capacity(data.len() + TAG_BYTES);
        sealed.extend_from_slice(data);
        let tag = cipher(key)?.seal(&self::nonce(nonce)?, aad.unwrap_or_default(), &mut sealed);
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    fn open(
        &self,
        key: &[u8],
        ciphertext: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let (data, tag) = ciphertext
            .split_last_chunk::<TAG_BYTES>()
            // Nothing that is sealed here is empty.
            .filter(|(data, _)| !data.is_empty())
            .ok_or(CryptoError::Length)?;
        let mut opened = data.to_vec();
        cipher(key)?
            .open(
                &self::nonce(nonce)?,
                aad.unwrap_or_default(),
                &mut opened,
                tag,
            )
            .map_err(|_| CryptoError::Aead)?;
        Ok(opened)
    }

    fn key_size(&self) -> usize {
        KEY_BYTES
    }

    fn nonce_size(&self) -> usize {
        NONCE_BYTES
    }
}

fn cipher(key: &[u8]) -> Result<Aes128Gcm, CryptoError> {
    let key = array::<KEY_BYTES>(key).ok_or(CryptoError::Length)?;
    Ok(Aes128Gcm::new(&Zeroizing::new(key)))
}

fn nonce(nonce: &[u8]) -> Result<[u8; NONCE_BYTES], CryptoError> {
    array(nonce).ok_or(CryptoError::Length)
}
