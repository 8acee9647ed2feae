//! What makes a vector's recording from its base, as a list of edits: found by comparing the two.

use super::stored::{Folder, changed_text};
use sealed_visit_protocol::bytes::{from_base64url, to_base64url};
use serde_json::{Value, json};

/// The edits that lead from one recording to the other.
pub fn between(before: &Folder, after: &Folder, text: Option<&str>) -> Vec<Value> {
    let mut edits = Vec::new();
    if before.clinic != after.clinic {
        edits.extend(of_text("clinic.jws", None, &before.clinic, &after.clinic));
    }
    for (name, bytes) in &before.tracks {
        match after.tracks.get(name) {
            None => edits.push(json!({"op": "delete", "file": name})),
            Some(changed) if changed != bytes => edits.push(of_bytes(name, bytes, changed)),
            Some(_) => {}
        }
    }
    for (name, bytes) in &after.tracks {
        if !before.tracks.contains_key(name) {
            let same = before.tracks.iter().find(|(_, known)| *known == bytes);
            edits.push(match same {
                Some((from, _)) => json!({"op": "copy-file", "file": name, "from": from}),
                None => json!({"op": "splice", "file": name, "at": 0, "remove": 0, "insert": to_base64url(bytes)}),
            });
        }
    }
    match text {
        Some(text) => {
            let old = before.recording_text();
            let (at, remove, insert) = splice(old.as_bytes(), text.as_bytes());
            edits.push(json!({
                "op": "splice", "file": "recording.json",
                "at": at, "remove": remove, "insert": to_base64url(insert),
            }));
        }
        None => of_json(
            &before.recording,
            "",
            &before.recording,
            &after.recording,
            &mut edits,
        ),
    }
    edits
}

fn of_json(whole: &Value, path: &str, before: &Value, after: &Value, edits: &mut Vec<Value>) {
    if before == after {
        return;
    }
    let at = |name: &str| format!("{path}/{name}");
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, value) in old {
                match new.get(name) {
                    Some(changed) => of_json(whole, &at(name), value, changed, edits),
                    None => edits.push(json!({"op": "remove", "path": at(name)})),
                }
            }
            for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
                edits.push(json!({"op": "add", "path": at(name), "value": value}));
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (value, changed)) in old.iter().zip(new).enumerate() {
                of_json(whole, &at(&index.to_string()), value, changed, edits);
            }
        }
        (Value::Array(old), Value::Array(new)) if new.len() + 1 == old.len() => {
            let index = (0..new.len()).find(|index| old[*index] != new[*index]);
            let index = index.unwrap_or(new.len());
            for (kept, changed) in old[index + 1..].iter().zip(&new[index..]) {
                assert_eq!(kept, changed, "remove one element and nothing else");
            }
            edits.push(json!({"op": "remove", "path": at(&index.to_string())}));
        }
        (Value::Array(old), Value::Array(new)) if new.len() == old.len() + 1 => {
            for (index, (value, changed)) in old.iter().zip(new).enumerate() {
                of_json(whole, &at(&index.to_string()), value, changed, edits);
            }
            let added = &new[old.len()];
            edits.insert(0, place(whole, &at("-"), "add", added));
        }
        (Value::String(old), Value::String(new)) => match pointer_to(whole, "", after) {
            Some(from) => edits.push(json!({"op": "copy", "from": from, "path": path})),
            None => edits.extend(of_text("recording.json", Some(path), old, new)),
        },
        _ => edits.push(place(whole, path, "replace", after)),
    }
}

/// Takes a value from elsewhere in the base if it stands there.
fn place(whole: &Value, path: &str, op: &str, value: &Value) -> Value {
    let from = Some(value).filter(|value| value.to_string().len() > 64);
    match from.and_then(|value| pointer_to(whole, "", value)) {
        Some(from) => json!({"op": "copy", "from": from, "path": path}),
        None => json!({"op": op, "path": path, "value": value}),
    }
}

fn pointer_to(value: &Value, path: &str, wanted: &Value) -> Option<String> {
    if value == wanted {
        return Some(path.to_owned());
    }
    match value {
        Value::Object(members) => members
            .iter()
            .find_map(|(name, value)| pointer_to(value, &format!("{path}/{name}"), wanted)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, value)| pointer_to(value, &format!("{path}/{index}"), wanted)),
        _ => None,
    }
}

/// A document or another text: signed anew, or changed as it stands.
fn of_text(file: &str, path: Option<&str>, before: &str, after: &str) -> Option<Value> {
    let mut edit = match resigned(before, after) {
        Some(edit) => edit,
        None => {
            let (at, remove, insert) = splice(before.as_bytes(), after.as_bytes());
            let insert =
                std::str::from_utf8(insert).expect("texts here are ASCII where they differ");
            json!({"op": "alter", "at": at, "remove": remove, "insert": insert})
        }
    };
    match path {
        Some(path) => edit["path"] = json!(path),
        None => edit["file"] = json!(file),
    }
    Some(edit)
}

fn resigned(before: &str, after: &str) -> Option<Value> {
    let [old_header, old, _] = parts(before)?;
    let [header, new, _] = parts(after)?;
    let signature = after.rsplit('.').next()?;
    let (at, remove, insert) = splice(&old, &new);
    let insert = std::str::from_utf8(insert).ok()?;
    let mut edit =
        json!({"op": "sign", "at": at, "remove": remove, "insert": insert, "signature": signature});
    if header != old_header {
        edit["header"] = json!(String::from_utf8(header).ok()?);
    }
    (changed_text(before, &edit) == after).then_some(edit)
}

fn parts(jws: &str) -> Option<[Vec<u8>; 3]> {
    let parts: Option<Vec<_>> = jws.split('.').map(from_base64url).collect();
    parts?.try_into().ok()
}

fn of_bytes(name: &str, before: &[u8], after: &[u8]) -> Value {
    let (at, remove, insert) = splice(before, after);
    json!({"op": "splice", "file": name, "at": at, "remove": remove, "insert": to_base64url(insert)})
}

/// From where on how many bytes were taken out, and which were put in their place.
fn splice<'a>(before: &[u8], after: &'a [u8]) -> (usize, usize, &'a [u8]) {
    let same =
        |pairs: &mut dyn Iterator<Item = (&u8, &u8)>| pairs.take_while(|(a, b)| a == b).count();
    let start = same(&mut before.iter().zip(after));
    let rest = (&before[start..], &after[start..]);
    let end = same(&mut rest.0.iter().rev().zip(rest.1.iter().rev()));
    (
        start,
        before.len() - start - end,
        &after[start..after.len() - end],
    )
}
