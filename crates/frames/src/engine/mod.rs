//! The frame engine: every media frame of a page goes through here, out or in.
//!
//! In: keys per MLS epoch (from the group, which lives elsewhere), tracks, frames, and the time.
//! Out: one [`Outcome`] per frame, and counts. Invariants:
//!
//! * **A frame leaves encrypted or not at all**: there is no path by which it passes unchanged.
//! * **No state changes before a frame is authentic**, counts and the bounded queue excepted; an
//!   altered, replayed, truncated, reordered or forged frame costs itself alone.
//! * **Keys are found by key id alone**, never by trying; whose frame it is, is the key id's leaf.
//! * **No nonce repeats**: a counter lives as long as its key, and a base key is accepted once.
//!
//! ```
//! use sealed_visit_frames::{
//!     codec::Codec,
//!     engine::{FrameEngine, Outcome},
//!     sframe::{Epoch, FrameBuffer, Leaf},
//! };
//!
//! # fn main() -> Result<(), sealed_visit_frames::engine::FramesError> {
//! let (alice, bob) = (Leaf::new(0)?, Leaf::new(1)?);
//! let base_key = [7; 16]; // MLS-Exporter("SFrame 1.0 Base Key", "", 16)
//! let mut sender = FrameEngine::new();
//! sender.install_epoch(Epoch(1), &base_key, alice, &[alice, bob])?;
//! sender.send_in_epoch(Epoch(1))?;
//! let microphone = sender.open_send_track("microphone", 0, Codec::Opus)?;
//! let mut receiver = FrameEngine::new();
//! receiver.install_epoch(Epoch(1), &base_key, bob, &[alice, bob])?;
//! let incoming = receiver.open_receive_track("microphone", alice, Codec::Opus);
//!
//! let mut buffer = FrameBuffer::new();
//! buffer.load(b"an encoded frame");
//! assert!(matches!(sender.encrypt(microphone, 40_000, &mut buffer), Outcome::Forward(())));
//! // ... the buffer now holds what goes over the network ...
//! let Outcome::Forward(frame) = receiver.decrypt(incoming, 0, &mut buffer) else { panic!() };
//! assert_eq!((buffer.bytes(), frame.capture_time_us), (&b"an encoded frame"[..], 40_000));
//! # Ok(())
//! # }
//! ```

mod error;
mod keyring;
mod outcome;
mod track;
mod trailer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::{
    codec::Codec,
    sframe::{BASE_KEY_BYTES, Epoch, FrameBuffer, FrameHead, Leaf, OpenError},
};
use keyring::{Keyring, Lookup};
use track::{Direction, Tracks, WaitingFrame};
use trailer::{TRAILER_BYTES, Trailer};

pub use error::FramesError;
pub use keyring::MAX_LIVE_EPOCHS;
pub use outcome::{
    DROP_REASONS_TYPESCRIPT, Decrypted, DropCounts, DropReason, Outcome, Released, Ticket,
    TrackHandle, TrackStats,
};
pub use track::{WAIT_LIMIT_BYTES, WAIT_LIMIT_FRAMES, WAIT_LIMIT_MS};
pub use trailer::{MAX_CAPTURE_TIME_US, MAX_LAYER};

/// The longest frame that is handled; longer ones are dropped.
pub const MAX_FRAME_BYTES: usize = 8 * 1024 * 1024;

/// Encrypts and decrypts the frames of one member of one visit. See the [module](self).
#[derive(Default)]
pub struct FrameEngine {
    keyring: Keyring,
    tracks: Tracks,
    gated: bool,
}

impl FrameEngine {
    /// An engine without keys or tracks: it drops every frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// Derives the keys of `epoch` from its base key, `MLS-Exporter("SFrame 1.0 Base Key", "", 16)`.
    ///
    /// Receiving in it begins; sending stays where it is until [`send_in_epoch`](Self::send_in_epoch).
    /// `leaves` are all present leaves, the own one included. Frames that waited for this epoch are
    /// now due: call [`next_released`](Self::next_released) until it returns `None`.
    ///
    /// Returns the epochs that had to make room (a fourth live one, or one with the same low bits).
    /// If that was the sending epoch, sending stops until another is chosen.
    pub fn install_epoch(
        &mut self,
        epoch: Epoch,
        base_key: &[u8],
        own_leaf: Leaf,
        leaves: &[Leaf],
    ) -> Result<Vec<Epoch>, FramesError> {
        let base_key: &[u8; BASE_KEY_BYTES] =
            base_key
                .try_into()
                .map_err(|_| FramesError::BaseKeyLength {
                    size_bytes: base_key.len(),
                })?;
        self.keyring.install(epoch, base_key, own_leaf, leaves)
    }

