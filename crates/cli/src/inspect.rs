//! `inspect`: what a file or a recording says of itself, without believing any of it.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use sealed_visit_protocol::bytes::from_base64url;
use sealed_visit_protocol::track::{MAGIC, TrackEvent, TrackState};
use serde_json::{Value, json};

use crate::folder::RecordingFile;
use crate::jwe;
use crate::output::{Outcome, Output};

/// A signed document is larger than this only by attack.
const MAX_TEXT_BYTES: u64 = 16 << 20;

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
            let pretty = serde_json::to_string_pretty(&said).unwrap_or_default();
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
                "file": if path.exists() { inspect_file(&path)? } else { Value::Null },
            }));
        }
        parts.push(json!({
            "open": inspect_jws(part.open.as_str())?,
            "manifest": part.manifest.as_ref().map(|jws| inspect_jws(jws.as_str())).transpose()?,
            "closing": part.closing.as_ref().map(|jws| inspect_jws(jws.as_str())).transpose()?,
            "receipt": part.receipt.as_ref().map(|jws| inspect_jws(jws.as_str())).transpose()?,
            "tracks": tracks,
        }));
    }
    Ok(json!({ "kind": "recording", "recording": file.recording, "parts": parts }))
}

fn inspect_file(path: &Path) -> anyhow::Result<Value> {
    let mut file =
        std::fs::File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let mut first = Vec::new();
    (&mut file)
        .take(MAGIC.len() as u64)
        .read_to_end(&mut first)?;
    // The last byte is the version; an unknown one is for the verifier to refuse.
    if first.starts_with(&MAGIC[..MAGIC.len() - 1]) {
        return inspect_track(first, file);
    }
    let mut text = String::from_utf8(first).unwrap_or_default();
    (&mut file)
        .take(MAX_TEXT_BYTES)
        .read_to_string(&mut text)
        .with_context(|| format!("{} is no track and no text", path.display()))?;
    let text = text.trim();
    match text.split('.').count() {
        _ if text.starts_with('{') => {
            Ok(json!({ "kind": "json", "content": serde_json::from_str::<Value>(text)? }))
        }
        5 => Ok(json!({ "kind": "protected-file", "content_type": jwe::content_type(text)? })),
        3 => inspect_jws(text),
        _ => bail!("{} is nothing that this tool knows", path.display()),
    }
}

fn inspect_track(first: Vec<u8>, mut file: std::fs::File) -> anyhow::Result<Value> {
    let mut state = TrackState::new();
    let mut segments = Vec::new();
    let mut on_event = |event| {
        if let TrackEvent::Segment {
            checkpoint,
            segment,
            ..
        } = event
        {
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
        let length = file.read(&mut buffer)?;
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
    }))
}

fn inspect_jws(text: &str) -> anyhow::Result<Value> {
    let part = |index: usize| -> anyhow::Result<Value> {
        let part = text
            .split('.')
            .nth(index)
            .and_then(from_base64url)
            .context("not a signed document")?;
        serde_json::from_slice(&part).context("not a signed document")
    };
    Ok(json!({ "kind": "signed-document", "header": part(0)?, "claims": part(1)? }))
}
