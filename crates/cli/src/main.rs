//! `sealed-visit`: the clinic's tool. It makes keys, signs the clinic document, and inspects, verifies and opens
//! recordings. It talks to nobody: files in, files out.
//!
//! | module | what |
//! |---|---|
//! | [`keys`], [`jwe`], [`passphrase`] | recipients' keys, and files that a passphrase protects |
//! | [`clinic`] | the root key and the document that it signs |
//! | [`folder`] | a recording as it comes from the vault |
//! | [`verify`], [`open`], [`inspect`] | what is done with it |
//! | [`audit`] | a vault's log against heads that it signed before |
//! | [`webm`] | opened media made seekable |
//!
//! Exit codes: 0 all is well; 1 refused, altered, or failed; 2 wrong usage; 3 genuine, but not all of it is there.

mod audit;
mod clinic;
mod folder;
mod inspect;
mod jwe;
mod keys;
mod open;
mod output;
mod passphrase;
mod verify;
mod webm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use output::{Outcome, Output};

/// Keys, the clinic document, and recordings.
#[derive(Parser)]
#[command(name = "sealed-visit", version, about, max_term_width = 100)]
struct Arguments {
    /// Print one line of JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a recipient's key pair: a passphrase-protected key file, and a public key file beside it.
    Keygen(keys::Keygen),
    /// Show a key's fingerprint, to be read aloud and compared.
    Fingerprint(keys::ShowFingerprint),
    /// The clinic's root key and the document that it signs.
    #[command(subcommand)]
    Clinic(clinic::ClinicCommand),
    /// Show what a file or a recording says of itself. Nothing is verified.
    Inspect(inspect::Inspect),
    /// Verify a recording without opening it.
    Verify(verify::Verify),
    /// Verify and open a recording.
    Open(open::Open),
    /// Check a vault's audit log against heads that it signed before.
    Audit(audit::Audit),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output {
        json: arguments.json,
    };
    let result = match arguments.command {
        Command::Keygen(command) => command.run(&output),
        Command::Fingerprint(command) => command.run(&output),
        Command::Clinic(command) => command.run(&output),
        Command::Inspect(command) => command.run(&output),
        Command::Verify(command) => command.run(&output),
        Command::Open(command) => command.run(&output),
        Command::Audit(command) => command.run(&output),
    };
    match result {
        Ok(Outcome::Well) => ExitCode::SUCCESS,
        Ok(Outcome::Refused) => ExitCode::from(1),
        Ok(Outcome::Incomplete) => ExitCode::from(3),
        Err(error) => {
            output.error(&error);
            ExitCode::from(1)
        }
    }
}
