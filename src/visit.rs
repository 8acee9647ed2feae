//! The visit state machine for the worker: inputs in, outputs out, as JSON; secrets apart, as bytes.
//!
//! JSON, because the relay and the other members speak it too: one reader and one writer are all that a patient
//! downloads. A text cannot be wiped, so no secret stands in one.

use crate::error::js_error;
use crate::frames::FrameEngine;
use crate::member::{SharedMedia, is_shown};
use js_sys::Uint8Array;
use sealed_visit_protocol::bytes::from_base64url;
use sealed_visit_protocol::{Jws, PublicKey, SigningKey, json};
use sealed_visit_visit::visit::{Config, ConfigError, Input, Visit, VisitMemory};
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use zeroize::Zeroizing;

/// One participant's side of one visit.
///
/// `handle` takes one input and returns the outputs to carry out in order; it throws only for an input that is not of
/// the documented shape (`bad_input`). A panic is fatal: end the worker.
#[wasm_bindgen]
pub struct VisitCore {
    visit: Visit,
    media: SharedMedia,
}

#[derive(Deserialize)]
struct JsConfig {
    root_key: String,
    clinic_document: String,
    pass: String,
    display_name: String,
    name_salt: String,
    #[serde(default)]
    memories: Vec<String>,
}

#[wasm_bindgen]
impl VisitCore {
    /// Checks the clinic document against the pinned root key and the pass against the document; throws
    /// `bad_config` or `refused` with the reason. `config` is JSON; `seed` is the pass key's, `entropy` 32 random
    /// bytes, fresh for every run. Both are copied; wipe yours. `frames` gets its keys from this visit, and sends only
    /// while the visit lets it.
    #[wasm_bindgen(constructor)]
    pub fn new(
        config: &str,
        seed: Vec<u8>,
        entropy: Vec<u8>,
        now_ms: f64,
        frames: &FrameEngine,
    ) -> Result<VisitCore, JsValue> {
        let seed = Zeroizing::new(seed);
        let entropy = Zeroizing::new(entropy);
        let config: JsConfig = json::from_slice(config.as_bytes()).map_err(bad_config)?;
        let salt = from_base64url(&config.name_salt).and_then(|salt| salt.try_into().ok());
        let read = |text: &String| json::from_slice::<VisitMemory>(text.as_bytes());
        let memories = config.memories.iter().map(read).collect::<Result<_, _>>();
        // A pass key whose memory cannot be read is no better than a lost one.
        let memories = memories
            .map_err(|error| js_error("refused", &error.to_string(), JsValue::UNDEFINED))?;
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
                memories,
            },
            now_ms as u64,
        )
        .map_err(|error| {
            // A pass that is refused can be asked for anew; nothing else says anything about the pass.
            let code = match error {
                ConfigError::Pass(_) => "refused",
                _ => "bad_config",
            };
            js_error(code, &error.to_string(), JsValue::UNDEFINED)
        })?;
        let media = frames.media().clone();
        media.borrow_mut().enter();
        Ok(Self { visit, media })
    }

    /// A fresh pass key: its seed of 32 bytes. Wipe it when it is kept elsewhere.
    #[wasm_bindgen(js_name = generateSeed)]
    pub fn generate_seed() -> Result<Uint8Array, JsValue> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut *seed).map_err(|_| {
            js_error(
                "no_randomness",
                "the browser gives no randomness",
                JsValue::UNDEFINED,
            )
        })?;
        Ok(Uint8Array::from(&seed[..]))
    }

    /// The public key of a seed, as a JWK in JSON: `{kty, crv, x}`.
    #[wasm_bindgen(js_name = publicJwk)]
    pub fn public_jwk(seed: Vec<u8>) -> Result<String, JsValue> {
        let seed = Zeroizing::new(seed);
        let key = SigningKey::from_seed(&array(&seed, "seed")?);
        to_json(&key.public())
    }

    /// The commitment to a display name that the authority puts into the pass: base64url of 32 bytes.
    #[wasm_bindgen(js_name = nameCommitment)]
    pub fn name_commitment(name: &str, salt: &str) -> Result<String, JsValue> {
        let salt = from_base64url(salt)
            .and_then(|salt| <[u8; 16]>::try_from(salt).ok())
            .ok_or_else(|| bad_config("salt: expected 16 bytes in base64url"))?;
        Ok(sealed_visit_protocol::pass::name_commitment(&salt, name).to_string())
    }

    /// Takes an input (JSON) at a time in milliseconds since the Unix epoch; returns the outputs (a JSON array).
    ///
    /// Keys and gate are as the outputs say when this returns. Throws a `frames-...` error if that failed: nothing is sent
    /// anymore then.
    pub fn handle(&mut self, input: &str, now_ms: f64) -> Result<String, JsValue> {
        let input: Input = json::from_slice(input.as_bytes())
            .map_err(|error| js_error("bad_input", &error.to_string(), JsValue::UNDEFINED))?;
        let mut outputs = self.visit.handle(input, now_ms as u64).in_order();
        self.media
            .borrow_mut()
            .carry_out(&outputs)
            .map_err(|error| js_error(error.code(), &error.to_string(), JsValue::UNDEFINED))?;
        outputs.retain(is_shown);
        to_json(&outputs)
    }
}

impl Drop for VisitCore {
    fn drop(&mut self) {
        self.media.borrow_mut().leave();
    }
}

fn to_json(value: &impl Serialize) -> Result<String, JsValue> {
    serde_json::to_string(value)
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
