//! Verifying and opening, in the player's worker.

use js_sys::{Array, Object, Uint8Array};
use sealed_visit_protocol::recording::{
    ClosingClaims, EnvelopeClaims, ManifestClaims, ReceiptClaims,
};
use sealed_visit_protocol::{Hash32, Jws, RecordingId, TrackId, VisitId};
use serde::Serialize;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::values::*;
use crate::error::js_error;
use sealed_visit_recording::seal::hpke::PrivateKey;
use sealed_visit_recording::seal::key_file;
use sealed_visit_recording::{
    PartVerifier, RecordError, TrackFollower, TrackOpener, report_recording, unwrap_track_key,
};

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
///
/// Every method after `addPart` takes a part's position: how many were added before it. Its number would not do, because a
/// recording that lists two parts under the same number is one of those that must be told apart.
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

    /// Verifies a part's open statement, found under this recording and part; returns `{recording, visit, part, at_ms, tracks}` with the tracks' headers.
    /// Throws `recording-clinic-refused`, `recording-open-refused`.
    #[wasm_bindgen(js_name = addPart, unchecked_return_type = "PartInfo")]
    pub fn add_part(
        &mut self,
        clinic_document: &str,
        open: String,
        recording: &str,
        part: u32,
    ) -> Result<JsValue> {
        let clinic = clinic_of(&self.root_key, clinic_document)?;
        let mut verifier = PartVerifier::new(&Jws::from_text(open), &clinic)
            .map_err(|error| record_error(RecordError::OpenStatement(error)))?;
        let recording: RecordingId = recording
            .parse()
            .map_err(|_| bad_input("recording: expected an id"))?;
        verifier.listed_as(recording, part);
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

    /// Takes an envelope that was found with this track into the report.
    #[wasm_bindgen(js_name = addEnvelope)]
    pub fn add_envelope(&mut self, part: u32, track: &str, envelope: String) -> Result<()> {
        let track = track_of(track)?;
        let envelope = Jws::<EnvelopeClaims>::from_text(envelope);
        self.part(part)?.envelope(track, envelope);
        Ok(())
    }

    /// Says that this track is listed, and that its bytes are not here.
    #[wasm_bindgen(js_name = trackNotHere)]
    pub fn track_not_here(&mut self, part: u32, track: &str) -> Result<()> {
        let track = track_of(track)?;
        self.part(part)?.track_not_here(track);
        Ok(())
    }

    /// Begins to follow a track that cannot be opened, for the report alone: no slice comes out.
    #[wasm_bindgen(js_name = checkTrack)]
    pub fn check_track(&mut self, part: u32, track: &str) -> Result<TrackReader> {
        let track = track_of(track)?;
        let header = self.part(part)?.open_statement().header(track);
        let follower = TrackFollower::new(header);
        Ok(TrackReader {
            part,
            track,
            reading: Reading::Checking(Box::new(follower)),
        })
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
        if !verifier.may_open() {
            let message = "the part was recorded under another clinic document, or one that was not valid then";
            return Err(js_error(
                "recording-clinic-refused",
                message,
                JsValue::UNDEFINED,
            ));
        }
        let header = verifier
            .open_statement()
            .header(track)
            .ok_or_else(|| record_error(RecordError::UnknownTrack(track)))?
            .clone();
        let envelope = Jws::from_text(envelope);
        let share = share.map(zeroize::Zeroizing::new);
        let share = share.as_ref().map(|share| share.as_slice());
        let track_key = unwrap_track_key(&envelope, &header, &key.0, share).map_err(open_error)?;
        Ok(TrackReader {
            part,
            track,
            reading: Reading::Opening(Box::new(TrackOpener::new(header, track_key))),
        })
    }

    /// Takes a track's result into the report; the reader is used up. Returns how far it was good.
    #[wasm_bindgen(js_name = closeTrack, unchecked_return_type = "CheckedTrack")]
    pub fn close_track(&mut self, reader: TrackReader) -> Result<Object> {
        let end = match reader.reading {
            Reading::Opening(opener) => opener.finish(),
            Reading::Checking(follower) => follower.finish(),
        };
        let result = checked(&end.state);
        self.part(reader.part)?.track(reader.track, end);
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

    fn part(&mut self, position: u32) -> Result<&mut PartVerifier> {
        self.parts
            .get_mut(position as usize)
            .ok_or_else(|| bad_input("no such part was added"))
    }
}

/// Opens one track as its bytes come, or only checks it.
#[wasm_bindgen]
pub struct TrackReader {
    part: u32,
    track: TrackId,
    reading: Reading,
}

enum Reading {
    Opening(Box<TrackOpener>),
    Checking(Box<TrackFollower>),
}

#[wasm_bindgen]
impl TrackReader {
    /// Takes the next bytes; returns the slices that they complete, `[{index, media_end_us, at_ms, bytes}]`, each
    /// authenticated in full. Throws `opening-track-altered` or `opening-segment-altered` once, with the slices that
    /// were good in `detail`; then `opening-poisoned`.
    #[wasm_bindgen(unchecked_return_type = "OpenedSlice[]")]
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Array> {
        let slices = Array::new();
        let opener = match &mut self.reading {
            Reading::Opening(opener) => opener,
            Reading::Checking(follower) => {
                return follower.feed(bytes).map(|()| slices).map_err(open_error);
            }
        };
        let fed = opener.feed(bytes, |segment| {
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
