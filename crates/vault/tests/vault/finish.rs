//! How parts end: manifest, close, expiry, and going on after an expiry.

use crate::common::http::{Reply, TestVault, Upload};
use crate::common::tracks::TrackFile;
use http::Method;
use sealed_visit_protocol::bytes::Hash32;
use sealed_visit_protocol::recording::{ClosingClaims, EndReason, ManifestClaims, TrackSummary};
use sealed_visit_protocol::{Jws, SigningKey};
use sealed_visit_vault::finish::close_expired;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn with_two_tracks(vault: &TestVault) -> (Upload<'_>, TrackFile, TrackFile) {
    let upload = vault.begin(vault.world.part(0, 2)).await;
    let media = TrackFile::with_segments(&upload.part, 0, &[100, 2000, 0]);
    let events = TrackFile::with_segments(&upload.part, 1, &[5]);
    (upload, media, events)
}

fn closing(upload: &Upload<'_>, reply: &Reply) -> ClosingClaims {
    let text = reply.json()["closing"].as_str().unwrap().to_owned();
    Jws::<ClosingClaims>::from_text(text)
        .verify(&upload.vault.world.vault.public())
        .expect("signed by the vault")
}

fn stored(vault: &TestVault, upload: &Upload<'_>, index: usize) -> Option<Vec<u8>> {
    let claims = &upload.part.claims;
    let path = vault
        .folder
        .path()
        .join("data/tracks")
        .join(claims.recording.to_string())
        .join(claims.part.to_string())
        .join(format!("{}.svtrack", upload.part.track(index)));
    std::fs::read(path).ok()
}

#[tokio::test]
async fn a_manifest_gets_a_signed_receipt_over_what_is_stored() {
    let vault = TestVault::new().await;
    let (upload, media, events) = with_two_tracks(&vault).await;
    upload.upload(0, &media).await;
    upload.upload(1, &events).await;
    let manifest = upload.part.manifest(&[&media, &events]);
    let reply = upload.finish_with(manifest.as_str()).await.expect(200);
    assert_eq!(reply.json()["state"], "finished");
    assert_eq!(reply.json()["manifest"], manifest.as_str());
    let receipt = upload.receipt(&reply);
    assert!(receipt.finished);
    assert_eq!(receipt.open, upload.part.open().hash());
    assert_eq!(receipt.ended_by, manifest.hash());
    for (index, track) in [&media, &events].into_iter().enumerate() {
        let covered = &receipt.tracks[index];
        assert_eq!(covered.track, upload.part.track(index));
        assert_eq!(covered.length_bytes, track.len());
        assert_eq!(covered.head, track.summary().head);
        assert_eq!(covered.segments, track.summary().segments);
        let envelope = upload.part.envelope(index, upload.share(index));
        assert_eq!(covered.envelope, envelope.hash());
        assert_eq!(
            stored(&vault, &upload, index).as_deref(),
            Some(&track.bytes[..])
        );
        assert!(!vault.staging_file(&upload.part, index).exists());
    }
    // HEAD still answers a client that missed the end.
    let head = upload.head(0).await.expect(200);
    assert_eq!(head.offset(), media.len());
    assert_eq!(
        head.header("Upload-Length"),
        Some(media.len().to_string().as_str())
    );
    assert_eq!(head.header("Upload-Expires"), None);
}

#[tokio::test]
async fn finishing_again_gives_the_same_receipt_and_another_manifest_is_refused() {
    let vault = TestVault::new().await;
    let (upload, media, events) = with_two_tracks(&vault).await;
    upload.upload(0, &media).await;
    upload.upload(1, &events).await;
    let manifest = upload.part.manifest(&[&media, &events]);
    let both = futures::future::join_all([
        upload.finish_with(manifest.as_str()),
        upload.finish_with(manifest.as_str()),
    ])
    .await;
    let first = both[0].json();
    assert_eq!(first, both[1].json());
    vault.advance(DAY);
    let again = upload
        .finish_with(manifest.as_str())
        .await
        .expect(200)
        .json();
    assert_eq!(again, first);
    let receipt_path = format!("{}/receipt", upload.part.path());
    let fetched = upload
        .send(Method::GET, &receipt_path, &[], "")
        .await
        .expect(200);
    assert_eq!(fetched.json(), first);
    assert_eq!(
        vault
            .read(Method::GET, &receipt_path)
            .await
            .expect(200)
            .json(),
        first
    );
    let other = upload
        .part
        .manifest_altered(&[&media, &events], |claims| claims.marks = 5);
    upload
        .finish_with(other.as_str())
        .await
        .expect_refusal(409, "part_finished");
    upload
        .patch(0, media.len(), "more")
        .await
        .expect_refusal(422, "part_finished");
    upload.put_envelope(0).await.expect(204);
}

