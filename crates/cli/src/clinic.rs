//! The clinic's root key, and the document that it signs.
//!
//! A clinic's folder holds `root.jwe` (the root key, protected; keep it offline), `root.pub` (what pages, vault and
//! tool pin), `clinic.json` (the document's source, edited by these commands) and `clinic.jws` (the signed document,
//! given to authority, vault and pages). `root.number` holds the highest number that the root key has signed, so that an
//! older `clinic.json` from a backup does not bring a number back. Only `init`, `sign`,
//! `wipe` and `decline` need the root key.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use sealed_visit_protocol::clinic::{ClinicClaims, ClinicError, Recipient, RecipientRole};
use sealed_visit_protocol::jws::JwsError;
use sealed_visit_protocol::recording::{WipeClaims, WipeReason};
use sealed_visit_protocol::{
    B64, ClinicDocument, Hash32, Jws, PublicKey, RecordingId, SigningKey, VERSION,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::decline::Decline;
use crate::exit::{Exit, Failure};
use crate::files::{MAX_DOCUMENT_BYTES, MAX_KEY_BYTES, MAX_RECORDING_BYTES, read_text};
use crate::jwe;
use crate::keys::{read_public, unprotect_file};
use crate::output::{Outcome, Output, say};
use crate::partial::{PartialFile, create_folder, place_all};
use crate::passphrase::PassphraseSource;
use crate::text::{is_plain, shown};

const ROOT_CONTENT_TYPE: &str = "sealed-visit-root+json";
const DAY_MS: u64 = 86_400_000;
/// Ten years: longer than any key should stay in use unlooked at.
const MAX_VALID_DAYS: u64 = 3_650;
/// Of a name or contact: it is shown on a line of a small screen.
const MAX_NAME_CHARS: usize = 200;
/// JSON numbers are exact up to here.
const MAX_NUMBER: u64 = (1 << 53) - 1;

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
    /// Keep a recording whose deletion was asked for, under terms that keep.
    Decline(Decline),
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
    /// How long the signed document is valid, up to ten years.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=MAX_VALID_DAYS))]
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
    /// How long the signed document is valid, up to ten years.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=MAX_VALID_DAYS))]
    valid_days: u64,
    /// Sign with this number instead of the next one.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=MAX_NUMBER))]
    number: Option<u64>,
    /// Sign even though the number is not above the highest one signed so far. Whoever has seen a higher one refuses
    /// such a document.
    #[arg(long)]
    allow_number_reuse: bool,
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

pub fn parse_recording(text: &str) -> Result<RecordingId, String> {
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
    /// Whether the signed document is valid now; null when there is none.
    valid_now: Option<bool>,
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
                command.sign(&root)?;
                report(&command.folder, output)
            }
            Self::Wipe(command) => command.run(output),
            Self::Decline(command) => command.run(output),
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
        for name in ["root.jwe", "root.pub", "clinic.json", "clinic.jws"] {
            let path = self.folder.join(name);
            if path.symlink_metadata().is_ok() {
                let message = format!(
                    "{} is a clinic's folder already: {name} exists",
                    shown(self.folder.display())
                );
                return Err(Failure::new(Exit::Refused, message)
                    .next("Choose another folder, or use `clinic set` and `clinic sign`.")
                    .into());
            }
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
        source.check_names()?;
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
        let jwe = jwe::protect(&content, ROOT_CONTENT_TYPE, &passphrase)?;
        let signed = match !source.authorities.is_empty() && source.vault.is_some() {
            true => {
                source.number = 1;
                Some(source.sign(&root, self.valid_days)?)
            }
            false => None,
        };
        create_folder(&self.folder, 0o755)?;
        let new = |name: &str, mode: u32, text: &str| {
            let bytes = format!("{text}\n");
            PartialFile::with(&self.folder.join(name), mode, false, bytes.as_bytes())
        };
        let mut files = vec![
            new("root.jwe", 0o600, &jwe)?,
            new("root.pub", 0o644, &x_of(&root.public()))?,
            new(
                "clinic.json",
                0o644,
                &serde_json::to_string_pretty(&source)?,
            )?,
        ];
        if let Some(document) = signed {
            files.push(new("root.number", 0o644, &source.number.to_string())?);
            files.push(new("clinic.jws", 0o644, document.as_str())?);
        }
        place_all(files)?;
        report(&self.folder, output)
    }
}

