//! Recordings for the workers: sealing in the recorder's, checking in the recovery's, opening in the player's.
//!
//! ```js
//! const draft = new PartDraft(rootKey, clinicDocument, plan)
//! const open = await sign({recording, part, ...draft.openInput()})      // the visit core's `sign_open`
//! const recorder = draft.start(open, vaultAnswer.tracks, startedMs)     // `draft` is used up
//! await spool(recorder.envelope(track)); await spool(recorder.trackStart(track))
//! const {bytes, offset} = recorder.seal(track, slice, mediaEndUs, Date.now())
//! const manifest = recorder.finish({reason: "stopped", ended_ms: Date.now()})   // `recorder` is used up
//! ```
//!
//! Everything that refuses throws a `SealedVisitError` with a `code`. Secrets go in as bytes and never come out.

use js_sys::{Array, Object, Reflect, Uint8Array};
use sealed_visit_protocol::clinic::RecipientRef;
use sealed_visit_protocol::consent::{PlaceClaims, StatementClaims};
use sealed_visit_protocol::recording::{
    ClosingClaims, EndReason, ManifestClaims, OpenClaims, OpenStatement, ReceiptClaims, ShareGrant,
    WipeClaims,
};
use sealed_visit_protocol::track::TrackState;
use sealed_visit_protocol::{
    ClinicDocument, Hash32, Jws, PublicKey, RecordingId, TrackId, VisitId,
};
use serde::{Deserialize, Serialize};
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::error::js_error;
use crate::recording::{
    self, EventLine, OpenTrackError, PartEnd, PartPlan, PartVerifier, RecordError, TrackOpener,
    TrackPlan, encode_events, report_recording, unwrap_track_key,
};
use crate::seal::hpke::{PrivateKey, system_rng};
use crate::seal::key_file;

type Result<T> = std::result::Result<T, JsValue>;

// --- Sealing --------------------------------------------------------------------------------------

/// A part of a recording before its open statement is signed: it has a fresh recording key, and seals nothing.
#[wasm_bindgen]
pub struct PartDraft(recording::PartDraft);

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
        recording::PartDraft::new(
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
            .map(PartRecorder)
            .map_err(record_error)
    }
}

/// A running part. `free()` wipes its keys; what was sealed stays good.
#[wasm_bindgen]
pub struct PartRecorder(recording::PartRecorder);

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
        let envelope = self.0.envelope(track_of(track)?).map_err(record_error)?;
        Ok(envelope.as_str().to_owned())
    }

    /// The first bytes of the track's file.
    #[wasm_bindgen(js_name = trackStart)]
    pub fn track_start(&self, track: &str) -> Result<Uint8Array> {
        let start = self.0.track_start(track_of(track)?).map_err(record_error)?;
        Ok(Uint8Array::from(start))
    }

    /// Seals one slice (copied; yours to wipe). Append `bytes` at `offset` and flush before anything else happens.
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
    ) -> Result<Object> {
        let sealed = self
            .0
            .seal(
                track_of(track)?,
                slice,
                whole(media_end_us),
                whole(at_ms),
                &mut system_rng(),
            )
            .map_err(record_error)?;
        let object = Object::new();
        set(&object, "index", &number(sealed.index));
        set(&object, "offset", &number(sealed.offset));
        set(&object, "end", &number(sealed.end()));
        set(
            &object,
            "head",
            &JsValue::from_str(&sealed.head.to_string()),
        );
        set(&object, "bytes", &Uint8Array::from(sealed.bytes.as_slice()));
        Ok(object)
    }

    /// Seals lines into an events track, as one segment; marks are counted for the manifest.
    #[wasm_bindgen(js_name = sealEvents, unchecked_return_type = "SealedSlice")]
    pub fn seal_events(
        &mut self,
        track: &str,
        #[wasm_bindgen(unchecked_param_type = "object[]")] lines: JsValue,
        media_end_us: f64,
        at_ms: f64,
    ) -> Result<Object> {
        let lines: Vec<EventLine> = from_js(lines)?;
        let sealed = self.seal(track, &encode_events(&lines), media_end_us, at_ms)?;
        for line in &lines {
            if matches!(line.event, recording::Event::Mark { .. }) {
                self.0.count_mark();
            }
        }
        Ok(sealed)
    }

    /// States a hole in a track's media time; the reason is a code such as `asleep`. Throws `recording-gap`.
    pub fn gap(&mut self, track: &str, from_us: f64, to_us: f64, reason: &str) -> Result<()> {
        self.0
            .gap(track_of(track)?, whole(from_us), whole(to_us), reason)
            .map_err(record_error)
    }

    /// Each track's chain head, `[[track, head]]`: what a part that goes on after this one names as `previous`.
    #[wasm_bindgen(unchecked_return_type = "[string, string][]")]
    pub fn heads(&self) -> Result<JsValue> {
        to_js(&self.0.heads())
    }

    /// Signs the manifest, and wipes all keys: the recorder is used up.
    pub fn finish(
        self,
        #[wasm_bindgen(unchecked_param_type = "PartEnd")] end: JsValue,
    ) -> Result<String> {
        let end: JsEnd = from_js(end)?;
        let manifest = self.0.finish(PartEnd {
            reason: end.reason,
            ended_ms: whole(end.ended_ms),
            withdrawal: end.withdrawal,
            places: end.places,
        });
        Ok(manifest.as_str().to_owned())
    }
}

