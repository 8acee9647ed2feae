//! Whether an RTP payload begins a key frame, from what stays in the clear.
//!
//! VP8: RFC 7741 section 4.2 (descriptor) and RFC 6386 section 9.1 (inverse key-frame flag in the first byte, which
//! senders leave readable). VP9: RFC 9628 section 4.2 (the descriptor alone).

use str0m::format::Codec;

pub fn begins_key_frame(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::Vp8 => vp8(payload).unwrap_or(false),
        Codec::Vp9 => vp9(payload).unwrap_or(false),
        _ => false,
    }
}

fn vp8(payload: &[u8]) -> Option<bool> {
    let first = *payload.first()?;
    let (has_extension, starts_partition, partition) =
        (first & 0x80 != 0, first & 0x10 != 0, first & 0x07);
    if !starts_partition || partition != 0 {
        return Some(false);
    }
    let mut length = 1;
    if has_extension {
        let extension = *payload.get(1)?;
        length += 1;
        if extension & 0x80 != 0 {
            let is_long = payload.get(length)? & 0x80 != 0;
            length += if is_long { 2 } else { 1 };
        }
        if extension & 0x40 != 0 {
            length += 1;
        }
        if extension & 0x30 != 0 {
            length += 1;
        }
    }
    Some(payload.get(length)? & 0x01 == 0)
}

fn vp9(payload: &[u8]) -> Option<bool> {
    let first = *payload.first()?;
    let (has_picture_id, is_predicted, has_layers, starts_frame) = (
        first & 0x80 != 0,
        first & 0x40 != 0,
        first & 0x20 != 0,
        first & 0x08 != 0,
    );
    if is_predicted || !starts_frame {
        return Some(false);
    }
    if !has_layers {
        return Some(true);
    }
    let mut length = 1;
    if has_picture_id {
        let is_long = payload.get(length)? & 0x80 != 0;
        length += if is_long { 2 } else { 1 };
    }
    // An upper spatial layer of a key picture has no P bit either.
    let spatial_layer = (payload.get(length)? >> 1) & 0x07;
    Some(spatial_layer == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_vp8_with_and_without_extensions() {
        assert!(begins_key_frame(Codec::Vp8, &[0x10, 0x50]));
        assert!(!begins_key_frame(Codec::Vp8, &[0x10, 0x51]));
        // X, I with a 15-bit picture id, L, T
        assert!(begins_key_frame(
            Codec::Vp8,
            &[0x90, 0xE0, 0x81, 0x02, 7, 0x20, 0x50]
        ));
        assert!(!begins_key_frame(
            Codec::Vp8,
            &[0x90, 0xE0, 0x81, 0x02, 7, 0x20, 0x51]
        ));
        // A later packet of the frame
        assert!(!begins_key_frame(Codec::Vp8, &[0x00, 0x50]));
    }

    #[test]
    fn reads_vp9_from_its_descriptor() {
        assert!(begins_key_frame(Codec::Vp9, &[0x88, 0x81, 0x02]));
        assert!(!begins_key_frame(Codec::Vp9, &[0xC8, 0x81, 0x02]));
        assert!(!begins_key_frame(Codec::Vp9, &[0x80, 0x81, 0x02]));
        assert!(begins_key_frame(Codec::Vp9, &[0xA8, 0x81, 0x02, 0x00]));
        assert!(!begins_key_frame(Codec::Vp9, &[0xA8, 0x81, 0x02, 0x02]));
    }

    #[test]
    fn takes_short_payloads_for_no_key_frame() {
        for codec in [Codec::Vp8, Codec::Vp9] {
            assert!(!begins_key_frame(codec, &[]));
        }
        assert!(!begins_key_frame(Codec::Vp8, &[0x90]));
        assert!(!begins_key_frame(Codec::Vp9, &[0xA8, 0x81]));
    }
}
