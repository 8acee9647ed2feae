//! Devices that obeyed the clinic's wipe order.

use crate::common::http::TestVault;
use crate::common::tracks::TrackFile;
use http::Method;
use sealed_visit_protocol::RecordingId;
use sealed_visit_protocol::recording::{WipeClaims, WipeReason};

#[tokio::test]
async fn an_obeyed_order_is_logged_once_and_takes_nothing_from_the_vault() {
    let vault = TestVault::new().await;
    let upload = vault.begin(vault.world.part(0, 1)).await;
    let track = TrackFile::with_segments(&upload.part, 0, &[10, 20]);
    upload.upload(0, &track).await;
    let recording = upload.part.claims.recording;
    let claims = WipeClaims::new(vec![recording], WipeReason::DeviceWithdrawn, 7);
    let order = vault.world.root.sign(&claims);
    let path = format!("{}/wiped", upload.part.path());
    for _ in 0..2 {
        let body = order.as_str().to_owned();
        upload
            .send(Method::POST, &path, &[], body)
            .await
            .expect(204);
    }
    let log = vault
        .read(Method::GET, "/v1/audit")
        .await
        .expect(200)
        .json();
    let entries: Vec<_> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["entry"].as_str().unwrap().to_owned())
        .filter(|entry| entry.contains("\"spool_wiped\""))
        .collect();
    assert_eq!(entries.len(), 1);
    assert!(entries[0].contains(&order.hash().to_string()));
    upload.finish(&[&track]).await.expect(200);
}

#[tokio::test]
async fn an_order_of_somebody_else_or_for_another_recording_is_refused() {
    let vault = TestVault::new().await;
    let upload = vault.begin(vault.world.part(0, 1)).await;
    let recording = upload.part.claims.recording;
    let path = format!("{}/wiped", upload.part.path());
    let named = |id| WipeClaims::new(vec![id], WipeReason::DeletionGranted, 7);
    let by_another = vault.world.vault.sign(&named(recording));
    let body = by_another.as_str().to_owned();
    let reply = upload.send(Method::POST, &path, &[], body).await;
    assert!((400..500).contains(&reply.status.as_u16()));
    let other = vault
        .world
        .root
        .sign(&named(RecordingId::from_bytes([9; 16])));
    let body = other.as_str().to_owned();
    upload
        .send(Method::POST, &path, &[], body)
        .await
        .expect_refusal(403, "other_recording");
    let order = vault.world.root.sign(&named(recording));
    vault
        .send(Method::POST, &path, &[], order.as_str().to_owned())
        .await
        .expect_refusal(401, "unauthorized");
}
