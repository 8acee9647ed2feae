//! What one participant receives from the relay: a line for each track of the others.

use super::description::Description;
use super::evidence::Evidence;
use super::keyframe::begins_key_frame;
use super::peer::{self, INITIAL_ESTIMATE_BPS, PeerFactory};
use super::publish::{Received, Unserved, unserved};
use super::rewrite::Rewriter;
use super::share::{FLOOR_VIDEO_BPS, Share, VideoLine, share_out};
use crate::limits;
use sealed_visit_protocol::ParticipantId;
use sealed_visit_protocol::wire::{
    MediaKind, MediaSource, OfferedTrack, PictureOnLine, RelayMessage,
};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use str0m::Rtc;
use str0m::bwe::{Bitrate, BweKind};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::CodecSpec;
use str0m::media::{Direction, Mid, Pt};
use str0m::rtp::{ExtensionValues, RtpWrite};
use str0m::stats::PeerStats;

/// What a camera at 720p may want.
const VIDEO_WANTED_BPS: u64 = 2_500_000;
const AUDIO_WANTED_BPS: u64 = 60_000;
/// An estimate that leaves a video less than this needs other evidence to be believed.
const LOW_VIDEO_BPS: u64 = 250_000;
/// A picture held to less than this, half of what a camera sends, is visibly worse.
const LOWERED_VIDEO_BPS: u64 = 600_000;
/// Where estimation starts over, for each video.
const RESTART_VIDEO_BPS: u64 = 500_000;
/// Video that has waited this long to be sent will not be seen in time.
const MAX_QUEUE_DELAY: Duration = Duration::from_millis(700);
/// A withheld video comes back no sooner.
const WITHHELD_AT_LEAST: Duration = Duration::from_secs(3);
/// After this time without a key frame, packets are forwarded anyway: the receiver requests what it needs.
const KEY_FRAME_PATIENCE: Duration = Duration::from_secs(3);
const QUALITY_INTERVAL: Duration = Duration::from_secs(2);
const QUALITY_REFRESH: Duration = Duration::from_secs(10);

/// One line's track, as its publisher announced it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackRef {
    pub participant: ParticipantId,
    pub name: String,
    pub kind: MediaKind,
    pub source: MediaSource,
}

#[derive(Debug)]
pub struct Subscription {
    pub rtc: Rtc,
    lines: Vec<Line>,
    pending: Option<Pending>,
    is_stale: bool,
    estimate: Estimate,
    evidence: Evidence,
    picture: PictureOnLine,
    told: Option<(Quality, Instant)>,
}

/// The line quality reported to a participant, in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Quality {
    down_bps: u64,
    loss_percent: u8,
    picture: PictureOnLine,
    held_back: HeldBack,
}

/// Why a sender's video is held back, and to what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldBack {
    /// Whose lines are slow.
    pub slow_for: Vec<ParticipantId>,
    pub limit_bps: Option<u64>,
}

struct Pending {
    generation: u32,
    offer: SdpPendingOffer,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pending(generation {})", self.generation)
    }
}

#[derive(Debug)]
struct Estimate {
    twcc_bps: Option<u64>,
    remb_bps: Option<u64>,
    loss_percent: u8,
    desired_bps: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineState {
    Offered,
    Open,
    /// Carries nothing, and waits for another track.
    Parked,
}

#[derive(Debug)]
struct Line {
    mid: Mid,
    track: TrackRef,
    state: LineState,
    rewriter: Rewriter,
    /// The subscriber's payload type for each the publisher uses.
    payload_types: HashMap<Pt, Option<Pt>>,
    gate: Gate,
    has_forwarded: bool,
}

/// Whether a video line lets packets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    Withheld { since: Instant },
    AwaitsKeyFrame { since: Instant },
}

/// What became of a packet for this subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    Yes,
    No,
    Withheld,
}

