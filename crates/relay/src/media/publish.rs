//! What one participant sends to the relay.

use super::clock::SenderClock;
use super::description::{self, Description};
use super::peer::{self, PeerFactory};
use crate::limits;
use sealed_visit_protocol::wire::{MediaKind, PublishedTrack};
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};
use str0m::Rtc;
use str0m::bwe::Bitrate;
use str0m::change::SdpOffer;
use str0m::format::CodecSpec;
use str0m::media::{KeyframeRequestKind, Mid};
use str0m::rtp::{RtpPacket, Ssrc};

/// Key frames are expensive on slow lines: at most one per interval.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(500);
/// Beyond this nobody's camera goes: no limit, in other words.
const UNLIMITED_BPS: u64 = 20_000_000;
const REMB_INTERVAL: Duration = Duration::from_secs(1);
/// Room for a publisher's sound within its limit.
const AUDIO_ROOM_BPS: u64 = 60_000;

/// A description the relay does not serve; the text is for the developer of the page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unserved(pub String);

/// What the WebRTC library says stays in the log: its texts quote its own state, addresses in memory included.
pub(super) fn unserved(text: &str, error: &dyn std::fmt::Debug) -> Unserved {
    tracing::debug!(?error, text);
    Unserved(text.to_owned())
}

#[derive(Debug)]
pub struct Publication {
    pub rtc: Rtc,
    session: String,
    tracks: Vec<Published>,
    clock: SenderClock,
    /// Which stream is which; looked up in str0m once for each.
    mids: HashMap<Ssrc, Mid>,
    /// All that it ever announced or sent: str0m keeps each for as long as the connection lives.
    streams: BTreeSet<u32>,
    sent_limit: Option<(u64, Instant)>,
}

#[derive(Debug)]
pub struct Published {
    pub mid: Mid,
    pub name: String,
    pub kind: MediaKind,
    pub source: sealed_visit_protocol::wire::MediaSource,
    /// Payload bytes since the last [`Publication::measure`].
    bytes: u64,
    pub bps: u64,
    key_frame_asked_at: Option<Instant>,
    key_frame_wanted: bool,
}

/// A packet with what a subscriber needs to know of its stream.
pub struct Received<'a> {
    pub track: &'a str,
    pub codec: CodecSpec,
    pub packet: &'a RtpPacket,
    /// When it was captured, on the relay's clock: the same for sound and picture of one sender.
    pub wallclock: Instant,
}

impl Publication {
    /// Accepts a first or a further offer that was checked; returns the answer. `current` is kept when the offer is its own.
    pub fn negotiate(
        current: Option<Self>,
        factory: &PeerFactory,
        Description { text, streams }: &Description,
        tracks: &[PublishedTrack],
        now: Instant,
    ) -> Result<(Self, String), Unserved> {
        let session = session_of(text).to_owned();
        let mut publication = match current {
            Some(current) if current.session == session && current.rtc.is_alive() => current,
            _ => Self {
                rtc: factory.publisher(now),
                session,
                tracks: Vec::new(),
                clock: SenderClock::default(),
                mids: HashMap::new(),
                streams: BTreeSet::new(),
                sent_limit: None,
            },
        };
        let offer = SdpOffer::from_sdp_string(text)
            .map_err(|error| unserved("the offer cannot be read", &error))?;
        let answer = publication
            .rtc
            .sdp_api()
            .accept_offer(offer)
            .map_err(|error| unserved("the offer cannot be served", &error))?;
        publication.take_tracks(tracks)?;
        publication.streams.extend(streams);
        Ok((publication, answer.to_sdp_string()))
    }

    /// Whether it would have more streams with these than one connection may have.
    pub fn is_crowded_by(&self, offered: &Description) -> bool {
        let known = (self.session == session_of(&offered.text)).then_some(&self.streams);
        let more = |it: &&u32| known.is_none_or(|known| !known.contains(it));
        let known_count = known.map_or(0, BTreeSet::len);
        known_count + offered.streams.iter().filter(more).count() > limits::MAX_STREAMS
    }

    pub fn tracks(&self) -> &[Published] {
        &self.tracks
    }

    pub fn track_mut(&mut self, name: &str) -> Option<&mut Published> {
        self.tracks.iter_mut().find(|track| track.name == name)
    }

    /// Names a packet's stream and counts it; None for what is not an announced track.
    pub fn receive<'a>(&'a mut self, packet: &'a RtpPacket) -> Option<Received<'a>> {
        let ssrc = packet.header.ssrc;
        let mid = match self.mids.get(&ssrc) {
            Some(mid) => *mid,
            None => {
                let mid = self.rtc.direct_api().stream_rx(&ssrc)?.mid();
                self.streams.insert(*ssrc);
                if self.streams.len() > limits::MAX_STREAMS {
                    tracing::info!("a publisher sends too many streams");
                    self.rtc.disconnect();
                    return None;
                }
                self.mids.insert(ssrc, mid);
                mid
            }
        };
        let payload_type = packet.header.payload_type;
        let codec = self
            .rtc
            .codec_config()
            .find(|params| params.pt() == payload_type)?
            .spec();
        let wallclock = self.clock.wallclock(packet);
        let track = self.tracks.iter_mut().find(|track| track.mid == mid)?;
        track.bytes += packet.payload.len() as u64;
        Some(Received {
            track: &track.name,
            codec,
            packet,
            wallclock,
        })
    }

