//! `open`: verifies a recording and writes out what was recorded, slice by slice.
//!
//! A WebM file gets a duration and an index afterwards, so that players can jump in it; `--raw` leaves it as it was.
//!
//! A slice is written only after its checkpoint and all of its ciphertext were authenticated. When a track turns out
//! to be altered or torn, what came before stays, and the report says how far it is good.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use sealed_visit::recording::{
    PartReport, PartVerifier, RecordingReport, TrackEnd, TrackOpener, report_recording,
    unwrap_track_key,
};
use sealed_visit::seal::hpke::PrivateKey;
use sealed_visit_protocol::track::{Header, HeaderClaims, TrackKind};
use sealed_visit_protocol::{B64, TrackId};
use serde::Serialize;

use crate::folder::{PartFile, RecordingArguments, RecordingFile, RecordingFolder, TrackFile};
use crate::keys::{beside, read_private};
use crate::output::{Outcome, Output, create};
use crate::passphrase::PassphraseSource;
use crate::verify::{PIECE_BYTES, describe, hand_in_documents, outcome, verify_track};
use crate::webm::{Indexed, WebmError, make_seekable};

/// Verify and open a recording.
#[derive(Args)]
pub struct Open {
    #[command(flatten)]
    recording: RecordingArguments,
    /// A recipient's key file.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Folder to write the opened tracks into; `-` writes one track (--track) to standard output.
    #[arg(long, value_name = "FOLDER|-")]
    out: PathBuf,
    /// Open this track only.
    #[arg(long, allow_hyphen_values = true)]
    // base64url may begin with a hyphen, here and in keys
    track: Option<TrackId>,
    /// A folder whose recording.json has the shares, when the one being opened has none.
    #[arg(long, value_name = "FOLDER")]
    shares: Option<PathBuf>,
    /// Replace files that are there already.
    #[arg(long)]
    force: bool,
    /// Write exactly the bytes that were recorded; otherwise WebM files get a duration and an index.
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    passphrase: PassphraseSource,
}

#[derive(Serialize)]
struct OpenResult {
    ok: bool,
    complete: bool,
    files: Vec<OpenedFile>,
    report: RecordingReport,
}

#[derive(Serialize)]
struct OpenedFile {
    part: u32,
    track: TrackId,
    content: TrackKind,
    media_type: String,
    /// Null on standard output.
    file: Option<PathBuf>,
    /// Of what was recorded; the file is a little longer when it was made seekable.
    size_bytes: u64,
    media_end_us: u64,
    /// Whether players can jump in it; null where that does not apply.
    seekable: Option<bool>,
    /// Length of the media as its frames tell.
    duration_ms: Option<u64>,
}

impl Open {
    pub fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        let to_stdout = self.out.as_os_str() == "-";
        if to_stdout && self.track.is_none() {
            bail!("name the track that goes to standard output: --track ID");
        }
        let folder = RecordingFolder::read(&self.recording)?;
        let shares = self
            .shares
            .as_deref()
            .map(RecordingFile::read)
            .transpose()?;
        let key = read_private(&self.key, &self.passphrase)?;
        if !to_stdout {
            std::fs::create_dir_all(&self.out)
                .with_context(|| format!("making {}", self.out.display()))?;
        }
        let mut files = Vec::new();
        let mut parts = Vec::new();
        for part in &folder.file.parts {
            parts.push(self.open_part(&folder, part, &key, shares.as_ref(), &mut files)?);
        }
        if files.is_empty() {
            bail!("nothing was opened: the recording has no such track here");
        }
        let report = report_recording(parts);
        let result = OpenResult {
            ok: report.ok,
            complete: report.complete,
            files,
            report,
        };
        let text = || {
            let mut text = describe(&result.report);
            for file in &result.files {
                let path = file
                    .file
                    .as_ref()
                    .map_or("-".to_owned(), |path| path.display().to_string());
                text += &format!("{path}: {} bytes of {}\n", file.size_bytes, file.media_type);
            }
            text
        };
        if to_stdout {
            let line = if output.json {
                serde_json::to_string(&result)?
            } else {
                text()
            };
            eprintln!("{}", line.trim_end());
        } else {
            output.result(&result, text)?;
        }
        Ok(outcome(&result.report))
    }

    fn open_part(
        &self,
        folder: &RecordingFolder,
        part: &PartFile,
        key: &PrivateKey,
        shares: Option<&RecordingFile>,
        files: &mut Vec<OpenedFile>,
    ) -> anyhow::Result<PartReport> {
        let mut verifier = PartVerifier::new(&part.open, folder.document_for(part)?)?;
        for track in &part.tracks {
            for envelope in &track.envelopes {
                verifier.envelope(envelope.clone());
            }
            let wanted = self.track.is_none_or(|wanted| wanted == track.track);
            let header = verifier.open_statement().header(track.track).cloned();
            let (Some(mut sealed), Some(header), true) =
                (folder.track(track.track)?, header, wanted)
            else {
                verify_track(&mut verifier, folder, track.track)?;
                continue;
            };
            let share = share_of(track, shares);
            let opener = opener_for(track, &header, key, share)?;
            let (file, mut writer) = self.writer_for(&header)?;
            let (end, size_bytes) = copy_opened(opener, &mut sealed, &mut writer)?;
            drop(writer);
            let indexed = self.index(file.as_deref(), header.claims())?;
            files.push(OpenedFile {
                part: header.claims().part,
                track: track.track,
                content: header.claims().content.clone(),
                media_type: header.claims().media_type.clone(),
                file,
                size_bytes,
                media_end_us: end.state.media_end_us(),
                seekable: indexed.as_ref().map(Option::is_some),
                duration_ms: indexed.flatten().map(|indexed| indexed.duration_ms),
            });
            verifier.track(
                track.track,
                end.state,
                end.error.map(|error| error.to_string()),
            );
        }
        hand_in_documents(&mut verifier, part);
        Ok(verifier.report())
    }

    fn writer_for(&self, header: &Header) -> anyhow::Result<(Option<PathBuf>, Box<dyn Write>)> {
        if self.out.as_os_str() == "-" {
            return Ok((None, Box::new(std::io::stdout().lock())));
        }
        let path = self.out.join(file_name(header));
        // What comes out is a health record: for its owner's eyes.
        let file = create(&path, 0o600, self.force)?;
        Ok((Some(path), Box::new(BufWriter::new(file))))
    }
}

