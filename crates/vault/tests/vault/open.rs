//! Open statements: what is answered, and every reason for refusal.

use crate::common::http::{Reply, TestVault};
use crate::common::tracks::TrackFile;
use crate::common::{HOUR_MS, Part, RECORDING, START_MS, World, open_track};
use axum::body::Body;
use http::Method;
use sealed_visit_protocol::bytes::{B64, Hash32};
use sealed_visit_protocol::consent::StatementKind;
use sealed_visit_protocol::recording::{PreviousPart, VaultAnswer};
use sealed_visit_protocol::track::{Header, HeaderClaims};
use sealed_visit_protocol::{ParticipantId, Role, RoundId, SigningKey, TrackId, VisitId};
use std::time::Duration;

fn answer(reply: &Reply) -> VaultAnswer {
    serde_json::from_slice(&reply.body).unwrap()
}

/// The statement is refused, and leaves nothing behind: the proper one is accepted afterwards.
async fn refused(status: u16, code: &str, edit: impl FnOnce(&World, &mut Part)) {
    let vault = TestVault::new().await;
    let mut part = vault.world.part(0, 2);
    edit(&vault.world, &mut part);
    vault.post_open(&part).await.expect_refusal(status, code);
    vault.post_open(&vault.world.part(0, 2)).await.expect(201);
}

#[tokio::test]
async fn gives_a_share_for_each_track_and_a_capability() {
    let vault = TestVault::new().await;
    let part = vault.world.part(0, 2);
    let reply = vault.post_open(&part).await.expect(201);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let answer = answer(&reply);
    assert_eq!((answer.recording, answer.part), (RECORDING, 0));
    assert_eq!(answer.tracks.len(), 2);
    for (index, grant) in answer.tracks.iter().enumerate() {
        assert_eq!(grant.track, part.track(index));
        assert_eq!(grant.share.0.len(), 32);
        // Relative to the vault, wherever a proxy put it.
        assert_eq!(format!("/{}", grant.create_url), part.uploads_path());
    }
    assert_ne!(answer.tracks[0].share, answer.tracks[1].share);
    assert_eq!(answer.capability_expires_ms, START_MS + 14 * 24 * HOUR_MS);
}

#[tokio::test]
async fn makes_no_share_for_a_track_that_needs_none() {
    let vault = TestVault::new().await;
    let mut part = vault.world.part(0, 1);
    change_header(&mut part, |header| header.share_required = false);
    let answer = answer(&vault.post_open(&part).await.expect(201));
    assert!(answer.tracks[0].share.0.is_empty());
}

#[tokio::test]
async fn makes_absolute_urls_when_it_knows_its_address() {
    let vault = TestVault::with_config(|config| {
        config.public_url = Some("https://vault.example/base/".parse().unwrap());
    })
    .await;
    let part = vault.world.part(0, 1);
    let answer = answer(&vault.post_open(&part).await.expect(201));
    let expected = format!("https://vault.example/base{}", part.uploads_path());
    assert_eq!(answer.tracks[0].create_url, expected);
}

#[tokio::test]
async fn answers_the_same_statement_with_the_same_shares_also_after_a_restart() {
    let vault = TestVault::new().await;
    let part = vault.world.part(0, 2);
    let first = answer(&vault.post_open(&part).await.expect(201));
    let again = answer(&vault.post_open(&part).await.expect(200));
    assert_eq!(again.tracks, first.tracks);
    let vault = vault.restarted().await;
    let after = answer(&vault.post_open(&part).await.expect(200));
    assert_eq!(after.tracks, first.tracks);
}

#[tokio::test]
async fn hands_a_share_out_again_only_until_its_envelope_is_stored() {
    let vault = TestVault::new().await;
    let upload = vault.begin(vault.world.part(0, 1)).await;
    let again = answer(&vault.post_open(&upload.part).await.expect(200));
    assert!(again.tracks[0].share.0.is_empty());
    // The new capability works, also when the pass has expired meanwhile.
    vault.advance(Duration::from_millis(5 * HOUR_MS));
    let renewed = answer(&vault.post_open(&upload.part).await.expect(200));
    let authorization = format!("Bearer {}", renewed.capability);
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Tus-Resumable", "1.0.0"),
    ];
    let path = upload.part.upload_path(0);
    vault
        .send(Method::HEAD, &path, &headers, Body::empty())
        .await
        .expect(200);
}