    /// Turns byte counts into rates.
    pub fn measure(&mut self, elapsed: Duration) {
        for track in &mut self.tracks {
            let bps = (track.bytes as f64 * 8.0 / elapsed.as_secs_f64().max(0.001)) as u64;
            // A second's memory: key frames come in bursts.
            track.bps = (track.bps * 3 + bps) / 4;
            track.bytes = 0;
        }
    }

    /// Passes a wish for a key frame on, now or as soon as the interval allows. True when it was sent.
    pub fn request_key_frame(&mut self, name: &str, now: Instant) -> bool {
        let Some(track) = self.track_mut(name) else {
            return false;
        };
        track.key_frame_wanted = true;
        self.send_wanted_key_frames(now) > 0
    }

    /// Sends the wishes that had to wait; returns how many.
    pub fn send_wanted_key_frames(&mut self, now: Instant) -> u64 {
        let mut sent = 0;
        for track in &mut self.tracks {
            let may_ask = track
                .key_frame_asked_at
                .is_none_or(|at| now.duration_since(at) >= KEY_FRAME_INTERVAL);
            if !track.key_frame_wanted || !may_ask {
                continue;
            }
            // No stream before the first packet; the wish stays.
            if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(track.mid, None) {
                stream.request_keyframe(KeyframeRequestKind::Pli);
                track.key_frame_wanted = false;
                track.key_frame_asked_at = Some(now);
                sent += 1;
            }
        }
        sent
    }

    /// Limits the sender's video by REMB to what its receivers can take; None lifts the limit.
    ///
    /// The sender's own estimate of its uplink (from the relay's transport-wide feedback) is separate: it uses the
    /// lower of both.
    pub fn limit(&mut self, video_bps: Option<u64>, now: Instant) {
        let audio_tracks = self
            .tracks
            .iter()
            .filter(|track| track.kind == MediaKind::Audio)
            .count() as u64;
        let limit_bps = video_bps.map_or(UNLIMITED_BPS, |bps| bps + audio_tracks * AUDIO_ROOM_BPS);
        if let Some((sent_bps, at)) = self.sent_limit {
            let is_close = limit_bps.abs_diff(sent_bps) * 20 <= sent_bps;
            if is_close && now.duration_since(at) < REMB_INTERVAL {
                return;
            }
        }
        for track in &self.tracks {
            if track.kind != MediaKind::Video {
                continue;
            }
            // One message is enough: browsers apply it to the whole connection.
            if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(track.mid, None) {
                stream.request_remb(Bitrate::bps(limit_bps));
                self.sent_limit = Some((limit_bps, now));
                return;
            }
        }
    }

    fn take_tracks(&mut self, tracks: &[PublishedTrack]) -> Result<(), Unserved> {
        let mut taken = Vec::with_capacity(tracks.len());
        for PublishedTrack {
            mid,
            track,
            kind,
            source,
        } in tracks
        {
            let mid = Mid::from(mid.as_str());
            let media = self
                .rtc
                .media(mid)
                .filter(|media| media.kind() == peer::kind_of(*kind))
                .ok_or_else(|| Unserved(format!("no media section of that kind for mid {mid}")))?;
            if media.remote_pts().is_empty() {
                return Err(Unserved(format!(
                    "no codec in common for mid {mid}: the relay serves Opus, VP8 and VP9 profile 0"
                )));
            }
            let known = self.tracks.iter().position(|known| {
                known.mid == mid && known.name == *track && known.source == *source
            });
            taken.push(match known {
                Some(index) => self.tracks.swap_remove(index),
                None => Published {
                    mid,
                    name: track.clone(),
                    kind: *kind,
                    source: *source,
                    bytes: 0,
                    bps: 0,
                    key_frame_asked_at: None,
                    key_frame_wanted: false,
                },
            });
        }
        self.tracks = taken;
        self.mids.clear();
        Ok(())
    }
}

fn session_of(sdp: &str) -> &str {
    description::session_id(sdp).unwrap_or_default()
}

/// What can be said of an offer before the WebRTC library reads it.
pub(super) fn check(sdp: &str, tracks: &[PublishedTrack]) -> Result<Description, Unserved> {
    let refuse = |text: &str| Err(Unserved(text.to_owned()));
    if tracks.len() > limits::MAX_TRACKS {
        return refuse("too many tracks");
    }
    if sdp.len() > limits::MAX_SDP_BYTES || description::section_count(sdp) > 4 * limits::MAX_TRACKS
    {
        return refuse("too large a description");
    }
    if description::has_simulcast(sdp) {
        return refuse("simulcast is not served: send one encoding");
    }
    let is_well_named = |name: &str| !name.is_empty() && name.len() <= limits::MAX_TRACK_NAME_BYTES;
    if !tracks.iter().all(|track| is_well_named(&track.track)) {
        return refuse("a track's name has 1 to 64 bytes");
    }
    let names: BTreeSet<_> = tracks.iter().map(|track| &track.track).collect();
    let mids: BTreeSet<_> = tracks.iter().map(|track| &track.mid).collect();
    if names.len() != tracks.len() || mids.len() != tracks.len() {
        return refuse("two tracks have the same name or mid");
    }
    Description::read(sdp, limits::MAX_OFFER_LINES)
}
