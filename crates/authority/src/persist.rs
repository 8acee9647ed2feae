//! How visits are kept: one JSON file, replaced as a whole. It holds hashes of secrets, never secrets.

use crate::book::NewVisit;
use sealed_visit_protocol::{Hash32, ParticipantId, Role, VisitId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredVisit {
    pub(crate) appointment: String,
    pub(crate) starts_ms: u64,
    pub(crate) ends_ms: u64,
    pub(crate) template: Option<String>,
    pub(crate) participants: BTreeMap<ParticipantId, StoredParticipant>,
    #[serde(default)]
    pub(crate) recorder: Option<ParticipantId>,
    #[serde(default)]
    pub(crate) locked: bool,
    #[serde(default)]
    pub(crate) ended: bool,
}

/// A pass outlives the booked end by this long.
const GRACE_MS: u64 = 2 * 60 * 60 * 1000;

impl StoredVisit {
    pub(crate) fn new(asked: &NewVisit) -> Self {
        Self {
            appointment: asked.appointment.clone(),
            starts_ms: asked.starts_ms,
            ends_ms: asked.ends_ms,
            template: asked.template.clone(),
            participants: BTreeMap::new(),
            recorder: None,
            locked: false,
            ended: false,
        }
    }

    /// When its passes expire, and with them the visit.
    pub(crate) fn closes_ms(&self) -> u64 {
        self.ends_ms.saturating_add(GRACE_MS)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredParticipant {
    pub(crate) role: Role,
    pub(crate) link: Option<Hash32>,
    pub(crate) passcode: Option<Hash32>,
    #[serde(default)]
    pub(crate) wrong_passcodes: u32,
    /// Of the browser that redeemed the link.
    #[serde(default)]
    pub(crate) credential: Option<Hash32>,
    /// Tries of other browsers after the link was used.
    #[serde(default)]
    pub(crate) second_browser: u32,
    #[serde(default)]
    pub(crate) second_browser_ms: Option<u64>,
    /// Somebody came with the link while the visit was locked.
    #[serde(default)]
    pub(crate) turned_away: bool,
}

impl StoredParticipant {
    pub(crate) fn new(role: Role, link: Hash32, passcode: Option<Hash32>) -> Self {
        Self {
            role,
            link: Some(link),
            passcode,
            wrong_passcodes: 0,
            credential: None,
            second_browser: 0,
            second_browser_ms: None,
            turned_away: false,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct File {
    v: u32,
    visits: BTreeMap<VisitId, StoredVisit>,
}

/// Reads the visits; a file that is not there means none yet.
pub(crate) fn load(path: &Path) -> io::Result<BTreeMap<VisitId, StoredVisit>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        read => read?,
    };
    let file: File = serde_json::from_slice(&bytes)?;
    if file.v != sealed_visit_protocol::VERSION {
        return Err(io::Error::other(format!(
            "expected file version 1, got {}",
            file.v
        )));
    }
    Ok(file.visits)
}

/// Writes beside the file, syncs, and renames over it.
pub(crate) fn save(path: &Path, visits: &BTreeMap<VisitId, StoredVisit>) -> io::Result<()> {
    let file = File {
        v: sealed_visit_protocol::VERSION,
        visits: visits.clone(),
    };
    let beside = path.with_extension("new");
    let mut out = fs::File::create(&beside)?;
    out.write_all(&serde_json::to_vec(&file)?)?;
    out.sync_all()?;
    fs::rename(&beside, path)
}