#[tokio::test]
async fn refuses_another_statement_for_the_same_part() {
    let vault = TestVault::new().await;
    vault.post_open(&vault.world.part(0, 1)).await.expect(201);
    let other = vault.world.part(0, 1).edit(|claims| claims.at_ms += 1);
    vault
        .post_open(&other)
        .await
        .expect_refusal(409, "part_exists");
}

#[tokio::test]
async fn gives_a_capability_for_a_finished_part_that_fetches_its_receipt_and_no_share() {
    let vault = TestVault::new().await;
    let upload = vault.begin(vault.world.part(0, 1)).await;
    let track = TrackFile::with_segments(&upload.part, 0, &[10]);
    upload.upload(0, &track).await;
    upload.finish(&[&track]).await.expect(200);
    let again = answer(&vault.post_open(&upload.part).await.expect(200));
    assert!(again.tracks[0].share.0.is_empty());
    let authorization = format!("Bearer {}", again.capability);
    let headers = [("Authorization", authorization.as_str())];
    let path = format!("{}/receipt", upload.part.path());
    vault
        .send(Method::GET, &path, &headers, Body::empty())
        .await
        .expect(200);
}

#[tokio::test]
async fn takes_a_second_part_under_the_same_request_only() {
    let vault = TestVault::new().await;
    vault.post_open(&vault.world.part(0, 1)).await.expect(201);
    let second = vault.world.part(1, 1).edit(|claims| {
        claims.previous = Some(PreviousPart {
            part: 0,
            heads: vec![],
        });
    });
    vault.post_open(&second).await.expect(201);
    let other = vault
        .world
        .request(|request| request.round = RoundId::from_bytes([77; 16]));
    let third = vault.world.part_under(&other, RECORDING, 2, 1);
    vault
        .post_open(&third)
        .await
        .expect_refusal(403, "other_request");
}

#[tokio::test]
async fn refuses_a_previous_part_that_comes_later() {
    refused(422, "previous_part", |_, part| {
        part.claims.previous = Some(PreviousPart {
            part: 0,
            heads: vec![],
        });
    })
    .await;
}

#[tokio::test]
async fn refuses_a_track_that_belongs_to_another_recording() {
    let vault = TestVault::new().await;
    vault.post_open(&vault.world.part(0, 1)).await.expect(201);
    let taken = vault.world.part(0, 1).track(0);
    let mut other = vault.world.recording(50, 1);
    change_header(&mut other, |header| header.track = taken);
    vault
        .post_open(&other)
        .await
        .expect_refusal(403, "track_exists");
}

#[tokio::test]
async fn refuses_a_statement_signed_by_another_key() {
    refused(403, "not_signed", |_, part| {
        part.recorder = SigningKey::from_seed(&[99; 32]);
    })
    .await;
}

#[tokio::test]
async fn refuses_what_is_no_statement() {
    let vault = TestVault::new().await;
    for text in ["", "a.b.c", "{}", "..", "eyJhIjoxfQ.eyJhIjoxfQ.AAAA"] {
        let reply = vault.send(Method::POST, "/v1/recordings", &[], text).await;
        reply.expect_refusal(400, "malformed");
    }
    let wrong_type = vault.world.request(|_| {});
    vault
        .send(
            Method::POST,
            "/v1/recordings",
            &[],
            wrong_type.as_str().to_owned(),
        )
        .await
        .expect_refusal(422, "wrong_type");
    vault
        .send(Method::POST, "/v1/recordings", &[], vec![0xff; 100])
        .await
        .expect_refusal(400, "malformed");
    vault
        .send(
            Method::POST,
            "/v1/recordings",
            &[],
            vec![b'a'; (1 << 20) + 1],
        )
        .await
        .expect_refusal(413, "too_large");
}

