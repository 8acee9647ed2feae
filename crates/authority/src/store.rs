//! The authority's rows; [`sealed_visit_sqlite`] says how they are kept.
//!
//! Reading takes no lock. A change holds the write lock from its start, reads the one visit that it is about, and writes
//! the rows of it that differ afterwards.

use crate::files;
use crate::visit::{StoredParticipant, StoredVisit};
use anyhow::{Context as _, ensure};
use sealed_visit_protocol::{Hash32, ParticipantId, Role, VisitId};
pub(crate) use sealed_visit_sqlite::Tx;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) struct Store {
    pool: SqlitePool,
}

type Outcome<T> = Result<T, sqlx::Error>;

/// Rows deleted in one transaction: others get their turn in between.
const PURGE_BATCH: u32 = 500;

impl Store {
    /// Opens the database in a file, making or migrating it.
    pub(crate) async fn open(path: &Path) -> anyhow::Result<Self> {
        // SQLite gives its two other files the mode of this one.
        for file in [
            path.to_owned(),
            files::sibling(path, "-wal"),
            files::sibling(path, "-shm"),
        ] {
            if file == path {
                files::ensure_private(&file)?;
            } else {
                files::make_private(&file)?;
            }
        }
        let pool = sealed_visit_sqlite::open(path).await;
        let store = Self::migrated(pool)
            .await
            .with_context(|| format!("opening the database {}", path.display()))?;
        files::sync_folder(path)?;
        Ok(store)
    }

    /// A database that ends with this value.
    pub(crate) async fn in_memory() -> anyhow::Result<Self> {
        Self::migrated(sealed_visit_sqlite::in_memory().await).await
    }

    async fn migrated(pool: Outcome<SqlitePool>) -> anyhow::Result<Self> {
        let pool = pool?;
        sqlx::migrate!("./migrations").run(&pool).await?;
        Ok(Self { pool })
    }

    /// A transaction that holds the write lock from its start, so that what it reads stays true.
    pub(crate) async fn write(&self) -> Outcome<Tx> {
        sealed_visit_sqlite::write(&self.pool).await
    }

    pub(crate) async fn read(&self, visit: VisitId) -> Outcome<Option<StoredVisit>> {
        let mut connection = self.pool.acquire().await?;
        read(&mut connection, visit).await
    }

    pub(crate) async fn meta(&self, key: &str) -> Outcome<Option<String>> {
        sqlx::query_scalar("SELECT value FROM meta WHERE key = ?")
            .bind(key)
            .fetch_optional(&self.pool)
            .await
    }

    pub(crate) async fn set_meta(&self, key: &str, value: &str) -> Outcome<()> {
        let mut connection = self.pool.acquire().await?;
        set_meta(&mut connection, key, value).await
    }

    /// Adds visits that are not there yet, all or none, and checks that they read back as they were given.
    pub(crate) async fn import(
        &self,
        visits: &BTreeMap<VisitId, StoredVisit>,
        key: &str,
        value: &str,
    ) -> anyhow::Result<()> {
        let mut tx = self.write().await?;
        for (visit, stored) in visits {
            ensure!(
                read(&mut tx, *visit).await?.is_none(),
                "visit {visit} is in the database already"
            );
            insert(&mut tx, *visit, stored).await?;
        }
        for (visit, stored) in visits {
            ensure!(
                read(&mut tx, *visit).await?.as_ref() == Some(stored),
                "visit {visit} cannot be kept in the database as it is"
            );
        }
        set_meta(&mut tx, key, value).await?;
        Ok(tx.commit().await?)
    }

    /// Deletes visits that were booked to end before this; returns how many.
    pub(crate) async fn purge(&self, ended_before_ms: u64) -> Outcome<u64> {
        let mut total = 0;
        loop {
            let deleted = sqlx::query(
                "DELETE FROM visits WHERE visit IN \
                 (SELECT visit FROM visits WHERE ends_ms < ? ORDER BY ends_ms LIMIT ?)",
            )
            .bind(whole(ended_before_ms))
            .bind(PURGE_BATCH)
            .execute(&self.pool)
            .await?
            .rows_affected();
            total += deleted;
            if deleted < u64::from(PURGE_BATCH) {
                return Ok(total);
            }
        }
    }
}

/// One statement, and so one state of both tables, without a transaction.
pub(crate) const READ: &str = "SELECT visits.*, participants.* FROM visits \
     LEFT JOIN participants ON participants.visit = visits.visit WHERE visits.visit = ?";

pub(crate) async fn read(
    connection: &mut SqliteConnection,
    visit: VisitId,
) -> Outcome<Option<StoredVisit>> {
    let rows = sqlx::query(READ)
        .bind(&visit.as_bytes()[..])
        .fetch_all(connection)
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let participants = rows.iter().filter_map(|row| participant(row).transpose());
    Ok(Some(StoredVisit {
        appointment: row.try_get("appointment")?,
        starts_ms: ms(row, "starts_ms")?,
        ends_ms: ms(row, "ends_ms")?,
        template: row.try_get("template")?,
        recorder: bytes(row, "recorder")?.map(ParticipantId::from_bytes),
        locked: row.try_get("locked")?,
        ended: row.try_get("ended")?,
        participants: participants.collect::<Outcome<_>>()?,
    }))
}

pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    visit: VisitId,
    stored: &StoredVisit,
) -> Outcome<()> {
    sqlx::query(
        "INSERT INTO visits (visit, appointment, starts_ms, ends_ms, template, recorder, locked, ended) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&visit.as_bytes()[..])
    .bind(&stored.appointment)
    .bind(whole(stored.starts_ms))
    .bind(whole(stored.ends_ms))
    .bind(&stored.template)
    .bind(stored.recorder.map(|id| id.as_bytes().to_vec()))
    .bind(stored.locked)
    .bind(stored.ended)
    .execute(&mut *connection)
    .await?;
    for (participant, entry) in &stored.participants {
        put(connection, visit, *participant, entry).await?;
    }
    Ok(())
}

/// Writes what a change did to a visit: the rows that differ, and no others.
pub(crate) async fn update(
    connection: &mut SqliteConnection,
    visit: VisitId,
    before: &StoredVisit,
    after: &StoredVisit,
) -> Outcome<()> {
    let flags = |stored: &StoredVisit| (stored.recorder, stored.locked, stored.ended);
    if flags(before) != flags(after) {
        sqlx::query("UPDATE visits SET recorder = ?, locked = ?, ended = ? WHERE visit = ?")
            .bind(after.recorder.map(|id| id.as_bytes().to_vec()))
            .bind(after.locked)
            .bind(after.ended)
            .bind(&visit.as_bytes()[..])
            .execute(&mut *connection)
            .await?;
    }
    for (participant, entry) in &after.participants {
        if before.participants.get(participant) != Some(entry) {
            put(connection, visit, *participant, entry).await?;
        }
    }
    Ok(())
}

async fn put(
    connection: &mut SqliteConnection,
    visit: VisitId,
    participant: ParticipantId,
    entry: &StoredParticipant,
) -> Outcome<()> {
    let hash = |hash: Option<Hash32>| hash.map(|hash| hash.0.to_vec());
    sqlx::query(
        "INSERT INTO participants (visit, participant, role, link, passcode, credential, wrong_passcodes, \
         second_browser, second_browser_ms, turned_away, browsers, help) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (visit, participant) DO UPDATE SET role = excluded.role, link = excluded.link, \
         passcode = excluded.passcode, credential = excluded.credential, \
         wrong_passcodes = excluded.wrong_passcodes, second_browser = excluded.second_browser, \
         second_browser_ms = excluded.second_browser_ms, turned_away = excluded.turned_away, \
         browsers = excluded.browsers, help = excluded.help",
    )
    .bind(&visit.as_bytes()[..])
    .bind(&participant.as_bytes()[..])
    .bind(role_name(entry.role))
    .bind(hash(entry.link))
    .bind(hash(entry.passcode))
    .bind(hash(entry.credential))
    .bind(entry.wrong_passcodes)
    .bind(entry.second_browser)
    .bind(entry.second_browser_ms.map(whole))
    .bind(entry.turned_away)
    .bind(json(&entry.browsers)?)
    .bind(json(&entry.help)?)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

async fn set_meta(connection: &mut SqliteConnection, key: &str, value: &str) -> Outcome<()> {
    sqlx::query(
        "INSERT INTO meta (key, value) VALUES (?, ?) \
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )
    .bind(key)
    .bind(value)
    .execute(connection)
    .await?;
    Ok(())
}

/// None in the one row of a visit without participants.
fn participant(row: &SqliteRow) -> Outcome<Option<(ParticipantId, StoredParticipant)>> {
    let Some(id) = bytes(row, "participant")? else {
        return Ok(None);
    };
    let role: String = row.try_get("role")?;
    let entry = StoredParticipant {
        role: role_named(&role).ok_or_else(|| unreadable("role"))?,
        link: bytes(row, "link")?.map(Hash32),
        passcode: bytes(row, "passcode")?.map(Hash32),
        credential: bytes(row, "credential")?.map(Hash32),
        wrong_passcodes: row.try_get("wrong_passcodes")?,
        second_browser: row.try_get("second_browser")?,
        second_browser_ms: row
            .try_get::<Option<i64>, _>("second_browser_ms")?
            .map(i64::cast_unsigned),
        turned_away: row.try_get("turned_away")?,
        browsers: list(row, "browsers")?,
        help: list(row, "help")?,
    };
    Ok(Some((ParticipantId::from_bytes(id), entry)))
}

fn json(value: &impl Serialize) -> Outcome<String> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

fn list<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Outcome<Vec<T>> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|_| unreadable(column))
}

fn bytes<const N: usize>(row: &SqliteRow, column: &'static str) -> Outcome<Option<[u8; N]>> {
    let Some(found) = row.try_get::<Option<Vec<u8>>, _>(column)? else {
        return Ok(None);
    };
    Ok(Some(found.try_into().map_err(|_| unreadable(column))?))
}

fn ms(row: &SqliteRow, column: &'static str) -> Outcome<u64> {
    let found: i64 = row.try_get(column)?;
    u64::try_from(found).map_err(|_| unreadable(column))
}

/// SQLite's integers have a sign; times beyond are as good as never.
fn whole(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn unreadable(what: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("the database holds an unreadable {what}").into())
}

/// As in passes.
fn role_name(role: Role) -> &'static str {
    match role {
        Role::Clinician => "clinician",
        Role::Patient => "patient",
        Role::Guest => "guest",
        Role::Representative => "representative",
        Role::Interpreter => "interpreter",
        Role::Recorder => "recorder",
        Role::Server => "server",
    }
}

fn role_named(name: &str) -> Option<Role> {
    let roles = [
        Role::Clinician,
        Role::Patient,
        Role::Guest,
        Role::Representative,
        Role::Interpreter,
        Role::Recorder,
        Role::Server,
    ];
    roles.into_iter().find(|role| role_name(*role) == name)
}
