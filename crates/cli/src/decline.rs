//! `clinic decline`: the clinic's decision to keep a recording although somebody asked for its deletion.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use sealed_visit_protocol::consent::{StatementClaims, WithdrawalWish};
use sealed_visit_protocol::recording::DeclineClaims;
use sealed_visit_protocol::{Jws, RecordingId};
use serde::{Deserialize, Serialize};

use crate::clinic::{now_ms, parse_recording, read_root};
use crate::exit::{Exit, Failure};
use crate::files::{MAX_RECORDING_BYTES, read_text};
use crate::output::{Outcome, Output};
use crate::passphrase::PassphraseSource;
use crate::text::shown;

#[derive(Args)]
pub struct Decline {
    folder: PathBuf,
    /// The recording's id.
    #[arg(long, value_parser = parse_recording, allow_hyphen_values = true)]
    recording: RecordingId,
    /// The vault's answer to `GET /v1/recordings/ID`: every wish to delete in it is declined, and no later one.
    #[arg(long)]
    details: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseSource,
}

/// What the vault answers about a recording, as far as a decision needs it.
#[derive(Deserialize)]
struct Details {
    summary: Summary,
    withdrawals: Vec<Jws<StatementClaims>>,
}

#[derive(Deserialize)]
struct Summary {
    recording: RecordingId,
}

#[derive(Serialize)]
struct DeclineResult {
    ok: bool,
    decision: String,
}

impl Decline {
    /// The decision goes to standard output, to be posted to the vault's `/v1/deletions/declined`.
    pub fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        let path = shown(self.details.display());
        let unreadable =
            |message: &str| Failure::new(Exit::Unreadable, format!("{path} {message}"));
        let details: Details =
            serde_json::from_str(&read_text(&self.details, MAX_RECORDING_BYTES)?)
                .with_context(|| unreadable("is not what a vault answers about a recording"))?;
        if details.summary.recording != self.recording {
            return Err(unreadable("is about another recording").into());
        }
        let mut wishes = Vec::new();
        for statement in &details.withdrawals {
            let claims = statement
                .unverified_claims()
                .with_context(|| unreadable("holds a withdrawal that cannot be read"))?;
            if claims.wish == Some(WithdrawalWish::Delete) {
                wishes.push(statement.hash());
            }
        }
        if wishes.is_empty() {
            let message = format!("{path} holds no wish to delete this recording");
            return Err(Failure::new(Exit::Refused, message).into());
        }
        let root = read_root(&self.folder, &self.passphrase)?;
        let decision = root.sign(&DeclineClaims::new(self.recording, wishes, now_ms()?));
        let decision = decision.as_str().to_owned();
        let result = DeclineResult {
            ok: true,
            decision: decision.clone(),
        };
        output.result(&result, || decision)?;
        Ok(Outcome::Well)
    }
}
