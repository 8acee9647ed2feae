//! Makes the test vectors in `tests/vectors/recording/`: recordings with one fault each, for verifiers in any language.
//!
//! A vector is a base recording, the edits that make its fault, and what every verifier must say about the result. README.md
//! there describes how they are stored; `tests/interop/vectors.test.mjs` runs our own verifiers on them. This module makes them
//! from seeds and compares them with the stored ones; `SEALED_VISIT_WRITE_VECTORS=1` writes them.

mod base;
mod edit;
mod faults;
mod patch;
mod signatures;
mod signed;

use base::Base;
use edit::Edit;
use sealed_visit_protocol::bytes::to_base64url;
use sealed_visit_protocol::{ClinicDocument, Jws, TrackId};
use sealed_visit_recording::seal::hpke::Suite;
use sealed_visit_recording::seal::key_file;
use sealed_visit_recording::{
    PartVerifier, ProblemClass, ProblemCode, TrackFollower, report_recording,
};
use sealed_visit_testing::recording_vectors as stored;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What every verifier must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Complete,
    /// Genuine, and not all of it is here.
    Incomplete,
    /// Something is not what was signed.
    Altered,
    /// Without the document that is refused nothing can be judged.
    Refused,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Altered => "altered",
            Self::Refused => "refused",
        }
    }
}

/// What the vault says when the recording is uploaded to it.
#[derive(Clone, Copy)]
pub enum VaultSays {
    /// It takes the whole recording.
    Takes,
    /// It refuses this document or these bytes with this code.
    Refuses(&'static str, &'static str),
    /// The vault never looks at what has the fault, or makes it itself.
    CannotJudge(&'static str),
}

pub struct Vector {
    name: &'static str,
    base: &'static str,
    /// One sentence.
    shows: &'static str,
    /// The requirement of FORMAT.md that it tests.
    requirement: &'static str,
    verdict: Verdict,
    /// The code of the fault itself, then the codes that follow from it.
    problems: &'static [&'static str],
    /// If a verifier with a recipient's key sees more.
    with_key: Option<(Verdict, &'static [&'static str])>,
    /// The fault is in the text of `recording.json`, and gone once that is parsed.
    only_as_text: bool,
    vault: VaultSays,
    edit: fn(&mut Edit),
}

impl Vector {
    fn to_json(&self, base: &Base) -> Value {
        let mut edit = Edit::of(base);
        (self.edit)(&mut edit);
        let text = edit.recording_text.as_deref();
        let edits = patch::between(&base.folder, &edit.folder, text);
        let (folder, applied) = stored::apply(&base.folder, &edits);
        assert!(
            folder == edit.folder || text.is_some(),
            "{}: its edits do not make it",
            self.name
        );
        assert_eq!(applied.as_deref(), text, "{}", self.name);
        assert_eq!(edits.is_empty(), self.name == self.base, "{}", self.name);
        let mut vector = json!({
            "name": self.name,
            "shows": self.shows,
            "requirement": self.requirement,
            "base": self.base,
            "edits": edits,
            "expected": expected(self.verdict, self.problems),
            "vault": match self.vault {
                VaultSays::Takes => json!({"takes": true}),
                VaultSays::Refuses(what, code) => json!({"refuses": what, "code": code}),
                VaultSays::CannotJudge(why) => json!({"cannot_judge": why}),
            },
        });
        if self.only_as_text {
            vector["only_as_text"] = json!(true);
        }
        if let Some((verdict, problems)) = self.with_key {
            vector["expected_with_key"] = expected(verdict, problems);
        }
        vector
    }
}

fn expected(verdict: Verdict, problems: &[&str]) -> Value {
    json!({"verdict": verdict.as_str(), "problems": problems})
}

/// Every file of the folder, by its path.
fn files() -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let bases = base::all();
    let root = base::world(Suite::X25519).root.public();
    files.insert(
        "root.pub".into(),
        format!("{}\n", to_base64url(root.as_bytes())).into(),
    );
    for base in &bases {
        let folder = Path::new("bases").join(base.name);
        files.insert(
            folder.join("clinic.jws"),
            format!("{}\n", base.folder.clinic).into(),
        );
        files.insert(
            folder.join("recording.json"),
            base.folder.recording_text().into(),
        );
        for (name, bytes) in &base.folder.tracks {
            files.insert(folder.join(name), bytes.clone());
        }
    }
    files.insert("secrets.json".into(), pretty(&secrets(&bases)));
    for vector in faults::all() {
        let base = bases.iter().find(|base| base.name == vector.base).unwrap();
        let path = Path::new("vectors").join(format!("{}.json", vector.name));
        let before = files.insert(path, pretty(&vector.to_json(base)));
        assert!(before.is_none(), "{} twice", vector.name);
    }
    files
}

/// All keys. They are worthless, and enough to make further vectors.
fn secrets(bases: &[Base]) -> Value {
    let seed = |seed: &[u8]| json!(to_base64url(seed));
    let opening = [("x25519", Suite::X25519), ("x-wing", Suite::XWing)].map(|(name, suite)| {
        let content = key_file::encode(&base::opening_key(suite));
        (
            name.to_owned(),
            serde_json::from_slice::<Value>(&content).unwrap(),
        )
    });
    let recording_keys = bases.iter().map(|base| {
        let keys = base.recording_keys.iter().map(|key| seed(key));
        (base.name.to_owned(), keys.collect::<Value>())
    });
    json!({
        "ed25519_seeds": {
            "root": seed(&base::ROOT),
            "authority": seed(&base::AUTHORITY),
            "vault": seed(&base::VAULT),
            "clinician": seed(&base::CLINICIAN),
            "patient": seed(&base::PATIENT),
            "recorder": seed(&base::RECORDER),
        },
        "recording_key_seeds": recording_keys.collect::<serde_json::Map<_, _>>(),
        "opening_keys": opening.into_iter().collect::<serde_json::Map<_, _>>(),
    })
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into()
}

