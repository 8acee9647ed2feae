//! Shred shares at rest: encrypted under a key in a file of its own, so that a copy of the database holds none.
//!
//! A stored share is `0x01 ‖ nonce (12) ‖ AES-256-GCM of the 32 bytes ‖ tag (16)`, with the track's id as additional data:
//! it opens for its track only. A row of 32 bytes is from a version that stored shares as they are; [`protect_all`]
//! encrypts those at the start and rewrites the database, so that no page keeps an old copy.

use crate::db::Db;
use crate::error::{ApiError, ApiResult};
use crate::private;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use anyhow::{Context as _, bail};
use sealed_visit_protocol::TrackId;
use sealed_visit_protocol::bytes::{from_base64url, to_base64url};
use sqlx::Row as _;
use std::io::Write as _;
use std::path::Path;
use zeroize::Zeroizing;

pub const SHARE_BYTES: usize = 32;
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;
const SEALED_BYTES: usize = 1 + NONCE_BYTES + SHARE_BYTES + 16;

/// Encrypts shares.
pub struct ShareKey(Aes256Gcm);

impl ShareKey {
    /// Reads the key file; makes it if it is missing and `may_create`.
    pub fn open(path: &Path, may_create: bool) -> anyhow::Result<Self> {
        if !path.try_exists()? {
            if !may_create {
                bail!(
                    "the share key {} is missing, but the database has shares under it: restore the file",
                    path.display()
                );
            }
            create(path)
                .with_context(|| format!("cannot make the share key {}", path.display()))?;
        }
        let text = Zeroizing::new(private::read_secret(path, "share key")?);
        let key = from_base64url(text.trim()).map(Zeroizing::new);
        let cipher = key.and_then(|key| Aes256Gcm::new_from_slice(&key).ok());
        match cipher {
            Some(cipher) => Ok(Self(cipher)),
            None => bail!(
                "the share key {} does not hold 32 bytes in base64url",
                path.display()
            ),
        }
    }

    /// A fresh share for a track, and how it is stored.
    pub fn draw(&self, track: TrackId) -> ApiResult<(Vec<u8>, Vec<u8>)> {
        let mut share = vec![0; SHARE_BYTES];
        getrandom::fill(&mut share).map_err(ApiError::internal)?;
        let sealed = self.seal(track, &share)?;
        Ok((share, sealed))
    }

    pub fn seal(&self, track: TrackId, share: &[u8]) -> ApiResult<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(ApiError::internal)?;
        let payload = Payload {
            msg: share,
            aad: &aad(track),
        };
        let sealed = self
            .0
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| ApiError::internal("a share cannot be encrypted"))?;
        Ok([&[VERSION], &nonce[..], &sealed].concat())
    }

    pub fn open_share(&self, track: TrackId, stored: &[u8]) -> ApiResult<Vec<u8>> {
        let unreadable = || {
            ApiError::internal(format!(
                "this key does not decrypt the share of track {track}"
            ))
        };
        let [VERSION, rest @ ..] = stored else {
            return Err(unreadable());
        };
        let (nonce, sealed) = rest
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or_else(unreadable)?;
        let payload = Payload {
            msg: sealed,
            aad: &aad(track),
        };
        self.0
            .decrypt(&Nonce::from(*nonce), payload)
            .map_err(|_| unreadable())
    }
}

/// Whether the database holds shares that only the key file opens.
pub async fn any_protected(db: &Db) -> anyhow::Result<bool> {
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM tracks WHERE length(share) = ?")
        .bind(SEALED_BYTES as i64)
        .fetch_one(db.pool())
        .await?;
    Ok(count > 0)
}

/// Encrypts the shares that an earlier version stored as they are, then rewrites the database file.
pub async fn protect_all(db: &Db, key: &ShareKey) -> anyhow::Result<()> {
    const REWRITE: &str = "rewrite_after_protecting_shares";
    let failed = |error: ApiError| anyhow::anyhow!("{}", error.message);
    let rows = sqlx::query("SELECT track, share FROM tracks WHERE length(share) = ?")
        .bind(SHARE_BYTES as i64)
        .fetch_all(db.pool())
        .await?;
    if !rows.is_empty() {
        let mut tx = db.write().await.map_err(failed)?;
        for row in &rows {
            let track: &str = row.try_get("track")?;
            let share = Zeroizing::new(row.try_get::<Vec<u8>, _>("share")?);
            let id: TrackId = track.parse()?;
            let sealed = key.seal(id, &share).map_err(failed)?;
            sqlx::query("UPDATE tracks SET share = ? WHERE track = ?")
                .bind(sealed)
                .bind(track)
                .execute(&mut *tx)
                .await?;
        }
        // A crash before the rewrite must not leave the old copies for good.
        sqlx::query("INSERT OR REPLACE INTO meta (key, value) VALUES (?, 'due')")
            .bind(REWRITE)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
    }
    if db.meta(REWRITE).await.map_err(failed)?.as_deref() == Some("due") {
        sqlx::query("VACUUM").execute(db.pool()).await?;
        db.forget_overwritten().await.map_err(failed)?;
        db.set_meta(REWRITE, "done").await.map_err(failed)?;
        tracing::info!(
            shares = rows.len(),
            "shares are encrypted, and the database was rewritten"
        );
    }
    Ok(())
}

fn create(path: &Path) -> anyhow::Result<()> {
    let mut key = Zeroizing::new([0u8; 32]);
    getrandom::fill(&mut key[..])
        .map_err(|error| anyhow::anyhow!("no randomness from the system: {error}"))?;
    let text = Zeroizing::new(format!("{}\n", to_base64url(&key[..])));
    // Under its name only when it is whole: a full disk must not leave half a key behind.
    let partial = path.with_extension("partial");
    crate::store::remove_if_there(&partial)?;
    let mut file = private::create_new(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&partial, path)?;
    std::fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}

fn aad(track: TrackId) -> Vec<u8> {
    [
        b"sealed-visit vault share v1\0".as_slice(),
        track.as_bytes().as_slice(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_opens_for_its_track_and_under_its_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let key = ShareKey::open(&folder.path().join("share.key"), true).unwrap();
        let again = ShareKey::open(&folder.path().join("share.key"), false).unwrap();
        let other = ShareKey::open(&folder.path().join("other.key"), true).unwrap();
        let [track, elsewhere] = [1, 2].map(|byte| TrackId::from_bytes([byte; 16]));
        let (share, stored) = key.draw(track).unwrap();
        assert_eq!(stored.len(), SEALED_BYTES);
        assert!(!stored.windows(8).any(|window| window == &share[..8]));
        assert_eq!(again.open_share(track, &stored).unwrap(), share);
        assert!(key.open_share(elsewhere, &stored).is_err());
        assert!(other.open_share(track, &stored).is_err());
        let mut altered = stored.clone();
        altered[20] ^= 1;
        assert!(key.open_share(track, &altered).is_err());
        assert!(key.open_share(track, &share).is_err());
        assert!(key.open_share(track, &[]).is_err());
    }

    #[test]
    fn a_missing_key_is_not_made_anew_where_shares_need_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ShareKey::open(&folder.path().join("share.key"), false).is_err());
        assert!(!folder.path().join("share.key").exists());
    }
}
