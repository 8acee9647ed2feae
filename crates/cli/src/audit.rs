//! `audit`: whether a vault's audit log still passes through the heads that the vault signed before.
//!
//! Input: the log as `GET /v1/audit` answers it, and lines that each hold a signed head, or a receipt with one in it, kept
//! wherever the vault's operator cannot reach. An entry that was cut out before the chain was computed again shows here.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use sealed_visit_protocol::recording::{AuditHeadClaims, Chain, ReceiptClaims, StoredEntry};
use sealed_visit_protocol::{Jws, PublicKey};
use serde::{Deserialize, Serialize};

use crate::clinic::{read_document, read_root_key};
use crate::exit::{Exit, Failure};
use crate::files::{MAX_LOG_BYTES, read_text};
use crate::output::{Outcome, Output};
use crate::text::shown;

/// Check a vault's audit log against heads that it signed before.
#[derive(Args)]
pub struct Audit {
    /// The log, as the vault answers to `GET /v1/audit`: one file, or several that follow each other.
    #[arg(required = true)]
    log: Vec<PathBuf>,
    /// Signed heads and receipts, one a line.
    #[arg(long)]
    heads: PathBuf,
    /// The clinic document that names the vault's key.
    #[arg(long)]
    clinic: PathBuf,
    /// The clinic's root public key, or a file that holds it.
    #[arg(long, env = "SEALED_VISIT_ROOT", allow_hyphen_values = true)]
    root: PathBuf,
}

#[derive(Deserialize)]
struct Page {
    entries: Vec<StoredEntry>,
}

#[derive(Serialize)]
struct AuditResult {
    ok: bool,
    entries: u64,
    heads: usize,
    problem: Option<String>,
}

impl Audit {
    pub fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        let root = read_root_key(&self.root)?;
        let clinic = read_document(&self.clinic, &root)?;
        let vault = clinic.claims().vault;
        let heads = heads_in(&self.heads, &vault)?;
        if heads.is_empty() {
            let message = format!("{} has no signed head", shown(self.heads.display()));
            return Err(Failure::new(Exit::Unreadable, message).into());
        }
        let mut entries = Vec::new();
        for path in &self.log {
            let page: Page =
                serde_json::from_str(&read_text(path, MAX_LOG_BYTES)?).with_context(|| {
                    let path = shown(path.display());
                    Failure::new(
                        Exit::Unreadable,
                        format!("{path} is not a part of an audit log"),
                    )
                })?;
            entries.extend(page.entries);
        }
        let checked = Chain::through(&heads, &vault).and_then(|mut chain| {
            for entry in &entries {
                chain.follow(entry)?;
            }
            chain.end()
        });
        let result = AuditResult {
            ok: checked.is_ok(),
            entries: entries.len() as u64,
            heads: heads.len(),
            problem: checked.err().map(|error| error.to_string()),
        };
        output.result(&result, || match &result.problem {
            None => format!(
                "The log of {} entries passes through all {} heads.",
                result.entries, result.heads
            ),
            Some(problem) => format!("The log is not what the vault signed: {}", shown(problem)),
        })?;
        Ok(if result.ok {
            Outcome::Well
        } else {
            Outcome::Refused
        })
    }
}

/// Heads, and what receipts hold of them; receipts of earlier versions hold none.
fn heads_in(path: &Path, vault: &PublicKey) -> anyhow::Result<Vec<Jws<AuditHeadClaims>>> {
    let mut heads = Vec::new();
    let text = read_text(path, MAX_LOG_BYTES)?;
    let lines = text.lines().map(str::trim).enumerate();
    for (index, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let receipt = Jws::<ReceiptClaims>::from_text(line);
        if receipt.unverified_claims().is_ok() {
            let claims = receipt.verify(vault);
            heads.extend(
                claims
                    .with_context(|| {
                        let path = shown(path.display());
                        let message =
                            format!("the receipt in line {} of {path} is refused", index + 1);
                        Failure::new(Exit::Tampered, message)
                    })?
                    .audit_head,
            );
        } else {
            heads.push(Jws::from_text(line));
        }
    }
    Ok(heads)
}