    /// Sends in `epoch` from now on. It must be live and not retired.
    pub fn send_in_epoch(&mut self, epoch: Epoch) -> Result<(), FramesError> {
        self.keyring.send_in(epoch)
    }

    /// Ends sending in `epoch` at once, if it was the sending one; its keys die at
    /// `dies_at_ms`, on the clock of [`decrypt`](Self::decrypt).
    pub fn retire_epoch(&mut self, epoch: Epoch, dies_at_ms: u64) -> Result<(), FramesError> {
        self.keyring.retire(epoch, dies_at_ms)
    }

    /// Destroys at once the keys of `leaf` in every epoch before `removed_in`: the leaf was removed
    /// by the commit that began that epoch, in which its index may belong to somebody else.
    pub fn remove_leaf(&mut self, leaf: Leaf, removed_in: Epoch) {
        self.keyring.remove_leaf(leaf, removed_in);
    }

    /// Destroys all keys, as at the end of a visit or before a new group. Tracks and counts stay,
    /// epochs may start again from any number, base keys used before stay refused.
    pub fn clear(&mut self) {
        self.keyring.clear();
    }

    /// Opens or closes the gate before everything that is sent. It is open at first.
    pub fn set_sending(&mut self, open: bool) {
        self.gated = !open;
    }

    /// Opens a track to send on; `track_id` is the same at the receivers. Simulcast layers are
    /// opened one by one under the same id.
    pub fn open_send_track(
        &mut self,
        track_id: &str,
        layer: u8,
        codec: Codec,
    ) -> Result<TrackHandle, FramesError> {
        self.tracks.open_send(track_id, layer, codec)
    }

    /// Opens a track to receive on: what arrives there must come from `expected_leaf`, which
    /// announced `track_id`.
    pub fn open_receive_track(
        &mut self,
        track_id: &str,
        expected_leaf: Leaf,
        codec: Codec,
    ) -> TrackHandle {
        self.tracks.open_receive(track_id, expected_leaf, codec)
    }

    /// Changes a track's codec to the one that `mime_type` names. If that one cannot be protected,
    /// this fails and the track drops every frame until the codec changes again.
    pub fn set_track_codec(
        &mut self,
        track: TrackHandle,
        mime_type: &str,
    ) -> Result<(), FramesError> {
        self.tracks
            .set_codec(track, Codec::from_mime_type(mime_type))
    }

    /// Closes a track; frames that wait on it are gone. Returns its last counts.
    pub fn close_track(&mut self, track: TrackHandle) -> Result<TrackStats, FramesError> {
        self.tracks.close(track)
    }

    /// Encrypts the frame in `buffer` for sending on `track`. `capture_time_us` is on any clock of
    /// the sender's that its other tracks share.
    ///
    /// On `Forward` the buffer holds the protected frame; on `Drop` it is empty. Never waits.
    pub fn encrypt(
        &mut self,
        track: TrackHandle,
        capture_time_us: u64,
        buffer: &mut FrameBuffer,
    ) -> Outcome<()> {
        let outcome = match self.try_encrypt(track, capture_time_us, buffer) {
            Ok(()) => Outcome::Forward(()),
            Err(reason) => {
                buffer.discard();
                Outcome::Drop(reason)
            }
        };
        match self.tracks.get_mut(track) {
            Some(track) => track.count(outcome),
            None => outcome,
        }
    }

