//! Every status and header of tus 1.0 that this server gives, as raw requests.

use crate::common::http::{PATCH_TYPE, TestVault, Upload};
use crate::common::tracks::TrackFile;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

async fn with_track<'a>(vault: &'a TestVault, sizes: &[usize]) -> (Upload<'a>, TrackFile) {
    let upload = vault.begin(vault.world.part(0, 1)).await;
    let track = TrackFile::with_segments(&upload.part, 0, sizes);
    (upload, track)
}

#[tokio::test]
async fn options_says_what_the_server_can_do() {
    let vault = TestVault::new().await;
    let part = vault.world.part(0, 1);
    for path in [part.uploads_path(), part.upload_path(0)] {
        // Neither a token nor Tus-Resumable is needed to ask.
        let reply = vault
            .send(Method::OPTIONS, &path, &[], Body::empty())
            .await
            .expect(204);
        assert_eq!(reply.header("Tus-Resumable"), Some("1.0.0"));
        assert_eq!(reply.header("Tus-Version"), Some("1.0.0"));
        assert_eq!(reply.header("Tus-Max-Size"), Some("68719476736"));
        assert_eq!(reply.header("Tus-Checksum-Algorithm"), Some("sha256,sha1"));
        assert_eq!(
            reply.header("Tus-Extension"),
            Some("creation,creation-defer-length,checksum,expiration,termination")
        );
    }
}

#[tokio::test]
async fn refuses_other_versions_and_says_which_it_speaks() {
    let vault = TestVault::new().await;
    let (upload, _) = with_track(&vault, &[]).await;
    for version in [None, Some("0.2.2"), Some("2.0.0")] {
        for (method, path) in [
            (Method::HEAD, upload.part.upload_path(0)),
            (Method::PATCH, upload.part.upload_path(0)),
            (Method::DELETE, upload.part.upload_path(0)),
            (Method::POST, upload.part.uploads_path()),
        ] {
            let mut headers = vec![("Authorization", upload.authorization.as_str())];
            headers.extend(version.map(|version| ("Tus-Resumable", version)));
            let reply = vault.send(method, &path, &headers, Body::empty()).await;
            assert_eq!(reply.header("Tus-Version"), Some("1.0.0"));
            assert_eq!(reply.header("Tus-Resumable"), Some("1.0.0"));
            reply.expect_refusal(412, "tus_version");
        }
    }
}

#[tokio::test]
async fn creates_an_upload_with_deferred_or_known_length() {
    let vault = TestVault::new().await;
    let upload = vault.begin(vault.world.part(0, 2)).await;
    let metadata = upload.part.upload_metadata(0);
    let reply = upload.create(0).await.expect(201);
    let location = format!("uploads/{}", upload.part.track(0));
    assert_eq!(reply.header("Location"), Some(location.as_str()));
    assert_eq!(reply.header("Tus-Resumable"), Some("1.0.0"));
    assert_eq!(
        reply.header("Upload-Expires"),
        Some("Fri, 29 May 2026 20:26:40 GMT")
    );
    let head = upload.head(0).await.expect(200);
    assert_eq!(head.header("Upload-Offset"), Some("0"));
    assert_eq!(head.header("Upload-Defer-Length"), Some("1"));
    assert_eq!(head.header("Upload-Length"), None);
    assert_eq!(head.header("Upload-Metadata"), Some(metadata.as_str()));
    assert_eq!(head.header("Cache-Control"), Some("no-store"));
    assert_eq!(head.header("Tus-Resumable"), Some("1.0.0"));
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn creation_again_gives_the_same_upload_with_what_it_holds() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[100]).await;
    upload.upload(0, &track).await;
    let reply = upload.create(0).await.expect(201);
    let location = format!("uploads/{}", upload.part.track(0));
    assert_eq!(reply.header("Location"), Some(location.as_str()));
    assert_eq!(upload.head(0).await.offset(), track.len());
}

