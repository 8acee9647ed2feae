//! The keys of one sender in one epoch, and what they do to a frame.
//!
//! ```text
//!  before   | clear bytes | payload                               |
//!  after    | clear bytes | SFrame header | payload, encrypted | tag |
//! ```
//! The clear bytes are the metadata of RFC 9605, section 4.4: additional authenticated data, as is
//! the header.

use std::fmt;

use ::sframe::{
    crypto::{DecryptionBufferView, EncryptionBufferView},
    frame::validation::{
        FrameValidation, ReplayAttackProtection, ReplayAttackProtectionError, ReplayToken,
        Tolerance, UnvalidatedFrame,
    },
    header::SframeHeader,
    key::{GenericDecryptionKey, GenericEncryptionKey},
};
use thiserror::Error;

use super::{
    BASE_KEY_BYTES, FrameBuffer, Kid, SUITE, TAG_BYTES,
    aead::{AesGcm, HkdfSha256},
};

/// How far behind the newest authentic frame of a key another one may come.
pub const REPLAY_WINDOW_FRAMES: usize = 4096;

/// The most metadata that a frame may carry: codecs leave far less in the clear.
const MAX_CLEAR_BYTES: usize = 32;
/// Config byte, KID and CTR of eight bytes each.
const MAX_HEADER_BYTES: usize = 17;

/// The key under which a leaf sends in an epoch, and its counter.
///
/// There is one counter per key over all tracks and layers. It lives and dies with the key: nothing
/// stores or sets it, so no nonce occurs twice.
pub struct EncryptionKey {
    key: GenericEncryptionKey<AesGcm, HkdfSha256>,
    next_counter: Option<u64>,
}

impl EncryptionKey {
    /// Derives the sender's key and salt (RFC 9605, section 4.4.2).
    pub fn derive(base_key: &[u8; BASE_KEY_BYTES], kid: Kid) -> Self {
        let key = GenericEncryptionKey::derive_from(SUITE, kid.value(), base_key)
            .expect("HKDF-SHA256 expands to 16 bytes");
        Self {
            key,
            next_counter: Some(0),
        }
    }

    /// Encrypts the frame in place. Its first `clear_len` bytes stay readable.
    ///
    /// # Panics
    /// If `clear_len` exceeds the frame, or 32.
    pub fn encrypt(
        &mut self,
        clear_len: usize,
        buffer: &mut FrameBuffer,
    ) -> Result<(), CounterExhausted> {
        let counter = self.next_counter.ok_or(CounterExhausted)?;
        self.next_counter = counter.checked_add(1);

        let header = SframeHeader::new(self.key.key_id(), counter);
        let mut aad = Aad::new(&header, &buffer.bytes()[..clear_len]);
        buffer.insert(clear_len, aad.header());
        buffer.append(&[0; TAG_BYTES]);
        let sealed = &mut buffer.bytes_mut()[clear_len + header.len()..];
        let (data, tag) = sealed.split_at_mut(sealed.len() - TAG_BYTES);
        let view = EncryptionBufferView {
            aad: aad.bytes_mut(),
            data,
            tag,
        };
        self.key
            .encrypt(view, counter)
            .expect("a frame in memory is within AES-GCM's limits");
        Ok(())
    }

    /// Goes on from a counter that a test vector prescribes.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, counter: u64) {
        self.next_counter = Some(counter);
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "EncryptionKey({:#x}, next ctr {:?})",
            self.key.key_id(),
            self.next_counter
        )
    }
}

/// A key has encrypted 2^64 frames and will encrypt no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this key's counter is used up")]
pub struct CounterExhausted;

/// What a protected frame says about itself, unauthenticated.
#[derive(Clone, Copy, Debug)]
pub struct FrameHead {
    header: SframeHeader,
    clear_len: usize,
}

impl FrameHead {
    /// Reads the SFrame header behind the `clear_len` clear bytes; `None` if the frame is too short
    /// for a header and a tag.
    pub fn parse(frame: &[u8], clear_len: usize) -> Option<Self> {
        let sframe = frame.get(clear_len..)?;
        let header = SframeHeader::deserialize(sframe).ok()?;
        (clear_len <= MAX_CLEAR_BYTES && sframe.len() >= header.len() + TAG_BYTES)
            .then_some(Self { header, clear_len })
    }

    /// The key id, if it is one of ours.
    pub fn kid(&self) -> Option<Kid> {
        Kid::from_header(self.header.key_id())
    }

    /// How many bytes before the header are in the clear.
    pub fn clear_len(&self) -> usize {
        self.clear_len
    }
}

