//! Open tracks, and the frames that wait on them.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    codec::{Codec, UnsupportedCodec},
    sframe::{FrameHead, Kid, Leaf},
};

use super::{
    DropReason, FramesError, MAX_LAYER, Outcome, Ticket, TrackHandle, TrackStats, trailer::TrackTag,
};

/// How long a frame waits for the next epoch's key.
pub const WAIT_LIMIT_MS: u64 = 250;
/// How many frames wait on one track.
pub const WAIT_LIMIT_FRAMES: usize = 64;
/// How many bytes wait on one track.
pub const WAIT_LIMIT_BYTES: usize = 8 * 1024 * 1024;

/// All open tracks.
#[derive(Default)]
pub(super) struct Tracks {
    open: BTreeMap<TrackHandle, Track>,
    last_handle: u32,
    last_ticket: u32,
}

pub(super) struct Track {
    pub tag: TrackTag,
    pub direction: Direction,
    /// `None` once the codec changed to one that cannot be protected.
    pub codec: Option<Codec>,
    pub stats: TrackStats,
    track_id: String,
}

pub(super) enum Direction {
    Send {
        layer: u8,
    },
    Receive {
        expected_leaf: Leaf,
        waiting: VecDeque<WaitingFrame>,
    },
}

/// A frame as it arrived, with its ticket.
pub(super) struct WaitingFrame {
    pub ticket: Ticket,
    pub kid: Kid,
    arrived_at_ms: u64,
    bytes: Vec<u8>,
}

impl Tracks {
    /// Opens a track to send on. Layers of one track share its id.
    pub fn open_send(
        &mut self,
        track_id: &str,
        layer: u8,
        codec: Codec,
    ) -> Result<TrackHandle, FramesError> {
        if layer > MAX_LAYER {
            return Err(FramesError::LayerOutOfRange { layer });
        }
        let tag = TrackTag::of(track_id);
        let sends = |track: &&Track| matches!(track.direction, Direction::Send { .. });
        let mut others = self.open.values().filter(sends);
        if others.any(|other| other.tag == tag && other.track_id != track_id) {
            return Err(FramesError::TrackTagTaken);
        }
        Ok(self.open(track_id, codec, Direction::Send { layer }))
    }

    /// Opens a track to receive on.
    pub fn open_receive(
        &mut self,
        track_id: &str,
        expected_leaf: Leaf,
        codec: Codec,
    ) -> TrackHandle {
        let waiting = VecDeque::new();
        self.open(
            track_id,
            codec,
            Direction::Receive {
                expected_leaf,
                waiting,
            },
        )
    }

    fn open(&mut self, track_id: &str, codec: Codec, direction: Direction) -> TrackHandle {
        self.last_handle += 1;
        let handle = TrackHandle(self.last_handle);
        let track = Track {
            tag: TrackTag::of(track_id),
            direction,
            codec: Some(codec),
            stats: TrackStats::default(),
            track_id: track_id.to_owned(),
        };
        self.open.insert(handle, track);
        handle
    }

    /// Forgets a track and whatever waits on it. Returns its last counts.
    pub fn close(&mut self, handle: TrackHandle) -> Result<TrackStats, FramesError> {
        let closed = self
            .open
            .remove(&handle)
            .ok_or(FramesError::UnknownTrack { track: handle })?;
        Ok(closed.stats)
    }

    /// Changes a track's codec. One that cannot be protected leaves the track closed to frames.
    pub fn set_codec(
        &mut self,
        handle: TrackHandle,
        codec: Result<Codec, UnsupportedCodec>,
    ) -> Result<(), FramesError> {
        let track = self.track_mut(handle)?;
        track.codec = codec.as_ref().ok().copied();
        codec.map(drop).map_err(FramesError::from)
    }

    pub fn track(&self, handle: TrackHandle) -> Result<&Track, FramesError> {
        self.open
            .get(&handle)
            .ok_or(FramesError::UnknownTrack { track: handle })
    }

    pub fn track_mut(&mut self, handle: TrackHandle) -> Result<&mut Track, FramesError> {
        self.open
            .get_mut(&handle)
            .ok_or(FramesError::UnknownTrack { track: handle })
    }

    pub fn get_mut(&mut self, handle: TrackHandle) -> Option<&mut Track> {
        self.open.get_mut(&handle)
    }

    pub fn handles(&self) -> impl Iterator<Item = TrackHandle> + use<> {
        self.open.keys().copied().collect::<Vec<_>>().into_iter()
    }

    pub fn next_ticket(&mut self) -> Ticket {
        self.last_ticket = self.last_ticket.wrapping_add(1);
        Ticket(self.last_ticket)
    }
}

impl Track {
    /// Counts an outcome, and hands it on.
    pub fn count<T>(&mut self, outcome: Outcome<T>) -> Outcome<T> {
        match &outcome {
            Outcome::Forward(_) => match self.direction {
                Direction::Send { .. } => self.stats.encrypted += 1,
                Direction::Receive { .. } => self.stats.decrypted += 1,
            },
            Outcome::Drop(reason) => self.stats.dropped.count(*reason),
            Outcome::Wait(_) => self.stats.waited += 1,
        }
        outcome
    }

    /// Reads what a frame that arrived says about itself.
    pub fn parse_head(&self, frame: &[u8]) -> Result<FrameHead, DropReason> {
        let codec = self.codec.ok_or(DropReason::UnsupportedCodec)?;
        let clear_len = codec.clear_len(frame).map_err(|_| DropReason::Malformed)?;
        FrameHead::parse(frame, clear_len).ok_or(DropReason::Malformed)
    }

    /// The frame that has waited longest.
    pub fn first_waiting(&self) -> Option<&WaitingFrame> {
        match &self.direction {
            Direction::Receive { waiting, .. } => waiting.front(),
            Direction::Send { .. } => None,
        }
    }

    /// Takes the frame that has waited longest.
    pub fn take_first_waiting(&mut self) -> Option<WaitingFrame> {
        match &mut self.direction {
            Direction::Receive { waiting, .. } => waiting.pop_front(),
            Direction::Send { .. } => None,
        }
    }

    /// Has a frame wait, if there is room.
    pub fn wait(&mut self, frame: WaitingFrame) -> Outcome<super::Decrypted> {
        let Direction::Receive { waiting, .. } = &mut self.direction else {
            return Outcome::Drop(DropReason::UnknownTrack);
        };
        let waiting_bytes: usize = waiting.iter().map(|frame| frame.bytes.len()).sum();
        if waiting.len() >= WAIT_LIMIT_FRAMES
            || waiting_bytes + frame.bytes.len() > WAIT_LIMIT_BYTES
        {
            return Outcome::Drop(DropReason::QueueFull);
        }
        let ticket = frame.ticket;
        waiting.push_back(frame);
        Outcome::Wait(ticket)
    }
}

impl WaitingFrame {
    pub fn new(ticket: Ticket, kid: Kid, arrived_at_ms: u64, bytes: &[u8]) -> Self {
        Self {
            ticket,
            kid,
            arrived_at_ms,
            bytes: bytes.to_vec(),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn waited_too_long(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.arrived_at_ms) >= WAIT_LIMIT_MS
    }
}
