//! Between JavaScript's values and ours.

use js_sys::Object;
use sealed_visit_protocol::track::TrackState;
use sealed_visit_protocol::{ClinicDocument, Jws, PublicKey, TrackId};
use serde::Serialize;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::JsValue;

pub(super) use crate::convert::{number, set, whole};
use crate::error::js_error;
use sealed_visit_recording::{OpenTrackError, RecordError};

pub(super) type Result<T> = std::result::Result<T, JsValue>;

pub(super) fn clinic_of(root_key: &str, clinic_document: &str) -> Result<ClinicDocument> {
    let refused = |message: &str| js_error("recording-clinic-refused", message, JsValue::UNDEFINED);
    let root = PublicKey::parse(root_key).map_err(|error| refused(&error.to_string()))?;
    ClinicDocument::verify(&Jws::from_text(clinic_document), &root)
        .map_err(|error| refused(&error.to_string()))
}

pub(super) fn track_of(track: &str) -> Result<TrackId> {
    track
        .parse()
        .map_err(|_| bad_input("track: expected an id"))
}

pub(super) fn from_js<T: serde::de::DeserializeOwned>(value: JsValue) -> Result<T> {
    serde_wasm_bindgen::from_value(value).map_err(|error| bad_input(&error.to_string()))
}

pub(super) fn to_js(value: &impl Serialize) -> Result<JsValue> {
    value
        .serialize(&Serializer::json_compatible())
        .map_err(|error| bad_input(&error.to_string()))
}

pub(super) fn bad_input(message: &str) -> JsValue {
    js_error("bad_input", message, JsValue::UNDEFINED)
}

pub(super) fn record_error(error: RecordError) -> JsValue {
    js_error(error.code(), &error.to_string(), JsValue::UNDEFINED)
}

pub(super) fn open_error(error: OpenTrackError) -> JsValue {
    js_error(error.code(), &error.to_string(), JsValue::UNDEFINED)
}

/// How far a track is good, as JavaScript has it.
pub(super) fn checked(state: &TrackState) -> Object {
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
