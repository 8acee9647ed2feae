//! Uploads the test vectors of `tests/vectors/recording/` to a vault. It takes what is genuine and refuses a fault as soon as it
//! sees it, with the code that the vector names.

use crate::common::World;
use crate::common::http::{PATCH_TYPE, Reply, TestVault};
use base64::Engine as _;
use http::Method;
use sealed_visit_protocol::bytes::from_base64url;
use sealed_visit_protocol::recording::{OpenClaims, VaultAnswer, VaultProofClaims};
use sealed_visit_protocol::{Jws, ProofId, SigningKey};
use sealed_visit_testing::recording_vectors::{self as stored, Folder};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/recording")
}

fn text(path: PathBuf) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json_of(path: PathBuf) -> Value {
    serde_json::from_str(&text(path)).unwrap()
}

fn base(name: &str) -> Folder {
    let folder = folder().join("bases").join(name);
    let mut tracks = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "track")
        {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            tracks.insert(name, std::fs::read(path).unwrap());
        }
    }
    Folder {
        clinic: text(folder.join("clinic.jws")).trim().to_owned(),
        recording: json_of(folder.join("recording.json")),
        tracks,
    }
}

struct Secrets(Value);

impl Secrets {
    fn key(&self, pointer: &str) -> SigningKey {
        let seed = self.0.pointer(pointer).unwrap().as_str().unwrap();
        SigningKey::from_seed(&from_base64url(seed).unwrap().try_into().unwrap())
    }
}

/// What the vault said first: `{"refuses": what, "code": code}`, or `{"takes": true}`.
async fn upload(base: &str, folder: &Folder, secrets: &Secrets) -> Value {
    let world = World {
        root: secrets.key("/ed25519_seeds/root"),
        vault: secrets.key("/ed25519_seeds/vault"),
        ..World::new()
    };
    // The first part of every base begins then, as good as its passes.
    let now_ms = 1_768_485_603_000;
    let vault = TestVault::of_clinic(world, &folder.clinic, now_ms).await;
    let parts = folder.recording["parts"].as_array().unwrap();
    for (index, part) in parts.iter().enumerate() {
        let key = secrets.key(&format!("/recording_key_seeds/{base}/{index}"));
        if let Err(refusal) = upload_part(&vault, part, &folder.tracks, &key, now_ms).await {
            return refusal;
        }
    }
    json!({"takes": true})
}

async fn upload_part(
    vault: &TestVault,
    part: &Value,
    files: &BTreeMap<String, Vec<u8>>,
    key: &SigningKey,
    now_ms: u64,
) -> Result<(), Value> {
    let open = Jws::<OpenClaims>::from_text(part["open"].as_str().unwrap());
    let id = ProofId::from_bytes(open.hash().0[..16].try_into().unwrap());
    let audience = vault.world.vault.public();
    let proof = VaultProofClaims::new(&audience, open.hash(), id, now_ms, None).sign(key);
    let headers = [("Vault-Proof", proof.as_str())];
    let path = "/v1/recordings";
    let reply = vault.send(Method::POST, path, &headers, open.as_str().to_owned());
    let reply = taken(reply.await, "open")?;
    let answer: VaultAnswer = serde_json::from_slice(&reply.body).unwrap();
    let authorization = format!("Bearer {}", answer.capability);
    let path = format!("/v1/recordings/{}/parts/{}", answer.recording, answer.part);
    let send = async |method, path: &str, headers: &[(&str, &str)], body: Vec<u8>| {
        let common = [
            ("Authorization", &*authorization),
            ("Tus-Resumable", "1.0.0"),
        ];
        let headers = [&common, headers].concat();
        vault.send(method, path, &headers, body).await
    };
    for listed in part["tracks"].as_array().unwrap() {
        let track = listed["track"].as_str().unwrap();
        for envelope in listed["envelopes"].as_array().unwrap() {
            let path = format!("{path}/envelopes/{track}");
            let body = envelope.as_str().unwrap().into();
            taken(send(Method::PUT, &path, &[], body).await, "envelope")?;
        }
    }
    for listed in part["tracks"].as_array().unwrap() {
        let track = listed["track"].as_str().unwrap();
        let Some(bytes) = files.get(&format!("{track}.track")) else {
            continue;
        };
        let metadata = base64::engine::general_purpose::STANDARD.encode(track);
        let metadata = format!("track {metadata}");
        let create = [
            ("Upload-Defer-Length", "1"),
            ("Upload-Metadata", &*metadata),
        ];
        let uploads = format!("{path}/uploads");
        taken(send(Method::POST, &uploads, &create, vec![]).await, "track")?;
        let append = [("Content-Type", PATCH_TYPE), ("Upload-Offset", "0")];
        let upload = format!("{uploads}/{track}");
        taken(
            send(Method::PATCH, &upload, &append, bytes.clone()).await,
            "track",
        )?;
    }
    if let Some(manifest) = part["manifest"].as_str() {
        let finish = format!("{path}/finish");
        taken(
            send(Method::POST, &finish, &[], manifest.into()).await,
            "manifest",
        )?;
    }
    Ok(())
}

fn taken(reply: Reply, what: &str) -> Result<Reply, Value> {
    if reply.status.is_success() {
        return Ok(reply);
    }
    Err(json!({"refuses": what, "code": reply.header("Error-Code")}))
}

#[tokio::test]
async fn every_vector_that_a_vault_can_judge_is_taken_or_refused_for_its_reason() {
    let secrets = Secrets(json_of(folder().join("secrets.json")));
    let mut judged = 0;
    let mut differing = Vec::new();
    for entry in std::fs::read_dir(folder().join("vectors")).unwrap() {
        let vector = json_of(entry.unwrap().path());
        let expected = &vector["vault"];
        if expected["cannot_judge"].is_string() {
            continue;
        }
        let name = vector["base"].as_str().unwrap();
        let (recording, _) = stored::apply(&base(name), vector["edits"].as_array().unwrap());
        let said = upload(name, &recording, &secrets).await;
        judged += 1;
        if said != *expected {
            differing.push(format!("{}: {said}, not {expected}", vector["name"]));
        }
    }
    differing.sort();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert!(judged >= 100, "{judged} vectors");
}