/// The key that opens one leaf's frames of one epoch, and which of them were accepted already.
pub struct DecryptionKey {
    key: GenericDecryptionKey<AesGcm, HkdfSha256>,
    accepted: ReplayAttackProtection,
}

impl DecryptionKey {
    /// Derives the sender's key and salt (RFC 9605, section 4.4.2).
    pub fn derive(base_key: &[u8; BASE_KEY_BYTES], kid: Kid) -> Self {
        let key = GenericDecryptionKey::derive_from(SUITE, kid.value(), base_key)
            .expect("HKDF-SHA256 expands to 16 bytes");
        let tolerance = Tolerance::new(REPLAY_WINDOW_FRAMES);
        Self {
            key,
            accepted: ReplayAttackProtection::new(kid.value(), tolerance),
        }
    }

    /// Decrypts the frame in place if it is authentic and was not accepted before; otherwise the
    /// frame stays as it was. Changes nothing in the key: that is what [`accept`](Self::accept) is
    /// for, once the plaintext turned out acceptable too.
    ///
    /// `head` must have been parsed from this very frame.
    pub fn open(
        &self,
        head: &FrameHead,
        buffer: &mut FrameBuffer,
    ) -> Result<AuthenticFrame, OpenError> {
        let FrameHead { header, clear_len } = head;
        let frame = buffer.bytes();
        let unvalidated = UnvalidatedFrame::new(header, &frame[..*clear_len]);
        let token = self.accepted.screen(unvalidated).map_err(OpenError::from)?;

        // The header as it came, not as we would encode it: that is what was authenticated.
        let sent_header = &frame[*clear_len..clear_len + header.len()];
        let mut aad = Aad::from_parts(sent_header, &frame[..*clear_len]);
        let data = &mut buffer.bytes_mut()[clear_len + header.len()..];
        let view = DecryptionBufferView {
            aad: aad.bytes_mut(),
            data,
        };
        self.key
            .decrypt(view, header.counter())
            .map_err(|_| OpenError::NotAuthentic)?;
        buffer.remove(*clear_len, header.len());
        buffer.cut_tail(TAG_BYTES);
        Ok(AuthenticFrame(token))
    }

    /// Remembers a decrypted frame, so that a copy counts as a duplicate.
    pub fn accept(&mut self, frame: AuthenticFrame) {
        self.accepted.record(frame.0);
    }
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecryptionKey({:#x})", self.key.key_id())
    }
}

/// Evidence that a frame was authentic, from [`DecryptionKey::open`].
#[must_use = "a frame that is handed on must be accepted, or its copies are handed on too"]
pub struct AuthenticFrame(ReplayToken);

/// Why a frame was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// A frame with this counter was accepted before.
    #[error("a frame with this counter was accepted before")]
    Duplicate,
    /// The counter is more than the replay window behind.
    #[error("the frame is more than {REPLAY_WINDOW_FRAMES} frames behind")]
    TooOld,
    /// Altered, truncated or forged, or the key is another one than the sender's.
    #[error("the frame is not authentic")]
    NotAuthentic,
}

impl From<ReplayAttackProtectionError> for OpenError {
    fn from(error: ReplayAttackProtectionError) -> Self {
        match error {
            ReplayAttackProtectionError::DuplicatedFrame { .. } => Self::Duplicate,
            ReplayAttackProtectionError::CounterTooOld { .. } => Self::TooOld,
            ReplayAttackProtectionError::KeyIdMismatch { .. } => Self::NotAuthentic,
        }
    }
}

/// The additional authenticated data of RFC 9605, section 4.4.3: header, then metadata.
struct Aad {
    bytes: [u8; MAX_HEADER_BYTES + MAX_CLEAR_BYTES],
    header_len: usize,
    len: usize,
}

impl Aad {
    fn new(header: &SframeHeader, clear: &[u8]) -> Self {
        let mut encoded = [0; MAX_HEADER_BYTES];
        header
            .serialize(&mut encoded[..])
            .expect("17 bytes hold any header");
        Self::from_parts(&encoded[..header.len()], clear)
    }

    fn from_parts(header: &[u8], clear: &[u8]) -> Self {
        let mut bytes = [0; MAX_HEADER_BYTES + MAX_CLEAR_BYTES];
        let len = header.len() + clear.len();
        bytes[..header.len()].copy_from_slice(header);
        bytes[header.len()..len].copy_from_slice(clear);
        Self {
            bytes,
            header_len: header.len(),
            len,
        }
    }

    fn header(&self) -> &[u8] {
        &self.bytes[..self.header_len]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}
