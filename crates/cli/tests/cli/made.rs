//! A recording of two parts, made by the real recorder and put into a folder as it comes from the vault: part 0
//! with manifest and receipt, part 1 cut off and closed by the vault.

use std::path::{Path, PathBuf};

use sealed_visit_protocol::clinic::WrapSuite;
use sealed_visit_protocol::recording::{
    ClosingClaims, EndReason, PreviousPart, ReceiptClaims, ShareGrant, TrackReceipt, TrackSummary,
};
use sealed_visit_protocol::track::{TrackKind, TrackState};
use sealed_visit_protocol::{B64, Hash32, TrackId, VERSION};
use sealed_visit_recording::seal::hpke::{CryptoRng, system_rng};
use sealed_visit_recording::*;
use serde_json::{Value, json};

use sealed_visit_testing::recording::{START_MS, World};

/// Two seconds of a test picture and a tone, VP8 and Opus, as a MediaRecorder would have made it.
pub const WEBM: &[u8] = include_bytes!("../test.webm");

pub struct Made {
    pub folder: PathBuf,
    /// The root key's `x`.
    pub root: String,
    /// The mixed tracks' slices, by part.
    pub mixed: Vec<Vec<Vec<u8>>>,
    /// The mixed tracks' ids, by part.
    pub tracks: Vec<String>,
    pub shares: Vec<String>,
}

struct Track {
    id: TrackId,
    file: Vec<u8>,
    ends: Vec<usize>,
    envelope: String,
    share: B64,
}

pub fn make_recording(folder: &Path, keys: &[PathBuf]) -> Made {
    make_recording_of(folder, keys, "video/webm;codecs=\"vp8,opus\"")
}

/// With this media type of the mixed tracks.
pub fn make_recording_of(folder: &Path, keys: &[PathBuf], media_type: &str) -> Made {
    make_recording_with(folder, keys, media_type, WEBM)
}

/// With these bytes in the mixed tracks.
pub fn make_recording_with(
    folder: &Path,
    keys: &[PathBuf],
    media_type: &str,
    media: &[u8],
) -> Made {
    let recipients: Vec<(WrapSuite, Vec<u8>)> = keys
        .iter()
        .map(|key| {
            let file = std::fs::read(format!("{}.pub.json", key.display())).unwrap();
            let json: Value = serde_json::from_slice(&file).unwrap();
            let suite = serde_json::from_value(json["suite"].clone()).unwrap();
            let key: B64 = serde_json::from_value(json["public_key"].clone()).unwrap();
            (suite, key.0)
        })
        .collect();
    let world = World::new(&recipients);
    std::fs::create_dir_all(folder).unwrap();
    let slices: Vec<Vec<u8>> = media
        .chunks(media.len().div_ceil(8))
        .map(<[u8]>::to_vec)
        .collect();
    let first = part(&world, folder, media_type, &slices, None);
    let previous = PreviousPart {
        part: 0,
        heads: first.heads,
    };
    let second = part(&world, folder, media_type, &slices, Some(previous));
    let file = json!({
        "recording": world.recording,
        "expires_ms": START_MS + 900_000,
        "parts": [first.json, second.json],
    });
    std::fs::write(folder.join("recording.json"), format!("{file:#}\n")).unwrap();
    std::fs::write(folder.join("clinic.jws"), format!("{}\n", world.clinic_jws)).unwrap();
    Made {
        folder: folder.to_path_buf(),
        root: Hash32(*world.root.public().as_bytes()).to_string(),
        // The vault closed part 1 at its fifth segment.
        mixed: vec![slices.clone(), slices[..5].to_vec()],
        tracks: vec![first.mixed, second.mixed],
        shares: [first.shares, second.shares].concat(),
    }
}

struct MadePart {
    json: Value,
    mixed: String,
    heads: Vec<(TrackId, Hash32)>,
    shares: Vec<String>,
}

