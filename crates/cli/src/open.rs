//! `open`: verifies a recording and writes out what was recorded, slice by slice.
//!
//! A WebM file gets a duration and an index afterwards, so that players can jump in it; `--raw` leaves it as it was.
//!
//! A slice is written only after its checkpoint and all of its ciphertext were authenticated. When a track turns out
//! to be altered or torn, what came before stays, and the report says how far it is good.
//!
//! Files get their names together, when everything is written: a run that fails or is interrupted leaves none. A track
//! that this key or the vault does not open keeps the others from nothing.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Read, Seek as _, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use sealed_visit_protocol::track::{Header, TrackKind};
use sealed_visit_protocol::{B64, ClinicDocument, TrackId};
use sealed_visit_recording::seal::hpke::PrivateKey;
use sealed_visit_recording::{
    OpenTrackError, PartReport, RecordingReport, TrackEnd, TrackOpener, report_recording,
    unwrap_track_key,
};
use serde::Serialize;

use crate::clinic::spoken;
use crate::exit::{Exit, Failure, exit_of, message_of};
use crate::files;
use crate::folder::{PartFile, RecordingArguments, RecordingFile, RecordingFolder, TrackFile};
use crate::keys::read_private;
use crate::output::{Outcome, Output, say};
use crate::partial::{PartialFile, create_folder, place_all, sweep};
use crate::passphrase::PassphraseSource;
use crate::text::shown;
use crate::verify::{PIECE_BYTES, begin_part, describe, hand_in_documents, outcome, verify_track};
use crate::webm::{Indexed, Indexer, WebmError};

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
    /// Tracks that are here and could not be opened.
    not_opened: Vec<NotOpened>,
    report: RecordingReport,
}

#[derive(Serialize)]
struct NotOpened {
    part: u32,
    track: TrackId,
    code: &'static str,
    error: String,
    #[serde(skip)]
    exit: Exit,
}

