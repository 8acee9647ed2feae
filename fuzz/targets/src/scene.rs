//! A visit with a recorder and one recorded part, the same every time.

use crate::rng::Fixed;
use hpke::rand_core::Rng;
use sealed_visit_protocol::clinic::{Recipient, RecipientRole};
use sealed_visit_protocol::consent::{Request, StatementClaims};
use sealed_visit_protocol::pass::PassClaims;
use sealed_visit_protocol::recording::{
    EndReason, EnvelopeClaims, ManifestClaims, OpenClaims, ShareGrant,
};
use sealed_visit_protocol::track::{Header, RECORD_PREFIX_BYTES, TrackKind, TrackState};
use sealed_visit_protocol::{B64, Jws, RecordingId, Role, SigningKey, VERSION};
use sealed_visit_recording::seal::hpke::{PrivateKey, Suite};
use sealed_visit_recording::{PartDraft, PartEnd, PartPlan, TrackPlan};
use sealed_visit_visit::group::testing::{GROUP_ID, NOW_MS, World};
use std::ops::Range;

/// The share of the one track.
pub const SHARE: [u8; 32] = [0x5a; 32];

pub struct Scene {
    pub world: World,
    pub pass: Jws<PassClaims>,
    pub request: Request,
    pub grant: Jws<StatementClaims>,
    pub recorder_key: SigningKey,
    /// Signs envelopes, checkpoints and the manifest.
    pub recording_key: SigningKey,
    pub recipient: PrivateKey,
    pub open: Jws<OpenClaims>,
    pub header: Header,
    pub envelope: Jws<EnvelopeClaims>,
    pub track: Vec<u8>,
    /// Where the first checkpoint's text stands in the track.
    pub checkpoint: Range<usize>,
    /// The same, verified.
    pub state: TrackState,
    /// What was sealed, slice by slice.
    pub slices: Vec<Vec<u8>>,
    pub manifest: Jws<ManifestClaims>,
}

impl Scene {
    pub fn new() -> Self {
        let recipient = PrivateKey::derive(Suite::X25519, &[7; 32]);
        let public = recipient.public_key();
        let listed = Recipient {
            fingerprint: Recipient::fingerprint_of(recipient.suite().into(), public.as_bytes()),
            suite: recipient.suite().into(),
            public_key: B64(public.as_bytes().to_vec()),
            role: RecipientRole::ResponsibleClinician,
        };
        let world = World::with_recipients(1, vec![listed]);
        let [host, patient, recorder] = [
            (0, Role::Clinician),
            (1, Role::Patient),
            (9, Role::Recorder),
        ]
        .map(|(n, role)| world.identity(n, role));
        let request = world.request(&host, recorder.pass().participant(), 1);
        let grant = world.grant(&patient, &request);

        let mut rng = Fixed(0);
        let recording = RecordingId::from_bytes([0x41; 16]);
        let draft = PartDraft::new(
            PartPlan {
                visit: world.visit,
                recording,
                part: 0,
                tracks: &[TrackPlan {
                    content: TrackKind::Mixed,
                    media_type: "video/webm".into(),
                }],
                recipients: &world.recipients(),
                clinic: world.policy.clinic(),
                share_required: true,
            },
            &mut rng,
        )
        .expect("a draft");
        // The draft draws it first.
        let mut seed = [0; 32];
        Fixed(0).fill_bytes(&mut seed);
        let recording_key = SigningKey::from_seed(&seed);
        assert_eq!(recording_key.public(), draft.recording_key());
        let open = recorder.key().sign(&OpenClaims {
            v: VERSION,
            visit: world.visit,
            recording,
            part: 0,
            group_id: GROUP_ID.into(),
            epoch: 4,
            recording_key: draft.recording_key(),
            tracks: draft.open_tracks(),
            recipients: world.recipients(),
            request: request.clone(),
            grants: vec![world.grant(&host, &request), grant.clone()],
            roster: [&host, &patient, &recorder]
                .map(|member| member.pass().jws().clone())
                .to_vec(),
            clinic: world.policy.clinic().hash(),
            previous: None,
            at_ms: NOW_MS + 1_000,
            pass: recorder.pass().jws().clone(),
        });
        let id = draft.open_tracks()[0].track;
        let shares = [ShareGrant {
            track: id,
            share: B64(SHARE.to_vec()),
            create_url: "/tracks".into(),
        }];
        let mut part = draft
            .start(&open, &shares, NOW_MS + 2_000, &mut rng)
            .expect("a part");
        let header = part.headers().next().expect("one track").clone();
        let envelope = part.envelope(id).expect("an envelope").clone();
        let mut track = part.track_start(id).expect("a header").to_vec();
        let slices: Vec<Vec<u8>> = [40, 0, 200, 900].map(|len| vec![len as u8; len]).to_vec();
        let mut checkpoint = 0..0;
        for (index, slice) in slices.iter().enumerate() {
            let media_end_us = (index as u64 + 1) * 250_000;
            let at_ms = NOW_MS + 2_000 + media_end_us / 1_000;
            let segment = track.len();
            let sealed = part.seal(id, slice, media_end_us, at_ms, &mut rng);
            track.extend_from_slice(&sealed.expect("a segment").bytes);
            if index == 0 {
                // After the segment's record, and its own type and length.
                let size = track[segment + 1..segment + RECORD_PREFIX_BYTES].try_into();
                let size = u32::from_be_bytes(size.expect("four bytes")) as usize;
                checkpoint =
                    segment + RECORD_PREFIX_BYTES + size + RECORD_PREFIX_BYTES..track.len();
            }
        }
        let manifest = part.finish(PartEnd {
            reason: EndReason::Stopped,
            ended_ms: NOW_MS + 4_000,
            withdrawal: None,
            places: Vec::new(),
        });
        let mut state = TrackState::expecting(header.hash());
        state.feed(&track, |_| {}).expect("a genuine track");
        let clinic = world.policy.clinic();
        Self {
            pass: patient.pass().jws().clone(),
            request: Request::verify(&request, clinic, world.visit, GROUP_ID).expect("genuine"),
            state,
            recorder_key: recorder.key().clone(),
            recording_key,
            world,
            grant,
            recipient,
            open,
            header,
            envelope,
            track,
            checkpoint,
            slices,
            manifest,
        }
    }
}
