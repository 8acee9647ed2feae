//! Listing, documents, opening with its audit row, ranged download, and the audit log.

use crate::common::http::{Reply, TestVault, Upload};
use crate::common::tracks::TrackFile;
use crate::common::{RECORDING, START_MS};
use axum::body::Body;
use http::Method;
use sealed_visit_protocol::bytes::to_base64url;
use sealed_visit_protocol::recording::AuditHeadClaims;
use sealed_visit_protocol::{Hash32, Jws};
use sealed_visit_vault::audit::{Action, Actor, AuditError, Chain, Entry, StoredEntry};
use sealed_visit_vault::finish::close_expired;
use std::time::Duration;

async fn finished(vault: &TestVault) -> (Upload<'_>, TrackFile) {
    let upload = vault.begin(vault.world.part(0, 1)).await;
    let track = TrackFile::with_segments(&upload.part, 0, &[100, 5000, 1]);
    upload.upload(0, &track).await;
    upload.finish(&[&track]).await.expect(200);
    (upload, track)
}

async fn opened(vault: &TestVault) -> serde_json::Value {
    let path = format!("/v1/recordings/{RECORDING}/open");
    vault.read(Method::POST, &path).await.expect(200).json()
}

/// Fetches a URL relative to the vault.
async fn fetch(vault: &TestVault, url: &str, headers: &[(&str, &str)]) -> Reply {
    let path = format!("/{url}");
    vault.send(Method::GET, &path, headers, Body::empty()).await
}

async fn log(vault: &TestVault) -> Vec<StoredEntry> {
    let log = vault
        .read(Method::GET, "/v1/audit")
        .await
        .expect(200)
        .json();
    serde_json::from_value(log["entries"].clone()).unwrap()
}

#[tokio::test]
async fn only_readers_read() {
    let vault = TestVault::new().await;
    let (upload, _) = finished(&vault).await;
    for (method, path) in [
        (Method::GET, "/v1/recordings".to_owned()),
        (Method::GET, format!("/v1/recordings/{RECORDING}")),
        (Method::POST, format!("/v1/recordings/{RECORDING}/open")),
        (Method::GET, "/v1/audit".to_owned()),
    ] {
        let none: &[(&str, &str)] = &[];
        let wrong: &[(&str, &str)] = &[("Authorization", "Bearer another-token-of-20-chars")];
        // The recorder's capability is no reader's token.
        let recorder: &[(&str, &str)] = &[("Authorization", upload.authorization.as_str())];
        for headers in [none, wrong, recorder] {
            vault
                .send(method.clone(), &path, headers, Body::empty())
                .await
                .expect_refusal(401, "unauthorized");
        }
    }
}

#[tokio::test]
async fn lists_recordings_newest_first_with_their_states() {
    let vault = TestVault::new().await;
    finished(&vault).await;
    vault.advance(Duration::from_secs(1));
    let open = vault.begin(vault.world.recording(50, 1)).await;
    let track = TrackFile::with_segments(&open.part, 0, &[10]);
    open.upload(0, &track).await;
    let list = vault.read(Method::GET, "/v1/recordings").await.expect(200);
    assert_eq!(list.header("cache-control"), Some("no-store"));
    let list = list.json();
    let list = list["recordings"].as_array().unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list[0]["recording"], open.part.claims.recording.to_string());
    assert_eq!(list[0]["state"], "open");
    assert_eq!(list[0]["size_bytes"], track.len());
    assert_eq!(list[0]["ended_ms"], serde_json::Value::Null);
    assert_eq!(list[1]["recording"], RECORDING.to_string());
    assert_eq!(list[1]["state"], "finished");
    assert_eq!(list[1]["opened_ms"], START_MS);
    assert_eq!(list[1]["ended_ms"], START_MS);
    assert_eq!(list[1]["parts"][0]["tracks"][0]["segments"], 3);
    let path = format!("/v1/recordings?before_ms={}&limit=5", START_MS + 1);
    let older = vault.read(Method::GET, &path).await.expect(200).json();
    assert_eq!(older["recordings"].as_array().unwrap().len(), 1);
    assert_eq!(older["recordings"][0]["state"], "finished");
    vault.advance(Duration::from_secs(24 * 3600));
    close_expired(&vault.vault).await;
    let list = vault
        .read(Method::GET, "/v1/recordings")
        .await
        .expect(200)
        .json();
    assert_eq!(list["recordings"][0]["state"], "unfinished");
    vault
        .read(Method::GET, "/v1/recordings?limit=many")
        .await
        .expect_refusal(400, "malformed");
}

