//! Deletion does what people are told: from the request on nobody opens, and once it is granted nothing is left.

use crate::common::http::{Reply, TestVault, Upload};
use crate::common::tracks::TrackFile;
use crate::common::{Person, RECORDING, World};
use http::Method;
use sealed_visit_protocol::consent::{WithdrawalPolicy, WithdrawalWish};
use sealed_visit_protocol::recording::{
    DeclineClaims, DeletionClaims, EndReason, VaultAnswer, WipeClaims, WipeReason,
};
use sealed_visit_protocol::{Hash32, Jws, RecordingId, Role, SigningKey};
use sealed_visit_vault::deletion;
use std::path::Path;
use std::time::Duration;

/// A recording with one finished part, under terms that say this about a withdrawal.
async fn recorded<'a>(vault: &'a TestVault, terms: WithdrawalPolicy) -> (Upload<'a>, TrackFile) {
    let request = vault
        .world
        .request(|request| request.terms.on_withdrawal = terms);
    let upload = vault
        .begin(vault.world.part_under(&request, RECORDING, 0, 1))
        .await;
    let track = TrackFile::with_segments(&upload.part, 0, &[1000, 2000]);
    upload.upload(0, &track).await;
    upload.finish(&[&track]).await.expect(200);
    (upload, track)
}

async fn withdraw(upload: &Upload<'_>, wish: Option<WithdrawalWish>) -> serde_json::Value {
    let World { patient, .. } = &upload.vault.world;
    let request = &upload.part.claims.request;
    let statement = upload.vault.world.withdrawal(request, patient, wish);
    let reply = upload
        .vault
        .send(
            Method::POST,
            "/v1/withdrawals",
            &[],
            statement.as_str().to_owned(),
        )
        .await;
    reply.expect(200).json()
}

async fn open(vault: &TestVault) -> Reply {
    let path = format!("/v1/recordings/{RECORDING}/open");
    vault.read(Method::POST, &path).await
}

async fn order(vault: &TestVault, recording: RecordingId, reason: WipeReason) -> Reply {
    let claims = WipeClaims::new(vec![recording], reason, 7);
    let order = vault.world.root.sign(&claims);
    let body = order.as_str().to_owned();
    vault.send(Method::POST, "/v1/deletions", &[], body).await
}