#[tokio::test]
async fn refuses_a_newer_version() {
    refused(422, "unknown_version", |_, part| part.claims.v = 2).await;
}

#[tokio::test]
async fn refuses_a_pass_of_an_unknown_authority() {
    refused(403, "unknown_authority", |world, part| {
        let stranger = SigningKey::from_seed(&[99; 32]);
        part.claims.pass = world.pass_by(&stranger, &world.recorder, part.claims.visit);
    })
    .await;
}

#[tokio::test]
async fn refuses_a_pass_of_another_visit() {
    refused(403, "pass_of_other_visit", |world, part| {
        let elsewhere = VisitId::from_bytes([88; 16]);
        part.claims.pass = world.pass_by(&world.authority, &world.recorder, elsewhere);
    })
    .await;
}

#[tokio::test]
async fn refuses_an_expired_pass() {
    let vault = TestVault::new().await;
    vault.advance(Duration::from_millis(3 * HOUR_MS));
    vault
        .post_open(&vault.world.part(0, 1))
        .await
        .expect_refusal(403, "pass_expired");
}

#[tokio::test]
async fn refuses_somebody_who_is_no_recorder() {
    refused(403, "not_a_recorder", |world, part| {
        part.claims.pass = world.pass(&world.patient);
        part.recorder = world.patient.key.clone();
    })
    .await;
}

#[tokio::test]
async fn refuses_a_recorder_outside_its_roster() {
    refused(403, "recorder_not_in_roster", |_, part| {
        part.claims.roster.pop();
    })
    .await;
}

#[tokio::test]
async fn refuses_a_member_without_a_grant() {
    refused(403, "not_granted", |_, part| {
        part.claims.grants.pop();
    })
    .await;
}

#[tokio::test]
async fn refuses_a_member_who_refused() {
    refused(403, "not_granted", |world, part| {
        let claims = world.statement(&part.claims.request, &world.patient, StatementKind::Refusal);
        part.claims.grants[1] = world.patient.key.sign(&claims);
    })
    .await;
}

#[tokio::test]
async fn refuses_a_withdrawal_among_the_grants() {
    refused(403, "round_withdrawn", |world, part| {
        part.claims.grants[1] = world.withdrawal(&part.claims.request, &world.patient, None);
    })
    .await;
    refused(403, "round_withdrawn", |world, part| {
        part.claims.grants[0] = world.withdrawal(&part.claims.request, &world.patient, None);
    })
    .await;
}

#[tokio::test]
async fn refuses_a_grant_signed_by_another_key() {
    refused(403, "grant_refused", |world, part| {
        let claims = world.statement(&part.claims.request, &world.patient, StatementKind::Grant);
        part.claims.grants[1] = world.host.key.sign(&claims);
    })
    .await;
}

#[tokio::test]
async fn refuses_a_grant_for_another_request() {
    refused(403, "grant_refused", |world, part| {
        let other = world.request(|request| request.terms.retention_days = 9999);
        let claims = world.statement(&other, &world.patient, StatementKind::Grant);
        part.claims.grants[1] = world.patient.key.sign(&claims);
    })
    .await;
}

#[tokio::test]
async fn refuses_a_request_that_is_not_the_hosts() {
    refused(403, "request_refused", |world, part| {
        let mut claims = part.claims.request.unverified_claims().unwrap();
        claims.pass = world.pass(&world.patient);
        part.claims.request = world.patient.key.sign(&claims);
    })
    .await;
}

#[tokio::test]
async fn refuses_another_recorder_than_the_one_asked_for() {
    refused(403, "other_recorder", |world, part| {
        let other = crate::common::Person {
            id: ParticipantId::from_bytes([66; 16]),
            role: Role::Recorder,
            key: SigningKey::from_seed(&[66; 32]),
        };
        let pass = world.pass(&other);
        part.claims.roster[2] = pass.clone();
        part.claims.pass = pass;
        part.recorder = other.key;
    })
    .await;
}

