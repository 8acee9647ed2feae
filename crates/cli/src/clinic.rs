//! The clinic's root key, and the document that it signs.
//!
//! A clinic's folder holds `root.jwe` (the root key, protected; keep it offline), `root.pub` (what pages, vault and
//! tool pin), `clinic.json` (the document's source, edited by these commands) and `clinic.jws` (the signed document,
//! given to authority, vault and pages). Only `sign` and `init` need the root key.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use sealed_visit_protocol::clinic::{ClinicClaims, Recipient, RecipientRole};
use sealed_visit_protocol::recording::{WipeClaims, WipeReason};
use sealed_visit_protocol::{
    B64, ClinicDocument, Hash32, Jws, PublicKey, RecordingId, SigningKey, VERSION,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::jwe;
use crate::keys::read_public;
use crate::output::{Outcome, Output, read_text, replace, write_private, write_public};
use crate::passphrase::PassphraseSource;

const ROOT_CONTENT_TYPE: &str = "sealed-visit-root+json";
const DAY_MS: u64 = 86_400_000;

#[derive(Subcommand)]
pub enum ClinicCommand {
    /// Make a clinic's folder: root key, document source and, once it names authority and vault, signed document.
    Init(Init),
    /// Add a recipient to the document's source; sign afterwards.
    AddRecipient(AddRecipient),
    /// Retire a recipient: nothing more is sealed to it. Sign afterwards.
    Retire(Retire),
    /// Add an authority's key, or set the vault's; sign afterwards.
    Set(Set),
    /// Sign the document anew, with the next number.
    Sign(Sign),
    /// Order devices to let go of their spools of recordings, before the vault's receipt.
    Wipe(Wipe),
    /// Verify the signed document under the root key beside it, and show it.
    Show(Show),
}

#[derive(Args)]
pub struct Init {
    /// Folder to make.
    folder: PathBuf,
    /// The clinic's name, as people are shown it.
    #[arg(long)]
    name: String,
    /// Whom people ask about recordings.
    #[arg(long)]
    contact: String,
    #[command(flatten)]
    keys: ServerKeys,
    /// A recipient: ROLE=PUBLIC-KEY-FILE; can be given several times.
    #[arg(long, value_name = "ROLE=FILE", value_parser = parse_recipient)]
    recipient: Vec<(RecipientRole, PathBuf)>,
    /// How long the signed document is valid.
    #[arg(long, default_value_t = 365)]
    valid_days: u64,
    #[command(flatten)]
    passphrase: PassphraseSource,
}

#[derive(Args)]
struct ServerKeys {
    /// An authority's public key: the `x` of its JWK, or the JWK; can be given several times.
    #[arg(long, value_name = "KEY", value_parser = parse_public_key, allow_hyphen_values = true)]
    authority: Vec<PublicKey>,
    /// The vault's public key: the `x` of its JWK, or the JWK.
    #[arg(long, value_name = "KEY", value_parser = parse_public_key, allow_hyphen_values = true)]
    vault: Option<PublicKey>,
}

#[derive(Args)]
pub struct AddRecipient {
    folder: PathBuf,
    /// Public key file, made by `keygen`. Compare its fingerprint with its owner by voice first.
    #[arg(value_name = "PUBLIC-KEY-FILE")]
    key: PathBuf,
    /// responsible_clinician, archive, supervisor, quality_reviewer, ai_processor, legal or researcher.
    #[arg(long, value_parser = parse_role)]
    role: RecipientRole,
}

#[derive(Args)]
pub struct Retire {
    folder: PathBuf,
    /// The recipient's fingerprint, spoken form or base64url.
    #[arg(allow_hyphen_values = true)]
    fingerprint: String,
}

#[derive(Args)]
pub struct Set {
    folder: PathBuf,
    #[command(flatten)]
    keys: ServerKeys,
    /// Remove this authority's key.
    #[arg(long, value_name = "KEY", value_parser = parse_public_key, allow_hyphen_values = true)]
    remove_authority: Vec<PublicKey>,
}

#[derive(Args)]
pub struct Sign {
    folder: PathBuf,
    #[arg(long, default_value_t = 365)]
    valid_days: u64,
    #[command(flatten)]
    passphrase: PassphraseSource,
}

#[derive(Args)]
pub struct Wipe {
    folder: PathBuf,
    /// A recording's id; can be given several times.
    #[arg(long, required = true, value_parser = parse_recording, allow_hyphen_values = true)]
    recording: Vec<RecordingId>,
    #[arg(long, value_enum)]
    reason: Reason,
    #[command(flatten)]
    passphrase: PassphraseSource,
}

#[derive(Clone, Copy, ValueEnum)]
enum Reason {
    /// Somebody asked for the deletion, and the clinic granted it.
    DeletionGranted,
    /// The device is lost, or no longer to be trusted.
    DeviceWithdrawn,
}

fn parse_recording(text: &str) -> Result<RecordingId, String> {
    text.parse()
        .map_err(|_| "expected a recording's id".to_owned())
}

#[derive(Args)]
pub struct Show {
    folder: PathBuf,
}

/// The document before it is signed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    v: u32,
    /// Of the document signed last; 0 before the first.
    number: u64,
    name: String,
    contact: String,
    authorities: Vec<PublicKey>,
    vault: Option<PublicKey>,
    recipients: Vec<Recipient>,
    retired: Vec<Hash32>,
}