impl Subscription {
    pub fn new(factory: &PeerFactory, now: Instant) -> Self {
        Self {
            rtc: factory.subscriber(now),
            lines: Vec::new(),
            pending: None,
            is_stale: true,
            estimate: Estimate {
                twcc_bps: None,
                remb_bps: None,
                loss_percent: 0,
                desired_bps: 0,
            },
            evidence: Evidence::default(),
            picture: PictureOnLine::Full,
            told: None,
        }
    }

    /// Brings the lines up to what is published; returns an offer when they changed and none is outstanding.
    pub fn offer(&mut self, published: &[TrackRef], generation: &mut u32) -> Option<RelayMessage> {
        if self.pending.is_some() {
            self.is_stale = true;
            return None;
        }
        self.is_stale = false;
        let mut changes = self.rtc.sdp_api();
        for line in &mut self.lines {
            if line.state != LineState::Parked && !published.contains(&line.track) {
                line.state = LineState::Parked;
                // Not stopped: a description only ever grows, and a stopped section is never used again.
                changes.set_direction(line.mid, Direction::Inactive);
            }
        }
        for track in published {
            if self.lines.iter().any(|line| line.carries(track)) {
                continue;
            }
            if let Some(line) = self.lines.iter_mut().find(|line| line.can_take(track)) {
                changes.set_direction(line.mid, Direction::SendOnly);
                line.take(track);
                continue;
            }
            let mid = changes.add_media(
                peer::kind_of(track.kind),
                Direction::SendOnly,
                // One stream for each participant and source: a browser keeps its sound and picture together.
                Some(stream_name(track)),
                None,
                None,
            );
            self.lines.push(Line::new(mid, track));
        }
        let (offer, pending) = changes.apply()?;
        *generation += 1;
        self.pending = Some(Pending {
            generation: *generation,
            offer: pending,
        });
        Some(RelayMessage::SubscribeOffer {
            generation: *generation,
            sdp: offer.to_sdp_string(),
            tracks: self
                .lines
                .iter()
                .filter(|line| line.state != LineState::Parked)
                .map(Line::offered)
                .collect(),
        })
    }

    /// Whether its description would have too many sections with these tracks, most of them parked: a new connection starts
    /// with those that are needed.
    pub fn is_worn(&self, published: &[TrackRef]) -> bool {
        let lacking = published.iter().filter(|track| {
            let mut lines = self.lines.iter();
            !lines.any(|line| line.carries(track) || line.can_take(track))
        });
        self.lines.len() + lacking.count() > limits::MAX_SECTIONS
    }

    /// Takes the answer of the outstanding generation; true when another offer is due.
    pub fn answer(&mut self, generation: u32, sdp: &str) -> Result<bool, Unserved> {
        // An answer to an offer that was replaced meanwhile is late, not wrong.
        let Some(pending) = self.pending.take_if(|it| it.generation == generation) else {
            return Ok(false);
        };
        let max_lines = limits::MAX_ANSWER_LINES_OF_SECTION * (self.lines.len() + 1);
        let answer = Description::read(sdp, max_lines)?;
        let answer = SdpAnswer::from_sdp_string(&answer.text)
            .map_err(|error| unserved("the answer cannot be read", &error))?;
        self.rtc
            .sdp_api()
            .accept_answer(pending.offer, answer)
            .map_err(|error| unserved("the answer does not fit the offer", &error))?;
        for line in &mut self.lines {
            if line.state == LineState::Offered {
                line.state = LineState::Open;
            }
        }
        self.set_desired();
        Ok(self.is_stale)
    }

