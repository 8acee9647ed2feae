//! Uploads that go wrong: chains that break, envelopes that are missing, connections that stall, two writers, and
//! vaults that start again.

use crate::common::http::{TestVault, Upload};
use crate::common::tracks::TrackFile;
use crate::tus::pieces;
use axum::body::Body;
use futures::StreamExt as _;
use http::Method;
use sealed_visit_protocol::bytes::Hash32;
use sealed_visit_protocol::track::{CheckpointClaims, RecordType, write_record};
use std::time::Duration;

async fn with_track<'a>(vault: &'a TestVault, sizes: &[usize]) -> (Upload<'a>, TrackFile) {
    let upload = vault.begin(vault.world.part(0, 1)).await;
    let track = TrackFile::with_segments(&upload.part, 0, sizes);
    (upload, track)
}

fn on_disk(vault: &TestVault, upload: &Upload<'_>) -> Vec<u8> {
    std::fs::read(vault.staging_file(&upload.part, 0)).unwrap()
}

#[tokio::test]
async fn takes_no_byte_before_the_envelope_is_stored() {
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
    upload.create(0).await.expect(201);
    let track = TrackFile::with_segments(&upload.part, 0, &[10]);
    upload
        .patch(0, 0, track.bytes.clone())
        .await
        .expect_refusal(412, "envelope_missing");
    assert_eq!(upload.head(0).await.offset(), 0);
    upload.put_envelope(0).await.expect(204);
    upload.upload(0, &track).await;
}

#[tokio::test]
async fn bytes_that_break_the_chain_are_refused_and_the_verified_ones_kept() {
    type Alter = fn(&mut CheckpointClaims);
    let cases: [(&str, Alter); 6] = [
        ("chain_broken", |claims| claims.index += 1),
        ("chain_broken", |claims| claims.end += 1),
        ("chain_broken", |claims| claims.head = Hash32([0; 32])),
        ("chain_broken", |claims| claims.media_end_us = 0),
        ("chain_broken", |claims| {
            claims.track = sealed_visit_protocol::TrackId::from_bytes([88; 16]);
        }),
        ("checkpoint_refused", |claims| claims.v = 2),
    ];
    for (code, alter) in cases {
        for piece in [13, 1 << 20] {
            let vault = TestVault::new().await;
            let (upload, mut track) = with_track(&vault, &[100, 200]).await;
            let good = track.clone();
            track.push_altered(&[7; 300], alter);
            track.push(&[8; 100]);
            let body = Body::from_stream(pieces(&track.bytes, piece));
            let reply = upload.patch(0, 0, body).await;
            reply.expect_refusal(422, code);
            assert_eq!(upload.head(0).await.offset(), good.len());
            assert_eq!(on_disk(&vault, &upload), good.bytes);
            // The upload goes on from there.
            let mut right = good.clone();
            right.push(&[9; 50]);
            upload
                .patch(0, good.len(), right.bytes[good.bytes.len()..].to_vec())
                .await
                .expect(204);
            upload.finish(&[&right]).await.expect(200);
        }
    }
}

#[tokio::test]
async fn with_a_flipped_bit_anywhere_nothing_counts_as_recorded() {
    let vault = TestVault::new().await;
    let (mut upload, mut track) = with_track(&vault, &[40]).await;
    let mut refused = 0;
    let positions = (0..track.bytes.len()).step_by(3);
    let tried = positions.len();
    for (number, position) in positions.enumerate() {
        // Of one part only so many uploads may be terminated.
        if number > 0 && number % 100 == 0 {
            let part = vault.world.recording((number / 100) as u8 + 100, 1);
            upload = vault.begin(part).await;
            track = TrackFile::with_segments(&upload.part, 0, &[40]);
        }
        let mut bytes = track.bytes.clone();
        bytes[position] ^= 0x10;
        let reply = upload.patch(0, 0, bytes).await;
        // A flipped length may promise more bytes than there are: then the record is waited for, not verified.
        assert!(
            [204, 422].contains(&reply.status.as_u16()),
            "byte {position}"
        );
        refused += usize::from(reply.status == 422);
        // Termination says whether a segment was verified; then the next one starts from nothing.
        upload
            .send(
                Method::DELETE,
                &upload.part.upload_path(0),
                &[],
                Body::empty(),
            )
            .await
            .expect(204);
        upload.create(0).await.expect(201);
    }
    assert!(refused > tried * 9 / 10, "{refused} of {tried}");
    upload.upload(0, &track).await;
    upload.finish(&[&track]).await.expect(200);
}

