//! Withdrawals: recorded once, whatever else is said, and with what they mean for the recording.

use crate::common::http::{Reply, TestVault};
use crate::common::tracks::TrackFile;
use crate::common::{HOUR_MS, RECORDING, World};
use http::Method;
use sealed_visit_protocol::consent::{StatementKind, WithdrawalPolicy, WithdrawalWish};
use sealed_visit_protocol::recording::{ClosingClaims, EndReason};
use sealed_visit_protocol::{Jws, SigningKey};
use sealed_visit_vault::finish::close_expired;
use std::time::Duration;

async fn post(vault: &TestVault, statement: &str) -> Reply {
    vault
        .send(Method::POST, "/v1/withdrawals", &[], statement.to_owned())
        .await
}

async fn summary(vault: &TestVault) -> serde_json::Value {
    let path = format!("/v1/recordings/{RECORDING}");
    vault.read(Method::GET, &path).await.expect(200).json()
}

#[tokio::test]
async fn a_withdrawal_is_recorded_once_and_shown() {
    let vault = TestVault::new().await;
    let part = vault.world.part(0, 1);
    vault.post_open(&part).await.expect(201);
    let statement = vault
        .world
        .withdrawal(&part.claims.request, &vault.world.patient, None);
    post(&vault, statement.as_str()).await.expect(204);
    post(&vault, statement.as_str()).await.expect(204);
    let details = summary(&vault).await;
    assert_eq!(details["summary"]["state"], "withdrawn");
    assert_eq!(
        details["summary"]["deletion_requested_ms"],
        serde_json::Value::Null
    );
    assert_eq!(
        details["withdrawals"],
        serde_json::json!([statement.as_str()])
    );
    let log = vault
        .read(Method::GET, "/v1/audit")
        .await
        .expect(200)
        .json();
    let withdrawn = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["entry"].as_str().unwrap().contains("\"withdrawn\""));
    assert_eq!(withdrawn.count(), 1);
}

#[tokio::test]
async fn deletion_is_requested_as_the_consent_text_or_the_person_says() {
    use WithdrawalPolicy::{Ask, Delete, Keep};
    let cases = [
        (Keep, None, false),
        (Keep, Some(WithdrawalWish::Keep), false),
        (Keep, Some(WithdrawalWish::Delete), true),
        (Ask, None, false),
        (Ask, Some(WithdrawalWish::Keep), false),
        (Ask, Some(WithdrawalWish::Delete), true),
        (Delete, None, true),
        (Delete, Some(WithdrawalWish::Keep), true),
    ];
    for (policy, wish, deleted) in cases {
        let vault = TestVault::new().await;
        let request = vault
            .world
            .request(|request| request.terms.on_withdrawal = policy);
        let part = vault.world.part_under(&request, RECORDING, 0, 1);
        vault.post_open(&part).await.expect(201);
        let statement = vault.world.withdrawal(&request, &vault.world.patient, wish);
        post(&vault, statement.as_str()).await.expect(204);
        let requested = !summary(&vault).await["summary"]["deletion_requested_ms"].is_null();
        assert_eq!(requested, deleted, "{policy:?} {wish:?}");
    }
}

#[tokio::test]
async fn after_a_withdrawal_its_round_opens_nothing_more() {
    let vault = TestVault::new().await;
    let first = vault.world.part(0, 1);
    // Also when the withdrawal is here before any open statement.
    let statement = vault
        .world
        .withdrawal(&first.claims.request, &vault.world.patient, None);
    post(&vault, statement.as_str()).await.expect(204);
    vault
        .post_open(&first)
        .await
        .expect_refusal(403, "round_withdrawn");
    vault
        .post_open(&vault.world.recording(50, 1))
        .await
        .expect(201);
}

#[tokio::test]
async fn what_was_recorded_until_then_is_taken_and_closed_as_withdrawn() {
    let vault = TestVault::new().await;
    let upload = vault.begin(vault.world.part(0, 1)).await;
    let track = TrackFile::with_segments(&upload.part, 0, &[100, 200]);
    upload
        .patch(0, 0, track.bytes[..track.ends[1] as usize].to_vec())
        .await
        .expect(204);
    let statement = vault
        .world
        .withdrawal(&upload.part.claims.request, &vault.world.patient, None);
    post(&vault, statement.as_str()).await.expect(204);
    // Nothing new opens, but what was recorded is taken.
    vault
        .post_open(&vault.world.part(1, 1))
        .await
        .expect_refusal(403, "round_withdrawn");
    upload
        .patch(
            0,
            track.ends[1],
            track.bytes[track.ends[1] as usize..].to_vec(),
        )
        .await
        .expect(204);
    vault.advance(Duration::from_millis(24 * HOUR_MS));
    close_expired(&vault.vault).await;
    let path = format!("{}/receipt", upload.part.path());
    let reply = upload
        .send(Method::GET, &path, &[], "")
        .await
        .expect(200)
        .json();
    let closing = Jws::<ClosingClaims>::from_text(reply["closing"].as_str().unwrap())
        .verify(&vault.world.vault.public())
        .unwrap();
    assert_eq!(closing.reason, EndReason::Withdrawn);
    assert_eq!(closing.withdrawal.unwrap().as_str(), statement.as_str());
    assert_eq!(closing.tracks[0].length_bytes, track.len());
}