impl Source {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("clinic.json");
        let name = shown(path.display());
        let source: Self = serde_json::from_str(&read_text(&path, MAX_RECORDING_BYTES)?)
            .with_context(|| unreadable(format!("{name} is not a clinic document's source")))?;
        if source.v != VERSION {
            let message = format!("{name} has version {}: a newer program is needed", source.v);
            return Err(unreadable(message).into());
        }
        Ok(source)
    }

    fn file(&self, folder: &Path) -> anyhow::Result<PartialFile> {
        let json = serde_json::to_string_pretty(self)?;
        let path = folder.join("clinic.json");
        PartialFile::with(&path, 0o644, true, format!("{json}\n").as_bytes())
    }

    /// What people are shown must be there, on one line, and nothing but what it looks like.
    fn check_names(&self) -> Result<(), Failure> {
        for (what, text) in [("name", &self.name), ("contact", &self.contact)] {
            let fault = match text.chars().count() {
                _ if text.trim().is_empty() => "is empty",
                _ if text.trim() != text => "starts or ends with a space",
                _ if !is_plain(text) => "has a control character or an invisible one in it",
                0..=MAX_NAME_CHARS => continue,
                _ => "is longer than 200 characters",
            };
            return Err(
                Failure::new(Exit::Refused, format!("the clinic's {what} {fault}")).next(
                    "It is shown to everybody who is asked for consent: write it as they know it.",
                ),
            );
        }
        Ok(())
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
            let message = format!("{} is a recipient already", shown(file.display()));
            return Err(Failure::new(Exit::Refused, message).into());
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
            return Err(
                Failure::new(Exit::Refused, "no recipient has this fingerprint")
                    .next("`clinic show` lists them.")
                    .into(),
            );
        };
        if self.retired.contains(&one) {
            return Err(Failure::new(Exit::Refused, "this recipient is retired already").into());
        }
        // It stays listed, so that old recordings still verify.
        self.retired.push(one);
        Ok(())
    }

    /// The document of this content and number, checked as everybody will check it.
    fn sign(&self, root: &SigningKey, valid_days: u64) -> anyhow::Result<Jws<ClinicClaims>> {
        let document = root.sign(&self.claims(now_ms()?, valid_days)?);
        ClinicDocument::verify(&document, &root.public())
            .context("this document would be refused everywhere")?;
        Ok(document)
    }

    fn claims(&self, now_ms: u64, valid_days: u64) -> anyhow::Result<ClinicClaims> {
        self.check_names()?;
        let missing = |what: &str| {
            Failure::new(Exit::Refused, format!("the document names no {what} yet")).next(format!(
                "Name it with `clinic set --{what} KEY`, then sign."
            ))
        };
        if self.authorities.is_empty() {
            return Err(missing("authority").into());
        }
        let vault = self.vault.ok_or_else(|| missing("vault"))?;
        Ok(ClinicClaims {
            v: VERSION,
            number: self.number,
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
    place_all(vec![source.file(folder)?])?;
    report(folder, output)
}

impl Sign {
    fn sign(&self, root: &SigningKey) -> anyhow::Result<()> {
        let mut source = Source::read(&self.folder)?;
        let highest = highest_number(&self.folder)?;
        let number = self
            .number
            .unwrap_or(source.number.saturating_add(1))
            .min(MAX_NUMBER);
        if number <= highest {
            if !self.allow_number_reuse {
                let message = format!(
                    "this would be document {number}, but number {highest} has been signed already; perhaps clinic.json \
                     is from a backup"
                );
                return Err(Failure::new(Exit::Refused, message)
                    .next(format!(
                        "Check that clinic.json has every recipient and retirement, then sign with --number {}.",
                        highest.saturating_add(1)
                    ))
                    .into());
            }
            say(&format!(
                "warning: document {number} is not newer than document {highest}: whoever has seen that one refuses this \
                 one"
            ));
        }
        source.number = number;
        let document = source.sign(root, self.valid_days)?;
        let file = |name: &str, text: &str| {
            let path = self.folder.join(name);
            PartialFile::with(&path, 0o644, true, format!("{text}\n").as_bytes())
        };
        // The source first, and the document last: a number is never used for two documents.
        place_all(vec![
            source.file(&self.folder)?,
            file("root.number", &highest.max(number).to_string())?,
            file("clinic.jws", document.as_str())?,
        ])
    }
}

/// The highest number signed so far, as far as the folder knows: 0 before the first document.
fn highest_number(folder: &Path) -> anyhow::Result<u64> {
    let noted = match read_if_there(&folder.join("root.number"), MAX_KEY_BYTES)? {
        Some(text) => text.parse().map_err(|_| {
            let path = folder.join("root.number");
            unreadable(format!("{} is not a number", shown(path.display())))
        })?,
        // Folders of earlier versions have none.
        None => 0,
    };
    let signed = match read_if_there(&folder.join("clinic.jws"), MAX_DOCUMENT_BYTES)? {
        // Unverified: too high a number only costs a question.
        Some(text) => Jws::<ClinicClaims>::from_text(text)
            .unverified_claims()
            .map_or(0, |claims| claims.number),
        None => 0,
    };
    Ok(signed.max(noted))
}

fn read_if_there(path: &Path, limit: u64) -> anyhow::Result<Option<String>> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        _ => read_text(path, limit).map(Some),
    }
}

