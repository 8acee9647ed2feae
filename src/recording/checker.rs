//! Verification without a key: how far a spool is good, and what the vault says about it.

use js_sys::Object;
use sealed_visit_protocol::recording::{
    DeletionClaims, ManifestClaims, OpenClaims, OpenStatement, ReceiptClaims, WipeClaims,
};
use sealed_visit_protocol::track::TrackState;
use sealed_visit_protocol::{Hash32, Jws, PublicKey, RecordingId, TrackId};
use serde::Deserialize;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::values::*;
use crate::error::js_error;
use sealed_visit_recording::OpenTrackError;

/// Checks a track's bytes as they come, from the start, without opening them: how far a spool is good.
#[wasm_bindgen]
pub struct TrackChecker(TrackState);

#[wasm_bindgen]
impl TrackChecker {
    /// A checker of the track whose header has this SHA-256 (base64url); without one, of whatever track comes.
    #[wasm_bindgen(constructor)]
    pub fn new(header_hash: Option<String>) -> Result<TrackChecker> {
        let Some(hash) = header_hash else {
            return Ok(Self(TrackState::new()));
        };
        let hash = Hash32::parse(&hash)
            .ok_or_else(|| bad_input("header_hash: expected 32 bytes in base64url"))?;
        Ok(Self(TrackState::expecting(hash)))
    }

    /// Takes the next bytes. Throws `opening-track-altered`; what was good before stays good.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        self.0
            .feed(bytes, |_| {})
            .map_err(|error| open_error(OpenTrackError::Track(error)))
    }

    /// `{track, segments, verified_bytes, fed_bytes, head, media_end_us, last_at_ms}`; `track` is null before the
    /// header.
    #[wasm_bindgen(unchecked_return_type = "CheckedTrack")]
    pub fn state(&self) -> Object {
        checked(&self.0)
    }
}

#[derive(Deserialize)]
struct JsExpected {
    /// The signed open statement.
    open: Jws<OpenClaims>,
    /// The manifest, when there is one; without, any closing record is taken.
    #[serde(default)]
    manifest: Option<Jws<ManifestClaims>>,
    tracks: Vec<ExpectedTrack>,
}

#[derive(Deserialize)]
struct ExpectedTrack {
    track: TrackId,
    length_bytes: u64,
    head: Hash32,
    /// Missing only where nothing of the track was spooled.
    #[serde(default)]
    envelope: Option<Jws<sealed_visit_protocol::recording::EnvelopeClaims>>,
}

/// Checks a vault's receipt against what was spooled: only then may the spool let go. Throws `receipt-refused`.
///
/// A receipt without a manifest (`finished: false`) may cover more than this device knows of, never less.
#[wasm_bindgen(js_name = verifyReceipt)]
pub fn verify_receipt(
    root_key: &str,
    clinic_document: &str,
    receipt: String,
    #[wasm_bindgen(unchecked_param_type = "ExpectedReceipt")] expected: JsValue,
) -> Result<()> {
    let clinic = clinic_of(root_key, clinic_document)?;
    let expected: JsExpected = from_js(expected)?;
    let refused = |message: &str| js_error("receipt-refused", message, JsValue::UNDEFINED);
    let claims = Jws::<ReceiptClaims>::from_text(receipt)
        .verify(&clinic.claims().vault)
        .map_err(|error| refused(&error.to_string()))?;
    let open = OpenStatement::verify(&expected.open, &clinic)
        .map_err(|error| refused(&error.to_string()))?;
    let part = (
        open.claims().recording,
        open.claims().part,
        expected.open.hash(),
    );
    if (claims.recording, claims.part, claims.open) != part {
        return Err(refused("the receipt is for another part"));
    }
    if let Some(manifest) = &expected.manifest
        && (!claims.finished || claims.ended_by != manifest.hash())
    {
        return Err(refused("the receipt is for another manifest"));
    }
    if claims.tracks.len() != open.headers().len() || expected.tracks.len() != open.headers().len()
    {
        return Err(refused("the receipt does not name every track once"));
    }
    for track in &expected.tracks {
        let said = claims.tracks.iter().find(|said| said.track == track.track);
        let exact = |said: &sealed_visit_protocol::recording::TrackReceipt| {
            (said.length_bytes, said.head) == (track.length_bytes, track.head)
        };
        let covers = said.is_some_and(|said| {
            let is_envelope = match &track.envelope {
                Some(envelope) => said.envelope == envelope.hash(),
                None => track.length_bytes == 0,
            };
            is_envelope
                && (exact(said) || said.length_bytes > track.length_bytes && !claims.finished)
        });
        if !covers {
            return Err(refused(
                "the receipt is for other bytes or another envelope of a track",
            ));
        }
    }
    Ok(())
}

/// Whether the clinic's root signed this order, and it names this recording. Throws `wipe-refused` when it is nobody's
/// order, or another's.
#[wasm_bindgen(js_name = wipeOrderCovers)]
pub fn wipe_order_covers(root_key: &str, order: String, recording: &str) -> Result<bool> {
    let refused = |message: &str| js_error("wipe-refused", message, JsValue::UNDEFINED);
    let root = PublicKey::parse(root_key).map_err(|error| refused(&error.to_string()))?;
    let order = WipeClaims::verify(&Jws::from_text(order), &root)
        .map_err(|error| refused(&error.to_string()))?;
    let recording: RecordingId = recording
        .parse()
        .map_err(|_| bad_input("recording: expected an id"))?;
    Ok(order.covers(recording))
}

/// Whether the vault of the clinic document signed this deletion record, for this recording. Throws `receipt-refused` when
/// it did not: the spool stays.
#[wasm_bindgen(js_name = verifyDeletion)]
pub fn verify_deletion(
    root_key: &str,
    clinic_document: &str,
    record: String,
    recording: &str,
) -> Result<()> {
    let clinic = clinic_of(root_key, clinic_document)?;
    let recording: RecordingId = recording
        .parse()
        .map_err(|_| bad_input("recording: expected an id"))?;
    DeletionClaims::verify(&Jws::from_text(record), &clinic.claims().vault, recording)
        .map(|_| ())
        .map_err(|error| js_error("receipt-refused", &error.to_string(), JsValue::UNDEFINED))
}