#[derive(Serialize, Deserialize)]
struct RootContent {
    v: u32,
    seed: String,
}

#[derive(Serialize)]
struct ClinicResult<'a> {
    ok: bool,
    folder: &'a Path,
    root_key: PublicKey,
    /// The `x` of the root key: what is pinned.
    root: String,
    /// Number of the signed document; 0 when there is none yet.
    number: u64,
    signed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after_ms: Option<u64>,
    recipients: Vec<RecipientLine>,
}

#[derive(Serialize)]
struct RecipientLine {
    fingerprint: Hash32,
    spoken: String,
    role: RecipientRole,
    retired: bool,
}

impl ClinicCommand {
    pub fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        match self {
            Self::Init(command) => command.run(output),
            Self::AddRecipient(command) => {
                let folder = command.folder;
                edit(&folder, output, |source| {
                    source.add(&command.key, command.role)
                })
            }
            Self::Retire(command) => {
                let folder = command.folder;
                edit(&folder, output, |source| {
                    source.retire(&command.fingerprint)
                })
            }
            Self::Set(command) => {
                let folder = command.folder;
                edit(&folder, output, |source| {
                    source
                        .authorities
                        .retain(|key| !command.remove_authority.contains(key));
                    source.set(command.keys);
                    Ok(())
                })
            }
            Self::Sign(command) => {
                let root = read_root(&command.folder, &command.passphrase)?;
                sign(&command.folder, &root, command.valid_days)?;
                report(&command.folder, output)
            }
            Self::Wipe(command) => command.run(output),
            Self::Show(command) => report(&command.folder, output),
        }
    }
}

#[derive(Serialize)]
struct WipeResult {
    ok: bool,
    order: String,
}

impl Wipe {
    /// The order goes to standard output: to be served where pages of the package load.
    fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        let root = read_root(&self.folder, &self.passphrase)?;
        let reason = match self.reason {
            Reason::DeletionGranted => WipeReason::DeletionGranted,
            Reason::DeviceWithdrawn => WipeReason::DeviceWithdrawn,
        };
        let order = root.sign(&WipeClaims::new(self.recording, reason, now_ms()?));
        let order = order.as_str().to_owned();
        let result = WipeResult {
            ok: true,
            order: order.clone(),
        };
        output.result(&result, || order)?;
        Ok(Outcome::Well)
    }
}

impl Init {
    fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        if self.folder.join("root.jwe").exists() {
            bail!("{} is a clinic's folder already", self.folder.display());
        }
        let mut source = Source {
            v: VERSION,
            number: 0,
            name: self.name,
            contact: self.contact,
            authorities: vec![],
            vault: None,
            recipients: vec![],
            retired: vec![],
        };
        source.set(self.keys);
        for (role, key) in &self.recipient {
            source.add(key, *role)?;
        }
        let passphrase = self.passphrase.new_for("the clinic's root key")?;
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).context("the system gives no randomness")?;
        let root = SigningKey::from_seed(&seed);
        let content = Zeroizing::new(serde_json::to_vec(&RootContent {
            v: 1,
            seed: Hash32(*seed).to_string(),
        })?);
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("making {}", self.folder.display()))?;
        let jwe = jwe::protect(&content, ROOT_CONTENT_TYPE, &passphrase)?;
        write_private(&self.folder.join("root.jwe"), format!("{jwe}\n").as_bytes())?;
        write_public(
            &self.folder.join("root.pub"),
            format!("{}\n", x_of(&root.public())).as_bytes(),
        )?;
        source.write(&self.folder)?;
        if !source.authorities.is_empty() && source.vault.is_some() {
            sign(&self.folder, &root, self.valid_days)?;
        }
        report(&self.folder, output)
    }
}