// --- Checking without a key -----------------------------------------------------------------------

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

// --- Opening --------------------------------------------------------------------------------------

/// A recipient's private key. `free()` wipes it.
#[wasm_bindgen]
pub struct OpeningKey(PrivateKey);

#[wasm_bindgen]
impl OpeningKey {
    /// From the plaintext of a key file's JWE (copied; wipe yours). Throws `opening-key-file`.
    #[wasm_bindgen(constructor)]
    pub fn new(key_file_plaintext: &[u8]) -> Result<OpeningKey> {
        key_file::decode(key_file_plaintext)
            .map(Self)
            .map_err(|error| js_error("opening-key-file", &error.to_string(), JsValue::UNDEFINED))
    }

    /// How documents name the key: base64url of its fingerprint.
    pub fn fingerprint(&self) -> String {
        Hash32(self.0.public_key().fingerprint().0).to_string()
    }

    /// The fingerprint to read aloud: six groups of five digits.
    pub fn spoken(&self) -> String {
        self.0.public_key().fingerprint().to_string()
    }
}

/// Verifies and opens the parts of one recording.
#[wasm_bindgen]
pub struct RecordingReader {
    root_key: String,
    parts: Vec<PartVerifier>,
}

#[derive(Serialize)]
struct PartInfo<'a> {
    recording: RecordingId,
    visit: VisitId,
    part: u32,
    at_ms: u64,
    tracks: Vec<&'a sealed_visit_protocol::track::HeaderClaims>,
}

#[wasm_bindgen]
impl RecordingReader {
    /// A reader that believes this root key and nothing else.
    #[wasm_bindgen(constructor)]
    pub fn new(root_key: String) -> RecordingReader {
        Self {
            root_key,
            parts: Vec::new(),
        }
    }

    /// Verifies a part's open statement; returns `{recording, visit, part, at_ms, tracks}` with the tracks' headers.
    /// Throws `recording-clinic-refused`, `recording-open-refused`.
    #[wasm_bindgen(js_name = addPart, unchecked_return_type = "PartInfo")]
    pub fn add_part(&mut self, clinic_document: &str, open: String) -> Result<JsValue> {
        let clinic = clinic_of(&self.root_key, clinic_document)?;
        let verifier = PartVerifier::new(&Jws::from_text(open), &clinic)
            .map_err(|error| record_error(RecordError::OpenStatement(error)))?;
        let claims = verifier.open_statement().claims();
        let info = to_js(&PartInfo {
            recording: claims.recording,
            visit: claims.visit,
            part: claims.part,
            at_ms: claims.at_ms,
            tracks: verifier
                .open_statement()
                .headers()
                .iter()
                .map(|header| header.claims())
                .collect(),
        })?;
        self.parts.push(verifier);
        Ok(info)
    }

    /// Begins to open a track. `share` is the vault's, 32 bytes; undefined when the header needs none. Throws
    /// `opening-not-a-recipient`, `opening-share`, `opening-envelope-refused`, `opening-unwrap`.
    #[wasm_bindgen(js_name = openTrack)]
    pub fn open_track(
        &mut self,
        part: u32,
        track: &str,
        envelope: String,
        key: &OpeningKey,
        share: Option<Vec<u8>>,
    ) -> Result<TrackReader> {
        let track = track_of(track)?;
        let verifier = self.part(part)?;
        let header = verifier
            .open_statement()
            .header(track)
            .ok_or_else(|| record_error(RecordError::UnknownTrack(track)))?
            .clone();
        let envelope = Jws::from_text(envelope);
        let share = share.map(zeroize::Zeroizing::new);
        let share = share.as_ref().map(|share| share.as_slice());
        let track_key = unwrap_track_key(&envelope, &header, &key.0, share).map_err(open_error)?;
        verifier.envelope(envelope);
        Ok(TrackReader {
            part,
            track,
            opener: TrackOpener::new(header, track_key),
        })
    }

    /// Takes a track's result into the report; the reader is used up. Returns how far it was good.
    #[wasm_bindgen(js_name = closeTrack, unchecked_return_type = "CheckedTrack")]
    pub fn close_track(&mut self, reader: TrackReader) -> Result<Object> {
        let end = reader.opener.finish();
        let result = checked(&end.state);
        let error = end.error.as_ref().map(ToString::to_string);
        self.part(reader.part)?
            .track(reader.track, end.state, error);
        Ok(result)
    }

