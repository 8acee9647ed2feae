//! Recipients' keys.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use sealed_visit::seal::hpke::{PrivateKey, PublicKey, Suite, system_rng};
use sealed_visit::seal::key_file;
use sealed_visit_protocol::clinic::WrapSuite;
use sealed_visit_protocol::{B64, Hash32};
use serde::{Deserialize, Serialize};

use crate::jwe;
use crate::output::{Outcome, Output, read_text, write_private, write_public};
use crate::passphrase::PassphraseSource;

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
            if path.exists() {
                bail!("{} exists already; a key is never replaced", path.display());
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
        write_private(&self.file, format!("{jwe}\n").as_bytes())?;
        let json = serde_json::to_string_pretty(&PublicKeyFile::of(&public))?;
        write_public(&public_file, format!("{json}\n").as_bytes())?;
        let mut result = KeyResult::of(&public);
        result.key_file = Some(self.file.clone());
        result.public_key_file = Some(public_file.clone());
        output.result(&result, || {
            format!(
                "Key file     {} (keep a copy: without it nobody opens what is sealed to it)\n\
                 Public key   {}\n\
                 Fingerprint  {}",
                self.file.display(),
                public_file.display(),
                result.spoken
            )
        })?;
        Ok(Outcome::Well)
    }
}

impl ShowFingerprint {
    pub fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        let text = read_text(&self.file)?;
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
    let jwe = read_text(file)?;
    // Before asking for a passphrase, see that it is a key file at all.
    jwe::content_type(&jwe).with_context(|| format!("{} is no key file", file.display()))?;
    let passphrase = passphrase.existing(&file.display().to_string())?;
    let plaintext = jwe::unprotect(&jwe, key_file::CONTENT_TYPE, &passphrase)
        .with_context(|| format!("opening {}", file.display()))?;
    Ok(key_file::decode(&plaintext)?)
}

/// A public key file, its fingerprint checked.
pub fn read_public(file: &Path) -> anyhow::Result<PublicKey> {
    let parsed: PublicKeyFile = serde_json::from_str(&read_text(file)?)
        .with_context(|| format!("{} is no public key file", file.display()))?;
    if parsed.v != 1 {
        bail!(
            "{} is of version {}: a newer program is needed",
            file.display(),
            parsed.v
        );
    }
    let key = PublicKey::from_bytes(Suite::try_from(parsed.suite)?, parsed.public_key.as_slice())?;
    if key.fingerprint().0 != parsed.fingerprint.0 {
        bail!("{}: the fingerprint is not the key's", file.display());
    }
    Ok(key)
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
pub fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn parse_suite(name: &str) -> Result<Suite, String> {
    Suite::from_name(name).map_err(|error| error.to_string())
}