#[tokio::test]
async fn pages_lead_through_all_recordings_also_those_of_one_millisecond() {
    let vault = TestVault::new().await;
    for number in 1..=7 {
        if number == 4 {
            vault.advance(Duration::from_secs(1));
        }
        vault
            .post_open(&vault.world.recording(number, 1))
            .await
            .expect(201);
    }
    for limit in [1, 2, 3, 7, 100] {
        let mut seen = std::collections::BTreeSet::new();
        let mut times = Vec::new();
        let mut next = None;
        loop {
            let after = next.map_or(String::new(), |next: String| format!("&after={next}"));
            let path = format!("/v1/recordings?limit={limit}{after}");
            let page = vault.read(Method::GET, &path).await.expect(200).json();
            for recording in page["recordings"].as_array().unwrap() {
                assert!(seen.insert(recording["recording"].as_str().unwrap().to_owned()));
                times.push(recording["opened_ms"].as_u64().unwrap());
            }
            next = page["next"].as_str().map(str::to_owned);
            if next.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 7, "pages of {limit}");
        assert!(times.is_sorted_by(|one, other| one >= other));
    }
    vault
        .read(Method::GET, "/v1/recordings?after=yesterday")
        .await
        .expect_refusal(400, "malformed");
}

#[tokio::test]
async fn gives_the_documents_of_a_recording_and_never_its_share() {
    let vault = TestVault::new().await;
    let (upload, track) = finished(&vault).await;
    let path = format!("/v1/recordings/{RECORDING}");
    let reply = vault.read(Method::GET, &path).await.expect(200);
    let part = reply.json()["parts"][0].clone();
    assert_eq!(part["open"], upload.part.open().as_str());
    assert_eq!(part["manifest"], upload.part.manifest(&[&track]).as_str());
    assert_eq!(part["closing"], serde_json::Value::Null);
    assert!(part["receipt"].as_str().is_some());
    let envelope = upload.part.envelope(0, upload.share(0));
    assert_eq!(
        part["tracks"][0]["envelopes"],
        serde_json::json!([envelope.as_str()])
    );
    assert_eq!(
        part["tracks"][0]["header"],
        to_base64url(upload.part.headers[0].bytes())
    );
    let text = String::from_utf8(reply.body).unwrap();
    assert!(!text.contains(&to_base64url(upload.share(0))));
    let unknown = format!("/v1/recordings/{}", to_base64url(&[88; 16]));
    vault
        .read(Method::GET, &unknown)
        .await
        .expect_refusal(404, "not_found");
    vault
        .read(Method::GET, "/v1/recordings/nonsense")
        .await
        .expect_refusal(404, "not_found");
}

#[tokio::test]
async fn opening_gives_shares_and_urls_and_leaves_a_trace() {
    let vault = TestVault::new().await;
    let (upload, track) = finished(&vault).await;
    let before = log(&vault).await.len();
    let opened = opened(&vault).await;
    assert_eq!(opened["expires_ms"], START_MS + 15 * 60 * 1000);
    let given = &opened["parts"][0]["tracks"][0];
    assert_eq!(given["share"], to_base64url(upload.share(0)));
    assert_eq!(given["size_bytes"], track.len());
    let reply = fetch(&vault, given["url"].as_str().unwrap(), &[])
        .await
        .expect(200);
    assert_eq!(reply.body, track.bytes);
    let log = log(&vault).await;
    assert_eq!(log.len(), before + 1);
    let last: Entry = serde_json::from_str(&log.last().unwrap().entry).unwrap();
    assert_eq!(last.action, Action::Opened);
    assert_eq!(
        last.actor,
        Actor::Reader {
            label: "clinic".into()
        }
    );
    assert_eq!(last.recording, Some(RECORDING));
}

#[tokio::test]
async fn a_recording_that_still_goes_on_cannot_be_opened() {
    let vault = TestVault::new().await;
    vault.begin(vault.world.part(0, 1)).await;
    let path = format!("/v1/recordings/{RECORDING}/open");
    vault
        .read(Method::POST, &path)
        .await
        .expect_refusal(409, "recording_open");
}

#[tokio::test]
async fn parts_that_have_ended_can_be_opened_while_another_goes_on() {
    let vault = TestVault::new().await;
    finished(&vault).await;
    vault.begin(vault.world.part(1, 1)).await;
    let opened = opened(&vault).await;
    assert_eq!(opened["parts"].as_array().unwrap().len(), 1);
    assert_eq!(opened["parts"][0]["part"], 0);
}

#[tokio::test]
async fn a_track_that_held_nothing_has_no_url() {
    let vault = TestVault::new().await;
    let upload = vault.begin(vault.world.part(0, 2)).await;
    let track = TrackFile::with_segments(&upload.part, 0, &[10]);
    upload.upload(0, &track).await;
    upload.close("").await.expect(200);
    let opened = opened(&vault).await;
    assert!(opened["parts"][0]["tracks"][0]["url"].is_string());
    assert!(opened["parts"][0]["tracks"][1]["url"].is_null());
    assert!(opened["parts"][0]["closing"].is_string());
}

