//! The text of an open statement opens nothing: whoever shows it holds the part's key, or the clinic vouches for it.

use crate::common::http::{READER_TOKEN, Reply, TestVault};
use crate::common::tracks::TrackFile;
use crate::common::{Part, START_MS, renewal_key};
use http::Method;
use sealed_visit_protocol::recording::{PROOF_WINDOW_MS, VaultAnswer};
use sealed_visit_protocol::{Jws, SigningKey};
use std::time::Duration;

fn answer(reply: &Reply) -> VaultAnswer {
    serde_json::from_slice(&reply.body).unwrap()
}

async fn shown(vault: &TestVault, part: &Part, proof: &str) -> Reply {
    vault.post_open_with(part, &[("Vault-Proof", proof)]).await
}

#[tokio::test]
async fn the_text_of_an_open_statement_opens_nothing_and_renews_nothing() {
    let vault = TestVault::new().await;
    let part = vault.world.part(0, 1);
    vault
        .post_open_with(&part, &[])
        .await
        .expect_refusal(401, "proof_needed");
    vault.begin(vault.world.part(0, 1)).await;
    vault
        .post_open_with(&part, &[])
        .await
        .expect_refusal(401, "proof_needed");
    // Readers get the text with the documents.
    let path = format!("/v1/recordings/{}", part.claims.recording);
    let details = vault.read(Method::GET, &path).await.expect(200).json();
    assert_eq!(details["parts"][0]["open"], part.open().as_str());
}

#[tokio::test]
async fn a_proof_is_by_the_parts_key_for_this_vault_this_statement_and_now() {
    let vault = TestVault::new().await;
    let here = &vault.world.vault;
    let part = vault.world.part(0, 1);
    let stranger = SigningKey::from_seed(&[99; 32]);
    let other = vault.world.recording(50, 1);
    let renewal = renewal_key();
    for (why, proof) in [
        (
            "another key",
            part.proof_by(&stranger, here, START_MS, None),
        ),
        (
            "the pass key",
            part.proof_by(&part.recorder, here, START_MS, None),
        ),
        (
            "a renewal key that was never named",
            part.proof_by(&renewal, here, START_MS, None),
        ),
        ("another vault", part.proof(&stranger, START_MS)),
        ("another statement", other.proof(here, START_MS)),
        ("no JWS", Jws::from_text("nonsense")),
    ] {
        let reply = shown(&vault, &part, proof.as_str()).await;
        assert_eq!((why, reply.status.as_u16()), (why, 401));
        assert_eq!(reply.header("Error-Code"), Some("proof_refused"), "{why}");
    }
    for at_ms in [
        START_MS - PROOF_WINDOW_MS - 1,
        START_MS + PROOF_WINDOW_MS + 1,
    ] {
        let reply = shown(&vault, &part, part.proof(here, at_ms).as_str()).await;
        let reply = reply.expect_refusal(401, "proof_time");
        // A device whose clock is wrong tries again with this.
        assert_eq!(
            reply.header("Vault-Time"),
            Some(START_MS.to_string().as_str())
        );
    }
    let proof = part.proof(here, START_MS + PROOF_WINDOW_MS);
    shown(&vault, &part, proof.as_str()).await.expect(201);
}

#[tokio::test]
async fn a_proof_is_good_once_also_after_a_restart() {
    let vault = TestVault::new().await;
    let part = vault.world.part(0, 1);
    let proof = part.proof(&vault.world.vault, START_MS + PROOF_WINDOW_MS);
    shown(&vault, &part, proof.as_str()).await.expect(201);
    shown(&vault, &part, proof.as_str())
        .await
        .expect_refusal(401, "proof_used");
    let vault = vault.restarted().await;
    // For as long as it is good otherwise.
    vault.advance(Duration::from_millis(2 * PROOF_WINDOW_MS));
    shown(&vault, &part, proof.as_str())
        .await
        .expect_refusal(401, "proof_used");
    vault.advance(Duration::from_millis(1));
    shown(&vault, &part, proof.as_str())
        .await
        .expect_refusal(401, "proof_time");
}

#[tokio::test]
async fn the_device_that_made_a_part_renews_its_capability_and_gets_no_share() {
    let vault = TestVault::new().await;
    let here = &vault.world.vault;
    let part = vault.world.part(0, 1);
    let opened = answer(&vault.post_open(&part).await.expect(201));
    vault.advance(Duration::from_secs(20 * 24 * 3600));
    let now_ms = START_MS + 20 * 24 * 3_600_000;
    let proof = part.proof_by(&renewal_key(), here, now_ms, None);
    let renewed = answer(&shown(&vault, &part, proof.as_str()).await.expect(200));
    assert!(renewed.capability_expires_ms > opened.capability_expires_ms);
    assert!(renewed.tracks.iter().all(|track| track.share.0.is_empty()));
    // The recorder itself, which may have missed the first answer, gets the share until an envelope is stored; here its
    // pass has expired.
    vault
        .post_open(&part)
        .await
        .expect_refusal(403, "pass_expired");
    // Whoever comes later does not put another key in the place of the first.
    let stranger = SigningKey::from_seed(&[99; 32]);
    let proof = part.proof_by(&stranger, here, now_ms, Some(&stranger));
    shown(&vault, &part, proof.as_str())
        .await
        .expect_refusal(401, "proof_refused");
    let proof = part.proof_by(&renewal_key(), here, now_ms, Some(&stranger));
    shown(&vault, &part, proof.as_str()).await.expect(200);
    let proof = part.proof_by(&stranger, here, now_ms, None);
    shown(&vault, &part, proof.as_str())
        .await
        .expect_refusal(401, "proof_refused");
}