#[tokio::test]
async fn there_is_no_receipt_before_the_end() {
    let vault = TestVault::new().await;
    let (upload, ..) = with_two_tracks(&vault).await;
    let path = format!("{}/receipt", upload.part.path());
    upload
        .send(Method::GET, &path, &[], "")
        .await
        .expect_refusal(409, "part_open");
}

#[tokio::test]
async fn a_manifest_that_comes_before_its_bytes_is_told_so_and_accepted_later() {
    let vault = TestVault::new().await;
    let (upload, media, events) = with_two_tracks(&vault).await;
    upload.upload(1, &events).await;
    let half = media.ends[1];
    upload
        .patch(0, 0, media.bytes[..half as usize].to_vec())
        .await
        .expect(204);
    upload
        .finish(&[&media, &events])
        .await
        .expect_refusal(409, "track_incomplete");
    upload
        .patch(0, half, media.bytes[half as usize..].to_vec())
        .await
        .expect(204);
    upload.finish(&[&media, &events]).await.expect(200);
}

#[tokio::test]
async fn refuses_manifests_that_do_not_describe_what_is_there() {
    let vault = TestVault::new().await;
    let (upload, media, events) = with_two_tracks(&vault).await;
    upload.upload(0, &media).await;
    upload.upload(1, &events).await;
    type Alter = fn(&mut ManifestClaims);
    let first: [(&str, Alter); 9] = [
        ("other_part", |claims| claims.part = 1),
        ("other_part", |claims| claims.open = Hash32([0; 32])),
        ("other_tracks", |claims| {
            claims.tracks.pop();
        }),
        ("other_tracks", |claims| {
            claims.tracks[1] = claims.tracks[0].clone()
        }),
        ("track_differs", |claims| {
            change(&mut claims.tracks[0], |t| t.segments -= 1)
        }),
        ("track_differs", |claims| {
            change(&mut claims.tracks[0], |t| t.length_bytes -= 1)
        }),
        ("track_differs", |claims| {
            change(&mut claims.tracks[0], |t| t.head = Hash32([0; 32]))
        }),
        ("track_differs", |claims| {
            change(&mut claims.tracks[1], |t| t.index_hash = Hash32([0; 32]))
        }),
        ("track_differs", |claims| {
            change(&mut claims.tracks[1], |t| t.media_end_us += 1)
        }),
    ];
    for (code, alter) in first {
        let manifest = upload.part.manifest_altered(&[&media, &events], alter);
        upload
            .finish_with(manifest.as_str())
            .await
            .expect_refusal(422, code);
    }
    let manifest = upload.part.manifest(&[&media, &events]);
    let forged = SigningKey::from_seed(&[99; 32]).sign(&manifest.unverified_claims().unwrap());
    upload
        .finish_with(forged.as_str())
        .await
        .expect_refusal(403, "not_signed");
    upload
        .finish_with("nonsense")
        .await
        .expect_refusal(400, "malformed");
    upload.finish_with(manifest.as_str()).await.expect(200);
}

fn change(summary: &mut TrackSummary, edit: impl FnOnce(&mut TrackSummary)) {
    edit(summary);
}

#[tokio::test]
async fn bytes_after_the_last_checkpoint_are_not_part_of_a_finished_track() {
    let vault = TestVault::new().await;
    let (upload, media, events) = with_two_tracks(&vault).await;
    upload.upload(0, &media).await;
    upload.upload(1, &events).await;
    // A segment that was begun when the recorder decided to stop.
    upload
        .patch(0, media.len(), vec![b'S', 0, 0, 1, 0, 7, 7])
        .await
        .expect(204);
    upload.finish(&[&media, &events]).await.expect(200);
    assert_eq!(stored(&vault, &upload, 0).unwrap(), media.bytes);
}

