//! The clinic's vault: it takes sealed recordings, verifies what can be verified without opening, keeps them, and
//! hands them to readers. It can read none: it holds shred shares, and never a track secret.
//!
//! | module | what |
//! |---|---|
//! | [`app`] | routes |
//! | [`open`] | `POST /v1/recordings`: an open statement in, shares and an upload capability out |
//! | [`envelope`] | wrapped keys, durable before a byte of their track |
//! | [`tus`] | tus 1.0: creation, deferred length, checksum, expiration, termination |
//! | [`staging`] | growing uploads: verified, synced, recovered |
//! | [`finish`], [`ending`] | manifest or closing record in, signed receipt out |
//! | [`withdrawal`], [`last_words`] | signed withdrawals, whatever a manifest says; grants that they override |
//! | [`deletion`] | what a withdrawal, or the clinic's order, destroys |
//! | [`decline`] | the clinic's decision not to delete |
//! | [`proof`], [`quota`] | who may open a part or renew its capability, and how much a pass and a visit may use |
//! | [`share`], [`private`] | shares encrypted at rest; files that nobody else reads |
//! | [`wipe`] | devices that obeyed the clinic's wipe order |
//! | [`reading`], [`download`], [`signed_url`] | listing, share release, ranged download |
//! | [`audit`] | append-only log with a hash chain |
//! | [`db`], [`store`] | rows in SQLite, finished tracks in an object store |
//! | [`health`] | whether rows can be written |
//!
//! Laws: nothing acknowledged is lost; nothing is acknowledged before it is durable and its envelope is; no recording
//! without every grant; opening leaves a trace; logs, URLs and errors carry opaque identifiers only.

pub mod app;
pub mod audit;
pub mod auth;
pub mod capability;
pub mod clinic;
pub mod config;
pub mod cors;
pub mod db;
mod decline;
pub mod deletion;
pub mod download;
pub mod ending;
pub mod envelope;
pub mod error;
pub mod extract;
pub mod finish;
pub mod health;
pub mod key;
pub mod last_words;
pub mod open;
pub mod private;
pub mod proof;
pub mod quota;
pub mod reading;
pub mod share;
pub mod signed_url;
pub mod staging;
pub mod store;
pub mod tus;
pub mod wipe;
pub mod withdrawal;

pub use app::router;
pub use config::Config;
pub use cors::Origins;

use crate::auth::Readers;
use crate::clinic::Clinic;
use crate::db::Db;
use crate::share::ShareKey;
use crate::staging::Staging;
use crate::store::Store;
use sealed_visit_protocol::{RootKey, SigningKey};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// Milliseconds since the Unix epoch. Tests bring their own.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Everything that requests share.
pub struct Vault {
    pub config: Config,
    pub db: Db,
    pub store: Store,
    pub staging: Staging,
    pub clinic: Clinic,
    pub readers: Readers,
    key: SigningKey,
    url_key: Zeroizing<[u8; 32]>,
    pub share_key: ShareKey,
    pub health: health::Health,
    /// Held while a deletion takes one of its steps.
    deleting: tokio::sync::Mutex<()>,
    clock: Clock,
}

/// The vault's identity and the keys it trusts.
pub struct Identity {
    pub key: SigningKey,
    pub root: RootKey,
    pub clinic_document: PathBuf,
    pub readers: Readers,
}

impl Vault {
    /// Opens the data folder, recovers what a crash left, and checks the audit log's chain.
    pub async fn open(
        config: Config,
        identity: Identity,
        clock: Clock,
    ) -> anyhow::Result<Arc<Self>> {
        private::folder(&config.data)?;
        let db = Db::open(&config.data.join("vault.sqlite")).await?;
        let log = audit::verify(&db, audit::Chain::default()).await?;
        let is_first = !share::any_protected(&db).await?;
        let share_key = ShareKey::open(&config.share_key, is_first)?;
        share::protect_all(&db, &share_key).await?;
        last_words::backfill(&db).await.map_err(failed)?;
        tracing::info!(entries = log.len(), head = %log.head(), "audit log verified");
        let Identity {
            key,
            root,
            clinic_document,
            readers,
        } = identity;
        let vault = Arc::new(Self {
            store: Store::open(config.store.as_ref(), &config.data)?,
            staging: Staging::open(&config.data)?,
            clinic: Clinic::open(root, clinic_document, key.public(), db.clone()).await?,
            url_key: key::url_key(&key),
            share_key,
            health: health::Health::default(),
            deleting: tokio::sync::Mutex::default(),
            readers,
            key,
            clock,
            db,
            config,
        });
        vault.tidy_staging().await?;
        // What a crash left of a deletion.
        if let Err(error) = deletion::resume(&vault).await {
            tracing::error!(code = error.code, "a deletion is not finished yet");
        }
        Ok(vault)
    }

    pub fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    /// Signs receipts, closing records, capabilities.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    pub fn url_key(&self) -> &[u8; 32] {
        &self.url_key
    }

    /// Verifies the uploads that were under way when the vault stopped, so that no client has to wait for it.
    pub async fn recover_uploads(self: Arc<Self>) {
        let open = match self.db.open_uploads().await {
            Ok(open) => open,
            Err(error) => {
                tracing::error!(message = error.message, "cannot look for open uploads");
                return;
            }
        };
        for row in open {
            // The faster one verifies it too.
            let Some(mut held) = self.staging.slot(row.track).take(Duration::MAX).await else {
                continue;
            };
            let loaded = self.staging.load(&mut held, &row, &self.store).await;
            if let Err(error) = loaded {
                tracing::error!(track = %row.track, message = error.message, "cannot recover an upload yet");
            }
        }
    }

    /// Closes idle parts, again and again; does not return.
    pub async fn close_idle_parts(self: Arc<Self>) {
        let period = (self.config.unfinished_after / 8)
            .clamp(Duration::from_millis(200), Duration::from_secs(60));
        loop {
            tokio::time::sleep(period).await;
            finish::close_expired(&self).await;
            quota::log_refusals(&self).await;
        }
    }

    async fn tidy_staging(&self) -> anyhow::Result<()> {
        let needed: Vec<String> = sqlx::query_scalar(
            "SELECT track FROM tracks JOIN parts USING (recording, part) JOIN recordings USING (recording) \
             WHERE state = 'open' AND deletion_granted_ms IS NULL",
        )
        .fetch_all(self.db.pool())
        .await?;
        Ok(self
            .staging
            .tidy(|name| needed.iter().any(|track| track == name))?)
    }
}

fn failed(error: error::ApiError) -> anyhow::Error {
    anyhow::anyhow!("{}", error.message)
}

/// The system's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        since_epoch.map_or(0, |elapsed| elapsed.as_millis() as u64)
    })
}
