//! A track file at a verifier and an opener: header, segments, checkpoints. Input: a byte for the size of the
//! pieces, then the file; with 255 for that byte, a header alone.
//!
//! Law: what is called verified, and what is released, is a prefix of what was recorded.

use crate::scene::{SHARE, Scene};
use sealed_visit_protocol::track::{Header, MAGIC, RecordType, TrackState, write_record};
use sealed_visit_recording::{TrackOpener, unwrap_track_key};

const ONLY_HEADER: u8 = 255;

thread_local! {
    static SCENE: Scene = Scene::new();
}

pub fn seeds() -> Vec<Vec<u8>> {
    SCENE.with(|scene| {
        let whole = |piece: u8| [&[piece], scene.track.as_slice()].concat();
        // Cuts, so that changes near the end of a file are changes in every record.
        let cut = |at: usize| [&[9], &scene.track[..at]].concat();
        let records = (1..8).map(|n| cut(scene.track.len() * n / 8));
        let header = [&[ONLY_HEADER], scene.header.bytes()].concat();
        [whole(0), whole(3), whole(200), header.clone(), header]
            .into_iter()
            .chain(records)
            .collect()
    })
}

pub fn run(input: &[u8]) -> bool {
    let [piece, file @ ..] = input else {
        return false;
    };
    if *piece == ONLY_HEADER {
        return header(file);
    }
    let piece_bytes = 1 + usize::from(*piece) * 16;
    SCENE.with(|scene| {
        let mut state = TrackState::expecting(scene.header.hash());
        for bytes in file.chunks(piece_bytes) {
            if state.feed(bytes, |_| {}).is_err() {
                break;
            }
        }
        let verified = usize::try_from(state.verified_bytes()).expect("of a file in memory");
        assert!(verified <= file.len());
        assert_eq!(
            file[..verified],
            scene.track[..verified],
            "not what was recorded"
        );
        // Opening costs more than verifying: where there is something to open.
        if state.segments() > 0 {
            released_is_prefix(scene, file, piece_bytes);
        }
        state.segments() as usize == scene.slices.len()
    })
}

/// Whatever can be read as a header can begin a track.
fn header(bytes: &[u8]) -> bool {
    let Ok(header) = Header::parse(bytes) else {
        return false;
    };
    let mut file = MAGIC.to_vec();
    write_record(&mut file, RecordType::Header, bytes)
        .expect("a header that was read is not too long");
    let mut state = TrackState::new();
    state.feed(&file, |_| {}).expect("a header that was read");
    assert_eq!(state.header(), Some(&header));
    true
}

fn released_is_prefix(scene: &Scene, file: &[u8], piece_bytes: usize) {
    let key = unwrap_track_key(
        &scene.envelope,
        &scene.header,
        &scene.recipient,
        Some(&SHARE),
    );
    let mut opener = TrackOpener::new(scene.header.clone(), key.expect("the genuine envelope"));
    let mut released: Vec<Vec<u8>> = Vec::new();
    for bytes in file.chunks(piece_bytes) {
        if opener
            .feed(bytes, |segment| released.push(segment.plaintext.to_vec()))
            .is_err()
        {
            break;
        }
    }
    let end = opener.finish();
    assert!(
        scene.slices.starts_with(&released),
        "released what was not recorded"
    );
    assert_eq!(end.state.segments() as usize, released.len());
}
