//! The visit state machine for the worker: inputs in, outputs out, as plain objects.

use super::error::js_error;
use crate::visit::{Config, Input, Visit};
use sealed_visit_protocol::bytes::from_base64url;
use sealed_visit_protocol::{Jws, PublicKey, SigningKey};
use serde::{Deserialize, Serialize};
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use zeroize::Zeroizing;

/// One participant's side of one visit.
///
/// `handle` takes one input and returns the outputs to carry out in order; it throws only for an input that is not of
/// the documented shape (`bad_input`). A panic is fatal: end the worker.
#[wasm_bindgen]
pub struct VisitCore {
    visit: Visit,
}

#[derive(Deserialize)]
struct JsConfig {
    root_key: String,
    clinic_document: String,
    pass: String,
    #[serde(with = "serde_bytes")]
    seed: Vec<u8>,
    display_name: String,
    name_salt: String,
    /// 32 random bytes, fresh for every run.
    #[serde(with = "serde_bytes")]
    entropy: Vec<u8>,
}

#[derive(Serialize)]
struct JsIdentity {
    #[serde(with = "serde_bytes")]
    seed: Vec<u8>,
    jwk: PublicKey,
}

#[wasm_bindgen]
impl VisitCore {
    /// Checks the clinic document against the pinned root key and the pass against the document; throws
    /// `bad_config` or `refused` with the reason. The seed is copied; wipe yours.
    #[wasm_bindgen(constructor)]
    pub fn new(config: JsValue, now_ms: f64) -> Result<VisitCore, JsValue> {
        let config: JsConfig = serde_wasm_bindgen::from_value(config).map_err(bad_config)?;
        let seed = Zeroizing::new(config.seed);
        let entropy = Zeroizing::new(config.entropy);
        let salt = from_base64url(&config.name_salt).and_then(|salt| salt.try_into().ok());
        let visit = Visit::new(
            Config {
                root: PublicKey::parse(&config.root_key).map_err(bad_config)?,
                clinic_document: Jws::from_text(config.clinic_document),
                pass: Jws::from_text(config.pass),
                seed: Zeroizing::new(array(&seed, "seed")?),
                display_name: config.display_name,
                name_salt: salt
                    .ok_or_else(|| bad_config("name_salt: expected 16 bytes in base64url"))?,
                entropy: Zeroizing::new(array(&entropy, "entropy")?),
            },
            now_ms as u64,
        )
        .map_err(|error| js_error("refused", &error.to_string(), JsValue::UNDEFINED))?;
        Ok(Self { visit })
    }

    /// A fresh pass key: `{seed: Uint8Array(32), jwk: {kty, crv, x}}`.
    #[wasm_bindgen(js_name = generateIdentity)]
    pub fn generate_identity() -> Result<JsValue, JsValue> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut *seed).map_err(|_| {
            js_error(
                "no_randomness",
                "the browser gives no randomness",
                JsValue::UNDEFINED,
            )
        })?;
        let jwk = SigningKey::from_seed(&seed).public();
        to_js(&JsIdentity {
            seed: seed.to_vec(),
            jwk,
        })
    }

    /// The commitment to a display name that the authority puts into the pass: base64url of 32 bytes.
    #[wasm_bindgen(js_name = nameCommitment)]
    pub fn name_commitment(name: &str, salt: &str) -> Result<String, JsValue> {
        let salt = from_base64url(salt)
            .and_then(|salt| <[u8; 16]>::try_from(salt).ok())
            .ok_or_else(|| bad_config("salt: expected 16 bytes in base64url"))?;
        Ok(sealed_visit_protocol::pass::name_commitment(&salt, name).to_string())
    }

    /// Takes an input at a time in milliseconds since the Unix epoch; returns the outputs.
    pub fn handle(&mut self, input: JsValue, now_ms: f64) -> Result<JsValue, JsValue> {
        let input: Input = serde_wasm_bindgen::from_value(input)
            .map_err(|error| js_error("bad_input", &error.to_string(), JsValue::UNDEFINED))?;
        to_js(&self.visit.handle(input, now_ms as u64))
    }
}

fn to_js(value: &impl Serialize) -> Result<JsValue, JsValue> {
    let serializer = Serializer::new()
        .serialize_maps_as_objects(true)
        .serialize_missing_as_null(true);
    value
        .serialize(&serializer)
        .map_err(|error| js_error("bad_output", &error.to_string(), JsValue::UNDEFINED))
}

fn array(bytes: &[u8], what: &str) -> Result<[u8; 32], JsValue> {
    bytes
        .try_into()
        .map_err(|_| bad_config(format!("{what}: expected 32 bytes, got {}", bytes.len())))
}

fn bad_config(error: impl std::fmt::Display) -> JsValue {
    js_error("bad_config", &error.to_string(), JsValue::UNDEFINED)
}
