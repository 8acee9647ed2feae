//! What a book in a file costs, keeps and forgets.

use super::tests::{NOON_MS, counting, credential_of, redeem_as, visit};
use super::*;
use crate::files;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Row as _};
use std::path::PathBuf;
use tempfile::TempDir;

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn open(&self) -> Book {
        self.try_open().await.unwrap()
    }

    async fn try_open(&self) -> anyhow::Result<Book> {
        let key = SigningKey::from_seed(&[9; 32]);
        Book::open(&self.path("visits.json"), key, counting).await
    }

    /// Another program's look at the database.
    async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path("visits.sqlite"));
        options.connect().await.unwrap()
    }
}

async fn number(connection: &mut SqliteConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query)
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_unknown_visit_or_secret_writes_nothing_and_waits_for_no_lock() {
    let place = Place::new();
    let book = place.open().await;
    let links = book.create(&visit(None)).await.unwrap();
    let mut other = place.connect().await;
    let version = number(&mut other, "PRAGMA data_version").await;
    let wal = std::fs::metadata(place.path("visits.sqlite-wal"))
        .unwrap()
        .len();
    // Somebody else holds the write lock all the time: what needed it would fail.
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    let unknown = VisitId::from_bytes([0xee; 16]);
    for _ in 0..100 {
        let refused = redeem_as(&book, unknown, "guess", None, 1, NOON_MS).await;
        assert_eq!(refused.err(), Some(BookError::UnknownVisit));
        let refused = redeem_as(&book, links.visit, "guess", None, 1, NOON_MS).await;
        assert_eq!(refused.err(), Some(BookError::UnknownLink));
        let refused = book.lock(links.visit, "guess", true, NOON_MS).await;
        assert_eq!(refused.err(), Some(BookError::UnknownCredential));
        let refused = book.recorder_link(unknown, "guess", NOON_MS).await;
        assert_eq!(refused.err(), Some(BookError::UnknownVisit));
    }
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(number(&mut other, "PRAGMA data_version").await, version);
    let now = std::fs::metadata(place.path("visits.sqlite-wal"))
        .unwrap()
        .len();
    assert_eq!(now, wal);
}

#[tokio::test]
async fn among_ten_thousand_visits_a_redeem_finds_its_own_by_index_and_writes_one_row() {
    let place = Place::new();
    let book = place.open().await;
    let links = book.create(&visit(None)).await.unwrap();
    let mut other = place.connect().await;
    sqlx::raw_sql(
        "INSERT INTO visits SELECT randomblob(16), 'a', starts_ms, ends_ms, NULL, NULL, 0, 0 FROM visits, \
         (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT i FROM n); \
         INSERT INTO participants SELECT visit, randomblob(16), 'patient', randomblob(32), NULL, NULL, 0, 0, NULL, 0, \
         '[]', '[]' FROM visits; \
         CREATE TABLE touched (what TEXT); \
         CREATE TRIGGER t1 AFTER UPDATE ON participants BEGIN INSERT INTO touched VALUES ('participant'); END; \
         CREATE TRIGGER t2 AFTER INSERT ON participants BEGIN INSERT INTO touched VALUES ('new'); END; \
         CREATE TRIGGER t3 AFTER UPDATE ON visits BEGIN INSERT INTO touched VALUES ('visit'); END; \
         CREATE TRIGGER t4 AFTER DELETE ON participants BEGIN INSERT INTO touched VALUES ('deleted'); END;",
    )
    .execute(&mut other)
    .await
    .unwrap();
    assert_eq!(
        number(&mut other, "SELECT count(*) FROM visits").await,
        10_001
    );
    credential_of(&book, &links, 1).await;
    let touched: Vec<String> = sqlx::query_scalar("SELECT what FROM touched")
        .fetch_all(&mut other)
        .await
        .unwrap();
    assert_eq!(touched, ["participant"]);
    let plan = sqlx::query(sqlx::AssertSqlSafe(format!(
        "EXPLAIN QUERY PLAN {}",
        store::READ
    )))
    .bind(&[0u8; 16][..])
    .fetch_all(&mut other)
    .await
    .unwrap();
    for step in &plan {
        let detail: String = step.get("detail");
        assert!(detail.starts_with("SEARCH"), "{detail}");
    }
    assert_eq!(plan.len(), 2);
}

