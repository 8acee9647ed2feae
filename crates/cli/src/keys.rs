//! Recipients' keys.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use sealed_visit_protocol::clinic::WrapSuite;
use sealed_visit_protocol::{B64, Hash32};
use sealed_visit_recording::seal::hpke::{PrivateKey, PublicKey, Suite, system_rng};
use sealed_visit_recording::seal::key_file;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};
use crate::files::{MAX_KEY_BYTES, read_text};
use crate::jwe::{self, JweError};
use crate::output::{Outcome, Output};
use crate::partial::{PartialFile, place_all};
use crate::passphrase::PassphraseSource;
use crate::text::shown;

/// Make a recipient's key pair.
#[derive(Args)]
pub struct Keygen {
    /// Key file to make; the public key goes beside it, as FILE.pub.json.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// x-wing (against a later quantum computer) or x25519.
    #[arg(long, default_value = "x-wing", value_parser = parse_suite)]
    suite: Suite,
    #[command(flatten)]
    passphrase: PassphraseSource,
}

/// Show a key's fingerprint.
#[derive(Args)]
pub struct ShowFingerprint {
    /// A public key file (FILE.pub.json); a key file works too and needs its passphrase.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseSource,
}

/// A public key file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKeyFile {
    v: u32,
    pub suite: WrapSuite,
    pub public_key: B64,
    pub fingerprint: Hash32,
}

#[derive(Serialize)]
struct KeyResult {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key_file: Option<PathBuf>,
    suite: &'static str,
    fingerprint: Hash32,
    /// To be read aloud.
    spoken: String,
}

impl Keygen {
    pub fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        let public_file = beside(&self.file, ".pub.json");
        for path in [&self.file, &public_file] {
            if path.symlink_metadata().is_ok() {
                let path = shown(path.display());
                let message = format!("{path} exists already; a key is never replaced");
                return Err(Failure::new(Exit::Refused, message)
                    .next("Choose another name for the new key.")
                    .into());
            }
        }
        let passphrase = self.passphrase.new_for(&self.file.display().to_string())?;
        let private = PrivateKey::generate(self.suite, &mut system_rng());
        let jwe = jwe::protect(
            &key_file::encode(&private),
            key_file::CONTENT_TYPE,
            &passphrase,
        )?;
        let public = private.public_key();
        let json = serde_json::to_string_pretty(&PublicKeyFile::of(&public))?;
        place_all(vec![
            PartialFile::with(&self.file, 0o600, false, format!("{jwe}\n").as_bytes())?,
            PartialFile::with(&public_file, 0o644, false, format!("{json}\n").as_bytes())?,
        ])?;
        let mut result = KeyResult::of(&public);
        result.key_file = Some(self.file.clone());
        result.public_key_file = Some(public_file.clone());
        output.result(&result, || {
            format!(
                "Key file     {} (keep a copy: without it nobody opens what is sealed to it)\n\
                 Public key   {}\n\
                 Fingerprint  {}",
                shown(self.file.display()),
                shown(public_file.display()),
                result.spoken
            )
        })?;
        Ok(Outcome::Well)
    }
}

impl ShowFingerprint {
    pub fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        let text = read_text(&self.file, MAX_KEY_BYTES)?;
        let public = if text.starts_with('{') {
            read_public(&self.file)?
        } else {
            read_private(&self.file, &self.passphrase)?.public_key()
        };
        let result = KeyResult::of(&public);
        output.result(&result, || result.spoken.clone())?;
        Ok(Outcome::Well)
    }
}

/// A key file, opened with its passphrase.
pub fn read_private(file: &Path, passphrase: &PassphraseSource) -> anyhow::Result<PrivateKey> {
    let jwe = read_text(file, MAX_KEY_BYTES)?;
    let plaintext = unprotect_file(file, &jwe, key_file::CONTENT_TYPE, passphrase)?;
    key_file::decode(&plaintext)
        .with_context(|| unreadable(format!("{} holds no key", shown(file.display()))))
}

/// Opens a protected file. Asks for the passphrase only when it is such a file at all.
pub fn unprotect_file(
    file: &Path,
    jwe: &str,
    content_type: &'static str,
    passphrase: &PassphraseSource,
) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let name = shown(file.display());
    jwe::check(jwe, content_type)
        .with_context(|| unreadable(format!("{name} is not the key file that is needed")))?;
    let passphrases = passphrase.existing(&name)?;
    jwe::unprotect(jwe, content_type, &passphrases).map_err(|error| {
        let failure = match error {
            JweError::WrongPassphrase => Failure::new(Exit::WrongKey, format!("cannot open {name}"))
                .next("Check the keyboard layout and caps lock, then try again. A forgotten passphrase cannot be recovered."),
            _ => Failure::new(Exit::Unreadable, format!("cannot open {name}"))
                .next("Use another copy of the file."),
        };
        anyhow::Error::new(error).context(failure)
    })
}

/// A public key file, its fingerprint checked.
pub fn read_public(file: &Path) -> anyhow::Result<PublicKey> {
    let name = shown(file.display());
    let parsed: PublicKeyFile = serde_json::from_str(&read_text(file, MAX_KEY_BYTES)?)
        .with_context(|| unreadable(format!("{name} is not a public key file")))?;
    if parsed.v != 1 {
        let message = format!("{name} has version {}: a newer program is needed", parsed.v);
        return Err(unreadable(message).into());
    }
    let invalid = || unreadable(format!("{name} holds no valid key"));
    let suite = Suite::try_from(parsed.suite).with_context(invalid)?;
    let key = PublicKey::from_bytes(suite, parsed.public_key.as_slice()).with_context(invalid)?;
    if key.fingerprint().0 != parsed.fingerprint.0 {
        let message = format!("{name} was altered: its fingerprint is not that of its key");
        return Err(Failure::new(Exit::Tampered, message)
            .next("Ask the key's owner for the file again.")
            .into());
    }
    Ok(key)
}

fn unreadable(message: String) -> Failure {
    Failure::new(Exit::Unreadable, message)
}

impl PublicKeyFile {
    fn of(key: &PublicKey) -> Self {
        Self {
            v: 1,
            suite: key.suite().into(),
            public_key: B64::from(key.as_bytes()),
            fingerprint: Hash32(key.fingerprint().0),
        }
    }
}

impl KeyResult {
    fn of(key: &PublicKey) -> Self {
        Self {
            ok: true,
            key_file: None,
            public_key_file: None,
            suite: key.suite().name(),
            fingerprint: Hash32(key.fingerprint().0),
            spoken: key.fingerprint().to_string(),
        }
    }
}

/// `file` with `ending` appended to its name.
fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn parse_suite(name: &str) -> Result<Suite, String> {
    Suite::from_name(name).map_err(|error| error.to_string())
}