/// What a run collects on its way.
#[derive(Default)]
struct Progress {
    files: Vec<OpenedFile>,
    not_opened: Vec<NotOpened>,
    /// Of the first track that could not be opened, for when there is no other.
    failure: Option<anyhow::Error>,
    pending: Vec<PartialFile>,
    names: HashSet<PathBuf>,
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
        if to_stdout {
            self.check_stdout()?;
        }
        let folder = RecordingFolder::read(&self.recording)?;
        let shares = self
            .shares
            .as_deref()
            .map(RecordingFile::read)
            .transpose()?;
        let key = read_private(&self.key, &self.passphrase)?;
        if !to_stdout {
            create_folder(&self.out, 0o700)?;
            for path in sweep(&self.out) {
                let path = shown(path.display());
                say(&format!(
                    "removed {path}, which an earlier run left when it was killed"
                ));
            }
        }
        let mut progress = Progress::default();
        let mut parts = Vec::new();
        for part in &folder.file.parts {
            parts.push(self.open_part(&folder, part, &key, shares.as_ref(), &mut progress)?);
        }
        if progress.files.is_empty() {
            return Err(progress.failure.unwrap_or_else(|| self.nothing_opened()));
        }
        place_all(progress.pending)?;
        let report = report_recording(parts);
        let first_refusal = progress.not_opened.first().map(|track| track.exit);
        let result = OpenResult {
            ok: report.ok && first_refusal.is_none(),
            complete: report.complete && first_refusal.is_none(),
            files: progress.files,
            not_opened: progress.not_opened,
            report,
        };
        if to_stdout {
            output.result_aside(&result, || in_words(&result))?;
        } else {
            output.result(&result, || in_words(&result))?;
        }
        // What is altered matters more than what stayed shut.
        Ok(match (outcome(&result.report), first_refusal) {
            (Outcome::Well | Outcome::Incomplete, Some(exit)) => Outcome::Partly(exit),
            (outcome, _) => outcome,
        })
    }

    fn check_stdout(&self) -> Result<(), Failure> {
        if self.track.is_none() {
            return Err(
                Failure::new(Exit::Usage, "standard output takes one track only")
                    .next("Name it with --track ID."),
            );
        }
        if io::stdout().is_terminal() {
            return Err(Failure::new(
                Exit::Usage,
                "what was recorded is not written to a terminal",
            )
            .next("Redirect standard output, or name a folder with --out."));
        }
        Ok(())
    }

    fn nothing_opened(&self) -> anyhow::Error {
        let folder = shown(self.recording.folder.display());
        let message = match self.track {
            Some(track) => format!("nothing was opened: {folder} has no track {track}"),
            None => format!("nothing was opened: {folder} has no track files"),
        };
        Failure::new(Exit::Unreadable, message)
            .next(
                "Fetch the missing .track files from the vault; `sealed-visit verify` lists them.",
            )
            .into()
    }

    fn open_part(
        &self,
        folder: &RecordingFolder,
        part: &PartFile,
        key: &PrivateKey,
        shares: Option<&RecordingFile>,
        progress: &mut Progress,
    ) -> anyhow::Result<PartReport> {
        let mut verifier = begin_part(folder, part)?;
        if !verifier.may_open() {
            let message = format!(
                "part {} was recorded under another clinic document than those given, or one that was not valid then",
                part.part
            );
            return Err(Failure::new(Exit::Tampered, message)
                .next("Give the clinic document of that time with --clinic FILE.")
                .into());
        }
        for track in &part.tracks {
            for envelope in &track.envelopes {
                verifier.envelope(track.track, envelope.clone());
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
            let opener = match opener_for(track, &header, key, share) {
                Ok(opener) => opener,
                Err(error) => {
                    let error = self.why_not(error, &header, key, folder.document_for(part)?);
                    progress.not_opened.push(NotOpened {
                        part: header.claims().part,
                        track: track.track,
                        code: exit_of(&error).name(),
                        error: message_of(&error),
                        exit: exit_of(&error),
                    });
                    progress.failure.get_or_insert(error);
                    verify_track(&mut verifier, folder, track.track)?;
                    continue;
                }
            };
            let path = folder.track_path(track.track);
            let again = || Ok(opener_for(track, &header, key, share)?);
            let (end, opened) =
                self.write_track(opener, &again, &path, &mut sealed, &header, progress)?;
            progress.files.push(opened);
            verifier.track(track.track, end);
        }
        hand_in_documents(&mut verifier, part);
        Ok(verifier.report())
    }

    /// Writes an opened track to standard output, or to a file that has no name yet. `again` opens it from the beginning.
    fn write_track(
        &self,
        opener: TrackOpener,
        again: &dyn Fn() -> anyhow::Result<TrackOpener>,
        path: &Path,
        sealed: &mut File,
        header: &Header,
        progress: &mut Progress,
    ) -> anyhow::Result<(TrackEnd, OpenedFile)> {
        let said = header.claims();
        let mut opened = OpenedFile {
            part: said.part,
            track: said.track,
            content: said.content.clone(),
            media_type: said.media_type.clone(),
            file: None,
            size_bytes: 0,
            media_end_us: 0,
            seekable: None,
            duration_ms: None,
        };
        let end;
        if self.out.as_os_str() == "-" {
            (end, opened.size_bytes) = copy_opened(
                opener,
                path,
                sealed,
                &mut io::stdout().lock(),
                &stdout_failed,
            )?;
        } else {
            let target = progress.claim(&self.out, header);
            let name = shown(target.display());
            let failed = |error| write_failed(&name, error);
            let mut file = self.create(&target)?;
            let wants_index = !self.raw && essence(&said.media_type).ends_with("/webm");
            if wants_index {
                let mut seekable = Seekable::new(file).map_err(failed)?;
                let first = copy_opened(opener, path, sealed, &mut seekable, &failed)?;
                let indexed = seekable.finish().map_err(failed)?;
                opened.seekable = Some(indexed.is_some());
                file = match indexed {
                    Some((file, indexed)) => {
                        (end, opened.size_bytes) = first;
                        opened.duration_ms = Some(indexed.duration_ms);
                        file
                    }
                    // Then the file is what was recorded, byte for byte, and the verdict is about what was read for it.
                    None => {
                        let mut file = self.create(&target)?;
                        sealed
                            .rewind()
                            .map_err(|error| files::unreadable(path, &error))?;
                        (end, opened.size_bytes) =
                            copy_opened(again()?, path, sealed, &mut file, &failed)?;
                        file
                    }
                };
            } else {
                (end, opened.size_bytes) = copy_opened(opener, path, sealed, &mut file, &failed)?;
            }
            opened.file = Some(target);
            progress.pending.push(file);
        }
        opened.media_end_us = end.state.media_end_us();
        Ok((end, opened))
    }

    /// What comes out is a health record: for its owner's eyes.
    fn create(&self, target: &Path) -> anyhow::Result<PartialFile> {
        PartialFile::create(target, 0o600, self.force).map_err(|error| {
            let force = "Use --force to replace files, or another folder with --out.";
            match Failure::of(&error).is_some_and(|failure| failure.exit == Exit::Refused) {
                true => Failure::new(Exit::Refused, message_of(&error))
                    .next(force)
                    .into(),
                false => error,
            }
        })
    }

    /// Names the key, the track and its part, and who can open it.
    fn why_not(
        &self,
        error: OpenTrackError,
        header: &Header,
        key: &PrivateKey,
        clinic: &ClinicDocument,
    ) -> anyhow::Error {
        let said = header.claims();
        let key_file = shown(self.key.display());
        let track = format!("track {} of part {}", said.track, said.part);
        let failure = match &error {
            OpenTrackError::NotARecipient => {
                let list = said.recipients.iter().map(|fingerprint| {
                    let mut listed = clinic.claims().recipients.iter();
                    let role = listed
                        .find(|listed| listed.fingerprint == *fingerprint)
                        .and_then(|listed| serde_json::to_value(listed.role).ok());
                    let role = role.as_ref().and_then(|role| role.as_str());
                    format!("{} ({})", role.unwrap_or("recipient"), spoken(fingerprint))
                });
                let list: Vec<String> = list.collect();
                let own = key.public_key().fingerprint();
                Failure::new(
                    Exit::WrongKey,
                    format!("{key_file} ({own}) does not open {track}, which is sealed to {}", list.join(", ")),
                )
                .next("Use the key file of one of these recipients.")
            }
            OpenTrackError::ShareNeeded => Failure::new(
                Exit::NoShare,
                format!(
                    "{} has no share of {track}: the vault refused it, or destroyed it after a deletion",
                    shown(self.recording.folder.join("recording.json").display())
                ),
            )
            .next("Ask the vault to open the recording, or name a folder that has the shares with --shares."),
            _ => Failure::new(Exit::Tampered, format!("{track} does not open with {key_file}"))
                .next("Fetch the recording from the vault again; if that does not help, do not rely on it."),
        };
        anyhow::Error::new(error).context(failure)
    }
}

