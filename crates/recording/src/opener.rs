//! Opens one track as its bytes arrive.

use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::recording::{EnvelopeClaims, WrappedKey};
use sealed_visit_protocol::track::{
    CheckpointClaims, Header, SegmentRef, TrackEvent, TrackState, segment_context,
};
use sealed_visit_protocol::{Hash32, Jws};
use zeroize::Zeroizing;

use super::OpenTrackError;
use crate::seal::cobblestone;
use crate::seal::hpke::{HpkeError, PrivateKey, Suite};
use crate::seal::track_key::{ShredShare, TrackKey, TrackSecret, derive_track_key};

/// The key of a track, from its envelope, a recipient's private key and the vault's share.
///
/// `header` must come from a verified open statement: its hash is bound into the wrap and into the key.
pub fn unwrap_track_key(
    envelope: &Jws<EnvelopeClaims>,
    header: &Header,
    private: &PrivateKey,
    share: Option<&[u8]>,
) -> Result<TrackKey, OpenTrackError> {
    let share = match (header.claims().share_required, share) {
        (true, None) => return Err(OpenTrackError::ShareNeeded),
        (true, Some(share)) => Some(ShredShare::try_from(share)?),
        (false, _) => None,
    };
    let share_bytes = share.as_ref().map(|share| share.expose().as_slice());
    let envelope = EnvelopeClaims::verify(envelope, header, share_bytes)?;
    let fingerprint = private.public_key().fingerprint();
    let wrapped = envelope
        .keys
        .iter()
        .find(|key| key.recipient.0 == fingerprint.0)
        .ok_or(OpenTrackError::NotARecipient)?;
    if Suite::try_from(wrapped.suite)? != private.suite() {
        return Err(HpkeError::DoesNotOpen(private.suite()).into());
    }
    let info = WrappedKey::info(&header.hash(), &wrapped.recipient);
    let wrap = [wrapped.enc.as_slice(), wrapped.ciphertext.as_slice()].concat();
    let secret = TrackSecret::try_from(private.unwrap(&info, &wrap)?.as_slice())?;
    Ok(derive_track_key(&secret, share.as_ref(), &header.hash().0))
}

/// One slice as it was recorded.
#[derive(Clone)]
pub struct OpenedSegment {
    /// The verified checkpoint after it.
    pub checkpoint: CheckpointClaims,
    /// The slice; wiped when dropped.
    pub plaintext: Zeroizing<Vec<u8>>,
}

/// How far a track turned out to be good.
#[derive(Clone, Debug)]
pub struct TrackEnd {
    /// The verifier's state at the last good checkpoint; compare it with a manifest's summary.
    pub state: TrackState,
    /// Bytes after the last good checkpoint: torn, unfinished or altered; none of them was released.
    pub unverified_bytes: u64,
    /// What stopped it, if anything did. A torn last record is not an error: any prefix is good.
    pub error: Option<OpenTrackError>,
    /// The chain head after each good segment: what a later part may name as known.
    pub heads: Vec<Hash32>,
}

/// Follows a track without its key: how far it is good, and no slice comes out.
pub struct TrackFollower {
    state: TrackState,
    heads: Vec<Hash32>,
    error: Option<OpenTrackError>,
}

impl TrackFollower {
    /// A follower of the track with this header; without one, of whatever track comes.
    pub fn new(header: Option<&Header>) -> Self {
        Self {
            state: header.map_or_else(TrackState::new, |header| {
                TrackState::expecting(header.hash())
            }),
            heads: Vec::new(),
            error: None,
        }
    }

    /// Takes the next bytes. After an error no more are taken; what was good before stays good.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), OpenTrackError> {
        let heads = &mut self.heads;
        let fed = self.state.feed(bytes, |event| {
            if let TrackEvent::Segment { checkpoint, .. } = event {
                heads.push(checkpoint.head);
            }
        });
        fed.map_err(OpenTrackError::from).inspect_err(|error| {
            // The first one says what is wrong.
            self.error.get_or_insert_with(|| error.clone());
        })
    }

    /// Ends the track, wherever its bytes ended.
    pub fn finish(self) -> TrackEnd {
        TrackEnd {
            unverified_bytes: self.state.offset() - self.state.verified_bytes(),
            state: self.state,
            error: self.error,
            heads: self.heads,
        }
    }
}