    /// Writes a packet of another participant to its line.
    pub fn forward(
        &mut self,
        from: ParticipantId,
        received: &Received<'_>,
        now: Instant,
    ) -> Forwarded {
        let Some(line) = self.lines.iter_mut().find(|line| {
            line.state == LineState::Open
                && line.track.participant == from
                && line.track.name == received.track
        }) else {
            return Forwarded::No;
        };
        let packet = received.packet;
        if !line.lets_through(received, now) {
            return Forwarded::Withheld;
        }
        let Some(payload_type) =
            line.payload_type(&self.rtc, packet.header.payload_type, received.codec)
        else {
            return Forwarded::No;
        };
        let Some(numbers) = line.rewriter.rewrite(
            u64::from(*packet.header.ssrc),
            *packet.seq_no,
            packet.header.timestamp,
            now,
            received.codec.clock_rate.get(),
        ) else {
            return Forwarded::No;
        };
        let mut direct = self.rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(line.mid, None) else {
            return Forwarded::No;
        };
        stream.write_rtp(
            RtpWrite::new(
                payload_type,
                numbers.seq.into(),
                numbers.time,
                received.wallclock,
                packet.payload.clone(),
            )
            .marker(packet.header.marker)
            .ext_vals(kept_extensions(&packet.header.ext_vals))
            .nackable(line.track.kind == MediaKind::Video),
        );
        line.has_forwarded = true;
        Forwarded::Yes
    }

    /// The track a line of this connection carries.
    pub fn track_of(&self, mid: Mid) -> Option<&TrackRef> {
        let line = self.lines.iter().find(|line| line.mid == mid)?;
        (line.state == LineState::Open).then_some(&line.track)
    }

    /// Video tracks that could be shown now and of which nothing was sent yet.
    pub fn awaited(&self) -> impl Iterator<Item = &TrackRef> {
        self.lines.iter().filter_map(|line| {
            let is_awaited = line.state == LineState::Open
                && line.track.kind == MediaKind::Video
                && (!line.has_forwarded || matches!(line.gate, Gate::AwaitsKeyFrame { .. }));
            is_awaited.then_some(&line.track)
        })
    }

    pub fn on_estimate(&mut self, kind: &BweKind) {
        match kind {
            BweKind::Twcc { estimate, .. } => self.estimate.twcc_bps = Some(estimate.as_u64()),
            BweKind::Remb { estimate, .. } => self.estimate.remb_bps = Some(estimate.as_u64()),
            _ => {}
        }
    }

    pub fn on_stats(&mut self, stats: &PeerStats, now: Instant) {
        let loss = stats.egress_loss_fraction;
        self.evidence.observe(stats.rtt, loss, now);
        let percent = (loss.unwrap_or(0.0) * 100.0).round().clamp(0.0, 100.0);
        self.estimate.loss_percent = percent as u8;
    }

    pub fn estimate_bps(&self) -> u64 {
        match (self.estimate.twcc_bps, self.estimate.remb_bps) {
            (Some(twcc), Some(remb)) => twcc.min(remb),
            (twcc, remb) => twcc.or(remb).unwrap_or(INITIAL_ESTIMATE_BPS),
        }
    }

    /// Redistributes the line. `bps_of` returns a track's send rate; `limit` receives what a sender may send,
    /// and whether that makes its picture worse.
    pub fn adapt(
        &mut self,
        now: Instant,
        bps_of: impl Fn(&TrackRef) -> u64,
        mut limit: impl FnMut(&TrackRef, Share, PictureOnLine),
    ) {
        self.doubt_estimate(now);
        let is_congested = self.evidence.is_congested(now);
        let delays: Vec<Duration> = self.queue_delays(now);
        let estimate_bps = self.estimate_bps();
        let (mut audio_lines, mut audio_bps) = (0, 0);
        for line in self.open_lines(MediaKind::Audio) {
            audio_lines += 1;
            audio_bps += bps_of(&line.track);
        }
        let videos: Vec<VideoLine> = self
            .open_lines(MediaKind::Video)
            .map(|line| VideoLine {
                is_screen: line.track.source == MediaSource::Screen,
                is_withheld: matches!(line.gate, Gate::Withheld { .. }),
                bps: bps_of(&line.track),
            })
            .collect();
        let shares = share_out(estimate_bps, audio_lines, audio_bps, &videos);
        let open_videos = self
            .lines
            .iter_mut()
            .filter(|line| line.is_open(MediaKind::Video));
        self.picture = PictureOnLine::Full;
        for ((line, share), delay) in open_videos.zip(shares).zip(delays) {
            let share = match share {
                _ if !is_congested => Share::Limit(share.limit_bps().max(FLOOR_VIDEO_BPS)),
                _ if delay > MAX_QUEUE_DELAY => Share::Withheld,
                share => share,
            };
            line.apply(share, now);
            let picture = match share {
                Share::Withheld => PictureOnLine::Withheld,
                // Only a limit that is felt: a muted camera sends next to nothing anyway.
                Share::Limit(bps)
                    if is_congested
                        && bps < LOWERED_VIDEO_BPS
                        && bps_of(&line.track) * 10 > bps * 6 =>
                {
                    PictureOnLine::Lowered
                }
                Share::Limit(_) => PictureOnLine::Full,
            };
            self.picture = self.picture.max(picture);
            limit(&line.track, share, picture);
        }
    }

