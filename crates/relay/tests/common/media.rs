//! A browser's peer connection, played by str0m, with a line that can be made bad.

use super::Client;
use sealed_visit_protocol::wire::{
    ClientMessage, MediaKind, MediaSource, OfferedTrack, PublishedTrack, RelayMessage,
};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::format::{Codec, FormatParams};
use str0m::media::{Direction, Frequency, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc};
use tokio::net::UdpSocket;

/// The payload types that Firefox uses; the relay's own are others.
pub const OPUS: u8 = 109;
pub const VP8: u8 = 120;

/// Decides over a datagram on its way in: false loses it.
pub type Filter = Box<dyn FnMut(&[u8]) -> bool + Send>;

pub struct Peer {
    pub rtc: Rtc,
    socket: UdpSocket,
    address: SocketAddr,
    due_at: Instant,
    pub inbound: Option<Filter>,
    pub outbound: Option<Filter>,
    line: Option<SlowLine>,
    pub events: Vec<Event>,
    /// Media sections of the relay's latest offer.
    pub sections: usize,
}

/// A drop-tail queue in front of a slow line.
struct SlowLine {
    bps: u64,
    max_delay: Duration,
    free_at: Instant,
    queue: VecDeque<(Instant, SocketAddr, Vec<u8>)>,
}

impl Peer {
    pub async fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut config = str0m::RtcConfig::new().set_rtp_mode(true).clear_codecs();
        let codecs = config.codec_config();
        codecs.add_config(
            OPUS.into(),
            None,
            Codec::Opus,
            Frequency::FORTY_EIGHT_KHZ,
            Some(2),
            FormatParams::default(),
        );
        codecs.add_config(
            VP8.into(),
            Some(124.into()),
            Codec::Vp8,
            Frequency::NINETY_KHZ,
            None,
            FormatParams::default(),
        );
        let mut rtc = config.build(Instant::now());
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        Self {
            rtc,
            socket,
            address,
            due_at: Instant::now(),
            inbound: None,
            outbound: None,
            line: None,
            events: Vec::new(),
            sections: 0,
        }
    }

    /// From now on everything received passes a line of this rate, with at most this much waiting in front of it.
    pub fn slow_down(&mut self, bps: u64, max_delay: Duration) {
        self.line = Some(SlowLine {
            bps,
            max_delay,
            free_at: Instant::now(),
            queue: VecDeque::new(),
        });
    }

    /// Publishes a microphone and a camera; returns their sections.
    pub async fn publish(&mut self, client: &mut Client) -> (Mid, Mid) {
        self.publish_as(client, "").await
    }

    /// With this at the end of the tracks' names.
    pub async fn publish_as(&mut self, client: &mut Client, suffix: &str) -> (Mid, Mid) {
        let mut changes = self.rtc.sdp_api();
        let audio = changes.add_media(
            str0m::media::MediaKind::Audio,
            Direction::SendOnly,
            None,
            None,
            None,
        );
        let video = changes.add_media(
            str0m::media::MediaKind::Video,
            Direction::SendOnly,
            None,
            None,
            None,
        );
        let (offer, pending) = changes.apply().unwrap();
        let track = |mid: Mid, name: &str, kind, source| PublishedTrack {
            mid: mid.to_string(),
            track: format!("{name}{suffix}"),
            kind,
            source,
        };
        client
            .send(&ClientMessage::PublishOffer {
                sdp: offer.to_sdp_string(),
                tracks: vec![
                    track(
                        audio,
                        "microphone",
                        MediaKind::Audio,
                        MediaSource::Microphone,
                    ),
                    track(video, "camera", MediaKind::Video, MediaSource::Camera),
                ],
            })
            .await;
        let sdp = client
            .until(|message| match message {
                RelayMessage::PublishAnswer { sdp } => Some(sdp),
                RelayMessage::Error { detail, .. } => panic!("{detail}"),
                _ => None,
            })
            .await;
        let answer = SdpAnswer::from_sdp_string(&sdp).unwrap();
        self.rtc.sdp_api().accept_answer(pending, answer).unwrap();
        (audio, video)
    }

    /// Publishes so many microphones from a connection of its own; the relay's refusal is the error.
    pub async fn publish_sounds(client: &mut Client, count: usize) -> Result<(), String> {
        let mut peer = Self::new().await;
        let mut changes = peer.rtc.sdp_api();
        let tracks = (0..count)
            .map(|index| PublishedTrack {
                mid: changes
                    .add_media(
                        str0m::media::MediaKind::Audio,
                        Direction::SendOnly,
                        None,
                        None,
                        None,
                    )
                    .to_string(),
                track: format!("sound-{index}"),
                kind: MediaKind::Audio,
                source: MediaSource::Microphone,
            })
            .collect();
        let (offer, _) = changes.apply().unwrap();
        client
            .send(&ClientMessage::PublishOffer {
                sdp: offer.to_sdp_string(),
                tracks,
            })
            .await;
        client
            .until(|message| match message {
                RelayMessage::PublishAnswer { .. } => Some(Ok(())),
                RelayMessage::Error { detail, .. } => Some(Err(detail)),
                _ => None,
            })
            .await
    }

    /// Takes the relay's next offer.
    pub async fn answer(&mut self, client: &mut Client) -> Vec<OfferedTrack> {
        let (generation, sdp, tracks) = client
            .until(|message| match message {
                RelayMessage::SubscribeOffer {
                    generation,
                    sdp,
                    tracks,
                } => Some((generation, sdp, tracks)),
                RelayMessage::Error { detail, .. } => panic!("{detail}"),
                _ => None,
            })
            .await;
        assert!(
            !sdp.contains("ssrc-audio-level"),
            "who speaks is nobody's business"
        );
        self.sections = sdp.matches("m=").count();
        let offer = SdpOffer::from_sdp_string(&sdp).unwrap();
        let answer = self.rtc.sdp_api().accept_offer(offer).unwrap();
        client
            .send(&ClientMessage::SubscribeAnswer {
                generation,
                sdp: answer.to_sdp_string(),
            })
            .await;
        tracks
    }

    pub fn write(&mut self, mid: Mid, payload_type: u8, seq: u64, time: u32, payload: &[u8]) {
        let is_video = payload_type == VP8;
        self.rtc
            .direct_api()
            .stream_tx_by_mid(mid, None)
            .unwrap()
            .write_rtp(
                RtpWrite::new(
                    payload_type.into(),
                    seq.into(),
                    time,
                    Instant::now(),
                    payload,
                )
                .marker(is_video)
                .nackable(is_video),
            );
        self.due_at = Instant::now();
    }

    /// Makes so many streams in one section.
    pub fn rtc_streams(&mut self, mid: Mid, count: u32) -> Vec<Ssrc> {
        let mut api = self.rtc.direct_api();
        (0..count)
            .map(|index| {
                api.declare_stream_tx((1_000_000 + index).into(), None, mid, None)
                    .ssrc()
            })
            .collect()
    }

    pub fn write_stream(&mut self, ssrc: Ssrc, payload_type: u8, seq: u64) {
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx(&ssrc).unwrap();
        let now = Instant::now();
        stream.write_rtp(RtpWrite::new(
            payload_type.into(),
            seq.into(),
            0,
            now,
            *b"payload",
        ));
        self.due_at = now;
    }

    /// Packets received so far, taken out.
    pub fn take_packets(&mut self) -> Vec<RtpPacket> {
        let events = std::mem::take(&mut self.events);
        let (packets, others) = events
            .into_iter()
            .partition(|event| matches!(event, Event::RtpPacket(_)));
        self.events = others;
        let packets: Vec<Event> = packets;
        packets
            .into_iter()
            .filter_map(|event| match event {
                Event::RtpPacket(packet) => Some(packet),
                _ => None,
            })
            .collect()
    }

    pub fn mid_of(&mut self, packet: &RtpPacket) -> Mid {
        let ssrc = packet.header.ssrc;
        self.rtc.direct_api().stream_rx(&ssrc).unwrap().mid()
    }

    /// Moves the connection on by whatever there is to do now.
    fn turn(&mut self) {
        let mut buffer = [0; 2048];
        while let Ok((length, source)) = self.socket.try_recv_from(&mut buffer) {
            let datagram = &buffer[..length];
            if self
                .inbound
                .as_mut()
                .is_some_and(|filter| !filter(datagram))
            {
                continue;
            }
            match &mut self.line {
                Some(line) => line.push(source, datagram),
                None => self.receive(source, datagram),
            }
        }
        while let Some((source, datagram)) = self.line.as_mut().and_then(SlowLine::pop) {
            self.receive(source, &datagram);
        }
        let now = Instant::now();
        if now >= self.due_at {
            self.rtc.handle_input(Input::Timeout(now)).unwrap();
            self.drain();
        }
    }

    fn receive(&mut self, source: SocketAddr, datagram: &[u8]) {
        let Ok(contents) = datagram.try_into() else {
            return;
        };
        let input = Input::Receive(
            Instant::now(),
            Receive {
                proto: Protocol::Udp,
                source,
                destination: self.address,
                contents,
            },
        );
        if self.rtc.accepts(&input) {
            self.rtc.handle_input(input).unwrap();
            self.drain();
        }
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) => {
                    self.due_at = at;
                    return;
                }
                Output::Transmit(transmit) => {
                    let contents = &transmit.contents[..];
                    if self.outbound.as_mut().is_none_or(|filter| filter(contents)) {
                        let _ = self.socket.try_send_to(contents, transmit.destination);
                    }
                }
                Output::Event(event) => self.events.push(event),
            }
        }
    }
}