fn part(
    world: &World,
    folder: &Path,
    media_type: &str,
    slices: &[Vec<u8>],
    previous: Option<PreviousPart>,
) -> MadePart {
    let number = u32::from(previous.is_some());
    let mut rng = system_rng();
    let plans = [
        (TrackKind::Mixed, media_type),
        (TrackKind::Events, EVENTS_MEDIA_TYPE),
    ]
    .map(|(content, media_type)| TrackPlan {
        content,
        media_type: media_type.into(),
    });
    let draft = PartDraft::new(
        PartPlan {
            visit: world.visit,
            recording: world.recording,
            part: number,
            tracks: &plans,
            recipients: &world.recipients,
            clinic: &world.clinic,
            share_required: true,
        },
        &mut rng,
    )
    .unwrap();
    let shares: Vec<ShareGrant> = draft
        .open_tracks()
        .iter()
        .map(|track| ShareGrant {
            track: track.track,
            share: B64(random(&mut rng)),
            create_url: "/upload".into(),
        })
        .collect();
    let open = world.open(number, draft.recording_key(), draft.open_tracks(), previous);
    let started_ms = START_MS + 2_500 + u64::from(number) * 60_000;
    let mut recorder = draft.start(&open, &shares, started_ms, &mut rng).unwrap();
    let ids: Vec<TrackId> = recorder
        .headers()
        .map(|header| header.claims().track)
        .collect();
    let mut tracks: Vec<Track> = ids
        .iter()
        .map(|id| Track {
            id: *id,
            file: recorder.track_start(*id).unwrap().to_vec(),
            ends: vec![],
            envelope: recorder.envelope(*id).unwrap().to_string(),
            share: shares
                .iter()
                .find(|share| share.track == *id)
                .unwrap()
                .share
                .clone(),
        })
        .collect();
    for (index, slice) in slices.iter().enumerate() {
        let media_end_us = (index as u64 + 1) * 250_000;
        let events = [EventLine {
            at_us: media_end_us,
            event: Event::Mark {
                text: format!("mark {index}"),
            },
        }];
        for (track, slice) in tracks.iter_mut().zip([slice, &encode_events(&events)]) {
            let at_ms = started_ms + media_end_us / 1_000;
            let sealed = recorder
                .seal(track.id, slice, media_end_us, at_ms, &mut rng)
                .unwrap();
            track.file.extend_from_slice(&sealed.bytes);
            track.ends.push(track.file.len());
        }
        recorder.count_mark();
    }
    recorder.gap(ids[0], 500_000, 500_000, "frozen").unwrap();
    let heads = recorder.heads();
    let manifest = recorder.finish(PartEnd {
        reason: EndReason::Stopped,
        ended_ms: started_ms + 2_050,
        withdrawal: None,
        places: Vec::new(),
    });
    let finished = number == 0;
    if !finished {
        // The recorder's device vanished in its sixth segment.
        tracks
            .iter_mut()
            .for_each(|track| track.file.truncate(track.ends[4]));
    }
    let (summaries, receipts): (Vec<_>, Vec<_>) = tracks.iter().map(judged_by_vault).unzip();
    let closing = world.vault.sign(&ClosingClaims {
        v: VERSION,
        recording: world.recording,
        part: number,
        open: open.hash(),
        tracks: summaries,
        reason: EndReason::Unfinished,
        stopped_ms: started_ms + 1_250,
        closed_ms: started_ms + 86_400_000,
        withdrawal: None,
    });
    let receipt = world.vault.sign(&ReceiptClaims {
        v: VERSION,
        recording: world.recording,
        part: number,
        open: open.hash(),
        tracks: receipts,
        ended_by: if finished {
            manifest.hash()
        } else {
            closing.hash()
        },
        finished,
        audit_head: None,
        at_ms: started_ms + 86_400_000,
    });
    let listed: Vec<Value> = tracks
        .iter()
        .map(|track| {
            std::fs::write(folder.join(format!("{}.track", track.id)), &track.file).unwrap();
            json!({
                "track": track.id,
                "share": track.share,
                "url": format!("/v1/tracks/{}", track.id),
                "size_bytes": track.file.len(),
                "envelopes": [track.envelope],
            })
        })
        .collect();
    MadePart {
        json: json!({
            "part": number,
            "state": if finished { "finished" } else { "unfinished" },
            "open": open,
            "manifest": finished.then_some(&manifest),
            "closing": (!finished).then_some(&closing),
            "receipt": receipt,
            "tracks": listed,
        }),
        mixed: ids[0].to_string(),
        heads,
        shares: tracks
            .iter()
            .map(|track| sealed_visit_protocol::bytes::to_base64url(&track.share.0))
            .collect(),
    }
}

fn judged_by_vault(track: &Track) -> (TrackSummary, TrackReceipt) {
    let mut state = TrackState::new();
    state.feed(&track.file, |_| {}).unwrap();
    let summary = TrackSummary {
        track: track.id,
        header_hash: state.header().unwrap().hash(),
        segments: state.segments(),
        length_bytes: state.verified_bytes(),
        head: state.head(),
        index_hash: state.index_hash(),
        media_end_us: state.media_end_us(),
        gaps: vec![],
    };
    let receipt = TrackReceipt {
        track: track.id,
        length_bytes: summary.length_bytes,
        segments: summary.segments,
        head: summary.head,
        envelope: sealed_visit_protocol::hash::sha256(track.envelope.as_bytes()),
    };
    (summary, receipt)
}

fn random(rng: &mut impl CryptoRng) -> Vec<u8> {
    let mut bytes = vec![0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}