/// Waits for the bytes to be gone, which happens in a task of its own.
async fn until_deleted(vault: &TestVault) {
    for _ in 0..2000 {
        let row = vault.vault.db.recording(RECORDING).await.unwrap().unwrap();
        if row.deleted_ms.is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the bytes are still there");
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// The files of the vault's folder that hold these bytes.
fn files_with(vault: &TestVault, bytes: &[u8]) -> Vec<std::path::PathBuf> {
    let mut found = files_below(&vault.folder.path().join("data"));
    found.retain(|path| {
        let content = std::fs::read(path).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes)
    });
    found
}

async fn actions(vault: &TestVault) -> Vec<String> {
    let log = vault.read(Method::GET, "/v1/audit").await.expect(200);
    let entries = log.json()["entries"].as_array().unwrap().clone();
    let action = |row: &serde_json::Value| {
        let entry: serde_json::Value =
            serde_json::from_str(row["entry"].as_str().unwrap()).unwrap();
        entry["action"].as_str().unwrap().to_owned()
    };
    entries.iter().map(action).collect()
}

#[tokio::test]
async fn a_withdrawal_that_deletes_leaves_neither_share_nor_key_nor_byte_in_any_file() {
    use WithdrawalPolicy::{Ask, Delete};
    for (terms, wish) in [
        (Delete, None),
        (Delete, Some(WithdrawalWish::Keep)),
        (Ask, Some(WithdrawalWish::Delete)),
    ] {
        let vault = TestVault::new().await;
        let (upload, track) = recorded(&vault, terms).await;
        let opened = open(&vault).await.expect(200).json();
        let url = format!(
            "/{}",
            opened["parts"][0]["tracks"][0]["url"].as_str().unwrap()
        );
        let stored: Vec<u8> = sqlx::query_scalar("SELECT share FROM tracks")
            .fetch_one(vault.vault.db.pool())
            .await
            .unwrap();
        let envelope = upload.part.envelope(0, upload.share(0));
        let wrapped = envelope.as_str().as_bytes();
        let middle = &track.bytes[track.bytes.len() / 2..][..64];
        // What is looked for is found while it is there.
        for bytes in [&stored[..], &wrapped[..200], middle] {
            assert!(!files_with(&vault, bytes).is_empty());
        }
        let told = withdraw(&upload, wish).await;
        let state = told["recordings"][0]["deletion"].as_str().unwrap();
        assert!(["shares_destroyed", "deleted"].contains(&state), "{state}");
        open(&vault).await.expect_refusal(410, "recording_deleted");
        vault
            .send(Method::GET, &url, &[], "")
            .await
            .expect_refusal(410, "recording_deleted");
        until_deleted(&vault).await;
        vault.vault.db.forget_overwritten().await.unwrap();
        for bytes in [&stored[..], upload.share(0), &wrapped[..200], middle] {
            assert_eq!(files_with(&vault, bytes), Vec::<std::path::PathBuf>::new());
        }
        let path = format!("/v1/recordings/{RECORDING}");
        let details = vault.read(Method::GET, &path).await.expect(200).json();
        assert_eq!(details["summary"]["state"], "deleted");
        assert_eq!(details["summary"]["size_bytes"], 0);
        let log = actions(&vault).await;
        let steps = [
            "withdrawn",
            "deletion_requested",
            "deletion_granted",
            "shares_destroying",
            "shares_destroyed",
            "bytes_destroying",
            "bytes_destroyed",
        ];
        assert_eq!(log[log.len() - steps.len()..], steps);
    }
}

#[tokio::test]
async fn from_the_request_on_nobody_opens_or_downloads_and_no_part_begins() {
    let vault = TestVault::new().await;
    let (upload, _) = recorded(&vault, WithdrawalPolicy::Keep).await;
    let opened = open(&vault).await.expect(200).json();
    let url = format!(
        "/{}",
        opened["parts"][0]["tracks"][0]["url"].as_str().unwrap()
    );
    vault.send(Method::GET, &url, &[], "").await.expect(200);
    // The consent said that it is kept: the wish is the clinic's to grant.
    let told = withdraw(&upload, Some(WithdrawalWish::Delete)).await;
    assert_eq!(told["recordings"][0]["deletion"], "requested");
    open(&vault).await.expect_refusal(403, "deletion_requested");
    vault
        .send(Method::GET, &url, &[], "")
        .await
        .expect_refusal(403, "deletion_requested");
    let next = vault.post_open(&vault.world.part(1, 1)).await;
    assert_eq!(next.status, 403);
    let row = vault.vault.db.recording(RECORDING).await.unwrap().unwrap();
    assert_eq!(row.deletion_granted_ms, None);
    // The clinic grants it.
    let told = order(&vault, RECORDING, WipeReason::DeletionGranted).await;
    let told = told.expect(200).json();
    assert_eq!(told["recordings"][0]["recording"], RECORDING.to_string());
    until_deleted(&vault).await;
    open(&vault).await.expect_refusal(410, "recording_deleted");
}

#[tokio::test]
async fn nobody_but_the_clinics_root_orders_a_deletion() {
    let vault = TestVault::new().await;
    recorded(&vault, WithdrawalPolicy::Keep).await;
    let claims = WipeClaims::new(vec![RECORDING], WipeReason::DeletionGranted, 7);
    for key in [&vault.world.vault, &vault.world.host.key] {
        let body = key.sign(&claims).as_str().to_owned();
        vault
            .send(Method::POST, "/v1/deletions", &[], body)
            .await
            .expect_refusal(403, "not_signed");
    }
    order(&vault, RECORDING, WipeReason::DeviceWithdrawn)
        .await
        .expect_refusal(422, "not_a_deletion");
    let unknown = RecordingId::from_bytes([99; 16]);
    let told = order(&vault, unknown, WipeReason::DeletionGranted).await;
    assert_eq!(told.expect(200).json()["recordings"], serde_json::json!([]));
    open(&vault).await.expect(200);
}

#[tokio::test]
async fn a_clinic_that_wants_to_decide_every_time_can() {
    let vault = TestVault::with_config(|config| config.delete_on_withdrawal = false).await;
    let (upload, _) = recorded(&vault, WithdrawalPolicy::Delete).await;
    let told = withdraw(&upload, None).await;
    assert_eq!(told["recordings"][0]["deletion"], "requested");
    let vault = vault.restarted().await;
    open(&vault).await.expect_refusal(403, "deletion_requested");
    let row = vault.vault.db.recording(RECORDING).await.unwrap().unwrap();
    assert_eq!(row.deletion_granted_ms, None);
}

#[tokio::test]
async fn a_deletion_that_a_crash_interrupted_is_finished_at_the_next_start() {
    // As after a crash behind each step, in order; the last one lost only the outcome.
    let steps: [&[&str]; 4] = [
        &[],
        &["UPDATE tracks SET share = NULL"],
        &[
            "UPDATE tracks SET share = NULL",
            "UPDATE envelopes SET envelope = ''",
        ],
        &["UPDATE recordings SET deletion_requested_ms = 5"],
    ];
    for done in steps {
        let vault = TestVault::new().await;
        let (upload, track) = recorded(&vault, WithdrawalPolicy::Ask).await;
        let statement = vault.world.withdrawal(
            &upload.part.claims.request,
            &vault.world.patient,
            Some(WithdrawalWish::Delete),
        );
        // Recorded and granted, and nothing carried out yet.
        let recorded = sealed_visit_vault::withdrawal::record(&vault.vault, &statement)
            .await
            .unwrap();
        assert_eq!(recorded.granted, [RECORDING]);
        for statement in done {
            sqlx::query(*statement)
                .execute(vault.vault.db.pool())
                .await
                .unwrap();
        }
        let share = upload.share(0).to_vec();
        // A copy into the store that an earlier crash cut short.
        let tracks = vault.folder.path().join("data/tracks");
        let half = tracks.join(RECORDING.to_string()).join("0/half.svtrack#1");
        std::fs::write(&half, &track.bytes).unwrap();
        let vault = vault.restarted().await;
        assert!(!half.exists());
        let row = vault.vault.db.recording(RECORDING).await.unwrap().unwrap();
        assert!(row.deleted_ms.is_some());
        let middle = &track.bytes[track.bytes.len() / 2..][..64];
        assert!(files_with(&vault, middle).is_empty());
        assert!(files_with(&vault, &share).is_empty());
        let log = actions(&vault).await;
        for action in ["shares_destroyed", "bytes_destroyed"] {
            assert_eq!(log.iter().filter(|one| *one == action).count(), 1);
        }
        // Nothing is done twice.
        deletion::resume(&vault.vault).await.unwrap();
        assert_eq!(actions(&vault).await, log);
    }
}

#[tokio::test]
async fn what_an_earlier_version_only_noted_is_deleted_at_the_start() {
    let vault = TestVault::with_config(|config| config.delete_on_withdrawal = false).await;
    let (upload, _) = recorded(&vault, WithdrawalPolicy::Delete).await;
    withdraw(&upload, None).await;
    let vault = vault.restarted_with(|_| {}).await;
    let row = vault.vault.db.recording(RECORDING).await.unwrap().unwrap();
    assert!(row.deleted_ms.is_some());
}

#[tokio::test]
async fn a_device_that_is_still_uploading_is_told_with_a_signed_record() {
    let vault = TestVault::new().await;
    let request = vault
        .world
        .request(|request| request.terms.on_withdrawal = WithdrawalPolicy::Delete);
    let upload = vault
        .begin(vault.world.part_under(&request, RECORDING, 0, 2))
        .await;
    let track = TrackFile::with_segments(&upload.part, 0, &[100, 200]);
    let half = track.ends[1] as usize;
    upload
        .patch(0, 0, track.bytes[..half].to_vec())
        .await
        .expect(204);
    let path = format!("/v1/recordings/{RECORDING}/deletion");
    upload
        .send(Method::GET, &path, &[], "")
        .await
        .expect_refusal(409, "not_deleted");
    withdraw(&upload, None).await;
    let rest = track.bytes[half..].to_vec();
    upload
        .patch(0, half as u64, rest)
        .await
        .expect_refusal(410, "recording_deleted");
    upload
        .put_envelope(1)
        .await
        .expect_refusal(410, "recording_deleted");
    upload
        .create(1)
        .await
        .expect_refusal(410, "recording_deleted");
    upload
        .finish(&[&track])
        .await
        .expect_refusal(410, "recording_deleted");
    upload
        .close("")
        .await
        .expect_refusal(410, "recording_deleted");
    vault
        .post_open(&upload.part)
        .await
        .expect_refusal(410, "recording_deleted");
    until_deleted(&vault).await;
    assert!(!vault.staging_file(&upload.part, 0).exists());
    // Also a device that comes back after its capability has expired.
    vault.advance(Duration::from_secs(30 * 24 * 3600));
    let told = upload.send(Method::GET, &path, &[], "").await.expect(200);
    let record = Jws::<DeletionClaims>::from_text(told.json()["deletion"].as_str().unwrap());
    let key = vault.world.vault.public();
    let claims = DeletionClaims::verify(&record, &key, RECORDING).unwrap();
    assert!(claims.withdrawal.is_some());
    vault
        .send(Method::GET, &path, &[], "")
        .await
        .expect_refusal(401, "unauthorized");
}

#[tokio::test]
async fn a_manifest_that_brings_the_withdrawal_gets_its_receipt_and_is_deleted() {
    let vault = TestVault::new().await;
    let request = vault
        .world
        .request(|request| request.terms.on_withdrawal = WithdrawalPolicy::Delete);
    let upload = vault
        .begin(vault.world.part_under(&request, RECORDING, 0, 1))
        .await;
    let track = TrackFile::with_segments(&upload.part, 0, &[100]);
    upload.upload(0, &track).await;
    let statement = vault.world.withdrawal(&request, &vault.world.patient, None);
    let manifest = upload.part.manifest_altered(&[&track], |claims| {
        claims.reason = EndReason::Withdrawn;
        claims.withdrawal = Some(statement.clone());
    });
    let reply = upload.finish_with(manifest.as_str()).await.expect(200);
    let receipt = upload.receipt(&reply);
    let envelope = upload.part.envelope(0, upload.share(0));
    assert_eq!(receipt.tracks[0].envelope, envelope.hash());
    until_deleted(&vault).await;
    open(&vault).await.expect_refusal(410, "recording_deleted");
}

#[tokio::test]
async fn a_device_that_obeys_a_deletion_order_brings_it_to_the_vault() {
    let vault = TestVault::new().await;
    let (upload, _) = recorded(&vault, WithdrawalPolicy::Keep).await;
    let claims = WipeClaims::new(vec![RECORDING], WipeReason::DeletionGranted, 7);
    let body = vault.world.root.sign(&claims).as_str().to_owned();
    let path = format!("{}/wiped", upload.part.path());
    upload
        .send(Method::POST, &path, &[], body)
        .await
        .expect(204);
    until_deleted(&vault).await;
}

#[tokio::test]
async fn other_recordings_stay_as_they_are() {
    let vault = TestVault::new().await;
    let other = vault.begin(vault.world.recording(50, 1)).await;
    let track = TrackFile::with_segments(&other.part, 0, &[1000]);
    other.upload(0, &track).await;
    other.finish(&[&track]).await.expect(200);
    let (upload, _) = recorded(&vault, WithdrawalPolicy::Delete).await;
    withdraw(&upload, None).await;
    until_deleted(&vault).await;
    let path = format!("/v1/recordings/{}/open", other.part.claims.recording);
    let opened = vault.read(Method::POST, &path).await.expect(200).json();
    let answer: VaultAnswer = serde_json::from_value(serde_json::json!({
        "v": 1, "recording": other.answer.recording, "part": 0, "capability": "", "capability_expires_ms": 0,
        "tracks": [{
            "track": other.part.track(0), "create_url": "",
            "share": opened["parts"][0]["tracks"][0]["share"],
        }],
    }))
    .unwrap();
    assert_eq!(answer.tracks[0].share.0, other.share(0));
}

#[tokio::test]
async fn what_an_earlier_version_noted_for_a_stranger_is_not_carried_out() {
    let vault = TestVault::with_config(|config| config.delete_on_withdrawal = false).await;
    let (upload, _) = recorded(&vault, WithdrawalPolicy::Delete).await;
    let world = &vault.world;
    let stranger = Person::new(77, Role::Guest);
    let statement = world.withdrawal(&upload.part.claims.request, &stranger, None);
    let mut claims = statement.unverified_claims().unwrap();
    claims.request = Hash32([7; 32]);
    let statement = stranger.key.sign(&claims);
    // As earlier versions did with whoever had a pass of the visit and knew the round.
    let pool = vault.vault.db.pool();
    sqlx::query(
        "INSERT INTO withdrawals (hash, visit, group_id, round, participant, request, statement, received_ms) \
         SELECT ?, visit, group_id, round, ?, ?, ?, 5 FROM recordings",
    )
    .bind(statement.hash().to_string())
    .bind(stranger.id.to_string())
    .bind(claims.request.to_string())
    .bind(statement.as_str())
    .execute(pool)
    .await
    .unwrap();
    sqlx::query("UPDATE recordings SET deletion_requested_ms = 5")
        .execute(pool)
        .await
        .unwrap();
    let vault = vault
        .restarted_with(|config| config.delete_on_withdrawal = true)
        .await;
    let row = vault.vault.db.recording(RECORDING).await.unwrap().unwrap();
    assert_eq!(row.deletion_requested_ms, Some(5));
    assert_eq!((row.deletion_granted_ms, row.deleted_ms), (None, None));
}

/// A finished recording besides, made later.
async fn another(vault: &TestVault) -> RecordingId {
    let upload = vault.begin(vault.world.recording(50, 1)).await;
    let track = TrackFile::with_segments(&upload.part, 0, &[1000]);
    upload.upload(0, &track).await;
    upload.finish(&[&track]).await.expect(200);
    upload.part.claims.recording
}

#[tokio::test]
async fn a_deletion_that_fails_holds_up_no_other() {
    let vault = TestVault::new().await;
    let (first, _) = recorded(&vault, WithdrawalPolicy::Keep).await;
    let other = another(&vault).await;
    // What cannot be deleted: a folder with something in it, where the first recording's file was.
    let folder = vault.folder.path().join("data/tracks");
    let file = folder.join(format!("{RECORDING}/0/{}.svtrack", first.part.track(0)));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir_all(file.join("in the way")).unwrap();
    // Granted, and nothing carried out yet.
    let claims = WipeClaims::new(vec![RECORDING, other], WipeReason::DeletionGranted, 7);
    let order = vault.world.root.sign(&claims);
    for recording in [RECORDING, other] {
        let mut tx = vault.vault.db.write().await.unwrap();
        let basis = deletion::Basis::Order(order.clone());
        let actor = sealed_visit_vault::audit::Actor::Clinic;
        deletion::grant(&mut tx, recording, &basis, actor, 7)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    deletion::resume(&vault.vault).await.unwrap_err();
    let row = |recording| {
        let db = &vault.vault.db;
        async move { db.recording(recording).await.unwrap().unwrap() }
    };
    assert!(row(RECORDING).await.shares_destroyed_ms.is_some());
    assert_eq!(row(RECORDING).await.deleted_ms, None);
    assert!(row(other).await.deleted_ms.is_some());
    // It is tried again.
    std::fs::remove_dir_all(&file).unwrap();
    deletion::resume(&vault.vault).await.unwrap();
    assert!(row(RECORDING).await.deleted_ms.is_some());
}

#[tokio::test]
async fn shares_that_cannot_be_destroyed_hold_up_no_others() {
    let vault = TestVault::new().await;
    recorded(&vault, WithdrawalPolicy::Keep).await;
    let other = another(&vault).await;
    let pool = vault.vault.db.pool();
    let claims = WipeClaims::new(vec![RECORDING, other], WipeReason::DeletionGranted, 7);
    sqlx::query("UPDATE recordings SET deletion_granted_ms = 7, deletion_basis = ?")
        .bind(vault.world.root.sign(&claims).as_str())
        .execute(pool)
        .await
        .unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "CREATE TRIGGER held BEFORE UPDATE OF share ON tracks WHEN OLD.recording = '{RECORDING}' \
         BEGIN SELECT RAISE(ABORT, 'held'); END"
    )))
    .execute(pool)
    .await
    .unwrap();
    deletion::resume(&vault.vault).await.unwrap_err();
    let row = vault.vault.db.recording(other).await.unwrap().unwrap();
    assert!(row.deleted_ms.is_some());
    let row = vault.vault.db.recording(RECORDING).await.unwrap().unwrap();
    assert_eq!((row.shares_destroyed_ms, row.deleted_ms), (None, None));
    sqlx::query("DROP TRIGGER held")
        .execute(pool)
        .await
        .unwrap();
    deletion::resume(&vault.vault).await.unwrap();
    let row = vault.vault.db.recording(RECORDING).await.unwrap().unwrap();
    assert!(row.deleted_ms.is_some());
}

