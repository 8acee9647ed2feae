//! A reused frame buffer, so that the frame path neither allocates nor moves payloads.
//!
//! A frame is loaded behind some headroom and before some tailroom. Protecting it writes the SFrame
//! header into the headroom (the few clear bytes move, the payload stays) and trailer and tag into
//! the tailroom; unprotecting goes the other way.

use std::ops::Range;

use zeroize::Zeroize;

/// Room before a loaded frame: the longest SFrame header (1 + 8 + 8), rounded up.
pub const HEADROOM_BYTES: usize = 32;
/// Room behind a loaded frame: the tag, and what the caller appends to the plaintext.
const TAILROOM_BYTES: usize = 64;
const FIRST_CAPACITY_BYTES: usize = 64 * 1024;

/// One frame, with room to grow at either end. Wiped when dropped, replaced or [wiped](Self::wipe).
pub struct FrameBuffer {
    storage: Vec<u8>,
    frame: Range<usize>,
}

impl FrameBuffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self {
            storage: vec![0; FIRST_CAPACITY_BYTES],
            frame: HEADROOM_BYTES..HEADROOM_BYTES,
        }
    }

    /// Makes room for a frame of `len` bytes and returns that room, whose content is unspecified
    /// until the caller fills it. The storage moves when it has to grow, and never shrinks.
    pub fn prepare(&mut self, len: usize) -> &mut [u8] {
        let needed = HEADROOM_BYTES + len + TAILROOM_BYTES;
        if needed > self.storage.len() {
            // A plain resize would leave the old content behind in freed memory.
            self.storage.zeroize();
            self.storage = vec![0; needed.next_power_of_two()];
        }
        self.frame = HEADROOM_BYTES..HEADROOM_BYTES + len;
        self.bytes_mut()
    }

    /// Loads a copy of `frame`.
    pub fn load(&mut self, frame: &[u8]) {
        self.prepare(frame.len()).copy_from_slice(frame);
    }

    /// The frame.
    pub fn bytes(&self) -> &[u8] {
        &self.storage[self.frame.clone()]
    }

    /// The frame.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.frame.clone()]
    }

    /// Overwrites everything the buffer held with zeros; no frame is left in it.
    pub fn wipe(&mut self) {
        self.storage.as_mut_slice().zeroize();
        self.frame = HEADROOM_BYTES..HEADROOM_BYTES;
    }

    /// Overwrites the present frame with zeros and forgets it: for what must not be handed on.
    pub fn discard(&mut self) {
        self.bytes_mut().zeroize();
        self.frame = HEADROOM_BYTES..HEADROOM_BYTES;
    }

    /// Appends `tail` to the frame.
    pub(crate) fn append(&mut self, tail: &[u8]) {
        let end = self.frame.end + tail.len();
        self.storage[self.frame.end..end].copy_from_slice(tail);
        self.frame.end = end;
    }

    /// Cuts the last `len` bytes off the frame.
    pub(crate) fn cut_tail(&mut self, len: usize) {
        self.frame.end = self.frame.end.saturating_sub(len).max(self.frame.start);
    }

    /// Inserts `inserted` after the first `prefix_len` bytes, moving those bytes forward.
    pub(crate) fn insert(&mut self, prefix_len: usize, inserted: &[u8]) {
        let start = self.frame.start - inserted.len();
        let prefix = self.frame.start..self.frame.start + prefix_len;
        self.storage.copy_within(prefix, start);
        let gap = start + prefix_len;
        self.storage[gap..gap + inserted.len()].copy_from_slice(inserted);
        self.frame.start = start;
    }

    /// Removes `len` bytes after the first `prefix_len` bytes, moving those bytes back.
    pub(crate) fn remove(&mut self, prefix_len: usize, len: usize) {
        let prefix = self.frame.start..self.frame.start + prefix_len;
        self.storage.copy_within(prefix, self.frame.start + len);
        self.frame.start += len;
    }
}

impl Default for FrameBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for FrameBuffer {
    fn drop(&mut self) {
        self.storage.zeroize();
    }
}