impl Progress {
    /// A name that no other track of this run has.
    fn claim(&mut self, folder: &Path, header: &Header) -> PathBuf {
        let (name, ending) = file_name(header);
        let plain = folder.join(format!("{name}.{ending}"));
        let path = match self.names.contains(&plain) {
            true => folder.join(format!("{name}-{}.{ending}", header.claims().track)),
            false => plain,
        };
        self.names.insert(path.clone());
        path
    }
}

fn in_words(result: &OpenResult) -> String {
    let mut text = describe(&result.report);
    for file in &result.files {
        let path = file
            .file
            .as_ref()
            .map_or("-".to_owned(), |path| shown(path.display()));
        text += &format!(
            "{path}: {} bytes of {}\n",
            file.size_bytes,
            shown(&file.media_type)
        );
    }
    for track in &result.not_opened {
        text += &format!("NOT OPENED: {}\n", shown(&track.error));
    }
    text
}

fn stdout_failed(error: io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::BrokenPipe {
        return Failure::new(Exit::Interrupted, "the reader of standard output went away").into();
    }
    write_failed("standard output", error)
}

fn write_failed(name: &str, error: io::Error) -> anyhow::Error {
    let failure = Failure::new(Exit::Failed, format!("cannot write {name}"))
        .next("No file was kept. Free some space or choose another folder, then run the same command again.");
    anyhow::Error::new(error).context(failure)
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
) -> Result<TrackOpener, OpenTrackError> {
    let share = share.map(B64::as_slice);
    let mut error = None;
    for envelope in track.envelopes.iter().rev() {
        match unwrap_track_key(envelope, header, key, share) {
            Ok(track_key) => return Ok(TrackOpener::new(header.clone(), track_key)),
            Err(refused) => error = error.or(Some(refused)),
        }
    }
    Err(error.unwrap_or(OpenTrackError::NotARecipient))
}

/// Writes every slice as soon as it is verified. Only disks and pipes can fail here.
fn copy_opened(
    mut opener: TrackOpener,
    path: &Path,
    sealed: &mut File,
    writer: &mut dyn Write,
    failed: &dyn Fn(io::Error) -> anyhow::Error,
) -> anyhow::Result<(TrackEnd, u64)> {
    let mut buffer = vec![0; PIECE_BYTES];
    let mut size_bytes = 0;
    let mut written = Ok(());
    loop {
        let length = sealed
            .read(&mut buffer)
            .map_err(|error| files::unreadable(path, &error))?;
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
    written.map_err(failed)?;
    Ok((opener.finish(), size_bytes))
}

/// Makes WebM seekable while it is written. Where that cannot be done, what is written is of no use, and `finish` says so.
struct Seekable {
    indexer: Option<Indexer<PartialFile>>,
}

impl Seekable {
    fn new(file: PartialFile) -> io::Result<Self> {
        let indexer = io_only(Indexer::new(file))?;
        Ok(Self { indexer })
    }

    fn finish(self) -> io::Result<Option<(PartialFile, Indexed)>> {
        match self.indexer {
            Some(indexer) => io_only(indexer.finish()),
            None => Ok(None),
        }
    }
}

impl Write for Seekable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(indexer) = &mut self.indexer
            && io_only(indexer.feed(bytes))?.is_none()
        {
            self.indexer = None;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `None` where the file is at fault, and not the disk.
fn io_only<T>(result: Result<T, WebmError>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(WebmError::Io(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Name and ending, e.g. `part-0-mixed.webm`, `part-0-events.jsonl`, `part-1-participant-<id>.ogg`.
fn file_name(header: &Header) -> (String, &'static str) {
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
    (format!("part-{}-{content}", said.part), ending)
}

/// A media type without its parameters.
fn essence(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}