    fn try_encrypt(
        &mut self,
        track: TrackHandle,
        capture_time_us: u64,
        buffer: &mut FrameBuffer,
    ) -> Result<(), DropReason> {
        let track = self.tracks.get_mut(track).ok_or(DropReason::UnknownTrack)?;
        let Direction::Send { layer } = track.direction else {
            return Err(DropReason::UnknownTrack);
        };
        if self.gated {
            return Err(DropReason::Gated);
        }
        if buffer.bytes().len() > MAX_FRAME_BYTES {
            return Err(DropReason::TooLarge);
        }
        let codec = track.codec.ok_or(DropReason::UnsupportedCodec)?;
        let clear_len = codec
            .clear_len(buffer.bytes())
            .map_err(|_| DropReason::Malformed)?;
        let key = self.keyring.sending_key().ok_or(DropReason::NoKey)?;

        let trailer = Trailer {
            track: track.tag,
            layer,
            capture_time_us,
        };
        buffer.append(&trailer.encode());
        key.encrypt(clear_len, buffer)
            .map_err(|_| DropReason::CounterExhausted)?;
        self.keyring.count_encrypted();
        Ok(())
    }

    /// Decrypts the frame in `buffer`, which arrived on `track`.
    ///
    /// On `Forward` the buffer holds the frame as its sender's encoder made it; otherwise it is
    /// empty. While frames that waited are due, later ones of the track wait behind them.
    pub fn decrypt(
        &mut self,
        track: TrackHandle,
        now_ms: u64,
        buffer: &mut FrameBuffer,
    ) -> Outcome<Decrypted> {
        self.keyring.expire(now_ms);
        let outcome = match self.try_decrypt(track, buffer) {
            Err(Refusal::Drop(reason)) => Outcome::Drop(reason),
            Err(Refusal::KeyIsComing(head)) => self.wait(track, head, now_ms, buffer),
            Ok(frame) => Outcome::Forward(frame),
        };
        self.settle(track, outcome, buffer)
    }

    /// The next frame whose waiting is over, loaded into `buffer` and decrypted, or dropped; `None`
    /// when none is due. Call it until then after every [`install_epoch`](Self::install_epoch), and
    /// from time to time so that frames whose key does not come are given up.
    pub fn next_released(&mut self, now_ms: u64, buffer: &mut FrameBuffer) -> Option<Released> {
        self.keyring.expire(now_ms);
        for handle in self.tracks.handles() {
            let Some(track) = self.tracks.get_mut(handle) else {
                continue;
            };
            let Some(first) = track.first_waiting() else {
                continue;
            };
            let key_may_come = matches!(self.keyring.look_up(first.kid), Lookup::Next);
            let too_long = first.waited_too_long(now_ms);
            if key_may_come && !too_long {
                continue;
            }
            let Some(frame) = track.take_first_waiting() else {
                continue;
            };
            let outcome = if key_may_come {
                Outcome::Drop(DropReason::WaitedTooLong)
            } else {
                buffer.load(frame.bytes());
                match self.open(handle, buffer) {
                    Ok(frame) => Outcome::Forward(frame),
                    Err(Refusal::Drop(reason)) => Outcome::Drop(reason),
                    Err(Refusal::KeyIsComing(_)) => Outcome::Drop(DropReason::WaitedTooLong),
                }
            };
            let outcome = self.settle(handle, outcome, buffer);
            return Some(Released {
                track: handle,
                ticket: frame.ticket,
                outcome,
            });
        }
        None
    }

    /// Counts a frame that the caller could not even load, as too large or not there, as dropped.
    pub fn refuse(&mut self, track: TrackHandle, reason: DropReason) -> DropReason {
        if let Some(track) = self.tracks.get_mut(track) {
            track.stats.dropped.count(reason);
        }
        reason
    }

    /// A track's counts so far.
    pub fn track_stats(&self, track: TrackHandle) -> Result<&TrackStats, FramesError> {
        Ok(&self.tracks.track(track)?.stats)
    }

    /// Frames encrypted so far, by epoch, past epochs included. After [`clear`](Self::clear) epochs
    /// of the same number add up.
    pub fn encrypted_per_epoch(&self) -> &BTreeMap<Epoch, u64> {
        self.keyring.encrypted_per_epoch()
    }

    /// The epoch that frames are sent in.
    pub fn sending_epoch(&self) -> Option<Epoch> {
        self.keyring.sending_epoch()
    }

