//! One pass cannot fill the vault, and no real visit meets the bounds.

use crate::common::http::TestVault;
use crate::common::tracks::TrackFile;
use crate::common::{RECORDING, VISIT};
use http::Method;
use sealed_visit_protocol::RecordingId;
use sealed_visit_vault::quota::Quota;

#[tokio::test]
async fn one_pass_cannot_open_recordings_without_end() {
    let vault = TestVault::new().await;
    let most = Quota::PASS.recordings as u8;
    let request = vault.world.request(|_| {});
    let part = |number: u8| {
        vault
            .world
            .part_under(&request, RecordingId::from_bytes([number; 16]), 0, 1)
    };
    for number in 0..most {
        vault.post_open(&part(number)).await.expect(201);
    }
    vault
        .post_open(&part(most))
        .await
        .expect_refusal(429, "quota_parts");
    // A recorder that comes back after a crash goes on with its recording all the same.
    let next = vault
        .world
        .part_under(&request, RecordingId::from_bytes([0; 16]), 1, 1);
    vault.post_open(&next).await.expect(201);
    // And what is open already gets its capability.
    vault.post_open(&part(3)).await.expect(200);
}

#[tokio::test]
async fn parts_are_bounded_too_for_a_pass_and_for_a_visit() {
    let few = |config: &mut sealed_visit_vault::Config| config.pass_quota.parts = 3;
    let vault = TestVault::with_config(few).await;
    for number in 0..3 {
        vault
            .post_open(&vault.world.part(number, 1))
            .await
            .expect(201);
    }
    vault
        .post_open(&vault.world.part(3, 1))
        .await
        .expect_refusal(429, "quota_parts");
    let few = |config: &mut sealed_visit_vault::Config| config.visit_quota.parts = 1;
    let vault = TestVault::with_config(few).await;
    vault.post_open(&vault.world.part(0, 1)).await.expect(201);
    vault
        .post_open(&vault.world.part(1, 1))
        .await
        .expect_refusal(429, "quota_parts");
    assert_eq!(VISIT, vault.world.part(0, 1).claims.visit);
}

#[tokio::test]
async fn bytes_are_bounded_over_all_parts_of_a_pass_and_what_was_taken_stays() {
    let small = |config: &mut sealed_visit_vault::Config| config.pass_quota.bytes = 40_000;
    let vault = TestVault::with_config(small).await;
    let first = vault.begin(vault.world.part(0, 1)).await;
    let track = TrackFile::with_segments(&first.part, 0, &[20_000]);
    first.upload(0, &track).await;
    first.finish(&[&track]).await.expect(200);
    let second = vault.begin(vault.world.part(1, 1)).await;
    let long = TrackFile::with_segments(&second.part, 0, &[5_000, 30_000]);
    let half = long.ends[1] as usize;
    second
        .patch(0, 0, long.bytes[..half].to_vec())
        .await
        .expect(204);
    second
        .patch(0, half as u64, long.bytes[half..].to_vec())
        .await
        .expect_refusal(413, "quota_bytes");
    // Also where the length of the body is not told.
    let pieces = long.bytes[half..]
        .chunks(1000)
        .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()));
    let stream = axum::body::Body::from_stream(futures::stream::iter(pieces.collect::<Vec<_>>()));
    second
        .patch(0, half as u64, stream)
        .await
        .expect_refusal(413, "quota_bytes");
    second.close("").await.expect(200);
    let path = format!("/v1/recordings/{RECORDING}");
    let details = vault.read(Method::GET, &path).await.expect(200).json();
    let size = details["summary"]["size_bytes"].as_u64().unwrap();
    assert_eq!(size, track.len() + half as u64);
}
