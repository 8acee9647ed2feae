//! Whether the vault can take recordings: a row is written, because a database on a disk that turned read-only still answers.
//!
//! Anybody may ask, so an answer holds for a while: many questions cost one write.

use crate::db::Db;
use crate::error::{ApiError, ApiResult};
use tokio::sync::Mutex;

const HOLDS_MS: u64 = 5_000;

#[derive(Default)]
pub struct Health(Mutex<Option<Known>>);

struct Known {
    at_ms: u64,
    is_well: bool,
}

impl Health {
    /// Refuses with 503 where nothing can be written.
    pub async fn check(&self, db: &Db, now_ms: u64) -> ApiResult<()> {
        let mut known = self.0.lock().await;
        let is_known = |known: &Known| now_ms.abs_diff(known.at_ms) < HOLDS_MS;
        let is_well = match known.as_ref().filter(|known| is_known(known)) {
            Some(known) => known.is_well,
            None => {
                let written = db.set_meta("health_checked_ms", &now_ms.to_string()).await;
                if let Err(error) = &written {
                    tracing::error!(message = error.message, "the database takes no rows");
                }
                let is_well = written.is_ok();
                let at_ms = now_ms;
                *known = Some(Known { at_ms, is_well });
                is_well
            }
        };
        if is_well {
            return Ok(());
        }
        Err(ApiError::new(
            http::StatusCode::SERVICE_UNAVAILABLE,
            "database_read_only",
            "the database takes no rows: its disk is full, read-only, or broken",
        ))
    }
}