#[tokio::test]
async fn refuses_what_is_no_track_or_another_track() {
    let vault = TestVault::new().await;
    let upload = vault.begin(vault.world.part(0, 2)).await;
    let other = TrackFile::with_segments(&upload.part, 1, &[10]);
    upload
        .patch(0, 0, other.bytes.clone())
        .await
        .expect_refusal(422, "other_header");
    upload
        .patch(0, 0, "not a track file at all")
        .await
        .expect_refusal(422, "not_a_track");
    let mut track = TrackFile::with_segments(&upload.part, 0, &[10]);
    let good = track.len();
    // A second segment where a checkpoint must stand.
    write_record(&mut track.bytes, RecordType::Segment, b"a").unwrap();
    write_record(&mut track.bytes, RecordType::Segment, b"b").unwrap();
    upload
        .patch(0, 0, track.bytes.clone())
        .await
        .expect_refusal(422, "track_malformed");
    assert_eq!(upload.head(0).await.offset(), good);
}

#[tokio::test]
async fn a_chain_break_after_an_acknowledged_tail_goes_back_to_the_last_checkpoint() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[100, 200]).await;
    let within = track.ends[1] + 50;
    upload
        .patch(0, 0, track.bytes[..within as usize].to_vec())
        .await
        .expect(204);
    assert_eq!(upload.head(0).await.offset(), within);
    upload
        .patch(0, within, vec![0; 2000])
        .await
        .expect_refusal(422, "track_malformed");
    assert_eq!(upload.head(0).await.offset(), track.ends[1]);
    upload
        .patch(
            0,
            track.ends[1],
            track.bytes[track.ends[1] as usize..].to_vec(),
        )
        .await
        .expect(204);
    upload.finish(&[&track]).await.expect(200);
}

#[tokio::test]
async fn what_arrived_before_the_connection_broke_is_kept() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[1000, 1000]).await;
    let sent = track.ends[1] + 300;
    let broken = pieces(&track.bytes[..sent as usize], 100)
        .chain(futures::stream::iter([Err(std::io::Error::other("gone"))]));
    upload
        .patch(0, 0, Body::from_stream(broken))
        .await
        .expect_refusal(400, "body_broken");
    assert_eq!(upload.head(0).await.offset(), sent);
    let vault = vault.restarted().await;
    let part = vault.world.part(0, 1);
    assert_eq!(
        std::fs::read(vault.staging_file(&part, 0)).unwrap(),
        track.bytes[..sent as usize]
    );
}

#[tokio::test]
async fn a_second_patch_is_locked_out_while_the_first_is_alive() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[1000, 1000]).await;
    let (sender, body) = slow_body();
    let (first, second) = tokio::join!(upload.patch(0, 0, body), async {
        send(&sender, &track.bytes[..100]).await;
        let locked = upload.patch(0, 0, track.bytes.clone()).await;
        // HEAD answers meanwhile, with what was acknowledged.
        let head = upload.head(0).await.expect(200);
        assert_eq!(head.offset(), 0);
        send(&sender, &track.bytes[100..]).await;
        drop(sender);
        locked
    });
    assert_eq!(second.header("Retry-After"), Some("1"));
    second.expect_refusal(423, "locked");
    assert_eq!(first.expect(204).offset(), track.len());
}

#[tokio::test]
async fn a_newer_request_takes_over_from_a_stalled_patch() {
    let vault = TestVault::with_config(|config| {
        config.stalled_after = Duration::from_millis(100);
    })
    .await;
    let (upload, track) = with_track(&vault, &[1000, 1000]).await;
    let (sender, body) = slow_body();
    let (first, ()) = tokio::join!(upload.patch(0, 0, body), async {
        send(&sender, &track.bytes[..100]).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        // What the stalled one brought is there, and durable.
        assert_eq!(upload.head(0).await.expect(200).offset(), 100);
        let reply = upload
            .patch(0, 100, track.bytes[100..].to_vec())
            .await
            .expect(204);
        assert_eq!(reply.offset(), track.len());
        // The connection of the first one lives on: what it brings now is lost on nobody.
        let _ = sender.try_send(Ok(vec![0; 100]));
    });
    first.expect_refusal(423, "locked");
    assert_eq!(on_disk(&vault, &upload), track.bytes);
    upload.finish(&[&track]).await.expect(200);
}

