//! The clinic document the vault goes by: pinned root key, file on disk, never an older one than it has seen.

use crate::db::Db;
use anyhow::{Context as _, bail};
use sealed_visit_protocol::{ClinicDocument, Jws, PublicKey, RootKey};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

const NUMBER_SEEN: &str = "clinic_document_number";

/// Holds the current document, and takes a newer one when its file changes.
pub struct Clinic {
    root: RootKey,
    file: PathBuf,
    vault: PublicKey,
    db: Db,
    current: Mutex<Loaded>,
}

#[derive(Clone)]
struct Loaded {
    document: Arc<ClinicDocument>,
    modified: Option<SystemTime>,
}

impl Clinic {
    /// Reads the document. `vault` is the public half of this vault's key: the document must name it.
    pub async fn open(
        root: RootKey,
        file: PathBuf,
        vault: PublicKey,
        db: Db,
    ) -> anyhow::Result<Self> {
        let loaded = load(&root, &file, &vault, &db).await?;
        Ok(Self {
            root,
            file,
            vault,
            db,
            current: Mutex::new(loaded),
        })
    }

    /// The pinned key.
    pub fn root(&self) -> &RootKey {
        &self.root
    }

    /// The document, read again when its file has changed. A changed file that is refused leaves the old one.
    pub async fn current(&self) -> Arc<ClinicDocument> {
        let known = self.known();
        let modified = modified(&self.file);
        if modified.is_none() || modified == known.modified {
            return known.document;
        }
        match load(&self.root, &self.file, &self.vault, &self.db).await {
            Ok(loaded) => {
                tracing::info!(
                    number = loaded.document.claims().number,
                    "loaded a new clinic document"
                );
                let document = loaded.document.clone();
                *self.lock() = loaded;
                document
            }
            Err(error) => {
                tracing::error!(%error, "refused the changed clinic document; the one before stays in force");
                self.lock().modified = modified;
                known.document
            }
        }
    }

    fn known(&self) -> Loaded {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Loaded> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn load(
    root: &RootKey,
    file: &PathBuf,
    vault: &PublicKey,
    db: &Db,
) -> anyhow::Result<Loaded> {
    let modified = modified(file);
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the clinic document {}", file.display()))?;
    let document = ClinicDocument::verify(&Jws::from_text(text.trim()), root)
        .with_context(|| format!("the clinic document {} is refused", file.display()))?;
    let claims = document.claims();
    if claims.vault != *vault {
        bail!(
            "the clinic document names another vault key ({}) than this vault's ({})",
            claims.vault.thumbprint(),
            vault.thumbprint()
        );
    }
    let failed = |error: crate::error::ApiError| anyhow::anyhow!("{}", error.message);
    let seen = db.meta(NUMBER_SEEN).await.map_err(failed)?;
    let seen: u64 = seen.and_then(|text| text.parse().ok()).unwrap_or(0);
    if claims.number < seen {
        bail!(
            "the clinic document has number {}, but number {seen} was seen before",
            claims.number
        );
    }
    if claims.number > seen {
        db.set_meta(NUMBER_SEEN, &claims.number.to_string())
            .await
            .map_err(failed)?;
    }
    Ok(Loaded {
        document: Arc::new(document),
        modified,
    })
}

fn modified(file: &PathBuf) -> Option<SystemTime> {
    std::fs::metadata(file)
        .and_then(|meta| meta.modified())
        .ok()
}