#[tokio::test]
async fn refuses_two_recorders() {
    refused(403, "roster_refused", |world, part| {
        let second = crate::common::Person {
            id: ParticipantId::from_bytes([66; 16]),
            role: Role::Recorder,
            key: SigningKey::from_seed(&[66; 32]),
        };
        part.claims.roster.push(world.pass(&second));
    })
    .await;
}

#[tokio::test]
async fn refuses_other_recipients_than_the_granted_ones() {
    refused(403, "other_recipients", |world, part| {
        part.claims.recipients.push(world.supervisor());
        part.claims.recipients.sort();
    })
    .await;
}

#[tokio::test]
async fn refuses_a_header_for_other_recipients() {
    refused(403, "header_disagrees", |world, part| {
        let supervisor = world.supervisor().fingerprint;
        change_header(part, |header| {
            header.recipients.push(supervisor);
            header.recipients.sort();
        });
    })
    .await;
}

#[tokio::test]
async fn refuses_headers_that_disagree_with_the_statement() {
    let edits: [fn(&mut HeaderClaims); 4] = [
        |header| header.visit = VisitId::from_bytes([88; 16]),
        |header| header.part = 5,
        |header| header.recording_key = SigningKey::from_seed(&[99; 32]).public(),
        |header| header.recording = sealed_visit_protocol::RecordingId::from_bytes([88; 16]),
    ];
    for edit in edits {
        refused(403, "header_disagrees", |_, part| change_header(part, edit)).await;
    }
    refused(403, "header_disagrees", |_, part| {
        part.claims.tracks[0].track = TrackId::from_bytes([88; 16]);
    })
    .await;
    refused(403, "header_refused", |_, part| {
        part.claims.tracks[0].header = B64(b"{}".to_vec());
    })
    .await;
}

#[tokio::test]
async fn refuses_no_tracks_and_a_track_named_twice() {
    refused(403, "tracks_refused", |_, part| part.claims.tracks.clear()).await;
    refused(403, "tracks_refused", |_, part| {
        part.claims.tracks[1] = part.claims.tracks[0].clone();
    })
    .await;
}

#[tokio::test]
async fn refuses_a_retired_recipient_as_soon_as_the_document_says_so() {
    let vault = TestVault::new().await;
    vault.post_open(&vault.world.part(0, 1)).await.expect(201);
    let retired = vault.world.granted_recipients()[0].fingerprint;
    let document = vault.world.clinic_document(|claims| {
        claims.number = 2;
        claims.retired = vec![retired];
    });
    write_document(&vault, document.as_str());
    vault
        .post_open(&vault.world.part(1, 1))
        .await
        .expect_refusal(403, "retired_recipient");
}

#[tokio::test]
async fn refuses_an_unlisted_recipient_and_one_in_another_role() {
    let vault = TestVault::new().await;
    let unlisted = vault.world.clinic_document(|claims| {
        claims.number = 2;
        claims.recipients.clear();
    });
    write_document(&vault, unlisted.as_str());
    vault
        .post_open(&vault.world.part(0, 1))
        .await
        .expect_refusal(403, "unlisted_recipient");
    let other_role = vault.world.clinic_document(|claims| {
        claims.number = 3;
        for recipient in &mut claims.recipients {
            recipient.role = sealed_visit_protocol::clinic::RecipientRole::Legal;
        }
    });
    write_document(&vault, other_role.as_str());
    vault
        .post_open(&vault.world.part(0, 1))
        .await
        .expect_refusal(403, "recipient_role");
}

#[tokio::test]
async fn keeps_its_document_when_the_file_is_swapped_or_rolled_back() {
    let vault = TestVault::new().await;
    let newer = vault.world.clinic_document(|claims| claims.number = 5);
    write_document(&vault, newer.as_str());
    vault.post_open(&vault.world.part(0, 1)).await.expect(201);
    let retired = vault.world.granted_recipients()[0].fingerprint;
    let mut forged = World::new();
    forged.root = SigningKey::from_seed(&[99; 32]);
    let by_another_root = forged.clinic_document(|claims| {
        claims.number = 6;
        claims.retired = vec![retired];
    });
    let rolled_back = vault.world.clinic_document(|claims| {
        claims.number = 4;
        claims.retired = vec![retired];
    });
    for (part, document) in [(1, by_another_root), (2, rolled_back)] {
        write_document(&vault, document.as_str());
        vault
            .post_open(&vault.world.part(part, 1))
            .await
            .expect(201);
    }
}

