//! Sealing, in the recorder's worker.

use js_sys::{Array, Uint8Array};
use sealed_visit_protocol::bytes::{from_base64url, to_base64url};
use sealed_visit_protocol::clinic::RecipientRef;
use sealed_visit_protocol::consent::{PlaceClaims, StatementClaims};
use sealed_visit_protocol::recording::{EndReason, ShareGrant};
use sealed_visit_protocol::{Jws, PublicKey, RecordingId, VisitId};
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use zeroize::Zeroizing;

use super::values::*;
use sealed_visit_recording::seal::hpke::system_rng;
use sealed_visit_recording::{
    EventLine, PartEnd, PartPlan, RenewalKey, SealedSegment, TrackPlan, encode_events,
};

/// A part of a recording before its open statement is signed: it has a fresh recording key, and seals nothing.
#[wasm_bindgen]
pub struct PartDraft(sealed_visit_recording::PartDraft);

#[derive(Deserialize)]
struct JsPlan {
    visit: VisitId,
    recording: RecordingId,
    part: u32,
    tracks: Vec<TrackPlan>,
    recipients: Vec<RecipientRef>,
    share_required: bool,
}

#[derive(Serialize)]
struct OpenInput {
    recording_key: PublicKey,
    tracks: Vec<sealed_visit_protocol::recording::OpenTrack>,
}

#[wasm_bindgen]
impl PartDraft {
    /// Checks the clinic document under the pinned root key and takes the recipients' public keys from it. Throws
    /// `recording-clinic-refused`, `recording-recipient-refused`, `recording-recipient-key`, `recording-header`.
    #[wasm_bindgen(constructor)]
    pub fn new(
        root_key: &str,
        clinic_document: &str,
        #[wasm_bindgen(unchecked_param_type = "PartPlan")] plan: JsValue,
    ) -> Result<PartDraft> {
        let clinic = clinic_of(root_key, clinic_document)?;
        let plan: JsPlan = from_js(plan)?;
        sealed_visit_recording::PartDraft::new(
            PartPlan {
                visit: plan.visit,
                recording: plan.recording,
                part: plan.part,
                tracks: &plan.tracks,
                recipients: &plan.recipients,
                clinic: &clinic,
                share_required: plan.share_required,
            },
            &mut system_rng(),
        )
        .map(Self)
        .map_err(record_error)
    }

    /// A fresh recording id, for the first part.
    #[wasm_bindgen(js_name = newRecordingId)]
    pub fn new_recording_id() -> String {
        let mut id = [0; 16];
        fill(&mut system_rng(), &mut id);
        RecordingId::from_bytes(id).to_string()
    }

    /// What the open statement must name: `{recording_key, tracks: [{track, header}]}`, tracks in the plan's order.
    #[wasm_bindgen(js_name = openInput, unchecked_return_type = "DraftOpenInput")]
    pub fn open_input(&self) -> Result<JsValue> {
        to_js(&OpenInput {
            recording_key: self.0.recording_key(),
            tracks: self.0.open_tracks(),
        })
    }

    /// A fresh key by which this device renews the part's upload capability, as text for its spool.
    #[wasm_bindgen(js_name = newRenewalKey)]
    pub fn new_renewal_key() -> String {
        to_base64url(&RenewalKey::draw(&mut system_rng()).seed()[..])
    }

    /// For the vault, with the open statement: this device holds the part's recording key, and will renew with
    /// `renewal_key`. Good once, for two minutes around `at_ms`.
    pub fn prove(&self, open: String, renewal_key: &str, at_ms: f64) -> Result<String> {
        let renewal = renewal_of(renewal_key)?;
        let open = Jws::from_text(open);
        let proof = self
            .0
            .prove(&open, &renewal, whole(at_ms), &mut system_rng());
        Ok(proof.as_str().to_owned())
    }

    /// The public key of the vault that proofs are for.
    #[wasm_bindgen(js_name = vaultKey)]
    pub fn vault_key(&self) -> String {
        to_base64url(self.0.vault().as_bytes())
    }

    /// Begins: verifies the signed open statement with every grant in it, takes the shares of the vault's answer
    /// (`[{track, share, create_url}]`), wraps each track's secret. `started_ms`: wall clock at media time 0. Uses
    /// the draft up. Throws `recording-open-refused`, `recording-other-draft`, `recording-share`.
    pub fn start(
        self,
        open: String,
        #[wasm_bindgen(unchecked_param_type = "ShareGrant[]")] shares: JsValue,
        started_ms: f64,
    ) -> Result<PartRecorder> {
        let shares: Vec<ShareGrant> = from_js(shares)?;
        self.0
            .start(
                &Jws::from_text(open),
                &shares,
                whole(started_ms),
                &mut system_rng(),
            )
            .map(|recorder| PartRecorder {
                recorder,
                sealed: Uint8Array::new_with_length(0),
            })
            .map_err(record_error)
    }
}

/// For the vault, with the open statement of a part that this device made: a new upload capability, please. Good once, for
/// two minutes around `at_ms`.
#[wasm_bindgen(js_name = proveRenewal)]
pub fn prove_renewal(
    renewal_key: &str,
    vault_key: &str,
    open: String,
    at_ms: f64,
) -> Result<String> {
    let vault = PublicKey::parse(vault_key)
        .map_err(|_| bad_input("vault_key: expected an Ed25519 public key"))?;
    let renewal = renewal_of(renewal_key)?;
    let open = Jws::from_text(open);
    let proof = renewal.prove(&open, &vault, whole(at_ms), &mut system_rng());
    Ok(proof.as_str().to_owned())
}

