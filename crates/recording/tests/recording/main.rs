//! A recording through the real recorder, verifier and opener: sound as made, and under attack.

mod attacks;
mod limits;
mod mutations;
mod sealing;
#[cfg(not(target_arch = "wasm32"))]
mod vectors;
#[cfg(not(target_arch = "wasm32"))]
mod verdicts;

use hpke::rand_core::{CryptoRng, Rng};
use sealed_visit_protocol::clinic::WrapSuite;
use sealed_visit_protocol::recording::{
    EndReason, EnvelopeClaims, ManifestClaims, OpenClaims, ShareGrant,
};
use sealed_visit_protocol::track::{Header, TrackKind};
use sealed_visit_protocol::{B64, Jws, TrackId};
use sealed_visit_recording::seal::hpke::{PrivateKey, Suite, system_rng};
use sealed_visit_recording::*;
use sealed_visit_testing::recording::{START_MS, World};

/// Recipients of both suites.
pub fn clinic_keys() -> [PrivateKey; 2] {
    [Suite::XWing, Suite::X25519].map(|suite| PrivateKey::derive(suite, &[7; 32]))
}

pub fn world(keys: &[PrivateKey]) -> World {
    let listed: Vec<(WrapSuite, Vec<u8>)> = keys
        .iter()
        .map(|key| (key.suite().into(), key.public_key().as_bytes().to_vec()))
        .collect();
    World::new(&listed)
}

pub fn plans() -> Vec<TrackPlan> {
    vec![
        TrackPlan {
            content: TrackKind::Mixed,
            media_type: "video/webm;codecs=\"vp8,opus\"".into(),
        },
        TrackPlan {
            content: TrackKind::Events,
            media_type: EVENTS_MEDIA_TYPE.into(),
        },
    ]
}

pub fn draft(world: &World, part: u32, share_required: bool) -> PartDraft {
    let plan = PartPlan {
        visit: world.visit,
        recording: world.recording,
        part,
        tracks: &plans(),
        recipients: &world.recipients,
        clinic: &world.clinic,
        share_required,
    };
    PartDraft::new(plan, &mut system_rng()).unwrap()
}

pub fn shares_for(draft: &PartDraft) -> Vec<ShareGrant> {
    draft
        .open_tracks()
        .iter()
        .map(|track| {
            let mut share = vec![0; 32];
            system_rng().fill_bytes(&mut share);
            ShareGrant {
                track: track.track,
                share: B64(share),
                create_url: "/tracks".into(),
            }
        })
        .collect()
}

/// A whole part as it stands in files, and what went into it.
pub struct MadePart {
    pub open: Jws<OpenClaims>,
    pub tracks: Vec<MadeTrack>,
    pub manifest: Jws<ManifestClaims>,
}

pub struct MadeTrack {
    pub header: Header,
    pub envelope: Jws<EnvelopeClaims>,
    pub share: Vec<u8>,
    pub file: Vec<u8>,
    /// Length of the file after the header and after each segment.
    pub ends: Vec<usize>,
    pub slices: Vec<Vec<u8>>,
}

impl MadePart {
    pub fn ids(&self) -> Vec<TrackId> {
        self.tracks
            .iter()
            .map(|track| track.header.claims().track)
            .collect()
    }
}

pub const SLICE_SIZES: [usize; 6] = [1, 0, 16_383, 16_384, 16_385, 70_001];

/// Records a part with one slice of each of [`SLICE_SIZES`] into each track.
pub fn record(world: &World, part: u32, share_required: bool) -> MadePart {
    record_sizes(world, part, share_required, &SLICE_SIZES)
}

/// Records a part with one slice of each size into each track.
pub fn record_sizes(world: &World, part: u32, share_required: bool, sizes: &[usize]) -> MadePart {
    let mut rng = system_rng();
    let draft = draft(world, part, share_required);
    let shares = if share_required {
        shares_for(&draft)
    } else {
        vec![]
    };
    let open = world.open(part, draft.recording_key(), draft.open_tracks(), None);
    let started_ms = START_MS + 2_500 + u64::from(part) * 60_000;
    let mut recorder = draft.start(&open, &shares, started_ms, &mut rng).unwrap();
    let headers: Vec<Header> = recorder.headers().cloned().collect();
    let mut tracks: Vec<MadeTrack> = headers
        .into_iter()
        .map(|header| {
            let id = header.claims().track;
            let file = recorder.track_start(id).unwrap().to_vec();
            MadeTrack {
                envelope: recorder.envelope(id).unwrap().clone(),
                share: shares
                    .iter()
                    .find(|share| share.track == id)
                    .map(|share| share.share.0.clone())
                    .unwrap_or_default(),
                ends: vec![file.len()],
                file,
                header,
                slices: vec![],
            }
        })
        .collect();
    for (index, size) in sizes.iter().copied().enumerate() {
        for track in &mut tracks {
            let slice = random(size, &mut rng);
            let media_end_us = (index as u64 + 1) * 250_000;
            let at_ms = started_ms + media_end_us / 1000;
            let id = track.header.claims().track;
            let sealed = recorder
                .seal(id, &slice, media_end_us, at_ms, &mut rng)
                .unwrap();
            assert_eq!(sealed.offset, track.file.len() as u64);
            track.file.extend_from_slice(&sealed.bytes);
            track.ends.push(track.file.len());
            track.slices.push(slice);
        }
    }
    let manifest = recorder.finish(PartEnd {
        reason: EndReason::Stopped,
        ended_ms: started_ms + 1_600,
        withdrawal: None,
        places: world.places.clone(),
    });
    MadePart {
        open,
        tracks,
        manifest,
    }
}

pub fn random(size: usize, rng: &mut impl CryptoRng) -> Vec<u8> {
    let mut bytes = vec![0; size];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// Opens a track in pieces; gives the slices and how it ended.
pub fn open_track(
    track: &MadeTrack,
    private: &PrivateKey,
    file: &[u8],
    piece_bytes: usize,
) -> (Vec<Vec<u8>>, TrackEnd) {
    let share = (!track.share.is_empty()).then_some(track.share.as_slice());
    let key = unwrap_track_key(&track.envelope, &track.header, private, share).unwrap();
    let mut opener = TrackOpener::new(track.header.clone(), key);
    let mut slices = vec![];
    for piece in file.chunks(piece_bytes) {
        if opener
            .feed(piece, |segment| slices.push(segment.plaintext.to_vec()))
            .is_err()
        {
            break;
        }
    }
    (slices, opener.finish())
}

/// How far these bytes of a track are good.
pub fn followed(header: &Header, bytes: &[u8]) -> TrackEnd {
    let mut follower = TrackFollower::new(Some(header));
    let _ = follower.feed(bytes);
    follower.finish()
}

/// Verifies a part from its files; `files` replace the tracks' own.
pub fn verify(
    world: &World,
    part: &MadePart,
    files: Option<&[Vec<u8>]>,
    ended: bool,
) -> PartReport {
    let mut verifier = PartVerifier::new(&part.open, &world.clinic).unwrap();
    for (index, track) in part.tracks.iter().enumerate() {
        let file = files.map_or(&track.file, |files| &files[index]);
        verifier.track(track.header.claims().track, followed(&track.header, file));
        verifier.envelope(track.header.claims().track, track.envelope.clone());
    }
    if ended {
        verifier.manifest(part.manifest.clone());
    }
    verifier.report()
}

pub fn codes(report: &PartReport) -> Vec<&'static str> {
    report
        .problems
        .iter()
        .map(|problem| problem.code.as_str())
        .collect()
}
