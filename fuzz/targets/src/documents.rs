//! Signed documents (JWS, RFC 7515). Input: a byte for the kind, a byte for the mode, then in mode
//!
//! - 0: a compact serialisation, as it comes;
//! - 1: a payload, put under the genuine header and signature;
//! - 2: a payload, re-signed by a key that may sign such a document: what a dishonest signer can do.
//!
//! Law: without a new signature only the genuine document is accepted.

use crate::scene::{SHARE, Scene};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::Signer;
use sealed_visit_protocol::clinic::ClinicDocument;
use sealed_visit_protocol::consent::{Change, ConsentState, Request, Statement};
use sealed_visit_protocol::recording::{ManifestClaims, OpenStatement};
use sealed_visit_protocol::track::{RECORD_PREFIX_BYTES, RecordType, TrackState, write_record};
use sealed_visit_protocol::{Jws, Pass, SigningKey};
use sealed_visit_recording::unwrap_track_key;
use sealed_visit_visit::group::testing::GROUP_ID;

thread_local! {
    static SCENE: Scene = Scene::new();
}

/// A kind of document: who signs it, a genuine one, and whether a text is accepted for it.
struct Kind {
    signer: fn(&Scene) -> SigningKey,
    genuine: fn(&Scene) -> String,
    accepts: fn(&Scene, &str) -> bool,
}

const CONSENT: [Kind; 4] = [
    Kind {
        signer: |scene| scene.world.authority.clone(),
        genuine: |scene| scene.pass.to_string(),
        accepts: |scene, text| {
            let clinic = scene.world.policy.clinic();
            let pass = Pass::verify_for(&Jws::from_text(text), clinic, scene.world.visit);
            pass.is_ok_and(|pass| {
                pass.check_time(sealed_visit_visit::group::testing::NOW_MS)
                    .is_ok()
            })
        },
    },
    Kind {
        signer: |scene| scene.world.root.clone(),
        genuine: |scene| scene.world.document.to_string(),
        accepts: |scene, text| {
            ClinicDocument::verify(&Jws::from_text(text), &scene.world.root.public()).is_ok()
        },
    },
    Kind {
        signer: |scene| scene.world.key(0),
        genuine: |scene| scene.request.jws().to_string(),
        accepts: |scene, text| {
            let (clinic, visit) = (scene.world.policy.clinic(), scene.world.visit);
            let jws = Jws::from_text(text);
            if Request::verify(&jws, clinic, visit, GROUP_ID).is_err() {
                return false;
            }
            let state = ConsentState::new().apply(&Change::Request(jws), clinic, visit, GROUP_ID);
            if let Ok(state) = state {
                assert_eq!(
                    ConsentState::from_bytes(&state.to_bytes()).as_ref(),
                    Ok(&state)
                );
            }
            true
        },
    },
    Kind {
        signer: |scene| scene.world.key(1),
        genuine: |scene| scene.grant.to_string(),
        accepts: |scene, text| {
            let (clinic, visit) = (scene.world.policy.clinic(), scene.world.visit);
            let statement = Statement::verify(&Jws::from_text(text), clinic, visit, GROUP_ID);
            statement.is_ok_and(|statement| statement.answers(&scene.request).is_ok())
        },
    },
];

const RECORDING: [Kind; 4] = [
    Kind {
        signer: |scene| scene.recorder_key.clone(),
        genuine: |scene| scene.open.to_string(),
        accepts: |scene, text| {
            let clinic = scene.world.policy.clinic();
            OpenStatement::verify(&Jws::from_text(text), clinic).is_ok()
        },
    },
    Kind {
        signer: |scene| scene.recording_key.clone(),
        genuine: |scene| scene.envelope.to_string(),
        accepts: |scene, text| {
            unwrap_track_key(
                &Jws::from_text(text),
                &scene.header,
                &scene.recipient,
                Some(&SHARE),
            )
            .is_ok()
        },
    },
    Kind {
        signer: |scene| scene.recording_key.clone(),
        genuine: |scene| scene.manifest.to_string(),
        accepts: |scene, text| {
            let tracks = [(&scene.header, &scene.state)];
            let key = scene.recording_key.public();
            ManifestClaims::verify(&Jws::from_text(text), &key, scene.open.hash(), &tracks).is_ok()
        },
    },
    // A checkpoint, in its place after the first segment.
    Kind {
        signer: |scene| scene.recording_key.clone(),
        genuine: |scene| {
            let text = &scene.track[scene.checkpoint.clone()];
            String::from_utf8(text.to_vec()).expect("a compact serialisation")
        },
        accepts: |scene, text| {
            let mut file = scene.track[..scene.checkpoint.start - RECORD_PREFIX_BYTES].to_vec();
            if write_record(&mut file, RecordType::Checkpoint, text.as_bytes()).is_err() {
                return false;
            }
            let mut state = TrackState::expecting(scene.header.hash());
            state.feed(&file, |_| {}).is_ok() && state.segments() == 1
        },
    },
];

pub fn consent_seeds() -> Vec<Vec<u8>> {
    seeds(&CONSENT)
}

pub fn run_consent(input: &[u8]) -> bool {
    run(&CONSENT, input)
}

pub fn recording_seeds() -> Vec<Vec<u8>> {
    seeds(&RECORDING)
}

pub fn run_recording(input: &[u8]) -> bool {
    run(&RECORDING, input)
}

fn seeds(kinds: &[Kind]) -> Vec<Vec<u8>> {
    SCENE.with(|scene| {
        let of = |(index, kind): (usize, &Kind)| {
            let text = (kind.genuine)(scene);
            let payload = parts(&text).1;
            let with = |mode: u8, body: &[u8]| [&[index as u8, mode], body].concat();
            [
                with(0, text.as_bytes()),
                with(1, &payload),
                with(2, &payload),
                with(2, &payload),
            ]
        };
        kinds.iter().enumerate().flat_map(of).collect()
    })
}

fn run(kinds: &[Kind], input: &[u8]) -> bool {
    let [which, mode, body @ ..] = input else {
        return false;
    };
    let kind = &kinds[usize::from(*which) % kinds.len()];
    SCENE.with(|scene| {
        let genuine = (kind.genuine)(scene);
        let (header, payload, signature) = parts(&genuine);
        let text = match mode % 3 {
            0 => String::from_utf8_lossy(body).into_owned(),
            1 => format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(body)),
            _ => signed(&(kind.signer)(scene), header, body),
        };
        let accepted = (kind.accepts)(scene, &text);
        if accepted && text != genuine {
            assert_eq!(mode % 3, 2, "accepted without a signature: {text}");
        }
        accepted && (text == genuine || body == payload)
    })
}

/// Header as it stands, payload decoded, signature as it stands.
fn parts(text: &str) -> (&str, Vec<u8>, &str) {
    let [header, payload, signature] = text.split('.').collect::<Vec<_>>()[..] else {
        panic!("a genuine document has three parts");
    };
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    (header, payload, signature)
}

/// Signed by hand: the library signs claims only.
fn signed(key: &SigningKey, header: &str, payload: &[u8]) -> String {
    let text = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
    let signature = ed25519_dalek::SigningKey::from_bytes(&key.seed()).sign(text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}
