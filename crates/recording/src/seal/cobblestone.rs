//! C2SP chunked encryption, instance Cobblestone-256: HKDF-Expand-SHA-512 and AES-256-GCM.
//!
//! Specification: <https://c2sp.org/chunked-encryption>. A sealed message is
//!
//! ```text
//! salt (24) || commitment (32) || chunk 0 || chunk 1 || ... || last chunk
//! ```
//!
//! where every chunk but the last holds 16,384 bytes of plaintext and 16 bytes of tag, and the last is always
//! shorter (possibly empty). The short last chunk is the end mark, so truncation at a chunk boundary shows. The
//! commitment binds the message to one key and one context: AES-GCM alone does not.
//!
//! Inputs: a uniformly random 32-byte key, a context of any length, and for sealing a salt that never repeats
//! for that key. Outputs: sealed bytes, or verified plaintext. Invariant: [`Opener`] hands out whole verified
//! chunks and nothing else, and after its first error it hands out nothing more.

use hkdf::hmac::{Hmac, Mac};
pub use sealed_visit_aes::TAG_BYTES;
use sealed_visit_aes::{Aes256Gcm, NONCE_BYTES};
use sha2::Sha512;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of the input key.
pub const KEY_BYTES: usize = 32;
/// Bytes of the salt at the head of a sealed message.
pub const SALT_BYTES: usize = 24;
/// Bytes of the key commitment after the salt.
pub const COMMITMENT_BYTES: usize = 32;
/// Bytes before the first chunk.
pub const HEADER_BYTES: usize = SALT_BYTES + COMMITMENT_BYTES;
/// Bytes of plaintext in every chunk but the last.
pub const CHUNK_BYTES: usize = 16 * 1024;

const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;
/// A message has at most 2^38 chunks (4 PiB).
const MAX_CHUNKS: u64 = 1 << 38;
const INFO_PREFIX: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00";

/// Why a message could not be sealed or opened. Says where, never what.
#[non_exhaustive]
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CobblestoneError {
    /// The sealed bytes end before the first chunk.
    #[error(
        "sealed message ends inside its header: {have_bytes} bytes, a message has at least {min_bytes}"
    )]
    HeaderTooShort {
        /// Length given.
        have_bytes: u64,
        /// Length of the shortest message.
        min_bytes: u64,
    },
    /// The commitment does not match: another key or context, or an altered header.
    #[error("key commitment does not match: wrong key, wrong context, or altered header")]
    WrongKeyOrContext,
    /// A chunk failed authentication: altered, reordered, or from another message.
    #[error("chunk {chunk} failed authentication")]
    ChunkNotAuthentic {
        /// Counted from 0.
        chunk: u64,
    },
    /// The short last chunk is missing or is shorter than its tag.
    #[error("sealed message is truncated after {verified_chunks} verified chunks")]
    Truncated {
        /// How many chunks are good.
        verified_chunks: u64,
    },
    /// More than 2^38 chunks.
    #[error("message is longer than 2^38 chunks")]
    TooLong,
    /// An opener was used again after it had failed.
    #[error("this opener has failed before and opens nothing more")]
    Poisoned,
}

/// Seals `plaintext` as one complete message.
///
/// `salt` must never repeat for this `key`; draw it from a CSPRNG. `context` is bound, not stored: opening needs
/// the same bytes. The result has [`sealed_len`] bytes.
pub fn seal(
    key: &[u8; KEY_BYTES],
    context: &[u8],
    salt: &[u8; SALT_BYTES],
    plaintext: &[u8],
) -> Result<Vec<u8>, CobblestoneError> {
    let mut sealed = Vec::with_capacity(sealed_len(plaintext.len() as u64) as usize);
    seal_onto(&mut sealed, key, context, salt, plaintext)?;
    Ok(sealed)
}

/// Like [`seal`], appending to `sealed`.
pub fn seal_onto(
    sealed: &mut Vec<u8>,
    key: &[u8; KEY_BYTES],
    context: &[u8],
    salt: &[u8; SALT_BYTES],
    plaintext: &[u8],
) -> Result<(), CobblestoneError> {
    let last_chunk = (plaintext.len() / CHUNK_BYTES) as u64;
    if last_chunk >= MAX_CHUNKS {
        return Err(CobblestoneError::TooLong);
    }
    let derived = Derived::new(key, context, salt);
    let cipher = derived.cipher();

    sealed.extend_from_slice(salt);
    sealed.extend_from_slice(&derived.commitment);
    // `chunks` yields no empty tail, so the (possibly empty) last chunk is taken explicitly.
    for chunk in 0..=last_chunk {
        let start = chunk as usize * CHUNK_BYTES;
        let end = plaintext.len().min(start + CHUNK_BYTES);
        let at = sealed.len();
        sealed.extend_from_slice(&plaintext[start..end]);
        let tag = cipher.seal(&derived.nonce(chunk), &[], &mut sealed[at..]);
        sealed.extend_from_slice(&tag);
    }
    Ok(())
}