    /// Takes a part's manifest, closing record or receipt into the report; judged in `report`.
    #[wasm_bindgen(js_name = addManifest)]
    pub fn add_manifest(&mut self, part: u32, jws: String) -> Result<()> {
        self.part(part)?
            .manifest(Jws::<ManifestClaims>::from_text(jws));
        Ok(())
    }

    /// See `addManifest`.
    #[wasm_bindgen(js_name = addClosing)]
    pub fn add_closing(&mut self, part: u32, jws: String) -> Result<()> {
        self.part(part)?
            .closing(Jws::<ClosingClaims>::from_text(jws));
        Ok(())
    }

    /// See `addManifest`.
    #[wasm_bindgen(js_name = addReceipt)]
    pub fn add_receipt(&mut self, part: u32, jws: String) -> Result<()> {
        self.part(part)?
            .receipt(Jws::<ReceiptClaims>::from_text(jws));
        Ok(())
    }

    /// The verdict over all parts, as the clinic tool's `verify --json` gives it. Uses the reader up.
    #[wasm_bindgen(unchecked_return_type = "RecordingReport")]
    pub fn report(self) -> Result<JsValue> {
        to_js(&report_recording(
            self.parts.into_iter().map(PartVerifier::report).collect(),
        ))
    }

    fn part(&mut self, part: u32) -> Result<&mut PartVerifier> {
        self.parts
            .iter_mut()
            .find(|verifier| verifier.open_statement().claims().part == part)
            .ok_or_else(|| bad_input("no such part was added"))
    }
}

/// Opens one track as its bytes come.
#[wasm_bindgen]
pub struct TrackReader {
    part: u32,
    track: TrackId,
    opener: TrackOpener,
}

#[wasm_bindgen]
impl TrackReader {
    /// Takes the next bytes; returns the slices that they complete, `[{index, media_end_us, at_ms, bytes}]`, each
    /// authenticated in full. Throws `opening-track-altered` or `opening-segment-altered` once, with the slices that
    /// were good in `detail`; then `opening-poisoned`.
    #[wasm_bindgen(unchecked_return_type = "OpenedSlice[]")]
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Array> {
        let slices = Array::new();
        let fed = self.opener.feed(bytes, |segment| {
            let slice = Object::new();
            set(&slice, "index", &number(segment.checkpoint.index));
            set(
                &slice,
                "media_end_us",
                &number(segment.checkpoint.media_end_us),
            );
            set(&slice, "at_ms", &number(segment.checkpoint.at_ms));
            set(
                &slice,
                "bytes",
                &Uint8Array::from(segment.plaintext.as_slice()),
            );
            slices.push(&slice);
        });
        match fed {
            Ok(()) => Ok(slices),
            Err(error) => Err(js_error(error.code(), &error.to_string(), slices.into())),
        }
    }
}