#[tokio::test]
async fn the_clinic_renews_for_a_device_that_lost_its_key_and_opens_nothing_so() {
    let vault = TestVault::new().await;
    let token = format!("Bearer {READER_TOKEN}");
    let as_reader = [("Authorization", token.as_str())];
    let part = vault.world.part(0, 1);
    vault
        .post_open_with(&part, &as_reader)
        .await
        .expect_refusal(401, "proof_needed");
    let mut upload = vault.begin(part).await;
    let reply = vault
        .post_open_with(&upload.part, &as_reader)
        .await
        .expect(200);
    let renewed = answer(&reply);
    assert!(renewed.tracks.iter().all(|track| track.share.0.is_empty()));
    upload.authorization = format!("Bearer {}", renewed.capability);
    let track = TrackFile::with_segments(&upload.part, 0, &[100]);
    upload.upload(0, &track).await;
    upload.finish(&[&track]).await.expect(200);
    let log = vault
        .read(Method::GET, "/v1/audit?from=1")
        .await
        .expect(200);
    let entry = log.json()["entries"][0]["entry"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(entry.contains("\"capability_renewed\""), "{entry}");
    assert!(entry.contains("\"reader\""), "{entry}");
}

#[tokio::test]
async fn renewals_are_bounded_so_that_the_log_does_not_fill() {
    let vault = TestVault::new().await;
    let part = vault.world.part(0, 1);
    vault.post_open(&part).await.expect(201);
    for _ in 0..120 {
        vault.post_open(&part).await.expect(200);
    }
    let refused = vault.post_open(&part).await;
    let refused = refused.expect_refusal(429, "quota_renewals");
    assert_eq!(refused.header("Retry-After"), Some("60"));
    vault.advance(Duration::from_secs(3600));
    vault.post_open(&part).await.expect(200);
}

/// The log's last entries, the newest last.
async fn log_from(vault: &TestVault, from: usize) -> Vec<serde_json::Value> {
    let path = format!("/v1/audit?from={from}&limit=500");
    let log = vault.read(Method::GET, &path).await.expect(200).json();
    let entries = log["entries"].as_array().unwrap().iter();
    entries
        .map(|stored| serde_json::from_str(stored["entry"].as_str().unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn what_the_log_does_not_hold_one_by_one_it_counts() {
    let vault = TestVault::new().await;
    let part = vault.world.part(0, 1);
    vault.post_open(&part).await.expect(201);
    for _ in 0..120 {
        vault.post_open(&part).await.expect(200);
    }
    for _ in 0..7 {
        vault
            .post_open(&part)
            .await
            .expect_refusal(429, "quota_renewals");
    }
    assert_eq!(log_from(&vault, 0).await.len(), 121);
    // The next entry about the part comes after how many there were.
    vault.advance(Duration::from_secs(3600));
    vault.post_open(&part).await.expect(200);
    let told = log_from(&vault, 121).await;
    assert_eq!(told.len(), 2);
    assert_eq!(told[0]["action"], "requests_refused");
    assert_eq!(told[0]["count"], 7);
    assert_eq!(told[0]["part"], 0);
    // Without another entry, the vault says so by itself.
    for _ in 0..120 {
        let _ = vault.post_open(&part).await;
    }
    let before = log_from(&vault, 0).await.len();
    sealed_visit_vault::quota::log_refusals(&vault.vault).await;
    assert_eq!(log_from(&vault, 0).await.len(), before, "within the hour");
    vault.advance(Duration::from_secs(3600));
    sealed_visit_vault::quota::log_refusals(&vault.vault).await;
    let told = log_from(&vault, before).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["action"], "requests_refused");
    assert_eq!(told[0]["count"], 1);
    sealed_visit_vault::audit::verify(&vault.vault.db, Default::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn nobody_fills_the_log_by_giving_uploads_up_or_closing_parts_again_and_again() {
    let vault = TestVault::new().await;
    let upload = vault.begin(vault.world.part(0, 1)).await;
    let path = upload.part.upload_path(0);
    let give_up = async || {
        upload
            .send(Method::DELETE, &path, &[], axum::body::Body::empty())
            .await
    };
    for _ in 0..120 {
        give_up().await.expect(204);
        upload.create(0).await.expect(201);
    }
    let before = log_from(&vault, 0).await.len();
    give_up().await.expect_refusal(429, "quota_changes");
    assert_eq!(log_from(&vault, 0).await.len(), before);
    // What is refused changes nothing: the upload is there, and takes the recording.
    let track = TrackFile::with_segments(&upload.part, 0, &[100, 100]);
    let half = track.ends[1] as usize;
    upload
        .patch(0, 0, track.bytes[..half].to_vec())
        .await
        .expect(204);
    upload.close("").await.expect(200);
    let more = track.bytes[half..].to_vec();
    let reply = upload.patch(0, half as u64, more.clone()).await;
    reply.expect_refusal(429, "quota_changes");
    vault.advance(Duration::from_secs(3600));
    upload.patch(0, half as u64, more).await.expect(204);
    upload.finish(&[&track]).await.expect(200);
    let refused: Vec<_> = log_from(&vault, 0).await;
    let refused: Vec<_> = refused
        .iter()
        .filter(|entry| entry["action"] == "requests_refused")
        .map(|entry| entry["count"].as_u64().unwrap())
        .collect();
    assert_eq!(refused.iter().sum::<u64>(), 2, "{refused:?}");
}