pub fn read_root(folder: &Path, passphrase: &PassphraseSource) -> anyhow::Result<SigningKey> {
    let path = folder.join("root.jwe");
    let jwe = read_text(&path, MAX_KEY_BYTES)?;
    let damaged = || unreadable(format!("{} holds no root key", shown(path.display())));
    let content = unprotect_file(&path, &jwe, ROOT_CONTENT_TYPE, passphrase)?;
    // The parser's own message may quote what it read.
    let content: RootContent = serde_json::from_slice(&content).map_err(|_| damaged())?;
    let text = Zeroizing::new(content.seed);
    let seed = Zeroizing::new(Hash32::parse(&text).ok_or_else(damaged)?.0);
    let root = SigningKey::from_seed(&seed);
    let public = folder.join("root.pub");
    if x_of(&root.public()) != read_text(&public, MAX_KEY_BYTES)? {
        let message = format!(
            "{} is not the public half of root.jwe",
            shown(public.display())
        );
        return Err(Failure::new(Exit::Tampered, message)
            .next("Find out who changed it before you sign anything.")
            .into());
    }
    Ok(root)
}

/// A clinic document, signed by this root key; or what is wrong with it.
pub fn read_document(path: &Path, root: &PublicKey) -> anyhow::Result<ClinicDocument> {
    let jws = Jws::<ClinicClaims>::from_text(read_text(path, MAX_DOCUMENT_BYTES)?);
    ClinicDocument::verify(&jws, root).map_err(|error| {
        let name = shown(path.display());
        let failure = match &error {
            ClinicError::Signature(JwsError::BadSignature { .. }) => {
                let kid = jws.unverified_kid().unwrap_or_default();
                match kid == root.thumbprint() {
                    true => Failure::new(Exit::Tampered, format!("{name} was altered after it was signed"))
                        .next("Fetch the clinic document again from whoever signs it."),
                    false => Failure::new(
                        Exit::Tampered,
                        format!(
                            "{name} is signed by another key ({}) than the root key {}",
                            shown(kid),
                            x_of(root)
                        ),
                    )
                    .next("Check that the root key is the clinic's own; if it is, do not use this document."),
                }
            }
            ClinicError::Signature(JwsError::WrongType { .. }) => {
                unreadable(format!("{name} is a signed document, but not a clinic document"))
            }
            ClinicError::Signature(JwsError::UnknownVersion { .. }) => {
                unreadable(format!("{name} is of a later version"))
                    .next("Use a newer version of this program.")
            }
            ClinicError::Signature(_) => {
                unreadable(format!("{name} is not a valid clinic document"))
            }
            _ => Failure::new(
                Exit::Tampered,
                format!("{name} is signed by the root key, but contradicts itself"),
            ),
        }
        .problem("clinic-document-refused");
        let cause = match error {
            // Said above, better.
            ClinicError::Signature(JwsError::BadSignature { .. }) => return failure.into(),
            ClinicError::Signature(cause) => anyhow::Error::new(cause),
            other => anyhow::Error::new(other),
        };
        cause.context(failure)
    })
}

fn unreadable(message: String) -> Failure {
    Failure::new(Exit::Unreadable, message)
}

fn report(folder: &Path, output: &Output) -> anyhow::Result<Outcome> {
    let root_key = read_root_key(&folder.join("root.pub"))?;
    let source = Source::read(folder)?;
    let signed = folder.join("clinic.jws");
    let document = match signed.symlink_metadata() {
        Ok(_) => Some(read_document(&signed, &root_key)?),
        Err(_) => None,
    };
    let claims = document.as_ref().map(ClinicDocument::claims);
    let same = claims.is_some_and(|claims| {
        claims.recipients == source.recipients
            && claims.retired == source.retired
            && claims.authorities == source.authorities
            && Some(claims.vault) == source.vault
            && (&claims.name, &claims.contact) == (&source.name, &source.contact)
    });
    let now_ms = now_ms()?;
    let validity = document
        .as_ref()
        .map(|document| document.check_time(now_ms));
    let result = ClinicResult {
        ok: true,
        folder,
        root_key,
        root: x_of(&root_key),
        number: claims.map_or(0, |claims| claims.number),
        signed: same,
        not_after_ms: claims.map(|claims| claims.not_after_ms),
        valid_now: validity.as_ref().map(Result::is_ok),
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
        if result.valid_now == Some(false) {
            text += "Validity  NOT VALID NOW: expired, or the clock is wrong. Run `clinic sign`.\n";
        }
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
    let (text, is_file) = match path.symlink_metadata() {
        Ok(_) => (read_text(path, MAX_KEY_BYTES)?, true),
        Err(_) => (path.to_string_lossy().into_owned(), false),
    };
    parse_public_key(&text).map_err(|error| {
        let name = shown(path.display());
        let failure = match is_file {
            true => unreadable(format!("{name} does not hold the root key: {error}")),
            false => unreadable(format!(
                "the root key {name} is neither a file here nor a key"
            )),
        };
        failure
            .next("Give the file root.pub, or its content, with --root.")
            .into()
    })
}

pub fn spoken(fingerprint: &Hash32) -> String {
    sealed_visit_recording::seal::hpke::Fingerprint(fingerprint.0).to_string()
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

pub fn now_ms() -> anyhow::Result<u64> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    Ok(now.as_millis() as u64)
}
