//! `verify`: how far a recording is good, without any secret.

use std::io::Read;

use clap::Args;
use sealed_visit_protocol::TrackId;
use sealed_visit_recording::{
    Ending, PartReport, PartVerifier, Problem, ReceiptState, RecordingReport, TrackFollower,
    report_recording,
};

use crate::files;
use crate::folder::{PartFile, RecordingArguments, RecordingFolder};
use crate::output::{Outcome, Output};
use crate::text::shown;

/// Bytes read at a time.
pub const PIECE_BYTES: usize = 256 * 1024;

/// Verify a recording without opening it.
#[derive(Args)]
pub struct Verify {
    #[command(flatten)]
    recording: RecordingArguments,
}

impl Verify {
    pub fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        let folder = RecordingFolder::read(&self.recording)?;
        let mut parts = Vec::new();
        for part in &folder.file.parts {
            parts.push(verify_part(&folder, part)?);
        }
        let report = report_recording(parts);
        output.result(&report, || describe(&report))?;
        Ok(outcome(&report))
    }
}

fn verify_part(folder: &RecordingFolder, part: &PartFile) -> anyhow::Result<PartReport> {
    let mut verifier = begin_part(folder, part)?;
    for track in &part.tracks {
        for envelope in &track.envelopes {
            verifier.envelope(track.track, envelope.clone());
        }
        verify_track(&mut verifier, folder, track.track)?;
    }
    hand_in_documents(&mut verifier, part);
    Ok(verifier.report())
}

/// The open statement of a part, without which nothing of it can be judged.
pub fn begin_part(folder: &RecordingFolder, part: &PartFile) -> anyhow::Result<PartVerifier> {
    let verifier = PartVerifier::new(&part.open, folder.document_for(part)?);
    let mut verifier = verifier.map_err(|error| folder.open_refused(part, error))?;
    verifier.listed_as(folder.file.recording, part.part);
    Ok(verifier)
}

/// Follows a track's chain to its end; one that is not there is left for the report.
pub fn verify_track(
    verifier: &mut PartVerifier,
    folder: &RecordingFolder,
    track: TrackId,
) -> anyhow::Result<()> {
    let Some(mut file) = folder.track(track)? else {
        verifier.track_not_here(track);
        return Ok(());
    };
    let mut follower = TrackFollower::new(verifier.open_statement().header(track));
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let length = file
            .read(&mut buffer)
            .map_err(|error| files::unreadable(&folder.track_path(track), &error))?;
        if length == 0 || follower.feed(&buffer[..length]).is_err() {
            break;
        }
    }
    verifier.track(track, follower.finish());
    Ok(())
}

/// Manifest, closing record and receipt.
pub fn hand_in_documents(verifier: &mut PartVerifier, part: &PartFile) {
    if let Some(manifest) = &part.manifest {
        verifier.manifest(manifest.clone());
    }
    if let Some(closing) = &part.closing {
        verifier.closing(closing.clone());
    }
    if let Some(receipt) = &part.receipt {
        verifier.receipt(receipt.clone());
    }
}

pub fn outcome(report: &RecordingReport) -> Outcome {
    match (report.ok, report.complete) {
        (false, _) => Outcome::Refused,
        (true, false) => Outcome::Incomplete,
        (true, true) => Outcome::Well,
    }
}

/// The report in words.
pub fn describe(report: &RecordingReport) -> String {
    let verdict = match outcome(report) {
        Outcome::Well => "Genuine and complete.",
        Outcome::Incomplete => "Genuine as far as it goes, but incomplete.",
        Outcome::Refused | Outcome::Partly(_) => {
            "REFUSED: something was altered or does not belong here."
        }
    };
    let mut text = format!("{verdict} {} of media.\n", seconds(report.media_us));
    if let Some(part) = report.parts.first() {
        text += &format!("Recording {}\n", part.recording);
    }
    for part in &report.parts {
        text += &describe_part(part);
        if let Some(pause) = report
            .pauses
            .iter()
            .find(|pause| pause.after_part == part.part)
        {
            let pause_us = pause.to_ms.saturating_sub(pause.from_ms) * 1000;
            text += &format!("  then {} without a recording\n", seconds(pause_us));
        }
    }
    report
        .problems
        .iter()
        .for_each(|problem| text += &describe_problem(problem));
    text
}

fn describe_part(part: &PartReport) -> String {
    let ending = match part.ending {
        Ending::Finished { reason, .. } => format!("finished ({reason:?})"),
        Ending::ClosedByVault { reason, .. } => format!("closed by the vault ({reason:?})"),
        Ending::Open => "no end was signed".to_owned(),
    };
    let receipt = match part.receipt {
        ReceiptState::Missing => "no receipt",
        ReceiptState::Valid => "receipt valid",
        ReceiptState::CoversMore => "receipt for more than is here",
        ReceiptState::Invalid => "receipt NOT valid",
    };
    let mut text = format!(
        "Part {}: {ending}, {receipt}, {} grants\n",
        part.part,
        part.granted_by.len()
    );
    for stated in &part.places {
        let word = match stated.confirmed {
            true => "confirmed by the host",
            false => "not confirmed",
        };
        text += &format!(
            "  {} was in {} ({word})\n",
            stated.participant,
            shown(&stated.place)
        );
    }
    for track in &part.tracks {
        text += &format!(
            "  {} {}: good for {} in {} segments, {} bytes",
            track.track,
            shown(&track.media_type),
            seconds(track.media_end_us),
            track.segments,
            track.verified_bytes
        );
        if track.unverified_bytes > 0 {
            text += &format!("; {} bytes after that are not", track.unverified_bytes);
        }
        text += "\n";
        for gap in &track.gaps {
            text += &format!(
                "    gap from {} to {}: {}\n",
                seconds(gap.from_us),
                seconds(gap.to_us),
                shown(&gap.reason)
            );
        }
    }
    part.problems
        .iter()
        .for_each(|problem| text += &describe_problem(problem));
    text
}

fn describe_problem(problem: &Problem) -> String {
    let track = problem
        .track
        .map(|track| format!("track {track}: "))
        .unwrap_or_default();
    format!(
        "  ! {track}{} ({})\n",
        shown(&problem.message),
        problem.code.as_str()
    )
}

fn seconds(us: u64) -> String {
    format!("{}.{:03} s", us / 1_000_000, us / 1_000 % 1_000)
}