#[tokio::test]
async fn refuses_everything_when_its_clinic_document_is_not_valid_any_more() {
    let vault = TestVault::new().await;
    vault.advance(Duration::from_millis(366 * 24 * HOUR_MS));
    vault
        .post_open(&vault.world.part(0, 1))
        .await
        .expect_refusal(503, "clinic_document_not_valid");
}

#[tokio::test]
async fn stores_an_envelope_once() {
    let vault = TestVault::new().await;
    let upload = vault.begin(vault.world.part(0, 2)).await;
    upload.put_envelope(0).await.expect(204);
    let path = upload.part.envelope_path(0);
    let other = upload.part.envelope_altered(0, upload.share(0), |claims| {
        claims.keys[0].ciphertext = B64(vec![9; 48]);
    });
    upload
        .send(Method::PUT, &path, &[], other.as_str().to_owned())
        .await
        .expect_refusal(409, "envelope_exists");
}

#[tokio::test]
async fn refuses_envelopes_that_do_not_fit() {
    let vault = TestVault::new().await;
    let part = vault.world.part(0, 2);
    let answer = answer(&vault.post_open(&part).await.expect(201));
    let authorization = format!("Bearer {}", answer.capability);
    let share = answer.tracks[0].share.0.clone();
    let put = |path: String, text: String, authorization: String| {
        let vault = &vault;
        async move {
            let headers = [("Authorization", authorization.as_str())];
            vault.send(Method::PUT, &path, &headers, text).await
        }
    };
    let path = part.envelope_path(0);
    let good = part.envelope(0, &share).as_str().to_owned();
    put(path.clone(), good.clone(), "Bearer nonsense".into())
        .await
        .expect_refusal(401, "unauthorized");
    let cases = [
        (422, "other_share", part.envelope(0, &[0; 32])),
        (422, "other_track", part.envelope(1, &share)),
        (
            403,
            "other_recipients",
            part.envelope_altered(0, &share, |claims| {
                claims.keys.pop();
            }),
        ),
        (
            422,
            "other_track",
            part.envelope_altered(0, &share, |claims| claims.header_hash = Hash32([0; 32])),
        ),
        (
            422,
            "other_share",
            part.envelope_altered(0, &share, |claims| claims.share_hash = None),
        ),
    ];
    for (status, code, envelope) in cases {
        put(
            path.clone(),
            envelope.as_str().to_owned(),
            authorization.clone(),
        )
        .await
        .expect_refusal(status, code);
    }
    let forged = SigningKey::from_seed(&[99; 32])
        .sign(&part.envelope(0, &share).unverified_claims().unwrap());
    put(
        path.clone(),
        forged.as_str().to_owned(),
        authorization.clone(),
    )
    .await
    .expect_refusal(403, "not_signed");
    let unknown = format!(
        "{}/envelopes/{}",
        part.path(),
        TrackId::from_bytes([88; 16])
    );
    put(unknown, good.clone(), authorization.clone())
        .await
        .expect_refusal(403, "other_capability");
    put(path, good, authorization).await.expect(204);
}

/// Rewrites the first track's header.
fn change_header(part: &mut Part, edit: impl FnOnce(&mut HeaderClaims)) {
    let mut claims = part.headers[0].claims().clone();
    edit(&mut claims);
    part.headers[0] = Header::new(claims).unwrap();
    let track = part.claims.tracks[0].track;
    part.claims.tracks[0] = open_track(&part.headers[0]);
    if part.headers[0].claims().track == track {
        part.claims.tracks[0].track = track;
    }
}

fn write_document(vault: &TestVault, text: &str) {
    // Another modification time, whatever the file system's resolution.
    let file = vault.clinic_file();
    let before = std::fs::metadata(&file).unwrap().modified().unwrap();
    std::fs::write(&file, text).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(before + Duration::from_secs(1))
        .unwrap();
}