#[tokio::test]
async fn refuses_creations_that_are_not_whole() {
    let vault = TestVault::new().await;
    let part = vault.world.part(0, 1);
    let upload = vault.begin(part).await;
    let path = upload.part.uploads_path();
    let metadata = upload.part.upload_metadata(0);
    let post = |headers: Vec<(&'static str, String)>| {
        let (upload, path) = (&upload, path.as_str());
        async move {
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            upload
                .send(Method::POST, path, &headers, Body::empty())
                .await
        }
    };
    let meta = ("Upload-Metadata", metadata.clone());
    post(vec![meta.clone()])
        .await
        .expect_refusal(400, "upload_length");
    post(vec![
        meta.clone(),
        ("Upload-Length", "5".into()),
        ("Upload-Defer-Length", "1".into()),
    ])
    .await
    .expect_refusal(400, "upload_length");
    post(vec![meta.clone(), ("Upload-Defer-Length", "2".into())])
        .await
        .expect_refusal(400, "upload_defer_length");
    post(vec![meta.clone(), ("Upload-Length", "-5".into())])
        .await
        .expect_refusal(400, "header_malformed");
    post(vec![meta.clone(), ("Upload-Length", "68719476737".into())])
        .await
        .expect_refusal(413, "too_large");
    post(vec![("Upload-Length", "5".into())])
        .await
        .expect_refusal(400, "upload_metadata");
    let other = format!("track {}", STANDARD.encode("BwcHBwcHBwcHBwcHBwcHBw"));
    post(vec![
        ("Upload-Metadata", other),
        ("Upload-Length", "5".into()),
    ])
    .await
    .expect_refusal(403, "other_capability");
}

#[tokio::test]
async fn a_known_length_is_kept_and_limits_the_upload() {
    let vault = TestVault::new().await;
    let part = vault.world.part(0, 1);
    let answer = vault.post_open(&part).await.expect(201);
    let answer: sealed_visit_protocol::recording::VaultAnswer =
        serde_json::from_slice(&answer.body).unwrap();
    let upload = Upload {
        vault: &vault,
        authorization: format!("Bearer {}", answer.capability),
        answer,
        part,
    };
    upload.put_envelope(0).await.expect(204);
    let track = TrackFile::with_segments(&upload.part, 0, &[100]);
    let (length, metadata) = (track.len().to_string(), upload.part.upload_metadata(0));
    let headers = [
        ("Upload-Length", length.as_str()),
        ("Upload-Metadata", metadata.as_str()),
    ];
    upload
        .send(
            Method::POST,
            &upload.part.uploads_path(),
            &headers,
            Body::empty(),
        )
        .await
        .expect(201);
    let head = upload.head(0).await.expect(200);
    assert_eq!(head.header("Upload-Length"), Some(length.as_str()));
    assert_eq!(head.header("Upload-Defer-Length"), None);

    let mut longer = track.clone();
    longer.push(&[9; 50]);
    // Told by Content-Length, before a byte is read.
    let declared = longer.len().to_string();
    upload
        .patch_with(0, 0, &[("Content-Length", &declared)], longer.bytes.clone())
        .await
        .expect_refusal(413, "too_large");
    assert_eq!(upload.head(0).await.offset(), 0);
    // And without one: what fits is kept.
    upload
        .patch(0, 0, Body::from_stream(pieces(&longer.bytes, 64)))
        .await
        .expect_refusal(413, "too_large");
    assert_eq!(upload.head(0).await.offset(), track.len());
    upload
        .patch_with(0, track.len(), &[("Upload-Length", "99999")], "")
        .await
        .expect_refusal(400, "upload_length");
}