#[tokio::test]
async fn a_link_redeemed_by_many_at_once_admits_one_and_counts_the_others() {
    let place = Place::new();
    let book = std::sync::Arc::new(place.open().await);
    let links = book.create(&visit(None)).await.unwrap();
    let host = credential_of(&book, &links, 0).await;
    let tries: Vec<_> = (0..8)
        .map(|seed| {
            let (book, links) = (book.clone(), links.clone());
            tokio::spawn(async move {
                let secret = &links.links[1].secret;
                let asked = redeem_as(&book, links.visit, secret, None, seed, NOON_MS);
                asked.await.map(|_| ())
            })
        })
        .collect();
    let mut admitted = 0;
    for tried in tries {
        match tried.await.unwrap() {
            Ok(()) => admitted += 1,
            Err(error) => assert_eq!(error, BookError::LinkUsed),
        }
    }
    assert_eq!(admitted, 1);
    let overview = book
        .overview(links.visit, Asker::Host(&host), NOON_MS)
        .await
        .unwrap();
    let patient = links.links[1].participant;
    let mut all = overview.participants.iter();
    let entry = all.find(|entry| entry.participant == patient).unwrap();
    assert_eq!(entry.second_browser, 7);
}

#[tokio::test]
async fn a_used_link_cannot_keep_the_database_busy() {
    let place = Place::new();
    let book = place.open().await;
    let links = book.create(&visit(None)).await.unwrap();
    credential_of(&book, &links, 1).await;
    let secret = &links.links[1].secret;
    let mut refused = Vec::new();
    // Each is another browser; one that asks again and again is known, and nothing is written for it.
    for browser in 0..LINK_RATE.burst + 5 {
        let again = redeem_as(&book, links.visit, secret, None, browser as u8, NOON_MS).await;
        refused.extend(again.err());
    }
    assert_eq!(refused[0], BookError::LinkUsed);
    assert_eq!(refused.last(), Some(&BookError::TooManyAttempts));
    // The host's link is another one.
    credential_of(&book, &links, 0).await;
}

#[tokio::test]
async fn a_restart_keeps_everything_and_old_visits_are_forgotten() {
    let place = Place::new();
    let book = place.open().await;
    let old = book.create(&visit(None)).await.unwrap();
    let mut later = visit(Some("4711"));
    later.ends_ms += 1_000;
    let links = book.create(&later).await.unwrap();
    let host = credential_of(&book, &links, 0).await;
    book.lock(links.visit, &host, true, NOON_MS).await.unwrap();
    let before = book
        .overview(links.visit, Asker::Host(&host), NOON_MS)
        .await
        .unwrap();
    drop(book);
    let book = place.open().await;
    let after = book
        .overview(links.visit, Asker::Host(&host), NOON_MS)
        .await
        .unwrap();
    assert_eq!(after, before);
    assert_eq!(book.purge(later.ends_ms).await, Ok(1));
    assert_eq!(
        book.info(old.visit, NOON_MS).await.err(),
        Some(BookError::UnknownVisit)
    );
    assert!(book.info(links.visit, NOON_MS).await.is_ok());
    let mut other = place.connect().await;
    let left = number(&mut other, "SELECT count(*) FROM participants").await;
    assert_eq!(left, 2, "of the later visit only");
}

#[tokio::test]
async fn without_the_key_of_its_hashes_a_database_is_refused() {
    let place = Place::new();
    drop(place.open().await);
    let key = place.path("visits.hashkey");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let error = place.try_open().await.err().unwrap().to_string();
    assert!(error.contains("visits.hashkey is missing"), "{error}");
    files::create_secret(&key, &Hash32([1; 32]).to_string()).unwrap();
    let error = place.try_open().await.err().unwrap().to_string();
    assert!(error.contains("is not the key"), "{error}");
    std::fs::write(&key, kept).unwrap();
    place.open().await;
}

#[cfg(unix)]
#[tokio::test]
async fn database_and_keys_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let book = place.open().await;
    book.create(&visit(None)).await.unwrap();
    let all = || {
        let files = std::fs::read_dir(place.folder.path()).unwrap();
        files.map(|file| {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            (file.file_name().into_string().unwrap(), mode)
        })
    };
    assert_eq!(all().count(), 4, "database, its two files, and the key");
    for (name, mode) in all() {
        assert_eq!(mode, 0o600, "{name}");
    }
    drop(book);
    // As an earlier version or a copy from a backup left it.
    let database = place.path("visits.sqlite");
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _book = place.open().await;
    for (name, mode) in all() {
        assert_eq!(mode, 0o600, "{name}");
    }
}

