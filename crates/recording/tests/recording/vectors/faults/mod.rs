//! The vectors, by what they alter.

mod documents;
mod ends;
mod opening;
mod parts;
mod sound;
mod tracks;

use super::base::{self, other_hash, other_id};
use super::edit::{self, Edit};
use super::{VaultSays, Vector, Verdict};
use super::{signatures, signed};
use serde_json::{Value, json};

pub fn all() -> Vec<Vector> {
    let groups = [
        sound::vectors(),
        documents::vectors(),
        opening::vectors(),
        tracks::vectors(),
        ends::vectors(),
        parts::vectors(),
    ];
    groups.into_iter().flatten().collect()
}

/// Vectors in the making.
struct Group {
    /// Of FORMAT.md, which the next vectors test.
    requirement: &'static str,
    vectors: Vec<Vector>,
}

impl Group {
    fn new() -> Self {
        Self {
            requirement: "",
            vectors: Vec::new(),
        }
    }

    fn requirement(&mut self, requirement: &'static str) {
        self.requirement = requirement;
    }

    fn add(
        &mut self,
        name: &'static str,
        base: &'static str,
        (verdict, problems): (Verdict, &'static [&'static str]),
        vault: VaultSays,
        shows: &'static str,
        edit: fn(&mut Edit),
    ) -> &mut Vector {
        self.vectors.push(Vector {
            name,
            base,
            shows,
            requirement: self.requirement,
            verdict,
            problems,
            with_key: None,
            only_as_text: false,
            vault,
            edit,
        });
        self.vectors.last_mut().unwrap()
    }
}

const COMPLETE: (Verdict, &[&str]) = (Verdict::Complete, &[]);

fn incomplete(problems: &'static [&'static str]) -> (Verdict, &'static [&'static str]) {
    (Verdict::Incomplete, problems)
}

fn altered(problems: &'static [&'static str]) -> (Verdict, &'static [&'static str]) {
    (Verdict::Altered, problems)
}

const OPEN_REFUSED: (Verdict, &[&str]) = (Verdict::Refused, &["open-statement-refused"]);
const CLINIC_REFUSED: (Verdict, &[&str]) = (Verdict::Refused, &["clinic-document-refused"]);
const UNREADABLE: (Verdict, &[&str]) = (Verdict::Refused, &["recording-unreadable"]);

use VaultSays::{CannotJudge, Refuses, Takes};

const ITS_OWN: VaultSays = CannotJudge("the vault makes this document itself");
const READERS_FILE: VaultSays = CannotJudge("the vault makes recording.json itself");

/// Turns one bit of a document's signature.
fn with_another_signature(jws: String) -> String {
    let (signed, signature) = jws.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    format!("{signed}.{flipped}{}", &signature[1..])
}