#[tokio::test]
async fn takes_bytes_in_pieces_of_any_size() {
    for piece in [1, 7, 5000] {
        let vault = TestVault::new().await;
        let (upload, track) = with_track(&vault, &[0, 1, 300]).await;
        let mut offset = 0;
        for piece in track.bytes.chunks(if piece == 1 { 97 } else { piece }) {
            let reply = upload.patch(0, offset, piece.to_vec()).await.expect(204);
            offset += piece.len() as u64;
            assert_eq!(reply.offset(), offset);
            assert!(reply.header("Upload-Expires").is_some());
            assert_eq!(reply.header("Tus-Resumable"), Some("1.0.0"));
        }
        assert_eq!(upload.head(0).await.offset(), track.len());
        // The same within one body.
        let vault = TestVault::new().await;
        let (upload, track) = with_track(&vault, &[0, 1, 300]).await;
        let body = Body::from_stream(pieces(&track.bytes, piece));
        let reply = upload.patch(0, 0, body).await.expect(204);
        assert_eq!(reply.offset(), track.len());
    }
}

#[tokio::test]
async fn takes_an_empty_patch() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[10]).await;
    assert_eq!(upload.patch(0, 0, "").await.expect(204).offset(), 0);
    upload.upload(0, &track).await;
    let reply = upload.patch(0, track.len(), "").await.expect(204);
    assert_eq!(reply.offset(), track.len());
}

#[tokio::test]
async fn a_deferred_length_may_come_once_with_a_patch() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[10]).await;
    let length = track.len().to_string();
    upload
        .patch_with(
            0,
            0,
            &[("Upload-Length", &length)],
            track.bytes[..50].to_vec(),
        )
        .await
        .expect(204);
    let head = upload.head(0).await;
    assert_eq!(head.header("Upload-Length"), Some(length.as_str()));
    assert_eq!(head.header("Upload-Defer-Length"), None);
    upload
        .patch_with(
            0,
            50,
            &[("Upload-Length", "51")],
            track.bytes[50..].to_vec(),
        )
        .await
        .expect_refusal(400, "upload_length");
    upload
        .patch_with(
            0,
            50,
            &[("Upload-Length", &length)],
            track.bytes[50..].to_vec(),
        )
        .await
        .expect(204);
}

#[tokio::test]
async fn refuses_a_length_below_what_is_there_or_above_the_limit() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[10]).await;
    upload.upload(0, &track).await;
    upload
        .patch_with(0, track.len(), &[("Upload-Length", "5")], "")
        .await
        .expect_refusal(400, "upload_length");
    upload
        .patch_with(0, track.len(), &[("Upload-Length", "68719476737")], "")
        .await
        .expect_refusal(413, "too_large");
}

#[tokio::test]
async fn refuses_another_offset_with_409_and_says_where_the_upload_ends() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[10]).await;
    upload
        .patch(0, 0, track.bytes[..50].to_vec())
        .await
        .expect(204);
    for offset in [0, 49, 51, track.len()] {
        let reply = upload.patch(0, offset, track.bytes[50..].to_vec()).await;
        assert_eq!(reply.offset(), 50);
        reply.expect_refusal(409, "offset_mismatch");
    }
    assert_eq!(upload.head(0).await.offset(), 50);
}

#[tokio::test]
async fn refuses_a_missing_or_malformed_offset() {
    let vault = TestVault::new().await;
    let (upload, _) = with_track(&vault, &[]).await;
    let path = upload.part.upload_path(0);
    let content_type = ("Content-Type", PATCH_TYPE);
    upload
        .send(Method::PATCH, &path, &[content_type], "x")
        .await
        .expect_refusal(400, "upload_offset");
    for offset in ["-1", "one", "0.5"] {
        upload
            .send(
                Method::PATCH,
                &path,
                &[content_type, ("Upload-Offset", offset)],
                "x",
            )
            .await
            .expect_refusal(400, "header_malformed");
    }
}

#[tokio::test]
async fn refuses_another_content_type() {
    let vault = TestVault::new().await;
    let (upload, _) = with_track(&vault, &[]).await;
    let path = upload.part.upload_path(0);
    for headers in [
        vec![("Upload-Offset", "0")],
        vec![
            ("Upload-Offset", "0"),
            ("Content-Type", "application/octet-stream"),
        ],
    ] {
        upload
            .send(Method::PATCH, &path, &headers, "x")
            .await
            .expect_refusal(415, "content_type");
    }
}