#[tokio::test]
async fn a_patch_that_brings_nothing_for_too_long_is_ended() {
    let vault = TestVault::with_config(|config| {
        config.idle_timeout = Duration::from_millis(100);
    })
    .await;
    let (upload, track) = with_track(&vault, &[1000]).await;
    let (sender, body) = slow_body();
    send(&sender, &track.bytes[..100]).await;
    upload.patch(0, 0, body).await.expect_refusal(408, "idle");
    assert_eq!(upload.head(0).await.offset(), 100);
}

#[tokio::test]
async fn only_one_of_many_simultaneous_patches_writes() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[5000, 5000]).await;
    let patches = (0..8).map(|_| upload.patch(0, 0, Body::from_stream(pieces(&track.bytes, 500))));
    let replies = futures::future::join_all(patches).await;
    let taken = replies.iter().filter(|reply| reply.status == 204).count();
    assert_eq!(taken, 1);
    for reply in replies.iter().filter(|reply| reply.status != 204) {
        assert!([409, 423].contains(&reply.status.as_u16()), "{reply:?}");
    }
    assert_eq!(on_disk(&vault, &upload), track.bytes);
}

#[tokio::test]
async fn after_a_restart_an_upload_goes_on_where_it_was_acknowledged() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[100, 200, 300]).await;
    for end in 0..track.bytes.len() {
        if end % 90 != 0 {
            continue;
        }
        let at = upload.head(0).await.offset() as usize;
        upload
            .patch(0, at as u64, track.bytes[at..end].to_vec())
            .await
            .expect(204);
    }
    let acknowledged = upload.head(0).await.offset();
    let authorization = upload.authorization.clone();
    let vault = vault.restarted().await;
    let part = vault.world.part(0, 1);
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Tus-Resumable", "1.0.0"),
    ];
    let head = vault
        .send(Method::HEAD, &part.upload_path(0), &headers, Body::empty())
        .await;
    assert_eq!(head.expect(200).offset(), acknowledged);
}

#[tokio::test]
async fn a_tail_that_a_crash_spoiled_is_dropped_at_the_restart() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[100, 200]).await;
    let half = track.ends[1];
    upload
        .patch(0, 0, track.bytes[..half as usize].to_vec())
        .await
        .expect(204);
    let authorization = upload.authorization.clone();
    let file = vault.staging_file(&upload.part, 0);
    // As after a power cut in the middle of a write: the length is there, the bytes are not.
    let mut spoiled = track.bytes[..half as usize].to_vec();
    spoiled.extend_from_slice(&[0; 4096]);
    std::fs::write(&file, spoiled).unwrap();
    let vault = vault.restarted().await;
    let part = vault.world.part(0, 1);
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Tus-Resumable", "1.0.0"),
    ];
    let head = vault
        .send(Method::HEAD, &part.upload_path(0), &headers, Body::empty())
        .await;
    assert_eq!(head.expect(200).offset(), half);
    assert_eq!(std::fs::read(&file).unwrap(), track.bytes[..half as usize]);
}

/// A body that the test feeds.
fn slow_body() -> (
    tokio::sync::mpsc::Sender<Result<Vec<u8>, std::io::Error>>,
    Body,
) {
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    let stream = futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    (sender, Body::from_stream(stream))
}

/// Sends a piece and gives the vault time to take it.
async fn send(sender: &tokio::sync::mpsc::Sender<Result<Vec<u8>, std::io::Error>>, bytes: &[u8]) {
    sender.send(Ok(bytes.to_vec())).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn while_an_upload_is_verified_after_a_restart_no_offset_is_made_up() {
    let vault = TestVault::new().await;
    let (upload, track) = with_track(&vault, &[100]).await;
    upload.upload(0, &track).await;
    let authorization = upload.authorization.clone();
    let vault = vault.restarted().await;
    let part = vault.world.part(0, 1);
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Tus-Resumable", "1.0.0"),
    ];
    let path = part.upload_path(0);
    let verifying = vault.vault.staging.slot(part.track(0));
    let verifying = verifying.take(Duration::MAX).await.unwrap();
    let reply = vault
        .send(Method::HEAD, &path, &headers, Body::empty())
        .await;
    assert_eq!(reply.header("Retry-After"), Some("1"));
    assert_eq!(reply.header("Upload-Offset"), None);
    reply.expect_refusal(503, "recovering");
    drop(verifying);
    // The vault does it by itself, before anybody asks.
    vault.vault.clone().recover_uploads().await;
    let slot = vault.vault.staging.slot(part.track(0));
    assert_eq!(slot.durable(), Some(track.len()));
}