// --- Shapes ---------------------------------------------------------------------------------------

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** What one recorder run will record. Ids and hashes are base64url. */
export interface PartPlan {
  visit: string;
  recording: string;
  /** Counts from 0. */
  part: number;
  tracks: { content: { kind: "mixed" } | { kind: "participant"; participant: string } | { kind: "events" }; media_type: string }[];
  /** As in the granted request. */
  recipients: readonly { fingerprint: string; role: string }[];
  share_required: boolean;
}
export interface DraftOpenInput {
  recording_key: { kty: "OKP"; crv: "Ed25519"; x: string };
  tracks: { track: string; header: string }[];
}
/** Of the vault's answer. `share` is empty where the header needs none. */
export interface ShareGrant { track: string; share: string; create_url: string }
export interface SealedSlice {
  index: number;
  /** Where in the track's file `bytes` begin. */
  offset: number;
  /** Length of the file with them. */
  end: number;
  /** Chain head after the slice. */
  head: string;
  bytes: Uint8Array;
}
export interface PartEnd {
  reason: "stopped" | "paused" | "withdrawn" | "removed" | "failed";
  ended_ms: number;
  /** The signed statement, when somebody withdrew. */
  withdrawal?: string;
  /** The host's signed confirmations of the places that people stated. */
  places?: readonly string[];
}
export interface CheckedTrack {
  track: string | null;
  segments: number;
  /** Good up to here. */
  verified_bytes: number;
  fed_bytes: number;
  head: string;
  media_end_us: number;
  last_at_ms: number;
}
export interface ExpectedReceipt {
  open: string;
  manifest?: string;
  tracks: { track: string; length_bytes: number; head: string; envelope?: string }[];
}
export interface PartInfo {
  recording: string;
  visit: string;
  part: number;
  at_ms: number;
  tracks: { track: string; content: { kind: string }; media_type: string; share_required: boolean; recipients: string[] }[];
}
export interface OpenedSlice { index: number; media_end_us: number; at_ms: number; bytes: Uint8Array }
export interface RecordingProblem { code: string; message: string; track?: string }
export interface RecordingReport {
  v: 1;
  /** No alteration was found. */
  ok: boolean;
  /** And nothing is missing. */
  complete: boolean;
  media_us: number;
  parts: {
    recording: string;
    visit: string;
    part: number;
    purpose: string | null;
    granted_by: string[];
    places: { participant: string; place: string; confirmed: boolean }[];
    recipients: string[];
    started_ms: number;
    ending:
      | { state: "finished"; reason: string; ended_ms: number }
      | { state: "closed_by_vault"; reason: string; stopped_ms: number }
      | { state: "open" };
    tracks: {
      track: string;
      content: { kind: string };
      media_type: string;
      share_required: boolean;
      segments: number;
      verified_bytes: number;
      unverified_bytes: number;
      media_end_us: number;
      last_at_ms: number;
      gaps: { from_us: number; to_us: number; reason: string }[];
      envelope: boolean;
    }[];
    receipt: "missing" | "valid" | "covers_more" | "invalid";
    problems: RecordingProblem[];
  }[];
  pauses: { after_part: number; from_ms: number; to_ms: number }[];
  problems: RecordingProblem[];
}
/** What functions and classes of the module `recording` throw. */
export type RecordingErrorCode =
  | "bad_input"
  | "recording-clinic-refused"
  | "recording-recipient-refused"
  | "recording-recipient-key"
  | "recording-header"
  | "recording-open-refused"
  | "recording-other-draft"
  | "recording-share"
  | "recording-unknown-track"
  | "recording-slice-too-long"
  | "recording-time-backwards"
  | "recording-gap"
  | "recording-poisoned"
  | "recording-seal-failed"
  | "receipt-refused"
  | "wipe-refused"
  | "opening-key-file"
  | "opening-envelope-refused"
  | "opening-not-a-recipient"
  | "opening-share"
  | "opening-unwrap"
  | "opening-track-altered"
  | "opening-segment-altered"
  | "opening-poisoned";
"#;

fn checked(state: &TrackState) -> Object {
    let object = Object::new();
    let track = state
        .header()
        .map(|header| header.claims().track.to_string());
    set(
        &object,
        "track",
        &track.map_or(JsValue::NULL, JsValue::from),
    );
    set(&object, "segments", &number(state.segments()));
    set(&object, "verified_bytes", &number(state.verified_bytes()));
    set(&object, "fed_bytes", &number(state.offset()));
    set(
        &object,
        "head",
        &JsValue::from_str(&state.head().to_string()),
    );
    set(&object, "media_end_us", &number(state.media_end_us()));
    set(&object, "last_at_ms", &number(state.last_at_ms()));
    object
}

fn clinic_of(root_key: &str, clinic_document: &str) -> Result<ClinicDocument> {
    let refused = |message: &str| js_error("recording-clinic-refused", message, JsValue::UNDEFINED);
    let root = PublicKey::parse(root_key).map_err(|error| refused(&error.to_string()))?;
    ClinicDocument::verify(&Jws::from_text(clinic_document), &root)
        .map_err(|error| refused(&error.to_string()))
}

fn track_of(track: &str) -> Result<TrackId> {
    track
        .parse()
        .map_err(|_| bad_input("track: expected an id"))
}

fn from_js<T: serde::de::DeserializeOwned>(value: JsValue) -> Result<T> {
    serde_wasm_bindgen::from_value(value).map_err(|error| bad_input(&error.to_string()))
}

fn to_js(value: &impl Serialize) -> Result<JsValue> {
    value
        .serialize(&Serializer::json_compatible())
        .map_err(|error| bad_input(&error.to_string()))
}

fn bad_input(message: &str) -> JsValue {
    js_error("bad_input", message, JsValue::UNDEFINED)
}

fn record_error(error: RecordError) -> JsValue {
    js_error(error.code(), &error.to_string(), JsValue::UNDEFINED)
}

fn open_error(error: OpenTrackError) -> JsValue {
    js_error(error.code(), &error.to_string(), JsValue::UNDEFINED)
}

fn set(object: &Object, name: &str, value: &JsValue) {
    // Setting a field of a plain, fresh object does not fail.
    let _ = Reflect::set(object, &JsValue::from_str(name), value);
}

fn number(count: u64) -> JsValue {
    JsValue::from_f64(count as f64)
}

/// JavaScript's times and sizes: negative ones and NaN become 0, fractions are cut off.
fn whole(number: f64) -> u64 {
    number as u64
}

fn fill(rng: &mut impl crate::seal::hpke::CryptoRng, bytes: &mut [u8]) {
    rng.fill_bytes(bytes);
}
