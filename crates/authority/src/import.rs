//! Takes over the visits of earlier versions, which kept them in one JSON file.
//!
//! All of them go into the database in one transaction, are read back and compared; only then is the file renamed to
//! `NAME.imported`. It is never deleted. A crash at any point leaves the file, the database, or both complete.

use crate::files;
use crate::secrets::Hasher;
use crate::store::Store;
use crate::visit::{StoredParticipant, StoredVisit};
use anyhow::{Context as _, bail, ensure};
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::{Hash32, ParticipantId, Role, VisitId};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file, as version 1 wrote it. Its hashes have no key.
#[derive(Deserialize)]
struct OldFile {
    v: u32,
    visits: BTreeMap<VisitId, OldVisit>,
}

#[derive(Deserialize)]
struct OldVisit {
    appointment: String,
    starts_ms: u64,
    ends_ms: u64,
    template: Option<String>,
    participants: BTreeMap<ParticipantId, OldParticipant>,
    #[serde(default)]
    recorder: Option<ParticipantId>,
    #[serde(default)]
    locked: bool,
    #[serde(default)]
    ended: bool,
}

#[derive(Deserialize)]
struct OldParticipant {
    role: Role,
    link: Option<Hash32>,
    passcode: Option<Hash32>,
    #[serde(default)]
    wrong_passcodes: u32,
    #[serde(default)]
    credential: Option<Hash32>,
    #[serde(default)]
    second_browser: u32,
    #[serde(default)]
    second_browser_ms: Option<u64>,
    #[serde(default)]
    turned_away: bool,
}

/// Which file was imported, by its hash.
const IMPORTED: &str = "imported_json";

/// Imports the JSON file if there is one.
pub(crate) async fn import(path: &Path, store: &Store, hasher: &Hasher) -> anyhow::Result<()> {
    let Some(bytes) = files::read_if_there(path)? else {
        return Ok(());
    };
    files::make_private(path)?;
    let hash = sha256(&bytes).to_string();
    if store.meta(IMPORTED).await?.as_deref() != Some(&hash) {
        let visits = parse(&bytes, hasher)
            .with_context(|| format!("importing visits from {}", path.display()))?;
        let count = visits.len();
        store
            .import(&visits, IMPORTED, &hash)
            .await
            .with_context(|| format!("importing visits from {}", path.display()))?;
        tracing::info!(count, "imported the visits of an earlier version");
    }
    let backup = backup_path(path)?;
    files::rename(path, &backup)?;
    tracing::info!(
        backup = %backup.display(),
        "kept the imported file; delete it once the server works as it should"
    );
    Ok(())
}

fn parse(bytes: &[u8], hasher: &Hasher) -> anyhow::Result<BTreeMap<VisitId, StoredVisit>> {
    let file: OldFile = serde_json::from_slice(bytes)?;
    ensure!(file.v == 1, "expected file version 1, got {}", file.v);
    let visits = file.visits.into_iter();
    Ok(visits
        .map(|(id, visit)| (id, upgraded(visit, hasher)))
        .collect())
}

/// A keyed hash is made over the plain one, so that links and passcodes go on working without being known here.
fn upgraded(old: OldVisit, hasher: &Hasher) -> StoredVisit {
    let participants = old.participants.into_iter().map(|(id, old)| {
        let participant = StoredParticipant {
            role: old.role,
            link: old.link.map(|plain| hasher.over_plain(plain)),
            passcode: old.passcode.map(|plain| hasher.over_plain(plain)),
            credential: old.credential.map(|plain| hasher.over_plain(plain)),
            wrong_passcodes: old.wrong_passcodes,
            second_browser: old.second_browser,
            second_browser_ms: old.second_browser_ms,
            browsers: Vec::new(),
            help: Vec::new(),
            turned_away: old.turned_away,
        };
        (id, participant)
    });
    StoredVisit {
        appointment: old.appointment,
        starts_ms: old.starts_ms,
        ends_ms: old.ends_ms,
        template: old.template,
        participants: participants.collect(),
        recorder: old.recorder,
        locked: old.locked,
        ended: old.ended,
    }
}

/// A name that is free: an earlier backup is never overwritten.
fn backup_path(path: &Path) -> anyhow::Result<PathBuf> {
    let name = path.file_name().context("the store has no file name")?;
    for number in 0..1_000 {
        let mut backup = name.to_owned();
        backup.push(".imported");
        if number > 0 {
            backup.push(format!(".{number}"));
        }
        let backup = path.with_file_name(backup);
        if !backup.try_exists()? {
            return Ok(backup);
        }
    }
    bail!("too many backups beside {}", path.display())
}