/// As version 1 wrote it, with hashes without a key.
fn old_store(visit: VisitId, links: &[(ParticipantId, Role, &str, Option<&str>)]) -> String {
    use sealed_visit_protocol::hash::sha256;
    let participants: serde_json::Map<String, serde_json::Value> = links
        .iter()
        .map(|(id, role, secret, passcode)| {
            let link = sha256(format!("sealed-visit secret v1\0{secret}").as_bytes());
            let passcode = passcode
                .map(|it| sha256(format!("sealed-visit passcode v1\0{id}\0{it}").as_bytes()));
            let entry = serde_json::json!({"role": role, "link": link, "passcode": passcode});
            (id.to_string(), entry)
        })
        .collect();
    serde_json::json!({"v": 1, "visits": {visit.to_string(): {
        "appointment": "a-1", "starts_ms": NOON_MS, "ends_ms": NOON_MS + 3_600_000, "template": null,
        "participants": participants,
    }}})
    .to_string()
}

#[tokio::test]
async fn visits_of_an_earlier_version_are_imported_once_and_their_file_is_kept() {
    let place = Place::new();
    let id = VisitId::from_bytes([5; 16]);
    let (host, patient) = (
        ParticipantId::from_bytes([1; 16]),
        ParticipantId::from_bytes([2; 16]),
    );
    let text = old_store(
        id,
        &[
            (host, Role::Clinician, "s1", None),
            (patient, Role::Patient, "s2", Some("4711")),
        ],
    );
    std::fs::write(place.path("visits.json"), &text).unwrap();
    let book = place.open().await;
    let wrong = redeem_as(&book, id, "s2", Some("0000"), 1, NOON_MS).await;
    assert_eq!(wrong.err(), Some(BookError::WrongPasscode));
    let came = redeem_as(&book, id, "s2", Some("4711"), 1, NOON_MS).await;
    assert_eq!(came.unwrap().participant, patient);
    assert!(!place.path("visits.json").exists());
    let backup = std::fs::read_to_string(place.path("visits.json.imported")).unwrap();
    assert_eq!(backup, text);
    drop(book);
    // A crash between import and renaming: nothing is imported again, so that what happened since stands.
    std::fs::write(place.path("visits.json"), &text).unwrap();
    let book = place.open().await;
    let again = redeem_as(&book, id, "s2", Some("4711"), 2, NOON_MS).await;
    assert_eq!(again.err(), Some(BookError::LinkUsed));
    assert!(place.path("visits.json.imported.1").exists());
    let file = std::fs::read(place.path("visits.sqlite")).unwrap();
    let wal = std::fs::read(place.path("visits.sqlite-wal")).unwrap();
    let plain = sealed_visit_protocol::hash::sha256(b"sealed-visit secret v1\0s2");
    for bytes in [file, wal] {
        assert!(!bytes.windows(32).any(|window| window == plain.0));
    }
}

#[tokio::test]
async fn an_old_store_that_cannot_be_imported_whole_is_left_as_it_is() {
    let place = Place::new();
    let id = VisitId::from_bytes([5; 16]);
    let host = ParticipantId::from_bytes([1; 16]);
    let text = old_store(id, &[(host, Role::Clinician, "s1", None)]);
    let broken = &text[..text.len() - 2];
    std::fs::write(place.path("visits.json"), broken).unwrap();
    assert!(place.try_open().await.is_err());
    let left = std::fs::read_to_string(place.path("visits.json")).unwrap();
    assert_eq!(left, broken);
    // The same visit with another content: neither may replace the other.
    std::fs::write(place.path("visits.json"), &text).unwrap();
    drop(place.open().await);
    let changed = old_store(id, &[(host, Role::Clinician, "s9", None)]);
    std::fs::write(place.path("visits.json"), &changed).unwrap();
    assert!(place.try_open().await.is_err());
    let left = std::fs::read_to_string(place.path("visits.json")).unwrap();
    assert_eq!(left, changed);
}
