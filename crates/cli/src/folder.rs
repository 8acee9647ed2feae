//! A recording as a folder: what the vault hands out, and nothing renamed.
//!
//! ```text
//! recording.json     the vault's answer to "open": documents and shares of every part
//! clinic.jws         the clinic document; several may stand there, as clinic*.jws
//! <track id>.track   the sealed tracks
//! ```

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sealed_visit_protocol::jws::JwsError;
use sealed_visit_protocol::recording::{
    ClosingClaims, EnvelopeClaims, ManifestClaims, OpenClaims, OpenError, ReceiptClaims,
};
use sealed_visit_protocol::{B64, ClinicDocument, Jws, RecordingId, TrackId};
use serde::Deserialize;

use crate::clinic::{read_document, read_root_key};
use crate::exit::{Exit, Failure};
use crate::files::{self, MAX_RECORDING_BYTES, read_text};
use crate::text::shown;
use clap::Args;

/// Where a recording is, and which key to trust.
#[derive(Args)]
pub struct RecordingArguments {
    /// Folder with recording.json, the tracks, and the clinic document.
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// The clinic's pinned root key: the file root.pub, or its content.
    #[arg(
        long,
        env = "SEALED_VISIT_ROOT",
        value_name = "FILE|KEY",
        allow_hyphen_values = true
    )]
    pub root: PathBuf,
    /// A clinic document besides those in the folder; can be given several times.
    #[arg(long, value_name = "FILE")]
    pub clinic: Vec<PathBuf>,
}

/// `recording.json`.
#[derive(Deserialize)]
pub struct RecordingFile {
    pub recording: RecordingId,
    pub parts: Vec<PartFile>,
}

#[derive(Deserialize)]
pub struct PartFile {
    /// Compared with what was signed.
    pub part: u32,
    pub open: Jws<OpenClaims>,
    #[serde(default)]
    pub manifest: Option<Jws<ManifestClaims>>,
    #[serde(default)]
    pub closing: Option<Jws<ClosingClaims>>,
    #[serde(default)]
    pub receipt: Option<Jws<ReceiptClaims>>,
    pub tracks: Vec<TrackFile>,
}

#[derive(Deserialize)]
pub struct TrackFile {
    pub track: TrackId,
    /// Secret; empty or missing when there is none.
    #[serde(default)]
    pub share: B64,
    /// Oldest first.
    #[serde(default)]
    pub envelopes: Vec<Jws<EnvelopeClaims>>,
}

/// A recording's folder, parsed and not yet believed.
pub struct RecordingFolder {
    path: PathBuf,
    pub file: RecordingFile,
    documents: Vec<ClinicDocument>,
}

impl RecordingFile {
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("recording.json");
        // Not `serde_json` alone: a member that stands twice is refused here as in signed documents.
        let text = read_text(&path, MAX_RECORDING_BYTES)?;
        sealed_visit_protocol::json::from_slice(text.as_bytes()).with_context(|| {
            let path = shown(path.display());
            let message = format!("{path} is not a vault's answer to a request for a recording");
            Failure::new(Exit::Unreadable, message)
                .problem("recording-unreadable")
                .next("Fetch the recording from the vault again.")
        })
    }
}

impl RecordingFolder {
    /// Reads the documents; every clinic document must verify under the root key.
    pub fn read(arguments: &RecordingArguments) -> anyhow::Result<Self> {
        let root = read_root_key(&arguments.root)?;
        let mut documents = Vec::new();
        for path in clinic_files(&arguments.folder)?
            .iter()
            .chain(&arguments.clinic)
        {
            documents.push(read_document(path, &root)?);
        }
        if documents.is_empty() {
            let message = format!(
                "{} has no clinic document",
                shown(arguments.folder.display())
            );
            return Err(Failure::new(Exit::Unreadable, message)
                .next("Put clinic.jws into the folder, or give --clinic FILE.")
                .into());
        }
        Ok(Self {
            path: arguments.folder.clone(),
            file: RecordingFile::read(&arguments.folder)?,
            documents,
        })
    }

    /// The clinic document that a part was made under, or else the newest there is.
    pub fn document_for(&self, part: &PartFile) -> anyhow::Result<&ClinicDocument> {
        let wanted = part
            .open
            .unverified_claims()
            .map_err(|error| self.open_refused(part, error.into()))?
            .clinic;
        let newest = || {
            self.documents
                .iter()
                .max_by_key(|document| document.claims().number)
        };
        self.documents
            .iter()
            .find(|document| document.hash() == wanted)
            .or_else(newest)
            .context("no clinic document")
    }

    /// Says which open statement is refused: nothing of its part can be judged without it.
    pub fn open_refused(&self, part: &PartFile, error: OpenError) -> anyhow::Error {
        let file = shown(self.path_of("recording.json").display());
        let statement = format!("the open statement of part {} in {file}", part.part);
        let failure = match &error {
            OpenError::Jws(JwsError::UnknownVersion { .. }) => {
                Failure::new(Exit::Unreadable, format!("{statement} is of a later version"))
                    .next("Use a newer version of this program.")
            }
            _ => Failure::new(Exit::Tampered, format!("{statement} is refused"))
                .next("Fetch the recording from the vault again; if that does not help, do not rely on it."),
        };
        anyhow::Error::new(error).context(failure.problem("open-statement-refused"))
    }

    /// The sealed track; `None` when it is not there.
    pub fn track(&self, track: TrackId) -> anyhow::Result<Option<File>> {
        let path = self.track_path(track);
        // A link that leads nowhere is a broken copy, not a missing track.
        match path.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            _ => files::open(&path).map(Some),
        }
    }

    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn track_path(&self, track: TrackId) -> PathBuf {
        self.path_of(&format!("{track}.track"))
    }
}

fn clinic_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| files::unreadable(folder, &error))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| files::unreadable(folder, &error))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("clinic") && name.ends_with(".jws") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}