#[tokio::test]
async fn an_idle_part_is_closed_at_its_last_valid_checkpoints() {
    let vault = TestVault::new().await;
    let (upload, media, events) = with_two_tracks(&vault).await;
    // Two whole segments and a piece of the third.
    let cut = media.ends[2] + 3;
    upload
        .patch(0, 0, media.bytes[..cut as usize].to_vec())
        .await
        .expect(204);
    // Of the events only the header.
    upload
        .patch(1, 0, events.bytes[..events.ends[0] as usize].to_vec())
        .await
        .expect(204);
    vault.advance(DAY - Duration::from_secs(1));
    close_expired(&vault.vault).await;
    assert_eq!(state(&vault, &upload).await, "open");
    vault.advance(Duration::from_secs(1));
    close_expired(&vault.vault).await;
    assert_eq!(state(&vault, &upload).await, "unfinished");

    let path = format!("{}/receipt", upload.part.path());
    let reply = upload.send(Method::GET, &path, &[], "").await.expect(200);
    let closing = closing(&upload, &reply);
    let receipt = upload.receipt(&reply);
    assert!(!receipt.finished);
    let text = reply.json()["closing"].as_str().unwrap().to_owned();
    assert_eq!(
        receipt.ended_by,
        Jws::<ClosingClaims>::from_text(text).hash()
    );
    assert_eq!(closing.reason, EndReason::Unfinished);
    assert_eq!(closing.stopped_ms, media.state(media.ends[2]).last_at_ms());
    let kept = media.state(media.ends[2]);
    assert!(closing.tracks[0].describes(&upload.part.headers[0], &kept));
    assert_eq!(receipt.tracks[0].length_bytes, media.ends[2]);
    assert_eq!(
        stored(&vault, &upload, 0).unwrap(),
        media.bytes[..media.ends[2] as usize]
    );
    // What came of the other track is kept too: the device that holds as much may let go.
    assert_eq!(receipt.tracks[1].length_bytes, events.ends[0]);
    assert_eq!(closing.tracks[1].segments, 0);
    assert_eq!(
        stored(&vault, &upload, 1).unwrap(),
        events.bytes[..events.ends[0] as usize]
    );
    assert_eq!(upload.head(1).await.expect(200).offset(), events.ends[0]);
}

#[tokio::test]
async fn a_part_that_never_got_a_byte_is_closed_empty() {
    let vault = TestVault::new().await;
    let (upload, ..) = with_two_tracks(&vault).await;
    vault.advance(DAY);
    close_expired(&vault.vault).await;
    let path = format!("{}/receipt", upload.part.path());
    let reply = upload.send(Method::GET, &path, &[], "").await.expect(200);
    assert!(
        closing(&upload, &reply)
            .tracks
            .iter()
            .all(|track| track.length_bytes == 0)
    );
    upload.head(0).await.expect_refusal(410, "gone");
}

#[tokio::test]
async fn new_bytes_postpone_the_expiry() {
    let vault = TestVault::new().await;
    let (upload, media, _) = with_two_tracks(&vault).await;
    upload
        .patch(0, 0, media.bytes[..100].to_vec())
        .await
        .expect(204);
    vault.advance(DAY / 2);
    upload
        .patch(0, 100, media.bytes[100..].to_vec())
        .await
        .expect(204);
    vault.advance(DAY / 2);
    close_expired(&vault.vault).await;
    assert_eq!(state(&vault, &upload).await, "open");
}

#[tokio::test]
async fn a_part_whose_recorder_is_gone_can_be_closed_at_once() {
    let vault = TestVault::new().await;
    let (upload, media, _) = with_two_tracks(&vault).await;
    upload
        .patch(0, 0, media.bytes[..media.ends[1] as usize].to_vec())
        .await
        .expect(204);
    // The spool has more: the vault waits for it.
    let has_more = format!(
        r#"{{"tracks":{{"{}":{}}}}}"#,
        upload.part.track(0),
        media.ends[2]
    );
    upload
        .close(&has_more)
        .await
        .expect_refusal(409, "track_incomplete");
    upload
        .close("nonsense")
        .await
        .expect_refusal(400, "malformed");
    let rest = media.bytes[media.ends[1] as usize..media.ends[2] as usize].to_vec();
    upload.patch(0, media.ends[1], rest).await.expect(204);
    let reply = upload.close(&has_more).await.expect(200);
    assert_eq!(reply.json()["state"], "unfinished");
    assert_eq!(upload.receipt(&reply).tracks[0].length_bytes, media.ends[2]);
    let again = upload.close("").await.expect(200);
    assert_eq!(again.json(), reply.json());
    // More than it will ever get is still refused, so that nobody deletes it.
    let too_much = has_more.replace(&media.ends[2].to_string(), &media.len().to_string());
    upload
        .close(&too_much)
        .await
        .expect_refusal(409, "track_incomplete");
}