/// Feeds on a track's bytes from the start, in pieces of any size, and gives out its slices.
///
/// A slice is returned once its checkpoint was verified (signature, offset, chain) *and* all of it was
/// authenticated by the cipher. Holds at most one segment.
pub struct TrackOpener {
    state: TrackState,
    header: Header,
    key: TrackKey,
    /// Bytes from `pending_offset` on: what the last good checkpoint does not cover.
    pending: Vec<u8>,
    pending_offset: u64,
    error: Option<OpenTrackError>,
    heads: Vec<Hash32>,
}

impl TrackOpener {
    /// An opener of the track with this header, and no other.
    pub fn new(header: Header, key: TrackKey) -> Self {
        Self {
            state: TrackState::expecting(header.hash()),
            header,
            key,
            pending: Vec::new(),
            pending_offset: 0,
            error: None,
            heads: Vec::new(),
        }
    }

    /// Takes the next bytes; `on_segment` gets every slice that they complete, in order.
    ///
    /// After an error nothing more is given out. What was given out before stays good.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        mut on_segment: impl FnMut(OpenedSegment),
    ) -> Result<(), OpenTrackError> {
        if self.error.is_some() {
            return Err(OpenTrackError::Poisoned);
        }
        self.pending.extend_from_slice(bytes);
        let before = self.state.clone();
        let mut verified: Vec<(CheckpointClaims, SegmentRef, u64)> = Vec::new();
        let fed = self.state.feed(bytes, |event| {
            if let TrackEvent::Segment {
                checkpoint,
                segment,
                verified_bytes,
            } = event
            {
                verified.push((checkpoint, segment, verified_bytes));
            }
        });
        let mut result = fed.map_err(OpenTrackError::from);
        let mut good_bytes = before.verified_bytes();
        for (checkpoint, segment, verified_bytes) in verified {
            match self.open(&segment) {
                Ok(plaintext) => {
                    self.heads.push(checkpoint.head);
                    on_segment(OpenedSegment {
                        checkpoint,
                        plaintext,
                    });
                }
                Err(error) => {
                    // A segment that does not open is bad, even with a valid checkpoint.
                    self.state = good_up_to(before, bytes, good_bytes);
                    result = Err(error);
                    break;
                }
            }
            good_bytes = verified_bytes;
        }
        let covered = (self.state.verified_bytes() - self.pending_offset) as usize;
        self.pending.drain(..covered.min(self.pending.len()));
        self.pending_offset += covered as u64;
        self.error = result.clone().err();
        result
    }

    /// Ends the track, wherever its bytes ended.
    pub fn finish(self) -> TrackEnd {
        TrackEnd {
            unverified_bytes: self.pending.len() as u64,
            state: self.state,
            error: self.error,
            heads: self.heads,
        }
    }

    /// The verifier's state so far.
    pub fn state(&self) -> &TrackState {
        &self.state
    }

    fn open(&self, segment: &SegmentRef) -> Result<Zeroizing<Vec<u8>>, OpenTrackError> {
        let start = (segment.offset - self.pending_offset) as usize;
        let sealed = &self.pending[start..start + segment.size_bytes as usize];
        // The state hashed these bytes as they came; saying it again costs little and keeps the two in step.
        debug_assert_eq!(sha256(sealed), segment.hash);
        let context = segment_context(&self.header.hash(), segment.index, &segment.head_before);
        cobblestone::open(self.key.expose(), &context, sealed)
            .map(Zeroizing::new)
            .map_err(|error| OpenTrackError::Segment {
                index: segment.index,
                error,
            })
    }
}

/// The state before these bytes, fed with as many of them as lead to this offset in the file.
fn good_up_to(mut before: TrackState, bytes: &[u8], good_bytes: u64) -> TrackState {
    let more = good_bytes.saturating_sub(before.offset()) as usize;
    // They were good a moment ago.
    let _ = before.feed(&bytes[..more.min(bytes.len())], |_| {});
    before
}
