//! Where passphrases come from: a prompt, or for automation a file or the environment.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use zeroize::Zeroizing;

/// NIST SP 800-63B's minimum for a secret that a person chooses is 8; a file can be attacked offline, so more.
const MIN_NEW_CHARS: usize = 10;

#[derive(Args)]
pub struct PassphraseSource {
    /// File whose first line is the passphrase; without it, and without SEALED_VISIT_PASSPHRASE, there is a prompt.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseSource {
    /// The passphrase of an existing file.
    pub fn existing(&self, what: &str) -> anyhow::Result<Zeroizing<String>> {
        match self.automated()? {
            Some(passphrase) => Ok(passphrase),
            None => prompt(&format!("Passphrase of {what}: ")),
        }
    }

    /// A passphrase for a new file: long enough, and typed twice.
    pub fn new_for(&self, what: &str) -> anyhow::Result<Zeroizing<String>> {
        let automated = self.automated()?;
        let prompted = automated.is_none();
        let passphrase = match automated {
            Some(passphrase) => passphrase,
            None => prompt(&format!("New passphrase for {what}: "))?,
        };
        if passphrase.chars().count() < MIN_NEW_CHARS {
            bail!(
                "a passphrase needs at least {MIN_NEW_CHARS} characters; several unrelated words are good"
            );
        }
        if prompted && prompt("The same again: ")? != passphrase {
            bail!("the two passphrases differ");
        }
        Ok(passphrase)
    }

    fn automated(&self) -> anyhow::Result<Option<Zeroizing<String>>> {
        if let Some(path) = &self.passphrase_file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("reading {}", path.display()))?;
            let text = Zeroizing::new(text);
            let line = text.lines().next().unwrap_or_default();
            return Ok(Some(Zeroizing::new(line.to_owned())));
        }
        Ok(std::env::var("SEALED_VISIT_PASSPHRASE")
            .ok()
            .map(Zeroizing::new))
    }
}

fn prompt(text: &str) -> anyhow::Result<Zeroizing<String>> {
    rpassword::prompt_password(text)
        .map(Zeroizing::new)
        .context(
            "no terminal to ask for a passphrase; use --passphrase-file or SEALED_VISIT_PASSPHRASE",
        )
}