    /// What to tell the participant about its line, when there is news.
    pub fn quality(&mut self, held_back: HeldBack, now: Instant) -> Option<RelayMessage> {
        let quality = Quality {
            down_bps: self.estimate_bps(),
            loss_percent: self.estimate.loss_percent,
            picture: self.picture,
            held_back,
        };
        if let Some((told, at)) = &self.told {
            let since = now.duration_since(*at);
            if since < QUALITY_INTERVAL || !quality.is_news_after(told) && since < QUALITY_REFRESH {
                return None;
            }
        }
        self.told = Some((quality.clone(), now));
        Some(RelayMessage::LineQuality {
            down_bps: quality.down_bps,
            loss_percent: quality.loss_percent,
            picture: quality.picture,
            slow_for: quality.held_back.slow_for,
            up_limit_bps: quality.held_back.limit_bps,
        })
    }

    /// Starts estimation over when it says little and nothing else does.
    fn doubt_estimate(&mut self, now: Instant) {
        let videos = self.open_lines(MediaKind::Video).count() as u64;
        let is_low = videos > 0
            && self
                .estimate
                .twcc_bps
                .is_some_and(|bps| bps < videos * LOW_VIDEO_BPS);
        if self.evidence.should_start_over(is_low, now) {
            let restart_bps = videos * RESTART_VIDEO_BPS;
            tracing::debug!(
                estimate_bps = self.estimate.twcc_bps,
                restart_bps,
                "estimation starts over"
            );
            self.rtc.bwe().reset(Bitrate::bps(restart_bps));
            self.estimate.twcc_bps = Some(restart_bps);
        }
    }

    fn open_lines(&self, kind: MediaKind) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.is_open(kind))
    }

    /// For each open video line, how long its oldest packet has been waiting to be sent.
    fn queue_delays(&mut self, now: Instant) -> Vec<Duration> {
        let mids: Vec<Mid> = self
            .open_lines(MediaKind::Video)
            .map(|line| line.mid)
            .collect();
        let mut direct = self.rtc.direct_api();
        mids.into_iter()
            .map(|mid| {
                direct
                    .stream_tx_by_mid(mid, None)
                    .and_then(|stream| stream.queue_info()?.first_unsent())
                    .map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
            })
            .collect()
    }

    /// Estimation probes up to what could be wanted, and no further.
    fn set_desired(&mut self) {
        let count = |kind| self.open_lines(kind).count() as u64;
        let desired_bps =
            count(MediaKind::Video) * VIDEO_WANTED_BPS + count(MediaKind::Audio) * AUDIO_WANTED_BPS;
        if desired_bps != self.estimate.desired_bps {
            self.estimate.desired_bps = desired_bps;
            self.rtc
                .bwe()
                .set_desired_bitrate(Bitrate::bps(desired_bps));
        }
    }
}