#[tokio::test]
async fn a_device_that_comes_back_after_the_expiry_goes_on_and_finishes() {
    for restart in [false, true] {
        let vault = TestVault::new().await;
        let (upload, media, events) = with_two_tracks(&vault).await;
        let half = media.ends[1];
        upload
            .patch(0, 0, media.bytes[..half as usize].to_vec())
            .await
            .expect(204);
        let authorization = upload.authorization.clone();
        let answer = upload.answer.clone();
        vault.advance(DAY);
        close_expired(&vault.vault).await;
        assert_eq!(state(&vault, &upload).await, "unfinished");

        let vault = if restart {
            vault.restarted().await
        } else {
            vault
        };
        let upload = Upload {
            part: vault.world.part(0, 2),
            vault: &vault,
            answer,
            authorization,
        };
        assert_eq!(upload.head(0).await.expect(200).offset(), half);
        // A wrong offset does not wake the part.
        upload
            .patch(0, 0, media.bytes.clone())
            .await
            .expect_refusal(409, "offset_mismatch");
        assert_eq!(state(&vault, &upload).await, "unfinished");
        upload
            .patch(0, half, media.bytes[half as usize..].to_vec())
            .await
            .expect(204);
        assert_eq!(state(&vault, &upload).await, "open");
        upload.create(1).await.expect(201);
        upload.upload(1, &events).await;
        let reply = upload.finish(&[&media, &events]).await.expect(200);
        assert!(upload.receipt(&reply).finished);
        assert_eq!(stored(&vault, &upload, 0).unwrap(), media.bytes);
        assert_eq!(stored(&vault, &upload, 1).unwrap(), events.bytes);
    }
}

#[tokio::test]
async fn a_manifest_that_comes_after_the_expiry_still_finishes_the_part() {
    let vault = TestVault::new().await;
    let (upload, media, events) = with_two_tracks(&vault).await;
    upload.upload(0, &media).await;
    upload.upload(1, &events).await;
    vault.advance(DAY);
    close_expired(&vault.vault).await;
    assert_eq!(state(&vault, &upload).await, "unfinished");
    let wrong = upload
        .part
        .manifest_altered(&[&media, &events], |claims| claims.tracks[0].segments += 1);
    upload
        .finish_with(wrong.as_str())
        .await
        .expect_refusal(422, "track_differs");
    assert!(!vault.staging_file(&upload.part, 0).exists());
    let reply = upload.finish(&[&media, &events]).await.expect(200);
    assert!(upload.receipt(&reply).finished);
    assert_eq!(state(&vault, &upload).await, "finished");
}

#[tokio::test]
async fn a_part_that_does_not_exist_is_not_found() {
    let vault = TestVault::new().await;
    let capability = sealed_visit_vault::capability::issue(
        &vault.world.vault,
        crate::common::RECORDING,
        9,
        vec![],
        (1 << 53) - 1,
    );
    let authorization = format!("Bearer {capability}");
    let path = format!("/v1/recordings/{}/parts/9/finish", crate::common::RECORDING);
    vault
        .send(
            Method::POST,
            &path,
            &[("Authorization", &authorization)],
            "",
        )
        .await
        .expect_refusal(404, "not_found");
}

#[tokio::test]
async fn files_that_a_crash_left_behind_go_at_the_next_start() {
    let vault = TestVault::new().await;
    let (upload, media, events) = with_two_tracks(&vault).await;
    upload.upload(0, &media).await;
    upload.upload(1, &events).await;
    upload.finish(&[&media, &events]).await.expect(200);
    // As if the vault had died between its rows and its tidying.
    let left = vault.staging_file(&upload.part, 0);
    std::fs::write(&left, &media.bytes).unwrap();
    let open = vault.begin(vault.world.recording(50, 1)).await;
    let begun = TrackFile::with_segments(&open.part, 0, &[10]);
    open.upload(0, &begun).await;
    let needed = vault.staging_file(&open.part, 0);
    let _vault = vault.restarted().await;
    assert!(!left.exists());
    assert!(needed.exists());
}

async fn state(vault: &TestVault, upload: &Upload<'_>) -> String {
    let path = format!("/v1/recordings/{}", upload.part.claims.recording);
    let details = vault.read(Method::GET, &path).await.expect(200).json();
    details["parts"][0]["state"].as_str().unwrap().to_owned()
}