impl Source {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("clinic.json");
        let source: Self = serde_json::from_str(&read_text(&path)?)
            .with_context(|| format!("{} is not a clinic document's source", path.display()))?;
        if source.v != VERSION {
            bail!(
                "{} is of version {}: a newer program is needed",
                path.display(),
                source.v
            );
        }
        Ok(source)
    }

    fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        replace(&folder.join("clinic.json"), format!("{json}\n").as_bytes())
    }

    fn set(&mut self, keys: ServerKeys) {
        for key in keys.authority {
            if !self.authorities.contains(&key) {
                self.authorities.push(key);
            }
        }
        self.vault = keys.vault.or(self.vault);
    }

    fn add(&mut self, file: &Path, role: RecipientRole) -> anyhow::Result<()> {
        let key = read_public(file)?;
        let fingerprint = Hash32(key.fingerprint().0);
        if self
            .recipients
            .iter()
            .any(|recipient| recipient.fingerprint == fingerprint)
        {
            bail!("{} is a recipient already", file.display());
        }
        self.recipients.push(Recipient {
            fingerprint,
            suite: key.suite().into(),
            public_key: B64::from(key.as_bytes()),
            role,
        });
        Ok(())
    }

    fn retire(&mut self, fingerprint: &str) -> anyhow::Result<()> {
        let matching: Vec<Hash32> = self
            .recipients
            .iter()
            .map(|recipient| recipient.fingerprint)
            .filter(|known| known.to_string() == fingerprint || spoken(known) == fingerprint)
            .collect();
        let [one] = matching[..] else {
            bail!("no recipient has this fingerprint");
        };
        if self.retired.contains(&one) {
            bail!("this recipient is retired already");
        }
        // It stays listed, so that old recordings still verify.
        self.retired.push(one);
        Ok(())
    }

    fn claims(&self, number: u64, now_ms: u64, valid_days: u64) -> anyhow::Result<ClinicClaims> {
        if self.authorities.is_empty() {
            bail!("the document names no authority yet: `clinic set --authority KEY`");
        }
        let Some(vault) = self.vault else {
            bail!("the document names no vault yet: `clinic set --vault KEY`");
        };
        Ok(ClinicClaims {
            v: VERSION,
            number,
            // Clocks differ a little; a document signed now must be good everywhere now.
            not_before_ms: now_ms.saturating_sub(600_000),
            not_after_ms: now_ms.saturating_add(valid_days.saturating_mul(DAY_MS)),
            name: self.name.clone(),
            contact: self.contact.clone(),
            authorities: self.authorities.clone(),
            vault,
            recipients: self.recipients.clone(),
            retired: self.retired.clone(),
        })
    }
}

fn edit(
    folder: &Path,
    output: &Output,
    change: impl FnOnce(&mut Source) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let mut source = Source::read(folder)?;
    change(&mut source)?;
    source.write(folder)?;
    report(folder, output)
}

fn sign(folder: &Path, root: &SigningKey, valid_days: u64) -> anyhow::Result<()> {
    let mut source = Source::read(folder)?;
    source.number += 1;
    let claims = source.claims(source.number, now_ms()?, valid_days)?;
    let document = root.sign(&claims);
    // What everybody will check, checked before it is given out.
    ClinicDocument::verify(&document, &root.public())?;
    // The source first: a number is never used for two documents.
    source.write(folder)?;
    replace(
        &folder.join("clinic.jws"),
        format!("{document}\n").as_bytes(),
    )
}