/// Opens one complete message. Returns nothing unless all of it is authentic and complete.
pub fn open(
    key: &[u8; KEY_BYTES],
    context: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, CobblestoneError> {
    let mut opener = Opener::new(key, context);
    let mut plaintext = Vec::with_capacity(sealed.len().saturating_sub(HEADER_BYTES + TAG_BYTES));
    let result = opener
        .push(sealed, &mut plaintext)
        .and_then(|()| opener.finish(&mut plaintext));
    match result {
        Ok(()) => Ok(plaintext),
        Err(error) => {
            plaintext.zeroize();
            Err(error)
        }
    }
}

/// The length of the sealed form of `plaintext_bytes` bytes.
pub const fn sealed_len(plaintext_bytes: u64) -> u64 {
    let chunks = plaintext_bytes / CHUNK_BYTES as u64 + 1;
    HEADER_BYTES as u64 + plaintext_bytes + chunks * TAG_BYTES as u64
}

/// The length of what a sealed message of `sealed_bytes` opens to; `None` when no message has that length.
pub const fn opened_len(sealed_bytes: u64) -> Option<u64> {
    let Some(body) = sealed_bytes.checked_sub(HEADER_BYTES as u64) else {
        return None;
    };
    let full = body / SEALED_CHUNK_BYTES as u64;
    match (body % SEALED_CHUNK_BYTES as u64).checked_sub(TAG_BYTES as u64) {
        Some(last) => Some(full * CHUNK_BYTES as u64 + last),
        None => None,
    }
}

/// Opens one message as its bytes arrive.
///
/// [`push`](Opener::push) appends verified chunks to the caller's buffer and holds back the rest, at most one
/// chunk. The message is known to be complete only once [`finish`](Opener::finish) returned `Ok`. Whatever was
/// handed out before an error is authentic: a prefix of what was sealed.
pub struct Opener {
    state: State,
    pending: Vec<u8>,
}

enum State {
    Header {
        key: Zeroizing<[u8; KEY_BYTES]>,
        context: Vec<u8>,
    },
    Chunks {
        derived: Derived,
        cipher: Box<Aes256Gcm>,
        next_chunk: u64,
    },
    Poisoned,
}

impl Opener {
    /// An opener for one message under `key` and `context`.
    pub fn new(key: &[u8; KEY_BYTES], context: &[u8]) -> Self {
        Self {
            state: State::Header {
                key: Zeroizing::new(*key),
                context: context.to_vec(),
            },
            pending: Vec::new(),
        }
    }

    /// Takes the next sealed bytes, in pieces of any size, and appends what they verify to `out`.
    pub fn push(&mut self, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), CobblestoneError> {
        let result = self.push_inner(sealed, out);
        if result.is_err() {
            self.state = State::Poisoned;
        }
        result
    }

    /// Verifies the last chunk and with it that the message is whole; appends its plaintext to `out`.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), CobblestoneError> {
        let pending = std::mem::take(&mut self.pending);
        match &mut self.state {
            State::Poisoned => Err(CobblestoneError::Poisoned),
            State::Header { .. } => Err(CobblestoneError::HeaderTooShort {
                have_bytes: pending.len() as u64,
                min_bytes: (HEADER_BYTES + TAG_BYTES) as u64,
            }),
            State::Chunks {
                derived,
                cipher,
                next_chunk,
            } => {
                // `push` opened every full chunk, so what is left is shorter than one.
                if pending.len() < TAG_BYTES {
                    return Err(CobblestoneError::Truncated {
                        verified_chunks: *next_chunk,
                    });
                }
                open_chunk(derived, cipher, *next_chunk, &pending, out)
            }
        }
    }

    fn push_inner(&mut self, mut sealed: &[u8], out: &mut Vec<u8>) -> Result<(), CobblestoneError> {
        if let State::Header { key, context } = &self.state {
            take_up_to(&mut self.pending, &mut sealed, HEADER_BYTES);
            let Some((salt, commitment)) = self.pending.split_first_chunk::<SALT_BYTES>() else {
                return Ok(());
            };
            if commitment.len() < COMMITMENT_BYTES {
                return Ok(());
            }
            let derived = Derived::new(key, context, salt);
            derived.check(commitment)?;
            let cipher = Box::new(derived.cipher());
            self.pending.clear();
            self.state = State::Chunks {
                derived,
                cipher,
                next_chunk: 0,
            };
        }
        let State::Chunks {
            derived,
            cipher,
            next_chunk,
        } = &mut self.state
        else {
            return Err(CobblestoneError::Poisoned);
        };
        loop {
            // Whole chunks are opened straight from the input; only a torn one is copied.
            if self.pending.is_empty() && sealed.len() >= SEALED_CHUNK_BYTES {
                let (chunk, rest) = sealed.split_at(SEALED_CHUNK_BYTES);
                open_chunk(derived, cipher, *next_chunk, chunk, out)?;
                sealed = rest;
            } else {
                take_up_to(&mut self.pending, &mut sealed, SEALED_CHUNK_BYTES);
                if self.pending.len() < SEALED_CHUNK_BYTES {
                    return Ok(());
                }
                open_chunk(derived, cipher, *next_chunk, &self.pending, out)?;
                self.pending.clear();
            }
            *next_chunk += 1;
        }
    }
}