fn stored_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/recording")
}

#[test]
fn the_stored_vectors_are_those_that_are_made_here() {
    let made = files();
    let folder = stored_in();
    if std::env::var_os("SEALED_VISIT_WRITE_VECTORS").is_some() {
        for part in ["bases", "vectors"] {
            let _ = std::fs::remove_dir_all(folder.join(part));
        }
        for (path, bytes) in &made {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
    for (path, bytes) in &made {
        let stored = std::fs::read(folder.join(path)).unwrap_or_default();
        assert!(stored == *bytes, "{} is stored differently", path.display());
    }
    let stored = std::fs::read_dir(folder.join("vectors")).unwrap().count();
    assert_eq!(stored, faults::all().len(), "another vector is stored");
}

#[test]
fn there_are_many_vectors_and_every_code_has_one() {
    let vectors = faults::all();
    let sound = |vector: &&Vector| vector.verdict == Verdict::Complete;
    assert!(vectors.len() >= 150, "{}", vectors.len());
    assert!(vectors.iter().filter(sound).count() >= 10);
    let first: BTreeSet<&str> = vectors
        .iter()
        .filter_map(|vector| vector.problems.first().copied())
        .collect();
    for code in ProblemCode::ALL {
        assert!(
            first.contains(code.as_str()),
            "no vector for {}",
            code.as_str()
        );
    }
}

#[test]
fn verdicts_are_as_the_classes_of_their_codes_say() {
    for vector in faults::all() {
        let classes: Vec<ProblemClass> = vector
            .problems
            .iter()
            .filter_map(|text| ProblemCode::ALL.iter().find(|code| code.as_str() == *text))
            .map(|code| code.class())
            .collect();
        let altered = classes.contains(&ProblemClass::Altered);
        let agrees = match vector.verdict {
            Verdict::Complete => vector.problems.is_empty(),
            Verdict::Incomplete => !altered && classes.len() == vector.problems.len(),
            Verdict::Altered => altered && classes.len() == vector.problems.len(),
            Verdict::Refused => vector.problems.len() == 1 && classes.is_empty(),
        };
        assert!(agrees, "{}: {:?}", vector.name, vector.problems);
    }
}

/// The codes that the verifier finds; without a key, as a vault checks a recording.
fn judged(folder: &stored::Folder) -> Vec<&'static str> {
    let root = base::world(Suite::X25519).root.public();
    let clinic = ClinicDocument::verify(&Jws::from_text(folder.clinic.as_str()), &root).unwrap();
    let recording = folder.recording["recording"].as_str().unwrap();
    let mut reports = Vec::new();
    for part in folder.recording["parts"].as_array().unwrap() {
        let text = |name: &str| part[name].as_str().map(str::to_owned);
        let open = Jws::from_text(text("open").unwrap());
        let mut verifier = PartVerifier::new(&open, &clinic).unwrap();
        let number = part["part"].as_u64().unwrap() as u32;
        verifier.listed_as(recording.parse().unwrap(), number);
        for listed in part["tracks"].as_array().unwrap() {
            let track: TrackId = listed["track"].as_str().unwrap().parse().unwrap();
            let envelopes = listed["envelopes"].as_array().into_iter().flatten();
            for envelope in envelopes {
                verifier.envelope(track, Jws::from_text(envelope.as_str().unwrap()));
            }
            let Some(bytes) = folder.tracks.get(&format!("{track}.track")) else {
                verifier.track_not_here(track);
                continue;
            };
            let mut follower = TrackFollower::new(verifier.open_statement().header(track));
            let _ = follower.feed(bytes);
            verifier.track(track, follower.finish());
        }
        if let Some(jws) = text("manifest") {
            verifier.manifest(Jws::from_text(jws));
        }
        if let Some(jws) = text("closing") {
            verifier.closing(Jws::from_text(jws));
        }
        if let Some(jws) = text("receipt") {
            verifier.receipt(Jws::from_text(jws));
        }
        reports.push(verifier.report());
    }
    let report = report_recording(reports);
    let of_parts = report.parts.iter().flat_map(|part| &part.problems);
    let codes: BTreeSet<_> = of_parts
        .chain(&report.problems)
        .map(|problem| problem.code.as_str())
        .collect();
    codes.into_iter().collect()
}

#[test]
fn the_verifier_says_of_every_vector_that_it_can_judge_what_the_vector_says() {
    let bases = base::all();
    let mut count = 0;
    for vector in faults::all() {
        if vector.verdict == Verdict::Refused || vector.only_as_text {
            continue;
        }
        let base = bases.iter().find(|base| base.name == vector.base).unwrap();
        let mut edit = Edit::of(base);
        (vector.edit)(&mut edit);
        let expected: BTreeSet<_> = vector.problems.iter().copied().collect();
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(judged(&edit.folder), expected, "{}", vector.name);
        count += 1;
    }
    assert!(count > 100, "{count}");
}
