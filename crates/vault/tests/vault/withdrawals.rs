//! Withdrawals: recorded once, whatever else is said, and with what they mean for the recording.

use crate::common::http::{Reply, TestVault};
use crate::common::tracks::TrackFile;
use crate::common::{HOUR_MS, Person, RECORDING, World};
use http::Method;
use sealed_visit_protocol::consent::{
    RequestClaims, StatementClaims, StatementKind, WithdrawalPolicy, WithdrawalWish,
};
use sealed_visit_protocol::recording::{ClosingClaims, EndReason};
use sealed_visit_protocol::{B64, Hash32, Jws, RecordingId, Role, RoundId, SigningKey};
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
    post(&vault, statement.as_str()).await.expect(200);
    post(&vault, statement.as_str()).await.expect(200);
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
        post(&vault, statement.as_str()).await.expect(200);
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
    post(&vault, statement.as_str()).await.expect(200);
    vault
        .post_open(&first)
        .await
        .expect_refusal(403, "round_withdrawn");
    // The patient agrees anew, after having withdrawn.
    let again = vault.world.recording(50, 1);
    let again = vault.world.with_grants_numbered(again, 3);
    vault.post_open(&again).await.expect(201);
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
    post(&vault, statement.as_str()).await.expect(200);
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
    post(&vault, statement.as_str()).await.expect(200);
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

/// A withdrawal like any other, but for what is edited.
fn altered(
    world: &World,
    person: &Person,
    request: &Jws<RequestClaims>,
    edit: impl FnOnce(&mut StatementClaims),
) -> Jws<StatementClaims> {
    let claims = world.withdrawal(request, person, None);
    let mut claims = claims.unverified_claims().unwrap();
    edit(&mut claims);
    person.key.sign(&claims)
}

