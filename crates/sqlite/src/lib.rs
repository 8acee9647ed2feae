//! How authority and vault keep rows: SQLite through sqlx, in WAL mode with full synchronisation.
//!
//! A committed row survives a crash and a power cut. What is overwritten or deleted is overwritten with zeros
//! (`secure_delete`). Reading takes no lock; a change holds the write lock from its start, so that what it reads stays
//! true. A full disk fails a transaction and leaves its connection good for the next one.

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, Sqlite, Transaction};
use std::path::Path;
use std::time::Duration;

const CONNECTIONS: u32 = 4;
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

pub type Tx = Transaction<'static, Sqlite>;

/// A database in a file that exists; an empty one becomes a database. SQLite gives its two other files the mode of this one.
pub async fn open(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    // Not several connections at once: while the file is new, each would turn the write-ahead log on, and find it locked.
    connect(
        options,
        SqlitePoolOptions::new().max_connections(CONNECTIONS),
    )
    .await
}

/// A database that ends with the pool.
pub async fn in_memory() -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new().in_memory(true);
    // It lives as long as its one connection.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1);
    connect(options, pool).await
}

async fn connect(
    options: SqliteConnectOptions,
    pool: SqlitePoolOptions,
) -> Result<SqlitePool, sqlx::Error> {
    let options = options
        .foreign_keys(true)
        .pragma("secure_delete", "ON")
        .busy_timeout(LOCK_PATIENCE);
    pool.idle_timeout(None)
        .max_lifetime(None)
        // SQLite rolls back automatically when the disk is full; sqlx then counts a transaction that is none, and the connection
        // could never begin another.
        .before_acquire(|connection, _| {
            Box::pin(async move { Ok(!connection.is_in_transaction()) })
        })
        .connect_with(options)
        .await
}

/// A transaction that holds the write lock from its start.
pub async fn write(pool: &SqlitePool) -> Result<Tx, sqlx::Error> {
    pool.begin_with("BEGIN IMMEDIATE").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_leaves_connections_that_work_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.sqlite");
        std::fs::File::create(&path).unwrap();
        let pool = open(&path).await.unwrap();
        sqlx::query("CREATE TABLE rows (value BLOB)")
            .execute(&pool)
            .await
            .unwrap();
        for _ in 0..2 * CONNECTIONS {
            let mut tx = write(&pool).await.unwrap();
            // Of this connection: not one page more than there are.
            sqlx::query("PRAGMA max_page_count = 1")
                .execute(&mut *tx)
                .await
                .unwrap();
            sqlx::query("INSERT INTO rows (value) VALUES (zeroblob(1000000))")
                .execute(&mut *tx)
                .await
                .unwrap_err();
            drop(tx);
            write(&pool).await.unwrap().commit().await.unwrap();
        }
    }

    #[tokio::test]
    async fn rows_are_synced_and_what_is_deleted_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.sqlite");
        std::fs::File::create(&path).unwrap();
        let pool = open(&path).await.unwrap();
        for (pragma, wanted) in [
            ("PRAGMA synchronous", 2),
            ("PRAGMA secure_delete", 1),
            ("PRAGMA foreign_keys", 1),
        ] {
            let found: i64 = sqlx::query_scalar(pragma).fetch_one(&pool).await.unwrap();
            assert_eq!(found, wanted, "{pragma}");
        }
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(mode, "wal");
    }
}