impl Quality {
    fn is_news_after(&self, told: &Self) -> bool {
        let differs = |now: u64, before: u64| now.abs_diff(before) * 10 > before;
        let limits = (self.held_back.limit_bps, told.held_back.limit_bps);
        self.picture != told.picture
            || self.held_back.slow_for != told.held_back.slow_for
            || differs(self.down_bps, told.down_bps)
            || self.loss_percent.abs_diff(told.loss_percent) >= 2
            || match limits {
                (Some(now), Some(before)) => differs(now, before),
                (now, before) => now != before,
            }
    }
}

impl Line {
    fn new(mid: Mid, track: &TrackRef) -> Self {
        Self {
            mid,
            track: track.clone(),
            state: LineState::Offered,
            rewriter: Rewriter::default(),
            payload_types: HashMap::new(),
            gate: Gate::Open,
            has_forwarded: false,
        }
    }

    fn carries(&self, track: &TrackRef) -> bool {
        self.state != LineState::Parked && self.track == *track
    }

    /// A section keeps its kind and its stream's name.
    fn can_take(&self, track: &TrackRef) -> bool {
        self.state == LineState::Parked
            && self.track.kind == track.kind
            && stream_name(&self.track) == stream_name(track)
    }

    /// The section goes on with another track; to the receiver it stays one stream, whose numbers go on.
    fn take(&mut self, track: &TrackRef) {
        let mut rewriter = std::mem::take(&mut self.rewriter);
        rewriter.interrupt();
        *self = Self {
            rewriter,
            ..Self::new(self.mid, track)
        };
    }

    fn is_open(&self, kind: MediaKind) -> bool {
        self.state == LineState::Open && self.track.kind == kind
    }

    fn offered(&self) -> OfferedTrack {
        OfferedTrack {
            mid: self.mid.to_string(),
            participant: self.track.participant,
            track: self.track.name.clone(),
            kind: self.track.kind,
            source: self.track.source,
        }
    }

    fn lets_through(&mut self, received: &Received<'_>, now: Instant) -> bool {
        match self.gate {
            Gate::Open => true,
            Gate::Withheld { .. } => false,
            Gate::AwaitsKeyFrame { since } => {
                let is_due = begins_key_frame(received.codec.codec, &received.packet.payload)
                    || now.duration_since(since) > KEY_FRAME_PATIENCE;
                if is_due {
                    self.gate = Gate::Open;
                }
                is_due
            }
        }
    }

    fn apply(&mut self, share: Share, now: Instant) {
        match (self.gate, share) {
            (Gate::Open | Gate::AwaitsKeyFrame { .. }, Share::Withheld) => {
                self.gate = Gate::Withheld { since: now };
                self.rewriter.interrupt();
            }
            (Gate::Withheld { since }, Share::Limit(_))
                if now.duration_since(since) >= WITHHELD_AT_LEAST =>
            {
                self.gate = Gate::AwaitsKeyFrame { since: now };
            }
            _ => {}
        }
    }

    /// Browsers number codecs differently: the same codec and format at the subscriber.
    fn payload_type(&mut self, rtc: &Rtc, of_publisher: Pt, codec: CodecSpec) -> Option<Pt> {
        let mid = self.mid;
        *self.payload_types.entry(of_publisher).or_insert_with(|| {
            let agreed = rtc.media(mid)?.remote_pts();
            let params = rtc.codec_config().find(|params| {
                let spec = params.spec();
                spec.codec == codec.codec
                    && spec.format.profile_id.unwrap_or(0) == codec.format.profile_id.unwrap_or(0)
                    && agreed.contains(&params.pt())
            })?;
            Some(params.pt())
        })
    }
}

fn stream_name(track: &TrackRef) -> String {
    match track.source {
        MediaSource::Screen => format!("{}-screen", track.participant),
        _ => track.participant.to_string(),
    }
}

/// Header extensions that mean the same at both ends. `mid` and `rid` belong to a connection; the transport's own
/// (sequence numbers, send time) are rewritten.
fn kept_extensions(received: &ExtensionValues) -> ExtensionValues {
    ExtensionValues {
        video_orientation: received.video_orientation,
        abs_capture_time: received.abs_capture_time,
        ..ExtensionValues::default()
    }
}
