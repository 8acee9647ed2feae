//! The recordings that vectors are made from. All keys and all randomness come from seeds, so they come out the same every time.

use super::signed::{self, Seed};
use super::stored::Folder;
use hpke::rand_core::{Rng as _, TryCryptoRng, TryRng};
use sealed_visit_protocol::consent::StatementKind;
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::recording::{
    ClosingClaims, EndReason, PreviousPart, ReceiptClaims, ShareGrant, TrackReceipt, TrackSummary,
};
use sealed_visit_protocol::track::{Header, TrackKind, TrackState};
use sealed_visit_protocol::{B64, Hash32, Jws, RecordingId, TrackId, VERSION};
use sealed_visit_recording::seal::hpke::{PrivateKey, Suite};
use sealed_visit_recording::{
    Event, EventLine, PartDraft, PartEnd, PartPlan, TrackPlan, encode_events,
};
use sealed_visit_testing::recording::{Member, START_MS, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;

pub const ROOT: Seed = [1; 32];
pub const AUTHORITY: Seed = [2; 32];
pub const VAULT: Seed = [3; 32];
pub const CLINICIAN: Seed = [0x21; 32];
pub const PATIENT: Seed = [0x22; 32];
pub const RECORDER: Seed = [0x23; 32];

/// SHA-256 over a label and a counter.
pub struct Seeded {
    label: String,
    counter: u64,
}

impl Seeded {
    pub fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            counter: 0,
        }
    }
}

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.try_next_u64()? as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for piece in bytes.chunks_mut(32) {
            self.counter += 1;
            let block = sha256(format!("{} {}", self.label, self.counter).as_bytes());
            piece.copy_from_slice(&block.0[..piece.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Seeded {}

pub struct Base {
    pub name: &'static str,
    pub folder: Folder,
    /// Of each part.
    pub recording_keys: Vec<Seed>,
}

/// How a part of a base ends.
#[derive(Clone, Copy)]
enum End {
    Manifest(EndReason),
    /// The vault closed it after so many segments.
    Closed(usize),
    /// The recorder died after three segments, and the vault closed the part after so many.
    Crashed(usize),
    /// The vault opened the part, its answer was lost, and the recorder took the next number.
    Attempted,
    /// The vault closed it after so many segments, and then its device finished it.
    ClosedAndFinished(usize),
    Open,
}

#[derive(Clone, Copy)]
struct Plan {
    name: &'static str,
    parts: &'static [End],
    share_required: bool,
    suite: Suite,
    media_type: &'static str,
    /// The second part is of another recording.
    two_recordings: bool,
}

const WEBM: &str = "video/webm;codecs=\"vp8,opus\"";
const STOPPED: End = End::Manifest(EndReason::Stopped);
const PAUSED: End = End::Manifest(EndReason::Paused);

const fn plan(name: &'static str, parts: &'static [End]) -> Plan {
    Plan {
        name,
        parts,
        share_required: false,
        suite: Suite::X25519,
        media_type: WEBM,
        two_recordings: false,
    }
}

const PLANS: &[Plan] = &[
    plan("finished", &[STOPPED]),
    plan("two-parts", &[PAUSED, STOPPED]),
    plan("after-a-crash", &[End::Crashed(3), STOPPED]),
    plan("cut-after-a-crash", &[End::Crashed(2), STOPPED]),
    plan("crash-in-the-middle", &[PAUSED, End::Crashed(3), STOPPED]),
    plan("after-an-attempt", &[PAUSED, End::Attempted, STOPPED]),
    plan("paused", &[PAUSED]),
    plan("closed", &[End::Closed(2)]),
    plan("closed-and-finished", &[End::ClosedAndFinished(2)]),
    plan("withdrawn", &[End::Manifest(EndReason::Withdrawn)]),
    plan("open", &[End::Open]),
    Plan {
        share_required: true,
        ..plan("shares", &[STOPPED])
    },
    Plan {
        suite: Suite::XWing,
        ..plan("x-wing", &[STOPPED])
    },
    Plan {
        two_recordings: true,
        ..plan("parts-of-two-recordings", &[PAUSED, STOPPED])
    },
    Plan {
        media_type: "video/webm\u{1b}]0;owned\u{7}\u{202e}",
        ..plan("control-characters", &[STOPPED])
    },
];

/// The private key that opens every base of this suite.
pub fn opening_key(suite: Suite) -> PrivateKey {
    PrivateKey::derive(suite, &[7; 32])
}

pub fn world(suite: Suite) -> World {
    let keys = [7, 8].map(|seed| PrivateKey::derive(suite, &[seed; 32]));
    let listed: Vec<_> = keys
        .iter()
        .map(|key| (key.suite().into(), key.public_key().as_bytes().to_vec()))
        .collect();
    World::new(&listed)
}

pub fn all() -> Vec<Base> {
    PLANS.iter().map(make).collect()
}

fn make(plan: &Plan) -> Base {
    let world = world(plan.suite);
    let clinic = signed::payload(world.clinic_jws.as_str());
    let clinic = signed::sign("sv-clinic+jwt", &clinic, &ROOT);
    let mut made = Made {
        clinic,
        world,
        plan: *plan,
        rng: Seeded::new(plan.name),
        tracks: BTreeMap::new(),
        recording_keys: Vec::new(),
        previous: None,
    };
    let recording = made.world.recording;
    let mut parts = Vec::new();
    for part in 0..plan.parts.len() {
        if part > 0 && plan.two_recordings {
            made.world.recording = RecordingId::from_bytes([0x42; 16]);
        }
        parts.push(made.part(part));
    }
    Base {
        name: plan.name,
        folder: Folder {
            recording: json!({"recording": recording, "parts": parts}),
            clinic: made.clinic,
            tracks: made.tracks,
        },
        recording_keys: made.recording_keys,
    }
}

struct Made {
    clinic: String,
    world: World,
    plan: Plan,
    rng: Seeded,
    tracks: BTreeMap<String, Vec<u8>>,
    recording_keys: Vec<Seed>,
    previous: Option<PreviousPart>,
}

impl Made {
    fn part(&mut self, part: usize) -> Value {
        let number = part as u32;
        let end = self.plan.parts[part];
        let before = self.previous.clone();
        let document = sealed_visit_protocol::ClinicDocument::verify(
            &Jws::from_text(self.clinic.as_str()),
            &self.world.root.public(),
        );
        let plans = [
            (TrackKind::Mixed, self.plan.media_type),
            (TrackKind::Events, "application/x-ndjson"),
        ]
        .map(|(content, media_type)| TrackPlan {
            content,
            media_type: media_type.into(),
        });
        let plan = PartPlan {
            visit: self.world.visit,
            recording: self.world.recording,
            part: number,
            tracks: &plans,
            recipients: &self.world.recipients,
            clinic: &document.unwrap(),
            share_required: self.plan.share_required,
        };
        // The draft draws the recording key first.
        let label = format!("{} part {part}", self.plan.name);
        let mut recording_key = [0; 32];
        Seeded::new(&label).fill_bytes(&mut recording_key);
        self.recording_keys.push(recording_key);
        let draft = PartDraft::new(plan, &mut Seeded::new(&label)).unwrap();
        let shares = self.shares(&draft);
        let mut open = self.world.open_claims(
            number,
            draft.recording_key(),
            draft.open_tracks(),
            before.clone(),
        );
        open.clinic = sha256(self.clinic.as_bytes());
        let open = serde_json::to_value(open).unwrap();
        let open = signed::sign("sv-open+jwt", &open, &RECORDER);
        let started_ms = START_MS + 2_500 + u64::from(number) * 60_000;
        let mut recorder = draft
            .start(
                &Jws::from_text(open.as_str()),
                &shares,
                started_ms,
                &mut self.rng,
            )
            .unwrap();
        let headers: Vec<Header> = recorder.headers().cloned().collect();
        let mut files: Vec<Vec<u8>> = Vec::new();
        // The verifier's state after each segment.
        let mut states: Vec<Vec<TrackState>> = Vec::new();
        for header in &headers {
            let id = header.claims().track;
            let mut file = recorder.track_start(id).unwrap().to_vec();
            let mut state = TrackState::expecting(header.hash());
            state.feed(&file, |_| {}).unwrap();
            let mut along = vec![state.clone()];
            for index in 0..3_u64 {
                let media_end_us = (index + 1) * 250_000;
                let slice = slice(header, index);
                let sealed = recorder
                    .seal(
                        id,
                        &slice,
                        media_end_us,
                        started_ms + media_end_us / 1000,
                        &mut self.rng,
                    )
                    .unwrap();
                state.feed(&sealed.bytes, |_| {}).unwrap();
                file.extend_from_slice(&sealed.bytes);
                along.push(state.clone());
            }
            files.push(file);
            states.push(along);
        }
        recorder
            .gap(headers[0].claims().track, 100_000, 200_000, "frozen")
            .unwrap();
        recorder.count_mark();
        let envelopes: Vec<String> = headers
            .iter()
            .map(|header| recorder.envelope(header.claims().track).unwrap().as_str())
            .map(|jws| signed::sign("sv-envelope+jwt", &signed::payload(jws), &recording_key))
            .collect();
        self.previous = match end {
            End::Attempted => before,
            End::Crashed(_) => Some(PreviousPart {
                part: number,
                heads: headers
                    .iter()
                    .zip(&states)
                    .enumerate()
                    // Its last word before it died: of one track all there was, of the other less.
                    .map(|(index, (header, along))| {
                        (header.claims().track, along[3 - index].head())
                    })
                    .collect(),
            }),
            _ => Some(PreviousPart {
                part: number,
                heads: recorder.heads(),
            }),
        };
        let closed_after = match end {
            End::Closed(segments) | End::ClosedAndFinished(segments) | End::Crashed(segments) => {
                Some(segments)
            }
            _ => None,
        };
        let is_attempt = matches!(end, End::Attempted);
        if is_attempt {
            for (header, along) in headers.iter().zip(&mut states) {
                *along = vec![TrackState::expecting(header.hash())];
            }
        }
        let closed_after = closed_after.or(is_attempt.then_some(0));
        let closing = closed_after.map(|segments| {
            let at: Vec<&TrackState> = states.iter().map(|along| &along[segments]).collect();
            let claims = self.closing(number, &open, &headers, &at);
            signed::sign("sv-closing+jwt", &claims, &VAULT)
        });
        let reason = match end {
            End::Manifest(reason) => Some(reason),
            End::ClosedAndFinished(_) => Some(EndReason::Stopped),
            End::Closed(_) | End::Crashed(_) | End::Attempted | End::Open => None,
        };
        let manifest = reason.map(|reason| {
            let withdrawn = reason == EndReason::Withdrawn;
            let manifest = recorder.finish(PartEnd {
                reason,
                ended_ms: started_ms + 1_000,
                withdrawal: withdrawn.then(|| {
                    let patient: &Member = &self.world.patient;
                    self.world.statement(patient, StatementKind::Withdrawal)
                }),
                places: self.world.places.clone(),
            });
            let claims = signed::payload(manifest.as_str());
            signed::sign("sv-manifest+jwt", &claims, &recording_key)
        });
        // What the vault has: all, or as much as it had when it closed the part.
        let kept = match (&manifest, closed_after) {
            (None, Some(segments)) => segments,
            _ => 3,
        };
        let receipt = manifest.as_ref().or(closing.as_ref()).map(|ended_by| {
            let tracks = headers.iter().zip(&states).zip(&envelopes);
            let claims = ReceiptClaims {
                v: VERSION,
                recording: self.world.recording,
                part: number,
                open: sha256(open.as_bytes()),
                tracks: tracks
                    .map(|((header, along), envelope)| TrackReceipt {
                        track: header.claims().track,
                        length_bytes: along[kept].verified_bytes(),
                        segments: along[kept].segments(),
                        head: along[kept].head(),
                        envelope: match is_attempt {
                            true => Hash32([0; 32]),
                            false => sha256(envelope.as_bytes()),
                        },
                    })
                    .collect(),
                ended_by: sha256(ended_by.as_bytes()),
                finished: manifest.is_some(),
                audit_head: None,
                at_ms: started_ms + 5_000,
            };
            let claims = serde_json::to_value(claims).unwrap();
            signed::sign("sv-receipt+jwt", &claims, &VAULT)
        });
        let mut tracks = Vec::new();
        for (index, header) in headers.iter().enumerate() {
            let id = header.claims().track;
            files[index].truncate(states[index][kept].verified_bytes() as usize);
            if !is_attempt {
                let name = format!("{id}.track");
                self.tracks.insert(name, files[index].clone());
            }
            let share = shares.iter().find(|share| share.track == id);
            tracks.push(json!({
                "track": id,
                "share": share.map_or(String::new(), |share| {
                    sealed_visit_protocol::bytes::to_base64url(share.share.as_slice())
                }),
                "envelopes": if is_attempt { vec![] } else { vec![&envelopes[index]] },
            }));
        }
        json!({
            "part": number,
            "open": open,
            "manifest": manifest,
            "closing": closing,
            "receipt": receipt,
            "tracks": tracks,
        })
    }

    fn shares(&mut self, draft: &PartDraft) -> Vec<ShareGrant> {
        let tracks = draft.open_tracks().into_iter();
        let tracks = tracks.filter(|_| self.plan.share_required);
        tracks
            .map(|track| {
                let mut share = vec![0; 32];
                self.rng.fill_bytes(&mut share);
                ShareGrant {
                    track: track.track,
                    share: B64(share),
                    create_url: "/tracks".into(),
                }
            })
            .collect()
    }

    fn closing(&self, part: u32, open: &str, headers: &[Header], states: &[&TrackState]) -> Value {
        let last = states.iter().map(|state| state.last_at_ms()).max();
        let last = last.filter(|at_ms| *at_ms > 0).or(Some(START_MS));
        let claims = ClosingClaims {
            v: VERSION,
            recording: self.world.recording,
            part,
            open: sha256(open.as_bytes()),
            tracks: headers
                .iter()
                .zip(states)
                .map(|(header, state)| summary(header, state))
                .collect(),
            reason: EndReason::Unfinished,
            stopped_ms: last.unwrap(),
            closed_ms: last.unwrap() + 86_400_000,
            withdrawal: None,
        };
        serde_json::to_value(claims).unwrap()
    }
}

/// What one slice holds: events are lines of JSON, media is any bytes.
fn slice(header: &Header, index: u64) -> Vec<u8> {
    match header.claims().content {
        TrackKind::Events => encode_events(&[EventLine {
            at_us: index * 250_000,
            event: Event::Mark {
                text: format!("mark {index}"),
            },
        }]),
        _ => format!("slice {index} of what was seen and heard").into_bytes(),
    }
}

pub fn summary(header: &Header, state: &TrackState) -> TrackSummary {
    TrackSummary {
        track: header.claims().track,
        header_hash: header.hash(),
        segments: state.segments(),
        length_bytes: state.verified_bytes(),
        head: state.head(),
        index_hash: state.index_hash(),
        media_end_us: state.media_end_us(),
        gaps: Vec::new(),
    }
}

/// An id of nothing here.
pub fn other_id(byte: u8) -> Value {
    json!(TrackId::from_bytes([byte; 16]))
}

pub fn other_hash(byte: u8) -> Value {
    json!(Hash32([byte; 32]))
}
