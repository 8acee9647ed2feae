//! `inspect`: shows what a file or recording claims, without verifying it.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use sealed_visit_protocol::Jws;
use sealed_visit_protocol::bytes::from_base64url;
use sealed_visit_protocol::track::{MAGIC, TrackEvent, TrackState};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::files::{self, MAX_RECORDING_BYTES};
use crate::folder::RecordingFile;
use crate::jwe;
use crate::output::{Outcome, Output};
use crate::text::{shown, to_pretty_json};

/// More segments than anybody reads: ten hours in slices of a second.
const MAX_LISTED_SEGMENTS: usize = 36_000;
/// Members that hold a secret, in JSON files that may be inspected.
const SECRET_MEMBERS: [&str; 4] = ["share", "private_key", "seed", "d"];

/// Show what a file or a recording says of itself.
#[derive(Args)]
pub struct Inspect {
    /// A recording's folder, a track, a signed document (.jws), a key file or a public key file.
    path: PathBuf,
}

impl Inspect {
    pub fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        let said = if self.path.is_dir() {
            inspect_folder(&self.path)?
        } else {
            inspect_file(&self.path)?
        };
        let result = json!({ "ok": true, "verified": false, "says": said });
        output.result(&result, || {
            let pretty = to_pretty_json(&said).unwrap_or_default();
            format!("Nothing of this is verified:\n{pretty}")
        })?;
        Ok(Outcome::Well)
    }
}

fn inspect_folder(folder: &Path) -> anyhow::Result<Value> {
    let file = RecordingFile::read(folder)?;
    let mut parts = Vec::new();
    for part in &file.parts {
        let mut tracks = Vec::new();
        for track in &part.tracks {
            let path = folder.join(format!("{}.track", track.track));
            tracks.push(json!({
                "track": track.track,
                "envelopes": track.envelopes.len(),
                "share": !track.share.0.is_empty(),
                "file": match path.symlink_metadata() {
                    Ok(_) => inspect_file(&path)?,
                    Err(_) => Value::Null,
                },
            }));
        }
        let document = |name: &str, text: Option<&str>| {
            text.map(inspect_jws).transpose().with_context(|| {
                let file = shown(folder.join("recording.json").display());
                let message = format!("part {} of {file}: {name}", parts.len());
                Failure::new(Exit::Unreadable, message)
            })
        };
        let manifest = part.manifest.as_ref().map(Jws::as_str);
        let closing = part.closing.as_ref().map(Jws::as_str);
        let receipt = part.receipt.as_ref().map(Jws::as_str);
        parts.push(json!({
            "open": document("the open statement", Some(part.open.as_str()))?,
            "manifest": document("the manifest", manifest)?,
            "closing": document("the closing record", closing)?,
            "receipt": document("the receipt", receipt)?,
            "tracks": tracks,
        }));
    }
    Ok(json!({ "kind": "recording", "recording": file.recording, "parts": parts }))
}

fn inspect_file(path: &Path) -> anyhow::Result<Value> {
    let mut file = files::open(path)?;
    let first = files::read_from(
        path,
        (&mut file).take(MAGIC.len() as u64),
        MAGIC.len() as u64,
    )?;
    // The last byte is the version; an unknown one is for the verifier to refuse.
    if first.starts_with(&MAGIC[..MAGIC.len() - 1]) {
        return inspect_track(path, first, file);
    }
    let unknown = || {
        let message = format!(
            "{} is not a file that this tool knows",
            shown(path.display())
        );
        Failure::new(Exit::Unreadable, message)
    };
    let rest = files::read_from(path, file, MAX_RECORDING_BYTES)?;
    let text = String::from_utf8([first, rest].concat()).with_context(unknown)?;
    let text = text.trim();
    match text.split('.').count() {
        _ if text.starts_with('{') => {
            let mut content: Value = serde_json::from_str(text).with_context(unknown)?;
            hide_secrets(&mut content);
            Ok(json!({ "kind": "json", "content": content }))
        }
        5 => Ok(json!({
            "kind": "protected-file",
            "content_type": jwe::content_type(text).with_context(unknown)?,
        })),
        3 => inspect_jws(text).with_context(unknown),
        _ => Err(unknown().into()),
    }
}

/// Leaves that there is one, and not which.
fn hide_secrets(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if SECRET_MEMBERS.contains(&name.as_str()) && value.is_string() {
                    *value = Value::Bool(value.as_str() != Some(""));
                } else {
                    hide_secrets(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(hide_secrets),
        _ => {}
    }
}

fn inspect_track(path: &Path, first: Vec<u8>, mut file: std::fs::File) -> anyhow::Result<Value> {
    let mut state = TrackState::new();
    let mut segments = Vec::new();
    let mut unlisted = 0_u64;
    let mut on_event = |event| {
        if let TrackEvent::Segment {
            checkpoint,
            segment,
            ..
        } = event
        {
            if segments.len() == MAX_LISTED_SEGMENTS {
                unlisted += 1;
                return;
            }
            segments.push(json!({
                "index": segment.index,
                "offset": segment.offset,
                "size_bytes": segment.size_bytes,
                "media_end_us": checkpoint.media_end_us,
                "at_ms": checkpoint.at_ms,
            }));
        }
    };
    let mut fed = state.feed(&first, &mut on_event);
    let mut buffer = vec![0; 256 * 1024];
    while fed.is_ok() {
        let length = file
            .read(&mut buffer)
            .map_err(|error| files::unreadable(path, &error))?;
        if length == 0 {
            break;
        }
        fed = state.feed(&buffer[..length], &mut on_event);
    }
    Ok(json!({
        "kind": "track",
        "header": state.header().map(|header| header.claims()),
        "consistent_bytes": state.verified_bytes(),
        "other_bytes": state.offset() - state.verified_bytes(),
        "media_end_us": state.media_end_us(),
        "stopped_by": fed.err().map(|error| error.to_string()),
        "segments": segments,
        "segments_not_listed": unlisted,
    }))
}

fn inspect_jws(text: &str) -> anyhow::Result<Value> {
    let not_signed = || Failure::new(Exit::Unreadable, "not a signed document");
    let part = |index: usize| -> anyhow::Result<Value> {
        let part = text
            .split('.')
            .nth(index)
            .and_then(from_base64url)
            .ok_or_else(not_signed)?;
        serde_json::from_slice(&part).with_context(not_signed)
    };
    Ok(json!({ "kind": "signed-document", "header": part(0)?, "claims": part(1)? }))
}