fn renewal_of(seed: &str) -> Result<RenewalKey> {
    from_base64url(seed)
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .map(|seed| RenewalKey::from_seed(&Zeroizing::new(seed)))
        .ok_or_else(|| bad_input("renewal_key: expected 32 bytes in base64url"))
}

/// A running part. `free()` wipes its keys; what was sealed stays good.
#[wasm_bindgen]
pub struct PartRecorder {
    recorder: sealed_visit_recording::PartRecorder,
    /// Takes every segment on its way out: fresh memory for each cost half as much as encrypting it.
    sealed: Uint8Array,
}

#[derive(Deserialize)]
struct JsEnd {
    reason: EndReason,
    ended_ms: f64,
    #[serde(default)]
    withdrawal: Option<Jws<StatementClaims>>,
    #[serde(default)]
    places: Vec<Jws<PlaceClaims>>,
}

#[wasm_bindgen]
impl PartRecorder {
    /// The track's signed envelope: spool it before the first segment, upload it beside the track.
    pub fn envelope(&self, track: &str) -> Result<String> {
        let envelope = self
            .recorder
            .envelope(track_of(track)?)
            .map_err(record_error)?;
        Ok(envelope.as_str().to_owned())
    }

    /// The first bytes of the track's file.
    #[wasm_bindgen(js_name = trackStart)]
    pub fn track_start(&self, track: &str) -> Result<Uint8Array> {
        let start = self
            .recorder
            .track_start(track_of(track)?)
            .map_err(record_error)?;
        Ok(Uint8Array::from(start))
    }

    /// Seals one slice (copied; yours to wipe). Append the bytes at the offset and flush before anything else happens:
    /// the next call writes others in their place.
    /// `media_end_us`: media time at the slice's end since the part's start; `at_ms`: wall clock. Throws
    /// `recording-time-backwards`, `recording-slice-too-long`, `recording-unknown-track`; after
    /// `recording-seal-failed` the track takes no more (`recording-poisoned`).
    #[wasm_bindgen(unchecked_return_type = "SealedSlice")]
    pub fn seal(
        &mut self,
        track: &str,
        slice: &[u8],
        media_end_us: f64,
        at_ms: f64,
    ) -> Result<Array> {
        let SealedSegment { offset, bytes, .. } = self
            .recorder
            .seal(
                track_of(track)?,
                slice,
                whole(media_end_us),
                whole(at_ms),
                &mut system_rng(),
            )
            .map_err(record_error)?;
        let length = bytes.len() as u32;
        if self.sealed.length() < length {
            self.sealed = Uint8Array::new_with_length(length.next_power_of_two());
        }
        let sealed = self.sealed.subarray(0, length);
        sealed.copy_from(&bytes);
        // No object: its fields' names would be decoded at every call.
        Ok(Array::of2(&number(offset), &sealed))
    }

    /// Seals lines into an events track, as one segment; marks are counted for the manifest.
    #[wasm_bindgen(js_name = sealEvents, unchecked_return_type = "SealedSlice")]
    pub fn seal_events(
        &mut self,
        track: &str,
        #[wasm_bindgen(unchecked_param_type = "object[]")] lines: JsValue,
        media_end_us: f64,
        at_ms: f64,
    ) -> Result<Array> {
        let lines: Vec<EventLine> = from_js(lines)?;
        let sealed = self.seal(track, &encode_events(&lines), media_end_us, at_ms)?;
        for line in &lines {
            if matches!(line.event, sealed_visit_recording::Event::Mark { .. }) {
                self.recorder.count_mark();
            }
        }
        Ok(sealed)
    }

    /// States a hole in a track's media time; the reason is a code such as `asleep`. Throws `recording-gap`.
    pub fn gap(&mut self, track: &str, from_us: f64, to_us: f64, reason: &str) -> Result<()> {
        self.recorder
            .gap(track_of(track)?, whole(from_us), whole(to_us), reason)
            .map_err(record_error)
    }

    /// Each track's chain head, `[[track, head]]`: what a part that goes on after this one names as `previous`.
    #[wasm_bindgen(unchecked_return_type = "[string, string][]")]
    pub fn heads(&self) -> Result<JsValue> {
        to_js(&self.recorder.heads())
    }

    /// Signs the manifest, and wipes all keys: the recorder is used up.
    pub fn finish(
        self,
        #[wasm_bindgen(unchecked_param_type = "PartEnd")] end: JsValue,
    ) -> Result<String> {
        let end: JsEnd = from_js(end)?;
        let manifest = self.recorder.finish(PartEnd {
            reason: end.reason,
            ended_ms: whole(end.ended_ms),
            withdrawal: end.withdrawal,
            places: end.places,
        });
        Ok(manifest.as_str().to_owned())
    }
}

fn fill(rng: &mut impl sealed_visit_recording::seal::hpke::CryptoRng, bytes: &mut [u8]) {
    rng.fill_bytes(bytes);
}