/// Moves bytes from `input` until `pending` has `target` bytes or the input is used up.
fn take_up_to(pending: &mut Vec<u8>, input: &mut &[u8], target: usize) {
    let take = input.len().min(target - pending.len());
    pending.extend_from_slice(&input[..take]);
    *input = &input[take..];
}

/// Verifies one sealed chunk (tag at its end) and appends its plaintext; leaves `out` as it was on failure.
fn open_chunk(
    derived: &Derived,
    cipher: &Aes256Gcm,
    chunk: u64,
    sealed: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CobblestoneError> {
    if chunk >= MAX_CHUNKS {
        return Err(CobblestoneError::TooLong);
    }
    let not_authentic = CobblestoneError::ChunkNotAuthentic { chunk };
    let Some((body, tag)) = sealed.split_last_chunk::<TAG_BYTES>() else {
        return Err(not_authentic);
    };
    let at = out.len();
    out.extend_from_slice(body);
    let opened = cipher.open(&derived.nonce(chunk), &[], &mut out[at..], tag);
    if opened.is_err() {
        out[at..].zeroize();
        out.truncate(at);
        return Err(not_authentic);
    }
    Ok(())
}

/// What HKDF-Expand yields for one message: `key || base nonce || commitment`.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Derived {
    key: [u8; KEY_BYTES],
    base_nonce: [u8; NONCE_BYTES],
    commitment: [u8; COMMITMENT_BYTES],
}

impl Derived {
    fn new(key: &[u8; KEY_BYTES], context: &[u8], salt: &[u8; SALT_BYTES]) -> Self {
        let okm = hkdf_expand_76(key, &[INFO_PREFIX, salt, context]);
        let mut derived = Self {
            key: [0; KEY_BYTES],
            base_nonce: [0; NONCE_BYTES],
            commitment: [0; COMMITMENT_BYTES],
        };
        let (key, rest) = okm.split_at(KEY_BYTES);
        let (base_nonce, commitment) = rest.split_at(NONCE_BYTES);
        derived.key.copy_from_slice(key);
        derived.base_nonce.copy_from_slice(base_nonce);
        derived.commitment.copy_from_slice(commitment);
        derived
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&self.key)
    }

    /// The base nonce XOR the chunk number as a big-endian integer of the nonce's width.
    fn nonce(&self, chunk: u64) -> [u8; NONCE_BYTES] {
        let mut nonce = self.base_nonce;
        for (byte, count) in nonce[NONCE_BYTES - 8..].iter_mut().zip(chunk.to_be_bytes()) {
            *byte ^= count;
        }
        nonce
    }

    /// Constant-time, although a commitment is public: the comparison must not become an oracle by habit.
    fn check(&self, commitment: &[u8]) -> Result<(), CobblestoneError> {
        let difference = self
            .commitment
            .iter()
            .zip(commitment)
            .fold(0, |acc, (a, b)| acc | (a ^ b));
        if difference == 0 && commitment.len() == COMMITMENT_BYTES {
            Ok(())
        } else {
            Err(CobblestoneError::WrongKeyOrContext)
        }
    }
}

const OKM_BYTES: usize = KEY_BYTES + NONCE_BYTES + COMMITMENT_BYTES;

/// HKDF-Expand-SHA-512 (RFC 5869, section 2.3) to 76 bytes, so of two blocks.
///
/// Written out because the `hkdf` crate refuses a pseudorandom key shorter than the hash (64 bytes here), while
/// the specification uses the 32-byte input key as it is.
fn hkdf_expand_76(prk: &[u8; KEY_BYTES], info: &[&[u8]]) -> Zeroizing<[u8; OKM_BYTES]> {
    const HASH_BYTES: usize = 64;
    let block = |previous: &[u8], counter: u8| {
        let mut mac = <Hmac<Sha512> as hkdf::hmac::KeyInit>::new_from_slice(prk)
            .expect("HMAC takes keys of any length");
        mac.update(previous);
        for part in info {
            mac.update(part);
        }
        mac.update(&[counter]);
        mac.finalize().into_bytes()
    };
    let mut first = block(&[], 1);
    let mut second = block(&first, 2);
    let mut okm = Zeroizing::new([0; OKM_BYTES]);
    okm[..HASH_BYTES].copy_from_slice(&first);
    okm[HASH_BYTES..].copy_from_slice(&second[..OKM_BYTES - HASH_BYTES]);
    first.zeroize();
    second.zeroize();
    okm
}