impl Open {
    /// Makes an opened WebM file seekable, in its place. `None` where that does not apply, `Some(None)` where it
    /// could not be done: then the file stays as it was recorded.
    fn index(
        &self,
        file: Option<&Path>,
        header: &HeaderClaims,
    ) -> anyhow::Result<Option<Option<Indexed>>> {
        let Some(path) =
            file.filter(|_| !self.raw && essence(&header.media_type).ends_with("/webm"))
        else {
            return Ok(None);
        };
        let scratch = beside(path, ".indexing");
        let made = File::open(path)
            .map_err(WebmError::from)
            .and_then(|mut recorded| {
                let mut out = create(&scratch, 0o600, true).map_err(std::io::Error::other)?;
                make_seekable(&mut recorded, &mut out)
            });
        match made {
            Ok(indexed) => {
                std::fs::rename(&scratch, path)
                    .with_context(|| format!("writing {}", path.display()))?;
                Ok(Some(Some(indexed)))
            }
            Err(error) => {
                // Half a copy of a health record must not stay behind.
                let _ = std::fs::remove_file(&scratch);
                match error {
                    WebmError::Io(error) => {
                        Err(error).with_context(|| format!("indexing {}", path.display()))
                    }
                    _ => Ok(Some(None)),
                }
            }
        }
    }
}

fn share_of<'a>(track: &'a TrackFile, shares: Option<&'a RecordingFile>) -> Option<&'a B64> {
    let elsewhere = shares
        .iter()
        .flat_map(|file| &file.parts)
        .flat_map(|part| &part.tracks)
        .find(|other| other.track == track.track)
        .map(|other| &other.share);
    [Some(&track.share), elsewhere]
        .into_iter()
        .flatten()
        .find(|share| !share.0.is_empty())
}

/// An opener with the newest envelope that works for this key.
fn opener_for(
    track: &TrackFile,
    header: &Header,
    key: &PrivateKey,
    share: Option<&B64>,
) -> anyhow::Result<TrackOpener> {
    let share = share.map(B64::as_slice);
    let mut error = None;
    for envelope in track.envelopes.iter().rev() {
        match unwrap_track_key(envelope, header, key, share) {
            Ok(track_key) => return Ok(TrackOpener::new(header.clone(), track_key)),
            Err(refused) => error = error.or(Some(refused)),
        }
    }
    match error {
        Some(error) => Err(error).with_context(|| format!("track {}", track.track)),
        None => bail!("track {} has no envelope", track.track),
    }
}

/// Writes every slice as soon as it is verified. Only the disk and the pipe can fail here.
fn copy_opened(
    mut opener: TrackOpener,
    sealed: &mut File,
    writer: &mut dyn Write,
) -> anyhow::Result<(TrackEnd, u64)> {
    let mut buffer = vec![0; PIECE_BYTES];
    let mut size_bytes = 0;
    let mut written = Ok(());
    loop {
        let length = sealed.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        let fed = opener.feed(&buffer[..length], |segment| {
            if written.is_ok() {
                size_bytes += segment.plaintext.len() as u64;
                written = writer.write_all(&segment.plaintext);
            }
        });
        written = written.and_then(|()| writer.flush());
        if fed.is_err() || written.is_err() {
            break;
        }
    }
    written.context("writing what was opened")?;
    Ok((opener.finish(), size_bytes))
}

/// e.g. `part-0-mixed.webm`, `part-0-events.jsonl`, `part-1-participant-<id>.ogg`.
fn file_name(header: &Header) -> String {
    let said = header.claims();
    let content = match &said.content {
        TrackKind::Mixed => "mixed".to_owned(),
        TrackKind::Participant { participant } => {
            format!("participant-{participant}-{}", said.track)
        }
        TrackKind::Events => "events".to_owned(),
    };
    let ending = match essence(&said.media_type).as_str() {
        "video/webm" | "audio/webm" => "webm",
        "video/mp4" => "mp4",
        "audio/mp4" => "m4a",
        "audio/ogg" => "ogg",
        "application/x-ndjson" => "jsonl",
        _ => "bin",
    };
    format!("part-{}-{content}.{ending}", said.part)
}

/// A media type without its parameters.
fn essence(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}