impl SlowLine {
    fn push(&mut self, source: SocketAddr, datagram: &[u8]) {
        let now = Instant::now();
        let begin = self.free_at.max(now);
        if begin - now > self.max_delay {
            return;
        }
        let takes = Duration::from_secs_f64(datagram.len() as f64 * 8.0 / self.bps as f64);
        self.free_at = begin + takes;
        self.queue
            .push_back((self.free_at, source, datagram.to_vec()));
    }

    fn pop(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        let (at, ..) = self.queue.front()?;
        if *at > Instant::now() {
            return None;
        }
        self.queue
            .pop_front()
            .map(|(_, source, datagram)| (source, datagram))
    }
}

/// Moves peers on until `is_done`; panics after `limit`.
pub async fn drive_until(
    peers: &mut [&mut Peer],
    limit: Duration,
    what: &str,
    mut is_done: impl FnMut(&mut [&mut Peer]) -> bool,
) {
    let deadline = Instant::now() + limit;
    while !is_done(peers) {
        assert!(Instant::now() < deadline, "{what}: not so within {limit:?}");
        for peer in peers.iter_mut() {
            peer.turn();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub async fn drive_for(peers: &mut [&mut Peer], time: Duration) {
    let end = Instant::now() + time;
    drive_until(peers, time * 2 + Duration::from_secs(1), "time", |_| {
        Instant::now() >= end
    })
    .await;
}

/// True for an RTP packet (RFC 5761 section 4) of this payload type.
pub fn is_rtp(datagram: &[u8], payload_type: u8) -> bool {
    matches!(datagram, [first, second, ..] if first >> 6 == 2 && second & 0x7f == payload_type)
}
