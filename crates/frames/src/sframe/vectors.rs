//! The vectors of RFC 9605, appendix C.

use ::sframe::header::SframeHeader;
use serde::Deserialize;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{DecryptionKey, EncryptionKey, FrameBuffer, FrameHead, Kid};

#[derive(Deserialize)]
struct Vectors {
    header: Vec<HeaderVector>,
    sframe: SframeVector,
}

#[derive(Deserialize)]
struct HeaderVector {
    kid: u64,
    ctr: u64,
    encoded: String,
}

#[derive(Deserialize)]
struct SframeVector {
    kid: u64,
    ctr: u64,
    base_key: String,
    metadata: String,
    pt: String,
    ct: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../../tests/vectors/rfc9605.json")).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

#[test]
fn encodes_and_decodes_every_header_of_the_rfc() {
    let vectors = vectors().header;
    assert_eq!(vectors.len(), 289);
    for HeaderVector { kid, ctr, encoded } in vectors {
        let encoded = bytes(&encoded);
        assert_eq!(
            Vec::from(&SframeHeader::new(kid, ctr)),
            encoded,
            "kid {kid} ctr {ctr}"
        );
        let decoded = SframeHeader::deserialize(&encoded).unwrap();
        assert_eq!((decoded.key_id(), decoded.counter()), (kid, ctr));
        // The head of a frame is the same header behind the clear bytes and before at least a tag.
        let frame = [&b"clear"[..], &encoded, &[0; 16]].concat();
        let head = FrameHead::parse(&frame, 5).unwrap();
        assert_eq!(head.kid().map(Kid::value), (kid < 1 << 14).then_some(kid));
        assert!(FrameHead::parse(&frame[..frame.len() - 1], 5).is_none());
    }
}

#[test]
fn encrypts_and_decrypts_the_frame_of_the_rfc() {
    let SframeVector {
        kid,
        ctr,
        base_key,
        metadata,
        pt,
        ct,
    } = vectors().sframe;
    let base_key = bytes(&base_key).try_into().unwrap();
    let (metadata, plaintext, ciphertext) = (bytes(&metadata), bytes(&pt), bytes(&ct));
    let kid = Kid::from_header(kid).unwrap();
    let protected = [&metadata[..], &ciphertext].concat();

    let mut buffer = FrameBuffer::new();
    buffer.load(&[&metadata[..], &plaintext].concat());
    let mut sender = EncryptionKey::derive(&base_key, kid);
    sender.skip_to(ctr);
    sender.encrypt(metadata.len(), &mut buffer).unwrap();
    assert_eq!(hex::encode(buffer.bytes()), hex::encode(&protected));

    buffer.load(&protected);
    let head = FrameHead::parse(&protected, metadata.len()).unwrap();
    let receiver = DecryptionKey::derive(&base_key, kid);
    let _ = receiver.open(&head, &mut buffer).unwrap();
    assert_eq!(buffer.bytes(), [metadata, plaintext].concat());
}

#[test]
fn agrees_with_the_sframe_crates_own_back_end() {
    use ::sframe::{
        frame::{EncryptedFrameView, MediaFrameView, MonotonicCounter},
        key,
    };

    let base_key = [0x5a; 16];
    let kid = Kid::from_header(0x1234).unwrap();
    let mut ours = EncryptionKey::derive(&base_key, kid);
    let our_receiver = DecryptionKey::derive(&base_key, kid);
    let theirs = key::EncryptionKey::derive_from(super::SUITE, kid.value(), base_key).unwrap();
    let their_receiver =
        key::DecryptionKey::derive_from(super::SUITE, kid.value(), base_key).unwrap();
    let mut their_counter = MonotonicCounter::default();
    let mut buffer = FrameBuffer::new();
    for len in [
        0, 1, 15, 16, 17, 95, 96, 97, 112, 113, 127, 128, 129, 1200, 8191, 8192, 70_000,
    ] {
        let payload: Vec<u8> = (0..len).map(|i| (i * 7 + len) as u8).collect();
        let view =
            MediaFrameView::try_with_meta_data(&mut their_counter, &payload, b"meta").unwrap();
        let their_frame = view.encrypt(&theirs).unwrap();
        let their_bytes: &[u8] = their_frame.as_ref();

        buffer.load(&[&b"meta"[..], &payload].concat());
        ours.encrypt(4, &mut buffer).unwrap();
        assert!(buffer.bytes() == their_bytes, "{len} bytes");
        let view = EncryptedFrameView::try_with_meta_data(&buffer.bytes()[4..], b"meta").unwrap();
        assert!(
            view.decrypt(&their_receiver).unwrap().payload() == payload,
            "{len} bytes"
        );

        let head = FrameHead::parse(buffer.bytes(), 4).unwrap();
        let _ = our_receiver.open(&head, &mut buffer).unwrap();
        assert!(buffer.bytes()[4..] == payload, "{len} bytes");
    }
}