async fn stored(vault: &TestVault) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM withdrawals")
        .fetch_one(vault.vault.db.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn nobody_fills_the_vault_with_withdrawals_and_one_that_changes_something_is_never_refused() {
    let vault = TestVault::new().await;
    let (world, patient) = (&vault.world, &vault.world.patient);
    let part = world.part(0, 1);
    vault.post_open(&part).await.expect(201);
    let request = &part.claims.request;
    for seq in 0..40 {
        let statement = altered(world, patient, request, |claims| claims.seq = seq);
        post(&vault, statement.as_str()).await.expect(200);
    }
    assert_eq!(stored(&vault).await, 8);
    let wish = Some(WithdrawalWish::Delete);
    let statement = altered(world, patient, request, |claims| {
        (claims.seq, claims.wish) = (41, wish);
    });
    post(&vault, statement.as_str()).await.expect(200);
    assert_eq!(stored(&vault).await, 9);
    assert!(!summary(&vault).await["summary"]["deletion_requested_ms"].is_null());
    // Rounds that the vault knows no recording of: bounded, and the newest stay in force.
    for number in 0..200 {
        let statement = altered(world, patient, request, |claims| {
            claims.round = RoundId::from_bytes([number; 16]);
            (claims.seq, claims.request) = (42 + u64::from(number), Hash32([number; 32]));
        });
        post(&vault, statement.as_str()).await.expect(200);
    }
    assert_eq!(stored(&vault).await, 9 + 64);
    let last = world.request(|request| request.round = RoundId::from_bytes([199; 16]));
    let last = world.part_under(&last, RecordingId::from_bytes([50; 16]), 0, 1);
    let last = world.with_grants_numbered(last, 1000);
    vault
        .post_open(&last)
        .await
        .expect_refusal(403, "round_withdrawn");
}

#[tokio::test]
async fn who_takes_no_part_in_a_recording_cannot_end_it() {
    let vault = TestVault::new().await;
    let world = &vault.world;
    let part = world.part(0, 1);
    vault.post_open(&part).await.expect(201);
    let stranger = Person::new(77, Role::Guest);
    let request = &part.claims.request;
    // Knows the round, and not the request that was shown inside.
    let outside = altered(world, &stranger, request, |claims| {
        claims.request = Hash32([7; 32]);
        claims.wish = Some(WithdrawalWish::Delete);
    });
    post(&vault, outside.as_str())
        .await
        .expect_refusal(403, "not_in_recording");
    assert_eq!(summary(&vault).await["summary"]["state"], "open");
    vault.post_open(&world.part(1, 1)).await.expect(201);
    // Who joined while the part ran is in no open statement, but was asked with this very request.
    let joined = altered(world, &stranger, request, |_| {});
    post(&vault, joined.as_str()).await.expect(200);
    assert_eq!(summary(&vault).await["summary"]["state"], "withdrawn");
}

#[tokio::test]
async fn a_strangers_early_withdrawal_does_not_keep_others_from_recording() {
    let vault = TestVault::new().await;
    let world = &vault.world;
    let part = world.part(0, 1);
    let stranger = Person::new(77, Role::Guest);
    let outside = altered(world, &stranger, &part.claims.request, |claims| {
        claims.request = Hash32([7; 32]);
    });
    post(&vault, outside.as_str()).await.expect(200);
    vault.post_open(&part).await.expect(201);
    assert_eq!(summary(&vault).await["summary"]["state"], "open");
}

#[tokio::test]
async fn a_grant_that_its_author_has_overridden_opens_nothing() {
    let vault = TestVault::new().await;
    let world = &vault.world;
    let first = world.part(0, 1);
    vault.post_open(&first).await.expect(201);
    // The patient agrees to a second round: the first one's grant is not the last word any more.
    let second = world.with_grants_numbered(world.recording(50, 1), 2);
    vault.post_open(&second).await.expect(201);
    vault
        .post_open(&world.part(1, 1))
        .await
        .expect_refusal(403, "grant_overridden");
    // A withdrawal, in another group even, overrides every grant before it.
    let elsewhere = altered(world, &world.patient, &second.claims.request, |claims| {
        claims.group_id = B64(b"another group".to_vec());
        claims.seq = 5;
    });
    post(&vault, elsewhere.as_str()).await.expect(200);
    for (seq, taken) in [(3, false), (5, false), (6, true)] {
        let part = world.with_grants_numbered(world.recording(60 + seq as u8, 1), seq);
        let reply = vault.post_open(&part).await;
        if taken {
            reply.expect(201);
        } else {
            reply.expect_refusal(403, "grant_overridden");
        }
    }
    // What is open already stays so, and its device gets a capability again.
    vault.post_open(&first).await.expect(200);
}

async fn log_size(vault: &TestVault) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM audit")
        .fetch_one(vault.vault.db.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn made_up_rounds_do_not_fill_the_audit_log() {
    let vault = TestVault::new().await;
    let world = &vault.world;
    let part = world.part(0, 1);
    vault.post_open(&part).await.expect(201);
    let before = log_size(&vault).await;
    for number in 0..20 {
        let statement = altered(world, &world.patient, &part.claims.request, |claims| {
            claims.round = RoundId::from_bytes([100 + number; 16]);
            (claims.seq, claims.request) = (2 + u64::from(number), Hash32([number; 32]));
            claims.wish = Some(WithdrawalWish::Delete);
        });
        post(&vault, statement.as_str()).await.expect(200);
    }
    assert_eq!(log_size(&vault).await, before);
    let statement = world.withdrawal(&part.claims.request, &world.patient, None);
    post(&vault, statement.as_str()).await.expect(200);
    assert_eq!(log_size(&vault).await, before + 1, "a true one is logged");
}

#[tokio::test]
async fn a_withdrawal_that_changed_nothing_takes_nothing_from_a_later_one() {
    let vault = TestVault::new().await;
    let world = &vault.world;
    let part = world.part(0, 1);
    let guest = Person::new(77, Role::Guest);
    let wish = Some(WithdrawalWish::Delete);
    // Of the same round by its number, under a request that no recording stands on.
    let other = altered(world, &guest, &part.claims.request, |claims| {
        claims.request = Hash32([7; 32]);
        claims.wish = wish;
    });
    post(&vault, other.as_str()).await.expect(200);
    vault.post_open(&part).await.expect(201);
    let before = log_size(&vault).await;
    let joined = altered(world, &guest, &part.claims.request, |claims| {
        (claims.seq, claims.wish) = (3, wish);
    });
    post(&vault, joined.as_str()).await.expect(200);
    let details = summary(&vault).await;
    assert_eq!(details["summary"]["state"], "withdrawn");
    assert!(!details["summary"]["deletion_requested_ms"].is_null());
    assert_eq!(log_size(&vault).await, before + 2);
}

#[tokio::test]
async fn requests_made_up_by_somebody_in_a_recording_are_no_news() {
    let vault = TestVault::new().await;
    let world = &vault.world;
    let part = world.part(0, 1);
    vault.post_open(&part).await.expect(201);
    let wish = Some(WithdrawalWish::Delete);
    let mut size = None;
    for number in 0..20 {
        let statement = altered(world, &world.patient, &part.claims.request, |claims| {
            (claims.seq, claims.request) = (2 + u64::from(number), Hash32([number; 32]));
            claims.wish = wish;
        });
        post(&vault, statement.as_str()).await.expect(200);
        let now = log_size(&vault).await;
        assert_eq!(*size.get_or_insert(now), now);
    }
    assert_eq!(stored(&vault).await, 8);
}