/// The clinic's decision to keep the recording, in answer to these wishes.
async fn decline(vault: &TestVault, key: &SigningKey, wishes: &[Hash32]) -> Reply {
    let decision = key.sign(&DeclineClaims::new(RECORDING, wishes.to_vec(), 7));
    let body = decision.as_str().to_owned();
    let path = "/v1/deletions/declined";
    vault.send(Method::POST, path, &[], body).await
}

/// Hash of the withdrawal that [`withdraw`] sends.
fn wish_of(upload: &Upload<'_>) -> Hash32 {
    let World { patient, .. } = &upload.vault.world;
    let wish = Some(WithdrawalWish::Delete);
    let request = &upload.part.claims.request;
    let statement = upload.vault.world.withdrawal(request, patient, wish);
    statement.hash()
}

async fn details(vault: &TestVault) -> serde_json::Value {
    let path = format!("/v1/recordings/{RECORDING}");
    vault.read(Method::GET, &path).await.expect(200).json()
}

#[tokio::test]
async fn a_wish_that_the_clinic_declines_stays_on_record_and_the_recording_opens_again() {
    let vault = TestVault::new().await;
    let (upload, _) = recorded(&vault, WithdrawalPolicy::Keep).await;
    let root = &vault.world.root;
    let wish = wish_of(&upload);
    decline(&vault, root, &[wish])
        .await
        .expect_refusal(409, "deletion_not_requested");
    let opened = open(&vault).await.expect(200).json();
    let url = &opened["parts"][0]["tracks"][0]["url"];
    let url = format!("/{}", url.as_str().unwrap());
    withdraw(&upload, Some(WithdrawalWish::Delete)).await;
    open(&vault).await.expect_refusal(403, "deletion_requested");
    for key in [&vault.world.vault, &vault.world.host.key] {
        let forged = decline(&vault, key, &[wish]).await;
        forged.expect_refusal(403, "not_signed");
    }
    open(&vault).await.expect_refusal(403, "deletion_requested");
    for _ in 0..2 {
        let told = decline(&vault, root, &[wish]).await.expect(200).json();
        assert_eq!(told["deletion"], "declined");
    }
    open(&vault).await.expect(200);
    vault.send(Method::GET, &url, &[], "").await.expect(200);
    let found = details(&vault).await;
    assert_eq!(found["summary"]["state"], "withdrawn");
    assert!(!found["summary"]["deletion_requested_ms"].is_null());
    assert!(!found["summary"]["deletion_declined_ms"].is_null());
    assert_eq!(found["withdrawals"].as_array().unwrap().len(), 1);
    let decision = Jws::<DeclineClaims>::from_text(found["deletion_decline"].as_str().unwrap());
    assert!(DeclineClaims::verify(&decision, &root.public()).is_ok());
    let log = actions(&vault).await;
    let declined = log.iter().filter(|action| *action == "deletion_declined");
    assert_eq!(declined.count(), 1);
    // The person who asks learns it, and the round stays dead.
    let told = withdraw(&upload, Some(WithdrawalWish::Delete)).await;
    assert_eq!(told["recordings"][0]["deletion"], "declined");
    vault
        .post_open(&vault.world.part(1, 1))
        .await
        .expect_refusal(403, "round_withdrawn");
    let vault = vault.restarted().await;
    open(&vault).await.expect(200);
    // The clinic may still change its mind.
    order(&vault, RECORDING, WipeReason::DeletionGranted)
        .await
        .expect(200);
    until_deleted(&vault).await;
    decline(&vault, &vault.world.root, &[wish])
        .await
        .expect_refusal(410, "recording_deleted");
}