#[tokio::test]
async fn serves_ranges() {
    let vault = TestVault::new().await;
    let (_, track) = finished(&vault).await;
    let opened = opened(&vault).await;
    let url = opened["parts"][0]["tracks"][0]["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let size = track.bytes.len();
    let whole = fetch(&vault, &url, &[]).await.expect(200);
    assert_eq!(whole.header("Accept-Ranges"), Some("bytes"));
    assert_eq!(
        whole.header("Content-Length"),
        Some(size.to_string().as_str())
    );
    assert_eq!(
        whole.header("Content-Type"),
        Some("application/vnd.sealed-visit.track")
    );
    assert_eq!(whole.header("Cache-Control"), Some("private, no-store"));
    let etag = whole.header("ETag").unwrap().to_owned();
    let last = size - 1;
    for (range, start, end) in [
        ("bytes=0-0".to_owned(), 0, 1),
        ("bytes=10-99".to_owned(), 10, 100),
        (format!("bytes={last}-"), last, size),
        ("bytes=-7".to_owned(), size - 7, size),
        (format!("bytes=5-{}", size * 2), 5, size),
    ] {
        let reply = fetch(&vault, &url, &[("Range", &range)]).await.expect(206);
        assert_eq!(reply.body, track.bytes[start..end], "{range}");
        let expected = format!("bytes {start}-{}/{size}", end - 1);
        assert_eq!(reply.header("Content-Range"), Some(expected.as_str()));
        assert_eq!(
            reply.header("Content-Length"),
            Some((end - start).to_string().as_str())
        );
        assert_eq!(reply.header("ETag"), Some(etag.as_str()));
    }
    let beyond = format!("bytes={size}-");
    let reply = fetch(&vault, &url, &[("Range", &beyond)]).await;
    assert_eq!(
        reply.header("Content-Range"),
        Some(format!("bytes */{size}").as_str())
    );
    reply.expect_refusal(416, "range");
    let range = ("Range", "bytes=0-9");
    let same = fetch(&vault, &url, &[range, ("If-Range", &etag)])
        .await
        .expect(206);
    assert_eq!(same.body.len(), 10);
    for other in ["\"other\"", "Fri, 29 May 2026 20:26:40 GMT"] {
        let reply = fetch(&vault, &url, &[range, ("If-Range", other)])
            .await
            .expect(200);
        assert_eq!(reply.body.len(), size);
    }
    let head = vault
        .send(Method::HEAD, &format!("/{url}"), &[range], Body::empty())
        .await
        .expect(206);
    assert!(head.body.is_empty());
    assert_eq!(head.header("Content-Length"), Some("10"));
}

#[tokio::test]
async fn a_download_url_is_good_for_one_track_and_a_short_time() {
    let vault = TestVault::new().await;
    finished(&vault).await;
    let opened = opened(&vault).await;
    let url = opened["parts"][0]["tracks"][0]["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let bare = url.split('?').next().unwrap();
    fetch(&vault, bare, &[])
        .await
        .expect_refusal(400, "malformed");
    let other = url.replacen("/0/", "/1/", 1);
    fetch(&vault, &other, &[])
        .await
        .expect_refusal(403, "url_refused");
    let longer = url.replacen("expires_ms=1", "expires_ms=2", 1);
    fetch(&vault, &longer, &[])
        .await
        .expect_refusal(403, "url_refused");
    vault.advance(Duration::from_secs(15 * 60 - 1));
    fetch(&vault, &url, &[]).await.expect(200);
    vault.advance(Duration::from_secs(1));
    fetch(&vault, &url, &[])
        .await
        .expect_refusal(403, "url_refused");
}

#[tokio::test]
async fn the_audit_log_is_a_chain_that_shows_every_change() {
    let vault = TestVault::new().await;
    finished(&vault).await;
    opened(&vault).await;
    let log = log(&vault).await;
    let actions: Vec<_> = log
        .iter()
        .map(|row| serde_json::from_str::<Entry>(&row.entry).unwrap().action)
        .collect();
    assert_eq!(
        actions,
        [Action::PartOpened, Action::PartFinished, Action::Opened]
    );
    let mut chain = Chain::default();
    for row in &log {
        chain.follow(row).unwrap();
    }
    let follow = |rows: &[StoredEntry]| {
        let mut chain = Chain::default();
        rows.iter()
            .try_for_each(|row| chain.follow(row).map(|_| ()))
    };
    let mut changed = log.clone();
    changed[1].entry = changed[1].entry.replace("part_finished", "part_opened");
    assert_eq!(follow(&changed), Err(AuditError::Changed(1)));
    let without = [log[0].clone(), log[2].clone()];
    assert_eq!(follow(&without), Err(AuditError::Broken(1)));
    let swapped = [log[1].clone(), log[0].clone()];
    assert_eq!(follow(&swapped), Err(AuditError::Broken(0)));
    // The second page goes on where the first ended.
    let page = vault
        .read(Method::GET, "/v1/audit?from=2&limit=1")
        .await
        .expect(200)
        .json();
    assert_eq!(page["entries"][0]["hash"], log[2].hash.to_string());
}

#[tokio::test]
async fn the_audit_log_cannot_be_changed_through_the_database_and_a_changed_one_stops_the_start() {
    let vault = TestVault::new().await;
    finished(&vault).await;
    let pool = vault.vault.db.pool().clone();
    for change in [
        "UPDATE audit SET entry = '{}' WHERE seq = 0",
        "DELETE FROM audit",
    ] {
        let refused = sqlx::query(change).execute(&pool).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
    // An operator who goes past that leaves a chain that does not hold.
    sqlx::query("DROP TRIGGER audit_is_not_updated")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query(
        "UPDATE audit SET entry = REPLACE(entry, 'part_opened', 'part_finished') WHERE seq = 0",
    )
    .execute(&pool)
    .await
    .unwrap();
    let error = sealed_visit_vault::audit::verify(&vault.vault.db, Chain::default())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), AuditError::Changed(0).to_string());
}

#[tokio::test]
async fn an_entry_cut_out_of_a_recomputed_log_is_noticed_by_heads_that_left_the_vault() {
    let vault = TestVault::new().await;
    let key = vault.world.vault.public();
    let upload = vault.begin(vault.world.part(0, 1)).await;
    let opened = upload.answer.audit_head.clone().unwrap();
    let track = TrackFile::with_segments(&upload.part, 0, &[100]);
    upload.upload(0, &track).await;
    let receipt = upload.receipt(&upload.finish(&[&track]).await.expect(200));
    let path = format!("/v1/recordings/{RECORDING}/open");
    let read = vault.read(Method::POST, &path).await.expect(200).json();
    let read = Jws::from_text(read["audit_head"].as_str().unwrap());
    let withdrawal =
        vault
            .world
            .withdrawal(&upload.part.claims.request, &vault.world.patient, None);
    let body = withdrawal.as_str().to_owned();
    let told = vault.send(Method::POST, "/v1/withdrawals", &[], body).await;
    let told = Jws::from_text(told.expect(200).json()["audit_head"].as_str().unwrap());
    let asked = vault
        .read(Method::GET, "/v1/audit")
        .await
        .expect(200)
        .json();
    let asked = Jws::from_text(asked["audit_head"].as_str().unwrap());
    let heads = [opened, receipt.audit_head.unwrap(), read, told, asked];
    let sizes = heads
        .each_ref()
        .map(|head: &Jws<AuditHeadClaims>| head.verify(&key).unwrap().size);
    assert_eq!(sizes, [1, 2, 3, 4, 4]);
    let through = |heads: &[Jws<AuditHeadClaims>]| Chain::through(heads, &key).unwrap();
    let db = &vault.vault.db;
    let chain = sealed_visit_vault::audit::verify(db, through(&heads))
        .await
        .unwrap();
    assert_eq!(chain.len(), 4);

    // The operator takes out that somebody looked, and computes the chain again.
    let mut entries = log(&vault).await;
    let cut = entries.remove(2);
    assert!(cut.entry.contains("\"opened\""));
    for statement in [
        "DROP TRIGGER audit_is_not_updated",
        "DROP TRIGGER audit_is_not_deleted",
        "DELETE FROM audit",
    ] {
        sqlx::query(statement).execute(db.pool()).await.unwrap();
    }
    let mut previous = Hash32([0; 32]);
    for (seq, stored) in entries.into_iter().enumerate() {
        let mut entry: Entry = serde_json::from_str(&stored.entry).unwrap();
        (entry.seq, entry.previous) = (seq as u64, previous);
        let text = serde_json::to_string(&entry).unwrap();
        previous = StoredEntry::hash_of(&text);
        sqlx::query("INSERT INTO audit (seq, entry, hash) VALUES (?, ?, ?)")
            .bind(seq as i64)
            .bind(&text)
            .bind(previous.to_string())
            .execute(db.pool())
            .await
            .unwrap();
    }
    // By itself the chain is fine.
    let verify = |heads| sealed_visit_vault::audit::verify(db, through(heads));
    assert_eq!(verify(&heads[..2]).await.unwrap().len(), 3);
    let rewritten = AuditError::Rewritten(3).to_string();
    assert_eq!(
        verify(&heads[2..3]).await.unwrap_err().to_string(),
        rewritten
    );
    let shorter = AuditError::Shorter { signed: 4, got: 3 }.to_string();
    assert_eq!(verify(&heads[3..4]).await.unwrap_err().to_string(), shorter);
}
