//! Which bytes of an encoded frame stay readable, per codec.
//!
//! An SFU routes by what it reads at the head of a frame, and a packetiser splits by it; those
//! bytes stay in the clear and are authenticated. Everything else is encrypted. A codec that is not
//! listed here is refused, never passed through.
//!
//! | codec | clear bytes | why |
//! |---|---|---|
//! | Opus | none | |
//! | VP8 | 10 of a key frame, 3 of another | SFUs find key frames there (RFC 7741, section 4.3; RFC 6386, section 9.1) |
//! | VP9 | none | its key flag travels in the RTP payload descriptor |

use thiserror::Error;

/// A codec whose frames can be protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 6716, RFC 7587.
    Opus,
    /// RFC 6386, RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
}

impl Codec {
    /// All of them, those for pictures in order of preference: VP8 costs the least to encode.
    pub const ALL: [Self; 3] = [Self::Opus, Self::Vp8, Self::Vp9];

    /// The codec that a WebRTC `mimeType` names, such as `video/VP8`: letter case and parameters
    /// after a semicolon are ignored.
    pub fn from_mime_type(mime_type: &str) -> Result<Self, UnsupportedCodec> {
        let essence = mime_type.split(';').next().unwrap_or_default().trim();
        Self::ALL
            .into_iter()
            .find(|codec| essence.eq_ignore_ascii_case(codec.mime_type()))
            .ok_or_else(|| UnsupportedCodec {
                mime_type: essence.chars().take(MAX_ECHOED_CHARS).collect(),
            })
    }

    /// The `mimeType` under which WebRTC knows this codec.
    pub fn mime_type(self) -> &'static str {
        match self {
            Self::Opus => "audio/opus",
            Self::Vp8 => "video/VP8",
            Self::Vp9 => "video/VP9",
        }
    }

    /// How many bytes at the head of `frame` stay in the clear.
    ///
    /// The answer depends only on those bytes themselves, so it is the same for the frame as the
    /// encoder made it and for the protected frame that arrives.
    pub fn clear_len(self, frame: &[u8]) -> Result<usize, TooShort> {
        let needed_bytes = match self {
            Self::Opus | Self::Vp9 => 0,
            Self::Vp8 => match frame.first() {
                Some(tag) if is_vp8_key_frame(*tag) => VP8_KEY_FRAME_HEADER_BYTES,
                Some(_) => VP8_FRAME_TAG_BYTES,
                None => {
                    return Err(TooShort {
                        needed_bytes: VP8_FRAME_TAG_BYTES,
                        size_bytes: 0,
                    });
                }
            },
        };
        if frame.len() < needed_bytes {
            return Err(TooShort {
                needed_bytes,
                size_bytes: frame.len(),
            });
        }
        Ok(needed_bytes)
    }
}

/// A codec that this version does not protect; frames of it are refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "frames of {mime_type:?} cannot be protected: negotiate audio/opus, video/VP9 or video/VP8"
)]
pub struct UnsupportedCodec {
    /// What was asked for.
    pub mime_type: String,
}

/// A frame that ends before its codec's clear header does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a frame of {size_bytes} bytes ends before its {needed_bytes} byte codec header does")]
pub struct TooShort {
    /// Bytes that the header needs.
    pub needed_bytes: usize,
    /// Bytes that the frame has.
    pub size_bytes: usize,
}

/// Frame tag, start code, width and height (RFC 6386, section 9.1).
const VP8_KEY_FRAME_HEADER_BYTES: usize = 10;
/// Frame tag (RFC 6386, section 9.1).
const VP8_FRAME_TAG_BYTES: usize = 3;
/// A refused name is repeated in the error, but not at any length.
const MAX_ECHOED_CHARS: usize = 40;

/// The tag's lowest bit is the *inverse* key frame flag (RFC 7741, section 4.3).
fn is_vp8_key_frame(first_byte: u8) -> bool {
    first_byte & 1 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn accepts_the_names_that_browsers_use() {
        for (name, codec) in [
            ("audio/opus", Codec::Opus),
            ("video/VP8", Codec::Vp8),
            ("VIDEO/vp9; profile-id=0", Codec::Vp9),
        ] {
            assert_eq!(Codec::from_mime_type(name), Ok(codec));
            assert_eq!(Codec::from_mime_type(codec.mime_type()), Ok(codec));
        }
    }

    #[test]
    fn refuses_codecs_that_it_cannot_protect() {
        for name in [
            "video/AV1",
            "video/H264",
            "video/H265",
            "audio/red",
            "video/rtx",
            "opus",
            "",
            ";",
        ] {
            let error = Codec::from_mime_type(name).unwrap_err();
            assert!(
                error.to_string().contains("cannot be protected"),
                "{name}: {error}"
            );
        }
    }

    #[test]
    fn echoes_at_most_forty_characters_of_a_refused_name() {
        let error = Codec::from_mime_type(&"ä".repeat(1000)).unwrap_err();
        assert_eq!(error.mime_type.chars().count(), MAX_ECHOED_CHARS);
    }

    #[test]
    fn leaves_nothing_of_opus_and_vp9_in_the_clear() {
        for codec in [Codec::Opus, Codec::Vp9] {
            for frame in [&[][..], &[0][..], &[0xff; 100][..]] {
                assert_eq!(codec.clear_len(frame), Ok(0));
            }
        }
    }

    #[test]
    fn leaves_the_vp8_header_in_the_clear() {
        assert_eq!(Codec::Vp8.clear_len(&[0x10; 10]), Ok(10));
        assert_eq!(Codec::Vp8.clear_len(&[0x10; 900]), Ok(10));
        assert_eq!(Codec::Vp8.clear_len(&[0x11; 3]), Ok(3));
        assert_eq!(Codec::Vp8.clear_len(&[0x11; 900]), Ok(3));
    }

    #[test]
    fn refuses_vp8_frames_shorter_than_their_header() {
        for len in 0..10 {
            assert!(
                Codec::Vp8.clear_len(&vec![0x10; len]).is_err(),
                "key frame of {len}"
            );
        }
        for len in 0..3 {
            assert!(
                Codec::Vp8.clear_len(&vec![0x11; len]).is_err(),
                "delta frame of {len}"
            );
        }
    }
}
