//! `sealed-visit`: the clinic's tool. It makes keys, signs the clinic document, and inspects, verifies and opens
//! recordings. It never uses the network: files in, files out.
//!
//! | module | what |
//! |---|---|
//! | [`keys`], [`jwe`], [`passphrase`] | recipients' keys, and files that a passphrase protects |
//! | [`clinic`] | the root key and the document that it signs |
//! | [`decline`] | the decision not to delete a recording |
//! | [`folder`] | a recording as it comes from the vault |
//! | [`verify`], [`open`], [`inspect`] | what is done with it |
//! | [`audit`] | a vault's log against heads that it signed before |
//! | [`webm`] | opened media made seekable |
//! | [`files`], [`partial`] | reading and writing that neither hangs nor leaves half a file |
//! | [`text`], [`output`], [`exit`] | output for people and programs |

mod audit;
mod clinic;
mod decline;
mod exit;
mod files;
mod folder;
mod inspect;
mod jwe;
mod keys;
mod open;
mod output;
mod partial;
mod passphrase;
mod terminal;
mod text;
mod verify;
mod webm;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use exit::Exit;
use output::{Outcome, Output};
use text::shown;

/// Keys, the clinic document, and recordings.
#[derive(Parser)]
#[command(name = "sealed-visit", version, about, max_term_width = 100, after_help = Exit::table())]
struct Arguments {
    /// Print one line of JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create a recipient's key pair: a passphrase-protected key file and a public key file.
    Keygen(keys::Keygen),
    /// Show a key's fingerprint, to read aloud and compare.
    Fingerprint(keys::ShowFingerprint),
    /// The clinic's root key and the document that it signs.
    #[command(subcommand)]
    Clinic(clinic::ClinicCommand),
    /// Show what a file or recording claims. Verifies nothing.
    Inspect(inspect::Inspect),
    /// Verify a recording without opening it.
    Verify(verify::Verify),
    /// Verify and open a recording.
    Open(open::Open),
    /// Check a vault's audit log against heads it signed earlier.
    Audit(audit::Audit),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error).code().into(),
    };
    let output = Output {
        json: arguments.json,
    };
    // Without it, a signal ends the run at once, and partial files stay; the run itself is not wrong.
    if ctrlc::set_handler(interrupted).is_err() {
        output::say("cannot handle signals: an interrupted run may leave *.partial files");
    }
    let result: anyhow::Result<Outcome> = match arguments.command {
        Command::Keygen(command) => command.run(&output),
        Command::Fingerprint(command) => command.run(&output),
        Command::Clinic(command) => command.run(&output),
        Command::Inspect(command) => command.run(&output),
        Command::Verify(command) => command.run(&output),
        Command::Open(command) => command.run(&output),
        Command::Audit(command) => command.run(&output),
    };
    let exit = match result {
        Ok(outcome) => outcome.exit(),
        Err(error) => output.error(&error),
    };
    exit.code().into()
}

/// Wrong arguments; or a request for help or the version, which is none.
fn usage(error: &clap::Error) -> Exit {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        // The reader may close the pipe early.
        let _ = error.print();
        return Exit::Ok;
    }
    let json = std::env::args_os().any(|argument| argument == "--json");
    if json {
        let output = Output { json };
        let message = error.to_string();
        let lines = message
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty());
        let message = lines.collect::<Vec<_>>().join("; ");
        output.failure(Exit::Usage, &message, None, None);
    } else {
        let _ = error.print();
    }
    Exit::Usage
}

/// Runs on a thread of its own when SIGINT, SIGTERM or SIGHUP arrives.
fn interrupted() {
    let placed = partial::abandon();
    terminal::restore();
    let names: Vec<String> = placed.iter().map(|path| shown(path.display())).collect();
    let (message, next) = match names.is_empty() {
        true => (
            "interrupted; no file was written, and partial ones were removed".to_owned(),
            "Run the same command again to continue.",
        ),
        false => (
            format!(
                "interrupted after these files were complete: {}",
                names.join(", ")
            ),
            "Nothing partial is left.",
        ),
    };
    // Standard output may belong to media, or be what the run waits for.
    output::say(&message);
    output::say(next);
    std::process::exit(Exit::Interrupted.code().into());
}