fn read_root(folder: &Path, passphrase: &PassphraseSource) -> anyhow::Result<SigningKey> {
    let path = folder.join("root.jwe");
    let jwe = read_text(&path)?;
    let passphrase = passphrase.existing("the clinic's root key")?;
    let content = jwe::unprotect(&jwe, ROOT_CONTENT_TYPE, &passphrase)
        .with_context(|| format!("opening {}", path.display()))?;
    let content: RootContent =
        serde_json::from_slice(&content).context("the root key's file is damaged")?;
    let text = Zeroizing::new(content.seed);
    let seed = Zeroizing::new(
        Hash32::parse(&text)
            .context("the root key's file is damaged")?
            .0,
    );
    let root = SigningKey::from_seed(&seed);
    if x_of(&root.public()) != read_text(&folder.join("root.pub"))? {
        bail!("root.pub is not the public half of root.jwe");
    }
    Ok(root)
}

fn report(folder: &Path, output: &Output) -> anyhow::Result<Outcome> {
    let root_key = read_root_key(&folder.join("root.pub"))?;
    let source = Source::read(folder)?;
    let signed = folder.join("clinic.jws");
    let document = match signed.exists() {
        true => Some(ClinicDocument::verify(
            &Jws::from_text(read_text(&signed)?),
            &root_key,
        )?),
        false => None,
    };
    let claims = document.as_ref().map(ClinicDocument::claims);
    let same = claims.is_some_and(|claims| {
        claims.recipients == source.recipients
            && claims.retired == source.retired
            && claims.authorities == source.authorities
            && Some(claims.vault) == source.vault
            && (&claims.name, &claims.contact) == (&source.name, &source.contact)
    });
    let result = ClinicResult {
        ok: true,
        folder,
        root_key,
        root: x_of(&root_key),
        number: claims.map_or(0, |claims| claims.number),
        signed: same,
        not_after_ms: claims.map(|claims| claims.not_after_ms),
        recipients: source
            .recipients
            .iter()
            .map(|recipient| RecipientLine {
                fingerprint: recipient.fingerprint,
                spoken: spoken(&recipient.fingerprint),
                role: recipient.role,
                retired: source.retired.contains(&recipient.fingerprint),
            })
            .collect(),
    };
    output.result(&result, || {
        let state = match (claims, same) {
            (None, _) => "not signed yet".to_owned(),
            (Some(claims), true) => format!("signed, number {}", claims.number),
            (Some(claims), false) => format!(
                "changed since number {} was signed: run `clinic sign`",
                claims.number
            ),
        };
        let mut text = format!("Root key  {}\nDocument  {state}\n", result.root);
        for line in &result.recipients {
            let retired = if line.retired { "  retired" } else { "" };
            text += &format!("{}  {:?}{retired}\n", line.spoken, line.role);
        }
        text
    })?;
    Ok(Outcome::Well)
}

/// The pinned root key: a file with its `x`, or the `x` itself.
pub fn read_root_key(path: &Path) -> anyhow::Result<PublicKey> {
    let text = match path.exists() {
        true => read_text(path)?,
        false => path.to_string_lossy().into_owned(),
    };
    parse_public_key(&text)
        .map_err(|error| anyhow::anyhow!("the root key {}: {error}", path.display()))
}

pub fn spoken(fingerprint: &Hash32) -> String {
    sealed_visit::seal::hpke::Fingerprint(fingerprint.0).to_string()
}

fn x_of(key: &PublicKey) -> String {
    Hash32(*key.as_bytes()).to_string()
}

fn parse_public_key(text: &str) -> Result<PublicKey, String> {
    let text = text.trim();
    if text.starts_with('{') {
        return serde_json::from_str(text).map_err(|_| "not an Ed25519 public JWK".to_owned());
    }
    PublicKey::parse(text).map_err(|error| error.to_string())
}

fn parse_role(name: &str) -> Result<RecipientRole, String> {
    serde_json::from_value(serde_json::Value::String(name.to_owned()))
        .map_err(|_| "unknown role".to_owned())
}

fn parse_recipient(text: &str) -> Result<(RecipientRole, PathBuf), String> {
    let (role, file) = text.split_once('=').ok_or("expected ROLE=FILE")?;
    Ok((parse_role(role)?, file.into()))
}

fn now_ms() -> anyhow::Result<u64> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    Ok(now.as_millis() as u64)
}
