//! Signed documents as JSON values, so that a vector can say what no honest program would sign.

use ed25519_dalek::Signer as _;
use sealed_visit_protocol::bytes::{from_base64url, to_base64url};
use sealed_visit_protocol::hash::sha256;
use serde_json::{Value, json};

pub type Seed = [u8; 32];

/// Signs this text as the payload of a document of this type.
pub fn sign_text(typ: &str, payload: &str, seed: &Seed) -> String {
    let kid = sealed_visit_protocol::SigningKey::from_seed(seed)
        .public()
        .thumbprint();
    let header = format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{kid}"}}"#);
    sign_under(&header, payload, seed)
}

/// Signs this payload under this header, whatever it says.
pub fn sign_under(header: &str, payload: &str, seed: &Seed) -> String {
    let signed = format!(
        "{}.{}",
        to_base64url(header.as_bytes()),
        to_base64url(payload.as_bytes())
    );
    let key = ed25519_dalek::SigningKey::from_bytes(seed);
    let signature = key.sign(signed.as_bytes()).to_bytes();
    format!("{signed}.{}", to_base64url(&signature))
}

pub fn sign(typ: &str, payload: &Value, seed: &Seed) -> String {
    sign_text(typ, &payload.to_string(), seed)
}

pub fn header_text(jws: &str) -> String {
    text_of(jws.split('.').next().unwrap())
}

pub fn payload_text(jws: &str) -> String {
    text_of(jws.split('.').nth(1).unwrap())
}

pub fn payload(jws: &str) -> Value {
    serde_json::from_str(&payload_text(jws)).unwrap()
}

fn text_of(part: &str) -> String {
    String::from_utf8(from_base64url(part).unwrap()).unwrap()
}

/// How other documents name this one.
pub fn hash(jws: &str) -> Value {
    json!(sha256(jws.as_bytes()).to_string())
}

/// The JWK of a seed's public key.
pub fn jwk(seed: &Seed) -> Value {
    let public = sealed_visit_protocol::SigningKey::from_seed(seed).public();
    serde_json::to_value(public).unwrap()
}
