//! Where passphrases come from: a prompt, or for automation a file or the environment.

mod forms;

use std::env::VarError;
use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};
use crate::files;
use crate::text::shown;

const VARIABLE: &str = "SEALED_VISIT_PASSPHRASE";

#[derive(Args)]
pub struct PassphraseSource {
    /// File with the passphrase on its first line, UTF-8 or UTF-16. Without it, and without SEALED_VISIT_PASSPHRASE,
    /// you are asked.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseSource {
    /// What to try as the passphrase of an existing file: the form used today, then older ones.
    pub fn existing(&self, what: &str) -> anyhow::Result<Vec<Zeroizing<String>>> {
        let typed = match self.automated()? {
            // Always its first line; further lines were never part of the passphrase.
            Some(Automated { text, from_file }) if from_file => {
                Zeroizing::new(first_line(&text).to_owned())
            }
            Some(Automated { text, .. }) => text,
            None => prompt(&format!("Passphrase of {what}: "))?,
        };
        Ok(forms::forms_of(&typed))
    }

    /// A passphrase for a new file: one that can be typed again, long enough, and typed twice.
    pub fn new_for(&self, what: &str) -> anyhow::Result<Zeroizing<String>> {
        let automated = self.automated()?;
        let prompted = automated.is_none();
        let typed = match automated {
            Some(automated) => automated.text,
            None => prompt(&format!("New passphrase for {what}: "))?,
        };
        let passphrase = forms::for_new_key(&typed)
            .map_err(|reason| Failure::new(Exit::Refused, reason.to_string()))?;
        if prompted && *prompt("The same again: ")? != *typed {
            return Err(Failure::new(Exit::Refused, "the two passphrases differ").into());
        }
        Ok(passphrase)
    }

    fn automated(&self) -> anyhow::Result<Option<Automated>> {
        if let Some(path) = &self.passphrase_file {
            let bytes = Zeroizing::new(read_file(path)?);
            let text = forms::decode(&bytes).map_err(|reason| {
                let message = format!("cannot use {}: {reason}", shown(path.display()));
                Failure::new(Exit::Unreadable, message)
            })?;
            return Ok(Some(Automated {
                text,
                from_file: true,
            }));
        }
        match std::env::var(VARIABLE) {
            Ok(text) => Ok(Some(Automated {
                text: Zeroizing::new(text),
                from_file: false,
            })),
            Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(_)) => {
                let message = format!("{VARIABLE} is set, but is not valid text");
                Err(Failure::new(Exit::Unreadable, message).into())
            }
        }
    }
}

struct Automated {
    text: Zeroizing<String>,
    from_file: bool,
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    // A shell's `<(command)` is a pipe, and meant to be one.
    if path.starts_with("/dev/fd") || path == Path::new("/dev/stdin") {
        let pipe = std::fs::File::open(path).map_err(|error| files::unreadable(path, &error))?;
        return files::read_from(path, pipe, files::MAX_KEY_BYTES);
    }
    files::read(path, files::MAX_KEY_BYTES)
}

fn first_line(text: &str) -> &str {
    text.split(['\n', '\r']).next().unwrap_or_default()
}

fn prompt(text: &str) -> anyhow::Result<Zeroizing<String>> {
    let _echo = crate::terminal::keep();
    rpassword::prompt_password(shown(text))
        .map(Zeroizing::new)
        .map_err(|error| {
            if error.kind() == std::io::ErrorKind::Interrupted {
                // The thread that the signal reached says so, and ends the process.
                std::thread::park_timeout(std::time::Duration::from_secs(10));
                return Failure::new(Exit::Interrupted, "interrupted").into();
            }
            let failure = Failure::new(
                Exit::Unreadable,
                "no passphrase was given, and there is no terminal to ask for one",
            )
            .next(format!("Use --passphrase-file or {VARIABLE}."));
            anyhow::Error::new(error).context(failure)
        })
}