    /// The epochs whose keys are live, oldest first.
    pub fn live_epochs(&self) -> impl Iterator<Item = Epoch> {
        self.keyring.live_epochs()
    }

    fn try_decrypt(
        &mut self,
        handle: TrackHandle,
        buffer: &mut FrameBuffer,
    ) -> Result<Decrypted, Refusal> {
        let track = self
            .tracks
            .get_mut(handle)
            .ok_or(DropReason::UnknownTrack)?;
        if let Some(first) = track.first_waiting()
            && !matches!(self.keyring.look_up(first.kid), Lookup::Next)
        {
            let head = track.parse_head(buffer.bytes())?;
            return Err(Refusal::KeyIsComing(head));
        }
        self.open(handle, buffer)
    }

    /// The one place where a frame is opened.
    fn open(
        &mut self,
        handle: TrackHandle,
        buffer: &mut FrameBuffer,
    ) -> Result<Decrypted, Refusal> {
        let track = self
            .tracks
            .get_mut(handle)
            .ok_or(DropReason::UnknownTrack)?;
        let Direction::Receive { expected_leaf, .. } = track.direction else {
            return Err(DropReason::UnknownTrack.into());
        };
        if buffer.bytes().len() > MAX_FRAME_BYTES {
            return Err(DropReason::TooLarge.into());
        }
        let head = track.parse_head(buffer.bytes())?;
        let kid = head.kid().ok_or(DropReason::NoKey)?;
        let key = match self.keyring.look_up(kid) {
            Lookup::Key(key) => key,
            Lookup::Own => return Err(DropReason::Reflected.into()),
            Lookup::Next if kid.leaf() == expected_leaf => return Err(Refusal::KeyIsComing(head)),
            Lookup::Next | Lookup::Unknown => return Err(DropReason::NoKey.into()),
        };

        let authentic = key.open(&head, buffer).map_err(|error| match error {
            OpenError::Duplicate => DropReason::Duplicate,
            OpenError::TooOld => DropReason::TooOld,
            OpenError::NotAuthentic => DropReason::NotAuthentic,
        })?;
        if kid.leaf() != expected_leaf {
            track.stats.last_wrong_sender = Some(kid.leaf());
            return Err(DropReason::WrongSender.into());
        }
        let plaintext = &buffer.bytes()[head.clear_len()..];
        let trailer = Trailer::decode(plaintext).ok_or(DropReason::UnknownTrailer)?;
        if trailer.track != track.tag {
            return Err(DropReason::WrongTrack.into());
        }
        key.accept(authentic);
        buffer.cut_tail(TRAILER_BYTES);
        Ok(Decrypted {
            capture_time_us: trailer.capture_time_us,
            layer: trailer.layer,
        })
    }

    fn wait(
        &mut self,
        handle: TrackHandle,
        head: FrameHead,
        now_ms: u64,
        buffer: &FrameBuffer,
    ) -> Outcome<Decrypted> {
        let ticket = self.tracks.next_ticket();
        match (self.tracks.get_mut(handle), head.kid()) {
            (_, None) => Outcome::Drop(DropReason::NoKey),
            (None, _) => Outcome::Drop(DropReason::UnknownTrack),
            (Some(track), Some(kid)) => {
                track.wait(WaitingFrame::new(ticket, kid, now_ms, buffer.bytes()))
            }
        }
    }

    /// Counts an outcome of receiving, and leaves nothing in the buffer that must not go on.
    fn settle(
        &mut self,
        handle: TrackHandle,
        outcome: Outcome<Decrypted>,
        buffer: &mut FrameBuffer,
    ) -> Outcome<Decrypted> {
        if !matches!(outcome, Outcome::Forward(_)) {
            buffer.discard();
        }
        match self.tracks.get_mut(handle) {
            Some(track) => track.count(outcome),
            None => outcome,
        }
    }
}

/// Why a frame was not opened now.
enum Refusal {
    Drop(DropReason),
    KeyIsComing(FrameHead),
}

impl From<DropReason> for Refusal {
    fn from(reason: DropReason) -> Self {
        Self::Drop(reason)
    }
}