#[tokio::test]
async fn a_withdrawal_within_a_manifest_counts_too() {
    let vault = TestVault::new().await;
    let upload = vault.begin(vault.world.part(0, 1)).await;
    let track = TrackFile::with_segments(&upload.part, 0, &[100]);
    upload.upload(0, &track).await;
    let statement = vault
        .world
        .withdrawal(&upload.part.claims.request, &vault.world.patient, None);
    let manifest = upload.part.manifest_altered(&[&track], |claims| {
        claims.reason = EndReason::Withdrawn;
        claims.withdrawal = Some(statement.clone());
    });
    upload.finish_with(manifest.as_str()).await.expect(200);
    assert_eq!(summary(&vault).await["summary"]["state"], "withdrawn");
}

#[tokio::test]
async fn who_has_left_may_still_withdraw() {
    let vault = TestVault::new().await;
    let part = vault.world.part(0, 1);
    vault.post_open(&part).await.expect(201);
    vault.advance(Duration::from_millis(100 * HOUR_MS));
    let statement = vault
        .world
        .withdrawal(&part.claims.request, &vault.world.patient, None);
    post(&vault, statement.as_str()).await.expect(204);
    assert_eq!(summary(&vault).await["summary"]["state"], "withdrawn");
}

#[tokio::test]
async fn refuses_what_is_no_withdrawal_by_somebody_in_the_visit() {
    let vault = TestVault::new().await;
    let world: &World = &vault.world;
    let part = world.part(0, 1);
    vault.post_open(&part).await.expect(201);
    let request = &part.claims.request;
    for kind in [StatementKind::Grant, StatementKind::Refusal] {
        let claims = world.statement(request, &world.patient, kind);
        post(&vault, world.patient.key.sign(&claims).as_str())
            .await
            .expect_refusal(422, "not_a_withdrawal");
    }
    let claims = world
        .withdrawal(request, &world.patient, None)
        .unverified_claims()
        .unwrap();
    let stranger = SigningKey::from_seed(&[99; 32]);
    post(&vault, stranger.sign(&claims).as_str())
        .await
        .expect_refusal(403, "not_signed");
    let mut ghost = claims.clone();
    ghost.pass = world.pass_by(&stranger, &world.patient, claims.visit);
    post(&vault, world.patient.key.sign(&ghost).as_str())
        .await
        .expect_refusal(403, "unknown_authority");
    let mut elsewhere = claims.clone();
    elsewhere.visit = sealed_visit_protocol::VisitId::from_bytes([88; 16]);
    post(&vault, world.patient.key.sign(&elsewhere).as_str())
        .await
        .expect_refusal(403, "pass_of_other_visit");
    let by_recorder = world.withdrawal(request, &world.recorder, None);
    post(&vault, by_recorder.as_str())
        .await
        .expect_refusal(403, "statement_refused");
    post(&vault, "nonsense")
        .await
        .expect_refusal(400, "malformed");
    assert_eq!(summary(&vault).await["summary"]["state"], "open");
}

#[tokio::test]
async fn nobody_fills_the_vault_with_withdrawals() {
    let vault = TestVault::new().await;
    let part = vault.world.part(0, 1);
    vault.post_open(&part).await.expect(201);
    let statement = |seq| {
        let claims = vault
            .world
            .withdrawal(&part.claims.request, &vault.world.patient, None);
        let mut claims = claims.unverified_claims().unwrap();
        claims.seq = seq;
        vault.world.patient.key.sign(&claims)
    };
    for seq in 0..8 {
        post(&vault, statement(seq).as_str()).await.expect(204);
    }
    post(&vault, statement(8).as_str())
        .await
        .expect_refusal(429, "enough_withdrawals");
    post(&vault, statement(7).as_str()).await.expect(204);
}
