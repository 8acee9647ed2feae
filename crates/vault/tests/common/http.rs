//! A vault in a temporary folder with a clock of its own, and requests to it.

use super::tracks::TrackFile;
use super::{Part, START_MS, World};
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use sealed_visit_protocol::recording::{ReceiptClaims, VaultAnswer};
use sealed_visit_protocol::{Jws, SigningKey};
use sealed_visit_vault::auth::Readers;
use sealed_visit_vault::{Config, Identity, Vault, router};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tower::ServiceExt as _;

pub const READER_TOKEN: &str = "reader-token-of-the-tests";
pub const PATCH_TYPE: &str = "application/offset+octet-stream";

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("expected JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn offset(&self) -> u64 {
        self.header("Upload-Offset")
            .expect("an offset")
            .parse()
            .unwrap()
    }

    /// Checks the status of a success.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{text}");
        self
    }

    /// Checks status and code of a refusal, and that its message is a sentence.
    #[track_caller]
    pub fn expect_refusal(self, status: u16, code: &str) -> Self {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        assert_eq!(self.status.as_u16(), status, "{text}");
        assert_eq!(self.header("Error-Code"), Some(code), "{text}");
        // An answer to HEAD has no body.
        if !self.body.is_empty() {
            let body = self.json();
            assert_eq!(body["code"], code, "{text}");
            assert!(body["message"].as_str().unwrap().len() > 10, "{text}");
        }
        self
    }
}

/// A vault without a socket.
pub struct TestVault {
    pub world: World,
    pub vault: Arc<Vault>,
    pub folder: tempfile::TempDir,
    pub now_ms: Arc<AtomicU64>,
    router: Router,
    edit: fn(&mut Config),
}

impl TestVault {
    pub async fn new() -> Self {
        Self::with_config(|_| {}).await
    }

    pub async fn with_config(edit: fn(&mut Config)) -> Self {
        let world = World::new();
        let document = world.clinic_document(|_| {});
        Self::start(world, document.as_str(), START_MS, edit).await
    }

    /// A vault of another clinic than the world's, with its root's and vault's keys.
    pub async fn of_clinic(world: World, document: &str, now_ms: u64) -> Self {
        Self::start(world, document, now_ms, |_| {}).await
    }

    async fn start(world: World, document: &str, now_ms: u64, edit: fn(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("clinic.jws"), document).unwrap();
        let now_ms = Arc::new(AtomicU64::new(now_ms));
        let vault = open(&world, folder.path(), &now_ms, edit).await;
        Self {
            world,
            router: router(vault.clone()),
            vault,
            folder,
            now_ms,
            edit,
        }
    }

    /// The same folder, as after a crash: nothing of the old vault's memory stays.
    pub async fn restarted(self) -> Self {
        let edit = self.edit;
        self.restarted_with(edit).await
    }

    /// Whether a vault would start on this folder, beside the one that runs.
    pub async fn try_restart(&self) -> anyhow::Result<Arc<Vault>> {
        try_open(&self.world, self.folder.path(), &self.now_ms, self.edit).await
    }

    pub async fn restarted_with(self, edit: fn(&mut Config)) -> Self {
        let Self {
            world,
            folder,
            now_ms,
            vault,
            router: old,
            ..
        } = self;
        drop(old);
        vault.db.pool().close().await;
        drop(vault);
        let vault = open(&world, folder.path(), &now_ms, edit).await;
        Self {
            world,
            router: router(vault.clone()),
            vault,
            folder,
            now_ms,
            edit,
        }
    }

    pub fn advance(&self, by: Duration) {
        self.now_ms
            .fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }

    pub fn clinic_file(&self) -> std::path::PathBuf {
        self.folder.path().join("clinic.jws")
    }

    pub fn staging_file(&self, part: &Part, index: usize) -> std::path::PathBuf {
        let data = self.folder.path().join("data");
        data.join("staging").join(part.track(index).to_string())
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: body.to_vec(),
        }
    }

    pub async fn post_open(&self, part: &Part) -> Reply {
        let now_ms = self.now_ms.load(Ordering::SeqCst);
        let proof = part.proof(&self.world.vault, now_ms);
        self.post_open_with(part, &[("Vault-Proof", proof.as_str())])
            .await
    }

    pub async fn post_open_with(&self, part: &Part, headers: &[(&str, &str)]) -> Reply {
        let open = part.open();
        let body = open.as_str().to_owned();
        self.send(Method::POST, "/v1/recordings", headers, body)
            .await
    }

    /// Opens the part, stores its envelopes, creates its uploads.
    pub async fn begin(&self, part: Part) -> Upload<'_> {
        let answer = self.post_open(&part).await.expect(201);
        let answer: VaultAnswer = serde_json::from_slice(&answer.body).unwrap();
        let upload = Upload {
            vault: self,
            authorization: format!("Bearer {}", answer.capability),
            answer,
            part,
        };
        for index in 0..upload.part.headers.len() {
            upload.put_envelope(index).await.expect(204);
            upload.create(index).await.expect(201);
        }
        upload
    }

    pub async fn read(&self, method: Method, path: &str) -> Reply {
        let token = format!("Bearer {READER_TOKEN}");
        self.send(method, path, &[("Authorization", &token)], Body::empty())
            .await
    }
}