#[tokio::test]
async fn checks_checksums_of_both_algorithms() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[100, 200]).await;
    let (first, second) = track.bytes.split_at(track.ends[1] as usize + 20);
    let sha256 = format!("sha256 {}", STANDARD.encode(Sha256::digest(first)));
    upload
        .patch_with(0, 0, &[("Upload-Checksum", &sha256)], first.to_vec())
        .await
        .expect(204);
    let sha1 = format!("sha1 {}", STANDARD.encode(Sha1::digest(second)));
    let offset = first.len() as u64;
    let reply = upload
        .patch_with(0, offset, &[("Upload-Checksum", &sha1)], second.to_vec())
        .await
        .expect(204);
    assert_eq!(reply.offset(), track.len());
}

#[tokio::test]
async fn forgets_a_body_whose_checksum_does_not_match() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[100, 200, 300]).await;
    let at = track.ends[1] + 20;
    upload
        .patch(0, 0, track.bytes[..at as usize].to_vec())
        .await
        .expect(204);
    let wrong = format!("sha256 {}", STANDARD.encode(Sha256::digest("else")));
    let rest = track.bytes[at as usize..].to_vec();
    upload
        .patch_with(0, at, &[("Upload-Checksum", &wrong)], rest.clone())
        .await
        .expect_refusal(460, "checksum_mismatch");
    assert_eq!(upload.head(0).await.offset(), at);
    assert_eq!(
        std::fs::metadata(vault.staging_file(&upload.part, 0))
            .unwrap()
            .len(),
        at
    );
    upload.patch(0, at, rest).await.expect(204);
    upload.finish(&[&track]).await.expect(200);
}

#[tokio::test]
async fn refuses_checksums_that_it_cannot_check() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[10]).await;
    for checksum in [
        "md5 AAAA",
        "sha256",
        "sha256 !!",
        "sha256 AAAA",
        "sha1 AAAA",
    ] {
        upload
            .patch_with(0, 0, &[("Upload-Checksum", checksum)], track.bytes.clone())
            .await
            .expect_refusal(400, "checksum");
    }
    assert_eq!(upload.head(0).await.offset(), 0);
}

#[tokio::test]
async fn knows_uploads_that_exist_from_those_that_never_did_and_those_that_are_gone() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[10]).await;
    // A part of this capability, a track that is not.
    let unknown = format!("{}/BwcHBwcHBwcHBwcHBwcHBw", upload.part.uploads_path());
    upload
        .send(Method::HEAD, &unknown, &[], Body::empty())
        .await
        .expect_refusal(403, "other_capability");
    let nonsense = format!("{}/nonsense", upload.part.uploads_path());
    upload
        .send(Method::HEAD, &nonsense, &[], Body::empty())
        .await
        .expect_refusal(404, "not_found");

    let path = upload.part.upload_path(0);
    upload
        .send(Method::DELETE, &path, &[], Body::empty())
        .await
        .expect(204);
    upload.head(0).await.expect_refusal(410, "gone");
    upload
        .patch(0, 0, track.bytes.clone())
        .await
        .expect_refusal(410, "gone");
    upload
        .send(Method::DELETE, &path, &[], Body::empty())
        .await
        .expect_refusal(410, "gone");
    // From the start again.
    upload.create(0).await.expect(201);
    upload.upload(0, &track).await;
    upload.finish(&[&track]).await.expect(200);
}

#[tokio::test]
async fn an_upload_that_was_not_created_is_not_found() {
    let vault = TestVault::new().await;
    let part = vault.world.part(0, 1);
    let answer = vault.post_open(&part).await.expect(201).json();
    let authorization = format!("Bearer {}", answer["capability"].as_str().unwrap());
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Tus-Resumable", "1.0.0"),
    ];
    vault
        .send(Method::HEAD, &part.upload_path(0), &headers, Body::empty())
        .await
        .expect_refusal(404, "not_found");
}

