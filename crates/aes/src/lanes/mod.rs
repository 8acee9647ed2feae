//! AES-GCM on 128-bit lanes, for WebAssembly: there is no AES instruction there, and the `aes` crate knows no Wasm
//! vectors. Constant time: no branch and no address depends on a secret.

mod aes;
mod ghash;
mod sbox;
mod vector;

use zeroize::ZeroizeOnDrop;

use aes::{Aes, BATCH_BLOCKS, BATCH_BYTES, NoncePlanes, ROUND_KEYS_128, ROUND_KEYS_256};
use ghash::{Ghash, GhashKey};
use vector::V128;

use super::{NONCE_BYTES, NotAuthentic, TAG_BYTES};

/// AES-GCM with its key schedule and multiples of its hash key.
struct Gcm<const ROUND_KEYS: usize> {
    aes: Aes<ROUND_KEYS>,
    ghash_key: GhashKey,
}

macro_rules! cipher {
    ($(#[$about:meta])* $name:ident, $key_bytes:literal, $round_keys:ident) => {
        $(#[$about])*
        // Not generic: what is would be compiled where it is used, for the size of a download.
        pub struct $name(Gcm<$round_keys>);

        impl $name {
            /// Expands the key.
            pub fn new(key: &[u8; $key_bytes]) -> Self {
                Self(Gcm::new(Aes::new(key)))
            }

            /// Encrypts `data` in place and returns the tag.
            pub fn seal(
                &self,
                nonce: &[u8; NONCE_BYTES],
                aad: &[u8],
                data: &mut [u8],
            ) -> [u8; TAG_BYTES] {
                self.0.seal(nonce, aad, data)
            }

            /// Verifies, then decrypts `data` in place; data that is not authentic stays as it is.
            pub fn open(
                &self,
                nonce: &[u8; NONCE_BYTES],
                aad: &[u8],
                data: &mut [u8],
                tag: &[u8; TAG_BYTES],
            ) -> Result<(), NotAuthentic> {
                self.0.open(nonce, aad, data, tag)
            }
        }

        /// Key schedule and hash key wipe themselves.
        impl ZeroizeOnDrop for $name {}
    };
}

cipher!(
    /// AES-128-GCM.
    Aes128Gcm, 16, ROUND_KEYS_128
);
cipher!(
    /// AES-256-GCM.
    Aes256Gcm, 32, ROUND_KEYS_256
);

impl<const ROUND_KEYS: usize> Gcm<ROUND_KEYS> {
    fn new(aes: Aes<ROUND_KEYS>) -> Self {
        let ghash_key = GhashKey::new(&aes.encrypt_zero_block());
        Self { aes, ghash_key }
    }

    fn seal(&self, nonce: &[u8; NONCE_BYTES], aad: &[u8], data: &mut [u8]) -> [u8; TAG_BYTES] {
        let nonce = self.aes.nonce(nonce);
        let first = self.aes.keystream(&nonce, 0);
        self.apply_keystream(&nonce, &first, data);
        self.tag(&first, aad, data)
    }

    fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), NotAuthentic> {
        let nonce = self.aes.nonce(nonce);
        let first = self.aes.keystream(&nonce, 0);
        let expected = self.tag(&first, aad, data);
        let difference = expected
            .iter()
            .zip(tag)
            .fold(0, |all, (a, b)| all | (a ^ b));
        if std::hint::black_box(difference) != 0 {
            return Err(NotAuthentic);
        }
        self.apply_keystream(&nonce, &first, data);
        Ok(())
    }

    /// Counter 1, the first batch's first block, masks the tag; the data begins at counter 2.
    #[inline]
    fn apply_keystream(&self, nonce: &NoncePlanes, first: &[V128; BATCH_BLOCKS], data: &mut [u8]) {
        let (head, rest) = data.split_at_mut(data.len().min(BATCH_BYTES - 16));
        xor(head, &first[1..]);
        for (batch, chunk) in (1..).zip(rest.chunks_mut(BATCH_BYTES)) {
            xor(chunk, &self.aes.keystream(nonce, batch));
        }
    }

    #[inline]
    fn tag(&self, first: &[V128; BATCH_BLOCKS], aad: &[u8], data: &[u8]) -> [u8; TAG_BYTES] {
        let mut hash = Ghash::new(&self.ghash_key);
        hash.update_padded(aad);
        hash.update_padded(data);
        let mut tag = [0; TAG_BYTES];
        (hash.finish(aad.len(), data.len()) ^ first[0]).store(&mut tag);
        tag
    }
}

#[inline(always)]
fn xor(data: &mut [u8], keystream: &[V128]) {
    let (blocks, tail) = data.as_chunks_mut::<16>();
    for (block, key) in blocks.iter_mut().zip(keystream) {
        (V128::load(block) ^ *key).store(block);
    }
    if let Some(key) = keystream.get(blocks.len()) {
        let mut last = [0; 16];
        key.store(&mut last);
        tail.iter_mut()
            .zip(last)
            .for_each(|(byte, key)| *byte ^= key);
    }
}
