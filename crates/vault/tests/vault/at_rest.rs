//! What lies on the vault's disk: nobody else can read it, and a copy of the database holds no share.

use crate::common::RECORDING;
use crate::common::http::TestVault;
use crate::common::tracks::TrackFile;
use http::Method;
use sealed_visit_protocol::bytes::from_base64url;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

fn all_below(path: &Path) -> Vec<PathBuf> {
    let mut all = vec![path.to_owned()];
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            all.extend(all_below(&entry.unwrap().path()));
        }
    }
    all
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn holds(path: &Path, bytes: &[u8]) -> bool {
    let content = std::fs::read(path).unwrap();
    content.windows(bytes.len()).any(|window| window == bytes)
}

fn database_files(vault: &TestVault) -> Vec<PathBuf> {
    let mut all = all_below(&vault.folder.path().join("data"));
    all.retain(|path| path.to_string_lossy().contains("vault.sqlite"));
    assert!(all.len() >= 2, "database and log");
    all
}

#[tokio::test]
async fn nobody_else_can_read_the_vaults_files() {
    let vault = TestVault::new().await;
    let finished = vault.begin(vault.world.recording(50, 1)).await;
    let track = TrackFile::with_segments(&finished.part, 0, &[1000]);
    finished.upload(0, &track).await;
    finished.finish(&[&track]).await.expect(200);
    let growing = vault.begin(vault.world.part(0, 1)).await;
    let track = TrackFile::with_segments(&growing.part, 0, &[1000]);
    growing.upload(0, &track).await;
    let data = vault.folder.path().join("data");
    let all = all_below(&data);
    assert!(all.len() > 8, "database, share key, staging, tracks");
    for path in &all {
        // Folders inside a closed one need not be closed themselves.
        if path.is_file() || path.parent() != Some(&data) {
            continue;
        }
        assert_eq!(mode(path), 0o700, "{}", path.display());
    }
    for path in all.iter().filter(|path| path.is_file()) {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    assert_eq!(mode(&data), 0o700);
    // What an earlier version left open is closed at the next start.
    for path in all_below(&data) {
        let open = if path.is_dir() { 0o755 } else { 0o644 };
        let is_secret = path.ends_with("share.key");
        if !is_secret {
            std::fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
        }
    }
    let vault = vault.restarted().await;
    assert_eq!(mode(&data), 0o700);
    for path in database_files(&vault) {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_copy_of_the_database_holds_no_share() {
    let vault = TestVault::new().await;
    let upload = vault.begin(vault.world.part(0, 1)).await;
    for path in database_files(&vault) {
        assert!(!holds(&path, upload.share(0)), "{}", path.display());
    }
}

#[tokio::test]
async fn shares_that_an_earlier_version_stored_as_they_are_are_encrypted_at_the_start() {
    let vault = TestVault::new().await;
    let upload = vault.begin(vault.world.part(0, 1)).await;
    let track = TrackFile::with_segments(&upload.part, 0, &[1000]);
    upload.upload(0, &track).await;
    upload.finish(&[&track]).await.expect(200);
    let share = upload.share(0).to_vec();
    // As version 0.1 had it, without secure_delete, and with a stale copy in a freed page.
    let pool = vault.vault.db.pool();
    let mut connection = pool.acquire().await.unwrap();
    for statement in [
        "PRAGMA secure_delete = OFF",
        "CREATE TABLE stale AS SELECT randomblob(32) AS share",
    ] {
        sqlx::query(statement)
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    sqlx::query("UPDATE stale SET share = ?")
        .bind(&share)
        .execute(&mut *connection)
        .await
        .unwrap();
    sqlx::query("UPDATE tracks SET share = ?")
        .bind(&share)
        .execute(&mut *connection)
        .await
        .unwrap();
    sqlx::query("DROP TABLE stale")
        .execute(&mut *connection)
        .await
        .unwrap();
    drop(connection);
    assert!(
        database_files(&vault)
            .iter()
            .any(|path| holds(path, &share))
    );
    let vault = vault.restarted().await;
    for path in database_files(&vault) {
        assert!(!holds(&path, &share), "{}", path.display());
    }
    let path = format!("/v1/recordings/{RECORDING}/open");
    let opened = vault.read(Method::POST, &path).await.expect(200).json();
    let handed = opened["parts"][0]["tracks"][0]["share"].as_str().unwrap();
    assert_eq!(from_base64url(handed).unwrap(), share);
}

#[tokio::test]
async fn does_not_start_without_the_share_key_or_with_one_that_others_can_read() {
    let vault = TestVault::new().await;
    vault.begin(vault.world.part(0, 1)).await;
    let key = vault.folder.path().join("data/share.key");
    assert!(vault.try_restart().await.is_ok());
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let error = vault.try_restart().await.err().unwrap().to_string();
    assert!(error.contains("chmod 600"), "{error}");
    std::fs::remove_file(&key).unwrap();
    let error = vault.try_restart().await.err().unwrap().to_string();
    assert!(error.contains("missing"), "{error}");
    assert!(!key.exists(), "another key opens nothing");
}

/// As on a disk that turned read-only, on every connection.
async fn set_read_only(vault: &TestVault, is_read_only: bool) {
    let mut held = Vec::new();
    for _ in 0..vault.vault.db.pool().options().get_max_connections() {
        let mut connection = vault.vault.db.pool().acquire().await.unwrap();
        let pragma = match is_read_only {
            true => "PRAGMA query_only = ON",
            false => "PRAGMA query_only = OFF",
        };
        sqlx::query(pragma).execute(&mut *connection).await.unwrap();
        held.push(connection);
    }
}

#[tokio::test]
async fn a_database_that_takes_no_rows_is_not_healthy_although_it_answers() {
    let vault = TestVault::new().await;
    let health = async || {
        vault.advance(std::time::Duration::from_secs(6));
        vault.read(Method::GET, "/healthz").await
    };
    health().await.expect(200);
    set_read_only(&vault, true).await;
    health().await.expect_refusal(503, "database_read_only");
    set_read_only(&vault, false).await;
    health().await.expect(200);
}