#[tokio::test]
async fn terminates_only_uploads_without_a_segment() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[10]).await;
    let path = upload.part.upload_path(0);
    // Header and an unfinished segment: nothing recorded yet.
    let begun = track.ends[0] + 8;
    upload
        .patch(0, 0, track.bytes[..begun as usize].to_vec())
        .await
        .expect(204);
    upload
        .send(Method::DELETE, &path, &[], Body::empty())
        .await
        .expect(204);
    assert!(!vault.staging_file(&upload.part, 0).exists());
    upload.create(0).await.expect(201);
    upload.upload(0, &track).await;
    upload
        .send(Method::DELETE, &path, &[], Body::empty())
        .await
        .expect_refusal(403, "not_empty");
    assert_eq!(upload.head(0).await.offset(), track.len());
    upload.finish(&[&track]).await.expect(200);
    upload
        .send(Method::DELETE, &path, &[], Body::empty())
        .await
        .expect_refusal(403, "not_empty");
}

#[tokio::test]
async fn refuses_requests_without_the_right_capability() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[10]).await;
    let other = vault.begin(vault.world.recording(50, 1)).await;
    let requests = [
        (Method::POST, upload.part.uploads_path()),
        (Method::HEAD, upload.part.upload_path(0)),
        (Method::PATCH, upload.part.upload_path(0)),
        (Method::DELETE, upload.part.upload_path(0)),
        (Method::PUT, upload.part.envelope_path(0)),
        (Method::POST, format!("{}/finish", upload.part.path())),
        (Method::POST, format!("{}/close", upload.part.path())),
        (Method::GET, format!("{}/receipt", upload.part.path())),
    ];
    for (method, path) in requests {
        let send = |authorization: Option<String>| {
            let (vault, method, path) = (&vault, method.clone(), path.as_str());
            let body = track.bytes.clone();
            async move {
                let mut headers = vec![
                    ("Tus-Resumable", "1.0.0"),
                    ("Content-Type", PATCH_TYPE),
                    ("Upload-Offset", "0"),
                ];
                headers.extend(
                    authorization
                        .as_deref()
                        .map(|value| ("Authorization", value)),
                );
                // A track is no text: routes that take documents want one first.
                let body = if method == Method::PATCH {
                    Body::from(body)
                } else {
                    Body::empty()
                };
                vault.send(method, path, &headers, body).await
            }
        };
        let reply = send(None).await;
        assert_eq!(
            reply.header("WWW-Authenticate"),
            Some("Bearer realm=\"vault\"")
        );
        reply.expect_refusal(401, "unauthorized");
        send(Some("Bearer nonsense".into()))
            .await
            .expect_refusal(401, "unauthorized");
        let forged = sealed_visit_protocol::SigningKey::from_seed(&[99; 32]);
        let forged = sealed_visit_vault::capability::issue(
            &forged,
            upload.part.claims.recording,
            0,
            vec![upload.part.track(0)],
            (1 << 53) - 1,
        );
        send(Some(format!("Bearer {forged}")))
            .await
            .expect_refusal(401, "unauthorized");
        send(Some(other.authorization.clone()))
            .await
            .expect_refusal(403, "other_capability");
    }
    vault.advance(Duration::from_secs(14 * 24 * 3600));
    upload
        .head(0)
        .await
        .expect_refusal(401, "capability_expired");
    upload
        .patch(0, 0, track.bytes.clone())
        .await
        .expect_refusal(401, "capability_expired");
}

