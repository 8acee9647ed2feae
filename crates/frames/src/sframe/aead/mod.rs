//! AES-128-GCM and HKDF-SHA256 behind the `sframe` crate's traits, with everything that depends on
//! the key alone computed once per key: [FIPS 197], [SP 800-38D], [RFC 5869].
//!
//! [FIPS 197]: https://doi.org/10.6028/NIST.FIPS.197-upd1
//! [SP 800-38D]: https://doi.org/10.6028/NIST.SP.800-38D
//! [RFC 5869]: https://www.rfc-editor.org/rfc/rfc5869.html

#[cfg(test)]
mod tests;

use ::sframe::{
    CipherSuite,
    crypto::{
        AeadDecrypt, AeadEncrypt, DecryptionBufferView, EncryptionBufferView, KeyDerivation,
        get_hkdf_key_expand_label, get_hkdf_salt_expand_label,
    },
    error::{Result, SframeError},
    header::{Counter, KeyId},
};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use sealed_visit_aes::{Aes128Gcm, NONCE_BYTES, NotAuthentic, TAG_BYTES};

/// Length of an AES-128 key.
const KEY_BYTES: usize = 16;

/// Key derivation of RFC 9605, section 4.4.2.
pub enum HkdfSha256 {}

impl KeyDerivation for HkdfSha256 {
    type Secret = FrameSecret;

    fn expand_from<M, K>(suite: CipherSuite, base_key: M, kid: K) -> Result<FrameSecret>
    where
        M: AsRef<[u8]>,
        K: Into<KeyId>,
    {
        let kid = kid.into();
        let sframe_secret = Hkdf::<Sha256>::new(None, base_key.as_ref());
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let mut salt = [0; NONCE_BYTES];
        for (label, out) in [
            (get_hkdf_key_expand_label(kid, suite), &mut key[..]),
            (get_hkdf_salt_expand_label(kid, suite), &mut salt[..]),
        ] {
            sframe_secret
                .expand(&label, out)
                .map_err(|_| SframeError::KeyDerivationFailure)?;
        }
        Ok(FrameSecret {
            cipher: Aes128Gcm::new(&key),
            salt,
        })
    }
}

/// A sender's expanded key and its salt. Wiped when dropped.
pub struct FrameSecret {
    cipher: Aes128Gcm,
    salt: [u8; NONCE_BYTES],
}

impl FrameSecret {
    /// `sframe_salt XOR CTR` (RFC 9605, section 4.4.3).
    fn nonce(&self, counter: Counter) -> [u8; NONCE_BYTES] {
        let mut nonce = self.salt;
        let low = &mut nonce[NONCE_BYTES - size_of::<Counter>()..];
        low.iter_mut()
            .zip(counter.to_be_bytes())
            .for_each(|(byte, ctr)| *byte ^= ctr);
        nonce
    }
}

impl Drop for FrameSecret {
    fn drop(&mut self) {
        fn wipes_itself<T: ZeroizeOnDrop>(_: &T) {}
        wipes_itself(&self.cipher);
        self.salt.zeroize();
    }
}

/// AES-128-GCM, as `sframe` calls it.
#[derive(Clone, Copy, Debug)]
pub struct AesGcm;

impl TryFrom<CipherSuite> for AesGcm {
    type Error = SframeError;

    fn try_from(suite: CipherSuite) -> Result<Self> {
        match suite {
            CipherSuite::AesGcm128Sha256 => Ok(Self),
            _ => Err(SframeError::UnsupportedCipherSuite),
        }
    }
}

impl AeadEncrypt for AesGcm {
    type Secret = FrameSecret;

    fn encrypt<'a, B>(&self, secret: &FrameSecret, buffer: B, counter: Counter) -> Result<()>
    where
        B: Into<EncryptionBufferView<'a>>,
    {
        let EncryptionBufferView { aad, data, tag } = buffer.into();
        let computed = secret.cipher.seal(&secret.nonce(counter), aad, data);
        tag.copy_from_slice(&computed);
        Ok(())
    }
}

impl AeadDecrypt for AesGcm {
    type Secret = FrameSecret;

    fn decrypt<'a, B>(&self, secret: &FrameSecret, buffer: B, counter: Counter) -> Result<()>
    where
        B: Into<DecryptionBufferView<'a>>,
    {
        let DecryptionBufferView { aad, data } = buffer.into();
        let (data, tag) = data
            .split_last_chunk_mut::<TAG_BYTES>()
            .ok_or(SframeError::DecryptionFailure)?;
        secret
            .cipher
            .open(&secret.nonce(counter), aad, data, tag)
            .map_err(|NotAuthentic| SframeError::DecryptionFailure)
    }
}
