//! The test vectors of `tests/vectors/recording/`: how a base recording and edits make a vector's, as README.md there says.
//! For tests in Rust, of any crate.

use sealed_visit_protocol::bytes::{from_base64url, to_base64url};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A recording as files.
#[derive(Clone, PartialEq, Eq)]
pub struct Folder {
    pub clinic: String,
    pub recording: Value,
    /// By file name.
    pub tracks: BTreeMap<String, Vec<u8>>,
}

impl Folder {
    /// `recording.json`.
    pub fn recording_text(&self) -> String {
        format!("{:#}\n", self.recording)
    }
}

/// Applies edits; the second value is the text of `recording.json` where that was edited as text.
pub fn apply(base: &Folder, edits: &[Value]) -> (Folder, Option<String>) {
    let mut folder = base.clone();
    let mut text = None;
    for edit in edits {
        match (op_of(edit), edit["file"].as_str()) {
            ("delete", Some(file)) => drop(folder.tracks.remove(file)),
            ("copy-file", Some(file)) => {
                let bytes = base.tracks[edit["from"].as_str().unwrap()].clone();
                folder.tracks.insert(file.to_owned(), bytes);
            }
            ("splice", Some(file)) => {
                let insert = from_base64url(edit["insert"].as_str().unwrap()).unwrap();
                if file == "recording.json" {
                    let bytes = spliced(base.recording_text().as_bytes(), edit, &insert);
                    text = Some(String::from_utf8(bytes).unwrap());
                } else {
                    let bytes = folder.tracks.entry(file.to_owned()).or_default();
                    *bytes = spliced(bytes, edit, &insert);
                }
            }
            (_, Some(_)) => folder.clinic = changed_text(&folder.clinic, edit),
            (_, None) => apply_to_member(base, &mut folder.recording, edit),
        }
    }
    (folder, text)
}

fn op_of(edit: &Value) -> &str {
    edit["op"].as_str().unwrap()
}

fn apply_to_member(base: &Folder, recording: &mut Value, edit: &Value) {
    let path = edit["path"].as_str().unwrap();
    let (parent, last) = path.rsplit_once('/').unwrap();
    let value = match op_of(edit) {
        "remove" => None,
        "sign" | "alter" => {
            let before = recording.pointer(path).unwrap().as_str().unwrap();
            Some(json!(changed_text(before, edit)))
        }
        // From the base, whatever was edited before.
        "copy" => base
            .recording
            .pointer(edit["from"].as_str().unwrap())
            .cloned(),
        _ => Some(edit["value"].clone()),
    };
    match (recording.pointer_mut(parent).unwrap(), value) {
        (Value::Object(members), Some(value)) => drop(members.insert(last.to_owned(), value)),
        (Value::Object(members), None) => drop(members.remove(last)),
        (Value::Array(items), Some(value)) if last == "-" => items.push(value),
        (Value::Array(items), Some(value)) => items[last.parse::<usize>().unwrap()] = value,
        (Value::Array(items), None) => drop(items.remove(last.parse().unwrap())),
        (other, _) => panic!("{path}: {other}"),
    }
}

/// A document signed again, or its text altered.
pub fn changed_text(before: &str, edit: &Value) -> String {
    let insert = edit["insert"].as_str().unwrap().as_bytes();
    if op_of(edit) == "alter" {
        return String::from_utf8(spliced(before.as_bytes(), edit, insert)).unwrap();
    }
    let mut parts = before.split('.');
    let (header, payload) = (parts.next().unwrap(), parts.next().unwrap());
    let header = match edit["header"].as_str() {
        Some(header) => to_base64url(header.as_bytes()),
        None => header.to_owned(),
    };
    let payload = spliced(&from_base64url(payload).unwrap(), edit, insert);
    let signature = edit["signature"].as_str().unwrap();
    format!("{header}.{}.{signature}", to_base64url(&payload))
}

fn spliced(bytes: &[u8], edit: &Value, insert: &[u8]) -> Vec<u8> {
    let at = edit["at"].as_u64().unwrap() as usize;
    let after = at + edit["remove"].as_u64().unwrap() as usize;
    [&bytes[..at], insert, &bytes[after..]].concat()
}