#[tokio::test]
async fn takes_the_method_from_the_override_header() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[10]).await;
    let path = upload.part.upload_path(0);
    let send = |method: &'static str, headers: Vec<(&'static str, &'static str)>, body: Vec<u8>| {
        let (upload, path) = (&upload, path.as_str());
        async move {
            let mut all = vec![("X-HTTP-Method-Override", method)];
            all.extend(headers);
            upload.send(Method::POST, path, &all, body).await
        }
    };
    let patch = vec![("Content-Type", PATCH_TYPE), ("Upload-Offset", "0")];
    let half = track.ends[0] as usize;
    let reply = send("PATCH", patch, track.bytes[..half].to_vec())
        .await
        .expect(204);
    assert_eq!(reply.offset(), half as u64);
    assert_eq!(
        send("HEAD", vec![], vec![]).await.expect(200).offset(),
        half as u64
    );
    send("DELETE", vec![], vec![]).await.expect(204);
    send("CONNECT", vec![], vec![])
        .await
        .expect_refusal(405, "method_not_allowed");
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call_and_read_the_headers() {
    let vault = TestVault::with_config(|config| {
        config.allow_origins =
            sealed_visit_vault::Origins::from_options(&["https://visit.example/".into()]);
    })
    .await;
    let (upload, _) = with_track(&vault, &[]).await;
    let origin = ("Origin", "https://visit.example");
    let head = upload
        .send(
            Method::HEAD,
            &upload.part.upload_path(0),
            &[origin],
            Body::empty(),
        )
        .await
        .expect(200);
    assert_eq!(
        head.header("Access-Control-Allow-Origin"),
        Some("https://visit.example")
    );
    let exposed = head
        .header("Access-Control-Expose-Headers")
        .unwrap()
        .to_ascii_lowercase();
    for name in [
        "location",
        "upload-offset",
        "upload-length",
        "upload-defer-length",
        "upload-expires",
        "upload-metadata",
        "tus-resumable",
        "tus-version",
        "tus-extension",
        "tus-max-size",
        "tus-checksum-algorithm",
        "retry-after",
        "etag",
        "content-range",
        "accept-ranges",
    ] {
        assert!(
            exposed.split(", ").any(|known| known.trim() == name),
            "{name} in {exposed}"
        );
    }
    // A preflight needs neither token nor tus version, on any path.
    for path in [
        upload.part.upload_path(0),
        upload.part.envelope_path(0),
        "/v1/recordings".into(),
    ] {
        let preflight = [origin, ("Access-Control-Request-Method", "PATCH")];
        let reply = vault
            .send(Method::OPTIONS, &path, &preflight, Body::empty())
            .await
            .expect(204);
        assert_eq!(
            reply.header("Access-Control-Allow-Origin"),
            Some("https://visit.example")
        );
        let methods = reply.header("Access-Control-Allow-Methods").unwrap();
        let headers = reply
            .header("Access-Control-Allow-Headers")
            .unwrap()
            .to_ascii_lowercase();
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
            assert!(methods.contains(method));
        }
        for name in [
            "authorization",
            "content-type",
            "tus-resumable",
            "upload-length",
            "upload-defer-length",
            "upload-offset",
            "upload-metadata",
            "upload-checksum",
            "x-http-method-override",
            "range",
        ] {
            assert!(headers.contains(name), "{name}");
        }
    }
    let stranger = upload
        .send(
            Method::HEAD,
            &upload.part.upload_path(0),
            &[("Origin", "https://evil.example")],
            Body::empty(),
        )
        .await;
    assert_eq!(stranger.header("Access-Control-Allow-Origin"), None);
    // Errors are readable too.
    let refused = vault
        .send(Method::POST, "/v1/recordings", &[origin], "nonsense")
        .await;
    assert_eq!(
        refused.header("Access-Control-Allow-Origin"),
        Some("https://visit.example")
    );
}

#[tokio::test]
async fn answers_unknown_paths_and_methods_in_its_own_form() {
    let vault = TestVault::new().await;
    vault
        .send(Method::GET, "/nowhere", &[], Body::empty())
        .await
        .expect_refusal(404, "not_found");
    vault
        .send(Method::PATCH, "/v1/recordings", &[], Body::empty())
        .await
        .expect_refusal(405, "method_not_allowed");
    vault
        .send(Method::GET, "/healthz", &[], Body::empty())
        .await
        .expect(200);
}

/// A body in pieces.
pub fn pieces(
    bytes: &[u8],
    size: usize,
) -> impl futures::Stream<Item = Result<Vec<u8>, std::io::Error>> + 'static {
    let pieces: Vec<_> = bytes.chunks(size).map(|piece| Ok(piece.to_vec())).collect();
    futures::stream::iter(pieces)
}
