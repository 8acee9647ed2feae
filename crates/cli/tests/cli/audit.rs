//! `audit`: a log that was rewritten is found out by heads that were kept elsewhere.

use sealed_visit_protocol::clinic::WrapSuite;
use sealed_visit_protocol::recording::{AuditHeadClaims, ReceiptClaims, StoredEntry};
use sealed_visit_protocol::{Hash32, Jws, RecordingId, SigningKey};
use serde_json::json;

use crate::{text, tool};
use sealed_visit_testing::recording::World;

/// A log of these actions, linked as it should be, as the vault answers it.
fn log(actions: &[&str]) -> (serde_json::Value, Vec<Hash32>) {
    let mut previous = Hash32([0; 32]);
    let mut hashes = Vec::new();
    let mut entries = Vec::new();
    for (seq, action) in actions.iter().enumerate() {
        let entry = json!({"v": 1, "seq": seq, "action": action, "previous": previous}).to_string();
        previous = StoredEntry::hash_of(&entry);
        hashes.push(previous);
        entries.push(StoredEntry {
            entry,
            hash: previous,
        });
    }
    (json!({ "entries": entries }), hashes)
}

fn head(vault: &SigningKey, hashes: &[Hash32]) -> Jws<AuditHeadClaims> {
    vault.sign(&AuditHeadClaims {
        v: 1,
        size: hashes.len() as u64,
        head: hashes[hashes.len() - 1],
        at_ms: 1,
    })
}

#[test]
fn a_log_with_an_entry_cut_out_does_not_pass_through_a_head_or_a_receipt_from_before() {
    let temp = tempfile::tempdir().unwrap();
    let world = World::new(&[
        (WrapSuite::X25519, vec![9; 32]),
        (WrapSuite::X25519, vec![8; 32]),
    ]);
    let file = |name: &str, content: &str| {
        let path = temp.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let clinic = file("clinic.jws", world.clinic_jws.as_str());
    let root = serde_json::to_value(world.root.public()).unwrap()["x"]
        .as_str()
        .unwrap()
        .to_owned();
    let (whole, hashes) = log(&["part_opened", "opened", "withdrawn", "opened"]);
    let (cut, _) = log(&["part_opened", "withdrawn", "opened"]);
    let receipt = world.vault.sign(&ReceiptClaims {
        v: 1,
        recording: RecordingId::from_bytes([1; 16]),
        part: 0,
        open: Hash32([2; 32]),
        tracks: vec![],
        ended_by: Hash32([3; 32]),
        finished: true,
        audit_head: Some(head(&world.vault, &hashes[..2])),
        at_ms: 1,
    });
    let late = head(&world.vault, &hashes);
    let check = |log: &serde_json::Value, heads: &[&str]| {
        let log = file("log.json", &log.to_string());
        let heads = file("heads", &heads.join("\n"));
        let files = [
            text(&log),
            "--heads",
            text(&heads),
            "--clinic",
            text(&clinic),
        ];
        tool(["audit"].into_iter().chain(files).chain(["--root", &root]))
    };
    let (code, result) = check(&whole, &[receipt.as_str(), late.as_str()]);
    assert_eq!(
        (code, &result["entries"], &result["heads"]),
        (0, &json!(4), &json!(2))
    );
    for kept in [receipt.as_str(), late.as_str()] {
        let (code, result) = check(&cut, &[kept]);
        assert_eq!((code, &result["ok"]), (4, &json!(false)), "{result}");
    }
    // Nobody else signs heads.
    let forged = head(&world.root, &hashes[..1]);
    assert_eq!(check(&whole, &[forged.as_str()]).0, 4);
    assert_eq!(check(&whole, &[]).0, 6);
}