#[tokio::test]
async fn a_decision_shown_again_does_not_decline_a_later_wish() {
    let vault = TestVault::new().await;
    let (upload, _) = recorded(&vault, WithdrawalPolicy::Keep).await;
    let root = &vault.world.root;
    withdraw(&upload, Some(WithdrawalWish::Delete)).await;
    let first = wish_of(&upload);
    decline(&vault, root, &[first]).await.expect(200);
    open(&vault).await.expect(200);
    // Somebody else in the recording wishes for it.
    let World { host, .. } = &vault.world;
    let request = &upload.part.claims.request;
    let wish = Some(WithdrawalWish::Delete);
    let second = vault.world.withdrawal(request, host, wish);
    let body = second.as_str().to_owned();
    let told = vault.send(Method::POST, "/v1/withdrawals", &[], body).await;
    let told = told.expect(200).json();
    assert_eq!(told["recordings"][0]["deletion"], "requested");
    open(&vault).await.expect_refusal(403, "deletion_requested");
    decline(&vault, root, &[first])
        .await
        .expect_refusal(409, "wish_not_named");
    let found = details(&vault).await;
    assert!(found["summary"]["deletion_declined_ms"].is_null());
    assert!(found["deletion_decline"].is_string(), "stays on record");
    open(&vault).await.expect_refusal(403, "deletion_requested");
    decline(&vault, root, &[first, second.hash()])
        .await
        .expect(200);
    open(&vault).await.expect(200);
}

#[tokio::test]
async fn a_deletion_that_the_consent_promised_cannot_be_declined() {
    let decide_every_time = |config: &mut sealed_visit_vault::config::Config| {
        config.delete_on_withdrawal = false;
    };
    for (terms, wish) in [
        (WithdrawalPolicy::Delete, WithdrawalWish::Keep),
        (WithdrawalPolicy::Ask, WithdrawalWish::Delete),
    ] {
        let vault = TestVault::with_config(decide_every_time).await;
        let (upload, _) = recorded(&vault, terms).await;
        withdraw(&upload, Some(wish)).await;
        let hash = wish_of(&upload);
        decline(&vault, &vault.world.root, &[hash])
            .await
            .expect_refusal(403, "deletion_promised");
        open(&vault).await.expect_refusal(403, "deletion_requested");
    }
}
