//! One peer connection: str0m set up for opaque payloads.

use sealed_visit_protocol::wire::MediaKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use str0m::bwe::Bitrate;
use str0m::config::DtlsCert;
use str0m::crypto::CryptoProvider;
use str0m::format::{Codec, FormatParams};
use str0m::media::Frequency;
use str0m::rtp::{Extension, ExtensionMap};
use str0m::{Candidate, Input, Rtc, RtcConfig};

use super::MediaError;

/// Where estimation of a subscriber's line begins; probing finds within a second whether it carries more.
pub const INITIAL_ESTIMATE_BPS: u64 = 1_000_000;
const STATS_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);
/// Browsers bring sound and picture together once they have several reports of both. At the usual five seconds for
/// sound a recording's first half minute would be without.
const SENDER_REPORT_INTERVAL: std::time::Duration = std::time::Duration::from_millis(500);
/// Enough to answer NACKs for some seconds of video.
const RESEND_PACKETS: usize = 1024;

/// What all peer connections of this relay share.
#[derive(Debug)]
pub struct PeerFactory {
    candidates: Vec<Candidate>,
    certificate: DtlsCert,
    provider: Arc<CryptoProvider>,
}

impl PeerFactory {
    pub fn new(addresses: &[SocketAddr]) -> Result<Self, MediaError> {
        let provider = Arc::new(str0m::crypto::from_feature_flags());
        let certificate = provider
            .dtls_provider
            .generate_certificate()
            .ok_or(MediaError::Certificate)?;
        let candidates = addresses
            .iter()
            .map(|address| Candidate::host(*address, "udp"))
            .collect::<Result<_, _>>()
            .map_err(|_| MediaError::Address)?;
        Ok(Self {
            candidates,
            certificate,
            provider,
        })
    }

    /// A connection on which a participant sends.
    pub fn publisher(&self, now: Instant) -> Rtc {
        self.build(self.config(), now)
    }

    /// A connection on which a participant receives; its line's capacity is estimated.
    pub fn subscriber(&self, now: Instant) -> Rtc {
        let config = self
            .config()
            .enable_bwe(Some(Bitrate::bps(INITIAL_ESTIMATE_BPS)))
            .set_rtcp_report_interval_audio(SENDER_REPORT_INTERVAL)
            .set_rtcp_report_interval_video(SENDER_REPORT_INTERVAL)
            .set_send_buffer_video(RESEND_PACKETS);
        self.build(config, now)
    }

    fn config(&self) -> RtcConfig {
        let mut config = RtcConfig::new()
            .set_crypto_provider(self.provider.clone())
            .set_dtls_cert(self.certificate.clone())
            // Payloads are ciphertext: packets are forwarded as they come, never put together.
            .set_rtp_mode(true)
            .set_extension_map(extensions())
            .set_stats_interval(Some(STATS_INTERVAL))
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true);
        // Profile 0 alone: every receiver decodes it.
        config.codec_config().add_config(
            98.into(),
            Some(99.into()),
            Codec::Vp9,
            Frequency::NINETY_KHZ,
            None,
            FormatParams {
                profile_id: Some(0),
                ..FormatParams::default()
            },
        );
        config
    }

    fn build(&self, config: RtcConfig, now: Instant) -> Rtc {
        let mut rtc = config.build(now);
        for candidate in &self.candidates {
            rtc.add_local_candidate(candidate.clone());
        }
        rtc
    }
}

/// Without RFC 6464 audio levels: who speaks when is nobody's business here.
fn extensions() -> ExtensionMap {
    let mut map = ExtensionMap::empty();
    map.set(2, Extension::AbsoluteSendTime);
    map.set(3, Extension::TransportSequenceNumber);
    map.set(4, Extension::RtpMid);
    map.set(5, Extension::AbsoluteCaptureTime);
    map.set(13, Extension::VideoOrientation);
    map
}

/// Moves a connection's clock; to be called after every change before it is polled.
pub fn advance(rtc: &mut Rtc, now: Instant) {
    if rtc.handle_input(Input::Timeout(now)).is_err() {
        rtc.disconnect();
    }
}

pub fn kind_of(kind: MediaKind) -> str0m::media::MediaKind {
    match kind {
        MediaKind::Audio => str0m::media::MediaKind::Audio,
        MediaKind::Video => str0m::media::MediaKind::Video,
    }
}