async fn open(
    world: &World,
    folder: &std::path::Path,
    now_ms: &Arc<AtomicU64>,
    edit: fn(&mut Config),
) -> Arc<Vault> {
    try_open(world, folder, now_ms, edit).await.unwrap()
}

async fn try_open(
    world: &World,
    folder: &std::path::Path,
    now_ms: &Arc<AtomicU64>,
    edit: fn(&mut Config),
) -> anyhow::Result<Arc<Vault>> {
    let mut config = Config::new(folder.join("data"));
    edit(&mut config);
    let clock = now_ms.clone();
    Vault::open(
        config,
        Identity {
            key: SigningKey::clone(&world.vault),
            root: world.root.public(),
            clinic_document: folder.join("clinic.jws"),
            readers: Readers::parse(&format!("clinic {READER_TOKEN}")).unwrap(),
        },
        Arc::new(move || clock.load(Ordering::SeqCst)),
    )
    .await
}

/// A recorder's side of a part.
pub struct Upload<'a> {
    pub vault: &'a TestVault,
    pub part: Part,
    pub answer: VaultAnswer,
    pub authorization: String,
}

impl Upload<'_> {
    pub fn share(&self, index: usize) -> &[u8] {
        &self.answer.tracks[index].share.0
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let mut all = vec![
            ("Authorization", self.authorization.as_str()),
            ("Tus-Resumable", "1.0.0"),
        ];
        all.extend(headers);
        self.vault.send(method, path, &all, body).await
    }

    pub async fn put_envelope(&self, index: usize) -> Reply {
        let envelope = self.part.envelope(index, self.share(index));
        let path = self.part.envelope_path(index);
        self.send(Method::PUT, &path, &[], envelope.as_str().to_owned())
            .await
    }

    pub async fn create(&self, index: usize) -> Reply {
        let metadata = self.part.upload_metadata(index);
        let headers = [
            ("Upload-Defer-Length", "1"),
            ("Upload-Metadata", metadata.as_str()),
        ];
        let path = self.part.uploads_path();
        self.send(Method::POST, &path, &headers, Body::empty())
            .await
    }

    pub async fn patch(&self, index: usize, offset: u64, body: impl Into<Body>) -> Reply {
        self.patch_with(index, offset, &[], body).await
    }

    pub async fn patch_with(
        &self,
        index: usize,
        offset: u64,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let offset = offset.to_string();
        let mut all = vec![
            ("Content-Type", PATCH_TYPE),
            ("Upload-Offset", offset.as_str()),
        ];
        all.extend(headers);
        let path = self.part.upload_path(index);
        self.send(Method::PATCH, &path, &all, body).await
    }

    pub async fn head(&self, index: usize) -> Reply {
        let path = self.part.upload_path(index);
        self.send(Method::HEAD, &path, &[], Body::empty()).await
    }

    pub async fn upload(&self, index: usize, track: &TrackFile) {
        let reply = self.patch(index, 0, track.bytes.clone()).await.expect(204);
        assert_eq!(reply.offset(), track.len());
    }

    pub async fn finish(&self, tracks: &[&TrackFile]) -> Reply {
        let manifest = self.part.manifest(tracks);
        self.finish_with(manifest.as_str()).await
    }

    pub async fn finish_with(&self, manifest: &str) -> Reply {
        let path = format!("{}/finish", self.part.path());
        self.send(Method::POST, &path, &[], manifest.to_owned())
            .await
    }

    pub async fn close(&self, body: &str) -> Reply {
        let path = format!("{}/close", self.part.path());
        self.send(Method::POST, &path, &[], body.to_owned()).await
    }

    /// The receipt of a reply, verified with the vault's key.
    pub fn receipt(&self, reply: &Reply) -> ReceiptClaims {
        let text = reply.json()["receipt"].as_str().unwrap().to_owned();
        Jws::<ReceiptClaims>::from_text(text)
            .verify(&self.vault.world.vault.public())
            .expect("signed by the vault")
    }
}
