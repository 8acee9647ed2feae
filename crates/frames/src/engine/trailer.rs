//! The trailer that ends each frame's plaintext, encrypted and authenticated with it.
//!
//! ```text
//!  | payload | track tag, 4 | capture time, us, 7 | version, 4 bits, layer, 4 bits |
//! ```
//! All numbers are big-endian. SFUs rewrite SSRC, sequence number, payload type and RTP timestamp,
//! so what a frame is and when it was captured must travel in here. The *track tag* is the head of
//! a SHA-256 over the track's id: enough to see that a server put a frame of one track into another
//! of the same sender, who alone could make two tags equal.

use sha2::{Digest, Sha256};

/// Length of the trailer.
pub const TRAILER_BYTES: usize = 12;
/// The highest layer number.
pub const MAX_LAYER: u8 = 15;
/// The latest capture time that fits, some 2,283 years after its zero.
pub const MAX_CAPTURE_TIME_US: u64 = (1 << 56) - 1;

const VERSION: u8 = 1;
const TAG_LABEL: &[u8] = b"sealed-visit 1 track tag\0";

/// What stands for a track's id in trailers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TrackTag([u8; 4]);

impl TrackTag {
    /// The tag of the track with this id.
    pub fn of(track_id: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(TAG_LABEL)
            .chain_update(track_id)
            .finalize();
        Self([digest[0], digest[1], digest[2], digest[3]])
    }
}

/// What a frame says about itself under encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Which of the sender's tracks the frame belongs to.
    pub track: TrackTag,
    /// Which simulcast or spatial layer of the track, at most [`MAX_LAYER`].
    pub layer: u8,
    /// When the sender captured the frame, on the sender's own clock.
    pub capture_time_us: u64,
}

impl Trailer {
    /// The trailer's bytes. A capture time too large to fit becomes the largest that does.
    pub fn encode(&self) -> [u8; TRAILER_BYTES] {
        let mut bytes = [0; TRAILER_BYTES];
        let capture_time_us = self.capture_time_us.min(MAX_CAPTURE_TIME_US);
        bytes[..4].copy_from_slice(&self.track.0);
        bytes[4..11].copy_from_slice(&capture_time_us.to_be_bytes()[1..]);
        bytes[11] = VERSION << 4 | self.layer & MAX_LAYER;
        bytes
    }

    /// Reads the trailer at the end of `plaintext`; `None` if there is none of a known version.
    pub fn decode(plaintext: &[u8]) -> Option<Self> {
        let [t0, t1, t2, t3, c1, c2, c3, c4, c5, c6, c7, last] =
            *plaintext.last_chunk::<TRAILER_BYTES>()?;
        (last >> 4 == VERSION).then(|| Self {
            track: TrackTag([t0, t1, t2, t3]),
            layer: last & MAX_LAYER,
            capture_time_us: u64::from_be_bytes([0, c1, c2, c3, c4, c5, c6, c7]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const TRAILER: Trailer = Trailer {
        track: TrackTag([1, 2, 3, 4]),
        layer: 5,
        capture_time_us: 0x00a1_a2a3_a4a5_a6a7,
    };

    #[test]
    fn keeps_its_documented_layout() {
        let expected = [1, 2, 3, 4, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0x15];
        assert_eq!(TRAILER.encode(), expected);
        assert_eq!(Trailer::decode(&expected), Some(TRAILER));
        assert_eq!(
            Trailer::decode(&[&[9; 50][..], &expected].concat()),
            Some(TRAILER)
        );
    }

    #[test]
    fn refuses_other_versions_and_short_plaintexts() {
        for version in (0..16).filter(|version| *version != VERSION) {
            let mut bytes = TRAILER.encode();
            bytes[11] = version << 4 | 5;
            assert_eq!(Trailer::decode(&bytes), None);
        }
        for len in 0..TRAILER_BYTES {
            assert_eq!(Trailer::decode(&TRAILER.encode()[..len]), None);
        }
    }

    #[test]
    fn clamps_capture_times_that_do_not_fit() {
        let trailer = Trailer {
            capture_time_us: u64::MAX,
            ..TRAILER
        };
        let decoded = Trailer::decode(&trailer.encode()).unwrap();
        assert_eq!(decoded.capture_time_us, MAX_CAPTURE_TIME_US);
    }

    #[test]
    fn tells_tracks_apart_by_their_ids() {
        let ids = ["", "camera", "screen", "microphone", "camera\0", "Camera"];
        let tags: std::collections::HashSet<_> = ids.map(TrackTag::of).into();
        assert_eq!(tags.len(), ids.len());
        assert_eq!(TrackTag::of("camera"), TrackTag::of("camera"));
    }
}
