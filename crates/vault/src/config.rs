//! What a deployment decides.

use crate::cors::Origins;
use crate::quota::Quota;
use sealed_visit_protocol::limits::CAPABILITY_DAYS;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Everything the vault is told at its start; times as durations, sizes in bytes.
#[derive(Debug, Clone)]
pub struct Config {
    /// Holds the database, the growing uploads, and (unless [`Self::store`] says otherwise) the finished tracks.
    pub data: PathBuf,
    /// Where finished tracks go: `None` for a folder in [`Self::data`], else `file:` or (feature `s3`) `s3:`.
    pub store: Option<Url>,
    /// The vault's address as clients see it, for absolute URLs; `None` gives ones relative to the vault's address.
    pub public_url: Option<Url>,
    /// The key file under which shares are stored; made at the first start.
    pub share_key: PathBuf,
    /// Whether a withdrawal deletes by itself where the consent said so. Without it the clinic's order is needed every
    /// time, and the consent texts that say otherwise must not be used.
    pub delete_on_withdrawal: bool,
    /// Pages that may call the vault.
    pub allow_origins: Origins,
    /// A part without a new byte for this long is closed as unfinished.
    pub unfinished_after: Duration,
    /// How long an upload capability is good for.
    pub capability_lifetime: Duration,
    /// How long a download URL is good for.
    pub url_lifetime: Duration,
    /// The longest track, `Tus-Max-Size`.
    pub max_track_bytes: u64,
    /// What one recorder's pass may use.
    pub pass_quota: Quota,
    /// What one visit may use.
    pub visit_quota: Quota,
    /// A PATCH that brought no byte for this long may be taken over by a newer one.
    pub stalled_after: Duration,
    /// A PATCH that brought no byte for this long is ended.
    pub idle_timeout: Duration,
}

impl Config {
    /// The defaults, keeping everything in `data`.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        let data = data.into();
        Self {
            share_key: data.join("share.key"),
            data,
            store: None,
            delete_on_withdrawal: true,
            public_url: None,
            allow_origins: Origins::None,
            unfinished_after: Duration::from_secs(24 * 3600),
            capability_lifetime: Duration::from_secs(CAPABILITY_DAYS * 24 * 3600),
            url_lifetime: Duration::from_secs(15 * 60),
            max_track_bytes: 64 << 30,
            pass_quota: Quota::PASS,
            visit_quota: Quota::VISIT,
            stalled_after: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(60),
        }
    }

    /// `path` under the public URL, or relative to wherever the client found the vault: behind a proxy that may be below
    /// a path that the vault knows nothing of.
    pub fn url(&self, path: &str) -> String {
        match &self.public_url {
            Some(base) => format!("{}{path}", base.as_str().trim_end_matches('/')),
            None => path.trim_start_matches('/').to_owned(),
        }
    }
}
